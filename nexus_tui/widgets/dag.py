"""The live drawing of the DAG: one widget that draws lines out of a picture, follows the tip and moves a cursor.

It is drawn again only when the picture, the cursor or the size changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from nexus_tui.drawing.marks import choose
from nexus_tui.drawing.picture import Picture, flowing, upright
from nexus_tui.drawing.words import final_words, row_words

if TYPE_CHECKING:
    from nexus_tui.glyphs import Glyphs
    from node.api.records import CheckpointView, DagBlockSummary

FLOWING_WIDTH = 64
"""From this width on time runs from left to right; below it, upwards."""
_PAGE = 10
_STYLES = (
    *("region-violet", "region-blue", "region-green", "region-yellow", "region-orange", "region-red"),
    *("chain", "selected", "other", "final", "label", "faint", "red", "void", "cursor", "cursor-blurred"),
)


class DagCanvas(ScrollView, can_focus=True):
    """Shows blocks; `chosen` is under the cursor."""

    ALLOW_SELECT = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(0, -1)", show=False, id="dag.up"),
        Binding("down,j", "move(0, 1)", show=False, id="dag.down"),
        Binding("left,h", "move(-1, 0)", show=False, id="dag.left"),
        Binding("right,l", "move(1, 0)", show=False, id="dag.right"),
        Binding("pageup,b", "page(-1)", show=False, id="dag.page_up"),
        Binding("pagedown,space", "page(1)", show=False, id="dag.page_down"),
        Binding("home,g", "newest", show=False, id="dag.newest"),
        Binding("end,G", "oldest", show=False, id="dag.oldest"),
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
        &:ansi > .dag--cursor { text-style: reverse; }
        &:nocolor > .dag--cursor { text-style: reverse; }
    }
    """

    class Chosen(Message):
        """The person moved the cursor to a block. `beyond`: further on than the newest one there is."""

        def __init__(self, block_id: bytes, beyond: bool) -> None:
            super().__init__()
            self.block_id = block_id
            self.beyond = beyond

    class Newest(Message):
        """The person wants to the end that grows."""

    class Opened(Message):
        """The person wants to look into the chosen block."""

    def __init__(self, glyphs: Glyphs, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._glyphs = glyphs
        self._marks = choose(glyphs.ascii)
        self._blocks: Sequence[DagBlockSummary] = ()
        self._final: CheckpointView | None = None
        self._flows = False
        self.chosen: bytes | None = None
        self.picture = Picture(upright=True)

    def show(self, blocks: Sequence[DagBlockSummary], final: CheckpointView | None, chosen: bytes | None) -> None:
        """Draw these blocks with the cursor on `chosen`, if any of it is new."""
        before = self._on_screen(self.chosen)
        changed = chosen != self.chosen
        self._blocks, self._final, self.chosen = blocks, final, chosen
        changed |= self._draw()
        if changed:
            self._keep_in_sight(before)
            self.refresh()

    def _draw(self) -> bool:
        """Make the picture anew; whether it is another one."""
        size = self.size
        if not size.width or not size.height:
            return False
        self._flows = size.width >= FLOWING_WIDTH
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
        if picture == self.picture:
            return False
        self.picture = picture
        self.virtual_size = Size(picture.width + (2 if self._flows else 0), picture.height)
        return True

    # Where things are

    def _margin(self) -> tuple[int, int]:
        """Empty columns and rows before a picture that is smaller than the widget: it grows at the right."""
        if not self._flows:
            return 0, 0
        width, height = self.size
        return max(width - self.picture.width - 2, 1), max((height - self.picture.height) // 2, 0)

    def _on_screen(self, block_id: bytes | None) -> tuple[int, int] | None:
        place = self.picture.places.get(block_id or b"")
        if place is None:
            return None
        return place[0] - self.scroll_offset.x, place[1] - self.scroll_offset.y

    def _keep_in_sight(self, before: tuple[int, int] | None) -> None:
        """Scroll so that the cursor stays where it was on the screen, or at least on it."""
        place = self.picture.places.get(self.chosen or b"")
        if place is None:
            return
        offset = [self.scroll_offset.x, self.scroll_offset.y]
        room = (max(self.size.width, 1), max(self.size.height, 1))
        edge = (8, 2) if self._flows else (0, 2)
        total = (self.virtual_size.width, self.virtual_size.height)
        for axis in (0, 1):
            if before is not None and not self._flows:
                offset[axis] = place[axis] - before[axis]
            low, high = place[axis] - room[axis] + 1 + edge[axis], place[axis] - edge[axis]
            offset[axis] = max(min(max(offset[axis], low), high), 0)
            offset[axis] = max(min(offset[axis], total[axis] - room[axis]), 0)
        self.scroll_to(offset[0], offset[1], animate=False, force=True, immediate=True)

    def render_line(self, y: int) -> Strip:
        """See `Widget.render_line`."""
        width = self.size.width
        left, top = self._margin()
        start = self.scroll_offset.x
        row = y + self.scroll_offset.y - top
        place = self.picture.places.get(self.chosen or b"")
        on_row = place is not None and place[1] == row
        cursor = self.get_component_rich_style("dag--cursor" if self.has_focus else "dag--cursor-blurred")
        base = self.rich_style
        whole = base + cursor if on_row and self.picture.upright else base
        segments: list[Segment] = []
        column = 0
        for piece in self._pieces(row, start, start + width - left, place if on_row else None):
            x = piece[0] - start + left
            segments.append(Segment(" " * (x - column), whole))
            style = self.get_component_rich_style(f"dag--{piece[2]}") if piece[2] in _STYLES else base
            if whole is not base:
                style = style + Style(bgcolor=whole.bgcolor, reverse=whole.reverse)
            elif piece[3]:
                style = style + cursor
            segments.append(Segment(piece[1], style))
            column = x + len(piece[1])
        segments.append(Segment(" " * max(width - column, 0), whole))
        return Strip(segments).crop_extend(0, width, whole)

    def _pieces(
        self, row: int, start: int, end: int, cursor: tuple[int, int] | None
    ) -> list[tuple[int, str, str, bool]]:
        """Column, text, style and whether the cursor is on it; the cursor is a sign too, not only a colour."""
        pieces: list[tuple[int, str, str, bool]] = []
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
        return _bracketed(pieces, cursor[0], start, end)

    # Moving

    def action_move(self, right: int, down: int) -> None:
        """Move the cursor on the screen."""
        if self.picture.upright and right:
            return
        self._go(self._next(self.chosen, right, down), newer=right > 0 or (down < 0 and not self._flows))

    def action_page(self, down: int) -> None:
        """Move by several blocks along the time axis: down is older where the picture stands upright."""
        block_id = self.chosen
        for _ in range(_PAGE):
            following = self._next(block_id, down if self._flows else 0, 0 if self._flows else down)
            if following is None:
                break
            block_id = following
        self._go(block_id if block_id != self.chosen else None, newer=(down > 0) == self._flows)

    def action_newest(self) -> None:
        """Go to the end that grows, and follow it."""
        self.post_message(self.Newest())

    def action_oldest(self) -> None:
        """Go to the oldest block that was read."""
        if self._blocks:
            self._go(min(self._blocks, key=lambda block: (block.slot, block.seat)).id, newer=False)

    def action_open(self) -> None:
        """Look into the chosen block."""
        if self.chosen is not None:
            self.post_message(self.Opened())

    def _next(self, block_id: bytes | None, right: int, down: int) -> bytes | None:
        return self.picture.neighbour(block_id or b"", right, down)

    def _go(self, block_id: bytes | None, newer: bool) -> None:
        if block_id is not None:
            self.post_message(self.Chosen(block_id, beyond=False))
        elif newer and self.chosen is not None:
            self.post_message(self.Chosen(self.chosen, beyond=True))

    # Touch and size

    def on_click(self, event: events.Click) -> None:
        """A tap chooses a block, a second one looks into it."""
        event.stop()
        left, top = self._margin()
        found = self.picture.block_at(event.x - left + self.scroll_offset.x, event.y - top + self.scroll_offset.y)
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

    def on_resize(self) -> None:
        """Another size may turn the picture."""
        if self._draw():
            self._keep_in_sight(None)
        self.refresh()


def _bracketed(
    pieces: list[tuple[int, str, str, bool]], mark: int, start: int, end: int
) -> list[tuple[int, str, str, bool]]:
    """Brackets around a mark, over whatever line is there."""
    cells = {
        x + place: (character, style, on)
        for x, text, style, on in pieces
        for place, character in enumerate(text)
        if x + place not in (mark - 1, mark + 1)
    }
    for x, bracket in ((mark - 1, "["), (mark + 1, "]")):
        if start <= x < end:
            cells[x] = (bracket, "chain", True)
    return [(x, *cells[x]) for x in sorted(cells)]


def _clock(block: DagBlockSummary) -> str:
    """Local time of a block to the second."""
    return f"{datetime.fromtimestamp(min(max(block.time_ms // 1000, 0), 2**35)):%H:%M:%S}"
