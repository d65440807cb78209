"""Where other nodes may be reached: a bounded book of addresses (protocol section 10).

Anybody may tell of any address, so nobody may fill the book: each network prefix has a share of it, and so has each
peer who tells. What was reached once is kept before what was only told of. Whom to try next is drawn among those that
are due, fewer failures first; after a failure one waits twice as long. Two links never go into one prefix, so that
whoever owns one does not own all that a node hears.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from random import Random
from typing import cast

from node.encoding.canonical import Value
from node.encoding.hosts import Address, is_host, is_public, prefix_of

MAX_ADDRESSES = 4_096
MAX_IN_PREFIX = 64
MAX_FROM_SOURCE = 512
FIRST_WAIT_MS, LONGEST_WAIT_MS = 8_000, 30 * 60_000
RECENT_MS = 10 * 60_000
"""Who was reached so lately is called again after the first wait each time: a network that heals must not wait."""
SHARED_AT_LEAST = 8
"""Of a small book more than a quarter is told, or a small network would never know itself."""
MAX_FAILURES = 10
"""In a row, of one that was never reached in the last week: then it is forgotten."""
_WEEK_MS = 7 * 86_400_000
_HORIZON_MS = 30 * 86_400_000
"""What was not heard of for so long is not told on."""


class _Entry:
    __slots__ = ("address", "failures", "heard_ms", "next_ms", "prefix", "reached_ms", "sent_away", "source")

    def __init__(self, address: Address, source: bytes, heard_ms: int) -> None:
        self.address = address
        self.prefix = prefix_of(address.host)
        self.source = source
        self.heard_ms = heard_ms
        self.reached_ms = 0
        self.failures = 0
        self.sent_away = 0
        self.next_ms = 0


class AddressBook:
    """One address a node. Times are Unix time in ms; `random` draws."""

    def __init__(self, own: bytes, random: Random) -> None:
        """`own` is this node's id, which is never in the book."""
        self._own = own
        self._random = random
        self._entries: dict[bytes, _Entry] = {}
        # Of those that were told of and never reached: how many in each prefix, and how many by each teller.
        self._near: Counter[str] = Counter()
        self._told: Counter[bytes] = Counter()

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, node: bytes) -> bool:
        return node in self._entries

    def add(self, address: Address, source: bytes, now_ms: int) -> bool:
        """Note an address that `source` (a node id; empty for this node's owner) told of; whether it is kept.

        One that was reached is not moved by hearsay: only its owner's word, or its own, does that.
        """
        if address.node == self._own or not is_host(address.host) or not 0 < address.port < 1 << 16:
            return False
        known = self._entries.get(address.node)
        if known is not None:
            trusted = not source or source == address.node
            if known.address != address and (trusted or not known.reached_ms):
                self._count(known, -1)
                known.address, known.prefix, known.failures, known.next_ms = address, prefix_of(address.host), 0, 0
                self._count(known, 1)
            if known.address == address:
                known.heard_ms = max(known.heard_ms, now_ms)
            return known.address == address
        entry = _Entry(address, source, now_ms)
        if source and (self._told[source] >= MAX_FROM_SOURCE or self._near[entry.prefix] >= MAX_IN_PREFIX):
            return False
        if len(self._entries) >= MAX_ADDRESSES:
            # The least useful: never reached and failed most, then the one not heard of for longest.
            worst = min(self._entries.values(), key=lambda old: (old.reached_ms > 0, -old.failures, old.heard_ms))
            self.forget(worst.address.node)
        self._entries[address.node] = entry
        self._count(entry, 1)
        return True

    def _count(self, entry: _Entry, sign: int) -> None:
        if entry.reached_ms or not entry.source:
            return
        self._near[entry.prefix] += sign
        self._told[entry.source] += sign
        if not self._near[entry.prefix]:
            del self._near[entry.prefix]
        if not self._told[entry.source]:
            del self._told[entry.source]

    def reached(self, node: bytes, now_ms: int) -> None:
        """A link to the node came about."""
        if (entry := self._entries.get(node)) is not None:
            self._count(entry, -1)
            entry.reached_ms = entry.heard_ms = now_ms
            entry.failures = 0
            entry.next_ms = 0

    def failed(self, node: bytes, now_ms: int) -> None:
        """The node was not reached, or sent this one away."""
        entry = self._entries.get(node)
        if entry is None:
            return
        entry.failures += 1
        doubled = 0 if now_ms - entry.reached_ms < RECENT_MS else min(entry.failures - 1, 16)
        entry.next_ms = now_ms + min(FIRST_WAIT_MS << doubled, LONGEST_WAIT_MS)
        if entry.failures >= MAX_FAILURES and now_ms - entry.reached_ms > _WEEK_MS and entry.source:
            self.forget(node)

    def sent_away(self, node: bytes, now_ms: int) -> None:
        """A link to the node came about, and the node ended it at once: it keeps this one out, or has no room."""
        if (entry := self._entries.get(node)) is not None:
            entry.next_ms = now_ms + min(FIRST_WAIT_MS << min(entry.sent_away, 16), LONGEST_WAIT_MS)
            entry.sent_away += 1

    def lasted(self, node: bytes) -> None:
        """A link with the node has held."""
        if (entry := self._entries.get(node)) is not None:
            entry.sent_away = 0

    def forget(self, node: bytes) -> bool:
        """Strike a node out; whether it was there."""
        entry = self._entries.pop(node, None)
        if entry is not None:
            self._count(entry, -1)
        return entry is not None

    def candidate(self, now_ms: int, without: Collection[bytes], prefixes: Collection[str]) -> Address | None:
        """Whom to try now: nobody of `without`, and into none of `prefixes` (a local network does not count)."""
        taken = set(prefixes) - {"local"}
        due = [
            entry
            for node, entry in self._entries.items()
            if entry.next_ms <= now_ms and node not in without and entry.prefix not in taken
        ]
        if not due:
            return None
        # Told from afar or near, by many or few: every prefix has the same chance (Kaspa weighs alike).
        crowd = Counter(entry.prefix for entry in due)
        weights = [
            (64 if entry.reached_ms else 16) / ((1 + entry.failures) ** 2 * crowd[entry.prefix]) for entry in due
        ]
        return self._random.choices(due, weights)[0].address

    def next_ms(self) -> int | None:
        """When somebody is due; None for an empty book."""
        return min((entry.next_ms for entry in self._entries.values()), default=None)

    def address_of(self, node: bytes) -> Address | None:
        """Where a node is, as far as is known."""
        entry = self._entries.get(node)
        return None if entry is None else entry.address

    def awaken(self) -> None:
        """The network is back, or is another: whoever was reached once is due at once, whatever failed meanwhile."""
        for entry in self._entries.values():
            if entry.reached_ms:
                entry.failures = entry.next_ms = 0

    def shift(self, by_ms: int) -> None:
        """The clock was set, so much ahead: what was so long ago is so long ago still, and who is due stays due."""
        for entry in self._entries.values():
            entry.heard_ms = max(0, entry.heard_ms + by_ms)
            if entry.reached_ms:
                entry.reached_ms = max(1, entry.reached_ms + by_ms)
            if entry.next_ms:
                entry.next_ms = max(0, entry.next_ms + by_ms)

    @property
    def newest_ms(self) -> int:
        """When somebody was last heard of."""
        return max((entry.heard_ms for entry in self._entries.values()), default=0)

    def share(self, count: int, now_ms: int, *, local: bool) -> tuple[Address, ...]:
        """A random part of what is known to work, a quarter of it or a few, for a peer; addresses of a local network
        only for one that is in the same (`local`)."""
        good = [
            entry.address
            for entry in self._entries.values()
            if entry.reached_ms and now_ms - entry.heard_ms < _HORIZON_MS and (local or is_public(entry.address.host))
        ]
        return tuple(self._random.sample(good, min(count, max(SHARED_AT_LEAST, len(good) // 4), len(good))))

    def rows(self) -> tuple[Value, ...]:
        """What is to be stored."""
        return tuple(
            (*entry.address[:3], entry.source, entry.heard_ms, entry.reached_ms, entry.failures)
            for entry in self._entries.values()
        )

    def restore(self, rows: Iterable[Value]) -> None:
        """Take up what was stored; rows that are none are passed over, since the book only remembers what can be
        learned again."""
        for row in rows:
            if type(row) is not tuple or tuple(map(type, row)) != (str, int, bytes, bytes, int, int, int):
                continue
            host, port, node, source, heard, reached, failures = cast(
                "tuple[str, int, bytes, bytes, int, int, int]", row
            )
            if len(node) == 32 and self.add(Address(host, port, node), b"", heard):
                entry = self._entries[node]
                entry.source, entry.reached_ms, entry.failures = source, reached, failures
                self._count(entry, 1)
