"""Circuits: two ends and a relay that speak to each other, honest ones and others."""

from __future__ import annotations

from collections import defaultdict
from random import Random

import pytest

from node.mesh.protocol.circuits import Came, Circuits, Ended, Offered, Opened, Room
from node.mesh.protocol.effects import Send
from node.mesh.protocol.limits import (
    CIRCUIT_ANSWER_MS,
    CIRCUIT_COST,
    CIRCUIT_CREDIT,
    CIRCUIT_IDLE_MS,
    CIRCUIT_LIFE_MS,
    CIRCUIT_VOLUME,
    CIRCUIT_WINDOW,
    LIMITS,
    MAX_CIRCUITS,
    MAX_LINK_CIRCUITS,
    OWN_PERCENT,
)
from node.mesh.protocol.messages import (
    MAX_CIRCUIT_DATA,
    AnswerCircuit,
    AskCircuit,
    CircuitCredit,
    CircuitData,
    CircuitMessage,
    EndCircuit,
    OfferCircuit,
    WireError,
)

ALICE, RELAY, BOB = (bytes([number]) * 32 for number in (1, 2, 3))
A, R, B = 1, 2, 3


class World:
    """Alice and Bob, who have both called the relay. A node's links are numbered by the other node's number."""

    def __init__(self) -> None:
        self.now = 0
        self.nodes = {number: Circuits(0) for number in (A, R, B)}
        self.nodes[R].relaying = True
        self.got: defaultdict[int, bytes] = defaultdict(bytes)
        self.seen: list[tuple[int, object]] = []
        self.take_all = True
        self.sent: list[tuple[int, int, CircuitMessage]] = []
        for number, node in ((A, ALICE), (B, BOB)):
            self.nodes[number].connected(R, RELAY, False, True, 0)
            self.nodes[R].connected(number, node, True, True, 0)

    def run(self) -> None:
        """Carry all that is to be said, until nobody has anything to say."""
        while pending := [(number, node.take_effects()) for number, node in self.nodes.items() if node.effects]:
            for number, effects in pending:
                for effect in effects:
                    self.do(number, effect)

    def do(self, number: int, effect: object) -> None:
        if isinstance(effect, Send):
            message = effect.message
            assert isinstance(message, CircuitMessage)
            self.sent.append((number, effect.peer, message))
            self.nodes[effect.peer].take(number, message, self.now)
            return
        self.seen.append((number, effect))
        match effect:
            case Came(peer, circuit, data):
                self.got[number] += data
                if self.take_all:
                    self.nodes[number].took(peer, circuit, data)
            case Offered(peer, circuit, _):
                self.nodes[number].accept(peer, circuit)
            case _:
                pass

    def open(self) -> tuple[int, int]:
        """A circuit from Alice to Bob: its numbers at both."""
        number = self.nodes[A].ask(R, BOB, self.now)
        assert number is not None
        self.run()
        offers = [effect for owner, effect in self.seen if owner == B and isinstance(effect, Offered)]
        assert (A, Opened(R, number)) in self.seen
        return number, offers[-1].number

    def tick(self, later_ms: int) -> None:
        self.now += later_ms
        for node in self.nodes.values():
            node.tick(self.now)
        self.run()

    def legs(self) -> int:
        """Legs that are remembered anywhere."""
        return sum(len(link.legs) for node in self.nodes.values() for link in node._links.values())


def send_all(world: World, data: bytes, number: int, sender: int = A) -> None:
    """Send as the window allows."""
    while data:
        taken = world.nodes[sender].write(R, number, data)
        data = data[taken:]
        world.run()
        if not taken:
            world.tick(250)


def test_what_is_sent_at_one_end_comes_out_at_the_other_both_ways() -> None:
    world = World()
    here, there = world.open()
    there_data, back = Random(1).randbytes(700_000), Random(2).randbytes(300_000)
    send_all(world, there_data, here)
    send_all(world, back, there, B)
    assert world.got == {A: back, B: there_data}
    assert world.nodes[R].relayed == len(there_data) + len(back)
    world.nodes[A].end(R, here, "closed")
    world.run()
    assert (B, Ended(R, there, "closed")) in world.seen
    assert world.legs() == 0
    assert len(world.nodes[R]) == 0


def test_who_does_not_take_is_sent_no_more_than_a_window() -> None:
    world = World()
    world.take_all = False
    here, there = world.open()
    assert world.nodes[A].write(R, here, bytes(1 << 20)) < CIRCUIT_WINDOW
    world.run()
    assert world.nodes[A].write(R, here, b"more") == 0
    held = world.got[B]
    assert CIRCUIT_WINDOW - MAX_CIRCUIT_DATA - CIRCUIT_COST < len(held) < CIRCUIT_WINDOW
    world.nodes[B].took(R, there, held)
    world.run()
    assert (A, Room(R, here)) in world.seen
    assert world.nodes[A].write(R, here, b"more") == 4


def test_a_circuit_carries_its_share_a_minute_and_loses_nothing() -> None:
    world = World()
    here, _ = world.open()
    data = Random(3).randbytes(CIRCUIT_VOLUME + 400_000)
    send_all(world, data, here)
    assert world.got[B] == data
    assert world.now > 1_000, "what is beyond the first minute's worth has to wait"


@pytest.mark.parametrize("reason", ["off", "not_here", "itself", "busy"])
def test_a_relay_says_plainly_why_there_is_no_circuit(reason: str) -> None:
    world, target, code = World(), BOB, reason
    if reason == "off":
        world.nodes[R].relaying = False
    elif reason == "not_here":
        world.nodes[R].gone(B, 0)
    elif reason == "itself":
        target, code = ALICE, "not_here"
    else:
        for _ in range(MAX_LINK_CIRCUITS):
            world.open()
        assert world.nodes[A].ask(R, BOB, 0) is None, "a link carries no more"
        world.nodes[R].connected(9, b"9" * 32, True, True, 0)
        world.nodes[R].take(9, AskCircuit(1, BOB), 0)
        assert world.nodes[R].take_effects() == [Send(9, AnswerCircuit(1, "busy"))]
        return
    number = world.nodes[A].ask(R, target, 0)
    assert number is not None
    world.run()
    assert (A, Ended(R, number, code)) in world.seen
    assert world.legs() == 0


def test_the_other_end_may_refuse() -> None:
    world = World()
    world.nodes[A].ask(R, BOB, 0)
    for node in (A, R):
        for effect in world.nodes[node].take_effects():
            world.do(node, effect)
    ((offered),) = world.nodes[B].take_effects()
    assert isinstance(offered, Offered)
    assert offered.node == ALICE
    world.nodes[B].refuse(R, offered.number, "banned")
    world.run()
    assert (A, Ended(R, 1, "banned")) in world.seen
    assert world.legs() == 0


def test_a_circuit_does_not_run_through_another() -> None:
    world = World()
    world.nodes[R].connected(7, b"7" * 32, True, False, 0)
    world.nodes[R].take(7, AskCircuit(1, BOB), 0)
    assert world.nodes[R].take_effects() == [Send(7, AnswerCircuit(1, "off"))]
    world.nodes[A].ask(R, b"7" * 32, 0)
    world.run()
    assert (A, Ended(R, 1, "not_here")) in world.seen


@pytest.mark.parametrize(
    ("wait", "code"), [(CIRCUIT_IDLE_MS, "idle"), (CIRCUIT_LIFE_MS, "old"), (CIRCUIT_ANSWER_MS, "no_answer")]
)
def test_time_ends_what_is_silent_old_or_not_answered(wait: int, code: str) -> None:
    world = World()
    if code == "no_answer":
        world.nodes[A].ask(R, BOB, 0)
        for node in (A, R):
            for effect in world.nodes[node].take_effects():
                world.do(node, effect)
        world.nodes[B].take_effects()  # Bob hears of it and says nothing
    else:
        here, _ = world.open()
    if code == "old":
        for _ in range(wait // 60_000 - 1):
            world.tick(60_000)
            send_all(world, b"ping", here)
        wait = 60_000
    world.tick(wait - 1)
    assert len(world.nodes[R]) == 1
    world.tick(1)
    ends = [effect for _, effect in world.seen if isinstance(effect, Ended)]
    assert {effect.code for effect in ends} == {code}
    assert len(world.nodes[R]) == 0
    assert world.legs() == 0


@pytest.mark.parametrize("lost", [A, B])
def test_a_lost_link_ends_the_circuit_at_the_other_end(lost: int) -> None:
    world = World()
    world.open()
    other = A + B - lost
    world.nodes[R].gone(lost, 0)
    world.nodes[lost].gone(R, 0)
    world.run()
    assert {owner for owner, effect in world.seen if isinstance(effect, Ended)} == {lost, other}
    assert world.legs() == 0


def test_ends_that_cross_leave_nothing_behind() -> None:
    world = World()
    here, there = world.open()
    world.nodes[A].write(R, here, b"last words")
    world.nodes[A].end(R, here, "closed")
    world.nodes[B].write(R, there, b"last words too")
    world.nodes[B].end(R, there, "closed")
    world.run()
    assert world.legs() == 0
    number = world.nodes[A].ask(R, BOB, 0)
    world.nodes[A].end(R, number or 0, "closed")  # before any answer
    world.run()
    assert world.legs() == 0


def circuit_at_the_relay() -> World:
    """A circuit between Alice and Bob, number 1 at Alice's link and 2 at Bob's."""
    world = World()
    assert world.open() == (1, 2)
    return world


def say_all(node: Circuits, sender: int, said: list[CircuitMessage]) -> None:
    for message in said:
        node.take(sender, message, 0)


BREAKS: dict[str, list[CircuitMessage]] = {
    "data for a circuit that does not exist": [CircuitData(5, b"x")],
    "credit for one that does not exist": [CircuitCredit(5, CIRCUIT_CREDIT)],
    "an answer to what was not offered": [AnswerCircuit(2, "")],
    "an answer to one's own question": [AnswerCircuit(1, "")],
    "an end of what never was": [EndCircuit(5, "")],
    "a number of the other side's": [AskCircuit(4, BOB)],
    "a number again": [AskCircuit(1, BOB)],
    "a number that goes back": [AskCircuit(9, b"?" * 32), AskCircuit(7, BOB)],
    "more than the window": [CircuitData(1, bytes(MAX_CIRCUIT_DATA))] * 4,
    "tiny pieces beyond the window": [CircuitData(1, b"x")] * (CIRCUIT_WINDOW // CIRCUIT_COST + 1),
    "credit that is not owed": [CircuitCredit(1, CIRCUIT_CREDIT)],
    "credit that is too little": [CircuitCredit(1, 1)],
    "data after the end": [EndCircuit(1, ""), CircuitData(1, b"x")],
    "data before the circuit is there": [AskCircuit(3, BOB), CircuitData(3, b"x")],
    "two ends": [EndCircuit(1, ""), EndCircuit(1, ""), CircuitData(1, b"x")],
}


@pytest.mark.parametrize("how", BREAKS)
def test_what_no_honest_end_says_is_found_out_by_the_relay(how: str) -> None:
    relay = circuit_at_the_relay().nodes[R]
    with pytest.raises(WireError):
        say_all(relay, A, BREAKS[how])


FROM_A_RELAY: dict[str, list[CircuitMessage]] = {
    "data for a circuit that does not exist": [CircuitData(2, b"x")],
    "more than the window": [CircuitData(1, bytes(MAX_CIRCUIT_DATA))] * 4,
    "an answer twice": [AnswerCircuit(1, "")],
    "credit beyond the window": [CircuitCredit(1, CIRCUIT_CREDIT)],
    "an offer under a number of the other side's": [OfferCircuit(3, BOB)],
}


@pytest.mark.parametrize("how", FROM_A_RELAY)
def test_a_lying_relay_is_found_out_by_the_end(how: str) -> None:
    world = circuit_at_the_relay()
    world.take_all = False
    with pytest.raises(WireError):
        say_all(world.nodes[A], R, FROM_A_RELAY[how])


def test_thousands_of_questions_and_offers_make_nothing_grow() -> None:
    world = World()
    relay, bob = world.nodes[R], world.nodes[B]
    for peer in range(10, 210):
        relay.connected(peer, bytes([peer % 256, 1]) * 16, True, True, 0)
        for number in range(1, 41, 2):
            relay.take(peer, AskCircuit(number, BOB), 0)
    relay.gone(B, 0)
    relay.connected(B, BOB, True, True, 0)
    for peer in range(10, 210):
        for number in range(41, 81, 2):
            relay.take(peer, AskCircuit(number, bytes([(peer + 1) % 256, 1]) * 16), 0)
    assert len(relay) <= MAX_CIRCUITS
    assert max(len(link.legs) for link in relay._links.values()) <= MAX_LINK_CIRCUITS
    for number in range(2, 4_002, 2):
        bob.take(R, OfferCircuit(number, ALICE), 0)
    assert len([effect for effect in bob.take_effects() if isinstance(effect, Offered)]) == MAX_LINK_CIRCUITS


def test_to_ask_and_not_to_use_takes_nothing_from_others() -> None:
    world = World()
    here, _ = world.open()
    for peer in range(10, 60):
        world.nodes[R].connected(peer, bytes([peer]) * 32, True, True, 0)
        for number in range(1, 49, 2):
            world.nodes[R].take(peer, AskCircuit(number, bytes([peer + 1]) * 32), 0)
    world.nodes[R].take_effects()
    send_all(world, bytes(1 << 20), here)
    assert len(world.got[B]) == 1 << 20
    assert world.now == 0, "nothing had to wait"


def test_all_circuits_together_carry_their_share_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.mesh.protocol.circuits.RELAYED_VOLUME", 1 << 20)
    world = World()
    for number in [world.open()[0] for _ in range(2)]:
        send_all(world, bytes(700_000), number)
    assert world.nodes[R].relayed == 2 * 700_000
    assert world.now > 10_000, "what is beyond the first minute's worth has to wait"


def test_a_relay_offers_no_faster_than_the_limits_allow() -> None:
    world = World()
    relay = world.nodes[R]
    offers = 0
    for peer in range(10, 60):
        relay.connected(peer, bytes([peer]) * 32, True, True, 0)
        for number in range(1, 21, 2):
            relay.take(peer, AskCircuit(number, BOB), 0)
            for effect in relay.take_effects():
                if isinstance(effect, Send) and isinstance(effect.message, OfferCircuit):
                    offers += 1
                    relay.take(B, AnswerCircuit(effect.message.circuit, "no"), 0)
    assert offers == LIMITS[OfferCircuit].rate * OWN_PERCENT // 100


def test_any_order_of_honest_steps_ends_clean() -> None:
    for seed in range(150):
        random, world = Random(seed), World()
        open_ends: list[tuple[int, int]] = []
        for _ in range(60):
            match random.randrange(6):
                case 0:
                    asker, target = random.choice([(A, BOB), (B, ALICE)])
                    number = world.nodes[asker].ask(R, target, world.now)
                    if number is not None:
                        open_ends.append((asker, number))
                case 1 if open_ends:
                    owner, number = random.choice(open_ends)
                    world.nodes[owner].write(R, number, bytes(random.randrange(1, 30_000)))
                case 2 if open_ends:
                    owner, number = random.choice(open_ends)
                    world.nodes[owner].end(R, number, "closed")
                case 3:
                    world.tick(random.choice([10, 300, 20_000]))
                case _:
                    for number in random.sample([A, R, B], 3):
                        for effect in world.nodes[number].take_effects():
                            world.do(number, effect)
            open_ends += [
                (owner, effect.number)
                for owner, effect in world.seen
                if isinstance(effect, Offered) and (owner, effect.number) not in open_ends
            ]
        for owner, number in open_ends:
            world.nodes[owner].end(R, number, "closed")
        world.run()
        assert world.legs() == 0, seed
        assert len(world.nodes[R]) == 0


def test_a_hostile_peer_hurts_no_circuit_of_others() -> None:
    for seed in range(40):
        random, world = Random(seed), World()
        here, there = world.open()
        evil = 9
        world.nodes[R].connected(evil, b"e" * 32, True, True, 0)
        sent = b""
        for step in range(200):
            number, node = random.randrange(12), random.choice([ALICE, BOB, b"?" * 32])
            data = bytes(random.choice([1, 300, MAX_CIRCUIT_DATA]))
            choices: list[CircuitMessage] = [
                AskCircuit(2 * step + 1, node),
                AskCircuit(number, node),
                OfferCircuit(number, node),
                AnswerCircuit(number, random.choice(["", "no"])),
                CircuitData(number, data),
                CircuitCredit(number, random.choice([1, CIRCUIT_CREDIT, CIRCUIT_WINDOW])),
                EndCircuit(number, "x"),
            ]
            try:
                world.nodes[R].take(evil, random.choice(choices), world.now)
            except WireError:
                world.nodes[R].gone(evil, world.now)
                world.nodes[R].connected(evil, b"e" * 32, True, True, world.now)
            piece = bytes([step % 256]) * random.randrange(1, 2_000)
            sent += piece[: world.nodes[A].write(R, here, piece)]
            carry_but(world, evil)
        came = [effect for owner, effect in world.seen if owner == B and isinstance(effect, Came)]
        assert b"".join(effect.data for effect in came if effect.number == there) == sent


def carry_but(world: World, evil: int) -> None:
    """Carry what is said; what goes to the evil peer is of no interest."""
    while pending := [(number, node.take_effects()) for number, node in world.nodes.items() if node.effects]:
        for number, effects in pending:
            for effect in effects:
                if not (isinstance(effect, Send) and effect.peer == evil):
                    world.do(number, effect)
