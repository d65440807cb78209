"""The core of the simulator: agenda, links and what travels on them, without an engine."""

from __future__ import annotations

from random import Random
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.lab.agenda import Agenda
from node.lab.links import Latency, Links, Partition, regular_graph
from node.lab.wires import Link, Wires
from node.mesh.protocol.forms import weight
from node.mesh.protocol.messages import TRANSACTION, AnyMessage, Given, History, Ping, WholeBlock


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
    """Two nodes or more, in a ring, that note what comes and when."""

    def __init__(
        self, nodes: int = 2, *, loss: int = 0, bytes_per_s: int = 0, cut: Partition | None = None, seed: int = 1
    ) -> None:
        self.agenda = Agenda()
        self.heard: list[tuple[int, int, AnyMessage]] = []
        ring = tuple(((node - 1) % nodes, (node + 1) % nodes) for node in range(nodes))
        links = Links(ring, Latency(200, Random(seed)), loss, [cut] if cut else [], Random(seed + 1))
        self.wires = Wires(self.agenda, links, nodes, bytes_per_s, self.deliver)
        self.link = self.wires.open(0, 1)

    def deliver(self, link: Link, receiver: int, message: AnyMessage) -> None:
        assert link is self.wires.link(receiver, link.beyond(receiver))
        self.heard.append((self.agenda.now, receiver, message))

    def send(self, *messages: AnyMessage) -> None:
        for message in messages:
            self.wires.send(self.link, 0, message)

    @property
    def tokens(self) -> list[int]:
        return [message.token for *_, message in self.heard if isinstance(message, Ping)]


PINGS = [Ping(number) for number in range(300)]
BLOCK = WholeBlock(bytes(400), bytes(100_000))


def test_what_is_sent_arrives_once_and_in_its_order() -> None:
    town = Town()
    town.send(*PINGS)
    town.agenda.run(60_000)
    assert town.tokens == list(range(300))
    assert all(receiver == 1 for _, receiver, _ in town.heard)
    assert town.wires.messages == {Ping: 300}
    assert town.wires.bytes[Ping] == 300 * (weight(Ping(0)) + 5)
    assert town.heard[-1][0] < 1_200


def test_loss_delays_and_loses_nothing() -> None:
    times = {}
    for loss in (0, 100, 300):
        town = Town(loss=loss)
        for number, ping in enumerate(PINGS):
            town.agenda.at(1_000 * number, town.send, ping)
        town.agenda.run(3_600_000)
        assert town.tokens == list(range(300))
        times[loss] = sum(when - 1_000 * number for number, (when, *_) in enumerate(town.heard))
    assert times[0] * 1.1 < times[100] < times[300]


def test_a_large_message_is_lost_in_part_more_often_than_a_small_one() -> None:
    took = []
    for message in (Ping(1), BLOCK):
        town = Town(loss=50)
        for number in range(20):
            town.agenda.at(60_000 * number, town.send, message)
        town.agenda.run(60_000 * 20)
        took.append(sum(when - 60_000 * number for number, (when, *_) in enumerate(town.heard)))
    assert 2 * took[0] < took[1]


def test_a_slow_uplink_sends_the_urgent_first() -> None:
    town = Town(bytes_per_s=10_000)
    name = bytes(32)
    town.send(History((name,) * 300, 0), BLOCK, Given(TRANSACTION, (bytes(2_000),)), Ping(1))
    town.agenda.run(60_000)
    kinds = [type(message) for *_, message in town.heard]
    assert kinds == [Ping, WholeBlock, Given, History]
    assert 10_000 < town.heard[1][0] < 11_500, "a hundred thousand bytes at ten thousand a second"
    town.send(Ping(2))
    before = town.agenda.now
    town.agenda.run(120_000)
    assert town.heard[-1][0] - before < 1_000, "the uplink is free again"


def test_what_is_sent_into_a_partition_waits_for_its_end_or_is_given_up_with_its_link() -> None:
    for given_up in (False, True):
        town = Town(cut=Partition(0, 10_000, (0, 1)))
        town.send(Ping(1))
        town.agenda.run(9_999)
        assert not town.heard
        if given_up:
            town.wires.close(town.link)
            assert town.wires.link(0, 1) is None
            town.wires.open(0, 1)
        town.agenda.run(20_000)
        assert town.tokens == ([] if given_up else [1])


def test_what_is_on_a_link_that_ends_is_lost_and_the_next_link_is_another() -> None:
    town = Town(3)
    town.send(Ping(1))
    town.wires.close(town.link)
    town.send(Ping(2))
    assert town.wires.link(0, 1) is None
    again = town.wires.open(1, 0)
    assert again.number != town.link.number
    town.wires.send(again, 1, Ping(3))
    town.agenda.run(5_000)
    assert town.tokens == [3]
    assert [len(town.wires.of(node)) for node in range(3)] == [1, 1, 0]


@pytest.mark.parametrize("seed", [1, 2])
def test_the_same_draws_give_the_same_times(seed: int) -> None:
    def run() -> list[int]:
        town = Town(loss=seed * 50, bytes_per_s=50_000, seed=seed)
        town.send(BLOCK, *PINGS)
        town.agenda.run(600_000)
        return [when for when, *_ in town.heard]

    assert run() == run()
    assert len(run()) == 301
