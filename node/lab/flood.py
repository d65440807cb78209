"""Flood gossip: who accepts something new sends it to all neighbours (the mesh's protocol machine takes its place).

An arrival is only put on the agenda if it is earlier than the one already there for that node and thing, so a thing
costs little more than one event a node, however many neighbours it has. What it counts as sent: an inventory to
each neighbour, and the body once to each node that had not got it (protocol section 10: inventories, then bodies).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from node.lab.agenda import Agenda
from node.lab.links import Links

INVENTORY_BYTES = 36  # an id of 32 bytes and what frames it
_NEVER = 1 << 62
_HERE = -1

BLOCK, VOTE, TRANSACTION = "block", "vote", "transaction"


class Item:
    """One thing on its way through the network: its kind, content and size, and when it reaches each node."""

    __slots__ = ("arrival", "content", "kind", "size")

    def __init__(self, kind: str, content: Any, size: int, nodes: int) -> None:
        self.kind = kind
        self.content = content
        self.size = size
        self.arrival = [_NEVER] * nodes


class Flood:
    """The things on their way. `receive(node, item, sender)` is called once for each node and thing."""

    def __init__(
        self, agenda: Agenda, links: Links, nodes: int, receive: Callable[[int, Item, int], None], is_up: list[bool]
    ) -> None:
        self._agenda = agenda
        self._links = links
        self._nodes = nodes
        self._receive = receive
        self._is_up = is_up
        self.sent = dict.fromkeys((BLOCK, VOTE, TRANSACTION, "inventory"), 0)  # bytes

    def item(self, kind: str, content: Any, size: int) -> Item:
        """A new thing, that nobody has yet."""
        return Item(kind, content, size, self._nodes)

    def has(self, node: int, item: Item) -> bool:
        """Whether a thing has reached a node."""
        return item.arrival[node] == _HERE

    def hold(self, node: int, item: Item) -> None:
        """A node has the thing without anybody's sending: it made it, or got it by a request."""
        item.arrival[node] = _HERE

    def forward(self, node: int, item: Item, to: Iterable[int] | None = None) -> None:
        """A node sends a thing to neighbours, all of them unless `to` names some nodes."""
        links, agenda = self._links, self._agenda
        now, arrival, delay, carries = agenda.now, item.arrival, links.delay, links.carries
        peers = links.peers[node] if to is None else tuple(to)
        self.sent["inventory"] += INVENTORY_BYTES * len(peers)
        for peer in peers:
            due = arrival[peer]
            if due <= now:
                continue
            when = now + delay()
            if when < due and carries(node, peer, now):
                arrival[peer] = when
                agenda.at(when, self._arrive, peer, item, node, when)

    def _arrive(self, node: int, item: Item, sender: int, when: int) -> None:
        if item.arrival[node] != when:
            return  # it came another way before
        if not self._is_up[node]:
            item.arrival[node] = _NEVER  # a neighbour may send it again once the node is back
            return
        item.arrival[node] = _HERE
        self.sent[item.kind] += item.size
        self._receive(node, item, sender)
