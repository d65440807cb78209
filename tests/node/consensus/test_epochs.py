"""Epochs on the selected chain: closed once, skipped for nothing, and paid as protocol section 6 says."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from node.consensus import duties
from node.consensus.blocks import BlockError
from node.consensus.dagblocks import DagBlock, Step
from node.ledger import bank, epochs, pools, registry, rewards
from node.ledger.module import Context
from node.ledger.registry import broken_invariants
from tests.node.consensus.follower import Follower
from tests.node.world import NXT, Network, Payer, key, quantum_key, reveals, small_genesis, stranger, through_the_wire

ALONE = small_genesis()
STAKES = (1_000 * NXT, 2_000 * NXT, 3_000 * NXT, 4_000 * NXT)
MANY = small_genesis(stakes=STAKES, ghostdag_k=2)
EPOCH = ALONE.parameters.epoch_slots
ALICE = Payer(ALONE.hash, key(1))


def alone(*slots: int) -> tuple[Network, Follower]:
    """A validator alone makes blocks in these slots, each with a payment."""
    network, follower = Network(ALONE), Follower(ALONE)
    for nonce, slot in enumerate(slots):
        network.slot = slot - 1
        network.pass_slot(ALICE.pay(nonce, stranger(1), 1))
    for block in network.blocks:
        follower.hear(through_the_wire(block))
    return network, follower


def test_an_epoch_is_closed_once_by_the_first_block_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[tuple[int, int]] = []

    def close(context: Context, closing: int, *, run: Callable[[Context, int], None] = registry.close_epoch) -> None:
        closed.append((closing, context.slot))
        run(context, closing)

    monkeypatch.setattr(registry, "close_epoch", close)
    slots = (3, EPOCH - 1, EPOCH, EPOCH + 1, 7 * EPOCH + 2, 7 * EPOCH + 3)
    _, follower = alone(*slots)
    once = [(0, EPOCH), (1, 7 * EPOCH + 2)]
    assert closed == once * 2, "by maker and follower; the five epochs without blocks are not iterated"
    assert [step.epoch for step in follower.steps] == [slot // EPOCH for slot in slots]
    state = follower.engine.state
    assert epochs.last(state) == (1, 2, 2, 2_000)
    assert epochs.current(state) == (7, 2, 2, 2_000)
    follower.check()


def test_a_chain_that_begins_late_closes_the_first_epoch_empty() -> None:
    _, follower = alone(3 * EPOCH)
    state = follower.engine.state
    assert epochs.last(state) == (0, 0, 0, 0)
    assert epochs.current(state) == (3, 1, 1, 51_000)
    assert rewards.budget(state)[:2] == (3, _budget(ALONE.parameters.validator_pool))


def _budget(pool: int) -> int:
    return pool * rewards.cap(MANY.parameters) // 10**12


def test_epochs_that_nobody_lived_through_pay_nothing() -> None:
    """Two chains that differ by a hundred silent epochs end with the same money."""
    _, one = alone(3, EPOCH + 3)
    _, other = alone(3, 100 * EPOCH + 3)
    accounts = [follower.engine.state.rows(bank.ACCOUNTS) for follower in (one, other)]
    assert accounts[0] == accounts[1]
    assert one.engine.state.rows(pools.POOLS) == other.engine.state.rows(pools.POOLS)


def test_a_close_is_taken_back_with_its_block() -> None:
    """A reorganisation over an epoch's border closes it anew, on the other branch."""
    network = Network(MANY)
    for _ in range(EPOCH - 3):
        network.pass_slot()
    follower = Follower(MANY)
    for block in network.blocks:
        follower.hear(block)
    network.groups = [network.nodes[:3], network.nodes[3:]]
    for _ in range(9):
        network.pass_slot()
    sides = [
        [block for block in network.blocks if block.header.creator in {node.id for node in group}]
        for group in network.groups
    ]
    weights = [group[0].engine.chain.tip.coloured.work for group in network.groups]
    light, heavy = sorted(range(2), key=lambda side: weights[side])
    closes = 0
    for block in (*sides[light], *sides[heavy]):
        progress = follower.hear(block)
        closes += sum(step.epoch == 1 and step.block.slot // EPOCH == 1 for step in progress.applied)
        follower.check()
    assert any(step.epoch == 1 for step in follower.steps)
    assert follower.engine.tip == network.groups[heavy][0].engine.tip
    assert epochs.last(follower.engine.state)[0] == 0
    assert closes > 1


# -- rewards (protocol section 6) -------------------------------------------------------------------------------------


class Books:
    """Section 6 in a few plain lines, kept beside a chain from what its steps say."""

    def __init__(self, validators: Iterable[bytes], pool: int) -> None:
        self.paid = dict.fromkeys(validators, 0)
        self.pool = pool
        self.epoch = -1
        self.budget = self.rest = self.finals = 0
        self.votes = dict.fromkeys(self.paid, 0)

    def read(self, step: Step, heartbeat: Callable[[int], bool], blue: list[DagBlock]) -> None:
        p = MANY.parameters
        if step.epoch != self.epoch:
            for number, identity in enumerate(founder.account for founder in MANY.validators):
                if self.finals:
                    share = self.rest * STAKES[number] * self.votes[identity] // (sum(STAKES) * self.finals)
                    self._pay(identity, share)
            self.epoch, self.budget = step.epoch, _budget(self.pool)
            self.rest = self.finals = 0
            self.votes = dict.fromkeys(self.votes, 0)
        self.pool += sum(item.receipt.fee for item in step.receipts)
        for block in blue:
            assert block.header is not None
            fees = sum(item.receipt.fee for item in step.receipts if item.carrier == block.id)
            if heartbeat(block.slot):
                reward = self.budget // 2 // (p.epoch_slots // p.heartbeat_slots * 2)
            else:
                reward = min(self.budget // 2 // (p.epoch_slots * 2), fees)
            self._pay(block.header.creator, reward * 6 // 10)
            self.rest += reward - reward * 6 // 10
        for _, voters in step.block.known_view.finals:
            self.finals += 1
            for voter in voters:
                self.votes[voter] += 1

    def _pay(self, identity: bytes, units: int) -> None:
        self.paid[identity] += units
        self.pool -= units


def test_blocks_and_votes_earn_what_the_protocol_says() -> None:
    network, follower = Network(MANY), Follower(MANY)
    alice = Payer(MANY.hash, key(1))
    while network.slot < 5 * EPOCH:
        nonce = bank.account(network.nodes[0].engine.state, alice.address)[1]
        busy = network.slot % EPOCH < 12 or network.slot % 10 == 9
        payments = [alice.pay(nonce, stranger(network.slot), 5, tip=network.slot * 300)] if busy else []
        if busy:
            network.pass_slot(*payments, silent=(0,) if network.slot > 2 * EPOCH else ())
        else:
            network.slot += 1
    books = Books((founder.account for founder in MANY.validators), MANY.parameters.validator_pool)
    for item in network.blocks:
        follower.hear(item)
    engine = follower.engine
    for step in follower.steps:
        merged = engine.merged(step.block)
        books.read(step, engine.slots.is_heartbeat, [*(block for block, is_blue in merged if is_blue), step.block])
    assert follower.steps[-1].epoch == 5
    state = follower.engine.state
    assert {name: bank.account(state, name)[0] for name in books.paid} == books.paid
    assert pools.units(state, pools.VALIDATOR_POOL) == books.pool
    assert rewards.budget(state) == (books.epoch, books.budget, books.rest, books.finals)
    assert all(books.paid.values())
    assert min(books.paid.values()) == books.paid[MANY.validators[0].account], "who sleeps earns less"
    assert (
        books.pool + sum(books.paid.values()) - sum(step.fees for step in follower.steps)
        == MANY.parameters.validator_pool
    )
    assert broken_invariants(state) == []
    follower.check()


def test_a_red_block_earns_nothing() -> None:
    """Its transactions are executed and its fees go to the pool, but it came too late or twice."""
    network = Network(MANY)
    maker = next(node for node in network.nodes if node.leads(10))
    alice = Payer(MANY.hash, key(1))
    one, two = maker.block(10), maker.block(10, alice.pay(0, stranger(1), 5))
    network.slot = 10
    network.tell(network.nodes, [one, two])
    while network.nodes[0].engine.tip.height < 4:
        network.pass_slot(silent=(maker.number,))
    engine = network.nodes[0].engine
    budget = _budget(MANY.parameters.validator_pool)
    assert bank.account(engine.state, maker.id)[0] == budget // 2 // 4 * 6 // 10, "one heartbeat, not two"
    assert bank.account(engine.state, stranger(1))[0] == 5


def test_nobody_gains_by_keeping_a_quiet_chain_awake() -> None:
    network = Network(ALONE)
    for _ in range(9):
        network.pass_slot()
    engine = network.nodes[0].engine
    assert engine.tip.height == 9
    assert bank.account(engine.state, network.nodes[0].id)[0] == 0
    network.pass_slot()
    assert bank.account(engine.state, network.nodes[0].id)[0] > 0


# -- making blocks ----------------------------------------------------------------------------------------------------


def test_a_body_is_filled_to_its_limit_and_not_beyond() -> None:
    genesis = small_genesis(max_body_bytes=1 << 16)
    network = Network(genesis)
    payers = [Payer(genesis.hash, quantum_key(number)) for number in range(1, 21)]
    network.pass_slot(Payer(genesis.hash, key(1)).pay_all(0, *((payer.address, NXT) for payer in payers)))
    large = [payer.pay(0, stranger(1), 1, "m" * 256) for payer in payers]
    network.pass_slot(*large)
    block = network.blocks[-1]
    size = len(block.body())
    assert size <= genesis.parameters.max_body_bytes < size + len(large[0].raw) + 300
    assert block.transactions == tuple(large[: len(block.transactions)])
    follower = Follower(genesis)
    for item in network.blocks:
        follower.hear(through_the_wire(item, genesis.parameters.max_body_bytes))
    assert follower.engine.tip.id == block.id
    follower.check()


@pytest.mark.parametrize("failing", ["sign", "reveal"])
def test_a_signature_or_reveal_that_cannot_be_made_changes_nothing(failing: str) -> None:
    network = Network(ALONE)
    network.pass_slot(ALICE.pay(0, stranger(1), 1))
    node, engine = network.nodes[0], network.nodes[0].engine
    before = engine.tip, engine.waves.commitment, engine.dag.next

    def fail(_: object) -> bytes:
        raise OSError("disk full")

    sign, reveal = (fail, reveals(0).preimage) if failing == "sign" else (node.key.sign, fail)
    with pytest.raises(OSError, match="disk full"):
        duties.make_block(engine, node.id, 2, [ALICE.pay(1, stranger(1), 1)], reveal, sign)
    assert before == (engine.tip, engine.waves.commitment, engine.dag.next)
    network.pass_slot(ALICE.pay(1, stranger(1), 1))
    assert engine.tip.height == 2


def test_only_a_leader_makes_a_block_and_only_after_its_parents() -> None:
    network = Network(ALONE)
    network.slot = 4
    network.pass_slot()
    node = network.nodes[0]
    wrong = ((6, key(1).address, "bad_seat"), (5, node.id, "old_slot"), (3, node.id, "old_slot"))
    for slot, identity, code in wrong:
        with pytest.raises(BlockError) as caught:
            duties.make_block(node.engine, identity, slot, [], reveals(0).preimage, node.key.sign)
        assert caught.value.code == code
