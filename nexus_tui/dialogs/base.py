"""What dialogs share: a title, a scrolling body, buttons; Esc closes, arrows move, nothing happens by accident."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button

from nexus_tui.widgets.line import Line

if TYPE_CHECKING:
    from nexus_tui.app import NexusApp

Result = TypeVar("Result")


class Dialog(ModalScreen[Result | None], Generic[Result]):
    """Dismissed with None when it is left. `scrolls`: the body takes the focus, as it is to be read."""

    title_text: ClassVar[str] = ""
    scrolls: ClassVar[bool] = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Close", show=False, id="dialog.close"),
        Binding("down", "app.focus_next", show=False),
        Binding("up", "app.focus_previous", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
    ]

    @property
    def nexus(self) -> NexusApp:
        """The app, by its type."""
        from nexus_tui.app import NexusApp

        app = self.app
        assert isinstance(app, NexusApp)
        return app

    def compose(self) -> ComposeResult:
        """See `Widget.compose`."""
        with Vertical(id="dialog"):
            yield Line(self.title_text, id="title")
            with VerticalScroll(id="scroll", can_focus=self.scrolls):
                yield from self.body()
            yield from self.fixed()
            with Horizontal(classes="buttons"):
                yield from self.buttons()

    def on_resize(self) -> None:
        """Bound what scrolls, so that the buttons stay in sight on every height."""
        self.call_after_refresh(self._bound)

    def _bound(self) -> None:
        scroll = self.query_one("#scroll")
        if self.has_class("-narrow") or self.has_class("-short"):
            scroll.styles.max_height = None
            return
        around = sum(
            child.outer_size.height + child.styles.margin.height
            for child in self.query_one("#dialog").children
            if child is not scroll and child.display
        )
        gutter = self.query_one("#dialog").gutter.height
        scroll.styles.max_height = max(self.size.height - around - gutter, 1)

    def fixed(self) -> ComposeResult:
        """What stays in sight between what scrolls and the buttons."""
        yield from ()

    def body(self) -> ComposeResult:
        """What scrolls."""
        yield from ()

    def buttons(self) -> ComposeResult:
        """What can be pressed; the first is the harmless one."""
        yield Button("Close", id="cancel")

    def action_page(self, direction: int) -> None:
        """Read on or back, where the screen is too small for all of it."""
        scroll = self.query_one("#scroll")
        (scroll.scroll_page_down if direction > 0 else scroll.scroll_page_up)(animate=False)

    def action_cancel(self) -> None:
        """Leave without a result."""
        self.dismiss(None)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Leave by the harmless button."""
        if event.button.id == "cancel":
            event.stop()
            self.action_cancel()
