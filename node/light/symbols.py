"""WNSP v2's alphabet of light: 64 symbols, and a spelling of any bytes with them (protocol section 9).

Symbol i shines at 380 + 6·i nm. The first 36 are A–Z and 0–9, then space and 27 signs; text written with these takes a
symbol a letter. All else is spelled with the escape sign `\\`: lower case (one letter, or locked until the next lock),
line ends and quotes, any single byte, and runs of plain bytes at four symbols for three. The reader takes every
spelling, the writer finds the shortest of whole text and one run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .,!?-_+=*/\\|@#$%&()[]{}<>:;"
FIRST_PM, STEP_PM = 380_000, 6_000
TOLERANCE_PM = 3_000
"""A measured wavelength is read as the nearest symbol's within this distance."""

_OF = {ord(sign): place for place, sign in enumerate(ALPHABET)}
_ESCAPE, _LOCK, _RUN = (_OF[ord(sign)] for sign in "\\;=")
_DIGITS = _OF[ord("0")]
_SHORT = {_OF[ord("/")]: 0x0A, _OF[ord("-")]: 0x27, _OF[ord("+")]: 0x22, _ESCAPE: 0x5C}  # after the escape
_SHORT_OF = {byte: sign for sign, byte in _SHORT.items()}
_MAX_RUN = (1 << 12) - 1
_PLAIN, _LOCKED = 0, 1  # with the lock, lower case needs no escape and capitals do


class LightError(ValueError):
    """Light that spells nothing; `code` names why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def wavelength_of(symbol: int) -> int:
    """Where a symbol shines, in pm."""
    return FIRST_PM + STEP_PM * symbol


def nearest(wavelength_pm: int) -> int | None:
    """The symbol of a measured wavelength; None where it is not nearer than 3 nm to any: an erasure, not a guess."""
    symbol = (wavelength_pm - FIRST_PM + TOLERANCE_PM) // STEP_PM
    if not 0 <= symbol < len(ALPHABET) or abs(wavelength_pm - wavelength_of(symbol)) >= TOLERANCE_PM:
        return None
    return symbol


def spell(data: bytes) -> bytes:
    """The symbols, a byte each, that spell some bytes."""
    text, run = _text(data), _runs(data)
    return text if len(text) <= len(run) else run


def read(symbols: Sequence[int]) -> bytes:
    """The bytes that symbols spell. Raises LightError (bad_spelling)."""
    found = bytearray()
    lock = False
    rest = iter(symbols)

    def take() -> int:
        symbol = next(rest, None)
        if symbol is None or not 0 <= symbol < len(ALPHABET):
            raise LightError("bad_spelling", "The light ends in the middle of a sign, or shows none.")
        return symbol

    for symbol in rest:
        if not 0 <= symbol < len(ALPHABET):
            raise LightError("bad_spelling", f"There is no symbol {symbol}.")
        if symbol != _ESCAPE:
            found.append(_letter(symbol, lock))
        elif (sign := take()) == _LOCK:
            lock = not lock
        elif sign == _RUN:
            found += _read_run(take)
        elif sign in _SHORT:
            found.append(_SHORT[sign])
        elif 0 <= sign - _DIGITS < 4:
            found.append(sign - _DIGITS << 6 | take())
        elif sign < _DIGITS:
            found.append(_letter(sign, not lock))
        else:
            raise LightError("bad_spelling", f"The sign \\{ALPHABET[sign]} spells nothing.")
    return bytes(found)


def _letter(symbol: int, lower: bool) -> int:
    code = ord(ALPHABET[symbol])
    return code + 32 if lower and symbol < _DIGITS else code


class _Step(NamedTuple):
    """The cheapest way to have spelled so much and to stand in one state of the lock."""

    cost: int
    signs: tuple[int, ...]
    before: _Step | None


def _text(data: bytes) -> bytes:
    """The shortest spelling without runs."""
    best = (_Step(0, (), None), _Step(2, (_ESCAPE, _LOCK), None))
    for byte in data:
        best = (_next(byte, _PLAIN, best), _next(byte, _LOCKED, best))
    step: _Step | None = best[_PLAIN] if best[_PLAIN].cost <= best[_LOCKED].cost else best[_LOCKED]
    parts = []
    while step is not None:
        parts.append(step.signs)
        step = step.before
    return bytes(sign for signs in reversed(parts) for sign in signs)


def _next(byte: int, state: int, best: tuple[_Step, _Step]) -> _Step:
    signs = _signs(byte, state)
    stay, turn = best[state], best[1 - state]
    if stay.cost <= turn.cost + 2:
        return _Step(stay.cost + len(signs), signs, stay)
    return _Step(turn.cost + 2 + len(signs), (_ESCAPE, _LOCK, *signs), turn)


def _signs(byte: int, state: int) -> tuple[int, ...]:
    if byte in _SHORT_OF:
        return (_ESCAPE, _SHORT_OF[byte])
    capital = byte - 32 if 0x61 <= byte <= 0x7A else byte
    place = _OF.get(capital)
    if place is None:
        return (_ESCAPE, _DIGITS + (byte >> 6), byte & 63)
    if place >= _DIGITS or (capital != byte) == bool(state):
        return (place,)
    return (_ESCAPE, place)


def _runs(data: bytes) -> bytes:
    found = bytearray()
    for start in range(0, len(data), _MAX_RUN):
        part = data[start : start + _MAX_RUN]
        found += bytes((_ESCAPE, _RUN, len(part) >> 6, len(part) & 63))
        bits = int.from_bytes(part) << (-8 * len(part) % 6)
        found += bytes(bits >> shift & 63 for shift in range(6 * (_symbols_of(len(part)) - 1), -1, -6))
    return bytes(found)


def _symbols_of(size: int) -> int:
    return -(-8 * size // 6)


def _read_run(take: Callable[[], int]) -> bytes:
    size = take() << 6
    size |= take()
    count = _symbols_of(size)
    bits = 0
    for _ in range(count):
        bits = bits << 6 | take()
    spare = 6 * count - 8 * size
    if bits & ((1 << spare) - 1):
        raise LightError("bad_spelling", "A run of bytes does not end as it must.")
    return (bits >> spare).to_bytes(size)
