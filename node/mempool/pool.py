"""Admission, limits and selection of waiting transactions.

Checks go from cheap to dear, the signature last. A sender's transactions are executed in the order of their numbers, so
one that is early waits for those before it. Priority is the tip, then arrival.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from node.ledger import bank, registry
from node.ledger.execution import REASONS, Receipt
from node.ledger.parameters import Parameters
from node.ledger.quotes import creation_fee, static_fee
from node.ledger.state import State
from node.ledger.types import SignedTransaction, TransactionError

MAX_TRANSACTIONS = 20_000
MAX_BYTES = 16 << 20
MAX_PER_SENDER = 1_000
MAX_AHEAD = 64
_STALE = 1_024


@dataclass(slots=True)
class _Entry:
    transaction: SignedTransaction
    cost: int
    arrival: int


class Mempool:
    """Waiting transactions of good form and signature, by sender and number."""

    def __init__(self, parameters: Parameters, check: Callable[[SignedTransaction], None]) -> None:
        """`check` judges what needs no state (network, payload, signature) and raises TransactionError."""
        self._parameters = parameters
        self._check = check
        self._senders: dict[bytes, dict[int, _Entry]] = {}
        self._by_txid: dict[bytes, SignedTransaction] = {}
        self._expiries: list[tuple[int, int, bytes]] = []
        self._incoming: dict[bytes, int] = {}
        self._outgoing: dict[bytes, int] = {}
        self._arrivals = 0
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._by_txid)

    def __contains__(self, txid: bytes) -> bool:
        return txid in self._by_txid

    def get(self, txid: bytes) -> SignedTransaction | None:
        """A waiting transaction."""
        return self._by_txid.get(txid)

    def examine(self, transaction: SignedTransaction, state: State, slot: int) -> int:
        """The units that a transaction would take from its sender.

        Raises TransactionError, whose code and text say why it cannot wait here.
        """
        body, sender = transaction.body, transaction.sender
        if transaction.txid in self._by_txid:
            raise TransactionError("known", "This transaction is already waiting.")
        if len(self._by_txid) >= MAX_TRANSACTIONS or self.bytes + len(transaction.raw) > MAX_BYTES:
            raise TransactionError("mempool_full", "Too many transactions wait already; try again in a minute.")
        balance, nonce = bank.account(state, sender)
        waiting = self._senders.get(sender, {})
        self._check_order(body.nonce, nonce, waiting)
        if body.expiry < slot:
            raise TransactionError("expired", REASONS["expired"])
        effects = registry.operation_of(body)
        effects.check(body.payload)
        planned = effects.effects(body.payload)
        new = {recipient for recipient, _ in planned.outputs if not bank.exists(state, recipient)}
        cost = static_fee(self._parameters, body) + creation_fee(self._parameters, len(new)) + planned.spends
        promised = self.pending_out(state, sender)
        if balance < promised + cost:
            raise TransactionError(
                "insufficient_funds",
                "The account has less than the amount and the fees"
                + (" together with what already waits." if promised else "."),
            )
        self._check(transaction)
        return cost

    def admit(self, transaction: SignedTransaction, state: State, slot: int) -> None:
        """Keep a transaction. Raises TransactionError as `examine` does."""
        cost = self.examine(transaction, state, slot)
        body, sender = transaction.body, transaction.sender
        self._arrivals += 1
        self._senders.setdefault(sender, {})[body.nonce] = _Entry(transaction, cost, self._arrivals)
        self._by_txid[transaction.txid] = transaction
        self._outgoing[sender] = self._outgoing.get(sender, 0) + cost
        self.bytes += len(transaction.raw)
        self._count_incoming(transaction, 1)
        heapq.heappush(self._expiries, (body.expiry, self._arrivals, transaction.txid))

    def _check_order(self, number: int, nonce: int, waiting: dict[int, _Entry]) -> None:
        if number < nonce:
            raise TransactionError("nonce_used", REASONS["nonce_used"])
        if number in waiting:
            raise TransactionError("nonce_waiting", "Another transaction of this account waits under the same number.")
        if len(waiting) >= MAX_PER_SENDER:
            raise TransactionError("sender_full", f"{MAX_PER_SENDER} transactions of this account wait already.")
        if number > self._next(nonce, waiting) + MAX_AHEAD:
            raise TransactionError("nonce_ahead", REASONS["nonce_ahead"])

    @staticmethod
    def _next(nonce: int, waiting: dict[int, _Entry]) -> int:
        while nonce in waiting:
            nonce += 1
        return nonce

    def next_nonce(self, state: State, address: bytes) -> int:
        """The first number of an account that nothing uses yet, waiting transactions counted."""
        return self._next(bank.account(state, address)[1], self._senders.get(address, {}))

    def pending_out(self, state: State, address: bytes) -> int:
        """Units that waiting transactions would take from an account, fees included.

        Those of a block that is being written are in the state already and still here: they do not count.
        """
        waiting = self._senders.get(address)
        if waiting is None:
            return 0
        number, total = bank.account(state, address)[1] - 1, self._outgoing[address]
        while number in waiting:
            total -= waiting[number].cost
            number -= 1
        return total

    def pending_in(self, address: bytes) -> int:
        """Units that waiting transactions of others would bring to an account."""
        return self._incoming.get(address, 0)

    def _count_incoming(self, transaction: SignedTransaction, sign: int) -> None:
        for recipient, units in registry.effects_of(transaction.body).outputs:
            if recipient != transaction.sender:
                total = self._incoming.get(recipient, 0) + sign * units
                if total:
                    self._incoming[recipient] = total
                else:
                    del self._incoming[recipient]

    def transactions(self) -> Iterator[SignedTransaction]:
        """All that wait, in the order of arrival."""
        return iter(self._by_txid.values())

    def candidates(self, state: State) -> Iterator[SignedTransaction]:
        """Executable transactions: the highest tip first, each sender's in the order of their numbers."""
        heads: list[tuple[int, int, bytes, int]] = []
        for sender, waiting in self._senders.items():
            self._push(heads, sender, waiting.get(number := bank.account(state, sender)[1]), number)
        while heads:
            _, _, sender, number = heapq.heappop(heads)
            yield self._senders[sender][number].transaction
            self._push(heads, sender, self._senders[sender].get(number + 1), number + 1)

    @staticmethod
    def _push(heads: list[tuple[int, int, bytes, int]], sender: bytes, entry: _Entry | None, number: int) -> None:
        if entry is not None:
            heapq.heappush(heads, (-entry.transaction.body.tip, entry.arrival, sender, number))

    def has_candidates(self, state: State) -> bool:
        """Whether anything could be executed now."""
        return any(bank.account(state, sender)[1] in waiting for sender, waiting in self._senders.items())

    def settle(self, receipts: tuple[Receipt, ...], state: State) -> list[SignedTransaction]:
        """Drop what a block executed, and what can no longer be because its number is used.

        Returns the latter: they lost to another transaction of the same number.
        """
        for receipt in receipts:
            self.drop(receipt.transaction.txid)
        beaten = []
        for sender in {receipt.transaction.sender for receipt in receipts}:
            nonce = bank.account(state, sender)[1]
            for number, entry in list(self._senders.get(sender, {}).items()):
                if number < nonce:
                    beaten.append(entry.transaction)
                    self.drop(entry.transaction.txid)
        return beaten

    def expire(self, slot: int) -> list[SignedTransaction]:
        """Drop and return what may no longer be executed in `slot`."""
        gone = []
        while self._expiries and self._expiries[0][0] < slot:
            txid = heapq.heappop(self._expiries)[2]
            if (transaction := self.drop(txid)) is not None:
                gone.append(transaction)
        return gone

    def drop(self, txid: bytes) -> SignedTransaction | None:
        """Forget a waiting transaction; returns it, or None where it was not here."""
        transaction = self._by_txid.pop(txid, None)
        if transaction is None:
            return None
        self.bytes -= len(transaction.raw)
        self._count_incoming(transaction, -1)
        sender = transaction.sender
        waiting = self._senders[sender]
        self._outgoing[sender] -= waiting.pop(transaction.body.nonce).cost
        if not waiting:
            del self._senders[sender], self._outgoing[sender]
        if len(self._expiries) > 2 * len(self._by_txid) + _STALE:
            # Dropped ones whose expiry is far away would otherwise stay in the heap for ever.
            self._expiries = [item for item in self._expiries if item[2] in self._by_txid]
            heapq.heapify(self._expiries)
        return transaction
