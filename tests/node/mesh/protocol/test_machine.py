"""Gossip, requests and history between machines, and what hostile peers get out of them."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from fake_network import GENESIS, Network, make_block, name_of  # type: ignore[import-not-found]
from hypothesis import given
from hypothesis import strategies as st

from node.encoding.canonical import pack
from node.mesh.protocol import forms, messages
from node.mesh.protocol.effects import Close, Judge, Send
from node.mesh.protocol.hello import SPARING
from node.mesh.protocol.limits import (
    ANNOUNCE_MS,
    FAULTS,
    FIRST_PING_MS,
    HISTORY_MS,
    KNOWN,
    MAX_BLOCKS_IN_FLIGHT,
    MAX_IN_FLIGHT,
    MAX_QUEUED,
    MAX_WISHES,
    MEASURE_MS,
    PATIENCE,
    PING_MS,
    REQUEST_MS,
    SILENCE_MS,
    SPARED_PING_MS,
    SPARED_SILENCE_MS,
)
from node.mesh.protocol.messages import (
    BLOCK,
    TRANSACTION,
    VOTE,
    Absent,
    AskHistory,
    Bye,
    Get,
    Given,
    History,
    Inventory,
    NewBlock,
    Ping,
    Pong,
    WholeBlock,
)
from node.mesh.protocol.peer import Known
from node.mesh.protocol.requests import NEVER


def ring(nodes: int, chords: int = 0, **more: object) -> Network:
    network = Network(nodes, **more)
    for number in range(nodes):
        network.connect(number, (number + 1) % nodes)
    random = Random(nodes)
    for _ in range(chords):
        one, other = random.sample(range(nodes), 2)
        if frozenset((one, other)) not in network.links:
            network.connect(one, other)
    return network


def test_everybody_gets_everything_once() -> None:
    network = ring(12, 12)
    names = {network.nodes[3].make(TRANSACTION, b"payment %d" % number) for number in range(40)}
    names.add(network.nodes[7].make(VOTE, b"vote"))
    made = network.nodes[5].make_block(1)
    network.run(8_000)
    for node in network.nodes:
        assert {name for _, name in node.host.things} == names
        assert made in node.host.blocks
        assert all(count == 1 for count in node.host.judged.values())
        assert not len(node.machine.requests)
        assert not node.closed
    assert network.sent[WholeBlock] == 11, "each of the others is given the block by one peer"
    assert network.sent[NewBlock] < 2 * len(network.links)


def test_inventories_are_gathered_and_the_most_wanted_come_first() -> None:
    network = Network(2)
    network.connect(0, 1)
    network.run(100)
    names = [network.nodes[0].make(TRANSACTION, b"payment %d" % worth, worth) for worth in range(30)]
    network.nodes[0].machine.tick(network.now + ANNOUNCE_MS[TRANSACTION])
    sends = [effect.message for effect in network.nodes[0].machine.take_effects() if isinstance(effect, Send)]
    assert sends == [Inventory(TRANSACTION, tuple(reversed(names)), tuple(reversed(range(30))))]


def test_of_two_things_that_wait_for_a_busy_peer_the_one_worth_more_is_asked_first() -> None:
    alone = Alone()
    plain, dear = ids(MAX_IN_FLIGHT + 20), ids(2, 1_000)
    alone.say(1, Inventory(TRANSACTION, plain, (5,)))
    assert alone.say(1, Inventory(TRANSACTION, dear, (7, 6))) == [], "it owes enough already"
    asked: list[bytes] = []
    for number in range(4):
        for effect in alone.say(1, Given(TRANSACTION, (b"thing %d" % number,))):
            asked += effect.message.names if isinstance(effect, Send) and isinstance(effect.message, Get) else ()
    assert tuple(asked) == (*dear, *plain[MAX_IN_FLIGHT : MAX_IN_FLIGHT + 2])


def test_what_is_worth_least_goes_when_too_much_is_wanted_of_a_peer() -> None:
    alone = Alone()
    for start in range(0, 3_000, 1_000):
        alone.say(1, Inventory(TRANSACTION, ids(1_000, start), (start,)))
    requests = alone.machine.requests
    assert len(requests) == MAX_QUEUED + MAX_IN_FLIGHT
    kept = [any((TRANSACTION, name) in requests for name in ids(1_000, start)) for start in (0, 1_000, 2_000)]
    assert kept == [True, True, True], "of the first, what was asked for before the others came"
    assert sum((TRANSACTION, name) in requests for name in ids(1_000)) == MAX_IN_FLIGHT


def test_a_praised_thing_that_does_not_exist_only_wastes_the_time_of_who_praises_it() -> None:
    alone = Alone(peers=2)
    real = ids(3)
    alone.say(1, Inventory(TRANSACTION, ids(1_000, 50), (messages.MOST,)))
    assert alone.say(2, Inventory(TRANSACTION, real)) == [Send(2, Get(TRANSACTION, real))]


def test_a_new_peer_hears_of_what_waits() -> None:
    network = Network(2)
    names = {network.nodes[0].make(kind, b"thing of kind %d" % kind) for kind in (TRANSACTION, VOTE)}
    network.connect(0, 1)
    network.run(2_000)
    assert {name for _, name in network.nodes[1].host.things} == names


def test_what_a_peer_has_told_is_not_told_back() -> None:
    network = Network(2)
    network.connect(0, 1)
    network.nodes[0].make(TRANSACTION, b"payment")
    network.nodes[0].make_block(1)
    network.run(5_000)
    assert network.sent[Inventory] == 1
    assert network.sent[NewBlock] == 1


@pytest.mark.parametrize("width", [pytest.param(1, marks=pytest.mark.slow), 3])
def test_a_newcomer_learns_a_long_history_in_pages(width: int) -> None:
    network = Network(4, delay=(5, 30))
    old = network.nodes[0]
    for label in range(0, 1_800, width):
        parents = old.host.top()
        for beside in range(width):
            old.add(name_of(pack((parents, label + beside))), *make_block(parents, label + beside))
    network.connect(0, 1)
    network.connect(1, 2)
    network.run(60_000)
    network.connect(3, 1)
    network.connect(3, 2)
    network.run(120_000)
    for node in network.nodes:
        assert node.host.blocks.keys() == old.host.blocks.keys()
        assert not node.machine.syncing
        assert not node.closed
        assert max(node.host.judged.values(), default=1) == 1
    third = network.nodes[3]
    assert len(third.host.judged) == len(old.host.blocks) - 1


def test_halves_that_were_parted_exchange_what_they_made() -> None:
    network = Network(6)
    halves = (0, 1, 2), (3, 4, 5)
    for half in halves:
        network.connect(half[0], half[1])
        network.connect(half[1], half[2])
    for label in range(700):
        network.nodes[0].make_block(label)
        network.nodes[3].make_block(10_000 + label)
        network.run(network.now + 50)
    network.run(network.now + 5_000)
    assert network.nodes[2].host.blocks.keys() == network.nodes[0].host.blocks.keys()
    network.connect(2, 5)
    network.run(network.now + 60_000)
    assert {len(node.host.blocks) for node in network.nodes} == {1_401}
    assert not any(node.machine.syncing or node.closed for node in network.nodes)


def test_a_link_that_ends_in_the_middle_costs_nothing() -> None:
    network = Network(3)
    for label in range(300):
        network.nodes[0].make_block(label)
        network.nodes[1].host.blocks = dict(network.nodes[0].host.blocks)
    network.connect(2, 0)
    network.run(400)
    assert 1 < len(network.nodes[2].host.blocks) < 301
    network.cut(2, 0)
    network.connect(2, 1)
    network.run(30_000)
    assert len(network.nodes[2].host.blocks) == 301


# -- one machine, and peers that say what they like -----------------------------------------------------------------


class Alone:
    """A machine whose peers are scripted; numbers 1, 2, … stand for their links, whose delays were just measured."""

    def __init__(self, peers: int = 1) -> None:
        self.network = Network(2)
        self.node = self.network.nodes[0]
        self.host, self.machine = self.node.host, self.node.machine
        self.now = 1_000
        for number in range(1, peers + 1):
            self.machine.connected(number, self.network.nodes[1].hello, True, self.now)
        for effect in self.wait(FIRST_PING_MS):
            if isinstance(effect, Send) and isinstance(effect.message, Ping):
                self.say(effect.peer, Pong(effect.message.token))

    def say(self, peer: int, *said: messages.AnyMessage) -> list[object]:
        for message in said:
            self.machine.received(peer, messages.NUMBERS[type(message)], forms.encode(message), self.now)
        return self.effects()

    def wait(self, ms: int) -> list[object]:
        self.now += ms
        self.machine.tick(self.now)
        return self.effects()

    def effects(self) -> list[object]:
        return list(self.machine.take_effects())


def ids(count: int, start: int = 0) -> tuple[bytes, ...]:
    return tuple(name_of(b"thing %d" % number) for number in range(start, start + count))


def test_a_thing_is_asked_of_one_peer_and_of_the_next_when_it_does_not_come() -> None:
    alone = Alone(peers=3)
    (name,) = ids(1)
    said = Inventory(TRANSACTION, (name,))
    assert alone.say(1, said) == [Send(1, Get(TRANSACTION, (name,)))]
    assert alone.say(2, said) == alone.say(3, said) == []
    assert alone.wait(REQUEST_MS - 1) == []
    assert alone.wait(1) == [Send(2, Get(TRANSACTION, (name,)))]
    assert alone.say(2, Absent(TRANSACTION, (name,))) == [Send(3, Get(TRANSACTION, (name,)))]
    judge = alone.say(3, Given(TRANSACTION, (b"thing 0",)))
    assert judge == [Judge(3, TRANSACTION, name, (b"thing 0",))]
    assert not len(alone.machine.requests)


def test_who_announced_and_did_not_give_is_not_waited_for_again() -> None:
    alone = Alone(peers=2)
    first, second, third = ids(3)
    alone.say(1, Inventory(TRANSACTION, (first,)))
    alone.wait(PATIENCE * REQUEST_MS)
    assert alone.say(1, Inventory(TRANSACTION, (second,))) == [Send(1, Get(TRANSACTION, (second,)))], (
        "nobody else has it"
    )
    assert alone.say(2, Inventory(TRANSACTION, (second,))) == [Send(2, Get(TRANSACTION, (second,)))]
    (judge,) = alone.say(1, Given(TRANSACTION, (b"thing 1",)))
    assert isinstance(judge, Judge), "it may still give it"
    alone.machine.judged(1, alone.now)
    alone.say(1, Inventory(TRANSACTION, (third,)))
    assert len(alone.say(2, Inventory(TRANSACTION, (third,)))) == 1, "once is not enough"
    alone.say(1, Given(TRANSACTION, (b"thing 2",)))
    (name,) = ids(1, 7)
    alone.say(1, Inventory(TRANSACTION, (name,)))
    assert alone.say(2, Inventory(TRANSACTION, (name,))) == []


def test_of_several_the_one_that_gave_least_in_vain_is_asked() -> None:
    alone = Alone(peers=4)
    for peer in (1, 2, 3):
        alone.say(peer, Inventory(TRANSACTION, ids(1, peer)))
    alone.wait(PATIENCE * REQUEST_MS)
    (name,) = ids(1, 50)
    for peer in (1, 2, 3):
        alone.say(peer, Inventory(TRANSACTION, (name,)))
    assert alone.say(4, Inventory(TRANSACTION, (name,))) == [Send(4, Get(TRANSACTION, (name,)))], "and not 2 or 3"
    alone.machine.disconnected(4, alone.now)
    (again,) = alone.effects()
    assert isinstance(again, Send)
    assert again.peer in (2, 3), "who failed before is asked where there is nobody else"


def test_a_late_answer_is_taken_while_the_thing_is_wanted() -> None:
    alone = Alone(peers=2)
    (name,) = ids(1)
    alone.say(1, Inventory(TRANSACTION, (name,)))
    alone.say(2, Inventory(TRANSACTION, (name,)))
    alone.wait(REQUEST_MS)
    assert alone.say(1, Given(TRANSACTION, (b"thing 0",))) == [Judge(1, TRANSACTION, name, (b"thing 0",))]
    assert not len(alone.machine.requests)


def test_an_answer_that_comes_when_nobody_waits_any_more_is_taken_and_no_fault() -> None:
    alone = Alone()
    alone.say(1, Inventory(TRANSACTION, ids(50)))
    alone.wait(PATIENCE * REQUEST_MS)
    assert not len(alone.machine.requests)
    faults = alone.machine.peers[1].faults
    assert faults <= 1, "a link that stalls once is one fault at most, whatever it owes"
    for number in range(50):
        (judge,) = alone.say(1, Given(TRANSACTION, (b"thing %d" % number,)))
        assert isinstance(judge, Judge)
    assert alone.machine.peers[1].faults == faults
    assert alone.say(1, Given(TRANSACTION, (b"thing 0",))) == [], "not twice"
    assert alone.machine.peers[1].faults > faults


def test_a_slow_peer_that_gives_one_thing_after_the_other_keeps_its_turn() -> None:
    alone = Alone()
    alone.say(1, Inventory(TRANSACTION, ids(10)))
    for number in range(10):
        alone.wait(PATIENCE * REQUEST_MS - 1)
        (effect,) = alone.say(1, Given(TRANSACTION, (b"thing %d" % number,)))
        assert isinstance(effect, Judge)
    assert alone.machine.peers[1].faults == 0


def test_what_nobody_gives_is_forgotten() -> None:
    alone = Alone()
    alone.say(1, Inventory(TRANSACTION, ids(5)))
    alone.wait(REQUEST_MS)
    assert len(alone.machine.requests) == 5, "the only one who has it may be slow"
    alone.wait((PATIENCE - 1) * REQUEST_MS)
    assert not len(alone.machine.requests)


def test_a_peer_that_goes_leaves_its_debts_to_others() -> None:
    alone = Alone(peers=2)
    (name,) = ids(1)
    alone.say(1, Inventory(TRANSACTION, (name,)))
    alone.say(2, Inventory(TRANSACTION, (name,)))
    alone.machine.disconnected(1, alone.now)
    assert alone.effects() == [Send(2, Get(TRANSACTION, (name,)))]


def test_an_announcer_of_what_does_not_exist_keeps_nobody_from_being_asked() -> None:
    alone = Alone(peers=2)
    for start in range(0, 10_000, 1_000):
        alone.say(1, Inventory(TRANSACTION, ids(1_000, start)))
        assert len(alone.machine.requests) <= MAX_QUEUED + MAX_IN_FLIGHT
    (name,) = ids(1, 20_000)
    assert alone.say(2, Inventory(TRANSACTION, (name,))) == [Send(2, Get(TRANSACTION, (name,)))]
    effects: list[object] = []
    for _ in range(20):
        effects += alone.wait(PATIENCE * REQUEST_MS)
        effects += alone.say(2, Ping(1))
    assert any(isinstance(effect, Close) and effect.peer == 1 for effect in effects), "too much of it was vain"
    assert 2 in alone.machine.peers


def test_what_many_peers_want_of_a_node_is_bounded_in_all() -> None:
    flooding = 30
    alone = Alone(peers=flooding + 1)
    start = 0
    for _ in range(3):
        for peer in range(1, flooding + 1):
            for kind in (TRANSACTION, VOTE, BLOCK):
                start += 1_000
                alone.say(peer, Inventory(kind, ids(1_000, start)))
    asked = flooding * (2 * MAX_IN_FLIGHT + MAX_BLOCKS_IN_FLIGHT)
    assert MAX_WISHES < len(alone.machine.requests) <= 2 * MAX_WISHES + asked
    (name,) = ids(1, start + 1_000)
    honest = flooding + 1
    assert alone.say(honest, Inventory(BLOCK, (name,))) == [Send(honest, Get(BLOCK, (name,)))]


def test_what_is_remembered_of_a_peer_is_bounded() -> None:
    known = Known()
    assert b"a" * 32 not in known
    names = ids(10 * KNOWN, 0)
    assert all(known.add(name) for name in names)
    assert not any(known.add(name) for name in names[-1:])
    kept = sum(name in known for name in names)
    assert KNOWN * 0.9 < kept <= KNOWN
    assert sum(name in known for name in names[-500:]) > 400, "the newest are"


def test_a_bad_link_is_no_fault_of_the_peer() -> None:
    """Everything is late, much of it comes after it was given up, and is taken."""
    alone = Alone()
    thing = b"payment of a phone under ground"
    effects: list[object] = []
    for number in range(100):
        alone.say(1, Inventory(TRANSACTION, ids(50, number * 50)))
        effects += alone.wait(PATIENCE * REQUEST_MS + 1)
        effects += alone.say(1, Ping(number))
    assert not any(isinstance(effect, Close) for effect in effects)
    alone.say(1, Inventory(TRANSACTION, (name_of(thing),)))
    alone.wait(PATIENCE * REQUEST_MS + 1)
    assert (TRANSACTION, name_of(thing)) not in alone.machine.requests
    assert any(isinstance(effect, Judge) for effect in alone.say(1, Given(TRANSACTION, (thing,))))


def test_an_answer_about_history_that_is_late_is_taken() -> None:
    alone = Alone()
    alone.machine.peers[1].behind = True
    asked: list[object] = []
    for _ in range(3):
        asked += alone.wait(HISTORY_MS)
        alone.say(1, Ping(1))
    assert sum(isinstance(effect, Send) and isinstance(effect.message, AskHistory) for effect in asked) == 3
    (name,) = ids(1)
    alone.say(1, *[History((), 0)] * 2)
    assert alone.say(1, History((name,), 0)) == [Send(1, Get(BLOCK, (name,)))]
    assert alone.machine.peers[1].faults <= 3


def test_no_peer_owes_more_than_the_limit() -> None:
    alone = Alone()
    (asked,) = alone.say(1, Inventory(TRANSACTION, ids(900)))
    assert isinstance(asked, Send)
    assert isinstance(asked.message, Get)
    assert len(asked.message.names) == MAX_IN_FLIGHT
    alone = Alone()
    said = tuple(NewBlock(make_block((GENESIS,), number)[0]) for number in range(50))
    asked_blocks = [name for effect in alone.say(1, *said) for name in effect.message.names]  # type: ignore[attr-defined]
    assert len(asked_blocks) == MAX_BLOCKS_IN_FLIGHT


def test_what_was_not_asked_for_is_not_judged() -> None:
    alone = Alone()
    for number in range(FAULTS // 5 + 1):
        effects = alone.say(1, Given(TRANSACTION, (b"unasked %d" % number,)), WholeBlock(*make_block((), number)))
        assert not any(isinstance(effect, Judge) for effect in effects)
    assert 1 not in alone.machine.peers


def test_a_bad_thing_ends_the_link_and_is_told_to_nobody() -> None:
    network = ring(4)
    bad = b"bad thing"
    network.nodes[0].make(TRANSACTION, bad)
    network.run(5_000)
    assert [closed.code for node in network.nodes[1:] for closed in node.closed] == ["bad", "bad"]
    assert all(closed.ban_ms > 0 for node in network.nodes for closed in node.closed)
    assert not network.nodes[2].host.things


def test_pings_are_answered_and_who_is_silent_goes() -> None:
    alone = Alone(peers=2)
    assert alone.say(1, Ping(77)) == [Send(1, Pong(77))]
    pings: dict[int, Any] = {each.peer: each.message for each in alone.wait(PING_MS) if isinstance(each, Send)}
    assert set(pings) == {1, 2}
    alone.now += 45
    assert alone.say(1, Pong(pings[1].token)) == []
    assert alone.machine.peers[1].delay_ms == 45
    effects = alone.wait(SILENCE_MS - PING_MS - 45)
    assert [effect for effect in effects if isinstance(effect, Close)] == [
        Close(2, "silent", "It was not heard for too long.", 0)
    ]


def test_a_phone_is_pinged_rarely_by_either_side() -> None:
    alone = Alone(peers=2)
    alone.machine.peers[1].hello = alone.machine.peers[1].hello._replace(services=SPARING)
    assert {each.peer for each in alone.wait(PING_MS) if isinstance(each, Send)} == {2}
    assert {each.peer for each in alone.wait(SILENCE_MS - PING_MS) if isinstance(each, Close)} == {2}
    pings = [each for each in alone.wait(SPARED_PING_MS - SILENCE_MS) if isinstance(each, Send)]
    assert [each.peer for each in pings] == [1]
    assert [type(each) for each in alone.wait(SPARED_SILENCE_MS - SPARED_PING_MS)] == [Close]
    sparing = Alone()
    sparing.machine.sparing = True
    assert sparing.wait(SILENCE_MS) == []


def test_what_is_not_wanted_is_not_asked_for() -> None:
    network = Network(2)
    saving = network.nodes[1]
    saving.machine.wanted = frozenset((VOTE,))
    network.connect(0, 1)
    there = network.nodes[0]
    vote, paid, block = there.make(VOTE, b"a vote"), there.make(TRANSACTION, b"a payment"), there.make_block(1)
    own = saving.make(TRANSACTION, b"one's own payment")
    network.run(60_000)
    assert saving.host.has(VOTE, vote)
    assert not saving.host.has(TRANSACTION, paid)
    assert not saving.host.has(BLOCK, block)
    assert there.host.has(TRANSACTION, own), "what one has oneself is given all the same"
    assert not saving.closed
    assert not there.closed


def test_the_delay_of_a_busy_link_is_measured_soon_and_now_and_then() -> None:
    alone = Alone(peers=0)
    alone.machine.connected(1, alone.network.nodes[1].hello, True, alone.now)
    measured = []
    for second in range(2 * MEASURE_MS // 1_000):
        alone.say(1, Ping(second))  # it is never silent
        for effect in alone.wait(1_000):
            if isinstance(effect, Send) and isinstance(effect.message, Ping):
                measured.append(second)
                alone.now += 7
                alone.say(1, Pong(effect.message.token))
    assert alone.machine.peers[1].delay_ms == 7
    assert measured == [0, MEASURE_MS // 1_000]


def test_a_farewell_ends_the_link_without_a_ban() -> None:
    alone = Alone()
    assert alone.say(1, Bye("stopping", "The node stops.")) == [Close(1, "stopping", "The node stops.", 0)]
    assert alone.say(1, Ping(1)) == []


@pytest.mark.parametrize(
    ("kind", "body", "code"),
    [
        (99, b"", "unknown_type"),
        (1, b"", "bad_encoding"),
        (1, pack(()), "bad_form"),
        (1, pack((b"x",)), "bad_form"),
        (10, pack((9, (), (0,))), "unknown_kind"),
        (10, pack((0, (b"short",), (0,))), "bad_form"),
        (10, pack((0, (bytes(32), bytes(32)), (0,))), "bad_form"),
        (10, pack((0, (bytes(32),), ())), "bad_form"),
        (10, pack((0, (bytes(32),), (1, 0))), "bad_form"),
        (10, pack((0, (bytes(32), bytes([1]) * 32), (0, 1))), "bad_form"),
        (10, pack((0, (bytes(32),), (1 << 63,))), "bad_form"),
        (10, pack((0, (bytes(32),), (b"",))), "bad_form"),
        (11, pack((0, tuple(number.to_bytes(32) for number in range(129)))), "bad_form"),
        (13, pack((0, ())), "bad_form"),
        (3, pack(("x" * 33, ""))[:], "bad_form"),
        (14, pack((b"\xc1",)), "bad_header"),
        (31, pack(((("host", 0, bytes(32)),),)), "bad_form"),
        (31, pack(((("", 1, bytes(32)),),)), "bad_form"),
    ],
)
def test_what_no_honest_node_says_ends_the_link(kind: int, body: bytes, code: str) -> None:
    alone = Alone()
    alone.machine.received(1, kind, body, alone.now)
    (effect,) = alone.effects()
    assert isinstance(effect, Close)
    assert effect.code == code
    assert effect.ban_ms > 0
    assert not alone.machine.peers


def test_who_talks_too_much_goes() -> None:
    alone = Alone()
    for _ in range(200):
        alone.say(1, Ping(1))
    assert 1 not in alone.machine.peers


def test_an_honest_node_never_passes_the_rates_itself() -> None:
    """Much more is made than the rates allow to announce: it is held back, in order, and nobody is found guilty."""
    network = Network(2, delay=(1, 1))
    network.connect(0, 1)
    network.run(10)
    tips: tuple[bytes, ...] = (GENESIS,)
    for label in range(2_000):
        tips = (network.nodes[0].make_block(label, tips),)
    network.run(240_000)
    assert not network.nodes[0].closed
    assert not network.nodes[1].closed
    assert len(network.nodes[1].host.blocks) == 2_001


def test_a_block_that_could_not_be_taken_is_named_again() -> None:
    alone = Alone()
    header, body = make_block((GENESIS,), 1)
    alone.say(1, NewBlock(header))
    (judge,) = alone.say(1, WholeBlock(header, body))
    assert isinstance(judge, Judge)
    alone.machine.judged(1, alone.now, lost=True)
    (asked,) = alone.effects()
    assert isinstance(asked, Send)
    assert isinstance(asked.message, AskHistory)
    (wanted,) = alone.say(1, History((judge.name,), 0))
    assert wanted == Send(1, Get(BLOCK, (judge.name,)))


def test_a_block_that_was_announced_and_not_given_is_named_again_by_history() -> None:
    alone = Alone()
    header, _ = make_block((GENESIS,), 1)
    (asked,) = alone.say(1, NewBlock(header))
    assert isinstance(asked, Send)
    alone.machine.peers[1].behind = False
    effects = alone.wait(PATIENCE * REQUEST_MS)
    assert [type(effect.message) for effect in effects if isinstance(effect, Send)] == [AskHistory]


def test_history_that_leads_nowhere_is_not_asked_for_for_ever() -> None:
    alone = Alone()
    alone.machine.peers[1].behind = True
    asked = alone.wait(1)
    assert [type(effect.message) for effect in asked if isinstance(effect, Send)] == [AskHistory]
    effects = alone.say(1, History((GENESIS,), 1))
    assert effects == []
    assert alone.wait(PING_MS // 2) == []


def test_history_that_nobody_asked_for_is_a_fault() -> None:
    alone = Alone()
    for number in range(FAULTS // 5 + 1):
        alone.say(1, History(ids(1, number), 0))
    assert 1 not in alone.machine.peers


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 40), st.binary(max_size=80)), max_size=30))
def test_no_bytes_bring_the_machine_down(frames: list[tuple[int, int, bytes]]) -> None:
    alone = Alone(peers=3)
    for peer, kind, body in frames:
        alone.machine.received(peer, kind, body, alone.now)
        alone.now += 7
    alone.wait(REQUEST_MS)
    for effect in alone.effects():
        assert isinstance(effect, Send | Close | Judge)


_names = st.lists(st.sampled_from(ids(12)), unique=True, max_size=6).map(tuple)
_kinds = st.sampled_from(messages.KINDS)
_things = st.sampled_from([b"thing %d" % number for number in range(12)])
_said = st.one_of(
    st.builds(Inventory, _kinds, _names, st.integers(0, 9).map(lambda worth: (worth,))),
    st.builds(Get, _kinds, _names),
    st.builds(Absent, _kinds, _names),
    st.builds(
        Given,
        _kinds,
        st.lists(st.sampled_from([b"thing %d" % n for n in range(12)]), min_size=1, max_size=3).map(tuple),
    ),
    st.builds(NewBlock, st.integers(0, 5).map(lambda n: make_block((GENESIS,), n)[0])),
    st.integers(0, 5).map(lambda n: WholeBlock(*make_block((GENESIS,), n))),
    st.builds(History, _names, st.integers(0, 1)),
    st.builds(Ping, st.integers(0, 9)),
)


@given(st.lists(st.one_of(st.tuples(st.integers(1, 3), _said), st.integers(1, 3_000)), max_size=60))
def test_whatever_is_said_in_good_form_the_books_stay_straight(steps: list[Any]) -> None:
    alone = Alone(peers=3)
    for step in steps:
        if isinstance(step, int):
            alone.wait(step)
            continue
        number, message = step
        for effect in alone.say(number, message):
            if isinstance(effect, Judge):
                alone.host.judging.add(effect.name)
                alone.node.judge(effect)
    requests = alone.machine.requests
    alone.wait(REQUEST_MS)
    for _ in range(12):
        alone.wait(PATIENCE * REQUEST_MS)
    assert not len(requests), "every wish ends: granted, or without sources"
    assert requests.due_ms == NEVER
    for peer in alone.machine.peers.values():
        assert peer.judging == 0
