"""The methods of `NodeApi` as a table: what each takes and gives, read off the interface itself.

So a method added to the interface crosses the socket without a word here, and hostile arguments are refused by name
before any method sees them.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from functools import cache
from typing import Any, get_type_hints

from node.api.bounds import check_arguments
from node.api.codec import CodecError, Reader, reader
from node.api.errors import UsageError
from node.api.interface import NodeApi
from node.encoding.canonical import Value

_NOT_CALLS = ("subscribe",)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One argument of a method, by position."""

    name: str
    read: Reader
    required: bool


@dataclass(frozen=True, slots=True)
class Method:
    """One call of the interface."""

    name: str
    parameters: tuple[Parameter, ...]
    result: Any  # its type hint

    def arguments(self, params: Value) -> tuple[object, ...]:
        """Checked arguments for the method. Raises UsageError naming the argument that is wrong."""
        if type(params) is not tuple:
            raise UsageError("bad_request", f"The arguments of {self.name} must be a list.")
        required = sum(parameter.required for parameter in self.parameters)
        if not required <= len(params) <= len(self.parameters):
            raise UsageError(
                "bad_request",
                f"{self.name} takes {required} to {len(self.parameters)} arguments; {len(params)} were given.",
            )
        try:
            arguments = tuple(
                parameter.read(value, parameter.name) for parameter, value in zip(self.parameters, params, strict=False)
            )
        except CodecError as error:
            raise UsageError("bad_request", f"A wrong argument of {self.name}: {error}") from None
        named = dict(zip((parameter.name for parameter in self.parameters), arguments, strict=False))
        check_arguments(named)
        return arguments


@cache
def methods() -> dict[str, Method]:
    """All calls of the interface by name."""
    table: dict[str, Method] = {}
    for name, function in inspect.getmembers(NodeApi, inspect.isfunction):
        if name.startswith("_") or name in _NOT_CALLS:
            continue
        hints = get_type_hints(function)
        parameters = tuple(
            Parameter(parameter.name, reader(hints[parameter.name]), parameter.default is inspect.Parameter.empty)
            for parameter in inspect.signature(function).parameters.values()
            if parameter.name != "self"
        )
        table[name] = Method(name, parameters, hints["return"])
    return table


def find_method(name: Value) -> Method:
    """The method called `name`. Raises UsageError for any other value."""
    found = methods().get(name) if isinstance(name, str) else None
    if found is None:
        shown = name[:40] if isinstance(name, str) else "that"
        raise UsageError("unknown_method", f"This node has no method {shown!r}.", "Node and command differ in version?")
    return found
