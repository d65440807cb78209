"""The engine: the same result from blocks and votes in any order, and exact steps on the way there."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Sequence
from functools import cache
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.consensus.blocks import Block, body_root
from node.consensus.engine import Engine
from node.consensus.votes import Vote
from node.encoding.amounts import SUPPLY
from node.ledger import bank, epochs, pools
from node.ledger.execution import DONE, FAILED
from node.ledger.genesis import initial_state
from node.ledger.registry import total_units
from node.ledger.state import Change, State, waves_of
from tests.node.consensus.follower import SHARED, Follower, result
from tests.node.world import NXT, Network, Payer, contents, forge, key, small_genesis, stranger

GENESIS = small_genesis(stakes=(1_000 * NXT,) * 5, ghostdag_k=2, merge_depth_slots=60)
PAYERS = [Payer(GENESIS.hash, key(number)) for number in (1, 2, 3)]
SEEDS = (1, 2, 3)
MANNERS = ("shuffled", "delayed", "backwards", "votes first", "apart")


def pay(network: Network, nonces: dict[int, int], silent: Sequence[int] = ()) -> None:
    """A slot in which two people pay; both seats carry both payments."""
    who = [network.slot % 3, (network.slot + 1) % 3]
    payments = [PAYERS[number].pay(nonces[number], stranger(network.slot % 11), 5) for number in who]
    network.pass_slot(*payments, silent=silent)
    tip = network.nodes[0].engine
    for number, payer in enumerate(PAYERS):
        nonces[number] = bank.account(tip.state, payer.address)[1]


@cache
def history(seed: int) -> tuple[Network, tuple[Block, ...], tuple[Vote, ...]]:
    """Five validators over three epochs: double blocks, wrong states, sleepers, partitions and what comes of them."""
    random, network, nonces = Random(seed), Network(GENESIS), {0: 0, 1: 0, 2: 0}
    while network.slot < 65:
        if len(network.groups) == 1 and random.random() < 0.06:
            nodes = random.sample(network.nodes, 5)
            network.groups = [nodes[:3], nodes[3:]]
        elif len(network.groups) == 2 and random.random() < 0.12:
            network.heal()
        before = len(network.blocks)
        pay(network, nonces, silent=random.sample(range(5), random.choice((0, 0, 0, 1, 2))))
        for newest in network.blocks[before:]:
            number = next(node.number for node in network.nodes if node.id == newest.header.creator)
            kind = random.choice(("honest",) * 12 + ("wrong state", "signed twice", "empty"))
            if kind == "wrong state":
                network.tell(network.nodes, [forge(newest, number, state_commitment=bytes(32))])
            elif kind == "signed twice":
                network.tell(network.nodes, [forge(newest, number, anew=True)])
            elif kind == "empty":
                network.tell(network.nodes, [emptied(newest, number)])
    network.heal()
    for _ in range(8):
        pay(network, nonces)
    blocks = tuple({block.id: block for block in network.blocks}.values())
    return network, blocks, tuple(dict.fromkeys(network.votes))


def emptied(block: Block, number: int) -> Block:
    """The block of the same place without transactions."""
    header = block.header._replace(body_root=body_root((), block.votes), wave=block.header.wave._replace(amplitude=0))
    return forge(Block(header, (), block.votes), number)


def heard_in(network: Network) -> list[Block | Vote]:
    return [*network.blocks, *network.votes]


def hear_all(items: Iterable[Block | Vote], follower: Follower | None = None) -> Follower:
    follower = follower or Follower(GENESIS)
    for item in items:
        follower.hear(item)
    return follower


def in_order(seed: int) -> tuple[Block | Vote, ...]:
    _, blocks, votes = history(seed)
    return (*sorted(blocks, key=lambda block: (block.header.slot, block.id)), *votes)


@cache
def expected(seed: int) -> tuple[object, ...]:
    follower = hear_all(in_order(seed))
    follower.check()
    return result(follower.engine)


def test_the_histories_have_everything_that_can_go_wrong() -> None:
    followers = [hear_all(in_order(seed)) for seed in SEEDS]
    for follower in followers:
        engine = follower.engine
        assert len(engine.blocks) > 70
        assert engine.view.table.seed != engine.genesis_hash, "the tables turned"
        assert engine.final.number > 5
        assert {receipt.status for step in follower.steps for receipt, _ in step.receipts} == {DONE}
        assert any(step.skipped for step in follower.steps), "parallel blocks carried the same"
    blocks = [block for follower in followers for block in follower.engine.blocks.values()]
    assert sum(len(block.coloured.reds) for block in blocks) > 20
    assert sum(len(block.coloured.parents) > 1 for block in blocks) > 40
    assert sum(block.disqualified for block in blocks) > 5
    assert any(follower.engine.evidence for follower in followers), "double blocks were seen"


@pytest.mark.parametrize("seed", SEEDS)
def test_every_node_that_lived_through_it_agrees(seed: int) -> None:
    for node in history(seed)[0].nodes:
        assert result(node.engine)[:5] == expected(seed)[:5]


@pytest.mark.parametrize("seed", SEEDS)
@given(random=st.randoms(use_true_random=False), manner=st.sampled_from(MANNERS))
@settings(max_examples=8, deadline=None)
def test_the_order_of_arrival_changes_nothing(seed: int, random: Random, manner: str) -> None:
    items: list[Block | Vote] = list(in_order(seed))
    votes = [item for item in items if isinstance(item, Vote)]
    blocks = [item for item in items if isinstance(item, Block)]
    if manner == "shuffled":
        random.shuffle(items)
    elif manner == "delayed":
        places = [(number + random.choice((0, 0, 3, 40)) + random.random(), item) for number, item in enumerate(items)]
        items = [item for _, item in sorted(places, key=lambda place: place[0])]
    elif manner == "backwards":
        items = [*reversed(blocks), *reversed(votes)]
    elif manner == "votes first":
        random.shuffle(votes)
        items = [*votes, *blocks, *votes]
    else:
        who = {block.header.creator for block in random.sample(blocks, 2)}
        items = [*(item for item in blocks if item.header.creator not in who), *votes, *blocks]
    for _ in range(10):
        items.insert(random.randrange(len(items)), random.choice(items))
    follower = Follower(GENESIS)
    for item in items:
        follower.hear(item)
    for vote in votes:
        follower.hear(vote)  # gossip brings again what could not be judged
    assert result(follower.engine) == expected(seed)
    follower.check()


def test_a_fresh_replay_of_the_chain_gives_the_same_state() -> None:
    follower = hear_all(in_order(SEEDS[0]))
    again = State()
    for table, rows in contents(initial_state(GENESIS)).items():
        for name, record in rows.items():
            again.put(table, name, record)
    for step in follower.steps:
        again.restore([Change(table, name, new, old) for table, name, old, new in step.changes])
    assert contents(again) == contents(follower.engine.state)
    assert waves_of(again).commitment == follower.engine.waves.commitment


def test_with_and_without_numpy() -> None:
    network = Network(GENESIS)
    for number in range(3):
        many = [PAYERS[0].pay_all(nonce, *((stranger(nonce * 99 + m), 1) for m in range(99))) for nonce in range(5)]
        network.pass_slot(*many[number:])
    engine = Engine.begin(GENESIS, numpy=True, **SHARED)  # type: ignore[arg-type]
    for block in network.blocks:
        engine.add(block, network.slot)
    assert engine.waves._rows is not None
    assert network.nodes[0].engine.waves._rows is None
    assert engine.waves.commitment == network.nodes[0].engine.waves.commitment


def test_two_groups_parted_and_healed() -> None:
    """What one group did is taken back exactly, and everybody ends where a fresh node does."""
    network, nonces = Network(GENESIS), {0: 0, 1: 0, 2: 0}
    small = Follower(GENESIS)
    for _ in range(8):
        pay(network, nonces)
    for item in heard_in(network):
        small.hear(item)
    network.groups = [network.nodes[:3], network.nodes[3:]]
    for _ in range(14):
        pay(network, nonces)
    theirs = {node.id for node in network.nodes[3:]}
    alone = [block for block in network.blocks if block.header.slot <= 8 or block.header.creator in theirs]
    for block in alone:
        small.hear(block)
    before, height = small.engine.tip, small.engine.tip.height
    assert before.id == network.nodes[4].engine.tip.id
    mine = [step.block.id for step in small.steps if step.block.slot > 8]
    undone: list[bytes] = []
    for item in heard_in(network):
        progress = small.hear(item)
        undone += [gone.block.id for gone in progress.undone]
        small.check()
    assert undone[: len(mine)] == mine[::-1], "newest first, down to the fork"
    network.heal()
    for _ in range(6):
        pay(network, nonces)
    for item in heard_in(network):
        small.hear(item)
    assert small.engine.tip.height > height
    assert {node.engine.tip for node in network.nodes} == {small.engine.tip}
    assert result(small.engine) == result(hear_all(heard_in(network)).engine)
    assert small.engine.dag.is_ancestor(small.engine.blocks[before.id].index, small.engine.chain.tip.index)


def test_a_transaction_executes_once_whoever_carries_it() -> None:
    network = Network(GENESIS)
    while len(network.blocks) < 3 or network.blocks[-1].header.slot != network.blocks[-2].header.slot:
        network.pass_slot(*(PAYERS[0].pay(nonce, stranger(1), 7) for nonce in range(3)))
    network.pass_slot()
    network.pass_slot()
    engine = network.nodes[0].engine
    assert bank.account(engine.state, PAYERS[0].address)[1] == 3
    assert bank.account(engine.state, stranger(1))[0] == 21
    assert total_units(engine.state) == SUPPLY


def test_what_could_not_be_executed_comes_again() -> None:
    """Skipped is not seen: the same bytes execute once their turn has come. Failed is charged, and seen."""
    network = Network(GENESIS)
    follower = Follower(GENESIS)
    early, poor = PAYERS[0].pay(1, stranger(1), 7), PAYERS[1].pay(0, stranger(1), 10**6 * NXT)
    first = PAYERS[0].pay(0, stranger(1), 7)
    for carried in ((early, poor), (early, poor), (first,), (early,), (early,)):
        network.pass_slot(*carried)
    for block in network.blocks:
        follower.hear(block)
    status = {
        accepted.receipt.transaction.txid: accepted.receipt.status
        for step in follower.steps
        for accepted in step.receipts
    }
    assert status == {first.txid: DONE, early.txid: DONE, poor.txid: FAILED}
    reasons = {accepted.receipt.reason for step in follower.steps for accepted in step.skipped}
    assert reasons == {"nonce_ahead", "nonce_used"}
    assert bank.account(follower.engine.state, PAYERS[0].address)[1] == 2
    assert bank.account(follower.engine.state, PAYERS[1].address)[1] == 1


@pytest.mark.parametrize("seed", SEEDS)
def test_the_mergeset_is_executed_in_its_order_and_a_blocks_own_transactions_last(seed: int) -> None:
    follower = hear_all(in_order(seed))
    engine, several = follower.engine, 0
    for step in follower.steps:
        order = [block.id for block, _ in engine.merged(step.block)]
        keys = [engine.dag.key(engine.blocks[name].index) for name in order]
        assert keys == sorted(keys), "ascending by blue work and id"
        order.append(step.block.id)
        for carriers in ([item.carrier for item in step.receipts], [item.carrier for item in step.skipped]):
            assert [order.index(name) for name in carriers] == sorted(order.index(name) for name in carriers)
        both = {item.carrier for item in step.receipts}, {item.carrier for item in step.skipped}
        several += both[0] != {step.block.id} and step.block.id in both[1]
    assert several > 2, "what a merged block carried was executed before the same in the block itself"


def test_each_block_commits_to_the_state_of_its_selected_parent() -> None:
    follower = hear_all(in_order(SEEDS[0]))
    commitment = waves_of(initial_state(GENESIS)).commitment
    state = initial_state(GENESIS)
    waves = waves_of(state)
    for step in follower.steps[:20]:
        assert step.block.header is not None
        assert step.block.header.state_commitment == commitment
        state.restore([Change(table, name, new, old) for table, name, old, new in step.changes])
        waves = waves_of(state)
        commitment = waves.commitment


def test_money_out_of_nothing_stops_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Network(GENESIS)
    engine = network.nodes[0].engine
    before = contents(engine.state), engine.waves.commitment, engine.tip
    monkeypatch.setattr(epochs, "count_block", lambda state, *_: pools.add(state, pools.TREASURY, 1))
    maker = next(node for node in network.nodes if node.leads(1))
    with pytest.raises(AssertionError, match="1 units from nothing"):
        engine.add(maker.block(1, PAYERS[0].pay(0, stranger(1), NXT)), 1)
    assert before == (contents(engine.state), engine.waves.commitment, engine.tip)


def test_blocks_are_the_same_in_any_process() -> None:
    code = """if True:
        from node.consensus.restore import encode_view
        from tests.node.world import *
        genesis = small_genesis(stakes=(10**11,) * 7)
        network, alice = Network(genesis), Payer(genesis.hash, key(1))
        for nonce in range(15):
            network.pass_slot(alice.pay_all(nonce, *((stranger(n % 9), 5) for n in range(40))))
        engine = network.nodes[0].engine
        print([block.id.hex() for block in network.blocks], encode_view(engine.view).hex(), engine.dag.tips())
    """
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("0", "4711")
    }
    assert len(outputs) == 1


def test_a_tip_that_only_merges_what_is_justified_does_not_hide_it() -> None:
    """Its maker did not know the votes. Whoever hears them afterwards must find the justified chain below it."""
    genesis = small_genesis(stakes=(1_000 * NXT,) * 5, ghostdag_k=18)
    network = Network(genesis)
    many, alone = network.nodes[:4], network.nodes[4]
    votes: list[Vote] = []
    while not votes:
        network.slot += 1
        blocks = [node.block(network.slot) for node in many if node.leads(network.slot)]
        network.tell(many, blocks)
        cast = [vote for node in many if (vote := node.vote()) is not None]
        votes += cast if len(cast) == 4 else []
    justified = many[0].engine.tip
    slot = 1
    while alone.engine.chain.tip.coloured.work <= many[0].engine.chain.tip.coloured.work:
        slot += 1
        if alone.leads(slot):
            alone.engine.add(alone.block(slot), slot)
    branch = [item.block for item in alone.engine.blocks.values() if item.block is not None]
    now = max(slot, network.slot)
    for block in network.blocks:
        alone.engine.add(block, block.header.slot)
    while not alone.leads(now + 1):
        now += 1
    merging = alone.block(now + 1)
    assert len(merging.header.parents) == 2
    assert merging.header.parents[1] == justified.id
    blocks = [*network.blocks, *branch, merging]
    ends = []
    orders: list[list[Block | Vote]] = [
        [*blocks, *votes],
        [*votes, *blocks, *votes],
        [*network.blocks, *votes, *branch, merging],
    ]
    for items in orders:
        follower = hear_all(items, Follower(genesis))
        assert follower.engine.justified.number > 0
        ends.append(follower.engine.tip)
    assert ends == [justified] * 3
