"""Making blocks and following them: two chains never differ, whatever history they went through."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from node.consensus.blocks import Block, BlockError, body_root
from node.consensus.chain import Applied, Chain
from node.encoding.amounts import SUPPLY
from node.ledger import bank, epochs, pools, registry
from node.ledger.execution import DONE, FAILED
from node.ledger.module import Context
from node.ledger.registry import broken_invariants, total_units
from node.ledger.state import waves_of
from node.ledger.types import SignedTransaction
from tests.node.world import (
    NXT,
    VALIDATORS,
    Payer,
    contents,
    key,
    made,
    make,
    new_chain,
    quantum_key,
    reveals,
    small_genesis,
    stranger,
    through_the_wire,
)

GENESIS = small_genesis()
PAYERS = [Payer(GENESIS.hash, key(number)) for number in (1, 2, 3)]
ALICE = PAYERS[0]
HEARTBEAT = GENESIS.parameters.heartbeat_slots
EPOCH = GENESIS.parameters.epoch_slots


def snapshot(chain: Chain) -> tuple[object, ...]:
    return contents(chain.state), chain.waves.commitment, chain.tip, chain.state.mark()


def follow(chain: Chain, applied: Applied) -> Applied:
    return chain.accept(through_the_wire(applied.block), applied.tip.slot)


def test_following_gives_what_making_gave() -> None:
    maker, follower = new_chain(GENESIS), new_chain(GENESIS)
    for nonce in range(3):
        applied = made(maker, ALICE.pay(nonce, stranger(nonce), NXT), PAYERS[1].pay(nonce, stranger(9), 2_000 * NXT))
        copy = follow(follower, applied)
        assert snapshot(follower) == snapshot(maker)
        assert copy._replace(block=applied.block, receipts=()) == applied._replace(receipts=())
        for mine, theirs in zip(copy.receipts, applied.receipts, strict=True):
            assert mine[1:] == theirs[1:]
            assert mine.transaction.wid == theirs.transaction.wid
    assert [receipt.status for receipt in copy.receipts] == [DONE, FAILED]
    assert copy.fees == sum(receipt.fee for receipt in copy.receipts) == 1_000 + 50_000 + 1_000
    assert follower.tip.height == 3


def test_the_first_state_is_committed_to_by_the_first_block() -> None:
    chain = new_chain(GENESIS)
    before = chain.waves.commitment
    first = made(chain, ALICE.pay(0, stranger(1), NXT))
    after = chain.waves.commitment
    second = made(chain, ALICE.pay(1, stranger(1), NXT))
    assert first.block.header.state_commitment == before
    assert second.block.header.state_commitment == after != before
    assert first.block.header.parents == (GENESIS.hash,)
    assert second.block.header.parents == (first.tip.id,)


def test_silence_and_heartbeats() -> None:
    chain = new_chain(GENESIS)
    before = snapshot(chain)
    for slot in range(1, HEARTBEAT):
        assert make(chain, slot=slot) == (None, ())
    assert snapshot(chain) == before
    applied, _ = make(chain, slot=HEARTBEAT)
    assert applied is not None
    assert applied.block.transactions == ()
    assert follow(new_chain(GENESIS), applied).tip == chain.tip
    assert epochs.current(chain.state) == (0, 1, 0, 0)


def test_nothing_but_skipped_ones_makes_no_block() -> None:
    chain = new_chain(GENESIS)
    before = snapshot(chain)
    applied, skipped = make(chain, [ALICE.pay(1, stranger(1), 1), ALICE.pay(0, stranger(1), 1, expiry=0)])
    assert applied is None
    assert [receipt.reason for receipt in skipped] == ["nonce_ahead", "expired"]
    assert snapshot(chain) == before


def test_skipped_candidates_are_left_out_and_named() -> None:
    chain = new_chain(GENESIS)
    good, early, twice = ALICE.pay(0, stranger(1), 1), ALICE.pay(2, stranger(1), 1), ALICE.pay(0, stranger(2), 1)
    applied, skipped = make(chain, [good, early, twice])
    assert applied is not None
    assert applied.block.transactions == (good,)
    assert [(receipt.transaction, receipt.reason) for receipt in skipped] == [
        (early, "nonce_ahead"),
        (twice, "nonce_used"),
    ]


def test_a_block_from_outside_may_carry_skipped_ones_but_they_do_not_count_as_seen() -> None:
    maker, follower = new_chain(GENESIS), new_chain(GENESIS)
    good, early = ALICE.pay(0, stranger(1), 1), ALICE.pay(2, stranger(1), 1)
    honest = made(maker, good).block
    header = honest.header._replace(body_root=body_root((early, good, good)))
    header = header._replace(signature=key(VALIDATORS).sign(header.signing_hash()))
    applied = follower.accept(through_the_wire(Block(header, (early, good, good))), header.slot)
    assert [receipt.transaction.txid for receipt in applied.receipts] == [good.txid]
    assert contents(follower.state) == contents(maker.state)
    assert bank.account(follower.state, ALICE.address)[1] == 1


def test_only_the_newest_block_can_be_taken_back() -> None:
    chain = new_chain(GENESIS)
    before = snapshot(chain)
    one, two = made(chain, ALICE.pay(0, stranger(1), NXT)), made(chain, ALICE.pay(1, stranger(1), NXT))
    with pytest.raises(BlockError) as caught:
        chain.revert(one)
    assert caught.value.code == "not_the_tip"
    chain.revert(two)
    chain.revert(one)
    assert snapshot(chain) == before


@pytest.mark.parametrize("failing", ["sign", "reveal"])
def test_a_signature_or_reveal_that_cannot_be_made_changes_nothing(failing: str) -> None:
    chain = new_chain(GENESIS)
    before = snapshot(chain)

    def fail(_: object) -> bytes:
        raise OSError("disk full")

    owner = key(VALIDATORS)
    sign, reveal = (fail, reveals(0).preimage) if failing == "sign" else (owner.sign, fail)
    with pytest.raises(OSError, match="disk full"):
        chain.produce(1, owner.address, reveal, sign, [ALICE.pay(0, stranger(1), NXT)])
    assert snapshot(chain) == before
    made(chain, ALICE.pay(0, stranger(1), NXT))


def test_only_a_leader_makes_a_block_and_only_after_the_tip() -> None:
    chain = new_chain(GENESIS)
    made(chain, ALICE.pay(0, stranger(1), NXT), slot=5)
    for slot, identity, code in ((6, key(1).address, "bad_seat"), (5, key(VALIDATORS).address, "old_slot")):
        with pytest.raises(BlockError) as caught:
            chain.produce(slot, identity, reveals(0).preimage, key(VALIDATORS).sign, [])
        assert caught.value.code == code


def test_money_out_of_nothing_stops_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    chain = new_chain(GENESIS)
    before = snapshot(chain)
    monkeypatch.setattr(epochs, "count_block", lambda state, *_: pools.add(state, pools.TREASURY, 1))
    with pytest.raises(AssertionError, match="1 units from nothing"):
        make(chain, [ALICE.pay(0, stranger(1), NXT)])
    assert snapshot(chain) == before


def test_a_body_is_filled_to_its_limit_and_not_beyond() -> None:
    genesis = small_genesis(max_body_bytes=1 << 16)
    chain = new_chain(genesis)
    payers = [Payer(genesis.hash, quantum_key(number)) for number in range(1, 21)]
    funding = Payer(genesis.hash, key(1)).pay_all(0, *((payer.address, NXT) for payer in payers))
    first = made(chain, funding)
    large = [payer.pay(0, stranger(1), 1, "m" * 256) for payer in payers]
    applied, skipped = make(chain, large)
    assert applied is not None
    assert not skipped
    size = len(applied.block.body())
    assert size <= genesis.parameters.max_body_bytes < size + len(large[0].raw) + 32
    assert applied.block.transactions == tuple(large[: len(applied.receipts)])
    follower = new_chain(genesis)
    follow(follower, first)
    follower.accept(through_the_wire(applied.block, genesis.parameters.max_body_bytes), applied.tip.slot)
    assert follower.waves.commitment == chain.waves.commitment


def test_an_epoch_is_closed_once_by_the_first_block_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[tuple[int, int]] = []

    def close(context: Context, closing: int, *, run: Callable[[Context, int], None] = registry.close_epoch) -> None:
        closed.append((closing, context.slot))
        run(context, closing)

    monkeypatch.setattr(registry, "close_epoch", close)
    chain = new_chain(GENESIS)
    slots = [3, EPOCH - 1, EPOCH, EPOCH + 1, 7 * EPOCH + 2, 7 * EPOCH + 3]
    for nonce, slot in enumerate(slots):
        applied = made(chain, ALICE.pay(nonce, stranger(1), 1), slot=slot)
        assert applied.epoch == slot // EPOCH
    assert closed == [(0, EPOCH), (1, 7 * EPOCH + 2)], "the five epochs without blocks are not iterated"
    assert epochs.last(chain.state) == (1, 2, 2, 2_000)
    assert epochs.current(chain.state) == (7, 2, 2, 2_000)
    chain.revert(applied)
    made(chain, ALICE.pay(5, stranger(1), 1), slot=7 * EPOCH + 9)
    assert len(closed) == 2


def test_a_chain_that_begins_late_closes_the_first_epoch_empty() -> None:
    chain = new_chain(GENESIS)
    applied = made(chain, ALICE.pay(0, stranger(1), 1), slot=3 * EPOCH)
    assert epochs.last(chain.state) == (0, 0, 0, 0)
    assert epochs.current(chain.state) == (3, 1, 1, 51_000)
    chain.revert(applied)
    assert epochs.EPOCHS not in contents(chain.state)


def test_an_epochs_close_belongs_to_its_block() -> None:
    """A block that comes to nothing at an epoch's border must leave the close to the next one."""
    chain = new_chain(GENESIS)
    made(chain, ALICE.pay(0, stranger(1), 1), slot=3)
    assert make(chain, slot=EPOCH + 1) == (None, ())
    assert epochs.last(chain.state) == (0, 0, 0, 0)
    made(chain, ALICE.pay(1, stranger(1), 1), slot=EPOCH + 2)
    assert epochs.last(chain.state) == (0, 1, 1, 51_000)


def test_blocks_are_the_same_in_any_process() -> None:
    code = """if True:
        from node.consensus.blocks import Block
        from tests.node.world import *
        genesis = small_genesis(stakes=(10**11,) * 7)
        chain = new_chain(genesis)
        alice = Payer(genesis.hash, key(1), signed=False)
        for nonce in range(4):
            applied, _ = make(chain, [alice.pay_all(nonce, *((stranger(n % 9), 5) for n in range(40)))])
            print(applied.block.header.body_root.hex(), applied.block.header.creator.hex(), sorted(applied.buckets))
            print([(change.table, change.key) for change in applied.changes])
        print(chain.waves.commitment.hex(), chain.table.regions)
    """
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("0", "1", "4711")
    }
    assert len(outputs) == 1
    assert outputs.pop().count("\n") == 9


class TwoNodes(RuleBasedStateMachine):
    """One makes blocks of anything, the other follows; both take blocks back now and then."""

    @initialize()
    def begin(self) -> None:
        self.maker, self.follower = new_chain(GENESIS), new_chain(GENESIS)
        self.made: list[tuple[Applied, Applied]] = []
        self.candidates: list[SignedTransaction] = []

    @rule(
        payer=st.sampled_from(PAYERS),
        gap=st.sampled_from([0, 0, 0, 1, -1]),
        to=st.integers(1, 4),
        amount=st.integers(1, 3) | st.just(600 * NXT),
        several=st.booleans(),
    )
    def wish(self, payer: Payer, gap: int, to: int, amount: int, several: bool) -> None:
        waiting = sum(item.sender == payer.address for item in self.candidates)
        nonce = max(0, bank.account(self.maker.state, payer.address)[1] + waiting + gap)
        outputs = [(stranger(to + number), amount) for number in range(3)] if several else [(stranger(to), amount)]
        self.candidates.append(payer.pay_all(nonce, *outputs))

    @rule(ahead=st.integers(1, 3) | st.integers(1, 60))
    def block(self, ahead: int) -> None:
        applied, _ = make(self.maker, self.candidates, slot=self.maker.tip.slot + ahead)
        self.candidates = []
        if applied is not None:
            self.made.append((applied, follow(self.follower, applied)))

    @rule(count=st.integers(1, 3))
    def take_back(self, count: int) -> None:
        for _ in range(min(count, len(self.made))):
            applied, copy = self.made.pop()
            self.maker.revert(applied)
            self.follower.revert(copy)
            assert self.maker.waves.commitment == applied.block.header.state_commitment

    @invariant()
    def they_agree(self) -> None:
        if hasattr(self, "maker"):
            assert snapshot(self.maker) == snapshot(self.follower)
            assert self.maker.waves.commitment == waves_of(self.maker.state).commitment
            assert total_units(self.maker.state) == SUPPLY
            assert broken_invariants(self.maker.state) == []
            assert self.maker.tip.height == len(self.made)


TwoNodes.TestCase.settings = settings(max_examples=25, stateful_step_count=25)
TestTwoNodes = TwoNodes.TestCase


def test_the_same_history_ends_the_same_with_and_without_numpy() -> None:
    one, other = new_chain(GENESIS), new_chain(GENESIS)
    other.waves._numpy = False
    applied = made(one, *(ALICE.pay_all(n, *((stranger(n * 99 + m), 1) for m in range(99))) for n in range(5)))
    follow(other, applied)
    assert one.waves._rows is not None
    assert other.waves._rows is None
    assert one.waves.commitment == other.waves.commitment
