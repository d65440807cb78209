"""What the node shows of transactions that are in no block."""

from __future__ import annotations

from node.api.records import TransactionView
from node.ledger import bank, registry
from node.ledger.parameters import Parameters
from node.ledger.quotes import creation_fee, static_fee
from node.ledger.state import State
from node.ledger.types import SignedTransaction
from node.mempool.pool import EVICTED, REPLACED
from node.storage.queries import transaction_view

_DISPLACED = {
    REPLACED: "Another transaction of this account with the same number took its place for a higher tip.",
    EVICTED: "Too many transactions waited, and others offered more; it can be sent again with a tip.",
    "sender_full": "Too many transactions of this account waited.",
}


def waiting_view(transaction: SignedTransaction, parameters: Parameters, state: State) -> TransactionView:
    """A transaction that waits for a block; `fee` is what it would cost after the state."""
    outputs = registry.effects_of(transaction.body).outputs
    new = {address for address, _ in outputs if not bank.exists(state, address)}
    fee = static_fee(parameters, transaction.body) + creation_fee(parameters, len(new))
    return transaction_view(transaction, "pending", "", fee)


def expired_view(transaction: SignedTransaction, reason: str) -> TransactionView:
    """A transaction that was accepted here and can never be in a block; it cost nothing."""
    return transaction_view(transaction, "expired", _DISPLACED.get(reason, reason), 0)
