"""The core of the simulator: agenda, links and flood, without an engine."""

from __future__ import annotations

from random import Random
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.lab.agenda import Agenda
from node.lab.flood import BLOCK, INVENTORY_BYTES, Flood, Item
from node.lab.links import Latency, Links, Partition, regular_graph


def test_events_happen_by_time_then_in_the_order_they_were_put() -> None:
    agenda = Agenda()
    seen: list[tuple[int, str]] = []
    for when, name in ((30, "c"), (10, "a"), (30, "d"), (20, "b")):
        agenda.at(when, lambda name: seen.append((agenda.now, name)), name)
    agenda.run(25)
    assert seen == [(10, "a"), (20, "b")]
    assert agenda.now == 25
    agenda.run(30)
    assert seen[2:] == [(30, "c"), (30, "d")]
    assert agenda.done == 4


def test_an_event_may_put_others_and_the_past_counts_as_now() -> None:
    agenda = Agenda()
    seen: list[str] = []

    def first() -> None:
        agenda.at(3, seen.append, "late")
        agenda.after(5, seen.append, "later")

    agenda.at(10, first)
    agenda.run(14)
    assert seen == ["late"]
    agenda.run(15)
    assert seen == ["late", "later"]


def test_latency_has_the_median_asked_for_and_a_long_tail() -> None:
    latency = Latency(200, Random(3))
    draws = sorted(latency.draw() for _ in range(20_000))
    assert 195 <= median(draws) <= 205
    assert 400 <= draws[int(len(draws) * 0.95)] <= 480  # 2.2 medians
    assert draws[0] >= 200 * 3**6 // 4**6
    assert draws[-1] <= 200 * 4**6 // 3**6


@given(st.integers(2, 60), st.integers(2, 12), st.integers(0, 1000))
def test_a_graph_is_connected_symmetric_and_of_bounded_degree(nodes: int, degree: int, seed: int) -> None:
    graph = regular_graph(nodes, degree, Random(seed))
    assert graph == regular_graph(nodes, degree, Random(seed))
    assert all(node in graph[peer] and peer != node for node, peers in enumerate(graph) for peer in peers)
    assert all(1 <= len(peers) <= max(2, degree) for peers in graph)
    reached, front = {0}, [0]
    while front:
        for peer in graph[front.pop()]:
            if peer not in reached:
                reached.add(peer)
                front.append(peer)
    assert len(reached) == nodes


class Town:
    """Nodes that forward whatever they get."""

    def __init__(self, nodes: int, *, loss: int = 0, cut: Partition | None = None) -> None:
        self.agenda = Agenda()
        self.up = [True] * nodes
        self.heard: dict[int, int] = {}
        links = Links(
            regular_graph(nodes, 8, Random(1)), Latency(200, Random(2)), loss, [cut] if cut else [], Random(4)
        )
        self.flood = Flood(self.agenda, links, nodes, self.receive, self.up)

    def receive(self, node: int, item: Item, sender: int) -> None:
        assert node not in self.heard, "a node hears of a thing once"
        self.heard[node] = self.agenda.now
        self.flood.forward(node, item)

    def tell(self) -> Item:
        item = self.flood.item(BLOCK, "news", 1000)
        self.flood.hold(0, item)
        self.flood.forward(0, item)
        return item


def test_a_flood_reaches_everybody_once_at_little_more_than_one_event_each() -> None:
    town = Town(200)
    town.tell()
    town.agenda.run(60_000)
    assert len(town.heard) == 199
    assert max(town.heard.values()) < 2_000
    assert town.agenda.done < 2.5 * 200
    assert town.flood.sent[BLOCK] == 199 * 1000
    assert town.flood.sent["inventory"] == INVENTORY_BYTES * sum(len(peers) for peers in town.flood._links.peers)


def test_what_is_lost_on_one_link_comes_by_another() -> None:
    town = Town(100, loss=200)
    town.tell()
    town.agenda.run(60_000)
    assert len(town.heard) == 99


def test_a_partition_holds_what_is_sent_and_a_node_that_is_down_hears_nothing() -> None:
    groups = tuple(node % 2 for node in range(60))
    town = Town(60, cut=Partition(0, 10_000, groups))
    town.up[2] = False
    item = town.tell()
    town.agenda.run(9_999)
    assert set(town.heard) == {node for node in range(1, 60) if node % 2 == 0} - {2}
    assert not town.flood.has(2, item)
    town.agenda.run(10_000)
    town.up[2] = True
    town.flood.forward(0, item, to=range(1, 60))
    town.agenda.run(20_000)
    assert set(town.heard) == set(range(1, 60))


@pytest.mark.parametrize("seed", [1, 2])
def test_the_same_draws_give_the_same_flood(seed: int) -> None:
    def run() -> dict[int, int]:
        town = Town(80, loss=seed * 50)
        town.tell()
        town.agenda.run(60_000)
        return town.heard

    assert run() == run()
