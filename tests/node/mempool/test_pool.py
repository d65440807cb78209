"""The mempool: bounded in every direction, cheap checks first, and each sender's payments in their order."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from node.consensus.engine import Engine
from node.ledger import bank
from node.ledger.execution import SKIPPED, execute
from node.ledger.module import Context
from node.ledger.registry import effects_of
from node.ledger.types import MAX_TRANSACTION, SignedTransaction, TransactionError
from node.mempool import pool as module
from node.mempool.pool import MAX_AHEAD, Mempool
from tests.node.mempool.waiting import ALICE, BASE, BOB, CAROL, DAVE, GENESIS, POOR, RECORD, SLOT, Waiting
from tests.node.world import NEVER, NXT, Payer, key, quantum_key, stranger


@pytest.fixture
def here() -> Waiting:
    return Waiting()


def test_what_waits_is_known_and_counted(here: Waiting) -> None:
    transaction = ALICE.pay(0, stranger(1), 5)
    here.admit(transaction)
    assert transaction.txid in here.pool
    assert here.pool.get(transaction.txid) is transaction
    assert (len(here.pool), here.pool.bytes) == (1, len(transaction.raw))
    assert list(here.pool.transactions()) == [transaction]
    here.refused(transaction, "known")
    here.refused(transaction.body.signed(b"\x01" * 64), "known")
    assert here.pool.drop(transaction.txid) is transaction
    assert here.pool.drop(transaction.txid) is None
    assert (len(here.pool), here.pool.bytes) == (0, 0)
    assert not here.pool.has_candidates(here.state)


def test_refusals_are_named_before_the_signature_is_looked_at(here: Waiting) -> None:
    here.execute(ALICE.pay(0, stranger(1), 5))
    here.admit(ALICE.pay(1, stranger(1), 5))
    here.refused(ALICE.pay(0, stranger(1), 6), "nonce_used")
    here.refused(ALICE.pay(1, stranger(1), 6), "nonce_waiting")
    here.refused(ALICE.pay(2 + MAX_AHEAD + 1, stranger(1), 5), "nonce_ahead")
    here.refused(BOB.pay((1 << 64) - 1, stranger(1), 5), "nonce_ahead")
    here.refused(BOB.pay(0, stranger(1), 5, expiry=SLOT - 1), "expired")
    here.refused(BOB.transaction(0, 9, ()), "unknown_kind")
    here.refused(BOB.transaction(0, 1, (b"",)), "bad_form")
    here.refused(BOB.pay(0, stranger(1), 0), "bad_amount")
    here.refused(BOB.pay_all(0), "bad_form")
    here.refused(BOB.pay(0, stranger(1), NXT), "insufficient_funds")
    here.refused(POOR.pay(0, stranger(1), 1), "insufficient_funds")
    here.admit(BOB.pay(0, stranger(1), 5, expiry=SLOT))


def test_a_bad_signature_is_not_kept() -> None:
    engine = Engine.begin(GENESIS, numpy=False)
    pool = Mempool(GENESIS.parameters, engine.check)
    good = Payer(GENESIS.hash, key(1)).pay(0, stranger(1), 5)
    for bad, code in (
        (good.body.signed(bytes(64)), "bad_signature"),
        (Payer(bytes(32), key(1)).pay(0, stranger(1), 5), "other_network"),
    ):
        with pytest.raises(TransactionError) as caught:
            pool.admit(bad, engine.state, SLOT)
        assert caught.value.code == code
        assert len(pool) == 0
    pool.admit(good, engine.state, SLOT)


def test_the_last_unit_may_be_promised_and_none_twice(here: Waiting) -> None:
    here.refused(ALICE.pay(0, stranger(1), NXT - BASE - RECORD + 1), "insufficient_funds")
    here.refused(ALICE.pay(0, BOB.address, NXT - BASE, tip=1), "insufficient_funds")
    here.admit(ALICE.pay(0, stranger(1), NXT - 2 * BASE - RECORD - 10))
    here.refused(ALICE.pay(1, BOB.address, 11), "insufficient_funds")
    here.admit(ALICE.pay(1, BOB.address, 10))
    assert here.pool.pending_out(here.state, ALICE.address) == NXT
    here.pool.drop(ALICE.pay(1, BOB.address, 10).txid)
    assert here.pool.pending_out(here.state, ALICE.address) == NXT - BASE - 10
    here.admit(ALICE.pay(1, BOB.address, 9))


def test_what_would_be_charged_is_what_is_promised(here: Waiting) -> None:
    twice = ALICE.pay_all(0, (stranger(1), 5), (stranger(1), 5), (BOB.address, 5), tip=7)
    assert here.pool.examine(twice, here.state, SLOT) == 3 * BASE + RECORD + 15 + 7
    (receipt,) = execute(Context(here.state, GENESIS.parameters, SLOT), [twice])
    assert receipt.fee + 15 == 3 * BASE + RECORD + 15 + 7


def test_what_a_block_in_the_making_took_is_not_promised_twice(here: Waiting) -> None:
    """Between a block's execution and its being on disk its payments are in the state and still wait here."""
    half = NXT // 2 - BASE
    here.admit(ALICE.pay(0, BOB.address, half - 10), ALICE.pay(1, BOB.address, 5))
    execute(Context(here.state, GENESIS.parameters, SLOT), here.order())
    assert here.pool.pending_out(here.state, ALICE.address) == 0
    here.admit(ALICE.pay(2, BOB.address, half - BASE))
    assert here.pool.pending_out(here.state, ALICE.address) == half


def test_pending_money_on_both_sides(here: Waiting) -> None:
    here.admit(ALICE.pay(0, BOB.address, 5), ALICE.pay_all(1, (BOB.address, 6), (CAROL.address, 7)))
    here.admit(BOB.pay(0, BOB.address, 100))
    assert here.pool.pending_in(BOB.address) == 11
    assert here.pool.pending_in(CAROL.address) == 7
    assert here.pool.pending_in(ALICE.address) == 0
    assert here.pool.pending_out(here.state, ALICE.address) == 3 * BASE + 18
    assert here.pool.pending_out(here.state, BOB.address) == BASE + 100
    assert here.pool.pending_out(here.state, CAROL.address) == 0


def test_the_highest_tip_first_then_the_earliest_each_senders_in_order(here: Waiting) -> None:
    first = [ALICE.pay(0, BOB.address, 1, tip=1), ALICE.pay(1, BOB.address, 1, tip=50)]
    early = BOB.pay(0, ALICE.address, 1, tip=5)
    late = CAROL.pay(0, ALICE.address, 1, tip=5)
    behind_a_gap = DAVE.pay(1, ALICE.address, 1, tip=500)
    here.admit(early, late, first[1], behind_a_gap, first[0])
    assert here.order() == [early, late, *first]
    assert here.pool.has_candidates(here.state)
    here.admit(DAVE.pay(0, ALICE.address, 1, tip=6))
    assert here.order()[0].sender == here.order()[1].sender == DAVE.address


def test_a_gap_stops_the_rest_until_it_is_filled(here: Waiting) -> None:
    numbers = [3, 1, 4]
    here.admit(*(ALICE.pay(number, BOB.address, 1) for number in numbers))
    assert not here.pool.has_candidates(here.state)
    assert here.order() == []
    assert here.pool.next_nonce(here.state, ALICE.address) == 0
    here.admit(ALICE.pay(0, BOB.address, 1))
    assert [item.body.nonce for item in here.order()] == [0, 1]
    assert here.pool.next_nonce(here.state, ALICE.address) == 2
    here.admit(ALICE.pay(2, BOB.address, 1))
    assert [item.body.nonce for item in here.order()] == [0, 1, 2, 3, 4]
    assert here.pool.next_nonce(here.state, ALICE.address) == 5
    assert here.pool.next_nonce(here.state, BOB.address) == 0


def test_sixty_four_ahead_is_the_limit(here: Waiting) -> None:
    here.admit(ALICE.pay(MAX_AHEAD, BOB.address, 1))
    here.refused(ALICE.pay(MAX_AHEAD + 1, BOB.address, 1), "nonce_ahead")
    here.admit(ALICE.pay(0, BOB.address, 1), ALICE.pay(MAX_AHEAD + 1, BOB.address, 1))


def test_the_limits_in_number_bytes_and_per_sender(here: Waiting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PER_SENDER", 3)
    here.admit(*(ALICE.pay(number, BOB.address, 1) for number in range(3)))
    here.refused(ALICE.pay(3, BOB.address, 1), "sender_full")
    monkeypatch.setattr(module, "MAX_TRANSACTIONS", 4)
    here.admit(BOB.pay(0, ALICE.address, 1))
    here.refused(CAROL.pay(0, ALICE.address, 1), "mempool_full")
    monkeypatch.setattr(module, "MAX_TRANSACTIONS", 100)
    next_one = CAROL.pay(0, ALICE.address, 1)
    monkeypatch.setattr(module, "MAX_BYTES", here.pool.bytes + len(next_one.raw) - 1)
    here.refused(next_one, "mempool_full")
    monkeypatch.setattr(module, "MAX_BYTES", here.pool.bytes + len(next_one.raw))
    here.admit(next_one)


def test_the_limits_bound_the_memory() -> None:
    """A phone holds them: 16 MiB of transactions, however they are made up."""
    assert module.MAX_BYTES <= 16 << 20
    assert module.MAX_TRANSACTIONS <= 20_000
    assert MAX_TRANSACTION * 100 < module.MAX_BYTES


def test_what_a_block_took_and_what_lost_to_it_is_dropped(here: Waiting) -> None:
    mine, rival = ALICE.pay(0, BOB.address, 1), ALICE.pay(0, BOB.address, 2)
    later, taken, kept = (payer.pay(number, BOB.address, 1) for payer, number in ((ALICE, 1), (CAROL, 0), (DAVE, 0)))
    here.admit(mine, later, taken, kept)
    assert here.execute(rival, taken) == [mine]
    assert list(here.pool.transactions()) == here.order() == [later, kept]
    assert here.execute(later) == []
    assert list(here.pool.transactions()) == [kept]


def test_expiry_drops_what_may_no_longer_be_executed(here: Waiting) -> None:
    soon, later, never = (
        ALICE.pay(number, BOB.address, 1, expiry=SLOT + 5 * number if number < 2 else NEVER) for number in range(3)
    )
    here.admit(soon, later, never)
    assert here.pool.expire(SLOT) == []
    assert here.pool.expire(SLOT + 1) == [soon]
    assert here.pool.expire(SLOT + 1) == []
    assert here.pool.expire(SLOT + 6) == [later]
    assert list(here.pool.transactions()) == [never]


def test_one_that_comes_again_expires_once(here: Waiting) -> None:
    transaction = ALICE.pay(0, BOB.address, 1, expiry=SLOT)
    here.admit(transaction)
    here.pool.drop(transaction.txid)
    here.admit(transaction)
    assert here.pool.expire(SLOT + 1) == [transaction]
    assert here.pool._expiries == []


def test_what_was_dropped_leaves_no_memory_behind(here: Waiting, monkeypatch: pytest.MonkeyPatch) -> None:
    """An expiry may lie centuries ahead: a node that runs for months must not keep a note of each payment."""
    monkeypatch.setattr(module, "_STALE", 16)
    kept = BOB.pay(0, ALICE.address, 1, expiry=SLOT + 9)
    here.admit(kept)
    for number in range(300):
        transaction = ALICE.pay(number, BOB.address, 1)
        here.admit(transaction)
        here.execute(transaction)
    assert len(here.pool._expiries) < 24
    assert here.pool.expire(SLOT + 10) == [kept]


def test_a_quantum_safe_payment_promises_its_bytes(here: Waiting) -> None:
    payer = Payer(GENESIS.hash, quantum_key(1), signed=False)
    here.execute(ALICE.pay(0, payer.address, NXT // 2))
    here.admit(payer.pay(0, BOB.address, 1))
    assert here.pool.pending_out(here.state, payer.address) == BASE + 103_280 + 1


class Model(RuleBasedStateMachine):
    """Random traffic against a plain list of what must wait."""

    @initialize()
    def begin(self) -> None:
        self.here = Waiting()
        self.slot = SLOT
        self.waiting: dict[bytes, SignedTransaction] = {}

    def _spent(self, sender: bytes) -> int:
        return sum(
            BASE + item.body.tip + effects_of(item.body).spends
            for item in self.waiting.values()
            if item.sender == sender
        )

    @rule(
        payer=st.sampled_from([ALICE, BOB, CAROL]),
        gap=st.integers(-1, 3),
        amount=st.sampled_from([1, 2, NXT // 3]),
        tip=st.integers(0, 3) | st.sampled_from([BASE, BASE + 1, 2 * BASE]),
        life=st.integers(-1, 4) | st.just(1_000),
    )
    def admit(self, payer: Payer, gap: int, amount: int, tip: int, life: int) -> None:
        balance, nonce = bank.account(self.here.state, payer.address)
        number = max(0, nonce + gap)
        transaction = payer.pay(number, DAVE.address, amount, tip=tip, expiry=self.slot + life)
        rival = next((i for i in self.waiting.values() if (i.sender, i.body.nonce) == (payer.address, number)), None)
        spent = self._spent(payer.address) + BASE + tip + amount
        if rival is not None:
            spent -= BASE + rival.body.tip + effects_of(rival.body).spends
        good = number >= nonce and life >= 0 and balance >= spent
        good = good and (rival is None or tip >= rival.body.tip + BASE)
        try:
            displaced = self.here.pool.admit(transaction, self.here.state, self.slot)
        except TransactionError:
            assert not good
        else:
            assert good
            assert displaced == ([] if rival is None else [(rival, "replaced")])
            if rival is not None:
                del self.waiting[rival.txid]
            self.waiting[transaction.txid] = transaction

    @rule(count=st.integers(1, 4))
    def block(self, count: int) -> None:
        chosen = self.here.order()[:count]
        receipts = execute(Context(self.here.state, GENESIS.parameters, self.slot), chosen)
        self.here.state.settle()
        executed = tuple(receipt for receipt in receipts if receipt.status != SKIPPED)
        assert self.here.pool.settle(executed, self.here.state) == []
        for receipt in executed:
            del self.waiting[receipt.transaction.txid]

    @rule(payer=st.sampled_from([ALICE, BOB, CAROL]))
    def a_rival_wins(self, payer: Payer) -> None:
        """The same account pays from another machine."""
        nonce = bank.account(self.here.state, payer.address)[1]
        rival = payer.pay(nonce, DAVE.address, 7, memo="rival")
        receipts = tuple(execute(Context(self.here.state, GENESIS.parameters, self.slot), [rival]))
        self.here.state.settle()
        if receipts[0].status == SKIPPED:
            return
        lost = [item for item in self.waiting.values() if item.sender == payer.address and item.body.nonce == nonce]
        assert self.here.pool.settle(receipts, self.here.state) == lost
        for item in lost:
            del self.waiting[item.txid]

    @rule(slots=st.integers(1, 3))
    def time_passes(self, slots: int) -> None:
        self.slot += slots
        gone = {item.txid for item in self.here.pool.expire(self.slot)}
        assert gone == {txid for txid, item in self.waiting.items() if item.body.expiry < self.slot}
        for txid in gone:
            del self.waiting[txid]

    @rule(data=st.data())
    def drop(self, data: st.DataObject) -> None:
        if self.waiting:
            txid = data.draw(st.sampled_from(sorted(self.waiting)))
            assert self.here.pool.drop(txid) is self.waiting.pop(txid)

    @invariant()
    def agrees(self) -> None:
        if not hasattr(self, "here"):
            return
        pool = self.here.pool
        assert list(pool.transactions()) == list(self.waiting.values())
        assert len(pool) == len(self.waiting)
        assert pool.bytes == sum(len(item.raw) for item in self.waiting.values())
        assert sum(len(queue.entries) for queue in pool._queues.values()) == len(self.waiting)
        assert all(queue.entries for queue in pool._queues.values())
        assert all(queue.cost == sum(item.cost for item in queue.entries.values()) for queue in pool._queues.values())
        assert all(pool._incoming.values())
        for payer in (ALICE, BOB, CAROL):
            assert pool.pending_out(self.here.state, payer.address) == self._spent(payer.address)
        assert pool.pending_in(DAVE.address) == sum(effects_of(item.body).spends for item in self.waiting.values())
        order = self.here.order()
        assert order == list(self._expected_order())
        assert pool.has_candidates(self.here.state) == bool(order)

    def _expected_order(self) -> Iterator[SignedTransaction]:
        """By definition: again and again the best of each sender's next one that it can pay."""
        left = list(self.waiting.values())
        accounts = {payer.address: bank.account(self.here.state, payer.address) for payer in (ALICE, BOB, CAROL)}
        turns = {address: nonce for address, (_, nonce) in accounts.items()}
        units = {address: balance for address, (balance, _) in accounts.items()}

        def cost(item: SignedTransaction) -> int:
            return BASE + item.body.tip + effects_of(item.body).spends

        while ready := [i for i in left if i.body.nonce == turns[i.sender] and cost(i) <= units[i.sender]]:
            best = max(ready, key=lambda item: (item.body.tip, -left.index(item)))
            yield best
            left.remove(best)
            turns[best.sender] += 1
            units[best.sender] -= cost(best)


Model.TestCase.settings = settings(max_examples=60, stateful_step_count=30)
TestModel = Model.TestCase
