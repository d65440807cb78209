"""Inputs: one for what may be seen, one for secrets. Their cursors do not blink: an idle screen sends nothing."""

from __future__ import annotations

from typing import Any

from textual.widgets import Input


class Field(Input):
    """An input for one line."""

    def __init__(self, value: str = "", placeholder: str = "", *, limit: int = 256, **options: Any) -> None:
        super().__init__(value, placeholder, max_length=limit, select_on_focus=False, **options)
        self.cursor_blink = False


class SecretField(Input):
    """An input for a secret: shown as dots, never copied, emptied when the app is suspended or the dialog closes."""

    ALLOW_SELECT = False

    def __init__(self, placeholder: str = "", **options: Any) -> None:
        classes = f"secret {options.pop('classes', '')}".strip()
        super().__init__(
            "", placeholder, password=True, max_length=1024, select_on_focus=False, classes=classes, **options
        )
        self.cursor_blink = False

    def action_copy(self) -> None:
        """Do nothing: Textual's own would send the text in clear to the terminal."""

    def action_cut(self) -> None:
        """Do nothing, as for copying."""

    def get_selection(self, selection: Any) -> None:
        """Nothing can be selected with the mouse."""
        return

    def take(self) -> str:
        """The text, and empty the field."""
        value = self.value
        self.clear()
        return value


class WordsField(Field):
    """An input for recovery words: readable while typed (they must be checked by eye), never copied."""

    ALLOW_SELECT = False

    def __init__(self, placeholder: str = "", **options: Any) -> None:
        classes = f"secret {options.pop('classes', '')}".strip()
        super().__init__("", placeholder, limit=512, classes=classes, **options)

    def action_copy(self) -> None:
        """Do nothing."""

    def action_cut(self) -> None:
        """Do nothing."""

    def get_selection(self, selection: Any) -> None:
        """Nothing can be selected with the mouse."""
        return
