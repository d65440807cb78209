"""Commands and groups that follow the contract: global options anywhere, negative amounts, late loading.

`--json`, `--profile` and `--set` are options of every command and every group, so they are accepted before and after
each of them and still are parsed in their place (the memo "--json" of `--memo --json` stays a memo). A module with
commands is imported when one of them is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from nexus_tui.cli.session import session_of

CONTEXT_SETTINGS: dict[str, Any] = {"help_option_names": ["--help", "-h"]}
_NEGATIVE = re.compile(r"-[.,]?\d")
# No argument of a process can contain it, so it never meets one that a person wrote.
_MARK = "\0"
_PLACEHOLDERS = {"str": "TEXT", "path": "FILE", **dict.fromkeys(("int", "int range", "float", "float range"), "N")}
_KINDS = {"int": "whole number", "float": "number"}


def _take_json(context: Any, _option: Any, value: bool) -> None:
    if value:
        session_of(context).json = True


def _take_profile(context: Any, _option: Any, value: str | None) -> None:
    if value is not None:
        session_of(context).profile = value


def _take_sets(context: Any, _option: Any, value: tuple[str, ...] | None) -> None:
    session_of(context).sets.extend(value or ())


def _option(*names: str, **settings: Any) -> TyperOption:
    return TyperOption(param_decls=list(names), expose_value=False, **settings)


GLOBAL_OPTIONS = [
    _option("--json", is_flag=True, callback=_take_json, help="Print one JSON document."),
    _option("--profile", metavar="NAME", callback=_take_profile, help="Use this profile."),
    _option(
        "--set",
        metavar="SECTION.KEY=VALUE",
        multiple=True,
        callback=_take_sets,
        help="Change a setting for this run; may be repeated.",
    ),
]


class Command(TyperCommand):
    """A command that takes the global options and lets a negative number be an argument."""

    def get_params(self, ctx: Any) -> list[Any]:
        """The command's own parameters, then the global options."""
        return [*super().get_params(ctx), *GLOBAL_OPTIONS]

    def get_short_help_str(self, limit: int = 45) -> str:
        """The first sentence of the help, whole: lists of commands wrap it."""
        return _summary(self.help)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse with negative numbers marked, so that `-5` is no unknown option, and take the marks off again."""
        rest = super().parse_args(ctx, self._marked(ctx, args))
        for name, value in ctx.params.items():
            if isinstance(value, str):
                ctx.params[name] = unmarked(value)
            elif isinstance(value, (list, tuple)):
                ctx.params[name] = type(value)(unmarked(item) if isinstance(item, str) else item for item in value)
        return rest

    def _marked(self, ctx: Any, args: list[str]) -> list[str]:
        takes_value = {
            name
            for option in self.get_params(ctx)
            if isinstance(option, TyperOption) and not option.is_flag and not option.count
            for name in option.opts
        }
        marked: list[str] = []
        previous = ""
        for place, argument in enumerate(args):
            if argument == "--" and previous not in takes_value:
                return marked + args[place:]
            is_value = previous in takes_value
            if not is_value and _NEGATIVE.match(argument):
                argument = _MARK + argument
            marked.append(argument)
            previous = "" if is_value else argument
        return marked


def unmarked(text: str) -> str:
    """`text` without the mark of a negative number, as the parser's messages may show it."""
    return text.replace(_MARK, "").replace("\\x00", "")


def plain(message: str) -> str:
    """A message of the parser with a person's words for Python's types."""
    return re.sub(r"is not a valid (int|float)( range)?\b", lambda found: f"is no {_KINDS[found[1]]}", message)


class Group(TyperGroup):
    """A group whose commands are loaded when they are asked for; `path` is its place in the tree of commands."""

    def __init__(self, *, path: tuple[str, ...] = (), **attributes: Any) -> None:
        super().__init__(**attributes)
        self.path = path

    def get_params(self, ctx: Any) -> list[Any]:
        """The group's own parameters, then the global options."""
        return [*super().get_params(ctx), *GLOBAL_OPTIONS]

    def get_short_help_str(self, limit: int = 45) -> str:
        """The group's help, which is one sentence."""
        return _summary(self.help)

    def list_commands(self, _ctx: Any) -> list[str]:
        """Names of the commands, in the order of the table."""
        from nexus_tui.cli.tree import names

        return names(self.path)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command, loaded now; None if there is none of that name."""
        if cmd_name not in self.commands:
            if cmd_name not in self.list_commands(ctx):
                return None
            from nexus_tui.cli.tree import load

            self.commands[cmd_name] = load((*self.path, cmd_name))
        return self.commands[cmd_name]

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The named command; an unknown one is refused with the nearest."""
        name = args[0]
        present = self.list_commands(ctx)
        if name not in present and not name.startswith("-") and not ctx.resilient_parsing:
            import difflib

            near = difflib.get_close_matches(name, present, 2)
            suggestion = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
            ctx.fail(f"There is no command {name[:40]!r}.{suggestion}")
        return super().resolve_command(ctx, args)


def _summary(help_text: str | None) -> str:
    return " ".join((help_text or "").split("\n\n")[0].split()).partition(". ")[0].rstrip(".")


def leaf(name: str, function: Callable[..., None]) -> Any:
    """A command out of a function, whose docstring is its help."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None, context_settings=CONTEXT_SETTINGS)
    app.command(name, cls=Command, context_settings=CONTEXT_SETTINGS)(function)
    command = typer.main.get_command(app)
    command.name = name
    for parameter in command.params:
        if isinstance(parameter, TyperOption) and parameter.metavar is None and not parameter.is_flag:
            parameter.metavar = _PLACEHOLDERS.get(parameter.type.name)  # Typer's own are names of Python's types
    return command
