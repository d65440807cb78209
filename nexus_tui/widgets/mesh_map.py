"""The map of the mesh on the screen: it moves a cursor from node to node, and sends nothing while nothing changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from nexus_tui.drawing.mesh_map import MeshMap, draw
from nexus_tui.drawing.picture import Picture
from nexus_tui.widgets.dag_rows import add, bracketed, under

if TYPE_CHECKING:
    from nexus_tui.glyphs import Glyphs
    from node.api.records import MeshView

_STYLES = (
    *("region-violet", "region-blue", "region-green", "region-yellow", "region-orange", "region-red"),
    *("self", "label", "faint", "link", "hearsay", "red", "chain", "cursor", "cursor-blurred"),
)


class MeshCanvas(Widget, can_focus=True):
    """Shows a node's view of the mesh; `chosen` is under the cursor."""

    ALLOW_SELECT = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(0, -1)", show=False, id="map.up"),
        Binding("down,j", "move(0, 1)", show=False, id="map.down"),
        Binding("left,h", "move(-1, 0)", show=False, id="map.left"),
        Binding("right,l", "move(1, 0)", show=False, id="map.right"),
        Binding("home,g", "home", show=False, id="map.home"),
        Binding("enter", "open", show=False, id="map.open"),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"map--{name}" for name in _STYLES}
    DEFAULT_CSS = """
    MeshCanvas {
        height: 1fr; width: 1fr;
        & > .map--region-violet { color: $spectrum-violet; text-style: bold; }
        & > .map--region-blue { color: $spectrum-blue; text-style: bold; }
        & > .map--region-green { color: $spectrum-green; text-style: bold; }
        & > .map--region-yellow { color: $spectrum-yellow; text-style: bold; }
        & > .map--region-orange { color: $spectrum-orange; text-style: bold; }
        & > .map--region-red { color: $spectrum-red; text-style: bold; }
        & > .map--self { color: $primary; text-style: bold; }
        & > .map--label { color: $foreground; }
        & > .map--faint { color: $muted; }
        & > .map--link { color: $foreground; }
        & > .map--hearsay { color: $muted; }
        & > .map--red { color: $error; }
        & > .map--chain { color: $foreground; text-style: bold; }
        & > .map--cursor { background: $block-cursor-background; color: $block-cursor-foreground; text-style: bold; }
        & > .map--cursor-blurred { background: $panel; text-style: bold; }
        &:nocolor > .map--cursor { text-style: reverse; }
    }
    """

    class Chosen(Message):
        """The cursor stands on another node, or the map has room for others."""

    class Opened(Message):
        """The person wants to know all of the chosen node."""

    def __init__(self, glyphs: Glyphs, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._glyphs = glyphs
        self._mesh: MeshView | None = None
        self._lines: list[Strip] = []
        self.chosen: bytes | None = None
        self.map = MeshMap(Picture(upright=False))

    def show(self, mesh: MeshView) -> None:
        """Draw this view. A cursor whose node is gone goes to this node."""
        self._mesh = mesh
        self._draw()
        self._refresh_changes()

    def choose(self, node: bytes | None) -> None:
        """Put the cursor on a node, if it is on the map."""
        if node in self.map.picture.places and node != self.chosen:
            self.chosen = node
            self._refresh_changes()
            self.post_message(self.Chosen())

    def _draw(self) -> None:
        if self._mesh is None or not self.size.width or not self.size.height:
            return
        self.map = draw(self._mesh, self.size.width, self.size.height, self._glyphs.ascii)
        if self.chosen not in self.map.picture.places:
            self.chosen = self._mesh.node if self._mesh.node in self.map.picture.places else None
            self.post_message(self.Chosen())

    def _refresh_changes(self) -> None:
        width, height = self.size
        lines = [self._line(y) for y in range(height)]
        before = self._lines if len(self._lines) == height else [None] * height
        changed = [Region(0, y, width, 1) for y in range(height) if lines[y] != before[y]]
        if changed:
            self.refresh(*changed)

    def render_line(self, y: int) -> Strip:
        """See `Widget.render_line`."""
        line = self._line(y)
        if len(self._lines) != self.size.height:
            self._lines = [Strip.blank(0)] * self.size.height
        if y < len(self._lines):
            self._lines[y] = line
        return line

    def _line(self, y: int) -> Strip:
        width, base = self.size.width, self.rich_style
        place = self.map.picture.places.get(self.chosen or b"")
        pieces = [
            (piece.x, piece.text, piece.style, piece.block is not None and piece.block == self.chosen)
            for piece in self.map.picture.row(y, 0, width)
        ]
        if place is not None and place[1] == y:
            pieces = bracketed(pieces, place[0], 0, width)
        cursor = self.get_component_rich_style("map--cursor" if self.has_focus else "map--cursor-blurred")
        segments: list[Segment] = []
        column = 0
        for x, words, name, on in pieces:
            add(segments, " " * (x - column), base)
            style = self.get_component_rich_style(f"map--{name}") if name in _STYLES else base
            add(segments, words, under(cursor, style, self.has_pseudo_class("ansi")) if on else style)
            column = x + len(words)
        add(segments, " " * max(width - column, 0), base)
        return Strip(segments).crop_extend(0, width, base)

    def action_move(self, right: int, down: int) -> None:
        """Go to the next node in a direction."""
        self.choose(self.map.nearest(self.chosen or b"", right, down))

    def action_home(self) -> None:
        """Go to this node."""
        if self._mesh is not None:
            self.choose(self._mesh.node)

    def action_open(self) -> None:
        """Tell all of the chosen node."""
        if self.chosen is not None:
            self.post_message(self.Opened())

    def on_click(self, event: events.Click) -> None:
        """A tap chooses a node, a second one opens it."""
        event.stop()
        found = self.map.at(event.x, event.y)
        if found is not None and found == self.chosen:
            self.action_open()
        else:
            self.choose(found)

    def on_resize(self) -> None:
        """Draw for the room there is now."""
        self._draw()
        self.refresh()
        self.post_message(self.Chosen())
