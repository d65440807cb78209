"""What a node does not follow, keep or wait for: wrong states, orphans, twins, the deep."""

from __future__ import annotations

import pytest

from node.consensus import merging as merging_module
from node.consensus import orphans
from node.consensus.blocks import Block, BlockError
from node.consensus.engine import MAX_TWINS, Engine
from node.encoding.amounts import SUPPLY
from node.ledger import bank
from node.ledger.registry import broken_invariants, total_units
from tests.node.consensus.follower import AHEAD, SHARED, Follower
from tests.node.world import NXT, Network, Payer, Validator, forge, key, small_genesis, stranger

GENESIS = small_genesis(stakes=(1_000 * NXT,) * 5)
DEEP = small_genesis(stakes=(1_000 * NXT,) * 5, merge_depth_slots=20)
ALICE = Payer(GENESIS.hash, key(1))


def leader(network: Network, slot: int, seat: int = 0) -> Validator | None:
    table = network.nodes[0].engine.views.tables(network.nodes[0].engine.view, slot)[0]
    chosen = table.leader(slot, seat)
    return next((node for node in network.nodes if node.id == chosen), None)


def grown(slots: int) -> Network:
    network = Network(GENESIS)
    for _ in range(slots):
        network.pass_slot()
    return network


def refused(engine: Engine, block: Block, code: str, now: int = AHEAD) -> None:
    before = engine.tip, set(engine.blocks), engine.waves.commitment, len(engine._orphans)
    with pytest.raises(BlockError) as caught:
        engine.add(block, now)
    assert caught.value.code == code
    assert before == (engine.tip, set(engine.blocks), engine.waves.commitment, len(engine._orphans))


# -- disqualified is not invalid ------------------------------------------------------------------------------------


def wrong_state(network: Network) -> Block:
    """A signed block of the next slot with a wrong state commitment and a payment."""
    network.slot += 1
    maker = leader(network, network.slot)
    assert maker is not None
    return forge(maker.block(network.slot, ALICE.pay(0, stranger(1), 77)), maker.number, state_commitment=bytes(32))


def test_a_wrong_state_is_coloured_and_merged_but_never_selected() -> None:
    network = grown(6)
    bad = wrong_state(network)
    for node in network.nodes:
        before = node.engine.tip
        progress = node.engine.add(bad, network.slot)
        assert [item.id for item in progress.added] == [bad.id]
        assert [item.id for item in progress.disqualified] == [bad.id]
        assert not progress.applied
        assert not progress.undone
        assert node.engine.tip == before
    for _ in range(8):
        network.pass_slot()
    for node in network.nodes:
        engine = node.engine
        index = engine.blocks[bad.id].index
        assert engine.tip.height >= 12, "the chain goes on"
        assert bad.id not in {block.id for block in engine.selected(engine.chain.tip)}
        assert engine.dag.is_ancestor(index, engine.chain.tip.index), "it is merged"
        mergers = [block for block in engine.selected(engine.chain.tip) if index in block.coloured.blues]
        assert len(mergers) == 1, "and blue: it was made in time"
        assert bank.account(engine.state, stranger(1))[0] == 77, "what it carries is executed"
        assert total_units(engine.state) == SUPPLY
        assert broken_invariants(engine.state) == []
        assert engine.final.height > 6
        assert not engine.evidence, "a wrong state is no offence"


@pytest.mark.parametrize("order", ["as made", "backwards"])
def test_what_is_built_on_a_wrong_state_is_not_selected_however_heavy(order: str) -> None:
    network = grown(6)
    bad = wrong_state(network)
    network.pass_slot()
    branch, slot, commitment = [bad], network.slot, 1
    while len(branch) < 8:
        slot += 1
        maker = leader(network, slot)
        if maker is not None:
            likeness = maker.block(slot)
            state = commitment.to_bytes(32)
            branch.append(forge(likeness, maker.number, parents=(branch[-1].id,), state_commitment=state))
            commitment += 1
    follower = Follower(GENESIS)
    for block in network.blocks:
        follower.hear(block)
    for vote in network.votes:
        follower.hear(vote)
    engine, before = follower.engine, follower.engine.tip
    tried = 0
    for block in branch if order == "as made" else branch[::-1]:
        tried += bool(follower.hear(block).undone)
    assert tried == 1, "once known as wrong, nothing on it is even tried"
    assert all(engine.blocks[block.id].disqualified for block in branch)
    assert engine.tip == before
    heavy = engine.blocks[branch[-1].id].coloured.work
    network.slot = slot
    while network.slot < slot + 12:
        start = len(network.blocks)
        network.pass_slot()
        for block in network.blocks[start:]:
            follower.hear(block)
    assert engine.chain.tip.coloured.work > heavy
    chain = {block.id for block in engine.selected(engine.chain.tip)}
    assert chain.isdisjoint(block.id for block in branch)
    follower.check()


def test_an_honest_node_does_not_build_on_a_wrong_state() -> None:
    network = grown(6)
    bad = wrong_state(network)
    network.tell(network.nodes, [bad])
    tip = network.nodes[0].engine.tip
    for node in network.nodes:
        parents, _ = node.engine.parents(network.slot + 1)
        assert [parent.id for parent in parents] == [tip.id], "it is greater than the tip: later blocks merge it"


# -- orphans --------------------------------------------------------------------------------------------------------


def lost(network: Network, count: int) -> list[Block]:
    """Well signed blocks whose parents nobody has."""
    maker = leader(network, network.slot + 1)
    assert maker is not None
    honest = maker.block(network.slot + 1)
    return [forge(honest, maker.number, parents=(bytes(31) + bytes((number,)),)) for number in range(count)]


def test_orphans_are_bounded_in_number(monkeypatch: pytest.MonkeyPatch) -> None:
    assert orphans.MAX_ORPHANS == 1_024
    monkeypatch.setattr(orphans, "MAX_ORPHANS", 5)
    network = grown(3)
    engine, blocks = network.nodes[0].engine, lost(network, 12)
    for block in blocks:
        progress = engine.add(block, AHEAD)
        assert progress.missing == list(block.header.parents)
        assert not progress
    assert len(engine._orphans) == 5
    assert [block.id in engine._orphans for block in blocks] == [False] * 7 + [True] * 5, "the oldest made room"
    assert len(engine._orphans._waiting) == 5


def test_orphans_are_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    network = grown(3)
    engine, blocks = network.nodes[0].engine, lost(network, 12)
    size = len(blocks[0].header_bytes) + len(blocks[0].body())
    monkeypatch.setattr(orphans, "MAX_BYTES", 4 * size + 3)
    for block in blocks:
        engine.add(block, AHEAD)
    assert len(engine._orphans) == 4
    assert engine._orphans._bytes == 4 * size


def test_orphans_of_one_push_out_none_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orphans, "MAX_ORPHANS", 20)
    network = grown(3)
    engine = network.nodes[0].engine
    (base,) = lost(network, 1)
    honest, hostile = network.nodes[:2]
    mine = forge(base, honest.number, creator=honest.id, parents=(b"x" * 32,))
    engine.add(mine, AHEAD)
    flood = [
        forge(base, hostile.number, creator=hostile.id, parents=(bytes(30) + number.to_bytes(2),))
        for number in range(100)
    ]
    for block in flood:
        engine.add(block, AHEAD)
    assert len(engine._orphans) == 20
    assert mine.id in engine._orphans
    assert flood[-1].id in engine._orphans
    engine._orphans.drop_waiting(b"x" * 32)
    assert mine.id not in engine._orphans
    assert len(engine._orphans._weights) == len(engine._orphans._signers) == 1


def test_an_orphan_is_kept_once_and_asks_for_what_is_really_missing() -> None:
    network = grown(8)
    engine = Engine.begin(GENESIS, numpy=False, **SHARED)  # type: ignore[arg-type]
    *rest, last, newest = network.blocks
    assert engine.add(newest, AHEAD).missing
    assert not engine.add(newest, AHEAD).missing, "a second time it is nothing new"
    if last.id in newest.header.parents:
        assert last.id not in engine.add(last, AHEAD).missing
        assert all(parent not in engine._orphans for parent in last.header.parents)
    for block in rest:
        engine.add(block, AHEAD)
    engine.add(last, AHEAD)
    assert len(engine._orphans) == 0
    assert not engine._orphans._waiting
    assert engine._orphans._bytes == 0
    assert engine.tip == network.nodes[0].engine.tip


def test_a_dropped_orphan_can_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orphans, "MAX_ORPHANS", 3)
    network = grown(10)
    engine = Engine.begin(GENESIS, numpy=False, **SHARED)  # type: ignore[arg-type]
    for _ in range(len(network.blocks)):
        for block in reversed(network.blocks):
            engine.add(block, AHEAD)
    assert engine.tip == network.nodes[0].engine.tip


# -- twins ----------------------------------------------------------------------------------------------------------


def triplets(network: Network) -> tuple[Validator, list[Block]]:
    network.slot += 1
    maker = leader(network, network.slot)
    assert maker is not None
    return maker, [maker.block(network.slot, ALICE.pay(0, stranger(1), amount)) for amount in (1, 2, 3)]


def test_two_blocks_of_a_creator_and_slot_are_kept_and_no_third() -> None:
    assert MAX_TWINS == 2
    network = grown(4)
    _, (one, two, three) = triplets(network)
    engine = network.nodes[0].engine
    assert engine.add(one, network.slot).added
    assert engine.add(two, network.slot).added
    refused(engine, three, "third_twin", network.slot)
    refused(engine, three, "third_twin", network.slot)


def test_a_third_twin_that_somebody_built_on_is_taken() -> None:
    """Honest nodes may have seen other pairs: what they built must not be lost."""
    network = grown(4)
    _, (one, two, three) = triplets(network)
    network.tell(network.nodes[:4], [one, two])
    other = network.nodes[4]
    other.engine.add(three, network.slot)
    slot = network.slot + 1
    while not other.leads(slot):
        slot += 1
    child = other.block(slot)
    assert three.id in child.header.parents
    engine = network.nodes[0].engine
    assert engine.add(child, slot).missing == [three.id]
    added = engine.add(three, slot).added
    assert [block.id for block in added] == [three.id, child.id]


def test_the_second_twin_is_red_and_weighs_nothing() -> None:
    network = grown(4)
    maker, (one, two, _) = triplets(network)
    network.tell(network.nodes, [one, two])
    for _ in range(4):
        network.pass_slot(silent=(maker.number,))
    engine = network.nodes[0].engine
    colours = {}
    for block in engine.selected(engine.chain.tip):
        for index in block.coloured.blues:
            colours[engine.dag.ids[index]] = "blue"
        for index in block.coloured.reds:
            colours[engine.dag.ids[index]] = "red"
    assert sorted((colours[one.id], colours[two.id])) == ["blue", "red"]
    past = engine.chain.tip
    blues = sum(1 for colour in colours.values() if colour == "blue")
    assert past.coloured.score == past.coloured.work == blues
    assert [item.validator for item in engine.evidence] == [maker.id]


def test_two_signatures_over_one_content_are_twins_but_no_offence() -> None:
    network = grown(4)
    maker, (one, two, _) = triplets(network)
    again = forge(one, maker.number, anew=True)
    assert again.id != one.id
    engine = network.nodes[0].engine
    engine.add(one, network.slot)
    engine.add(again, network.slot)
    assert not engine.evidence
    refused(engine, two, "third_twin", network.slot)


# -- mergeset and merge depth -----------------------------------------------------------------------------------------


def test_a_producer_keeps_its_mergeset_small(monkeypatch: pytest.MonkeyPatch) -> None:
    network = grown(2)
    while sum(block.header.slot == network.slot for block in network.blocks) < 2:
        network.pass_slot()
    engine = network.nodes[0].engine
    assert len(engine.parents(network.slot + 1)[0]) == 2
    monkeypatch.setattr(merging_module, "MAX_MERGESET", 1)
    chosen, coloured = engine.parents(network.slot + 1)
    assert [block.id for block in chosen] == [engine.tip.id]
    assert coloured.selected == engine.chain.tip.index


def test_a_block_merges_nothing_that_left_its_chain_too_long_ago() -> None:
    """The newest chain block of the merge depth's age must lie in the past of all that is merged, to the slot."""
    network = Network(DEEP)
    for _ in range(5):
        network.pass_slot()
    parent = network.nodes[0].engine.tip
    stale_slot = network.slot + 1
    while (stale_maker := leader(network, stale_slot)) is None:
        stale_slot += 1
    stale = stale_maker.block(stale_slot, Payer(DEEP.hash, key(1)).pay(0, stranger(1), 5))
    network.slot = stale_slot
    after = len(network.blocks)
    while len(network.blocks) == after:
        network.pass_slot(silent=(stale_maker.number,))
    first_after = network.nodes[0].engine.tip.slot
    assert network.nodes[0].engine.chain.at[parent.height + 1].slot == first_after
    depth = DEEP.parameters.merge_depth_slots
    while network.slot < first_after + depth - 3:
        network.pass_slot(silent=(stale_maker.number,))
    tip = network.nodes[0].engine.tip
    for node in network.nodes:
        node.engine.add(stale, stale_slot)
        assert node.engine.tip == tip
    verdicts = {}
    for slot in range(tip.slot + 1, tip.slot + 9):
        maker = leader(network, slot)
        if maker is None:
            continue
        engine = Engine.begin(DEEP, numpy=False, **SHARED)  # type: ignore[arg-type]
        for block in (*network.blocks, stale):
            engine.add(block, block.header.slot)
        names = {parent.id for parent in engine.parents(slot)[0]}
        honest = maker.block(slot)
        forged = forge(honest, maker.number, parents=(tip.id, stale.id))
        verdicts[slot] = slot - depth < first_after
        if verdicts[slot]:
            assert engine.add(forged, slot).added
        else:
            refused(engine, forged, "merge_depth", slot)
        assert (stale.id in names) == verdicts[slot], "a producer names what may be named"
    assert set(verdicts.values()) == {True, False}
