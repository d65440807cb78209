"""Links between nodes: who talks to whom, how long it takes, what is lost, and when a network is parted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

# Eleven coin flips choose one of twelve bands, each reaching to 4/3 of its lower end: ln latency is bell-shaped with a
# standard deviation of 0.48 (5 % of the draws above 2.2 medians), and half of the flips lie below the sixth bound,
# which is the median. Integers only: floating logarithms differ between machines, and a seed must not.
_FLIPS = 11
_UP, _DOWN = 4, 3
_SEGMENT = 1_400  # bytes
_MOST_PATIENCE = 64  # delays: a sender of TCP does not wait longer for long
_FINE = 16  # bits that place a draw inside its band


class Latency:
    """Draws of a link's delay in milliseconds."""

    def __init__(self, median_ms: int, random: Random) -> None:
        half = (_FLIPS + 1) // 2
        self._bounds: list[int] = [
            median_ms * _UP ** max(0, step) * _DOWN ** max(0, -step) // (_DOWN ** max(0, step) * _UP ** max(0, -step))
            for step in range(-half, half + 1)
        ]
        self._bits: Callable[[int], int] = random.getrandbits

    def draw(self) -> int:
        """The next delay."""
        bits = self._bits(_FLIPS + _FINE)
        band = (bits & ((1 << _FLIPS) - 1)).bit_count()
        low = self._bounds[band]
        return low + ((self._bounds[band + 1] - low) * (bits >> _FLIPS) >> _FINE)


def regular_graph(nodes: int, degree: int, random: Random) -> tuple[tuple[int, ...], ...]:
    """The neighbours of each node: `degree` ÷ 2 random rings laid over each other, so it is connected.

    Rings share an edge now and then, and a small network has not enough nodes: degrees are at most `degree`.
    """
    edges: list[set[int]] = [set() for _ in range(nodes)]
    for _ in range(max(1, degree // 2)):
        ring = list(range(nodes))
        random.shuffle(ring)
        for place, node in enumerate(ring):
            other = ring[place - 1]
            if other != node:
                edges[node].add(other)
                edges[other].add(node)
    return tuple(tuple(sorted(found)) for found in edges)


@dataclass(frozen=True, slots=True)
class Partition:
    """Nodes of different groups do not hear each other from `start_ms` until before `end_ms`."""

    start_ms: int
    end_ms: int
    groups: tuple[int, ...]  # by node

    def parts(self, one: int, other: int, now: int) -> bool:
        """Whether it keeps two nodes apart at a time."""
        return self.start_ms <= now < self.end_ms and self.groups[one] != self.groups[other]


class Links:
    """How long what is sent takes between two nodes.

    TCP loses nothing: what is lost on the way comes later, and what was sent behind it waits. Of each segment
    `loss_permille` are lost; the first loss costs a round trip, each further one twice as long as the one before. What
    is sent into a partition arrives when that ends, unless the link is given up before.
    """

    def __init__(
        self,
        peers: Sequence[tuple[int, ...]],
        latency: Latency,
        loss_permille: int,
        partitions: Sequence[Partition],
        random: Random,
    ) -> None:
        self.peers = peers
        self.delay = latency.draw
        self.partitions = tuple(partitions)
        self._loss = loss_permille
        self._draw = random.randrange

    def open(self, one: int, other: int, now: int) -> bool:
        """Whether two nodes hear each other."""
        return not any(item.parts(one, other, now) for item in self.partitions)

    def arrival(self, one: int, other: int, now: int, size: int) -> int:
        """When so many bytes that are sent now arrive."""
        sent = now
        for partition in self.partitions:
            if partition.parts(one, other, now):
                sent = max(sent, partition.end_ms)
        return sent + self.delay() + (self._again(size) if self._loss else 0)

    def _again(self, size: int) -> int:
        """How long it takes to send again what of so many bytes was lost."""
        lost = sum(self._draw(1000) < self._loss for _ in range(1 + size // _SEGMENT))
        waited, patience = 0, 2
        while lost and patience <= _MOST_PATIENCE:
            waited += patience * self.delay()
            patience *= 2
            lost = sum(self._draw(1000) < self._loss for _ in range(lost))
        return waited
