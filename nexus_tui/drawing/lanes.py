"""Which block stands where: groups along the time axis, lanes across it, and the pipes that carry lines between.

A block has a *place* on the time axis (0 is the oldest) and a *lane*. The selected chain keeps lane 0 to itself. A
block's lane stays taken until its newest child, so that a line to it runs along its lane; children of a chain block
that come after the next chain block reach it through a pipe in another lane. Lanes are given from the oldest block on,
lowest free first, and a block keeps the lane it had in the picture before if it can: what is on the screen does not
jump when blocks arrive.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from node.api.records import DagBlockSummary

CHAIN_LANE = 0
TIP_ROOM = 6
"""So many places a block without children keeps its lane: its children are about to come."""


@dataclass(frozen=True, slots=True)
class Node:
    """A block in the picture."""

    block: DagBlockSummary
    place: int
    lane: int


@dataclass(frozen=True, slots=True)
class Edge:
    """A line from a block to one of its parents; `late` when it takes the parent's second pipe."""

    child: bytes
    parent: bytes
    selected: bool
    chain: bool
    late: bool


@dataclass(frozen=True, slots=True)
class Layout:
    """Nodes by id, oldest first; `groups` are the nodes of each place; `late_lanes` the lanes of second pipes.

    `lanes` is the number of lanes. Parents outside the picture have no line.
    """

    nodes: Mapping[bytes, Node]
    groups: tuple[tuple[Node, ...], ...]
    edges: tuple[Edge, ...]
    late_lanes: Mapping[bytes, int]
    lanes: int

    def kept(self) -> dict[bytes, int]:
        """The lanes of blocks, for the next picture."""
        return {block_id: node.lane for block_id, node in self.nodes.items()}


def lay_out(blocks: Iterable[DagBlockSummary], *, together: bool, keep: Mapping[bytes, int] | None = None) -> Layout:
    """Places and lanes of blocks. `together` gives the blocks of a slot one place, else each has its own.

    Lines go to strictly older places only; whatever else a hostile node may say of parents is left out.
    """
    ordered = _ordered(blocks)
    slots = {slot: place for place, slot in enumerate(sorted({block.slot for block in ordered}))}
    places = {block.id: slots[block.slot] if together else place for place, block in enumerate(ordered)}
    chain = _chain(ordered, places)
    edges = _edges(ordered, places, chain)
    lanes, late = _give_lanes(ordered, places, chain, edges, keep or {})
    nodes = {block.id: Node(block, places[block.id], lanes[block.id]) for block in ordered}
    groups: list[list[Node]] = [[] for _ in range(max(places.values(), default=-1) + 1)]
    for node in nodes.values():
        groups[node.place].append(node)
    return Layout(
        nodes,
        tuple(tuple(group) for group in groups),
        edges,
        late,
        max((*lanes.values(), *late.values()), default=0) + 1,
    )


def _ordered(blocks: Iterable[DagBlockSummary]) -> list[DagBlockSummary]:
    unique = {block.id: block for block in blocks}
    return sorted(unique.values(), key=lambda block: (block.slot, block.seat, block.id))


def _chain(ordered: list[DagBlockSummary], places: Mapping[bytes, int]) -> dict[bytes, int]:
    """The blocks of the selected chain, one a place, each with the place of the next one."""
    by_place: dict[int, bytes] = {}
    for block in ordered:
        if block.chain:
            by_place.setdefault(places[block.id], block.id)
    following = [*list(by_place)[1:], max(places.values(), default=0) + 1]
    return {block_id: after for block_id, after in zip(by_place.values(), following, strict=False)}


def _edges(ordered: list[DagBlockSummary], places: Mapping[bytes, int], chain: Mapping[bytes, int]) -> tuple[Edge, ...]:
    edges: list[Edge] = []
    for block in ordered:
        for parent in dict.fromkeys(block.parents):
            if parent in places and places[parent] < places[block.id]:
                selected = parent == block.parents[0]
                edges.append(
                    Edge(
                        block.id,
                        parent,
                        selected,
                        chain=selected and parent in chain and block.id in chain,
                        late=parent in chain and places[block.id] > chain[parent],
                    )
                )
    return tuple(edges)


def _give_lanes(
    ordered: list[DagBlockSummary],
    places: Mapping[bytes, int],
    chain: Mapping[bytes, int],
    edges: tuple[Edge, ...],
    keep: Mapping[bytes, int],
) -> tuple[dict[bytes, int], dict[bytes, int]]:
    last: dict[bytes, int] = {}  # place of the newest child
    last_late: dict[bytes, int] = {}
    parents: dict[bytes, list[bytes]] = {}
    for edge in edges:
        ends = last_late if edge.late else last
        ends[edge.parent] = max(ends.get(edge.parent, -1), places[edge.child])
        parents.setdefault(edge.child, []).append(edge.parent)
    lanes: dict[bytes, int] = {}
    late: dict[bytes, int] = {}
    taken: dict[int, tuple[int, bytes]] = {}  # lane: its last place, and the block it belongs to until then

    def free(lane: int, place: int, block_id: bytes = b"") -> bool:
        until, owner = taken.get(lane, (-1, b""))
        return until < place or (until == place and owner in parents.get(block_id, ()) and last.get(owner) == place)

    def lowest(place: int, block_id: bytes = b"") -> int:
        lane = CHAIN_LANE + 1
        while not free(lane, place, block_id):
            lane += 1
        return lane

    for block in ordered:
        place = places[block.id]
        if block.id in chain:
            lanes[block.id] = CHAIN_LANE
        else:
            wanted = (keep.get(block.id, 0), *(lanes[parent] for parent in parents.get(block.id, ())))
            lane = next((lane for lane in wanted if lane and free(lane, place, block.id)), 0)
            lanes[block.id] = lane or lowest(place, block.id)
            taken[lanes[block.id]] = (last.get(block.id, place + TIP_ROOM), block.id)
        if block.id in last_late:
            late[block.id] = lowest(place)
            taken[late[block.id]] = (last_late[block.id], b"")
    return lanes, late
