"""Records of the interface as canonical values and back, by their type hints.

A dataclass travels as an array of its fields, so both sides must know the same record; the greeting of the connection
compares versions. Decoding is strict: every field has one exact type (a bool is no int), and an error names the
place. The hints in use: int, bool, bytes, str, None, `X | None`, `tuple[X, ...]`, `tuple[X, Y]`, records.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, Union, cast, get_args, get_origin, get_type_hints

from node.encoding.canonical import EncodingError, Value

_PLAIN: dict[Any, str] = {int: "a number", bool: "yes or no", bytes: "bytes", str: "text", type(None): "nothing"}

Reader = Callable[[Value, str], Any]


class CodecError(EncodingError):
    """A value that is not of the type its place wants."""

    code = "bad_type"


def to_value(record: object) -> Value:
    """The value of a record, or of a tuple or a plain value. TypeError for anything else: a fault of ours."""
    kind = type(record)
    if kind in _PLAIN:
        return cast(Value, record)
    if kind is tuple:
        return tuple(to_value(item) for item in cast("tuple[object, ...]", record))
    if is_dataclass(kind):
        return tuple(to_value(getattr(record, field.name)) for field in fields(kind))
    raise TypeError(f"{kind.__name__} cannot cross the node's interface")


def from_value(hint: Any, value: Value, place: str = "value") -> Any:
    """What `to_value` made a value of, given its type. Raises CodecError naming `place` and the field."""
    return reader(hint)(value, place)


@cache
def reader(hint: Any) -> Reader:
    """A function that turns a value and its place's name into an object of type `hint`."""
    if hint is None:
        hint = type(None)
    if hint in _PLAIN:
        return _plain_reader(hint)
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return _optional_reader(hint)
    if origin is tuple:
        return _tuple_reader(get_args(hint))
    if is_dataclass(hint):
        return _record_reader(cast(type, hint))
    raise TypeError(f"{hint!r} cannot cross the node's interface")


def _plain_reader(kind: type) -> Reader:
    wanted = _PLAIN[kind]

    def read(value: Value, place: str) -> Any:
        if type(value) is not kind:
            raise CodecError(f"{place} must be {wanted}, not {_PLAIN.get(type(value), 'a list')}.")
        return value

    return read


def _optional_reader(hint: Any) -> Reader:
    kinds = [kind for kind in get_args(hint) if kind is not type(None)]
    if len(kinds) != 1 or len(get_args(hint)) != 2:
        raise TypeError(f"{hint!r} cannot cross the node's interface")
    inner = reader(kinds[0])
    return lambda value, place: None if value is None else inner(value, place)


def _tuple_reader(kinds: tuple[Any, ...]) -> Reader:
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        inner = reader(kinds[0])

        def read_list(value: Value, place: str) -> Any:
            if type(value) is not tuple:
                raise CodecError(f"{place} must be a list, not {_PLAIN[type(value)]}.")
            return tuple([inner(item, f"{place}[{number}]") for number, item in enumerate(value)])

        return read_list
    inners = [reader(kind) for kind in kinds]

    def read_fixed(value: Value, place: str) -> Any:
        if type(value) is not tuple or len(value) != len(inners):
            raise CodecError(f"{place} must be a list of {len(inners)}.")
        pairs = zip(inners, value, strict=True)
        return tuple([inner(item, f"{place}[{number}]") for number, (inner, item) in enumerate(pairs)])

    return read_fixed


def _record_reader(kind: type) -> Reader:
    hints = get_type_hints(kind)
    names = [field.name for field in fields(kind)]
    inners = [reader(hints[name]) for name in names]

    def read(value: Value, place: str) -> Any:
        if type(value) is not tuple or len(value) != len(names):
            raise CodecError(f"{place} must be a {kind.__name__}: a list of {len(names)} fields.")
        triples = zip(names, inners, value, strict=True)
        return kind(*[inner(item, f"{place}.{name}") for name, inner, item in triples])

    return read
