"""A block of the DAG in full."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Button

from nexus_tui.dialogs.base import Dialog
from nexus_tui.dialogs.confirm import Facts, Rows
from nexus_tui.drawing.facts import block_facts
from nexus_tui.drawing.marks import choose
from nexus_tui.sanitize import sanitize, text

if TYPE_CHECKING:
    from collections.abc import Container

    from nexus_tui.drawing.marks import Marks
    from node.api.records import DagBlockView


def inspector_rows(view: DagBlockView, prefix: str, marks: Marks, colours: Container[str], *, brief: bool) -> Rows:
    """The rows of a block, for the dialog and, `brief`, for the pane beside the drawing. `colours` are the variables
    of the theme: a region that a node made up has none."""
    rows: Rows = []
    for name, value in block_facts(view, prefix, brief=brief):
        content = text(value)
        if name == "Place":
            content = content.stylize("bold")
        elif name == "Region":
            variable = f"spectrum-{value.lower()}"
            mark = marks.node(value, view.summary.colour)
            content = Content.assemble((mark, f"${variable}" if variable in colours else ""), " ", content)
        rows.append((name, content))
    return rows


class BlockDialog(Dialog[bytes]):
    """Gives the selected parent's id when the person goes on there. `brief`: first the gist, all digits on demand."""

    AUTO_FOCUS = "#scroll"
    scrolls = True
    CSS = """
    BlockDialog.-narrow .buttons Button { min-width: 5; padding: 1 0; }
    BlockDialog.-narrow.-short .buttons Button { padding: 0; }
    """

    def __init__(self, view: DagBlockView, prefix: str, *, brief: bool) -> None:
        super().__init__()
        self._view, self._prefix, self._brief = view, prefix, brief
        block = view.summary
        name = f"Block {block.height:,}" if block.height is not None else "Block"
        self.title_text = f"{name} in {sanitize(block.region, 12)}"  # type: ignore[misc]

    def body(self) -> ComposeResult:
        """See `Dialog.body`."""
        yield Facts(self._rows())

    def buttons(self) -> ComposeResult:
        """See `Dialog.buttons`."""
        yield Button("Close", id="cancel")
        if self._brief:
            yield Button("Digits", id="digits")
        yield Button("Copy id", id="copy")
        if self._view.summary.parents:
            yield Button("Parent", id="parent")

    def _rows(self) -> Rows:
        marks = choose(self.nexus.glyphs.ascii)
        return inspector_rows(self._view, self._prefix, marks, self.nexus.theme_variables, brief=self._brief)

    @on(Button.Pressed, "#digits")
    def _turn(self) -> None:
        """All digits, or the gist again."""
        self._brief = not self._brief
        self.query_one(Facts).set_rows(self._rows())

    @on(Button.Pressed, "#copy")
    def _copy(self) -> None:
        self.nexus.copy_out(self._view.summary.id.hex(), "The block's id")

    @on(Button.Pressed, "#parent")
    def _to_parent(self) -> None:
        self.dismiss(self._view.summary.parents[0])
