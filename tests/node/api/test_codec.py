"""Records survive the trip; values of a wrong type are refused by the name of their place."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.api import records
from node.api.codec import CodecError, from_value, reader, to_value
from node.encoding.canonical import decode, encode

RECORDS = [kind for kind in vars(records).values() if dataclasses.is_dataclass(kind) and isinstance(kind, type)]


def made_of(hint: Any) -> st.SearchStrategy[Any]:
    plain: dict[Any, st.SearchStrategy[Any]] = {
        int: st.integers(0, 2**64 - 1),
        bool: st.booleans(),
        bytes: st.binary(max_size=40),
        str: st.text(max_size=20),
        type(None): st.none(),
    }
    if hint in plain:
        return plain[hint]
    if get_origin(hint) is tuple:
        return st.lists(made_of(get_args(hint)[0]), max_size=3).map(tuple)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        hints = get_type_hints(hint)
        return st.builds(hint, **{field.name: made_of(hints[field.name]) for field in dataclasses.fields(hint)})
    return st.one_of(*(made_of(kind) for kind in get_args(hint)))


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_every_record_survives_the_trip(kind: type, data: st.DataObject) -> None:
    record = data.draw(made_of(kind))
    assert from_value(kind, decode(encode(to_value(record)))) == record


@dataclass(frozen=True, slots=True)
class Inner:
    flag: bool
    many: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Outer:
    name: str
    inner: Inner | None
    pair: tuple[int, bytes]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (("n", None), "3 fields"),
        (("n", None, (1, b""), 4), "3 fields"),
        ("n", "3 fields"),
        ((b"n", None, (1, b"")), "it.name must be text, not bytes"),
        ((1, None, (1, b"")), "it.name must be text, not a number"),
        (("n", (1, ()), (1, b"")), "it.inner.flag must be yes or no"),
        (("n", (True, (1, True)), (1, b"")), r"it.inner.many\[1\] must be a number, not yes or no"),
        (("n", (True, 5), (1, b"")), "it.inner.many must be a list"),
        (("n", 5, (1, b"")), "it.inner must be a Inner"),
        (("n", None, (1,)), "it.pair must be a list of 2"),
        (("n", None, (1, "")), r"it.pair\[1\] must be bytes"),
        (("n", None, None), "it.pair must be a list of 2"),
    ],
)
def test_wrong_types_are_named(value: Any, words: str) -> None:
    with pytest.raises(CodecError, match=words):
        from_value(Outer, value, "it")


def test_what_cannot_cross() -> None:
    for bad in (1.5, [1], {"a": 1}, object(), (1, 2.0)):
        with pytest.raises(TypeError):
            to_value(bad)
    for hint in (float, list[int], int | str, dict[str, int]):
        with pytest.raises(TypeError):
            reader(hint)
