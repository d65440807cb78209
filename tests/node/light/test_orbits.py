"""Orbits: ratios and prices as the protocol's table has them, and hydrogen's lines as measured."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.light.orbits import (
    IMAGE,
    LINK,
    MESSAGES,
    ORBITS,
    REFERENCE_PM,
    SETTLEMENT,
    STAKING,
    TEXT,
    TRADE,
    VIDEO,
    VOTE,
    Orbit,
    air_line,
    energy,
    message_price,
    orbit_price,
    vacuum_line,
)

wavelengths = st.integers(100_000, 1_099_999)
quanta = st.integers(1, 40) | st.integers(1, 1 << 24)


@pytest.mark.parametrize(
    ("orbit", "jump", "ratio", "price"),
    [
        (TEXT, (3, 2), Fraction(1), 5_700),
        (LINK, (4, 2), Fraction(27, 20), 7_695),
        (IMAGE, (5, 3), Fraction(64, 125), 2_919),
        (VIDEO, (5, 2), Fraction(189, 125), 8_619),
        (SETTLEMENT, (6, 3), Fraction(3, 5), 3_420),
        (TRADE, (6, 4), Fraction(1, 4), 1_425),
        (STAKING, (7, 4), Fraction(297, 980), 1_728),
        (VOTE, (4, 3), Fraction(7, 20), 1_995),
    ],
    ids=lambda value: value.event if isinstance(value, Orbit) else None,
)
def test_the_table_of_the_protocol(orbit: Orbit, jump: tuple[int, int], ratio: Fraction, price: int) -> None:
    assert (orbit.upper, orbit.lower) == jump
    assert orbit.ratio == ratio
    assert orbit_price(orbit) == price


def test_every_event_stands_once() -> None:
    assert len(ORBITS) == len({orbit.event for orbit in ORBITS}) == len({orbit[1:] for orbit in ORBITS}) == 8
    assert ORBITS[:4] == MESSAGES


@given(st.sampled_from(MESSAGES), wavelengths, quanta)
def test_a_message_costs_what_the_formula_says(orbit: Orbit, wavelength: int, count: int) -> None:
    exact = 5_700 * orbit.ratio * count * REFERENCE_PM / wavelength
    least = Fraction(5_700 * min(count, 16) * REFERENCE_PM, wavelength)
    assert message_price(orbit, wavelength, count) == max(ceil(exact), ceil(least)) > 0


@given(st.sampled_from(MESSAGES), wavelengths, quanta)
def test_shorter_light_and_more_of_it_never_cost_less(orbit: Orbit, wavelength: int, count: int) -> None:
    price = message_price(orbit, wavelength, count)
    assert message_price(orbit, wavelength, count + 1) >= price
    if wavelength > 100_000:
        assert message_price(orbit, wavelength - 1, count) >= price


def test_prices_of_messages() -> None:
    """Golden: every node must charge these."""
    assert message_price(TEXT, REFERENCE_PM, 1) == orbit_price(TEXT) == 5_700
    assert message_price(LINK, REFERENCE_PM, 1) == orbit_price(LINK)
    assert message_price(VIDEO, REFERENCE_PM, 3) == 25_856  # rounded up once, not thrice
    assert message_price(TEXT, 100_000, 1) == 37_408
    assert message_price(TEXT, 1_099_999, 1) == 3_401
    assert message_price(TEXT, 550_000, 2, text_price=1) == 3


def test_images_cost_less_from_4_kib_on() -> None:
    assert [message_price(IMAGE, REFERENCE_PM, count) for count in (1, 16, 31)] == [5_700, 91_200, 91_200]
    assert message_price(IMAGE, REFERENCE_PM, 32) == 93_389 < message_price(TEXT, REFERENCE_PM, 32)


@pytest.mark.parametrize("wavelength", [99_999, 1_100_000, 0, -1])
def test_no_message_outside_the_spectrum(wavelength: int) -> None:
    with pytest.raises(ValueError, match="outside the spectrum"):
        message_price(TEXT, wavelength, 1)


@pytest.mark.parametrize("count", [0, -1])
def test_no_message_without_a_quantum(count: int) -> None:
    with pytest.raises(ValueError, match="at least one quantum"):
        message_price(TEXT, REFERENCE_PM, count)


@pytest.mark.parametrize("orbit", ORBITS[4:], ids=lambda orbit: orbit.event)
def test_other_events_are_no_messages(orbit: Orbit) -> None:
    with pytest.raises(ValueError, match="no class of messages"):
        message_price(orbit, REFERENCE_PM, 1)


@pytest.mark.parametrize(("upper", "lower"), [(2, 2), (2, 3), (1, 0), (3, -1)])
def test_no_light_without_a_fall(upper: int, lower: int) -> None:
    with pytest.raises(ValueError, match="No light"):
        energy(upper, lower)


# Balmer lines as measured, in air, pm (NIST Atomic Spectra Database, means of the fine structure).
NIST = {3: 656_279, 4: 486_135, 5: 434_047, 6: 410_173, 7: 397_007, 8: 388_906}


@pytest.mark.parametrize("upper", NIST)
def test_balmer_lines_are_those_measured_to_a_hundredth_of_a_nanometre(upper: int) -> None:
    """What is left, about 1e-5 of the wavelength, is fine structure, which Bohr's orbits do not know."""
    gap = air_line(upper, 2) - NIST[upper]
    assert 0 < gap < 10
    assert abs(gap) < Fraction(2, 10**5) * NIST[upper]


def test_lines_in_vacuum() -> None:
    """R_H = 10,967,758.34 /m; Lyman-α is 121.567 nm and the Balmer series ends at 364.6 nm."""
    assert round(1 / vacuum_line(2, 1) * 10**12 / energy(2, 1) * 100) == 1_096_775_834
    assert round(vacuum_line(2, 1)) == 121_568
    assert round(vacuum_line(3, 2)) == 656_470
    series = [vacuum_line(upper, 2) for upper in range(3, 60)]
    assert all(one > other for one, other in pairwise(series))
    assert 364_500 < series[-1] < 365_200


def test_air_slows_light_by_some_three_parts_in_ten_thousand() -> None:
    """Edlén 1966 gives n = 1.000 277 at 633 nm and more for shorter light."""
    index = {upper: vacuum_line(upper, 2) / air_line(upper, 2) for upper in NIST}
    assert all(Fraction(27, 10**5) < n - 1 < Fraction(29, 10**5) for n in index.values())
    assert all(index[one] < index[other] for one, other in pairwise(index))
