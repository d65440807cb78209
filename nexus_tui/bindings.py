"""Bindings out of commands: Textual's side of the one source for key, palette, help and footer."""

from __future__ import annotations

from collections.abc import Mapping

from textual.binding import Binding, BindingType

from nexus_tui.commands import BY_ID, COMMANDS
from nexus_tui.commands.base import EVERYWHERE, Command

_SIGNS = {":": "colon", "?": "question_mark", "/": "slash", ",": "comma", ".": "full_stop", "-": "minus"}


def _keys(keys: str) -> str:
    return ",".join(_SIGNS.get(key.strip(), key.strip()) for key in keys.split(","))


def bindings_for(place: str) -> list[BindingType]:
    """Bindings of the commands that belong to one screen, or of those that work everywhere."""
    return [
        Binding(
            _keys(command.keys),
            f"app.command('{command.id}')",
            command.title,
            show=bool(command.label),
            tooltip=command.help(),
            id=command.id,
        )
        for command in COMMANDS
        if place in command.places
    ]


def keymap(rebound: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """The keymap for Textual out of `[keys]`, and a sentence for every clash.

    Two commands that share a place (or one of which works everywhere) cannot share a key: then the default stays.
    """
    taken: dict[tuple[str, str], type[Command]] = {}
    used: dict[str, str] = {}
    clashes: list[str] = []
    for command in sorted(COMMANDS, key=lambda command: command.id in rebound):
        keys = _keys(rebound.get(command.id, command.keys))
        other = _clash(taken, command, keys)
        if other is not None and command.id in rebound:
            clashes.append(f"{command.title}: the key {rebound[command.id]!r} belongs to {other.title}.")
            keys = _keys(command.keys)
        elif command.id in rebound:
            used[command.id] = keys
        for place in command.places:
            for key in keys.split(","):
                taken[place, key] = command
    return used, clashes


def _clash(taken: Mapping[tuple[str, str], type[Command]], command: type[Command], keys: str) -> type[Command] | None:
    for (place, key), other in taken.items():
        shares = place in command.places or EVERYWHERE in (place, *command.places)
        if shares and key in keys.split(","):
            return other
    return None


def key_of(command_id: str, rebound: Mapping[str, str]) -> str:
    """The first key of a command as it is shown to people."""
    keys = rebound.get(command_id) or BY_ID[command_id].keys
    return keys.split(",")[0].strip()


def all_keys(command: type[Command], rebound: Mapping[str, str]) -> str:
    """All keys of a command for the help."""
    return ", ".join(key.strip() for key in (rebound.get(command.id) or command.keys).split(","))
