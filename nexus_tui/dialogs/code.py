"""A QR code and the words beside it, below it on a phone: what receiving and inviting share."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.strip import Strip
from textual.widget import Widget

from nexus_tui.dialogs.base import Dialog
from nexus_tui.widgets.line import Line

# A scanner wants dark on light whatever the theme; these two colours are the code's, not the app's.
_INK = Style(color="#000000", bgcolor="#ffffff")
_SWAP = str.maketrans("█▀▄ ", " ▄▀█")


class QrCode(Widget):
    """Draws a QR code of half blocks. Without colour the light modules are drawn, as the ground is dark then."""

    ALLOW_SELECT = False
    DEFAULT_CSS = "QrCode { width: auto; height: auto; }"

    def __init__(self, lines: tuple[str, ...], *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.lines = lines

    def show(self, lines: tuple[str, ...]) -> None:
        """Draw another code."""
        if lines != self.lines:
            self.lines = lines
            self.refresh(layout=True)

    def get_content_width(self, container: object, viewport: object) -> int:
        """Cells a line takes."""
        return len(self.lines[0]) if self.lines else 0

    def get_content_height(self, container: object, viewport: object, width: int) -> int:
        """Rows the code takes."""
        return len(self.lines)

    def render_line(self, y: int) -> Strip:
        """See `Widget.render_line`."""
        if y >= len(self.lines):
            return Strip.blank(self.size.width)
        line = self.lines[y]
        if self.app.no_color or self.app.native_ansi_color:
            theme_dark = self.app.current_theme.dark
            return Strip([Segment(line.translate(_SWAP) if theme_dark else line)], len(line))
        return Strip([Segment(line, _INK)], len(line))


class CodeDialog(Dialog[None]):
    """Closes without a result. `edge`: columns and rows that a code needs beside its own; else it is left out, since
    half a code is none, and the dialog says so."""

    AUTO_FOCUS = "#cancel"
    edge: ClassVar[tuple[int, int]]

    def body(self) -> ComposeResult:
        """See `Dialog.body`."""
        with Container(id="card"):
            with Container(id="code"):
                yield QrCode((), id="qr")
            with Vertical(id="words"):
                yield from self.words()
                yield Line("", id="no-code", classes="muted hidden")

    def words(self) -> ComposeResult:
        """What stands beside the code."""
        yield from ()

    def on_mount(self) -> None:
        """Draw the code."""
        self.draw()

    def on_resize(self) -> None:
        """Draw it for the room there is now."""
        self.draw()
        super().on_resize()

    def draw(self) -> None:
        """Make the code and hand it to `show_code`."""
        raise NotImplementedError

    def show_code(self, code: tuple[str, ...]) -> bool:
        """Show a code where it fits; whether it does."""
        wide, high = len(code[0]) + self.edge[0], len(code) + self.edge[1]
        fits = wide <= self.size.width and high <= self.size.height
        self.query_one("#qr", QrCode).show(code if fits else ())
        reason = self.query_one("#no-code", Line)
        reason.show(f"A QR code needs {wide} × {high} cells; this screen is smaller.")
        reason.set_class(fits, "hidden")
        return fits
