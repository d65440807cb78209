"""`nexus --spec`: every command with its arguments, options and exit codes, for scripts and for other programs."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperOption

from nexus_tui.cli.frame import GLOBAL_OPTIONS
from nexus_tui.cli.root import command
from nexus_tui.cli.tree import COMMANDS, load
from nexus_tui.cli.version import version

EXIT_CODES = {
    "0": "done",
    "1": "refused: nothing changed",
    "2": "usage or configuration",
    "3": "no node or no connection",
    "4": "timed out; what was accepted is kept",
    "5": "the wallet is locked, or its passphrase is wrong or missing",
    "6": "damaged data or disk full",
    "70": "internal fault",
    "130": "interrupted",
}


def specification() -> dict[str, Any]:
    """The whole command line as one document."""
    root = command()
    context = typer.Context(root, info_name="nexus")
    return {
        "name": "nexus",
        "version": version(),
        "help": _text(root.help),
        "global_options": [_parameter(option) for option in GLOBAL_OPTIONS],
        "options": [_parameter(option) for option in root.params],
        "exit_codes": EXIT_CODES,
        "error": {"error": {"code": "stable_name", "message": "what happened", "hint": "what to do"}},
        "commands": [_command(path, context) for path in COMMANDS],
    }


def _command(path: tuple[str, ...], context: typer.Context) -> dict[str, Any]:
    found = load(path)
    options = [item for item in found.params if isinstance(item, TyperOption)]
    arguments = [item for item in found.params if not isinstance(item, TyperOption)]
    return {
        "command": " ".join(path),
        "help": _text(found.help),
        "arguments": [_parameter(item) for item in arguments],
        "options": [_parameter(item) for item in options],
    }


def _parameter(item: Any) -> dict[str, Any]:
    is_option = isinstance(item, TyperOption)
    return {
        "names": [*item.opts, *item.secondary_opts] if is_option else [item.name],
        "help": _text(item.help),
        "type": _type(item.type.name),
        "required": item.required,
        "repeatable": item.multiple if is_option else item.nargs == -1,
        "flag": bool(getattr(item, "is_flag", False)),
        "choices": list(getattr(item.type, "choices", ())),
    }


def _type(name: str) -> str:
    """One name a type, whatever this Typer's version calls it."""
    kinds = {
        "int": "integer",
        "float": "number",
        "seconds": "number",
        "bool": "boolean",
        "path": "path",
        "file": "path",
        "choice": "choice",
    }
    return next((kind for start, kind in kinds.items() if name.lower().startswith(start)), "text")


def _text(help_text: str | None) -> str:
    import inspect

    return " ".join(inspect.cleandoc(help_text or "").split())
