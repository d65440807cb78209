"""Whatever happens to links while blocks are made, nodes that stay linked end with the same blocks, and soon."""

from __future__ import annotations

from random import Random

import pytest
from fake_network import Network  # type: ignore[import-not-found]

QUIET_MS = 15_000
"""How long nodes may take once nothing new is made and every link holds."""


class History:
    """A drawn history of a few nodes: they link, part, make blocks, cannot keep some, and fall silent."""

    def __init__(self, seed: int) -> None:
        self.random = random = Random(f"nexus catching up {seed}")
        self.nodes = random.randint(2, 4)
        slow = random.choice(((1, 5), (10, 80), (50, 400), (500, 1_500)))
        self.network = Network(self.nodes, seed, delay=slow, judging=random.choice(((1, 1), (1, 20), (20, 300))))
        self.labels = 0
        self.said: list[str] = []

    def note(self, what: str) -> None:
        self.said.append(f"{self.network.now:>7} {what}")

    def make(self, node: int, count: int, pause: int) -> None:
        for _ in range(count):
            self.labels += 1
            host = self.network.nodes[node].host
            parents = host.top()
            if len(parents) > 1 and self.random.random() < 0.3:
                parents = tuple(self.random.sample(parents, self.random.randint(1, len(parents))))
            self.network.nodes[node].make_block(self.labels, parents)
            if pause:
                self.network.run(self.network.now + pause)

    def pairs(self) -> list[tuple[int, int]]:
        return [(one, other) for one in range(self.nodes) for other in range(one)]

    def step(self) -> None:
        random, network = self.random, self.network
        kind = random.random()
        if kind < 0.45:
            node, count, pause = (
                random.randrange(self.nodes),
                random.choice((1, 1, 3, 40)),
                random.choice((0, 1, 30, 300)),
            )
            self.note(f"{node} makes {count}, {pause} ms apart")
            self.make(node, count, pause)
        elif kind < 0.75:
            one, other = random.choice(self.pairs())
            if frozenset((one, other)) in network.links:
                self.note(f"{one} and {other} part")
                network.cut(one, other)
            else:
                self.note(f"{one} and {other} meet")
                network.connect(one, other)
        elif kind < 0.85:
            node = random.randrange(self.nodes)
            self.note(f"{node} cannot keep what it is given for a while")
            network.nodes[node].fails = random.randint(1, 5)
        else:
            network.run(network.now + random.choice((10, 200, 3_000, 30_000)))

    def play(self) -> None:
        for _ in range(self.random.randint(3, 25)):
            self.step()
        self.note("all meet")
        for node in range(1, self.nodes):
            other = self.random.randrange(node)
            if frozenset((node, other)) not in self.network.links:
                self.network.connect(node, other)
        if self.random.random() < 0.5:
            self.make(self.random.randrange(self.nodes), self.random.randint(1, 5), self.random.choice((0, 50)))
        for node in self.network.nodes:
            node.fails = 0
        # In a chain of nodes each may have to catch up before the next one hears of all.
        slowest = 20 * self.network.delay[1] + self.network.judging[1] * self.labels
        self.network.run(self.network.now + QUIET_MS + self.nodes * slowest)

    def explain(self) -> str:
        counts = [len(node.host.blocks) for node in self.network.nodes]
        return "\n".join((*self.said, f"blocks: {counts}, links {sorted(map(sorted, self.network.links))}"))


@pytest.mark.parametrize("hundred", [0, *(pytest.param(number, marks=pytest.mark.slow) for number in range(1, 10))])
def test_nodes_that_stay_linked_end_with_the_same_blocks(hundred: int) -> None:
    for seed in range(100 * hundred, 100 * hundred + 100):
        history = History(seed)
        history.play()
        network = history.network
        assert not any(node.closed for node in network.nodes), f"seed {seed}: nobody did wrong\n{history.explain()}"
        sets = [node.host.blocks.keys() for node in network.nodes]
        assert all(found == sets[0] for found in sets), f"seed {seed}\n{history.explain()}"
        assert not any(node.machine.syncing for node in network.nodes), f"seed {seed}\n{history.explain()}"
        assert not any(node.host.orphans for node in network.nodes)
