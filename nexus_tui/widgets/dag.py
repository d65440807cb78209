"""The live drawing of the DAG: one widget that draws lines out of a picture, follows the tip and moves a cursor.

It keeps its own place in the picture and draws only the rows again that changed: a cursor that moves costs two rows,
which matters on a slow line, and a DAG that stays the same costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from nexus_tui.drawing.marks import choose
from nexus_tui.drawing.picture import Picture, flowing, rule, upright
from nexus_tui.drawing.words import final_words, row_words
from nexus_tui.widgets.dag_rows import Cells, add, bracketed, under

if TYPE_CHECKING:
    from nexus_tui.glyphs import Glyphs
    from node.api.records import CheckpointView, DagBlockSummary

FLOWING_WIDTH = 64
"""From this width on, on a wide screen, time runs from left to right where blocks were made side by side."""
_STYLES = (
    *("region-violet", "region-blue", "region-green", "region-yellow", "region-orange", "region-red"),
    *("chain", "selected", "other", "final", "label", "faint", "red", "void", "cursor", "cursor-blurred"),
)


class DagCanvas(Widget, can_focus=True):
    """Shows blocks; `chosen` is under the cursor."""

    ALLOW_SELECT = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(0, -1)", show=False, id="dag.up"),
        Binding("down,j", "move(0, 1)", show=False, id="dag.down"),
        Binding("left,h", "move(-1, 0)", show=False, id="dag.left"),
        Binding("right,l", "move(1, 0)", show=False, id="dag.right"),
        Binding("pageup,b", "page(-1)", show=False, id="dag.page_up"),
        Binding("pagedown,space", "page(1)", show=False, id="dag.page_down"),
        Binding("home,g", "end(-1)", show=False, id="dag.home"),
        Binding("end,G", "end(1)", show=False, id="dag.end"),
        Binding("enter", "open", show=False, id="dag.open"),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"dag--{name}" for name in _STYLES}
    DEFAULT_CSS = """
    DagCanvas {
        height: 1fr; width: 1fr;
        & > .dag--region-violet { color: $spectrum-violet; text-style: bold; }
        & > .dag--region-blue { color: $spectrum-blue; text-style: bold; }
        & > .dag--region-green { color: $spectrum-green; text-style: bold; }
        & > .dag--region-yellow { color: $spectrum-yellow; text-style: bold; }
        & > .dag--region-orange { color: $spectrum-orange; text-style: bold; }
        & > .dag--region-red { color: $spectrum-red; text-style: bold; }
        & > .dag--chain { color: $foreground; text-style: bold; }
        & > .dag--selected { color: $muted; }
        & > .dag--other { color: $muted; text-style: dim; }
        & > .dag--final { color: $success; }
        & > .dag--label { color: $foreground; }
        & > .dag--faint { color: $muted; }
        & > .dag--red { color: $error; }
        & > .dag--void { color: $error; text-style: strike; }
        & > .dag--cursor { background: $block-cursor-background; color: $block-cursor-foreground; text-style: bold; }
        & > .dag--cursor-blurred { background: $panel; text-style: bold; }
        &:nocolor > .dag--cursor { text-style: reverse; }
    }
    """

    class Opened(Message):
        """The person wants to look into the chosen block."""

    def __init__(
        self,
        glyphs: Glyphs,
        *,
        move: Callable[[bytes, bool], None],
        newest: Callable[[], None],
        id: str | None = None,  # noqa: A002
    ) -> None:
        """`move` is told the block that the person went to, or the one that lies at the end and that they wanted to
        go on there; `newest` that they want to the end that grows. Both are called and not posted, so that the next
        key of a quick hand counts from where the last one led."""
        super().__init__(id=id)
        self._move, self._newest = move, newest
        self._glyphs = glyphs
        self._marks = choose(glyphs.ascii)
        self._blocks: Sequence[DagBlockSummary] = ()
        self._final: CheckpointView | None = None
        self._flows = False
        self._following = False
        self._offset = (0, 0)  # the picture's cell in the widget's first one
        self._lines: list[Strip] = []
        self.chosen: bytes | None = None
        self.picture = Picture(upright=True)

    def show(
        self,
        blocks: Sequence[DagBlockSummary],
        final: CheckpointView | None,
        chosen: bytes | None,
        *,
        following: bool = False,
    ) -> None:
        """Draw these blocks with the cursor on `chosen`; `following` keeps the end that grows in sight."""
        stays = chosen == self.chosen and not following
        before, chain = self.on_screen(chosen) if stays else None, self._chain_on_screen()
        self._blocks, self._final, self._following = blocks, final, following
        self.chosen = chosen
        self._draw()
        self._keep_in_sight(before, chain)
        self._refresh_changes()

    def _refresh_changes(self) -> None:
        """Draw the rows again that look different now."""
        width, height = self.size
        lines = [self._line(y) for y in range(height)]
        before = self._lines if len(self._lines) == height else [None] * height
        changed = [Region(0, y, width, 1) for y in range(height) if lines[y] != before[y]]
        if changed:
            self.refresh(*changed)

    def _draw(self) -> None:
        """Make the picture anew."""
        size = self.size
        if not size.width or not size.height:
            return
        # rows say more of a bare chain than a line through an empty screen; but a picture that flows goes on flowing
        beside = self._flows or any(not block.chain for block in self._blocks)
        self._flows = beside and size.width >= FLOWING_WIDTH and self.screen.has_class("-wide")
        final = self._final.block if self._final is not None else None
        keep = self.picture.lanes if self.picture.upright != self._flows else None
        if self._flows:
            picture = flowing(
                self._blocks,
                self._marks,
                lambda block: (block.id.hex()[:4], f"{block.transactions} tx" if block.transactions else ""),
                _clock,
                lane_height=4 if size.height >= 18 else 3,
                final=final,
                final_words=final_words(self._final),
                keep=keep,
            )
        else:
            picture = upright(
                self._blocks,
                size.width,
                self._marks,
                lambda block, room: row_words(block, room, _clock(block)),
                final=final,
                final_words=final_words(self._final),
                keep=keep,
            )
        self.picture = picture

    # Where things are

    def _margin(self) -> tuple[int, int]:
        """Empty columns and rows before a picture that is smaller than the widget: it grows at the right, and the
        selected chain keeps to the middle."""
        if not self._flows:
            return 0, 0
        (width, height), picture = self.size, self.picture
        top = min(max((height - 1) // 2 - picture.chain_row, 0), max(height - picture.height, 0))
        return max(width - picture.width - 2, 1), top

    def on_screen(self, block_id: bytes | None) -> tuple[int, int] | None:
        """Where a block's mark is in the widget; it may be out of sight."""
        place = self.picture.places.get(block_id or b"")
        if place is None:
            return None
        left, top = self._margin()
        return place[0] - self._offset[0] + left, place[1] - self._offset[1] + top

    def _chain_on_screen(self) -> int | None:
        if not self._flows or not self.picture.places:
            return None
        return self.picture.chain_row - self._offset[1] + self._margin()[1]

    def _keep_in_sight(self, before: tuple[int, int] | None, chain: int | None) -> None:
        """Move the picture no more than needed: a cursor that was not moved stays where it was on the screen, and so
        does the row of the selected chain."""
        place = self.picture.places.get(self.chosen or b"")
        if place is None:
            return
        width, height = self.size
        margin = self._margin()
        # a flowing picture has a column of air on both sides
        room, total = (width, height), (self.picture.width + 2 * self._flows, self.picture.height)
        edge = (8, 2) if self._flows else (0, 2)
        offset = list(self._offset)
        if before is not None:
            offset = [place[axis] - before[axis] + margin[axis] for axis in (0, 1)]
        if self._following:
            offset[0 if self._flows else 1] = total[0] if self._flows else 0
            chain = (height - 1) // 2
        if chain is not None and self._flows:
            offset[1] = self.picture.chain_row - chain + margin[1]
        for axis in (0, 1):
            low, high = place[axis] - room[axis] + 1 + edge[axis], place[axis] - edge[axis]
            offset[axis] = max(min(max(offset[axis], low), high, total[axis] - room[axis]), 0)
        self._offset = offset[0], offset[1]

    def _final_side(self) -> int:
        """Where the finality line is: out of sight on the older side (−1) or the newer one (1), or in sight (0)."""
        final, line, axis = self._final, self.picture.final_at, 0 if self._flows else 1
        if final is None or not self._blocks:
            return 0
        if line is None:
            return -1 if final.slot < min(block.slot for block in self._blocks) else 1
        first = self._offset[axis]
        beyond = (line >= first + self.size[axis] - self._flows) - (line < first)
        return beyond if self._flows else -beyond

    # Drawing

    def render_line(self, y: int) -> Strip:
        """See `Widget.render_line`."""
        line = self._line(y)
        if len(self._lines) != self.size.height:
            self._lines = [Strip.blank(0)] * self.size.height
        if y < len(self._lines):
            self._lines[y] = line
        return line

    def _line(self, y: int) -> Strip:
        width = self.size.width
        left, top = self._margin()
        start = self._offset[0]
        # the times stay on top of a picture that is higher than the widget
        row = 0 if self._flows and y == top else y + self._offset[1] - top
        place = self.picture.places.get(self.chosen or b"")
        on_row = place is not None and place[1] == row
        cursor = self.get_component_rich_style("dag--cursor" if self.has_focus else "dag--cursor-blurred")
        base = self.rich_style
        whole = base + cursor if on_row and self.picture.upright else base
        pieces = self._pieces(row, start, start + width - left, place if on_row else None)
        pieces = self._with_final(pieces, y, row, start, start + width - left, on_row)
        segments: list[Segment] = []
        column = 0
        for piece in pieces:
            x = piece[0] - start + left
            add(segments, " " * (x - column), whole)
            style = self.get_component_rich_style(f"dag--{piece[2]}") if piece[2] in _STYLES else base
            if whole is not base or piece[3]:
                style = under(cursor, style, self.has_pseudo_class("ansi"))
            add(segments, piece[1], style)
            column = x + len(piece[1])
        add(segments, " " * max(width - column, 0), whole)
        return Strip(segments).crop_extend(0, width, whole)

    def _with_final(self, pieces: Cells, y: int, row: int, start: int, end: int, on_row: bool) -> Cells:
        """Where the finality line is out of sight, a sign at the edge beyond which it is."""
        side = self._final_side()
        words = final_words(self._final)
        if not side or on_row:
            return pieces
        if not self._flows:
            if y != (self.size.height - 1 if side < 0 else 0) or self.size.height < 8:
                return pieces
            return [
                (
                    0,
                    rule(f"{words} {self._marks.below if side < 0 else self._marks.above}", end, self._marks),
                    "final",
                    False,
                )
            ]
        if row != 0:
            return pieces
        words = f"{self._marks.before} {words}" if side < 0 else f"{words} {self._marks.after}"
        x = start if side < 0 else max(end - len(words) - 1, start)
        clear = (x - 2, x + len(words) + 2)
        kept = [piece for piece in pieces if piece[0] + len(piece[1]) <= clear[0] or piece[0] >= clear[1]]
        return sorted([*kept, (x, words, "final", False)])

    def _pieces(self, row: int, start: int, end: int, cursor: tuple[int, int] | None) -> Cells:
        """Column, text, style and whether the cursor is on it; the cursor is a sign too, not only a colour."""
        pieces: Cells = []
        for piece in self.picture.row(row, start, end):
            on = cursor is not None and piece.block == self.chosen
            pieces.append((piece.x, piece.text, piece.style, on and not self.picture.upright))
        if cursor is None:
            return pieces
        if self.picture.upright:
            margin = next((x for x, text, _, _ in pieces if text.startswith(" ")), None)
            return [
                (x, self._glyphs.cursor + text[1:], style, on) if x == margin else (x, text, style, on)
                for x, text, style, on in pieces
            ]
        return bracketed(pieces, cursor[0], start, end)

    # Moving

    def action_move(self, right: int, down: int) -> None:
        """Move the cursor on the screen."""
        newer = right > 0 if self._flows else down < 0
        self._go(self.picture.neighbour(self.chosen or b"", right, down), newer)

    def action_page(self, down: int) -> None:
        """Move by most of a screen along the time axis: down, or to the right where the picture flows."""
        room = max(self.size.width * 2 // 3 if self._flows else self.size.height - 3, 1)
        self._go(self.picture.leap(self.chosen or b"", down * room), (down > 0) == self._flows)

    def action_end(self, down: int) -> None:
        """Go to one end: the top, or the left where the picture flows (−1), or the other (1). At the end that grows
        the newest block is followed; the other is the oldest block that was read."""
        if (down > 0) == self._flows:
            self._newest()
        elif self._blocks:
            self._go(min(self._blocks, key=lambda block: (block.slot, block.seat)).id, newer=False)

    def action_open(self) -> None:
        """Look into the chosen block."""
        if self.chosen is not None:
            self.post_message(self.Opened())

    def _go(self, block_id: bytes | None, newer: bool) -> None:
        if block_id is not None:
            self._move(block_id, False)
        elif newer and self.chosen is not None:
            self._move(self.chosen, True)

    # Touch and size

    def on_click(self, event: events.Click) -> None:
        """A tap chooses a block, a second one looks into it."""
        event.stop()
        left, top = self._margin()
        found = self.picture.block_at(event.x - left + self._offset[0], event.y - top + self._offset[1])
        if found is None:
            return
        if found == self.chosen:
            self.action_open()
        else:
            self._go(found, newer=False)

    def _on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """A swipe moves the cursor, and the picture follows it."""
        event.stop()
        event.prevent_default()
        self.action_move(*((-1, 0) if self._flows else (0, 1)))

    def _on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """See `_on_mouse_scroll_down`."""
        event.stop()
        event.prevent_default()
        self.action_move(*((1, 0) if self._flows else (0, -1)))

    def _on_mouse_scroll_left(self, event: events.MouseScrollLeft) -> None:
        """See `_on_mouse_scroll_down`."""
        event.stop()
        self.action_move(-1, 0)

    def _on_mouse_scroll_right(self, event: events.MouseScrollRight) -> None:
        """See `_on_mouse_scroll_down`."""
        event.stop()
        self.action_move(1, 0)

    def on_resize(self) -> None:
        """Another size may turn the picture."""
        self._draw()
        self._keep_in_sight(None, None)
        self.refresh()


def _clock(block: DagBlockSummary) -> str:
    """Local time of a block to the second."""
    return f"{datetime.fromtimestamp(min(max(block.time_ms // 1000, 0), 2**35)):%H:%M:%S}"
