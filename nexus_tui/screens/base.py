"""What the main screens share: masthead, body, footer, and redrawing when the view has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import Screen

from nexus_tui.widgets.masthead import Masthead
from nexus_tui.widgets.rows import KeyBar, NavBar

if TYPE_CHECKING:
    from nexus_tui.app import NexusApp
    from nexus_tui.live import View


class MainScreen(Screen[None]):
    """`place` is the screen's name for commands and help. `body` composes it, `show` draws a view."""

    place: ClassVar[str] = ""
    AUTO_FOCUS = ""

    @property
    def nexus(self) -> NexusApp:
        """The app, by its type."""
        from nexus_tui.app import NexusApp

        app = self.app
        assert isinstance(app, NexusApp)
        return app

    def compose(self) -> ComposeResult:
        """See `Widget.compose`."""
        yield Masthead(self.nexus.glyphs)
        yield from self.body()
        with Vertical(id="foot"):
            yield KeyBar()
            yield NavBar(classes="bottom")

    def body(self) -> ComposeResult:
        """The widgets between masthead and footer."""
        raise NotImplementedError

    def on_mount(self) -> None:
        """Follow the view."""
        self.nexus.view_changed.subscribe(self, self._changed)
        self._changed(self.nexus.view)

    def on_screen_resume(self, event: events.ScreenResume) -> None:
        """Catch up with what happened while another screen was shown."""
        if self.is_mounted:
            self._changed(self.nexus.view)

    def _changed(self, view: View) -> None:
        # an app that ends while this screen opens takes its widgets away before the screen hears of it
        if self.is_current and self.is_mounted and self.app.is_running:
            for bar in self.query(NavBar):
                bar.fill()
            self.query_one(Masthead).show(view)
            self.show(view)
            self.refresh_bindings()

    def show(self, view: View) -> None:
        """Draw what changed."""
        raise NotImplementedError
