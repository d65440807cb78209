"""The DAG as rows of characters: upright (newest on top, a row a block, its words beside it) or flowing (newest at the
right, a column a slot, two or more rows a lane).

A picture knows where each block stands and which block is under a cell; styles are names, which the widget turns into
colours: "region-violet" …, "chain", "selected", "other", "final", "label", "faint" and whatever the words use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nexus_tui.drawing.lanes import Layout, lay_out
from nexus_tui.drawing.marks import CHAIN, HEAVY, Marks, region_style
from nexus_tui.drawing.wires import BLOCKS, FINAL, Wires, wire

if TYPE_CHECKING:
    from node.api.records import DagBlockSummary

Words = tuple[tuple[str, str], ...]
"""Pieces of text with their styles."""

LANE_WIDTH = 2
NODE_WIDTH, BUS_WIDTH = 6, 2
LANE_COST = 4
"""Columns that a row aside is worth when the cursor moves along a flowing picture."""
ACROSS_COLUMNS, ACROSS_ROWS = 24, 12
"""How far along time a block may be when the cursor moves across the lanes."""
_LINE_STYLES = {CHAIN: "chain", HEAVY: "selected"}


@dataclass(frozen=True, slots=True)
class Piece:
    """Characters of one style beginning at column `x`; `block` is the one they stand for."""

    x: int
    text: str
    style: str
    block: bytes | None = None


@dataclass(slots=True)
class Picture:
    """`upright`: time runs from the bottom to the top. `places` has each block's mark as (column, row)."""

    upright: bool
    width: int = 0
    height: int = 0
    chain_row: int = 0  # of a flowing picture: where the selected chain runs
    final_at: int | None = None  # the row, or the column, of the finality line
    places: dict[bytes, tuple[int, int]] = field(default_factory=dict)
    lanes: dict[bytes, int] = field(default_factory=dict)
    _rows: dict[int, dict[int, tuple[str, str, bytes | None]]] = field(default_factory=dict)

    def put(self, x: int, y: int, text: str, style: str, block: bytes | None = None) -> None:
        """Write over what is there."""
        row = self._rows.setdefault(y, {})
        for place, character in enumerate(text):
            row[x + place] = (character, style, block)

    def row(self, y: int, start: int = 0, end: int | None = None) -> list[Piece]:
        """A row from column `start` up to `end`, in pieces; what lies between them is empty."""
        end = self.width if end is None else end
        cells = self._rows.get(y, {})
        pieces: list[Piece] = []
        for x in sorted(x for x in cells if start <= x < end):
            character, style, block = cells[x]
            before = pieces[-1] if pieces else None
            if before is not None and (before.x + len(before.text), before.style, before.block) == (x, style, block):
                pieces[-1] = Piece(before.x, before.text + character, style, block)
            else:
                pieces.append(Piece(x, character, style, block))
        return pieces

    def text(self) -> list[str]:
        """All rows without styles."""
        lines = []
        for y in range(self.height):
            line = ""
            for piece in self.row(y):
                line += " " * (piece.x - len(line)) + piece.text
            lines.append(line.rstrip())
        return lines

    def block_at(self, x: int, y: int) -> bytes | None:
        """The block of a row where the picture stands upright, else the one whose mark or label is near."""
        if self.upright:
            return next((block_id for block_id, place in self.places.items() if place[1] == y), None)
        near = ((abs(x - 1 - bx) + 2 * abs(y - by), block_id) for block_id, (bx, by) in self.places.items())
        distance, found = min(near, default=(99, None))
        return found if distance <= 4 else None

    def neighbour(self, block_id: bytes, right: int, down: int) -> bytes | None:
        """The nearest block in a direction of the screen: `right` and `down` are −1, 0 or 1.

        Along a flowing picture a block in the same lane is preferred to a somewhat nearer one in another; across the
        lanes the same slot comes first, then what stands close by.
        """
        if block_id not in self.places:
            return None
        x, y = self.places[block_id]
        best: tuple[tuple[int, int], bytes] | None = None
        for other, (ox, oy) in self.places.items():
            along = (ox - x) * right + (oy - y) * down
            aside = abs((ox - x) * down) + abs((oy - y) * right)
            if along <= 0:
                continue
            if bool(down) == self.upright:  # along the time axis
                rank = (along, aside) if self.upright else (along + aside * LANE_COST, aside)
            elif aside > (ACROSS_ROWS if self.upright else ACROSS_COLUMNS):
                continue
            else:
                rank = (aside if self.upright or aside >= NODE_WIDTH else 0, along)
            if best is None or (rank, other) < best:
                best = (rank, other)
        return best[1] if best is not None else None

    def leap(self, block_id: bytes, distance: int) -> bytes | None:
        """The block nearest to `distance` cells further down, or further right where the picture flows."""
        if block_id not in self.places:
            return None
        axis = int(self.upright)
        own, sign = self.places[block_id], 1 if distance > 0 else -1
        ahead = (
            (abs(place[axis] - own[axis] - distance), abs(place[1 - axis] - own[1 - axis]), other)
            for other, place in self.places.items()
            if (place[axis] - own[axis]) * sign > 0
        )
        return min(ahead, default=(0, 0, None))[2]


def upright(
    blocks: Iterable[DagBlockSummary],
    width: int,
    marks: Marks,
    describe: Callable[[DagBlockSummary, int], Words],
    *,
    final: bytes | None = None,
    final_words: str = "final",
    keep: Mapping[bytes, int] | None = None,
    most_lanes: int = 8,
) -> Picture:
    """Newest on top in exactly `width` columns. Lanes beyond `most_lanes` share the last one.

    `describe(block, room)` gives the words beside a block, cut to `room` columns here.
    """
    layout = lay_out(blocks, together=False, keep=keep)
    most_lanes = max(min(most_lanes, (width - 1) // LANE_WIDTH), 1)
    lanes = min(layout.lanes, most_lanes)
    wires = wire(layout, lambda lane: min(lane, lanes - 1), apart=False, final=final)
    picture = Picture(upright=True, width=width, height=len(wires.steps), lanes=layout.kept())
    margin = lanes * LANE_WIDTH
    for step, kind in enumerate(wires.steps):
        y = picture.height - 1 - step
        if kind.kind == FINAL:
            picture.final_at = y
            picture.put(0, y, rule(final_words, width, marks), "final")
        for track in range(lanes):
            older, newer, low, high = wires.arms(step, track)
            if older or newer or low or high:
                picture.put(track * LANE_WIDTH, y, marks.line(newer, high, older, low), _style(older, newer, low, high))
            if between := wires.across.get((step, track), 0):
                picture.put(track * LANE_WIDTH + 1, y, marks.line(0, between, 0, between), _style(between))
    for node in layout.nodes.values():
        step, track = wires.at[node.block.id]
        x, y = track * LANE_WIDTH, picture.height - 1 - step
        _put_node(picture, x, y, node.block, marks)
        _put_words(picture, margin, y, describe(node.block, width - margin), width - margin, node.block.id, marks)
    return picture


def flowing(
    blocks: Iterable[DagBlockSummary],
    marks: Marks,
    label: Callable[[DagBlockSummary], tuple[str, ...]],
    clock: Callable[[DagBlockSummary], str],
    *,
    lane_height: int = 3,
    final: bytes | None = None,
    final_words: str = "final",
    keep: Mapping[bytes, int] | None = None,
) -> Picture:
    """Newest at the right, the selected chain in the middle, other lanes above and below it.

    Under each block stand the lines of its `label` (at most `lane_height` − 2, four characters each); the first row
    is an axis with the `clock` of blocks.
    """
    layout = lay_out(blocks, together=True, keep=keep)
    above = (layout.lanes - 1) // 2
    wires = wire(layout, lambda lane: above + ((lane + 1) // 2 if lane % 2 else -(lane // 2)), apart=True, final=final)
    columns = _columns(wires)
    rows = [1 + track * lane_height for track in range(layout.lanes)]
    picture = Picture(upright=False, lanes=layout.kept())
    picture.chain_row = rows[above] if rows else 0
    picture.width = columns[-1] if wires.steps else 0
    picture.height = (rows[-1] + max(lane_height - 1, 1)) if wires.steps else 0
    for step, kind in enumerate(wires.steps):
        x, after = columns[step], columns[step + 1]
        if kind.kind == FINAL:
            picture.final_at = x
            for y in range(1, picture.height):
                picture.put(x, y, marks.final_along, "final")
        for track, y in enumerate(rows):
            older, newer, low, high = wires.arms(step, track)
            if older or newer or low or high:
                picture.put(x, y, marks.line(low, newer, high, older), _style(older, newer, low, high))
            if newer:
                picture.put(x + 1, y, marks.line(0, newer, 0, newer) * (after - x - 1), _style(newer))
            if between := wires.across.get((step, track), 0):
                for below in range(y + 1, y + lane_height):
                    picture.put(x, below, marks.line(between, 0, between, 0), _style(between))
    for node in layout.nodes.values():
        step, track = wires.at[node.block.id]
        x, y = columns[step], rows[track]
        _put_node(picture, x, y, node.block, marks)
        for line, words in enumerate(label(node.block)[: max(lane_height - 2, 0)]):
            picture.put(x, y + 1 + line, words[: NODE_WIDTH - 1], _label_style(node.block), node.block.id)
    _put_axis(picture, layout, wires, columns, clock, f"{marks.before} {final_words}")
    return picture


def _columns(wires: Wires) -> list[int]:
    columns = [0]
    for step in wires.steps:
        columns.append(columns[-1] + (NODE_WIDTH if step.kind == BLOCKS else BUS_WIDTH))
    return columns


def _put_axis(
    picture: Picture,
    layout: Layout,
    wires: Wires,
    columns: list[int],
    clock: Callable[[DagBlockSummary], str],
    final_words: str,
) -> None:
    line = next((columns[step] for step, kind in enumerate(wires.steps) if kind.kind == FINAL), None)
    if line is not None:
        picture.put(line, 0, final_words, "final")
        picture.width = max(picture.width, line + len(final_words))
    free = 0
    for step, kind in enumerate(wires.steps):
        x = columns[step]
        if kind.kind != BLOCKS or x < free:
            continue
        words = clock(layout.groups[kind.place][0].block)
        x = min(x, picture.width - len(words))  # the newest one stands whole before the edge
        if x < free:
            continue
        if line is None or x + len(words) < line or x > line + len(final_words):
            picture.put(x, 0, words, "faint")
            free = x + len(words) + 4


def _put_node(picture: Picture, x: int, y: int, block: DagBlockSummary, marks: Marks) -> None:
    picture.put(x, y, marks.node(block.region, block.colour), region_style(block.region), block.id)
    picture.places[block.id] = (x, y)


def _label_style(block: DagBlockSummary) -> str:
    if block.disqualified:
        return "void"
    return "chain" if block.chain else "red" if block.colour == "red" else "label"


def _put_words(picture: Picture, x: int, y: int, words: Words, room: int, block_id: bytes, marks: Marks) -> None:
    for text, style in words:
        if len(text) > room:
            text = text[: max(room - 1, 0)] + marks.cut[: min(room, 1)]
        picture.put(x, y, text, style, block_id)
        x, room = x + len(text), room - len(text)


def rule(words: str, width: int, marks: Marks) -> str:
    """A line across with words near its end."""
    words = f" {words} "[:width]
    tail = min(2, width - len(words))
    return marks.final_across * (width - len(words) - tail) + words + marks.final_across * tail


def _style(*weights: int) -> str:
    return _LINE_STYLES.get(max(weights), "other")
