"""What a payment does to the state: it moves money and its fee, or pays the fee, or does nothing; and says which."""

from __future__ import annotations

from itertools import permutations

import pytest

from node.encoding.amounts import SUPPLY
from node.ledger import bank, pools
from node.ledger.execution import DONE, FAILED, REASONS, SKIPPED, Receipt, execute
from node.ledger.genesis import initial_state
from node.ledger.module import Context
from node.ledger.parameters import Parameters
from node.ledger.quotes import creation_fee, static_fee
from node.ledger.registry import broken_invariants, total_units
from node.ledger.state import State
from node.ledger.types import SignedTransaction
from tests.node.world import NXT, Key, Payer, QuantumKey, contents, key, quantum_key, small_genesis, stranger

BASE, RECORD, BYTE = 1_000, 50_000, 20
QUANTUM_FEE = BYTE * (1_952 + 3_309 - 33 - 64)


class Ledger:
    """A state with one account's worth of money, executed upon without blocks."""

    def __init__(self, owner: Key | QuantumKey | None = None, balance: int = 10 * NXT) -> None:
        self.state = State()
        self.owner = owner or key(1)
        bank.credit(self.state, self.owner.address, balance)
        pools.add(self.state, pools.TREASURY, SUPPLY - balance)
        self.state.settle()
        self.context = Context(self.state, Parameters(), slot=10)
        self.payer = Payer(bytes(32), self.owner, signed=False)

    def run(self, transaction: SignedTransaction) -> Receipt:
        (receipt,) = execute(self.context, [transaction])
        assert broken_invariants(self.state) == []
        return receipt

    def balance(self, address: bytes | None = None) -> int:
        return bank.account(self.state, address or self.owner.address)[0]

    @property
    def pool(self) -> int:
        return pools.units(self.state, pools.FEES_GO_TO)


def test_a_payment_to_a_new_account() -> None:
    ledger = Ledger()
    receipt = ledger.run(ledger.payer.pay(0, stranger(1), NXT))
    assert receipt[1:] == (DONE, "", BASE + RECORD)
    assert bank.account(ledger.state, ledger.owner.address) == (9 * NXT - BASE - RECORD, 1)
    assert bank.account(ledger.state, stranger(1)) == (NXT, 0)
    assert ledger.pool == BASE + RECORD
    assert receipt.touched() == (ledger.owner.address, stranger(1))


def test_a_second_payment_creates_nothing() -> None:
    ledger = Ledger()
    ledger.run(ledger.payer.pay(0, stranger(1), NXT))
    assert ledger.run(ledger.payer.pay(1, stranger(1), NXT)).fee == BASE


def test_the_tip_is_part_of_the_fee() -> None:
    ledger = Ledger()
    assert ledger.run(ledger.payer.pay(0, stranger(1), 1, tip=77)).fee == BASE + RECORD + 77
    assert ledger.pool == BASE + RECORD + 77


def test_a_multi_transfer_pays_for_each_output_and_each_distinct_new_account() -> None:
    ledger = Ledger()
    ledger.run(ledger.payer.pay(0, stranger(1), 1))
    before = ledger.balance()
    outputs = ((stranger(1), 5), (stranger(2), 6), (stranger(3), 7), (stranger(2), 8), (ledger.owner.address, 9))
    receipt = ledger.run(ledger.payer.pay_all(1, *outputs))
    assert receipt.fee == 5 * BASE + 2 * RECORD
    assert ledger.balance() == before - receipt.fee - 26
    assert [ledger.balance(stranger(number)) for number in (1, 2, 3)] == [6, 14, 7]


def test_the_bytes_of_a_quantum_safe_signature_are_paid() -> None:
    ledger = Ledger(quantum_key(1))
    receipt = ledger.run(ledger.payer.pay(0, stranger(1), NXT))
    assert receipt.fee == BASE + RECORD + QUANTUM_FEE
    assert QUANTUM_FEE == 103_280


def test_charged_is_what_was_quoted() -> None:
    parameters = Parameters()
    for owner in (key(1), quantum_key(1)):
        ledger = Ledger(owner)
        for nonce, transaction in enumerate(
            (
                ledger.payer.pay(0, stranger(1), 5, tip=3),
                ledger.payer.pay_all(1, *((stranger(number % 7), 1) for number in range(256)), tip=9),
            )
        ):
            new = {0: 1, 1: 6}[nonce]
            quoted = static_fee(parameters, transaction.body) + creation_fee(parameters, new)
            assert ledger.run(transaction).fee == quoted


def test_paying_oneself_costs_the_fee_alone() -> None:
    ledger = Ledger()
    assert ledger.run(ledger.payer.pay(0, ledger.owner.address, 4 * NXT))[1:] == (DONE, "", BASE)
    assert bank.account(ledger.state, ledger.owner.address) == (10 * NXT - BASE, 1)


def test_paying_oneself_more_than_there_is_fails() -> None:
    ledger = Ledger()
    assert ledger.run(ledger.payer.pay(0, ledger.owner.address, 10 * NXT)).status == FAILED
    outputs = [(ledger.owner.address, 6 * NXT)] * 2
    assert ledger.run(ledger.payer.pay_all(1, *outputs)).status == FAILED


def test_the_last_unit_can_be_paid_away() -> None:
    ledger = Ledger(balance=BASE + RECORD + 5)
    assert ledger.run(ledger.payer.pay(0, stranger(1), 5)).status == DONE
    assert bank.account(ledger.state, ledger.owner.address) == (0, 1)
    assert ledger.run(ledger.payer.pay(1, stranger(1), 1)).reason == "cannot_pay_fee"


def test_one_unit_short_is_failed_and_charged() -> None:
    ledger = Ledger(balance=BASE + RECORD + 4)
    receipt = ledger.run(ledger.payer.pay(0, stranger(1), 5))
    assert receipt[1:] == (FAILED, "insufficient_funds", BASE)
    assert bank.account(ledger.state, ledger.owner.address) == (RECORD + 4, 1)
    assert not bank.exists(ledger.state, stranger(1))
    assert ledger.pool == BASE
    assert {change.key for change in ledger.state.changes()} == {ledger.owner.address, pools.FEES_GO_TO.encode()}


def test_one_unit_short_of_the_fee_is_skipped() -> None:
    ledger = Ledger(balance=BASE - 1)
    before = contents(ledger.state)
    assert ledger.run(ledger.payer.pay(0, stranger(1), 1))[1:] == (SKIPPED, "cannot_pay_fee", 0)
    assert contents(ledger.state) == before


def test_the_whole_supply_can_stand_in_one_account() -> None:
    ledger = Ledger(balance=SUPPLY)
    amount = SUPPLY - BASE - RECORD
    assert ledger.run(ledger.payer.pay(0, stranger(1), amount)).status == DONE
    assert ledger.balance(stranger(1)) == amount
    assert ledger.run(ledger.payer.pay(1, stranger(1), SUPPLY)).reason == "cannot_pay_fee"


def test_amounts_far_beyond_the_supply_together_fail() -> None:
    ledger = Ledger()
    receipt = ledger.run(ledger.payer.pay_all(0, *((stranger(number), SUPPLY) for number in range(256))))
    assert receipt[1:] == (FAILED, "insufficient_funds", 256 * BASE)
    assert len(ledger.state.rows(bank.ACCOUNTS)) == 1


@pytest.mark.parametrize(
    ("nonce", "expiry", "reason"),
    [(0, 10, ""), (0, 9, "expired"), (0, 0, "expired"), (1, 10, "nonce_ahead"), (2**63, 10, "nonce_ahead")],
)
def test_skipped_says_why_and_changes_nothing(nonce: int, expiry: int, reason: str) -> None:
    ledger = Ledger()
    before = contents(ledger.state)
    receipt = ledger.run(ledger.payer.pay(nonce, stranger(1), 1, expiry=expiry))
    assert receipt.reason == reason
    assert (receipt.status == SKIPPED) == bool(reason)
    assert (contents(ledger.state) == before) == bool(reason)
    assert not reason or reason in REASONS


def test_a_transaction_executes_once() -> None:
    ledger = Ledger()
    transaction = ledger.payer.pay(0, stranger(1), 1)
    assert ledger.run(transaction).status == DONE
    after = contents(ledger.state)
    assert ledger.run(transaction)[1:] == (SKIPPED, "nonce_used", 0)
    assert contents(ledger.state) == after


@pytest.mark.parametrize("order", list(permutations(range(5))), ids=lambda order: "".join(map(str, order)))
def test_one_senders_numbers_in_every_order(order: tuple[int, ...]) -> None:
    """Executed are those whose turn has come; the rest is skipped, and may come again."""
    ledger = Ledger()
    expected = 0
    for nonce in order:
        receipt = ledger.run(ledger.payer.pay(nonce, stranger(1), nonce + 1))
        assert receipt.status == (DONE if nonce == expected else SKIPPED)
        assert receipt.reason == ("" if nonce == expected else "nonce_ahead")
        expected += nonce == expected
    for nonce in range(5):
        ledger.run(ledger.payer.pay(nonce, stranger(1), nonce + 1))
    assert bank.account(ledger.state, ledger.owner.address)[1] == 5
    assert ledger.balance(stranger(1)) == 15


def test_ten_thousand_failing_operations_pay_and_change_nothing_else() -> None:
    genesis = small_genesis((NXT,) * 3, (1_000 * NXT,))
    state = initial_state(genesis)
    context = Context(state, genesis.parameters, 1)
    payers = [Payer(genesis.hash, key(number), signed=False) for number in (1, 2, 3)]
    before, paid = contents(state), dict.fromkeys((payer.address for payer in payers), 0)
    for count in range(10_000):
        payer = payers[count % 3]
        nonce = bank.account(state, payer.address)[1]
        if count % 2:
            transaction = payer.pay(nonce, stranger(count), 2 * NXT, tip=count % 5)
        else:
            transaction = payer.pay_all(nonce, (stranger(count), 1), (stranger(count + 1), NXT), tip=count % 5)
        (receipt,) = execute(context, [transaction])
        assert receipt[1:] == (FAILED, "insufficient_funds", (1 + (count + 1) % 2) * BASE + count % 5)
        paid[payer.address] += receipt.fee
    after = contents(state)
    for payer in payers:
        assert after["accounts"].pop(payer.address)[0] == NXT - paid[payer.address]
        del before["accounts"][payer.address]
    pool = pools.FEES_GO_TO.encode()
    assert after["pools"].pop(pool) == (before["pools"].pop(pool)[0] + sum(paid.values()),)  # type: ignore[operator]
    assert after == before
    assert total_units(state) == SUPPLY
    assert broken_invariants(state) == []
