"""The Maxwell mix: exactly the rule of the protocol, linear, and reversible to the last bit."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.light.maxwell import CELLS, MASK, STEPS, Field, at_rest, grating, mix, unmix

words = st.integers(0, MASK) | st.sampled_from([0, 1, MASK, 1 << 63])
regions = st.integers(0, 5)
# A few lit cells, so that a failing field stays readable when Hypothesis makes it small.
lit = st.dictionaries(st.integers(0, CELLS - 1), words, max_size=12)
fields = st.builds(
    lambda electric, magnetic: Field(
        [electric.get(cell, 0) for cell in range(CELLS)], [magnetic.get(cell, 0) for cell in range(CELLS - 1)]
    ),
    lit,
    lit,
)


def by_the_book(electric: list[int], region: int) -> list[int]:
    """Protocol section 3, letter by letter."""
    e, h = list(electric), [0] * 255
    for _ in range(64):
        for i in range(255):
            h[i] = (h[i] + e[i + 1] - e[i]) % 2**64
        for i in range(1, 255):
            c = 3 if (i >> (1 + region)) % 2 else 1
            e[i] = (e[i] + c * (h[i] - h[i - 1])) % 2**64
    return e


@given(fields, regions)
@settings(max_examples=60)
def test_a_field_run_backwards_is_where_it_came_from(field: Field, region: int) -> None:
    assert unmix(mix(field, region), region) == field
    assert mix(unmix(field, region), region) == field


@given(lit, regions)
@settings(max_examples=20)
def test_it_is_the_rule(lights: dict[int, int], region: int) -> None:
    electric = [lights.get(cell, 0) if 0 < cell < CELLS - 1 else 0 for cell in range(CELLS)]
    mixed = mix(at_rest(electric), region)
    assert mixed.electric == by_the_book(electric, region)
    assert mixed.electric[0] == mixed.electric[-1] == 0


@given(fields, fields, words, regions)
@settings(max_examples=30)
def test_it_is_linear(one: Field, other: Field, factor: int, region: int) -> None:
    """Light passes through light: why nothing may rely on the mix alone."""

    def combined(left: Field, right: Field) -> Field:
        return Field(
            [(a + factor * b) & MASK for a, b in zip(left.electric, right.electric, strict=True)],
            [(a + factor * b) & MASK for a, b in zip(left.magnetic, right.magnetic, strict=True)],
        )

    assert mix(combined(one, other), region) == combined(mix(one, region), mix(other, region))


@pytest.mark.parametrize("region", range(6))
def test_the_grating_belongs_to_the_region(region: int) -> None:
    stripes = grating(region)
    width = 2 ** (1 + region)
    assert stripes == ([1] * width + [3] * width) * (CELLS // (2 * width))


def test_light_goes_a_cell_a_step() -> None:
    source = 128
    electric = mix(at_rest([int(cell == source) for cell in range(CELLS)]), 2).electric
    reached = [cell for cell, value in enumerate(electric) if value]
    assert min(reached) == source - STEPS
    assert max(reached) == source + STEPS


@pytest.mark.parametrize("region", [0, 3])
def test_a_changed_cell_does_not_come_back_to_the_start(region: int) -> None:
    start = at_rest(range(CELLS))
    mixed = mix(start, region)
    mixed.electric[100] ^= 1
    assert unmix(mixed, region) != start


@pytest.mark.parametrize(
    "short", [Field([0] * 255, [0] * 255), Field([0] * 256, [0] * 256), Field([0] * 257, [0] * 256)]
)
def test_fields_of_a_wrong_size_are_refused(short: Field) -> None:
    with pytest.raises(ValueError, match="zip"):
        mix(short, 0)


@pytest.mark.parametrize(
    ("region", "digest"),
    [
        (0, "fe41bbd7d2ae277b1caa99ebbffa2f88"),
        (1, "85aae8d2a88be428f0a63cf62412d490"),
        (2, "ed10e6f17912e36f2399ba2725dc55b8"),
        (3, "ffb156b5d846a3ac52bbe2718381771e"),
        (4, "73826af9d5ad101cdc2df8fd220facbe"),
        (5, "9f750335dae119b96654d91210632b26"),
    ],
)
def test_golden_fields(region: int, digest: str) -> None:
    """Every node must see these: a change here is another network."""
    start = at_rest([0, *(cell * 0x9E3779B97F4A7C15 & MASK for cell in range(1, CELLS - 1)), 0])
    mixed = mix(start, region)
    data = b"".join(word.to_bytes(8, "little") for part in mixed for word in part)
    assert sha256(data).hexdigest()[:32] == digest
