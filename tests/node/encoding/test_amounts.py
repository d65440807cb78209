"""Amounts: exact both ways, or refused with a reason."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.encoding.amounts import SUPPLY, UNITS_PER_NXT, AmountError, exact_amount, format_amount, parse_amount

units_held = st.integers(0, SUPPLY)


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("0", 0),
        ("1", UNITS_PER_NXT),
        ("1.5", 150_000_000),
        ("1.50000000", 150_000_000),
        ("1.5 NXT", 150_000_000),
        ("1.5nxt", 150_000_000),
        ("  2 NXT ", 200_000_000),
        ("0.00000001", 1),
        ("007", 700_000_000),
        ("150000000u", 150_000_000),
        ("1000000", SUPPLY),
        (f"{SUPPLY}u", SUPPLY),
    ],
)
def test_good_amounts(text: str, units: int) -> None:
    assert parse_amount(text) == units


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("-1", "negative"),
        ("−1", "negative"),
        ("-0", "negative"),
        ("1.123456789", "9 decimals"),
        ("0.000000000", "9 decimals"),
        ("1000000.00000001", "more than all"),
        ("1000001", "more than all"),
        (f"{SUPPLY + 1}u", "more than all"),
        ("9" * 60, "more than all"),
        ("9" * 65, "too long"),
        ("1" + " " * 10_000, "too long"),
        ("", "not an amount"),
        ("1e3", "not an amount"),
        ("1E-3", "not an amount"),
        ("+1", "not an amount"),
        ("1,5", "not an amount"),
        ("1,000", "not an amount"),
        ("1_000", "not an amount"),
        (".5", "not an amount"),
        ("5.", "not an amount"),
        ("1.5u", "not an amount"),
        ("1 u", "not an amount"),
        ("1 BTC", "not an amount"),
        ("NaN", "not an amount"),
        ("inf", "not an amount"),
        ("0x10", "not an amount"),
        ("1 000", "not an amount"),
        ("１", "not an amount"),
        ("١٢", "not an amount"),
        ("²", "not an amount"),
        ("1.５", "not an amount"),
        ("1\u00a0NXT", "not an amount"),
    ],
)
def test_bad_amounts_say_why(text: str, why: str) -> None:
    with pytest.raises(AmountError, match=why) as caught:
        parse_amount(text)
    assert len(str(caught.value)) < 200


@given(st.text(max_size=70))
def test_any_text_is_an_amount_or_an_amount_error(text: str) -> None:
    with suppress(AmountError):
        assert 0 <= parse_amount(text) <= SUPPLY


@given(units_held)
def test_exact_text_is_read_back_to_the_unit(units: int) -> None:
    text = exact_amount(units)
    assert parse_amount(text) == units
    assert parse_amount(f"{text} NXT") == units
    assert parse_amount(f"{units}u") == units
    assert "." not in text or not text.endswith("0")


@pytest.mark.parametrize(
    ("units", "text"),
    [
        (0, "0.00000000"),
        (1, "0.00000001"),
        (99_999, "0.00099999"),
        (100_000, "0.001000"),
        (99_999_999, "0.999999"),
        (100_000_000, "1.0000"),
        (99_999_999_999, "999.9999"),
        (100_000_000_000, "1,000.00"),
        (123_456_789_012_345, "1,234,567.89"),
        (SUPPLY, "1,000,000.00"),
        (-150_000_000, "-1.5000"),
    ],
)
def test_display(units: int, text: str) -> None:
    assert format_amount(units) == text


@given(units_held)
def test_a_displayed_balance_is_never_larger_than_it_is(units: int) -> None:
    text = format_amount(units)
    shown = parse_amount(text.replace(",", ""))
    decimals = len(text.partition(".")[2])
    assert 0 <= units - shown < 10 ** (8 - decimals)
    assert decimals == (8 if units < 10**5 else 6 if units < 10**8 else 4 if units < 10**11 else 2)
