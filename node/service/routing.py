"""Whether others can call this node, and through whom they reach it otherwise (protocol section 10).

A node takes itself for unreachable as long as nobody from outside has called it; then it tells its peers the relays
that it has called itself. What others tell of themselves is noted and told on to a few.
"""

from __future__ import annotations

import asyncio
from random import Random
from typing import TYPE_CHECKING

from node.encoding.hosts import Address, is_public
from node.mesh.discovery import own_addresses
from node.mesh.protocol.hello import CIRCUITS
from node.mesh.protocol.messages import MAX_ROUTES, AskAddresses, Routes
from node.mesh.protocol.routes import Routes as RouteBook

if TYPE_CHECKING:
    from node.service.mesh import Mesh, Peer

OWN_ROUTES = 3
UNCALLED_MS = 30_000
"""Who has had links for so long and was never called takes itself for unreachable."""
CALLED_MS = 6 * 3_600_000
_LOOK_S = 5.0
_TELL_MS = 10 * 60_000
_ASK_MS = 2 * 60_000
_TOLD = 8  # peers that hear of a new route


class Routing:
    """Belongs to a `Mesh`, which tells of its links and of what is heard about routes."""

    def __init__(self, mesh: Mesh, random: Random) -> None:
        self.routes = RouteBook(mesh.key.id, random)
        self._mesh = mesh
        self._random = random
        self._here = own_addresses()
        self._first_ms: int | None = None
        self._called_ms: dict[bool, int] = {}  # from the internet, from the local network
        self._told: tuple[Address, ...] = ()
        self._told_ms = self._asked_ms = mesh.now_ms()

    def linked(self, number: int, peer: Peer) -> None:
        """A link is up."""
        link, now = peer.link, self._mesh.now_ms()
        if self._first_ms is None:
            self._first_ms = now
        if link.inbound and not link.relay:
            self._called_ms[is_public(link.host)] = now
        if not self._tell() and self._told:
            self._say(number, self._told)

    @property
    def outside(self) -> bool:
        """Whether this node is linked with nodes of the internet."""
        return any(is_public(peer.link.host) for peer in self._mesh.peers.values() if not peer.link.relay)

    @property
    def unreachable(self) -> bool:
        """Whether nobody can call this node, as far as it knows. Who is linked with nodes of the internet must have
        been called from there; in a local network its own calls count."""
        mesh = self._mesh
        if not mesh.port or not mesh.settings.inbound:
            return True
        outside = self.outside
        direct = [peer.link for peer in mesh.peers.values() if not peer.link.relay]
        if any(link.inbound and is_public(link.host) == outside for link in direct):
            return False
        called = [moment for public, moment in self._called_ms.items() if public or not outside]
        now = mesh.now_ms()
        if called and now - max(called) < CALLED_MS:
            return False
        return self._first_ms is not None and now - self._first_ms >= UNCALLED_MS

    def own_routes(self) -> tuple[Address, ...]:
        """Through whom others reach this node: relays that it has called itself, those that all can call first."""
        mesh = self._mesh
        if not self.unreachable or not mesh.settings.inbound or mesh.settings.proxy is not None:
            return ()
        able = [
            peer
            for peer in mesh.peers.values()
            if not peer.link.inbound and not peer.link.relay and peer.hello.services & CIRCUITS
        ]
        now = mesh.clock()
        able.sort(
            key=lambda peer: (
                not is_public(peer.link.host),
                -self.routes.success(peer.link.peer, now),
                peer.since_ms,
            )
        )
        return tuple(Address(peer.link.host, peer.link.port, mesh.key.id, peer.link.peer) for peer in able[:OWN_ROUTES])

    # -- telling and hearing --------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Tell and ask what is due until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_S)
            self._look()

    def _look(self) -> None:
        mesh, now = self._mesh, self._mesh.now_ms()
        if (here := own_addresses()) != self._here:
            # The device was carried elsewhere: who could call it there tells nothing of here.
            self._here = here
            self._called_ms.clear()
            self._first_ms = now if mesh.peers else None
        self._tell()
        if not self.unreachable:
            return
        if mesh.peers and now - self._asked_ms >= _ASK_MS:
            self._asked_ms = now
            mesh.gossip.say(self._random.choice(list(mesh.peers)), AskAddresses())
        mesh.dialling.wake()

    def share(self, number: int, *, local: bool) -> None:
        """A peer asked whom this node knows."""
        others = self.routes.share(MAX_ROUTES - OWN_ROUTES, self._mesh.clock(), local=local)
        if self._told or others:
            self._say(number, (*self._told, *others))

    def _say(self, number: int, routes: tuple[Address, ...]) -> None:
        """Tell a peer of routes; of those by relays of a local network only if it is in one itself."""
        peer = self._mesh.peers.get(number)
        if peer is None:
            return
        local = not is_public(peer.link.host)
        told = [one for one in routes if local or is_public(one.host)]
        entries = tuple((one.host, one.port, one.relay, one.node) for one in told[:MAX_ROUTES])
        self._mesh.gossip.say(number, Routes(entries))

    def _tell(self) -> bool:
        """Tell peers of this node's routes if they have changed, and now and then, since routes are forgotten; whether
        it was done."""
        mesh, now = self._mesh, self._mesh.now_ms()
        mine = self.own_routes()
        if set(mine) != set(self._told) or (mine and now - self._told_ms >= _TELL_MS):
            self._told, self._told_ms = mine, now
            for number in list(mesh.peers):
                self._say(number, mine)
            return True
        return False

    def hear(self, peer: Peer, message: Routes) -> None:
        """A node's word of itself is told on to a few; relays of a local network are heard of only from within it."""
        mesh, now, teller = self._mesh, self._mesh.clock(), peer.link.peer
        routes = [Address(host, port, node, relay) for host, port, relay, node in message.entries]
        taken = [one for one in routes if is_public(one.host) or not is_public(peer.link.host)]
        news = tuple(self.routes.replace(teller, [one for one in taken if one.node == teller], now))
        for route in taken:
            if route.node != teller:
                self.routes.add(route, teller, now)
            mesh.book.add(route.there, teller, now)
        if news:
            able = [number for number, other in mesh.peers.items() if other is not peer]
            for number in self._random.sample(able, min(_TOLD, len(able))):
                self._say(number, (*self._told, *news))
        mesh.dialling.wake()
