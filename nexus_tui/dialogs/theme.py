"""Choosing the colours: moving shows a theme at once, Enter keeps it, Esc brings the old one back."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Button, OptionList
from textual.widgets.option_list import Option

from nexus_tui.dialogs.base import Dialog
from nexus_tui.widgets.line import Line

ABOUT = {
    "dark": "calm colours on near black",
    "light": "ink on paper",
    "high-contrast": "for tired eyes and sunlight",
    "ansi-dark": "your terminal's own sixteen colours, dark",
    "ansi-light": "your terminal's own sixteen colours, light",
}


class ThemeDialog(Dialog[None]):
    """Closes without a result."""

    title_text = "Theme"
    AUTO_FOCUS = "#themes"
    CSS = "ThemeDialog #themes { height: auto; }"

    def body(self) -> ComposeResult:
        """See `Dialog.body`."""
        yield OptionList(
            *(
                Option(Content.assemble((name, "bold"), "\n", (ABOUT.get(name, "yours"), "$muted")), id=name)
                for name in self.nexus.theme_names
            ),
            id="themes",
            markup=False,
        )
        if not self.nexus.terminal.color:
            yield Line("NO_COLOR is set: no theme shows colours.", classes="muted gap")

    def buttons(self) -> ComposeResult:
        """See `Dialog.buttons`."""
        yield Button("Cancel", id="cancel")
        yield Button("Keep", id="keep")

    def on_mount(self) -> None:
        """Begin at the present theme."""
        self._before = self.app.theme
        names = self.nexus.theme_names
        self.query_one("#themes", OptionList).highlighted = names.index(self._before) if self._before in names else 0

    @on(OptionList.OptionHighlighted, "#themes")
    def _try(self, event: OptionList.OptionHighlighted) -> None:
        if event.option.id and (self.nexus.terminal.color or event.option.id.startswith("ansi-")):
            self.app.theme = event.option.id

    @on(OptionList.OptionSelected, "#themes")
    @on(Button.Pressed, "#keep")
    def _keep(self) -> None:
        self.nexus.keep("app.theme", self.app.theme)
        self.dismiss(None)

    def action_cancel(self) -> None:
        """Bring the old theme back."""
        self.app.theme = self._before
        self.dismiss(None)
