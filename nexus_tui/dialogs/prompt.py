"""One or two lines of text from the owner: a label, a name and an address."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from textual import on
from textual.app import ComposeResult
from textual.widgets import Button, Input

from nexus_tui.dialogs.base import Dialog
from nexus_tui.sanitize import text
from nexus_tui.widgets.fields import Field
from nexus_tui.widgets.line import Line

Check = Callable[[str], tuple[bool, str]]


@dataclass(frozen=True, slots=True)
class Ask:
    """A field: `check` says while typing whether the text will do, and a sentence, "" when there is nothing to say."""

    name: str
    label: str
    value: str = ""
    placeholder: str = ""
    check: Check | None = None
    limit: int = 256


class Prompt(Dialog[dict[str, str]]):
    """Dismissed with the values by the fields' names."""

    AUTO_FOCUS = "Field"

    def __init__(self, title: str, message: str, fields: tuple[Ask, ...], yes: str) -> None:
        super().__init__()
        self._title, self._message, self._fields, self._yes = title, message, fields, yes

    def body(self) -> ComposeResult:
        """See `Dialog.body`."""
        if self._message:
            yield Line(text(self._message, "$muted"))
        for ask in self._fields:
            yield Line(ask.label, classes="field-label")
            yield Field(ask.value, ask.placeholder, limit=ask.limit, id=ask.name)
            yield Line("", id=f"{ask.name}-note", classes="note")

    def buttons(self) -> ComposeResult:
        """See `Dialog.buttons`."""
        yield Button("Cancel", id="cancel")
        yield Button(self._yes, id="yes")

    def on_mount(self) -> None:
        """Set the title."""
        self.query_one("#title", Line).show(self._title)

    @on(Input.Changed)
    def _check(self, event: Input.Changed) -> None:
        for ask in self._fields:
            if ask.name == event.input.id and ask.check is not None:
                good, said = ask.check(event.value) if event.value.strip() else (True, "")
                self.query_one(f"#{ask.name}-note", Line).show(text(said, "$success" if good else "$muted"))

    @on(Input.Submitted)
    @on(Button.Pressed, "#yes")
    def _done(self, event: Input.Submitted | Button.Pressed) -> None:
        fields = list(self.query(Field))
        empty = next((field for field in fields if not field.value.strip()), None)
        if empty is not None:
            empty.focus()
            return
        for ask in self._fields:
            field = self.query_one(f"#{ask.name}", Field)
            good, said = ask.check(field.value) if ask.check is not None else (True, "")
            if not good:
                self.query_one(f"#{ask.name}-note", Line).show(text(said, "$error"))
                field.focus()
                return
        self.dismiss({field.id or "": field.value.strip() for field in fields})
