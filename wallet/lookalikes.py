"""Warnings about addresses and names that can be taken for others.

People compare the beginning and the end of an address; a forger computes one that shares both, sends a little from it
and waits for it to be copied from the history. Nothing here refuses: the owner decides.
"""

from __future__ import annotations

from collections.abc import Iterable

from node.encoding.address import Address
from wallet.text import skeleton

SHARED_CHARACTERS = 6  # begin and end together; by chance one pair in 10⁸
_FIXED = 1  # the first character after the prefix only tells the version


def similar_addresses(raw: bytes, known: Iterable[tuple[str, bytes]], prefix: str) -> tuple[str, ...]:
    """Names of `known` (name, raw address) whose address looks like `raw` but is another."""
    text = _shown(raw, prefix)
    found = []
    for name, other in known:
        if other != raw and len(other) == len(raw):
            their = _shown(other, prefix)
            if _shared(text, their) + _shared(text[::-1], their[::-1]) >= SHARED_CHARACTERS:
                found.append(name)
    return tuple(dict.fromkeys(found))


def similar_names(name: str, known: Iterable[str]) -> tuple[str, ...]:
    """Those of `known` that look like `name` but are written otherwise."""
    look = skeleton(name)
    return tuple(dict.fromkeys(other for other in known if other != name and skeleton(other) == look))


def address_warning(raw: bytes, known: Iterable[tuple[str, bytes]], prefix: str) -> str | None:
    """A sentence about look-alikes of an address, or None."""
    names = similar_addresses(raw, known, prefix)
    if not names:
        return None
    quoted = ", ".join(f"“{name}”" for name in names)
    return (
        f"The address begins and ends almost like that of {quoted} but is another one. "
        "Compare every character: someone may want you to mix them up."
    )


def _shown(raw: bytes, prefix: str) -> str:
    return Address.from_raw(raw).text(prefix)[len(prefix) + 1 + _FIXED :]


def _shared(one: str, other: str) -> int:
    count = 0
    for mine, theirs in zip(one, other, strict=True):
        if mine != theirs:
            break
        count += 1
    return count
