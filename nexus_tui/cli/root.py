"""The command `nexus` itself: its own options, and the app when no command is named."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any

import typer

from nexus_tui.cli.frame import CONTEXT_SETTINGS, Group
from nexus_tui.cli.session import session_of


@cache
def command() -> Any:
    """The root of all commands."""
    app = typer.Typer(
        name="nexus",
        cls=Group,
        invoke_without_command=True,
        rich_markup_mode=None,
        context_settings=CONTEXT_SETTINGS,
        callback=nexus,
    )
    return typer.main.get_command(app)


def nexus(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    spec: Annotated[bool, typer.Option("--spec", help="Print every command, option and exit code as JSON.")] = False,
) -> None:
    """A wallet and a node in your terminal. Without a command, the app opens.

    Exit codes: 0 done, 1 refused, 2 usage or configuration, 3 no node, 4 timed out, 5 locked, 6 damaged data or
    disk full, 70 internal fault, 130 interrupted. With --json, stdout carries exactly one JSON document.
    """
    session = session_of(context)
    if version:
        from nexus_tui.cli.version import version as installed

        session.done({"version": installed()}, f"nexus {installed()}")
        raise typer.Exit(0)
    if spec:
        from nexus_tui.cli.output import write_json
        from nexus_tui.cli.spec import specification

        write_json(specification())
        raise typer.Exit(0)
    if context.invoked_subcommand is None:
        from nexus_tui.cli.launch import open_app

        open_app(session)
