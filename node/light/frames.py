"""WNSP v2's frames: bytes as light that may be misread here and there (protocol section 9).

A frame is one word of a Reed–Solomon code over 64 symbols, 63 long: what it belongs to (24 bits of the whole payload's
hash), its number and how many there are, its length, its data, and a CRC-32 of all that; then 16 symbols of parity.
Sixteen symbols that are known to be lost, or eight that are wrong, are put right; what the code would put right to
something else, the CRC shows, and what is put together from right frames must have the hash that they name. So a
payload comes out as it went in, or not at all. A preamble tells where a frame begins in a stream of light.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

from node.light.symbols import LightError, read, spell

if TYPE_CHECKING:
    from reedsolo import RSCodec

PREAMBLE = (0, 63, 0, 63, 21, 42)
"""Both ends of the spectrum twice, then two thirds: a camera finds its scale by it."""
SIZE, PARITY = 63, 16
_MARK, _NUMBER, _CRC = 4, 2, 6  # symbols
_HEAD = _MARK + 2 * _NUMBER + 1
DATA = SIZE - PARITY - _HEAD - _CRC
"""Symbols of data in a frame."""
MAX_FRAMES = 1 << 6 * _NUMBER
_LENIENT = 1  # symbols of a preamble that may be misread


class Frame(NamedTuple):
    """A frame that was read right: number `number` of `of`."""

    mark: int
    number: int
    of: int
    data: bytes


def frames_of(payload: bytes) -> list[bytes]:
    """The frames of a payload, each 63 symbols. Raises LightError (too_long) beyond 4,096 of them."""
    symbols = spell(payload)
    count = max(1, -(-len(symbols) // DATA))
    if count >= MAX_FRAMES:
        raise LightError("too_long", f"{len(payload)} bytes are too long for light: they take {count} frames.")
    mark = _mark_of(payload)
    made = []
    for number in range(count):
        part = symbols[number * DATA : (number + 1) * DATA]
        head = b"".join((_digits(mark, _MARK), _digits(number, _NUMBER), _digits(count, _NUMBER), bytes((len(part),))))
        body = head + part.ljust(DATA, b"\0")
        made.append(bytes(_codec().encode(body + _digits(zlib.crc32(body), _CRC))))
    return made


def read_frame(symbols: Sequence[int | None]) -> Frame:
    """A frame from what was seen, None where a symbol could not be read. Raises LightError (damaged)."""
    from reedsolo import ReedSolomonError

    lost = [place for place, symbol in enumerate(symbols) if symbol is None or not 0 <= symbol < 64]
    if len(symbols) != SIZE or len(lost) > PARITY:
        raise LightError("damaged", "Too much of a frame cannot be read.")
    seen = bytes(0 if place in set(lost) else symbol or 0 for place, symbol in enumerate(symbols))
    try:
        body = bytes(_codec().decode(seen, erase_pos=lost)[0])
    except ReedSolomonError:
        raise LightError("damaged", "Too much of a frame is wrong.") from None
    if any(symbol > 63 for symbol in body) or body[-_CRC:] != _digits(zlib.crc32(body[:-_CRC]), _CRC):
        raise LightError("damaged", "A frame was read, but its checksum is another.")
    mark, number, count = _number(body[:4]), _number(body[4:6]), _number(body[6:8])
    length, data = body[8], body[_HEAD:-_CRC]
    if not number < count or length > DATA or any(data[length:]) or (length < DATA and number + 1 < count):
        raise LightError("damaged", "A frame is none: its number or its length cannot be.")
    return Frame(mark, number, count, data[:length])


def stream_of(payload: bytes) -> Iterator[int]:
    """All symbols in the order in which they shine: each frame after its preamble."""
    for frame in frames_of(payload):
        yield from PREAMBLE
        yield from frame


def find_frames(stream: Sequence[int | None]) -> Iterator[Frame]:
    """The frames in a stream of light that may begin and end anywhere; what cannot be read is left out."""
    place = 0
    while place + len(PREAMBLE) + SIZE <= len(stream):
        wrong = sum(one != other for one, other in zip(stream[place:], PREAMBLE, strict=False))
        start = place + len(PREAMBLE)
        place += 1
        if wrong <= _LENIENT:
            try:
                frame = read_frame(stream[start : start + SIZE])
            except LightError:
                continue
            place = start + SIZE
            yield frame


class Collector:
    """Frames of one payload, in any order and as often as they come."""

    def __init__(self) -> None:
        self._frames: dict[int, bytes] = {}
        self._of: tuple[int, int] | None = None  # mark and count

    @property
    def have(self) -> int:
        """Frames that are here."""
        return len(self._frames)

    @property
    def count(self) -> int | None:
        """Frames of the whole; None before the first came."""
        return None if self._of is None else self._of[1]

    def add(self, frames: Iterable[Frame]) -> None:
        """Take frames. Raises LightError (mixed) for one of another payload; it was not taken."""
        for frame in frames:
            if self._of is None:
                self._of = frame.mark, frame.of
            if (frame.mark, frame.of) != self._of or self._frames.get(frame.number, frame.data) != frame.data:
                raise LightError("mixed", "A frame belongs to something else.")
            self._frames[frame.number] = frame.data

    def payload(self) -> bytes | None:
        """The whole, once all frames are here. Raises LightError (bad_spelling, damaged)."""
        if self._of is None or len(self._frames) < self._of[1]:
            return None
        payload = read(b"".join(data for _, data in sorted(self._frames.items())))
        if _mark_of(payload) != self._of[0]:
            raise LightError("damaged", "The frames do not belong together.")
        return payload


@cache
def _codec() -> RSCodec:
    from reedsolo import RSCodec

    return RSCodec(PARITY, nsize=SIZE, c_exp=6, prim=0x43)  # x⁶ + x + 1


def _mark_of(payload: bytes) -> int:
    return int.from_bytes(blake2b(payload, digest_size=3, person=b"nexus/light").digest())


def _digits(number: int, size: int) -> bytes:
    return bytes(number >> 6 * place & 63 for place in range(size - 1, -1, -1))


def _number(digits: bytes) -> int:
    found = 0
    for digit in digits:
        found = found << 6 | digit
    return found
