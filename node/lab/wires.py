"""Open links and what travels on them: messages in their order, as fast as latency and the sender's uplink allow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from heapq import heappop, heappush

from node.lab.agenda import Agenda
from node.lab.links import Links
from node.mesh.protocol.forms import weight
from node.mesh.protocol.frames import HEAD_SIZE
from node.mesh.protocol.limits import LIMITS
from node.mesh.protocol.messages import AnyMessage, Given, Inventory

Label = type[AnyMessage] | int
"""The type of a message; of things that are given, their kind."""
Deliver = Callable[["Link", int, AnyMessage], None]


class Link:
    """One link while it is open. No two have the same number, for nodes may lose one and open another; `ready` is when
    its last message arrives, for each direction by the receiver."""

    __slots__ = ("is_open", "number", "one", "other", "ready")

    def __init__(self, number: int, one: int, other: int) -> None:
        self.number = number
        self.one = one
        self.other = other
        self.is_open = True
        self.ready = {one: 0, other: 0}

    def beyond(self, node: int) -> int:
        """The node at the other end."""
        return self.other if self.one == node else self.one


class Wires:
    """See the module. `deliver(link, receiver, message)` is called for what arrives. `bytes_per_s` is what a node can
    send, 0 for no bound; where it has more to send, the urgent classes of messages go first, as in a real node."""

    def __init__(self, agenda: Agenda, links: Links, nodes: int, bytes_per_s: int, deliver: Deliver) -> None:
        self._agenda = agenda
        self._ways = links
        self._deliver = deliver
        self._bytes_per_s = bytes_per_s
        self._open: list[dict[int, Link]] = [{} for _ in range(nodes)]
        self._free_us = [0] * nodes
        self._queues: list[list[tuple[int, int, Link, AnyMessage]]] = [[] for _ in range(nodes)]
        self._put = 0
        self._links = 0
        self.messages: Counter[Label] = Counter()
        self.bytes: Counter[Label] = Counter()
        self.things = 0  # that were announced, on all links together

    def link(self, one: int, other: int) -> Link | None:
        """The open link between two nodes."""
        return self._open[one].get(other)

    def of(self, node: int) -> list[Link]:
        """The open links of a node."""
        return list(self._open[node].values())

    def open(self, one: int, other: int) -> Link:
        """Open a link."""
        self._links += 1
        link = self._open[one][other] = self._open[other][one] = Link(self._links, one, other)
        return link

    def close(self, link: Link) -> None:
        """Close a link; what is on its way is lost."""
        if link.is_open:
            link.is_open = False
            del self._open[link.one][link.other], self._open[link.other][link.one]

    def send(self, link: Link, sender: int, message: AnyMessage) -> None:
        """Put a message on its way, if the link is open."""
        if not link.is_open:
            return
        kind = type(message)
        size = weight(message) + HEAD_SIZE
        label: Label = kind
        if isinstance(message, Given):
            label = message.kind
        elif isinstance(message, Inventory):
            self.things += len(message.names)
        self.messages[label] += 1
        self.bytes[label] += size
        if not self._bytes_per_s:
            self._travel(link, sender, message, size, self._agenda.now)
            return
        self._put += 1
        heappush(self._queues[sender], (LIMITS[kind].queue, self._put, link, message))
        if len(self._queues[sender]) == 1:
            self._agenda.at(-(-self._free_us[sender] // 1000), self._go_on, sender)

    def _go_on(self, sender: int) -> None:
        """Send what the uplink takes now."""
        queue, now_us = self._queues[sender], 1000 * self._agenda.now
        while queue and self._free_us[sender] <= now_us + 999:
            _, _, link, message = heappop(queue)
            if link.is_open:
                size = weight(message) + HEAD_SIZE
                begins = max(self._free_us[sender], now_us)
                self._free_us[sender] = begins + size * 1_000_000 // self._bytes_per_s
                self._travel(link, sender, message, size, -(-self._free_us[sender] // 1000))
        if queue:
            self._agenda.at(self._free_us[sender] // 1000, self._go_on, sender)

    def _travel(self, link: Link, sender: int, message: AnyMessage, size: int, sent: int) -> None:
        receiver = link.beyond(sender)
        when = max(link.ready[receiver], self._ways.arrival(sender, receiver, sent, size))
        link.ready[receiver] = when
        self._agenda.at(when, self._arrive, link, receiver, message)

    def _arrive(self, link: Link, receiver: int, message: AnyMessage) -> None:
        if link.is_open:
            self._deliver(link, receiver, message)
