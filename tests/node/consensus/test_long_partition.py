"""What is merged after a long partition: a branch of more blocks than one block may merge, step by step (section 4)."""

from __future__ import annotations

import pytest

from node.consensus import duties
from node.consensus import merging as merging_module
from node.consensus.engine import Engine
from node.ledger import bank
from tests.node.consensus.follower import Follower
from tests.node.world import NXT, Network, Payer, key, small_genesis, stranger

DEPTH = 600
GENESIS = small_genesis(
    stakes=(1_000 * NXT,) * 4, merge_depth_slots=DEPTH, heartbeat_slots=1_000, silence_slots=100_000
)
ALICE = Payer(GENESIS.hash, key(1))


def is_behind(engine: Engine, block: bytes) -> bool:
    return engine.dag.is_ancestor(engine.blocks[block].index, engine.chain.tip.index)


def go(network: Network) -> None:
    """One slot in which validators do their duty and nothing else."""
    network.slot += 1
    leaders = [node for node in network.nodes if node.leads(network.slot)]
    made = [
        node.block(network.slot) for node in leaders if duties.wants_block(node.engine, network.slot, waiting=False)
    ]
    network.tell(network.nodes, made)
    while votes := [vote for node in network.nodes if (vote := node.vote()) is not None]:
        network.tell(network.nodes, votes)


def parted(slots: int) -> Network:
    """Two halves that do not hear each other; the lighter one, of the last two nodes, pays soon and once more late."""
    network = Network(GENESIS)
    for _ in range(3):
        network.pass_slot()
    left, right = network.nodes[:2], network.nodes[2:]
    for nonce, first in enumerate((4, slots - 10)):
        network.groups = [left, right]
        while network.slot < first:
            network.pass_slot()
        network.groups = [right]
        while bank.account(right[0].engine.state, ALICE.address)[1] == nonce:
            network.pass_slot(ALICE.pay(nonce, stranger(1), 5))
    network.groups = [left, right]
    while network.slot < slots:
        network.pass_slot()
    network.groups = [left]
    while left[0].engine.chain.tip.coloured.work < right[0].engine.chain.tip.coloured.work + 5:
        network.pass_slot()
    return network


@pytest.mark.parametrize(("limit", "slots"), [(12, 40), (merging_module.MAX_MERGESET, 460)])
def test_a_branch_of_more_blocks_than_one_may_merge_is_merged_step_by_step(
    limit: int, slots: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merging_module, "MAX_MERGESET", limit)
    network = parted(slots)
    left, right = network.nodes[0].engine, network.nodes[2].engine
    everything = list(network.blocks)
    branch = [block.id for block in everything if block.id not in left.blocks]
    assert len(branch) > 2 * limit
    assert not duties.is_busy(left, False)
    assert right.chain.tip.block is not None
    assert not right.chain.tip.block.transactions
    network.heal()
    assert duties.is_busy(left, False), "what waits lies deep in the other branch"
    tip, healed = left.tip, network.slot
    while not all(is_behind(node.engine, block) for node in network.nodes for block in branch):
        assert duties.is_busy(left, False), "nobody falls asleep before all is merged"
        go(network)
        assert network.slot < healed + 40
    assert len({node.engine.tip for node in network.nodes}) == 1
    mergers = []
    for block in left.selected(left.chain.tip):
        if block.id == tip.id:
            break
        assert len(left.merged(block)) < limit
        mergers.append(block)
    else:
        pytest.fail("the lighter branch was chosen")
    merged = [len(left.merged(block)) for block in mergers]
    steps = sum(count > limit // 2 for count in merged)
    assert len(branch) // limit <= steps <= len(branch) // limit + 2, "each step takes as much as it may"
    for node in network.nodes:
        assert bank.account(node.engine.state, stranger(1))[0] == 10
        assert all(block.id in node.engine.blocks for block in network.blocks)
        assert not any(block.disqualified for block in node.engine.blocks.values())
    follower = Follower(GENESIS)
    for heard in (*everything, *(block for block in network.blocks if block not in everything)):
        assert not follower.hear(heard).rejected
    follower.check()
    assert (follower.engine.tip, follower.engine.waves.commitment) == (left.tip, left.waves.commitment)
    until = network.slot + 400
    while duties.is_busy(left, False):
        go(network)
        assert network.slot < until
    assert left.view.final.height >= left.busy_height > tip.height
    quiet = left.tip
    for _ in range(20):
        go(network)
    assert left.tip == quiet


def test_a_branch_that_left_more_than_a_merge_depth_ago_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merging_module, "MAX_MERGESET", 12)
    network = parted(40)
    left, right = network.nodes[0].engine, network.nodes[2].engine
    fork = next(block for block in left.selected(left.chain.tip) if block.id in right.blocks)
    network.heal()
    left_at = left.chain.at[fork.height + 1].slot
    assert len(left.parents(left_at + DEPTH - 1)[0]) == 2
    parents, _ = left.parents(left_at + DEPTH)
    assert [parent.id for parent in parents] == [left.tip.id]
    assert duties.is_busy(left, False), "as long as no block of that age is here"
    network.groups = [network.nodes[:2]]
    network.slot = left_at + DEPTH - 1
    tip = left.tip
    while left.tip == tip:
        network.pass_slot()
    assert left.chain.tip.coloured.parents == (left.blocks[tip.id].index,)
    assert not list(left.mergeable())
    assert not duties.is_busy(left, False)


def test_where_the_lowest_block_of_a_branch_merges_as_much_as_it_may_its_other_parents_come_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limit = 12
    monkeypatch.setattr(merging_module, "MAX_MERGESET", limit)
    network = Network(GENESIS)
    network.pass_slot()
    many, alone = network.nodes[:3], network.nodes[3]
    shared = len(network.blocks)
    network.groups = [many, [alone]]
    made = 0
    while made < limit - 1:
        before = len(alone.engine.blocks)
        network.pass_slot(silent=() if made < limit - 1 else (3,))
        made += len(alone.engine.blocks) - before
    side = [block for block in network.blocks[shared:] if block.header.creator == alone.id]
    assert len(side) == limit - 1
    merger = many[2]
    for block in side:
        merger.engine.add(block, network.slot)
    network.slot += 1
    while not merger.leads(network.slot):
        network.slot += 1
    full = merger.block(network.slot)
    assert full.header.parents == (many[0].engine.tip.id, side[-1].id)
    network.groups = [many[:2]]
    for _ in range(8):
        network.pass_slot()
    engine = many[0].engine
    for block in (*side, full):
        assert engine.add(block, network.slot).added
    assert engine.blocks[full.id].height <= engine.tip.height
    parents, coloured = engine.parents(network.slot + 1)
    assert [parent.id for parent in parents] == [engine.tip.id, side[-1].id]
    assert len(engine.dag.mergeset(coloured)) == limit
    many[1].engine.add(full, network.slot)
    for block in side:
        many[1].engine.add(block, network.slot)
    slots = network.slot + 12
    while not is_behind(engine, full.id):
        network.pass_slot()
        assert network.slot < slots
