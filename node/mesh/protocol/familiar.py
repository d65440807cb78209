"""Nodes that the owner named (by an invitation, or by hand), and their places in local networks.

Friends meet in the same few networks, and routers give out the same addresses again: who comes home finds them without
asking anybody, even where multicast is filtered (after Briar; research/mesh-and-messengers.md, 4.4).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable
from ipaddress import ip_address

from node.encoding.canonical import Value
from node.encoding.hosts import Address, is_host, is_public

MAX_NODES = 64
MAX_PLACES = 4


def subnet(host: str) -> bytes | None:
    """What the addresses of one local network have in common, about: /24, /64 of IPv6. None for a name."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return address.packed[:3] if address.version == 4 else address.packed[:8]


class Familiar:
    """The node last named, and its place last seen, come first; beyond the bounds the oldest go."""

    def __init__(self) -> None:
        self._places: OrderedDict[bytes, OrderedDict[tuple[str, int], None]] = OrderedDict()

    def __contains__(self, node: bytes) -> bool:
        return node in self._places

    def know(self, node: bytes) -> None:
        """The owner named a node."""
        self._places.setdefault(node, OrderedDict())
        self._places.move_to_end(node, last=False)
        if len(self._places) > MAX_NODES:
            self._places.popitem()

    def seen(self, address: Address) -> None:
        """A node is there. Strangers, and places that are in no local network, are passed over."""
        places = self._places.get(address.node)
        if places is None or address.relay or is_public(address.host) or subnet(address.host) is None:
            return
        places[address.host, address.port] = None
        places.move_to_end((address.host, address.port), last=False)
        if len(places) > MAX_PLACES:
            places.popitem()

    def near(self, own: Collection[str]) -> list[Address]:
        """Where familiar nodes were seen in a network that one of this device's `own` addresses is in."""
        here = {subnet(host) for host in own} - {None}
        return [
            Address(host, port, node)
            for node, places in self._places.items()
            for host, port in places
            if subnet(host) in here and host not in own
        ]

    def rows(self) -> tuple[Value, ...]:
        """What is to be stored."""
        return tuple((node, tuple(places)) for node, places in self._places.items())

    def restore(self, rows: Iterable[Value]) -> None:
        """Take up what was stored; rows that are none are passed over."""
        for row in reversed(tuple(rows)):
            if type(row) is not tuple or tuple(map(type, row)) != (bytes, tuple):
                continue
            node, places = row
            assert isinstance(node, bytes)
            assert isinstance(places, tuple)
            if len(node) != 32:
                continue
            self.know(node)
            for place in reversed(places):
                match place:
                    case (str(host), int(port)) if is_host(host) and 0 < port < 1 << 16:
                        self.seen(Address(host, port, node))
                    case _:
                        pass
