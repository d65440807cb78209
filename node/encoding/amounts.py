"""Amounts of NXT: integers of units inside, decimal text outside, exact both ways (protocol section 1)."""

from __future__ import annotations

import re

UNITS_PER_NXT = 100_000_000
SUPPLY = 1_000_000 * UNITS_PER_NXT

_DECIMALS = 8
_NXT = re.compile(r"(\d+)(?:\.(\d+))?(?:\s*NXT)?", re.IGNORECASE | re.ASCII)
_UNITS = re.compile(r"(\d+)u", re.ASCII)
_MAX_TEXT = 64


class AmountError(ValueError):
    """Text that is no exact amount; the message says why and what a good one looks like."""

    code = "bad_amount"


def parse_amount(text: str) -> int:
    """Units in `1.5`, `1.5 NXT` or `150000000u`.

    Raises AmountError for anything that does not convert exactly: signs, exponents, more than eight decimals,
    thousands separators, more than the supply.
    """
    shown = text if len(text) <= _MAX_TEXT else text[:_MAX_TEXT] + "…"
    if len(text) > _MAX_TEXT:
        raise AmountError(f"The amount {shown!r} is too long.")
    text = text.strip()
    if text.startswith(("-", "−")):
        raise AmountError(f"The amount {shown!r} is negative; an amount is zero or more.")
    if match := _UNITS.fullmatch(text):
        units = int(match[1])
    elif match := _NXT.fullmatch(text):
        whole, fraction = match[1], match[2] or ""
        if len(fraction) > _DECIMALS:
            raise AmountError(
                f"The amount {shown!r} has {len(fraction)} decimals; NXT has eight (one unit is 0.00000001 NXT)."
            )
        units = int(whole) * UNITS_PER_NXT + int(fraction.ljust(_DECIMALS, "0"))
    else:
        raise AmountError(f"{shown!r} is not an amount. Write it like 1.5, 1.5 NXT or 150000000u (units).")
    if units > SUPPLY:
        raise AmountError(f"The amount {shown!r} is more than all NXT there is (1,000,000).")
    return units


def format_amount(units: int) -> str:
    """Decimal text without the currency: 8 decimals below 0.001 NXT, 6 below 1, 4 below 1,000, else 2.

    Digits beyond those shown are cut, never rounded up: a balance must not look larger than it is. Use `exact_amount`
    where every unit counts (confirmations, exports, JSON).
    """
    sign, units = ("-", -units) if units < 0 else ("", units)
    if units < UNITS_PER_NXT // 1000:
        decimals = 8
    elif units < UNITS_PER_NXT:
        decimals = 6
    elif units < 1000 * UNITS_PER_NXT:
        decimals = 4
    else:
        decimals = 2
    whole, fraction = divmod(units, UNITS_PER_NXT)
    return f"{sign}{whole:,}.{fraction:08d}"[: -(_DECIMALS - decimals) or None]


def exact_amount(units: int) -> str:
    """Decimal text with every unit, trailing zeros cut, no separators: what `parse_amount` reads back."""
    sign, units = ("-", -units) if units < 0 else ("", units)
    whole, fraction = divmod(units, UNITS_PER_NXT)
    return f"{sign}{whole}.{fraction:08d}".rstrip("0").rstrip(".")
