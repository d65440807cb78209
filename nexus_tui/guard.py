"""What guards every screen: foreign control characters, faults with secrets in them, a terminal that vanishes.

Kept apart from the app's own business; experience.md, "What a wallet in a terminal must not get wrong", says why.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.segment import Segments
from rich.text import Text
from textual.app import App
from textual.filter import LineFilter, Monochrome, NoColor

from nexus_tui import crash
from nexus_tui.sanitize import Scrub
from nexus_tui.widgets.line import Waiting

if TYPE_CHECKING:
    from textual.driver import Driver
    from textual.widget import Widget


class GuardedApp(App[None]):
    """`fault_log` gets the frames of a fault, mode 0600."""

    def __init__(self, fault_log: Path) -> None:
        self.fault_log = fault_log
        self._scrub = Scrub()
        super().__init__()

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Textual's filters and the backstop against foreign control characters."""
        # Textual chose the filter for NO_COLOR before it knew the theme: without colour here means no colour codes.
        filters = [each for each in super().get_line_filters() if not isinstance(each, Monochrome)]
        return [*filters, *([NoColor()] if self.no_color else []), self._scrub]

    def get_driver_class(self) -> type[Driver]:
        """A driver that survives the loss of the terminal, unless TEXTUAL_DRIVER asks for another."""
        if os.environ.get("TEXTUAL_DRIVER") or os.name != "posix":
            return super().get_driver_class()
        from nexus_tui.driver import NexusDriver

        return NexusDriver

    def get_loading_widget(self) -> Widget:
        """Textual's own repaints sixteen times a second."""
        return Waiting()

    def _fatal_error(self) -> None:
        """A fault of the program: log its frames, tell the person, exit with 70. Never show a local variable."""
        error = self._exception or RuntimeError()
        self._return_code = crash.INTERNAL_FAULT
        logged = crash.write_log(self.fault_log, error)
        farewell = Text(crash.farewell(error, self.fault_log, logged))
        self._exit_renderables[:] = [Segments(self.console.render(farewell))]
        self._close_messages_no_wait()

    def panic(self, *renderables: Any) -> None:
        """Whatever Textual wants to print in distress may hold values: the same three lines instead."""
        if self._exception is None:
            self._exception = RuntimeError("panic")
        self._fatal_error()
