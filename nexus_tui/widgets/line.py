"""Text that is drawn again only when it is another: an idle screen sends nothing."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static


class Line(Static):
    """Static text of the program's own making or from `sanitize.text`; plain strings are never read as markup."""

    ALLOW_SELECT = True

    def __init__(self, content: str | Content = "", *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        self._shown = Content(content) if isinstance(content, str) else content
        super().__init__(self._shown, id=id, classes=classes, markup=False)

    def show(self, content: str | Content) -> None:
        """Draw `content` if it differs from what is there."""
        fresh = Content(content) if isinstance(content, str) else content
        if fresh.plain == self._shown.plain and fresh.spans == self._shown.spans:
            return
        self._shown = fresh
        self.update(fresh)

    @property
    def shown(self) -> str:
        """The plain text, for tests and the clipboard."""
        return self._shown.plain


class Waiting(Line):
    """Stands in for content that is being read. It does not move: a spinner costs 50 kB a second."""

    DEFAULT_CSS = """
    Waiting { width: 1fr; height: 1fr; min-height: 1; content-align: center middle; color: $muted; }
    """

    def __init__(self, what: str = "reading …") -> None:
        super().__init__(what)
