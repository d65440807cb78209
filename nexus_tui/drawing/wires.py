"""Lines between blocks as weighted arms in an abstract grid of *steps* along the time axis and *tracks* across it.

Each place of the layout becomes steps, older to newer: buses (lines across, where blocks reach out for their
parents), the blocks themselves, and the entry of second pipes. Where a bus crosses a line it does not belong to, the
line goes on and the bus is broken, as in a circuit diagram.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nexus_tui.drawing.marks import CHAIN, HEAVY, THIN

if TYPE_CHECKING:
    from nexus_tui.drawing.lanes import Edge, Layout, Node

BLOCKS, BUS, ENTRY, FINAL = "blocks", "bus", "entry", "final"


@dataclass(frozen=True, slots=True)
class Step:
    """One step; `place` is the layout's."""

    kind: str
    place: int


@dataclass(slots=True)
class Wires:
    """`older` and `newer` are arms along the time axis by (step, track), `across` lines between a track and the next.

    `joints` are the cells where a line across meets the one along.
    """

    steps: list[Step] = field(default_factory=list)
    at: dict[bytes, tuple[int, int]] = field(default_factory=dict)  # of blocks
    older: dict[tuple[int, int], int] = field(default_factory=dict)
    newer: dict[tuple[int, int], int] = field(default_factory=dict)
    across: dict[tuple[int, int], int] = field(default_factory=dict)
    joints: set[tuple[int, int]] = field(default_factory=set)

    def arms(self, step: int, track: int) -> tuple[int, int, int, int]:
        """Weights of a cell's arms: older, newer, towards the lower track, towards the higher one."""
        here = (step, track)
        older, newer = self.older.get(here, 0), self.newer.get(here, 0)
        if (older or newer) and here not in self.joints:
            return older, newer, 0, 0
        return older, newer, self.across.get((step, track - 1), 0), self.across.get(here, 0)

    def along(self, track: int, first: int, last: int, weight: int) -> None:
        """A line in a track from one step to a newer one."""
        for step in range(first, last):
            self.newer[step, track] = max(self.newer.get((step, track), 0), weight)
            self.older[step + 1, track] = max(self.older.get((step + 1, track), 0), weight)

    def cross(self, step: int, one: int, other: int, weight: int) -> None:
        """A line across from one track to another."""
        for track in range(min(one, other), max(one, other)):
            self.across[step, track] = max(self.across.get((step, track), 0), weight)
        self.joints |= {(step, one), (step, other)}


def wire(layout: Layout, track_of: Callable[[int], int], *, apart: bool, final: bytes | None = None) -> Wires:
    """Lay the wires. `track_of` maps lanes to tracks.

    `apart` gives buses and entries steps of their own (several blocks share a place); else they share their block's
    step. A step for the finality line follows the place of the block `final`.
    """
    wires = Wires()
    outgoing: dict[bytes, list[Edge]] = defaultdict(list)
    for edge in layout.edges:
        outgoing[edge.child].append(edge)

    def lane_of(edge: Edge) -> int:
        return layout.late_lanes[edge.parent] if edge.late else layout.nodes[edge.parent].lane

    bus: dict[bytes, int] = {}
    entry: dict[bytes, int] = {}
    for place, group in enumerate(layout.groups):
        if apart:
            _buses(
                wires,
                place,
                group,
                {node.block.id: frozenset(map(lane_of, outgoing[node.block.id])) for node in group},
                bus,
            )
        wires.steps.append(Step(BLOCKS, place))
        step = len(wires.steps) - 1
        for node in group:
            block_id = node.block.id
            wires.at[block_id] = (step, track_of(node.lane))
            if block_id in layout.late_lanes:
                if apart:
                    wires.steps.append(Step(ENTRY, place))
                entry[block_id] = len(wires.steps) - 1
            bus.setdefault(block_id, step)
        if any(node.block.id == final for node in group):
            wires.steps.append(Step(FINAL, place))
    for edge in layout.edges:
        weight = CHAIN if edge.chain else HEAVY if edge.selected else THIN
        (child_step, own), (parent_step, parent_track) = wires.at[edge.child], wires.at[edge.parent]
        track = track_of(lane_of(edge))
        first = parent_step
        if edge.late:
            first = entry[edge.parent]
            wires.along(parent_track, parent_step, first, weight)
            wires.cross(first, parent_track, track, weight)
        if track == own:
            wires.along(track, first, child_step, weight)
        else:
            wires.along(track, first, bus[edge.child], weight)
            wires.cross(bus[edge.child], own, track, weight)
            wires.along(own, bus[edge.child], child_step, weight)
    return wires


def _buses(
    wires: Wires, place: int, group: tuple[Node, ...], targets: dict[bytes, frozenset[int]], bus: dict[bytes, int]
) -> None:
    """A bus for each set of targets: blocks that reach for the same lanes share one."""
    shared: dict[frozenset[int], int] = {}
    for node in sorted(group, key=lambda node: node.lane):
        wanted = targets[node.block.id]
        if wanted <= {node.lane}:
            continue
        if wanted not in shared:
            wires.steps.append(Step(BUS, place))
            shared[wanted] = len(wires.steps) - 1
        bus[node.block.id] = shared[wanted]
