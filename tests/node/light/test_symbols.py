"""The alphabet of light: every byte can be spelled, and a wavelength is read as the nearest symbol or not at all."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.light.symbols import (
    ALPHABET,
    TOLERANCE_PM,
    LightError,
    nearest,
    read,
    spell,
    wavelength_of,
)


def shown(data: bytes) -> str:
    return "".join(ALPHABET[symbol] for symbol in spell(data))


def test_the_table_is_the_protocols() -> None:
    assert len(set(ALPHABET)) == len(ALPHABET) == 64
    assert ALPHABET[:37] == "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 "
    assert (wavelength_of(0), wavelength_of(25), wavelength_of(35), wavelength_of(63)) == (
        380_000,
        530_000,
        590_000,
        758_000,
    )


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        (b"HELLO WORLD 42", "HELLO WORLD 42"),
        (b"hello", "\\;HELLO"),
        (b"Hi", "H\\I"),
        (b"it's", "\\;IT\\-S"),
        (b"one\ntwo\n", "\\;ONE\\/TWO\\/"),
        (b"C:\\X", "C:\\\\X"),
        (b"", ""),
    ],
)
def test_text_stays_readable(text: bytes, spelled: str) -> None:
    assert shown(text) == spelled


@given(st.binary(max_size=600) | st.text(max_size=200).map(str.encode))
def test_any_bytes_come_back(data: bytes) -> None:
    symbols = spell(data)
    assert read(symbols) == data
    assert all(symbol < 64 for symbol in symbols)


@given(st.binary(max_size=9_000))
def test_no_bytes_are_much_longer_in_light(data: bytes) -> None:
    assert len(spell(data)) <= -(-8 * len(data) // 6) + 4 * (1 + len(data) // 4_095)


@given(st.lists(st.integers(-1, 65), max_size=60))
def test_any_symbols_are_read_or_refused(symbols: list[int]) -> None:
    with suppress(LightError):
        data = read(symbols)
        assert read(spell(data)) == data


@given(st.integers(0, 63), st.integers(-TOLERANCE_PM + 1, TOLERANCE_PM - 1))
def test_a_wavelength_within_three_nanometres_is_the_symbols(symbol: int, error: int) -> None:
    assert nearest(wavelength_of(symbol) + error) == symbol


@pytest.mark.parametrize("wavelength", [0, 376_999, 377_000, 383_000, 389_000, 761_000, 761_001, 1_100_000])
def test_between_two_symbols_nothing_is_guessed(wavelength: int) -> None:
    assert nearest(wavelength) is None
