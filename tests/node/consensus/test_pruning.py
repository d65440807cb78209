"""What a node lets go of, and that it goes on as if it had kept everything: bodies, pruning, stop and start."""

from __future__ import annotations

from collections.abc import Sequence, Sized
from functools import cache
from random import Random

import pytest

from node.consensus import duties
from node.consensus.ballots import LOOK_BACK
from node.consensus.blocks import Block
from node.consensus.dagblocks import DagBlock, Progress
from node.consensus.engine import Engine
from node.consensus.finality import Link
from node.consensus.restore import (
    Kept,
    KeptBlock,
    decode_coloured,
    decode_view,
    encode_base,
    encode_coloured,
    encode_view,
    restore,
)
from node.consensus.votes import Vote
from node.ledger import bank, staking
from node.ledger.genesis import Genesis
from node.ledger.registry import broken_invariants
from node.ledger.state import Change, State, waves_of
from node.ledger.types import EVIDENCE
from tests.node.consensus.follower import SHARED
from tests.node.world import NXT, Network, Payer, contents, forge, key, small_genesis, stranger

GENESIS = small_genesis(stakes=(1_000 * NXT,) * 5, merge_depth_slots=20, ghostdag_k=2)
ALICE = Payer(GENESIS.hash, key(1))
Heard = list[tuple[int, Block | Vote]]


@cache
def life(seed: int, slots: int = 100) -> Heard:
    """What a node hears, slot by slot: payments, sleepers, twins, wrong states, short partitions."""
    random, network, heard = Random(seed), Network(GENESIS), Heard()
    engine = network.nodes[0].engine
    while network.slot < slots:
        if len(network.groups) == 1 and random.random() < 0.05:
            nodes = random.sample(network.nodes, 5)
            network.groups = [nodes[:3], nodes[3:]]
        blocks, votes = len(network.blocks), len(network.votes)
        if len(network.groups) == 2 and random.random() < 0.3:
            network.heal()
            blocks = votes = 0
        nonce = bank.account(engine.state, ALICE.address)[1]
        payments = [ALICE.pay(nonce + more, stranger(network.slot % 5), 3) for more in range(2)]
        network.pass_slot(*payments, silent=random.sample(range(5), random.choice((0, 0, 1))))
        for newest in network.blocks[max(blocks, len(network.blocks) - 2) :]:
            number = next(node.number for node in network.nodes if node.id == newest.header.creator)
            if random.random() < 0.1:
                wrong = random.random() < 0.5
                network.tell(
                    network.nodes,
                    [forge(newest, number, state_commitment=bytes(32)) if wrong else forge(newest, number, anew=True)],
                )
        heard += [(network.slot, block) for block in network.blocks[blocks:]]
        heard += [(network.slot, vote) for vote in network.votes[votes:]]
    return heard


class Node:
    """An engine that writes down what a database would, and can be stopped and started."""

    def __init__(self, prunes: bool, stops: bool, genesis: Genesis = GENESIS) -> None:
        self.engine = Engine.begin(genesis, numpy=False, **SHARED)  # type: ignore[arg-type]
        self.prunes, self.stops = prunes, stops
        self.links: list[Link] = []
        self.votes: list[Vote] = []
        self.undo: dict[int, list[Change]] = {}
        self.pruned = 0

    def hear(self, slot: int, item: Block | Vote) -> Progress:
        engine = self.engine
        progress = engine.add(item, slot) if isinstance(item, Block) else engine.add_vote(item)
        for undone in progress.undone:
            del self.undo[undone.height]
        for step in progress.applied:
            self.undo[step.height] = step.changes
        self.links += progress.links
        self.votes += progress.votes
        return progress

    def rest(self) -> None:
        if self.prunes:
            self.pruned += len(self.engine.prune())
        if self.stops:
            self.stop_and_start()

    def stop_and_start(self) -> None:
        old, state = self.engine, State({name: dict(rows) for name, rows in self.engine.state.tables.items()})
        root, base = old.pruning_points()
        assert old.dag.root == root.index or not self.prunes
        final = old.final
        kept = Kept(
            blocks=[self._kept(block) for _, block in sorted(old.by_index.items())],
            base=base.index,
            base_view=encode_base(old, base),
            tip=old.tip.id,
            undo={height: changes for height, changes in self.undo.items() if height > final.height},
            active_sets={name: active for name, active in old.active_sets.items() if name in old.blocks},
            links=[link for link in self.links if link.target.number >= final.number],
            executing=old._moving.executing,
        )
        self.engine = restore(old.genesis, state, waves_of(state, numpy=False), kept, **SHARED)  # type: ignore[arg-type]
        for vote in self.votes[-200:]:
            self.engine.add_vote(vote)

    def _kept(self, block: DagBlock) -> KeptBlock:
        header, coloured = block.header, encode_coloured(block.coloured)
        return KeptBlock(
            block.index,
            block.id,
            header,
            block.votes,
            block.block,
            coloured,
            block.height,
            block.disqualified,
            block.late,
        )

    def result(self) -> tuple[object, ...]:
        engine = self.engine
        return engine.tip, engine.waves.commitment, encode_view(engine.view), engine.final.hash, *tables(engine)


@pytest.mark.parametrize(
    ("seed", "prunes", "stops"), [(1, True, False), (1, False, True), (1, True, True), (2, True, True)]
)
def test_who_prunes_and_stops_goes_on_like_who_does_not(seed: int, prunes: bool, stops: bool) -> None:
    whole, other = Node(False, False), Node(prunes, stops)
    random = Random(seed)
    for slot, item in life(seed):
        one, two = whole.hear(slot, item), other.hear(slot, item)
        assert [block.id for block in one.added] == [block.id for block in two.added]
        assert [step.block.id for step in one.applied] == [step.block.id for step in two.applied]
        assert [gone.block.id for gone in one.undone] == [gone.block.id for gone in two.undone]
        if random.random() < 0.04:
            other.rest()
        if isinstance(item, Block):
            assert whole.result() == other.result()
    other.rest()
    assert contents(whole.engine.state) == contents(other.engine.state)
    assert broken_invariants(other.engine.state) == []
    assert whole.engine.view.rotation > 0
    if prunes:
        assert other.pruned > 30
        assert len(other.engine.blocks) + other.pruned == len(whole.engine.blocks)
    for block in other.engine.blocks.values():
        twin = whole.engine.blocks[block.id]
        assert block.disqualified == twin.disqualified
        assert (block.coloured.score, block.coloured.work) == (twin.coloured.score, twin.coloured.work)


def test_what_came_late_is_late_after_a_restart() -> None:
    """Else whoever fills silent seats had to wait for nothing but a restart."""
    node, network = Node(False, True), Network(GENESIS)
    for _ in range(4):
        network.pass_slot()
    for block in network.blocks:
        node.hear(block.header.slot, block)
    filler, filled = network.nodes[0], list[Block]()
    for slot in range(5, 45):
        if filler.leads(slot):
            filled.append(filler.block(slot))
            filler.engine.add(filled[-1], slot)
    living = next(node for node in network.nodes[1:] if node.leads(60))
    node.hear(60, living.block(60))
    tip = node.engine.tip
    for block in filled:
        node.hear(61, block)
    before = node.engine.blocks
    node.stop_and_start()
    after = node.engine.blocks
    assert [after[block.id].late for block in filled] == [61 - block.header.slot for block in filled]
    assert {name: block.debt for name, block in after.items()} == {name: block.debt for name, block in before.items()}
    newest = after[filled[-1].id]
    assert newest.debt == (newest.height, before[filled[0].header.parents[0]].coloured.work, 61, frozenset())
    assert newest.coloured.work > after[tip.id].coloured.work
    slot = next(slot for slot in range(62, 90) if filler.leads(slot))
    node.hear(slot, filler.block(slot))
    assert node.engine.tip == tip, "his own on-time block changes nothing, as before the restart"


def test_a_long_stand_still_takes_nothing_from_who_prunes() -> None:
    """Finality stood still for more than three merge depths; then votes make a new checkpoint final, and before a block
    carries them the old one is pruned. Chains still lead on from it: votes that come from there are told and count,
    the new epoch takes its table from there, and evidence of a seat that nobody had given is judged the same."""
    genesis = small_genesis(stakes=(1_000 * NXT,) * 5, merge_depth_slots=20, epoch_slots=120, silence_slots=10_000)
    network = Network(genesis)
    while network.slot < 110:
        network.pass_slot(silent=(3, 4) if 20 < network.slot < 98 else ())
        final = network.nodes[0].engine.final
        if network.slot > 98 and final.checkpoint.slot > 90:
            break
    pruned = Node(True, True, genesis)
    for block in network.blocks:
        pruned.hear(block.header.slot, block)
    for vote in network.votes:
        pruned.hear(network.slot, vote)
    assert pruned.engine.final.hash == network.nodes[0].engine.final.hash
    old = pruned.engine.view.final.checkpoint.block
    pruned.rest()
    assert old not in pruned.engine.blocks
    still_to_include = duties.votes_to_include(network.nodes[0].engine)
    assert still_to_include, "what made the newest checkpoint final is in no block yet"
    assert duties.votes_to_include(pruned.engine) == still_to_include
    offender, engine = network.nodes[1], network.nodes[0].engine
    slot = next(slot for slot in range(121, 200) if offender.leads(slot))
    honest = offender.block(slot)
    wrong = forge(honest, 1, seat=1 - honest.header.seat)
    payer = Payer(genesis.hash, key(1))
    evidence = payer.transaction(0, EVIDENCE, (staking.INVALID_HEADER, (wrong.header_bytes,)))
    network.slot = 119
    before = len(network.blocks)
    while not staking.tombstoned_at(engine.state, offender.id):
        network.pass_slot(evidence)
        assert network.slot < 140
    for block in network.blocks[before:]:
        pruned.hear(block.header.slot, block)
        pruned.rest()
    assert pruned.engine.tip == engine.tip
    assert pruned.result()[1:] == (
        engine.waves.commitment,
        encode_view(engine.view),
        engine.final.hash,
        *tables(engine),
    )


def tables(engine: Engine) -> tuple[bytes, bytes]:
    return engine.view.table.hash, engine.view.next_table.hash


def test_pruning_keeps_memory_flat() -> None:
    node, sizes = Node(True, False), []
    for number, (slot, item) in enumerate(life(2, 180)):
        node.hear(slot, item)
        if number % 50 == 0:
            node.rest()
            engine = node.engine
            kept: tuple[Sized, ...] = (
                engine.blocks,
                engine.by_index,
                engine.dag.coloured,
                engine.chain.at,
                engine.chain._undo,
                engine._known._seats,
                engine.active_sets,
                engine.ballots.targets,
                engine.ballots.links,
            )
            sizes.append(max(len(item) for item in kept))
            held = [*engine.chain.at.values(), *(block for seat in engine._known._seats.values() for block in seat)]
            assert all(engine.by_index.get(block.index) is block for block in held), "nothing holds what is pruned"
            assert engine.active_sets.keys() <= engine.blocks.keys()
    assert max(sizes[len(sizes) // 2 :]) < 220
    assert node.pruned > 100
    ballots = node.engine.ballots
    assert ballots.final.number > LOOK_BACK, "else nothing had to be forgotten"
    assert min(ballots.justified.values()) >= ballots.final.number - LOOK_BACK


def test_the_root_and_the_base_lie_a_merge_depth_apart() -> None:
    node = Node(True, False)
    for slot, item in life(1):
        node.hear(slot, item)
    engine, depth = node.engine, GENESIS.parameters.merge_depth_slots
    root, base = engine.pruning_points()
    final = engine.blocks[engine.final.checkpoint.block]
    assert base.slot <= final.slot - depth
    assert root.slot <= base.slot - depth
    assert engine.on_chain(root, base)
    assert engine.on_chain(base, final)
    gone = engine.prune()
    assert gone
    assert engine.dag.root == root.index
    for block in engine.blocks.values():
        assert block is root or engine.dag.is_ancestor(root.index, block.index)
        assert (block.view is not None) == (block is base or engine.dag.is_ancestor(base.index, block.index))
    assert not engine.prune(), "once is enough"


def test_bodies_go_only_below_what_is_final() -> None:
    node, released = Node(False, False), 0
    for slot, item in life(3, 50):
        final = node.engine.blocks[node.engine.final.checkpoint.block]
        progress = node.hear(slot, item)
        for step in progress.applied:
            assert step.block.block is not None, "whoever reads a Progress finds all bodies"
        for undone in progress.undone:
            assert undone.block.block is not None
        past = node.engine.dag
        for block in node.engine.blocks.values():
            if block.header is None:
                continue
            below = block is final or past.is_ancestor(block.index, final.index)
            assert (block.block is None) == below
            released += block.block is None
    assert released


def test_views_and_colours_survive_their_bytes() -> None:
    node = Node(False, False)
    for slot, item in life(3, 50):
        node.hear(slot, item)
    for block in node.engine.blocks.values():
        data = encode_view(block.known_view)
        again = decode_view(data)
        assert encode_view(again) == data
        names = (
            "height",
            "epoch",
            "rotation",
            "number",
            "reveals",
            "fresh",
            "justified",
            "seen",
            "absent",
            "links",
            "proofs",
        )
        for name in names:
            assert getattr(again, name) == getattr(block.known_view, name), name
        assert [link.encoded() for link in again.certificate] == [
            link.encoded() for link in block.known_view.certificate
        ]
        coloured = decode_coloured(block.index, encode_coloured(block.coloured))
        for name in ("at", "parents", "selected", "blues", "reds", "sizes", "score", "work"):
            assert getattr(coloured, name) == getattr(block.coloured, name), name


@pytest.mark.parametrize("data", [b"", b"\x90", b"\xc1", b"\x01"])
def test_damaged_bytes_are_an_error(data: bytes) -> None:
    errors: Sequence[type[Exception]] = (ValueError, KeyError, TypeError)
    with pytest.raises(tuple(errors)):
        decode_view(data)
    with pytest.raises(tuple(errors)):
        decode_coloured(1, data)


def test_what_becomes_final_at_once_may_be_pruned_before_its_bodies_go() -> None:
    """As where a node that was away hears the newest first, and all that waited for one block follows it at once."""
    heard = life(1)
    end = heard[-1][0]
    blocks = [item for _, item in heard if isinstance(item, Block)]
    vote = next(item for _, item in heard if isinstance(item, Vote))
    whole, engine = (Engine.begin(GENESIS, numpy=False, **SHARED) for _ in range(2))  # type: ignore[arg-type]
    for block in blocks:
        whole.add(block, end)
    late = whole.chain.at[whole.tip.height // 4].id
    for block in blocks:
        if block.id != late:
            engine.add(block, end)
    before = engine.tip.height
    progress = engine.add(next(block for block in blocks if block.id == late), end)
    assert len(progress.added) > 100
    assert progress.final is not None
    assert engine.prune()
    assert engine.by_index[engine.dag.root].height > before
    engine.add_vote(vote)
    assert engine.blocks[engine.final.checkpoint.block].block is None
