"""Lateness: who fills the silent seats of the past afterwards does not outweigh the living, and every partition heals
(protocol section 4, "Fork choice")."""

from __future__ import annotations

from itertools import count

import pytest

from node.consensus import forkchoice
from node.consensus.blocks import Block
from node.consensus.engine import Engine
from node.consensus.forkchoice import FORGIVEN_SLOTS, LATE_SLOTS
from node.consensus.views import Clauses
from tests.node.consensus.follower import AHEAD, SHARED
from tests.node.world import NXT, Network, Validator, small_genesis

GENESIS = small_genesis(stakes=(1_000 * NXT,) * 7)
FILLER, ACCOMPLICE, VICTIM, WATCHER = 0, 1, 2, 3


class QuietHour:
    """A chain, a long silence, and somebody who fills all his seats of it afterwards, heavier than what is alive."""

    def __init__(self, lateness: bool = True) -> None:
        clauses = Clauses(lateness=lateness)
        self.network = network = Network(GENESIS, clauses=clauses)
        for _ in range(6):
            network.pass_slot()
        alone = self.follower(FILLER)
        self.filled: list[Block] = []
        for slot in range(network.slot + 1, network.slot + 60):
            if alone.leads(slot):
                self.filled.append(alone.block(slot))
                alone.engine.add(self.filled[-1], slot)
        network.slot += 60 + LATE_SLOTS
        assert len(self.filled) > 5
        self.watcher = network.nodes[WATCHER].engine

    def follower(self, number: int, *more: Block) -> Validator:
        """A validator's node to which nothing is late: it builds on the heaviest chain of what it has heard."""
        node = Validator(GENESIS, number, **SHARED)
        node.engine.awake_since = AHEAD
        for block in (*self.network.blocks, *more):
            node.engine.add(block, AHEAD)
        return node

    def live_on(self) -> None:
        """The living make their next block: now there is something else than the late chain."""
        before = len(self.network.blocks)
        while len(self.network.blocks) == before:
            self.network.pass_slot(silent=(FILLER, ACCOMPLICE))

    def tell_late(self) -> None:
        for block in self.filled:
            self.watcher.add(block, self.network.slot)

    def vouch(self, number: int, after: int) -> Block:
        """A validator's on-time block on the late chain, in its first slot after `after`; the watcher hears it."""
        node = self.follower(number, *self.filled)
        slot = next(slot for slot in count(after + 1) if node.leads(slot))
        block = node.block(slot)
        assert block.header.parents[0] == self.filled[-1].id
        self.filled.append(block)
        self.network.slot = slot
        self.watcher.add(block, slot)
        return block


def test_who_fills_the_silent_seats_afterwards_does_not_outweigh_the_living() -> None:
    for lateness in (True, False):
        hour = QuietHour(lateness)
        hour.live_on()
        engine, living = hour.watcher, hour.watcher.tip
        hour.tell_late()
        assert engine.dag.key(engine.blocks[hour.filled[-1].id].index) > engine.dag.key(engine.blocks[living.id].index)
        assert (engine.tip == living) == lateness
        assert all(bool(engine.blocks[block.id].late) == lateness for block in hour.filled)


def test_where_nothing_else_is_there_the_late_are_followed() -> None:
    hour = QuietHour()
    hour.tell_late()
    assert hour.watcher.tip.id == hour.filled[-1].id, "a partition heals"


def test_who_has_less_than_a_third_cannot_vouch_for_his_own_late_blocks() -> None:
    """Two of seven: each makes an on-time block on the late chain, and it changes nothing. A third one does."""
    hour = QuietHour()
    hour.live_on()
    living = hour.watcher.tip
    hour.tell_late()
    for number in (FILLER, ACCOMPLICE, FILLER, ACCOMPLICE):
        block = hour.vouch(number, hour.network.slot)
        assert hour.watcher.tip == living
        assert hour.watcher.dag.is_ancestor(
            hour.watcher.blocks[living.id].index, hour.watcher.blocks[block.id].index
        ), "to merge the living chain does not put an end to it"
    block = hour.vouch(VICTIM, hour.network.slot)
    assert hour.watcher.tip.id == block.id, "three of seven are more than a third"
    assert hour.watcher.blocks[block.id].debt is None


def test_vouchers_of_an_older_late_block_do_not_vouch_for_a_newer_one() -> None:
    hour = QuietHour()
    hour.live_on()
    living = hour.watcher.tip
    hour.tell_late()
    for number in (ACCOMPLICE, VICTIM):
        hour.vouch(number, hour.network.slot)
    late = hour.follower(FILLER, *hour.filled)
    slot = next(slot for slot in count(hour.network.slot + 1) if late.leads(slot))
    hour.filled.append(late.block(slot))
    hour.watcher.add(hour.filled[-1], slot + LATE_SLOTS + 1)
    hour.vouch(ACCOMPLICE, slot + LATE_SLOTS + 1)
    assert hour.watcher.tip == living


@pytest.mark.parametrize("forgiven", [False, True])
def test_a_late_block_is_forgiven_in_the_end(forgiven: bool) -> None:
    hour = QuietHour()
    hour.live_on()
    came, living = hour.network.slot, hour.watcher.tip
    hour.tell_late()
    after = came + FORGIVEN_SLOTS
    if not forgiven:
        likely = hour.follower(ACCOMPLICE, *hour.filled)
        after = max(slot for slot in range(came, after + 1) if likely.leads(slot)) - 1
    block = hour.vouch(ACCOMPLICE, after)
    assert (block.header.slot > came + FORGIVEN_SLOTS) == forgiven
    assert (hour.watcher.tip == living) != forgiven


def test_a_node_that_slept_takes_nothing_for_late() -> None:
    hour = QuietHour()
    engine = Engine.begin(GENESIS, numpy=False, **SHARED)  # type: ignore[arg-type]
    engine.awake_since = hour.network.slot
    for block in (*hour.network.blocks, *hour.filled):
        engine.add(block, hour.network.slot)
    assert not any(block.late for block in engine.blocks.values())
    assert engine.tip.id == hour.filled[-1].id


@pytest.mark.parametrize("wait", [LATE_SLOTS, LATE_SLOTS + 1])
def test_late_is_more_than_fifteen_slots(wait: int) -> None:
    network = Network(GENESIS)
    maker = next(node for node in network.nodes if node.leads(3))
    block, engine = maker.block(3), network.nodes[0].engine
    engine.add(block, 3 + wait)
    assert engine.blocks[block.id].late == (wait if wait > 15 else 0)


@pytest.mark.parametrize("parts", [2, 3, 4])
def test_a_network_in_equal_parts_heals_and_finality_goes_on(parts: int) -> None:
    """None of four parts has a third of the stake to vouch for its chain: there the late must be forgiven."""
    network = Network(small_genesis(stakes=(1_000 * NXT,) * 12))
    for _ in range(8):
        network.pass_slot()
    network.groups = [network.nodes[part::parts] for part in range(parts)]
    for _ in range(LATE_SLOTS + 15):
        network.pass_slot()
    stood = {node.engine.final.number for node in network.nodes}
    network.heal()
    healed = network.slot
    while min(node.engine.final.number for node in network.nodes) <= max(stood):
        network.pass_slot()
        assert network.slot < healed + FORGIVEN_SLOTS + 50
    for _ in range(5):
        network.pass_slot()
    assert len({node.engine.tip for node in network.nodes}) == 1


def test_without_forgiving_four_parts_would_never_meet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Why late blocks are forgiven at all: each part vouches for its own chain alone, and nobody moves."""
    monkeypatch.setattr(forkchoice, "FORGIVEN_SLOTS", AHEAD)
    network = Network(small_genesis(stakes=(1_000 * NXT,) * 12))
    for _ in range(8):
        network.pass_slot()
    network.groups = [network.nodes[part::4] for part in range(4)]
    for _ in range(LATE_SLOTS + 15):
        network.pass_slot()
    network.heal()
    for _ in range(60):
        network.pass_slot()
    assert len({node.engine.tip for node in network.nodes}) > 1
