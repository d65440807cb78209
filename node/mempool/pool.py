"""Admission, limits, replacement and selection of waiting transactions.

Checks go from cheap to dear, the signature last. Priority is the tip, then the shorter wavelength, then arrival; each
sender's transactions go in the order of their numbers. The mempool is bounded in number, in bytes and for each sender.
A full one lets the lowest go for something better, and tells which: nothing that was accepted here vanishes silently.
It has no horizon of its own beside each transaction's expiry: a node that slept for days would lose its owner's
payments, and what can never be executed is the first to go when room is needed.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import NamedTuple

from node.ledger import bank, registry
from node.ledger.execution import REASONS, Receipt
from node.ledger.parameters import Parameters
from node.ledger.quotes import creation_fee, static_fee
from node.ledger.state import State
from node.ledger.types import SignedTransaction, TransactionError
from node.mempool.queues import Entry, Queue, Tails, Worth, colour_of

MAX_TRANSACTIONS = 20_000
MAX_BYTES = 16 << 20
MAX_PER_SENDER = 1_000
MAX_AHEAD = 64
_STALE = 1_024
_LIGHT_BITS = 21  # no wavelength in picometres takes more
_MOST_TIP = (1 << 42) - 1

REPLACED, EVICTED = "replaced", "evicted"


class Displaced(NamedTuple):
    """A transaction that waits no more, and why: REPLACED, EVICTED, or the code of a TransactionError."""

    transaction: SignedTransaction
    reason: str


class Mempool:
    """Waiting transactions of good form and signature, by sender and number."""

    def __init__(self, parameters: Parameters, check: Callable[[SignedTransaction], None]) -> None:
        """`check` judges what needs no state (network, payload, signature) and raises TransactionError."""
        self._parameters = parameters
        self._check = check
        self._queues: dict[bytes, Queue] = {}
        self._tails = Tails()
        self._by_txid: dict[bytes, SignedTransaction] = {}
        self._expiries: list[tuple[int, int, bytes]] = []
        self._incoming: dict[bytes, int] = {}
        self._arrivals = 0
        self._returns = 0  # counts downwards: what comes back from a block was here before everything that waits
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._by_txid)

    def __contains__(self, txid: bytes) -> bool:
        return txid in self._by_txid

    def get(self, txid: bytes) -> SignedTransaction | None:
        """A waiting transaction."""
        return self._by_txid.get(txid)

    def transactions(self) -> Iterator[SignedTransaction]:
        """All that wait, in the order in which they were admitted."""
        return iter(self._by_txid.values())

    def urgency(self, txid: bytes) -> int:
        """Tip and wavelength of a waiting transaction as one number below 2⁶³, greater for what is taken first, so that
        it goes first on a busy link too. It is no more urgent than those of its sender that must go before it."""
        transaction = self._by_txid[txid]
        entries = self._queues[transaction.sender].entries
        number = transaction.body.nonce
        tip, wavelength = min(entry.worth[:2] for other, entry in entries.items() if other <= number)
        return (min(tip, _MOST_TIP) << _LIGHT_BITS) + (1 << _LIGHT_BITS) - 1 + wavelength

    # -- admission ------------------------------------------------------------------------------------------------

    def examine(self, transaction: SignedTransaction, state: State, slot: int) -> int:
        """The units that a transaction would take from its sender.

        Raises TransactionError, whose code and text say why it cannot wait here. Changes nothing.
        """
        return self._plan(transaction, state, slot, self._arrivals + 1)[0].cost

    def admit(self, transaction: SignedTransaction, state: State, slot: int) -> list[Displaced]:
        """Keep a transaction; returns what it took the place of. Raises TransactionError as `examine` does.

        One with the number of another takes its place if its tip is higher by the base fee at least: what one more
        transaction pays for being carried to everybody (as BIP 125 asks), so that nobody floods by replacing.
        """
        displaced = self._admit(transaction, state, slot, self._arrivals + 1)
        self._arrivals += 1
        return displaced

    def readmit(self, transactions: Iterable[SignedTransaction], state: State, slot: int) -> list[Displaced]:
        """Take back what blocks carried that a reorganisation undid, in their order, with the state after it.

        They go before what arrived since. Where an account cannot pay for all any more, its last ones go. Returns
        everything that waits no more, whether it came back or waited here. What waits already is passed over.
        """
        returning = [transaction for transaction in transactions if transaction.txid not in self._by_txid]
        displaced: list[Displaced] = []
        self._returns -= len(returning)
        for place, transaction in enumerate(returning):
            while True:
                try:
                    displaced += self._admit(transaction, state, slot, self._returns + place)
                except TransactionError as error:
                    last = max(self._entries(transaction.sender), default=0)
                    if error.code in ("insufficient_funds", "sender_full") and last > transaction.body.nonce:
                        later = self._queues[transaction.sender].entries[last].transaction
                        self.drop(later.txid)
                        displaced.append(Displaced(later, error.code))
                        continue
                    displaced.append(Displaced(transaction, error.code))
                break
        return displaced

    def _admit(self, transaction: SignedTransaction, state: State, slot: int, arrival: int) -> list[Displaced]:
        entry, displaced = self._plan(transaction, state, slot, arrival)
        for gone, _ in displaced:
            self.drop(gone.txid)
        body, sender = transaction.body, transaction.sender
        if sender not in self._queues:
            self._queues[sender] = Queue(colour_of(sender))
        self._queues[sender].put(entry)
        self._tails.changed(sender)
        self._by_txid[transaction.txid] = transaction
        self.bytes += len(transaction.raw)
        self._count_incoming(transaction, 1)
        heapq.heappush(self._expiries, (body.expiry, arrival, transaction.txid))
        return displaced

    def _plan(
        self, transaction: SignedTransaction, state: State, slot: int, arrival: int
    ) -> tuple[Entry, list[Displaced]]:
        """What would be kept and what would go for it. Raises TransactionError."""
        body, sender = transaction.body, transaction.sender
        if transaction.txid in self._by_txid:
            raise TransactionError("known", "This transaction is already waiting.")
        balance, nonce = bank.account(state, sender)
        waiting = self._entries(sender)
        replaced = waiting.get(body.nonce)
        self._check_order(body.nonce, nonce, waiting)
        if replaced is not None:
            self._check_replacement(body.tip, replaced.transaction.body.tip)
        if body.expiry < slot:
            raise TransactionError("expired", REASONS["expired"])
        registry.operation_of(body).check(body.payload)
        cost = self._cost(transaction, state)
        promised = self.pending_out(state, sender) - (replaced.cost if replaced is not None else 0)
        if balance < promised + cost:
            raise TransactionError(
                "insufficient_funds",
                "The account has less than the amount and the fees"
                + (" together with what already waits." if promised else "."),
            )
        entry = Entry.of(transaction, cost, arrival, slot)
        evicted = self._make_room(entry, replaced, state)
        self._check(transaction)
        displaced = [Displaced(replaced.transaction, REPLACED)] if replaced is not None else []
        return entry, displaced + [Displaced(victim, EVICTED) for victim in evicted]

    def _check_order(self, number: int, nonce: int, waiting: dict[int, Entry]) -> None:
        if number < nonce:
            raise TransactionError("nonce_used", REASONS["nonce_used"])
        if len(waiting) >= MAX_PER_SENDER and number not in waiting:
            raise TransactionError("sender_full", f"{MAX_PER_SENDER} transactions of this account wait already.")
        if number > self._next(nonce, waiting) + MAX_AHEAD:
            raise TransactionError("nonce_ahead", REASONS["nonce_ahead"])

    def _check_replacement(self, tip: int, old: int) -> None:
        least = old + self._parameters.base_fee
        if tip < least:
            raise TransactionError(
                "nonce_waiting",
                "Another transaction of this account waits under the same number; to take its place, one must offer "
                f"a tip of {least} units.",
            )

    def _make_room(self, entry: Entry, replaced: Entry | None, state: State) -> list[SignedTransaction]:
        """What must go so that the limits hold. Raises TransactionError where all that waits is worth as much."""
        transaction = entry.transaction
        count = len(self._by_txid) + (replaced is None) - MAX_TRANSACTIONS
        size = self.bytes + len(transaction.raw) - MAX_BYTES
        if replaced is not None:
            size -= len(replaced.transaction.raw)
        if count <= 0 and size <= 0:
            return []

        def nonce_of(address: bytes) -> int:
            return bank.account(state, address)[1]

        sender = transaction.sender
        rank = self._queues.get(sender, Queue(0)).rank_of(entry, nonce_of(sender))
        victims = self._tails.victims(self._queues, nonce_of, sender, rank, count, size)
        if victims is None:
            raise TransactionError(
                "mempool_full", "Too many transactions wait already; offer a tip, or try again in a minute."
            )
        return victims

    def _cost(self, transaction: SignedTransaction, state: State) -> int:
        """The units that a transaction would take from its sender by this state, fees included."""
        planned = registry.effects_of(transaction.body)
        new = {recipient for recipient, _ in planned.outputs if not bank.exists(state, recipient)}
        fees = static_fee(self._parameters, transaction.body) + creation_fee(self._parameters, len(new))
        return fees + planned.spends

    # -- what it says of an account -------------------------------------------------------------------------------

    def _entries(self, sender: bytes) -> dict[int, Entry]:
        queue = self._queues.get(sender)
        return {} if queue is None else queue.entries

    @staticmethod
    def _next(nonce: int, waiting: dict[int, Entry]) -> int:
        while nonce in waiting:
            nonce += 1
        return nonce

    def next_nonce(self, state: State, address: bytes) -> int:
        """The first number of an account that nothing uses yet, waiting transactions counted."""
        return self._next(bank.account(state, address)[1], self._entries(address))

    def pending_out(self, state: State, address: bytes) -> int:
        """Units that waiting transactions would take from an account, fees included.

        Those of a block that is being written are in the state already and still here: they do not count.
        """
        queue = self._queues.get(address)
        if queue is None:
            return 0
        number, total = bank.account(state, address)[1] - 1, queue.cost
        while number in queue.entries:
            total -= queue.entries[number].cost
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

    # -- selection ------------------------------------------------------------------------------------------------

    def candidates(
        self,
        state: State,
        colour: int | None = None,
        skip: Collection[bytes] = frozenset(),
        others_since: int | None = None,
    ) -> Iterator[SignedTransaction]:
        """Executable transactions by priority, each sender's in the order of their numbers as far as it can pay.

        With a colour (a seat's number), all of that colour come before the others; and of those only what came in slot
        `others_since` or before, where that is given: the other seat had its chance to take them. `skip` are txids in
        blocks that the next one merges: they are not named again, and what follows them may be.
        """
        for turn in (None,) if colour is None else (colour, 1 - colour):
            since = others_since if turn not in (None, colour) else None
            heads: list[tuple[Worth, bytes, int, int]] = []
            for sender, queue in self._queues.items():
                if turn is None or queue.colour == turn:
                    balance, nonce = bank.account(state, sender)
                    self._push(heads, sender, nonce, balance, state, skip, since)
            while heads:
                _, sender, number, left = heapq.heappop(heads)
                yield self._queues[sender].entries[number].transaction
                self._push(heads, sender, number + 1, left, state, skip, since)

    def _push(
        self,
        heads: list[tuple[Worth, bytes, int, int]],
        sender: bytes,
        number: int,
        left: int,
        state: State,
        skip: Collection[bytes],
        since: int | None = None,
    ) -> None:
        """Put a sender's next transaction on the heap if the units `left` to it pay for that."""
        waiting = self._queues[sender].entries
        while (entry := waiting.get(number)) is not None:
            # A new account that it would have created may exist by now, and make it cheaper than it was.
            left -= entry.cost if entry.cost <= left else self._cost(entry.transaction, state)
            if left < 0:
                return
            if entry.transaction.txid not in skip:
                if since is not None and entry.since > since:
                    return
                tip, wavelength, arrival = entry.worth
                heapq.heappush(heads, ((-tip, -wavelength, -arrival), sender, number, left))
                return
            number += 1

    def has_candidates(self, state: State) -> bool:
        """Whether anything could be executed now."""
        heads: list[tuple[Worth, bytes, int, int]] = []
        for sender in self._queues:
            balance, nonce = bank.account(state, sender)
            self._push(heads, sender, nonce, balance, state, ())
            if heads:
                return True
        return False

    # -- leaving --------------------------------------------------------------------------------------------------

    def settle(self, receipts: tuple[Receipt, ...], state: State) -> list[SignedTransaction]:
        """Drop what a block executed, and what can no longer be because its number is used.

        Returns the latter: they lost to another transaction of the same number.
        """
        for receipt in receipts:
            self.drop(receipt.transaction.txid)
        beaten = []
        for sender in {receipt.transaction.sender for receipt in receipts}:
            nonce = bank.account(state, sender)[1]
            for number, entry in list(self._entries(sender).items()):
                if number < nonce:
                    beaten.append(entry.transaction)
                    self.drop(entry.transaction.txid)
            if sender in self._queues:
                self._tails.changed(sender)
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
        queue = self._queues[sender]
        queue.take(transaction.body.nonce)
        if queue.entries:
            self._tails.changed(sender)
        else:
            del self._queues[sender]
            self._tails.gone(sender)
        if len(self._expiries) > 2 * len(self._by_txid) + _STALE:
            # Dropped ones whose expiry is far away would otherwise stay in the heap for ever.
            self._expiries = [item for item in self._expiries if item[2] in self._by_txid]
            heapq.heapify(self._expiries)
        return transaction
