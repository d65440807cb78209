"""The command palette: every command that is possible now, by any part of its name."""

from __future__ import annotations

from textual.command import CommandInput, CommandPalette, DiscoveryHit, Hit, Hits, Provider
from textual.widgets import LoadingIndicator

from nexus_tui.app import NexusApp
from nexus_tui.bindings import key_of
from nexus_tui.commands import COMMANDS
from nexus_tui.commands.base import Command


class CommandProvider(Provider):
    """Offers the app's commands; there is no other source."""

    @property
    def _nexus(self) -> NexusApp:
        app = self.app
        assert isinstance(app, NexusApp)
        return app

    def _entries(self) -> list[tuple[type[Command], str]]:
        return [
            (command, f"{command.title}  ({key_of(command.id, self._nexus.rebound)})")
            for command in COMMANDS
            if command.id != "app.palette" and command.available(self._nexus)
        ]

    def _call(self, command: type[Command]) -> object:
        async def run() -> None:
            await self._nexus.action_command(command.id)

        return run

    async def discover(self) -> Hits:
        """All commands, before anything is typed."""
        for command, title in self._entries():
            yield DiscoveryHit(title, self._call(command), text=title, help=command.help())  # type: ignore[arg-type]

    async def search(self, query: str) -> Hits:
        """Commands whose title, help or id match."""
        matcher = self.matcher(query)
        for command, title in self._entries():
            score = max(matcher.match(title), matcher.match(command.id))
            if query.casefold() in command.help().casefold():  # letters here and there would be in every sentence
                score = max(score, 0.6 * matcher.match(command.help()))
            if score > 0:
                yield Hit(score, matcher.highlight(title), self._call(command), text=title, help=command.help())  # type: ignore[arg-type]


class Palette(CommandPalette):
    """Textual's palette without an emoji and without a blinking cursor."""

    def on_mount(self) -> None:
        """An idle palette sends nothing."""
        field = self.query_one(CommandInput)
        field.cursor_blink = False
        field.placeholder = "type a part of a command"
        self.query_one(LoadingIndicator).auto_refresh = None
