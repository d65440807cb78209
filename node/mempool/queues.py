"""What waits, by sender, and which of it a full mempool lets go.

A sender's transactions are executed in the order of their numbers. So one is worth no more than those it must wait for,
and nothing at all while a number before it is missing; and only the last one of a sender can go without stranding
others.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from node.encoding.hashing import tagged_hash
from node.ledger.registry import effects_of
from node.ledger.types import SignedTransaction
from node.light.orbits import REFERENCE_PM

Worth = tuple[int, int, int]
"""Tip, wavelength in picometres negated, arrival negated: the greater is taken first."""

Rank = tuple[bool, int, int, int]
"""Whether nothing is missing before it, then the least worth of it and of those it waits for."""

_COLOUR_TAG = b"nexus/colour"
_STALE = 1_024


def colour_of(sender: bytes) -> int:
    """0 or 1: the seat that takes this sender's transactions first, so that parallel blocks carry different ones and
    one sender's stay in order (protocol section 4)."""
    return tagged_hash(_COLOUR_TAG, sender)[-1] & 1


@dataclass(slots=True)
class Entry:
    """A waiting transaction. `cost` is the units that it would take from its sender, `since` the slot it came in."""

    transaction: SignedTransaction
    cost: int
    worth: Worth
    since: int

    @classmethod
    def of(cls, transaction: SignedTransaction, cost: int, arrival: int, since: int) -> Entry:
        """What carries no light counts as light of the reference wavelength, by which everything is priced."""
        wavelength = effects_of(transaction.body).wavelength
        worth = (transaction.body.tip, -(REFERENCE_PM if wavelength is None else wavelength), -arrival)
        return cls(transaction, cost, worth, since)


@dataclass(slots=True)
class Queue:
    """The waiting transactions of one sender, by number."""

    colour: int
    entries: dict[int, Entry] = field(default_factory=dict)
    cost: int = 0  # of all

    def put(self, entry: Entry) -> None:
        self.entries[entry.transaction.body.nonce] = entry
        self.cost += entry.cost

    def take(self, number: int) -> Entry:
        entry = self.entries.pop(number)
        self.cost -= entry.cost
        return entry

    def ranked(self, nonce: int) -> list[tuple[Rank, Entry]]:
        """All by number, each with its rank, for an account whose next number is `nonce`. Ranks only fall."""
        ranked: list[tuple[Rank, Entry]] = []
        following = nonce
        for number in sorted(self.entries):
            is_ready = number <= following
            if is_ready:
                following = max(following, number + 1)
            entry = self.entries[number]
            rank = (is_ready, *entry.worth)
            ranked.append((min(rank, ranked[-1][0]) if ranked else rank, entry))
        return ranked

    def rank_of(self, newcomer: Entry, nonce: int) -> Rank:
        """The rank that one more would have, or one instead of that with its number."""
        number = newcomer.transaction.body.nonce
        before = {other: entry for other, entry in self.entries.items() if other < number}
        return Queue(self.colour, {**before, number: newcomer}).ranked(nonce)[-1][0]


class Tails:
    """Each sender's last transaction, in the order in which a full mempool lets them go.

    A heap whose outdated items are passed over: an item holds while its ticket is the sender's.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[Rank, int, bytes]] = []
        self._tickets: dict[bytes, int] = {}
        self._changed: set[bytes] = set()
        self._last = 0

    def changed(self, sender: bytes) -> None:
        """A sender's queue, or the number it waits for, is another one now."""
        self._changed.add(sender)

    def gone(self, sender: bytes) -> None:
        """Nothing of a sender waits any more."""
        self._changed.discard(sender)
        self._tickets.pop(sender, None)

    def victims(
        self,
        queues: Mapping[bytes, Queue],
        nonce_of: Callable[[bytes], int],
        newcomer: bytes,
        rank: Rank,
        count: int,
        size: int,
    ) -> list[SignedTransaction] | None:
        """The transactions of others that must go to make room for `count` more and `size` bytes, the last one first.

        None if something of at least the newcomer's rank would have to go. Nothing is changed.
        """
        self._refresh(queues, nonce_of)
        heap, chosen = self._heap, list[SignedTransaction]()
        lifted: list[tuple[Rank, int, bytes]] = []  # good items, to be put back
        rests: dict[int, list[tuple[Rank, Entry]]] = {}  # what is left of queues that lost their last, by ticket
        while count > 0 or size > 0:
            if not heap or heap[0][0] >= rank:
                chosen.clear()
                break
            item = heapq.heappop(heap)
            _, ticket, sender = item
            if ticket in rests:
                rest = rests.pop(ticket)
            elif self._tickets.get(sender) == ticket:
                lifted.append(item)
                if sender == newcomer:
                    continue
                rest = queues[sender].ranked(nonce_of(sender))
            else:
                continue
            transaction = rest.pop()[1].transaction
            chosen.append(transaction)
            count -= 1
            size -= len(transaction.raw)
            if rest:
                self._last += 1
                rests[self._last] = rest
                heapq.heappush(heap, (rest[-1][0], self._last, sender))
        for item in lifted:
            heapq.heappush(heap, item)
        return chosen or None

    def _refresh(self, queues: Mapping[bytes, Queue], nonce_of: Callable[[bytes], int]) -> None:
        for sender in self._changed:
            self._last += 1
            self._tickets[sender] = self._last
            heapq.heappush(self._heap, (queues[sender].ranked(nonce_of(sender))[-1][0], self._last, sender))
        self._changed.clear()
        if len(self._heap) > 2 * len(self._tickets) + _STALE:
            self._heap = [item for item in self._heap if self._tickets.get(item[2]) == item[1]]
            heapq.heapify(self._heap)
