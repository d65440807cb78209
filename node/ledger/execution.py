"""Execution of transactions at their place in the order (protocol section 1, "A transaction")."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from node.ledger import bank, pools
from node.ledger.module import Context, OperationFailed
from node.ledger.quotes import static_fee
from node.ledger.registry import OPERATIONS, effects_of
from node.ledger.types import SignedTransaction

DONE, FAILED, SKIPPED = "done", "failed", "skipped"

REASONS = {
    "nonce_used": "Its number is already used by another transaction of this account.",
    "nonce_ahead": "An earlier transaction of this account is missing.",
    "expired": "It was not included before it expired.",
    "cannot_pay_fee": "The account cannot pay the fee.",
    "no_offence": "The evidence proves no offence.",
    "unknown_validator": "The evidence names no validator.",
    "already_tombstoned": "This validator was punished already and never validates again.",
    "offence_too_old": "The offence is older than the time in which stakes can be reached.",
    "insufficient_funds": "The account has less than the amount and the fee for a new account.",
}


class Receipt(NamedTuple):
    """What became of a transaction. `fee` is all units charged; `reason` is a code of `REASONS` or empty."""

    transaction: SignedTransaction
    status: str
    reason: str
    fee: int

    def touched(self) -> tuple[bytes, ...]:
        """Raw addresses whose history this belongs to, the sender first."""
        outputs = effects_of(self.transaction.body).outputs
        return tuple(dict.fromkeys((self.transaction.sender, *(address for address, _ in outputs))))


def execute(context: Context, transactions: Iterable[SignedTransaction]) -> list[Receipt]:
    """Execute transactions of good form and signature in their order; all their fees then go to the fee pool.

    *skipped*: nothing changes, it does not count as seen. *failed*: fees moved and the nonce advanced, nothing else.
    """
    receipts = [_execute_one(context, transaction) for transaction in transactions]
    fees = sum([receipt.fee for receipt in receipts])
    if fees:
        pools.add(context.state, pools.FEES_GO_TO, fees)
    return receipts


def _execute_one(context: Context, transaction: SignedTransaction) -> Receipt:
    """Execute one; its fee has left the sender and is in the receipt only."""
    state, body, sender = context.state, transaction.body, transaction.sender
    balance, nonce = bank.account(state, sender)
    if body.nonce != nonce:
        return Receipt(transaction, SKIPPED, "nonce_used" if body.nonce < nonce else "nonce_ahead", 0)
    if body.expiry < context.slot:
        return Receipt(transaction, SKIPPED, "expired", 0)
    fee = static_fee(context.parameters, body)
    if balance < fee:
        return Receipt(transaction, SKIPPED, "cannot_pay_fee", 0)
    state.put(bank.ACCOUNTS, sender, (balance - fee, nonce + 1))
    mark = state.mark()
    try:
        fee += OPERATIONS[body.kind].apply(context, transaction)
    except OperationFailed as failure:
        state.roll_back(mark)
        return Receipt(transaction, FAILED, failure.code, fee)
    return Receipt(transaction, DONE, "", fee)
