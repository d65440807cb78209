"""Who can be reached through which relays, and how well each relay did (protocol section 10).

A node that nobody can call tells its peers the relays it is linked with; others hear of it from them for a while. As
with addresses, anybody may tell of any route, so each teller has a share of the book. Of several relays that one is
taken whose circuits came up and lasted; what was seen of it counts half after an hour, so that none is written off.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from random import Random
from typing import cast

from node.encoding.canonical import Value
from node.encoding.hosts import Address, is_host, is_public

MAX_ROUTES = 2_048
MAX_OF_NODE = 4
MAX_FROM_SOURCE = 128
MAX_RELAYS = 256
"""Relays whose success is remembered."""
ROUTE_MS = 30 * 60_000
"""A route that is not heard of for so long is forgotten."""
HALF_MS = 60 * 60_000
FIRST_WAIT_MS, LONGEST_WAIT_MS = 8_000, 10 * 60_000
_UNIT = 1_000


class _Route:
    __slots__ = ("address", "failures", "heard_ms", "next_ms", "source")

    def __init__(self, address: Address, source: bytes, heard_ms: int) -> None:
        self.address = address
        self.source = source
        self.heard_ms = heard_ms
        self.failures = 0
        self.next_ms = 0


class _Record:
    """Of one relay: attempts and what came of them, in thousandths, and how long the last circuit took to come up."""

    __slots__ = ("at_ms", "delay_ms", "good", "tried")

    def __init__(self, at_ms: int) -> None:
        self.good = self.tried = self.delay_ms = 0
        self.at_ms = at_ms

    def decay(self, now_ms: int) -> None:
        halvings = max(0, now_ms - self.at_ms) // HALF_MS
        self.good >>= halvings
        self.tried >>= halvings
        self.at_ms += halvings * HALF_MS


class Routes:
    """Routes by node and relay. Times are Unix time in ms; `random` draws."""

    def __init__(self, own: bytes, random: Random) -> None:
        """`own` is this node's id: it needs no route to itself, and tells others of those through it."""
        self._own = own
        self._random = random
        self._routes: dict[tuple[bytes, bytes], _Route] = {}
        self._told: Counter[bytes] = Counter()
        self._records: dict[bytes, _Record] = {}

    def __len__(self) -> int:
        return len(self._routes)

    def add(self, address: Address, source: bytes, now_ms: int) -> bool:
        """Note a route that `source` (a node id; empty for this node's owner) told of; whether it is new."""
        key = address.node, address.relay
        if not address.relay or address.node in (self._own, address.relay):
            return False
        if not is_host(address.host) or not 0 < address.port < 1 << 16:
            return False
        known = self._routes.get(key)
        if known is not None:
            if source in (b"", address.node):
                known.address = address
            known.heard_ms = max(known.heard_ms, now_ms)
            return False
        others = sum(node == address.node for node, _ in self._routes)
        if source and (self._told[source] >= MAX_FROM_SOURCE or others >= MAX_OF_NODE):
            return False
        if len(self._routes) >= MAX_ROUTES:
            self.forget(*min(self._routes, key=lambda one: self._routes[one].heard_ms))
        self._routes[key] = _Route(address, source, now_ms)
        self._told[source] += 1
        return True

    def replace(self, node: bytes, addresses: Iterable[Address], now_ms: int) -> list[Address]:
        """Note what a node says of itself, and forget what it does not say any more; the new ones."""
        said = list(addresses)[:MAX_OF_NODE]
        keep = {address.relay for address in said}
        for key in [key for key in self._routes if key[0] == node and key[1] not in keep]:
            self.forget(*key)
        return [address for address in said if self.add(address, node, now_ms)]

    def forget(self, node: bytes, relay: bytes) -> None:
        """Strike a route out."""
        route = self._routes.pop((node, relay), None)
        if route is not None:
            self._told[route.source] -= 1
            if not self._told[route.source]:
                del self._told[route.source]

    def candidate(self, now_ms: int, without: Collection[bytes], linked: Collection[bytes]) -> Address | None:
        """A node to reach now that is none of `without`, by the best of its relays: the one that did best, then one
        that is `linked`, then the quickest."""
        for key in [key for key, route in self._routes.items() if now_ms - route.heard_ms > ROUTE_MS]:
            self.forget(*key)
        due = [
            (node, relay)
            for (node, relay), route in self._routes.items()
            if route.next_ms <= now_ms and node not in without and relay != self._own
        ]
        if not due:
            return None
        chosen, _ = self._random.choice(due)
        relays = [relay for node, relay in due if node == chosen]
        self._random.shuffle(relays)
        best = min(relays, key=lambda relay: self._rank(relay, relay in linked, now_ms))
        return self._routes[chosen, best].address

    def _rank(self, relay: bytes, linked: bool, now_ms: int) -> tuple[int, bool, int]:
        record = self._records.get(relay)
        return -self.success(relay, now_ms), not linked, record.delay_ms if record is not None else 0

    def success(self, relay: bytes, now_ms: int) -> int:
        """Of ten circuits through a relay so many may be expected to come up and last; of an unknown one five."""
        record = self._records.get(relay)
        if record is None:
            return 5
        record.decay(now_ms)
        return (record.good + _UNIT) * 10 // (record.tried + 2 * _UNIT)

    def shift(self, by_ms: int) -> None:
        """The clock was set, so much ahead: what was so long ago is so long ago still."""
        for route in self._routes.values():
            route.heard_ms += by_ms
            route.next_ms += by_ms
        for record in self._records.values():
            record.at_ms += by_ms

    # -- how relays do --------------------------------------------------------------------------------------------

    def came_up(self, node: bytes, relay: bytes, delay_ms: int, now_ms: int) -> None:
        """A circuit came up after so long, there and back with all handshakes."""
        record = self._record(relay, now_ms)
        record.tried += _UNIT
        record.good += _UNIT
        record.delay_ms = delay_ms
        if (route := self._routes.get((node, relay))) is not None:
            route.failures = route.next_ms = 0

    def broke(self, node: bytes, relay: bytes, now_ms: int) -> None:
        """One that had come up did not last: it counts as one that did not."""
        record = self._record(relay, now_ms)
        record.good = max(0, record.good - _UNIT)
        self._put_off(node, relay, now_ms)

    def failed(self, node: bytes, relay: bytes, now_ms: int, *, whole: bool = True) -> None:
        """None came up. Unless `whole` that says nothing of the relay: it was full, say, or the node is not there."""
        if whole:
            self._record(relay, now_ms).tried += _UNIT
        self._put_off(node, relay, now_ms)

    def _put_off(self, node: bytes, relay: bytes, now_ms: int) -> None:
        if (route := self._routes.get((node, relay))) is not None:
            route.next_ms = now_ms + min(FIRST_WAIT_MS << min(route.failures, 16), LONGEST_WAIT_MS)
            route.failures += 1

    def _record(self, relay: bytes, now_ms: int) -> _Record:
        found = self._records.get(relay)
        if found is None:
            if len(self._records) >= MAX_RELAYS:
                del self._records[min(self._records, key=lambda one: self._records[one].at_ms)]
            found = self._records[relay] = _Record(now_ms)
        found.decay(now_ms)
        return found

    # -- telling and keeping --------------------------------------------------------------------------------------

    def share(self, count: int, now_ms: int, *, local: bool) -> tuple[Address, ...]:
        """A random part of what was heard lately, for a peer; relays of a local network only for one in the same."""
        fresh = [
            route.address
            for route in self._routes.values()
            if now_ms - route.heard_ms < ROUTE_MS and (local or is_public(route.address.host))
        ]
        return tuple(self._random.sample(fresh, min(count, len(fresh))))

    def rows(self) -> tuple[Value, ...]:
        """What is to be stored: routes, and what is known of relays."""
        routes = tuple((*route.address, route.heard_ms) for route in self._routes.values())
        records = tuple(
            (relay, record.good, record.tried, record.delay_ms, record.at_ms) for relay, record in self._records.items()
        )
        return routes, records

    def restore(self, rows: Iterable[Value]) -> None:
        """Take up what was stored; what has no good form is passed over."""
        for row in (row for part in rows if type(part) is tuple for row in part):
            shape = tuple(map(type, row)) if type(row) is tuple else ()
            if shape == (str, int, bytes, bytes, int):
                host, port, node, relay, heard = cast("tuple[str, int, bytes, bytes, int]", row)
                if len(node) == len(relay) == 32:
                    self.add(Address(host, port, node, relay), b"", heard)
            elif shape == (bytes, int, int, int, int) and len(self._records) < MAX_RELAYS:
                relay, good, tried, delay, at = cast("tuple[bytes, int, int, int, int]", row)
                record = self._records[relay] = _Record(at)
                record.good, record.tried, record.delay_ms = good, tried, delay
