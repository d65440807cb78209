"""`nexus config`: read and change settings."""

from __future__ import annotations

from typing import Annotated

import typer

from nexus_tui.cli.output import table
from nexus_tui.cli.session import session_of


def get(
    context: typer.Context,
    name: Annotated[
        str | None, typer.Argument(metavar="[SECTION.KEY]", help="The setting; all of them without.")
    ] = None,
) -> None:
    """Show a setting, or all, and where each value comes from."""
    session = session_of(context)
    config = session.config
    if name is not None:
        config.known.find(name)
        value = config[name]
        session.done({"name": name, "value": value, "source": config.sources[name]}, _shown(value))
        return
    session.done(
        {"settings": {key: {"value": config[key], "source": config.sources[key]} for key in config.values}},
        table((key, _shown(config[key]), config.sources[key]) for key in config.values),
    )


def set_value(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="SECTION.KEY", help="The setting.")],
    value: Annotated[str, typer.Argument(metavar="VALUE", help="Its new value.")],
) -> None:
    """Change a setting in the file; comments and everything else there are kept."""
    from nexus_tui.settings import SECTIONS
    from node.profile.config import Known, change
    from node.profile.paths import config_file
    from node.profile.settings import MESH, NODE, TOP

    session = session_of(context)
    path = config_file()
    stored = change(path, Known((TOP, NODE, MESH, *SECTIONS)), name, value)
    session.done({"name": name, "value": stored, "path": str(path)}, f"{name} = {_shown(stored)}")


def path(context: typer.Context) -> None:
    """Show where the configuration file is; it is written there, with comments, if it was missing."""
    from node.profile.config import create
    from node.profile.paths import config_file

    session = session_of(context)
    place = config_file()
    create(place, session.config.known)
    session.done({"path": str(place)}, str(place))


def _shown(value: bool | int | str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
