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
    """All links of a network. `loss_permille` of what is sent never arrives."""

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

    def carries(self, one: int, other: int, now: int) -> bool:
        """Whether what is sent now arrives: the link is open and this message is not the lost one."""
        if self._loss and self._draw(1000) < self._loss:
            return False
        return not self.partitions or self.open(one, other, now)
