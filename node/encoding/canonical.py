"""Canonical MessagePack: one value, one encoding (protocol section 2).

Values are None, bools, integers 0…2⁶⁴−1, bytes, text and arrays of values. Integers and lengths take their shortest
form; maps, floats, negative numbers and extension types do not exist. The decoder is our own because the common one
accepts all of those, and because it reserves the array size that a header *claims*: a few nested headers then cost
a thousand times their input. This one takes memory only for what is really there.

MessagePack format: https://github.com/msgpack/msgpack/blob/master/spec.md
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeAlias

import msgpack

Value: TypeAlias = "None | bool | int | bytes | str | tuple[Value, ...]"

MAX_DEPTH = 16
MAX_LENGTH = 1 << 20
_UINT64 = 1 << 64


class _Local(threading.local):
    """A packer for each thread: `node verify` recounts in one while blocks are made in another."""

    def __init__(self) -> None:
        self.pack = msgpack.Packer(use_bin_type=True, strict_types=False, autoreset=True).pack


_local = _Local()


class EncodingError(ValueError):
    """Bytes that are no canonical encoding, or a value that has none."""

    code = "bad_encoding"


def encode(value: Value) -> bytes:
    """The one encoding of `value`. Raises EncodingError for what has none (a float, a negative number …)."""
    _check(value, MAX_DEPTH)
    return pack(value)


def packer() -> Callable[[Value], bytes]:
    """This thread's `pack`, for a loop over many small values."""
    made: Callable[[Value], bytes] = _local.pack
    return made


def pack(value: Value) -> bytes:
    """`encode` without the check, for values that this program built from checked parts."""
    packed: bytes = _local.pack(value)
    return packed


def _check(value: object, depth: int) -> None:
    kind = type(value)
    if kind is tuple:
        if not depth:
            raise EncodingError(f"Nested deeper than {MAX_DEPTH} levels.")
        for item in value:  # type: ignore[attr-defined]
            _check(item, depth - 1)
    elif kind is int:
        if not 0 <= value < _UINT64:  # type: ignore[operator]
            raise EncodingError("An integer outside 0…2⁶⁴−1 has no plain encoding; see big_uint.")
    elif kind is str:
        try:
            value.encode()  # type: ignore[attr-defined]
        except UnicodeEncodeError:
            raise EncodingError("Text with a lone surrogate has no UTF-8 form.") from None
    elif kind is not bytes and kind is not bool and value is not None:
        raise EncodingError(f"A {kind.__name__} has no encoding.")


def decode(data: bytes, limit: int = MAX_LENGTH) -> Value:
    """The value of which `data` is the encoding; at most `limit` bytes are looked at.

    Raises EncodingError unless `encode` of the result is exactly `data`.
    """
    if len(data) > limit:
        raise EncodingError(f"{len(data)} bytes; at most {limit} are allowed here.")
    try:
        value, end = _read(data, 0, MAX_DEPTH)
    except IndexError:
        raise EncodingError("The encoding ends too early.") from None
    if end != len(data):
        raise EncodingError(f"{len(data) - end} bytes follow the end of the encoding.")
    return value


def _read(data: bytes, at: int, depth: int) -> tuple[Value, int]:
    """The value at position `at` and the position after it; IndexError where the input ends too early."""
    first = data[at]
    at += 1
    if first < 0x80:
        return first, at
    if 0xC4 <= first <= 0xC6:
        start, end = _span(data, at, 1 << (first - 0xC4), 0)
        return data[start:end], end
    if 0xA0 <= first <= 0xBF:
        end = at + (first & 0x1F)
        return _text(data, at, end), end
    if 0x90 <= first <= 0x9F:
        return _array(data, at, first & 0x0F, depth)
    if 0xCC <= first <= 0xCF:
        return _uint(data, at, 1 << (first - 0xCC))
    if 0xD9 <= first <= 0xDB:
        start, end = _span(data, at, 1 << (first - 0xD9), 32)
        return _text(data, start, end), end
    if first in (0xDC, 0xDD):
        width = 2 if first == 0xDC else 4
        count = int.from_bytes(data[at : at + width])
        if count < (16 if width == 2 else 1 << 16):
            raise EncodingError("An array's length is not in its shortest form.")
        return _array(data, at + width, count, depth)
    if first == 0xC0:
        return None, at
    if first == 0xC2:
        return False, at
    if first == 0xC3:
        return True, at
    raise EncodingError(f"Byte 0x{first:02x} begins nothing that Nexus encodes (maps, floats, negatives …).")


def _uint(data: bytes, at: int, width: int) -> tuple[int, int]:
    end = at + width
    if end > len(data):
        raise IndexError
    number = int.from_bytes(data[at:end])
    if number < (128 if width == 1 else 1 << (width * 4)):
        raise EncodingError("An integer is not in its shortest form.")
    return number, end


def _span(data: bytes, at: int, width: int, smallest: int) -> tuple[int, int]:
    """Start and end of a run whose length is written in `width` bytes."""
    start = at + width
    length = int.from_bytes(data[at:start])
    if length < (smallest if width == 1 else 1 << (width * 4)):
        raise EncodingError("A length is not in its shortest form.")
    if start + length > len(data):
        raise IndexError
    return start, start + length


def _text(data: bytes, start: int, end: int) -> str:
    if end > len(data):
        raise IndexError
    try:
        return data[start:end].decode()
    except UnicodeDecodeError:
        raise EncodingError("Text is not valid UTF-8.") from None


def _array(data: bytes, at: int, count: int, depth: int) -> tuple[tuple[Value, ...], int]:
    if not depth:
        raise EncodingError(f"Nested deeper than {MAX_DEPTH} levels.")
    if count > len(data) - at:  # every item takes a byte at least
        raise IndexError
    items: list[Any] = []
    append = items.append
    for _ in range(count):
        first = data[at]
        # The commonest items are read here: a further call each would double the time of a transaction.
        if first < 0x80:
            append(first)
            at += 1
        elif first == 0xC4:
            start = at + 2
            at = start + data[at + 1]
            append(data[start:at])
        elif 0xCC <= first <= 0xCF:
            number, at = _uint(data, at + 1, 1 << (first - 0xCC))
            append(number)
        elif 0x90 <= first <= 0x9F:
            nested, at = _array(data, at + 1, first & 0x0F, depth - 1)
            append(nested)
        else:
            item, at = _read(data, at, depth - 1)
            append(item)
    if at > len(data):
        raise IndexError
    return tuple(items), at


def big_uint(number: int) -> int | bytes:
    """`number` ≥ 0 as a value: itself below 2⁶⁴, else its shortest big-endian bytes."""
    if number < 0:
        raise EncodingError("A negative number has no encoding.")
    return number if number < _UINT64 else number.to_bytes((number.bit_length() + 7) // 8)


def read_big_uint(value: Value, bits: int = 256) -> int:
    """The number that `big_uint` turned into `value`, below 2^`bits`. Raises EncodingError for any other form."""
    if type(value) is int:
        return value
    if type(value) is bytes and len(value) > 8 and value[0] and len(value) * 8 <= bits:
        return int.from_bytes(value)
    raise EncodingError("Not the shortest form of a large integer.")
