"""The mesh as one node knows it: itself in the middle, linked peers around it as far as their delay, and beyond them
the nodes that it only heard of, beside whoever told of them.

Solid lines are this node's links, over a relay where one carries it. Dotted ones lead from a node to those it told of:
only what was reached is told on, so the two were linked once. Nothing else is known of others' links, and nothing else
is drawn.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from math import cos, log10, pi, sin
from typing import TYPE_CHECKING

from nexus_tui.drawing.braille import Lines
from nexus_tui.drawing.marks import region_style
from nexus_tui.drawing.picture import Picture
from node.encoding.node_id import node_text

if TYPE_CHECKING:
    from node.api.records import KnownView, MeshView, PeerView

SELF, CALLED, CALLER, KNOWN, TOLD, BANNED = "self", "called", "caller", "known", "told", "banned"
MEANINGS = {
    SELF: "this node",
    CALLED: "called",
    CALLER: "called us",
    KNOWN: "known",
    TOLD: "only told of",
    BANNED: "banned",
}
_SIGNS = {SELF: "◉@", CALLED: "●O", CALLER: "◆C", KNOWN: "○o", TOLD: "◦.", BANNED: "×x"}
LABEL = 4
"""Characters of an id beside its mark: those after "nxn1"."""
_CELLS_A_NODE = 36
_FEWEST = 8
_NEAREST, _FARTHEST, _NOT_MEASURED = 0.3, 0.7, 0.5  # radius of linked peers, of 1
_OUTER = (0.86, 1.0)
_RINGS_MS = (10, 100)
_RING_WIDTH = 50  # columns from which on there is room for rings
_TELLERS = 8  # steps back to whoever is linked


@dataclass(frozen=True, slots=True)
class Spot:
    """A node on the map: `angle` in turns, `radius` of 1, `delay_ms` of a linked one."""

    node: bytes
    kind: str
    angle: float
    radius: float
    region: str = ""
    delay_ms: int | None = None


@dataclass(slots=True)
class MeshMap:
    """`left_out` nodes that are known did not fit."""

    picture: Picture
    spots: dict[bytes, Spot] = field(default_factory=dict)
    left_out: int = 0

    def nearest(self, node: bytes, right: int, down: int) -> bytes | None:
        """The next node in a direction of the screen; `right` and `down` are −1, 0 or 1."""
        places = self.picture.places
        if node not in places:
            return next(iter(places), None)
        x, y = places[node]
        best: tuple[int, bytes] | None = None
        for other, (ox, oy) in places.items():
            wide, high = ox - x, 2 * (oy - y)  # a cell is twice as high as wide
            along, aside = wide * right + high * down, abs(wide * down) + abs(high * right)
            if along > 0 and (best is None or (along + 2 * aside, other) < best):
                best = along + 2 * aside, other
        return best[1] if best is not None else None

    def at(self, x: int, y: int) -> bytes | None:
        """The node whose mark or label is near."""
        near = ((abs(x - px) + 3 * abs(y - py), node) for node, (px, py) in self.picture.places.items())
        distance, found = min(near, default=(99, None))
        return found if distance <= LABEL + 1 else None


def sign(kind: str, ascii_only: bool) -> str:
    """The mark of a kind of node."""
    return _SIGNS[kind][ascii_only]


def arrange(mesh: MeshView, most: int) -> dict[bytes, Spot]:
    """Where the nodes known best stand, at most `most` beside this one."""
    banned = {ban.node for ban in mesh.bans}
    linked = {peer.node: peer for peer in sorted(mesh.peers, key=lambda peer: peer.node)[:most]}
    others = [one for one in mesh.others if one.node not in linked and one.node != mesh.node]
    others = others[: max(most - len(linked), 0)]
    group = {one.node: one.group for one in mesh.others}
    families = _families(linked, others, {one.node: one.told_by for one in mesh.others}, group)
    weights = [max(1.0, 0.8 * len(children)) for _, children in families]
    spots = {mesh.node: Spot(mesh.node, SELF, 0.0, 0.0, mesh.region)}
    begins, whole = -weights[0] / 2 if weights else 0.0, sum(weights)
    for (root, children), weight in zip(families, weights, strict=True):
        if root is not None:
            spots[root.node] = _peer_spot(root, (begins + weight / 2) / whole, root.node in banned)
        for place, child in enumerate(children):
            angle = (begins + weight * (place + 0.5) / len(children)) / whole
            kind = BANNED if child.node in banned else KNOWN if child.reached_ms is not None else TOLD
            spots[child.node] = Spot(child.node, kind, angle, _OUTER[place % 2])
        begins += weight
    return spots


def _families(
    linked: dict[bytes, PeerView], others: list[KnownView], told_by: dict[bytes, bytes], group: dict[bytes, str]
) -> list[tuple[PeerView | None, list[KnownView]]]:
    """Each linked peer with what came from it, by groups; then those of which nobody linked told, a group a family."""
    children: dict[bytes, list[KnownView]] = defaultdict(list)
    strays: dict[str, list[KnownView]] = defaultdict(list)
    for one in sorted(others, key=lambda one: one.node):
        teller = one.told_by
        for _ in range(_TELLERS):
            if teller in linked:
                break
            teller = told_by.get(teller, b"")
        (children[teller] if teller in linked else strays[one.group]).append(one)
    roots = sorted(linked.values(), key=lambda peer: (group.get(peer.node, ""), peer.node))
    families: list[tuple[PeerView | None, list[KnownView]]] = [(root, children[root.node]) for root in roots]
    return families + [(None, strays[name]) for name in sorted(strays)]


def _peer_spot(peer: PeerView, angle: float, banned: bool) -> Spot:
    kind = BANNED if banned else CALLER if peer.inbound else CALLED
    return Spot(peer.node, kind, angle, _radius(peer.delay_ms), peer.region, peer.delay_ms)


def _radius(delay_ms: int | None) -> float:
    if delay_ms is None:
        return _NOT_MEASURED
    return _NEAREST + (_FARTHEST - _NEAREST) * min(log10(1 + max(delay_ms, 0)) / 3, 1.0)


def draw(mesh: MeshView, width: int, height: int, ascii_only: bool) -> MeshMap:
    """The map in `width` × `height` cells. Styles: those of regions, "self", "label", "faint", "link", "hearsay"."""
    made = MeshMap(Picture(upright=False, width=width, height=height))
    if width < 2 * LABEL + 4 or height < 3:
        return made
    made.spots = arrange(mesh, max(width * height // _CELLS_A_NODE, _FEWEST))
    made.left_out = max(mesh.known - len({one.node for one in mesh.others} & made.spots.keys()), 0)
    middle = (width - 1) / 2, (height - 1) / 2
    reach = middle[0] - LABEL - 1, middle[1]

    def where(angle: float, radius: float) -> tuple[float, float]:
        return middle[0] + reach[0] * radius * cos(2 * pi * angle), middle[1] + reach[1] * radius * sin(2 * pi * angle)

    places = made.picture.places
    for spot in made.spots.values():
        x, y = where(spot.angle, spot.radius)
        if (place := _free_place(round(x), round(y), width, height, set(places.values()))) is not None:
            places[spot.node] = place
    lines = Lines(ascii_only)
    if width >= _RING_WIDTH:
        for ring in _RINGS_MS:
            for step in range(0, 360, 6):
                lines.dot(where(step / 360, _radius(ring)), "faint")
    for one in mesh.others:
        if one.told_by in places and one.node in places and one.told_by != mesh.node:
            lines.line(places[one.told_by], places[one.node], "hearsay", every=3)
    for peer in mesh.peers:
        if peer.node in places:
            through = peer.relay if peer.relay in places else mesh.node
            lines.line(places[through], places[peer.node], "link")
    for (x, y), character, style in lines.cells():
        if 0 <= x < width and 0 <= y < height:
            made.picture.put(x, y, character, style)
    _put_nodes(made, ascii_only)
    if width >= _RING_WIDTH and not ascii_only:
        _put_scale(made, [(where(0.125, _radius(ring)), ring) for ring in _RINGS_MS])
    return made


def _free_place(x: int, y: int, width: int, height: int, taken: set[tuple[int, int]]) -> tuple[int, int] | None:
    """The cell, or the nearest one whose neighbours are free of marks."""
    around = sorted(((dx, dy) for dx in range(-12, 13) for dy in range(-4, 5)), key=lambda d: abs(d[0]) + 2 * abs(d[1]))
    for dx, dy in around:
        px, py = x + dx, y + dy
        if 1 <= px < width - 1 and 0 <= py < height and all((px + near, py) not in taken for near in range(-2, 3)):
            return px, py
    return None


def _put_nodes(made: MeshMap, ascii_only: bool) -> None:
    """Marks over the lines, and labels where they cover no other node."""
    picture, taken = made.picture, set[tuple[int, int]]()
    for node, (x, y) in picture.places.items():
        spot = made.spots[node]
        style = "self" if spot.kind == SELF else region_style(spot.region) if spot.region else _style(spot.kind)
        picture.put(x, y, sign(spot.kind, ascii_only), style, node)
        taken |= {(x - 1, y), (x, y), (x + 1, y)}
    for node, (x, y) in picture.places.items():
        spot = made.spots[node]
        short = node_text(node)[4 : 4 + LABEL]
        delay = "" if spot.delay_ms is None else f" {spot.delay_ms} ms"
        words = ("you",) if spot.kind == SELF else (short + delay, short)
        right = spot.kind == SELF or x >= picture.width // 2
        for text in words:
            for begins in (x + 2, x - 1 - len(text)) if right else (x - 1 - len(text), x + 2):
                cells = {(column, y) for column in range(begins, begins + len(text))}
                if begins >= 0 and begins + len(text) <= picture.width and not cells & taken:
                    picture.put(begins, y, text, "label" if spot.kind in (SELF, CALLED, CALLER) else "faint", node)
                    taken |= cells
                    break
            else:
                continue
            break


def _style(kind: str) -> str:
    return "red" if kind == BANNED else "label" if kind in (CALLED, CALLER) else "faint"


def _put_scale(made: MeshMap, rings: list[tuple[tuple[float, float], int]]) -> None:
    """What the rings stand for, where nothing is in the way."""
    for (x, y), ring in rings:
        text = f"{ring} ms"
        left, row = round(x) + 1, round(y)
        near = range(left - 2, left + len(text) + 2)
        if any((py, px) == (row, column) for px, py in made.picture.places.values() for column in near):
            continue
        if any(piece.block for piece in made.picture.row(row, left - 1, left + len(text) + 1)):
            continue
        if left + len(text) <= made.picture.width and 0 <= row < made.picture.height:
            made.picture.put(left, row, text, "faint")


def legend(mesh: MeshView, ascii_only: bool) -> list[tuple[str, str]]:
    """The signs that are on the map, each with its meaning."""
    kinds = {spot.kind for spot in arrange(mesh, len(mesh.others) + len(mesh.peers)).values()}
    return [(sign(kind, ascii_only), MEANINGS[kind]) for kind in MEANINGS if kind in kinds and kind != SELF]
