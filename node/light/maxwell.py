"""The Maxwell mix (protocol section 3): light in a one-dimensional cavity, step by step, in integers modulo 2⁶⁴.

Yee's leapfrog (K. S. Yee 1966) on 256 cells between two perfect conductors. No division and no float anywhere, so each
step can be undone exactly: a field run backwards is the field it came from. The mix is linear, so anyone can solve for
a field that gives a wanted one; it is a picture of a header, and the hashes around it are what nobody can forge.

This is the plain solver, milliseconds a run; `signature` checks headers by a table made from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

CELLS = 256
STEPS = 64
MASK = (1 << 64) - 1


class Field(NamedTuple):
    """Electric values at the 256 cells and magnetic ones at the 255 places between them, each 0 ≤ value < 2⁶⁴.

    The first and the last electric value are the conductors: 0, and no step touches them.
    """

    electric: list[int]
    magnetic: list[int]


def at_rest(electric: Sequence[int]) -> Field:
    """The start of a mix: an electric field and no magnetic one."""
    return Field(list(electric), [0] * (CELLS - 1))


def grating(region: int) -> list[int]:
    """The coupling c_i of each cell, 1 or 3, in stripes of 2^(1 + region) cells."""
    return [3 if (cell >> (1 + region)) & 1 else 1 for cell in range(CELLS)]


def mix(field: Field, region: int) -> Field:
    """The field after 64 steps: H[i] += E[i+1] − E[i], then E[i] += c_i·(H[i] − H[i−1]) inside."""
    electric, magnetic = field
    coupling = grating(region)[1:-1]
    for _ in range(STEPS):
        magnetic = [(h + right - left) & MASK for h, (left, right) in zip(magnetic, pairwise(electric), strict=True)]
        electric = _inside(electric, magnetic, coupling)
    return Field(electric, magnetic)


def unmix(field: Field, region: int) -> Field:
    """The field 64 steps before: the same two lines in the other order with the other sign."""
    electric, magnetic = field
    coupling = [-c for c in grating(region)[1:-1]]
    for _ in range(STEPS):
        electric = _inside(electric, magnetic, coupling)
        magnetic = [(h - right + left) & MASK for h, (left, right) in zip(magnetic, pairwise(electric), strict=True)]
    return Field(electric, magnetic)


def _inside(electric: list[int], magnetic: list[int], coupling: list[int]) -> list[int]:
    """The electric field after a half step; both conductors stay what they are."""
    cells = zip(electric[1:-1], coupling, pairwise(magnetic), strict=True)
    return [electric[0], *((e + c * (right - left)) & MASK for e, c, (left, right) in cells), electric[-1]]
