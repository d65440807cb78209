"""A mempool over a state of its own."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from node.ledger.execution import execute
from node.ledger.genesis import Genesis, initial_state
from node.ledger.module import Context
from node.ledger.state import State
from node.ledger.types import SignedTransaction, TransactionError
from node.mempool.pool import Displaced, Mempool
from tests.node.world import NXT, Payer, key, small_genesis

GENESIS = small_genesis((NXT,) * 4)
ALICE, BOB, CAROL, DAVE = (Payer(GENESIS.hash, key(number), signed=False) for number in (1, 2, 3, 4))
POOR = Payer(GENESIS.hash, key(50), signed=False)
BASE, RECORD = 1_000, 50_000
SLOT = 100


class Waiting:
    """A mempool over a state, with a check that counts and refuses on request."""

    def __init__(self, genesis: Genesis = GENESIS) -> None:
        self.state: State = initial_state(genesis)
        self.checked: list[SignedTransaction] = []
        self.pool = Mempool(genesis.parameters, self.checked.append)

    def admit(self, *transactions: SignedTransaction) -> list[Displaced]:
        displaced: list[Displaced] = []
        for transaction in transactions:
            cost = self.pool.examine(transaction, self.state, SLOT)
            before = self.pool.pending_out(self.state, transaction.sender)
            gone = self.pool.admit(transaction, self.state, SLOT)
            freed = before + cost - self.pool.pending_out(self.state, transaction.sender)
            assert not freed or any(item.sender == transaction.sender for item, _ in gone)
            displaced += gone
        return displaced

    def refused(self, transaction: SignedTransaction, code: str, slot: int = SLOT) -> None:
        before = len(self.pool), self.pool.bytes, len(self.checked)
        with pytest.raises(TransactionError) as caught:
            self.pool.admit(transaction, self.state, slot)
        assert caught.value.code == code
        assert before == (len(self.pool), self.pool.bytes, len(self.checked)), "the signature is checked last"

    def execute(self, *transactions: SignedTransaction) -> list[SignedTransaction]:
        receipts = execute(Context(self.state, GENESIS.parameters, SLOT), transactions)
        self.state.settle()
        return self.pool.settle(tuple(receipts), self.state)

    def order(self, colour: int | None = None, skip: Collection[bytes] = ()) -> list[SignedTransaction]:
        return list(self.pool.candidates(self.state, colour, skip))
