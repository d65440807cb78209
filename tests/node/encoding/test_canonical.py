"""Canonical MessagePack: one value, one encoding, and a decoder that nothing can deceive or bloat."""

from __future__ import annotations

import threading
import tracemalloc
from typing import Any, cast

import msgpack.fallback
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.encoding import canonical
from node.encoding.canonical import (
    MAX_LENGTH,
    EncodingError,
    Value,
    big_uint,
    decode,
    encode,
    pack,
    read_big_uint,
)

UINT64 = (1 << 64) - 1
BOUNDARIES = [0, 1, 127, 128, 255, 256, 65_535, 65_536, (1 << 32) - 1, 1 << 32, (1 << 63) - 1, 1 << 63, UINT64]

leaves = (
    st.none()
    | st.booleans()
    | st.integers(0, UINT64)
    | st.sampled_from(BOUNDARIES)
    | st.binary(max_size=300)
    | st.text(max_size=80)
)
values = st.recursive(leaves, lambda inner: st.lists(inner, max_size=20).map(tuple), max_leaves=12)


def nested(levels: int) -> Value:
    """`levels` arrays, one in another."""
    value: Value = ()
    for _ in range(levels - 1):
        value = (value,)
    return value


def same(one: Value, other: Value) -> bool:
    """Equality that tells True from 1: the text of a value shows its types."""
    return repr(one) == repr(other)


@given(values)
def test_decoding_gives_back_what_was_encoded(value: Value) -> None:
    assert same(decode(encode(value)), value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "c0"),
        (False, "c2"),
        (True, "c3"),
        (0, "00"),
        (127, "7f"),
        (128, "cc80"),
        (255, "ccff"),
        (256, "cd0100"),
        (65_536, "ce00010000"),
        (1 << 32, "cf0000000100000000"),
        (UINT64, "cfffffffffffffffff"),
        (b"", "c400"),
        (b"\x01\x02", "c4020102"),
        ("", "a0"),
        ("ħ", "a2c4a7"),
        ("x" * 32, "d920" + "78" * 32),
        ((), "90"),
        ((1, (b"\x00", "a"), None), "930192c40100a161c0"),
        (tuple(range(16)), "dc0010" + bytes(range(16)).hex()),
    ],
)
def test_published_form(value: Value, expected: str) -> None:
    assert encode(value).hex() == expected
    assert same(decode(bytes.fromhex(expected)), value)


@pytest.mark.parametrize("size", [0, 15, 16, 31, 32, 255, 256, 65_535, 65_536])
def test_every_length_class_survives(size: int) -> None:
    for value in (bytes(size), "a" * size, (0,) * size):
        assert decode(encode(value)) == value


@pytest.mark.parametrize("number", BOUNDARIES)
def test_every_integer_class_survives(number: int) -> None:
    assert decode(encode(number)) == number


@given(values, st.data())
def test_a_changed_encoding_is_refused_or_is_another_value(value: Value, data: st.DataObject) -> None:
    good = encode(value)
    at = data.draw(st.integers(0, len(good) - 1))
    match data.draw(st.sampled_from(["flip", "insert", "delete", "truncate", "append"])):
        case "flip":
            changed = good[:at] + bytes([good[at] ^ data.draw(st.integers(1, 255))]) + good[at + 1 :]
        case "insert":
            changed = good[:at] + data.draw(st.binary(min_size=1, max_size=3)) + good[at:]
        case "delete":
            changed = good[:at] + good[at + 1 :]
        case "truncate":
            changed = good[:at]
        case _:
            changed = good + data.draw(st.binary(min_size=1, max_size=3))
    if changed == good:
        return
    try:
        found = decode(changed)
    except EncodingError:
        return
    assert encode(found) == changed
    assert not same(found, value)


@given(st.binary(max_size=60))
def test_any_bytes_are_refused_or_re_encode_to_themselves(data: bytes) -> None:
    try:
        found = decode(data)
    except EncodingError:
        return
    assert encode(found) == data


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ("", "too early"),
        ("cc7f", "shortest"),
        ("cd00ff", "shortest"),
        ("ce0000ffff", "shortest"),
        ("cf00000000ffffffff", "shortest"),
        ("cc", "too early"),
        ("cf01020304050607", "too early"),
        ("d91f" + "61" * 31, "shortest"),
        ("da00ff" + "61" * 255, "shortest"),
        ("db0000ffff" + "61" * 65_535, "shortest"),
        ("c500ff" + "00" * 255, "shortest"),
        ("c60000ffff" + "00" * 65_535, "shortest"),
        ("dc000f" + "00" * 15, "shortest"),
        ("dd0000ffff" + "00" * 65_535, "shortest"),
        ("c402ff", "too early"),
        ("91c402ff", "too early"),
        ("92c400", "too early"),
        ("a261", "too early"),
        ("0000", "follow"),
        ("9000", "follow"),
        ("80", "begins nothing"),
        ("8100c0", "begins nothing"),
        ("de0000", "begins nothing"),
        ("df00000000", "begins nothing"),
        ("ca3f800000", "begins nothing"),
        ("cb3ff0000000000000", "begins nothing"),
        ("ff", "begins nothing"),
        ("d0ff", "begins nothing"),
        ("d1ffff", "begins nothing"),
        ("d2ffffffff", "begins nothing"),
        ("d3ffffffffffffffff", "begins nothing"),
        ("d40000", "begins nothing"),
        ("c70000", "begins nothing"),
        ("d6ff00000000", "begins nothing"),
        ("c1", "begins nothing"),
        ("a1ff", "UTF-8"),
        ("a2c080", "UTF-8"),
        ("a3eda080", "UTF-8"),
        ("a4f4908080", "UTF-8"),
    ],
)
def test_what_is_not_canonical_is_refused_by_name(data: str, why: str) -> None:
    with pytest.raises(EncodingError, match=why):
        decode(bytes.fromhex(data))


@pytest.mark.parametrize("value", [1.0, -1, 1 << 64, {}, [], {1}, bytearray(b"x"), "\ud800", (1, (2, -3)), object])
def test_what_has_no_encoding_is_refused(value: object) -> None:
    with pytest.raises(EncodingError):
        encode(cast(Value, value))


def test_sixteen_levels_are_the_limit_both_ways() -> None:
    assert decode(encode(nested(16))) == nested(16)
    with pytest.raises(EncodingError, match="16 levels"):
        encode(nested(17))
    with pytest.raises(EncodingError, match="16 levels"):
        decode(b"\x91" * 16 + b"\x90")
    with pytest.raises(EncodingError, match="16 levels"):
        decode(b"\x91" * 100_000)


def test_no_more_than_the_limit_is_looked_at() -> None:
    assert decode(bytes([0xC4, 8]) + bytes(8), 10) == bytes(8)
    with pytest.raises(EncodingError, match="at most 9"):
        decode(bytes([0xC4, 8]) + bytes(8), 9)
    with pytest.raises(EncodingError, match="at most"):
        decode(bytes(MAX_LENGTH + 1))


FILLER = 1 << 16
HOSTILE = {
    "nested claims of 2³² items": b"\x91" * 15 + b"\xdd\xff\xff\xff\xff" + bytes(FILLER),
    "every level claims all that is left": (b"\xdd" + FILLER.to_bytes(4)) * 15 + bytes(FILLER),
    "a byte string of 4 GiB": b"\xc6\xff\xff\xff\xff" + bytes(FILLER),
    "a text of 4 GiB": b"\xdb\xff\xff\xff\xff" + bytes(FILLER),
    "many small items": b"\xdd" + FILLER.to_bytes(4) + bytes(FILLER),
    "towers of arrays": b"\xdc" + (4_096).to_bytes(2) + (b"\x91" * 14 + b"\x90") * 4_096,
    "many fresh integers": b"\xdc" + (16_384).to_bytes(2) + b"\xcd\x01\x01" * 16_384,
    "wide text": b"\xda\xff\xff" + "😀".encode() + bytes(65_531),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_decoding_takes_a_small_multiple_of_its_input(data: bytes) -> None:
    """The dearest is an array of one: 48 bytes (3.14: 56) for a byte of input. A claim alone costs nothing."""
    tracemalloc.start()
    try:
        decode(data)
    except EncodingError:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak <= 60 * len(data)


@given(st.integers(0, (1 << 256) - 1) | st.sampled_from([UINT64, UINT64 + 1, (1 << 256) - 1]))
def test_large_integers_have_one_form(number: int) -> None:
    value = big_uint(number)
    assert (type(value) is int) == (number <= UINT64)
    assert read_big_uint(decode(encode(value))) == number


@pytest.mark.parametrize(
    "value", [b"", b"\x01", bytes(9), b"\x00" + b"\xff" * 8, b"\xff" * 8, b"\x01" * 33, True, None, "1", (1,)]
)
def test_another_form_of_a_large_integer_is_refused(value: Value) -> None:
    with pytest.raises(EncodingError):
        read_big_uint(value)


def test_a_negative_number_is_no_large_integer() -> None:
    with pytest.raises(EncodingError):
        big_uint(-1)


def test_two_threads_encode_beside_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the pure-Python msgpack one shared packer would mix what two threads pack."""
    monkeypatch.setattr(msgpack, "Packer", msgpack.fallback.Packer)
    monkeypatch.setattr(canonical, "_local", canonical._Local())
    inside, go_on = threading.Event(), threading.Event()

    class Halting(tuple[Value, ...]):
        """A tuple that stops its thread in the middle of being packed."""

        def __getitem__(self, place: Any) -> Any:
            if place == 1:
                inside.set()
                assert go_on.wait(10)
            return super().__getitem__(place)

    results: list[bytes] = []
    thread = threading.Thread(target=lambda: results.append(pack((Halting((1, 2)), 3))))
    thread.start()
    assert inside.wait(10)
    assert pack((b"other", 7)) == bytes.fromhex("92c4056f7468657207")
    go_on.set()
    thread.join(10)
    assert results == [bytes.fromhex("92920102") + b"\x03"]
