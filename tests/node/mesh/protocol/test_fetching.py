"""The scheduling of a snapshot's parts: among liars, sleepers and those who vanish, all of it comes while one peer is
honest, and only who lied is banned."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.mesh.protocol import fetching
from node.mesh.protocol.effects import Close, Send
from node.mesh.protocol.fetching import Came, Dropped, Fetching, Offered
from node.mesh.protocol.limits import MAX_SLEEPS, OFFER_MS, PART_MS, PARTS_IN_FLIGHT
from node.mesh.protocol.messages import FRONT, SECTIONS, AskPart, AskSnapshot, Offer, Part

SIZE = 4
"""Bytes of a part in these tests."""
WANTED, OTHER = b"w" * 32, b"o" * 32
HASHES = bytes(32 * 256)


@pytest.fixture(autouse=True, scope="module")
def small_parts() -> Iterator[None]:
    with patch.object(fetching, "PART_SIZE", SIZE):
        yield


def content(section: int, sizes: tuple[int, ...]) -> bytes:
    return bytes((section * 7 + place) % 251 for place in range(sizes[section]))


class Giver:
    """A peer by its behaviour. `delay_ms` for each answer; after `lasts` parts it does what it is called."""

    def __init__(self, kind: str, delay_ms: int, lasts: int) -> None:
        self.kind = kind
        self.delay_ms = delay_ms
        self.lasts = lasts
        self.given = 0
        self.asked = 0
        self.free_ms = 0

    def answer(self, message: AskSnapshot | AskPart, sizes: tuple[int, ...]) -> Offer | Part | str | None:
        if isinstance(message, AskSnapshot):
            if self.kind == "mute":
                return None
            if self.kind == "empty":
                return Offer(b"", b"", ())
            return Offer(OTHER if self.kind == "other" else WANTED, HASHES, sizes)
        self.given += 1
        data = content(message.section, sizes)[message.part * SIZE : (message.part + 1) * SIZE]
        if self.given > self.lasts:
            match self.kind:
                case "silent":
                    return None
                case "cut":
                    return "cut"
                case "forgets":
                    data = b""
                case "liar":
                    data = bytes(255 - byte for byte in data)
                case "short":
                    data = data + b"!"
                case "babbler":
                    return Part(WANTED, FRONT, 9_999, b"x")
        return Part(message.checkpoint, message.section, message.part, data)


KINDS = ("honest", "mute", "empty", "other", "silent", "cut", "forgets", "liar", "short", "babbler")
HOSTILE = {"liar", "short", "babbler"}
_givers = st.builds(Giver, st.sampled_from(KINDS), st.sampled_from((1, 50, 2_000, 14_000, 40_000)), st.integers(0, 40))


class World:
    """Carries messages between the machine and givers, in a time of its own."""

    def __init__(self, givers: list[Giver], sizes: tuple[int, ...], lacking: set[int]) -> None:
        self.machine = Fetching()
        self.givers = dict(enumerate(givers))
        self.sizes = sizes
        self.lacking = lacking
        self.now = 0
        self.events: list[tuple[int, int, Callable[[], None]]] = []
        self.count = 0
        self.buffers: dict[tuple[int, int], bytes] = {}
        self.kept: dict[int, bytes] = {}
        self.bans: dict[int, str] = {}
        self.closed: set[int] = set()
        self.machine.begin(WANTED, sizes, lacking, 0)
        for number in self.givers:
            self.machine.connected(number, 0)
        self.carry_out()

    def later(self, at: int, what: Callable[[], None]) -> None:
        self.count += 1
        heapq.heappush(self.events, (at, self.count, what))

    def carry_out(self) -> None:
        while effects := self.machine.take_effects():
            for effect in effects:
                self.do(effect)

    def do(self, effect: fetching.FetchEffect) -> None:
        match effect:
            case Send(number, message):
                giver = self.givers[number]
                assert isinstance(message, AskSnapshot | AskPart)
                giver.asked += isinstance(message, AskPart)
                giver.free_ms = max(giver.free_ms, self.now) + giver.delay_ms
                answer = giver.answer(message, self.sizes)
                if answer is not None:
                    self.later(giver.free_ms, lambda: self.arrive(number, answer))
            case Close(number, code, _, ban_ms):
                self.closed.add(number)
                if ban_ms:
                    self.bans[number] = code
            case Offered(number, offer):
                if offer.checkpoint == WANTED:
                    self.machine.use(number, offer.sizes, self.now)
                else:
                    self.machine.pass_over(number, self.now)
            case Came(number, section, data, last):
                buffer = self.buffers.pop((number, section), b"") + data
                if last:
                    good = buffer == content(section, self.sizes)
                    if good:
                        assert section not in self.kept, "nothing is kept twice"
                        self.kept[section] = buffer
                    self.machine.checked(number, section, good, self.now)
                else:
                    self.buffers[number, section] = buffer
            case Dropped(number, section):
                self.buffers.pop((number, section), None)

    def arrive(self, number: int, answer: Offer | Part | str) -> None:
        if number in self.closed:
            return
        if isinstance(answer, str):
            self.closed.add(number)
            self.machine.disconnected(number, self.now)
        else:
            if isinstance(answer, Part):
                self.givers[number].asked -= 1
            self.machine.received(number, answer, self.now)

    def run(self) -> None:
        for _ in range(60_000):
            if self.machine.complete:
                return
            due = self.machine.next_ms(self.now)
            assert due > self.now
            if self.events and self.events[0][0] <= due:
                self.now, _, what = heapq.heappop(self.events)
                what()
            else:
                self.now = due
                self.machine.tick(self.now)
            self.carry_out()
            assert all(0 <= giver.asked <= PARTS_IN_FLIGHT for giver in self.givers.values())
            progress = self.machine.progress(self.now)
            assert 0 <= progress.done <= progress.total
        raise AssertionError("it does not come to an end")


@given(
    st.lists(_givers, max_size=6),
    st.sampled_from((1, 400, 5_000)),
    st.sets(st.integers(0, FRONT), min_size=1, max_size=40),
    st.integers(1, 9 * SIZE),
)
def test_with_one_honest_peer_all_parts_come(
    givers: list[Giver], delay_ms: int, lacking: set[int], largest: int
) -> None:
    sizes = tuple(1 + (section * 31) % largest for section in range(SECTIONS))
    world = World([*givers, Giver("honest", delay_ms, 0)], sizes, lacking)
    world.run()
    assert world.kept == {section: content(section, sizes) for section in lacking}
    progress = world.machine.progress(world.now)
    assert progress.done == progress.total > sum(sizes)
    for number, code in world.bans.items():
        assert world.givers[number].kind in HOSTILE, code


def test_a_liar_is_sent_away_with_his_first_lie_and_nothing_of_his_stays() -> None:
    sizes = (10,) * SECTIONS
    world = World([Giver("liar", 1, 0), Giver("honest", 30, 0)], sizes, set(range(SECTIONS)))
    world.run()
    assert world.bans == {0: "false_part"}
    assert world.givers[0].given <= PARTS_IN_FLIGHT + 3
    assert set(world.kept) == set(range(SECTIONS))


def test_several_peers_share_the_work_by_what_they_can() -> None:
    sizes = (3 * SIZE,) * SECTIONS
    givers = [Giver("honest", 10, 0), Giver("honest", 10, 0), Giver("honest", 1_000, 0)]
    world = World(givers, sizes, set(range(SECTIONS)))
    world.run()
    fast, other, slow = (giver.given for giver in givers)
    assert min(fast, other) > 300
    assert 0 < slow < 60
    assert world.now < 20_000


def test_who_never_answers_is_given_up_without_a_ban() -> None:
    sizes = (SIZE,) * SECTIONS
    world = World([Giver("silent", 1, 0), Giver("mute", 1, 0)], sizes, {1, 2})
    while world.closed != {0, 1}:
        world.now = world.machine.next_ms(world.now)
        assert world.now <= (MAX_SLEEPS + 2) * PART_MS
        world.machine.tick(world.now)
        while world.events:
            world.events.pop(0)[2]()
        world.carry_out()
    assert not world.bans
    assert not world.machine.complete


def test_who_has_no_snapshot_is_asked_again_and_what_turns_out_bad_comes_from_another() -> None:
    sizes = (SIZE,) * SECTIONS
    late = Giver("empty", 1, 0)
    world = World([late], sizes, {FRONT})
    while world.now < 2 * OFFER_MS:
        world.now = world.events[0][0] if world.events else world.machine.next_ms(world.now)
        if world.events:
            world.events.pop(0)[2]()
        else:
            world.machine.tick(world.now)
        world.carry_out()
    late.kind = "honest"
    world.run()
    assert world.machine.complete
    world.machine.checked(0, FRONT, False, world.now)
    assert not world.machine.complete
    world.kept.clear()
    world.carry_out()
    assert world.bans == {0: "false_part"}
    world.givers[5] = Giver("honest", 1, 0)
    world.machine.connected(5, world.now)
    world.carry_out()
    world.run()
    assert set(world.kept) == {FRONT}


def test_another_snapshot_may_be_fetched_instead() -> None:
    sizes = (2 * SIZE,) * SECTIONS
    world = World([Giver("honest", 100, 0)], sizes, set(range(SECTIONS)))
    for _ in range(9):
        world.now, _, what = heapq.heappop(world.events)
        what()
        world.carry_out()
    machine = world.machine
    machine.begin(OTHER, sizes, {3, FRONT}, world.now)
    world.givers[0].kind = "other"
    assert machine.sources == 0
    world.carry_out()
    machine.tick(world.now)
    effects = machine.take_effects()
    assert Send(0, AskSnapshot(OTHER)) in effects
    machine.received(0, Offer(OTHER, HASHES, sizes), world.now)
    assert machine.take_effects() == [Offered(0, Offer(OTHER, HASHES, sizes))]
    machine.use(0, sizes, world.now)
    asked = [effect.message for effect in machine.take_effects() if isinstance(effect, Send)]
    assert not asked, "what was asked before is answered first"
    progress = machine.progress(world.now)
    assert progress.total * (SECTIONS - 2) == progress.done * SECTIONS
