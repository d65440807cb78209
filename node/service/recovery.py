"""What keeps a node linked through sleep, other networks and clocks that are set, and whom it calls first at a start.

Anchors, the peers that it had called and was linked with at the last stop, come first: whoever wants to keep a node
among false friends would have to be there before it stopped. Beside them nodes that its owner named, where they were
last seen in the local network that it is in now.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Iterable
from typing import TYPE_CHECKING

from node.encoding.canonical import Value
from node.encoding.hosts import Address
from node.mesh.discovery import own_addresses
from node.mesh.protocol.familiar import Familiar
from node.mesh.protocol.hello import skew_of_most
from node.service.steady_clock import boot_ms
from node.service.surroundings import Surroundings

if TYPE_CHECKING:
    from node.service.mesh import Mesh, Peer

MAX_ANCHORS = 4
MAX_ERRORS = 64

_log = logging.getLogger("nexus.mesh")


class Recovery:
    """Belongs to a `Mesh`."""

    def __init__(self, mesh: Mesh, anchors: Iterable[bytes], familiar: Iterable[Value]) -> None:
        """`anchors` and `familiar` are what `anchors_now` and `familiar.rows` gave before the last stop."""
        self.familiar = Familiar()
        self.familiar.restore(familiar)
        self.errors: OrderedDict[Address, str] = OrderedDict()
        """Why somebody was not reached last, the newest last; whoever was reached since is not in it."""
        self._mesh = mesh
        self._anchors = tuple(anchors)[:MAX_ANCHORS]
        self._surroundings = Surroundings(self, own_addresses, boot_ms)

    async def run(self) -> None:
        """Call whom to call first, then watch until cancelled."""
        self.call_first()
        await self._surroundings.run()

    @property
    def addresses(self) -> frozenset[str]:
        """Of this device, in local networks and beyond; none where it is in no network."""
        return self._surroundings.addresses

    # -- whom to call first ---------------------------------------------------------------------------------------

    def call_first(self) -> None:
        """Call anchors and familiar nodes nearby, before anybody else has a turn."""
        mesh = self._mesh
        if mesh.thrift.asleep:
            return
        linked = {peer.link.peer for peer in mesh.peers.values()}
        known = (mesh.book.address_of(node) for node in self._anchors)
        first = [*self.familiar.near(self.addresses), *(address for address in known if address is not None)]
        for address in first[: mesh.settings.outbound]:
            if address.node not in linked:
                mesh.dialling.call(address)

    def anchors_now(self) -> tuple[bytes, ...]:
        """Peers that this node called itself, those linked for longest first; those of the last run until there are
        any."""
        called = [peer for peer in self._mesh.peers.values() if not peer.link.inbound and not peer.link.relay]
        called.sort(key=lambda peer: peer.since_ms)
        if called:
            self._anchors = tuple(peer.link.peer for peer in called[:MAX_ANCHORS])
        return self._anchors

    def linked(self, peer: Peer) -> None:
        """A link is up."""
        link = peer.link
        port = peer.hello.port if link.inbound else link.port
        if port and not link.relay:
            address = Address(link.host, port, link.peer)
            self.familiar.seen(address)
            self.errors.pop(address, None)
        self.heed_clocks()

    def failed(self, address: Address, why: str) -> None:
        """Somebody was not reached."""
        self.errors[address] = why
        self.errors.move_to_end(address)
        if len(self.errors) > MAX_ERRORS:
            self.errors.popitem(last=False)

    # -- what happens around --------------------------------------------------------------------------------------

    def slept(self, passed_ms: int) -> None:
        """See Owner. Whatever link there was, its other side has ended it."""
        mesh = self._mesh
        for peer in list(mesh.peers.values()):
            peer.link.abort("slept", "This device slept for too long.")
        self._begin_anew()

    def moved(self, addresses: frozenset[str]) -> None:
        """See Owner. Links from an address that this device has no more are dead, though nobody says so."""
        mesh = self._mesh
        for peer in list(mesh.peers.values()):
            if peer.link.own_host and not _is_own(peer.link.own_host, addresses):
                peer.link.abort("moved", "This device is in another network.")
        if addresses:
            mesh.thrift.moved()
            self._begin_anew()
            mesh.neighbourhood.renew()

    def lost_all(self) -> None:
        """The last link broke: whoever was reached before is called at once."""
        self._mesh.book.awaken()

    def _begin_anew(self) -> None:
        mesh = self._mesh
        mesh.book.awaken()
        self.call_first()
        mesh.dialling.wake()
        if mesh.node.producer is not None:
            mesh.node.producer.wake()
        mesh.node.look()

    # -- clocks ---------------------------------------------------------------------------------------------------

    def clock_set(self, by_ms: int) -> None:
        """This device's clock was set ahead by so much (negative: back): all that is remembered by it goes along."""
        mesh = self._mesh
        _log.warning(
            "the clock of this device was set %s by %d s", "ahead" if by_ms > 0 else "back", abs(by_ms) // 1_000
        )
        mesh.book.shift(by_ms)
        mesh.routing.routes.shift(by_ms)
        mesh.thrift.shift(by_ms)
        for node in mesh.bans:
            mesh.bans[node] += by_ms
        for peer in mesh.peers.values():
            peer.ahead_ms -= by_ms
        self.heed_clocks()
        if mesh.node.producer is not None:
            mesh.node.producer.wake()

    def heed_clocks(self) -> None:
        """Tell the owner where the clocks of most peers are far from this device's."""
        mesh, alerts = self._mesh, self._mesh.node.alerts
        count, ahead = skew_of_most([peer.ahead_ms for peer in mesh.peers.values()])
        if not count:
            alerts.clear("clock_skew")
            return
        side = "behind" if ahead > 0 else "ahead of"
        alerts.put(
            "clock_skew",
            "warning",
            f"This device's clock is about {_span(abs(ahead))} {side} those of {count} of {len(mesh.peers)} peers. "
            "Blocks are made and taken by the clock: with a wrong one they come too early or too late.",
            "Set the date and time of this device (best automatically, from the network). If they are right, those of "
            "the peers are wrong.",
        )


def _is_own(host: str, addresses: frozenset[str]) -> bool:
    """Whether a link from `host` may live: this device's own loopback always does."""
    plain = host.removeprefix("::ffff:").partition("%")[0]
    return plain in addresses or plain.startswith("127.") or plain == "::1"


def _span(ms: int) -> str:
    for size, name in ((86_400_000, "day"), (3_600_000, "hour"), (60_000, "minute")):
        if ms >= size:
            count = (ms + size // 2) // size
            return f"{count} {name}{'s' * (count > 1)}"
    return f"{ms // 1_000} seconds"
