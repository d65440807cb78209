"""The top of every screen: name, screens, state of the node in words, and the spectral line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Static

from nexus_tui.sanitize import sanitize
from nexus_tui.widgets.line import Line
from nexus_tui.widgets.rows import NavBar
from nexus_tui.widgets.spectrum import SpectralLine

if TYPE_CHECKING:
    from nexus_tui.glyphs import Glyphs
    from nexus_tui.live import View


def health(view: View) -> tuple[str, str]:
    """The node's state in a word, and the theme variable for it."""
    if view.fault is not None:
        return "no node", "error"
    if view.status is None:
        return "starting", "muted"
    levels = {alert.level for alert in view.status.alerts}
    if "error" in levels:
        return "trouble", "error"
    if "warning" in levels:
        return "attention", "warning"
    return "healthy", "success"


class Masthead(Vertical):
    """Shows itself on screens of 22 rows and more."""

    def __init__(self, glyphs: Glyphs) -> None:
        super().__init__(id="masthead")
        self._glyphs = glyphs

    def compose(self) -> ComposeResult:
        """See `Widget.compose`."""
        with Horizontal():
            yield Static("N E X U S", id="brand", markup=False)
            yield NavBar(classes="top")
            yield Static("", id="room")
            yield Line("", id="state")
        yield SpectralLine(self._glyphs)

    def show(self, view: View) -> None:
        """Draw what changed."""
        word, colour = health(view)
        mark = {"success": self._glyphs.dot, "muted": self._glyphs.ring}.get(colour, self._glyphs.warning)
        name = sanitize(view.network.name, 24) if view.network is not None else ""
        height = f" {view.status.height:,}" if view.status is not None else ""
        about = f"{name}{height}  " if name else ""
        if 60 <= self.app.size.width < 100:
            # the screens go first: what does not fit beside them is on Home
            room = self.app.size.width - 4 - cell_len(f"N E X U S  {mark} {word}") - self.query_one(NavBar).needed
            about = next((part for part in (about, f"{height.strip()}  ") if cell_len(part) <= room), "")
        state = Content.assemble(about, (f"{mark} {word}", f"${colour}"))
        self.query_one("#state", Line).show(state)
        self.query_one(SpectralLine).lit = view.region
