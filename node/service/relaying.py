"""Links through relays: circuits that this node makes for others, and those that end here (protocol section 10).

`Circuits` decides what may be carried; here it meets links and sockets. A node that nobody can call makes a few links
through relays to others like it, those that did best first. Above a circuit a link is made and judged as any other.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from node.encoding.hosts import Address
from node.mesh.link import Link, LinkError
from node.mesh.pipe import Pipe
from node.mesh.protocol.circuits import Came, Circuits, Ended, Offered, Opened, Room
from node.mesh.protocol.effects import Send
from node.mesh.protocol.limits import CIRCUIT_ANSWER_MS
from node.mesh.protocol.messages import CircuitMessage, WireError
from node.mesh.transport import Transport
from node.service.routing import Routing

if TYPE_CHECKING:
    from node.service.mesh import Mesh, Peer

_log = logging.getLogger("nexus.mesh")

OWN_CIRCUITS = 2
"""Links through relays that a node makes of itself: enough not to depend on one relay's word, little to carry."""
LASTED_MS = 60_000
_LOOK_S = 5.0
_CREDIT_S = 0.25
"""Credit that a relay could not pass on is tried again after that."""
_REACH_S = 15.0
# What a relay or the node behind it answers; it says nothing of how good the relay is.
_EXCUSES = ("banned", "busy", "linked_already", "not_here", "off")
# How a link ends whose circuit broke.
_BROKEN = ("closed", "cut", "lost", "silent", "stalled", "tls_failed")

Circuit = tuple[int, int]
"""The number of the relay's link, and the circuit's on it."""


class Relaying:
    """Belongs to a `Mesh`, which tells of its links and of what is heard about circuits."""

    def __init__(self, mesh: Mesh, routing: Routing, transport: Transport, carry: Callable[[Send], None]) -> None:
        self.circuits = Circuits(mesh.now_ms())
        self._mesh = mesh
        self._routing = routing
        self._routes = routing.routes
        self._transport = transport
        self._carry = carry
        self._pipes: dict[Circuit, Pipe] = {}
        self._opening: dict[Circuit, asyncio.Future[str]] = {}
        self._reaching: dict[bytes, asyncio.Future[int | None]] = {}
        self._dialling: set[bytes] = set()
        self._timing = asyncio.Event()
        self._doing = False

    # -- what the mesh tells --------------------------------------------------------------------------------------

    def linked(self, number: int, peer: Peer) -> None:
        """A link is up."""
        link, direct = peer.link, not peer.link.relay
        self.circuits.connected(number, link.peer, link.inbound, direct, self._mesh.now_ms())
        if direct and (waiting := self._reaching.get(link.peer)) is not None and not waiting.done():
            waiting.set_result(number)

    def not_reached(self, node: bytes) -> None:
        """A node was called in vain."""
        if (waiting := self._reaching.get(node)) is not None and not waiting.done():
            waiting.set_result(None)

    def unlinked(self, number: int) -> None:
        """A link is gone."""
        self.circuits.gone(number, self._mesh.now_ms())
        self._do()

    def heard(self, number: int, message: CircuitMessage) -> None:
        """A peer speaks of circuits."""
        try:
            self.circuits.take(number, message, self._mesh.now_ms())
        except WireError as error:
            _log.debug("%r: %s", self._mesh.peers[number].link, error)
            self._mesh.gossip.machine.refused(number, error.code, hostile=True, now_ms=self._mesh.now_ms())
        self._do()

    # -- links through relays -------------------------------------------------------------------------------------

    def dial_what_is_due(self, wanted: int, without: set[bytes]) -> None:
        """Reach others through relays, where this node cannot be reached itself and links are too few; nobody of
        `without`, who is called directly just now, say."""
        if not self._routing.unreachable:
            return
        mesh = self._mesh
        own = len(self._dialling) + sum(bool(peer.link.relay) for peer in mesh.peers.values() if not peer.link.inbound)
        linked = {peer.link.peer for peer in mesh.peers.values()}
        without = without | linked
        for _ in range(min(OWN_CIRCUITS - own, wanted)):
            route = self._routes.candidate(mesh.clock(), without | self._dialling, linked)
            if route is None:
                break
            self.dial(route)

    def dial(self, route: Address) -> None:
        """Reach a node through a relay now."""
        if route.node not in self._dialling:
            self._dialling.add(route.node)
            self._mesh.start(self._dial(route), "mesh-dial-circuit")

    async def _dial(self, route: Address) -> None:
        mesh, node, relay = self._mesh, route.node, route.relay
        began = mesh.now_ms()
        try:
            link = await self._connect(route)
        except LinkError as error:
            _log.debug("no circuit: %s", error.message)
            if error.code == "not_here":
                self._routes.forget(node, relay)
            else:
                self._routes.failed(node, relay, mesh.clock(), whole=error.code not in _EXCUSES)
            return
        finally:
            self._dialling.discard(node)
            mesh.dialling.wake()
        up = mesh.now_ms()
        self._routes.came_up(node, relay, up - began, mesh.clock())
        if not await mesh.serve(link):
            self._routes.failed(node, relay, mesh.clock(), whole=False)
        elif mesh.now_ms() - up < LASTED_MS and link.fault is not None and link.fault.code in _BROKEN:
            self._routes.broke(node, relay, mesh.clock())

    async def _connect(self, route: Address) -> Link:
        """A link over a circuit. Raises LinkError."""
        mesh, now = self._mesh, self._mesh.now_ms()
        peer = await self._reach(route.there)
        number = None if peer is None else self.circuits.ask(peer, route.node, now)
        if peer is None or number is None:
            code = "unreachable" if peer is None else "busy"
            raise LinkError(code, f"The relay at {route.host} port {route.port} was not reached, or has no room.")
        key = peer, number
        relay = mesh.peers[peer].link
        pipe = self._new_pipe(key)
        self._opening[key] = opened = asyncio.get_running_loop().create_future()
        self._do()
        try:
            far = await _opened(pipe)
            async with asyncio.timeout(CIRCUIT_ANSWER_MS / 1000 + _LOOK_S):
                code = await opened
            if code:
                far.close()
                raise LinkError(code, f"The relay at {relay.host} made no circuit ({code}).")
            return await self._transport.connect_over(far, route.node, relay.peer, relay.host)
        except TimeoutError:
            far.close()
            raise LinkError("no_answer", f"The relay at {relay.host} did not answer.") from None
        except BaseException:
            self._drop(key)
            raise
        finally:
            self._opening.pop(key, None)

    async def _reach(self, relay: Address) -> int | None:
        """The number of the link to a relay, which is made if there is none."""
        mesh = self._mesh
        for number, peer in mesh.peers.items():
            if peer.link.peer == relay.node and not peer.link.relay:
                return number
        if mesh.bans.get(relay.node, 0) > mesh.clock():
            return None
        reached = self._reaching.setdefault(relay.node, asyncio.get_running_loop().create_future())
        try:
            mesh.dialling.call(relay)
            async with asyncio.timeout(_REACH_S):
                return await asyncio.shield(reached)
        except TimeoutError:
            return None
        finally:
            if self._reaching.get(relay.node) is reached:
                del self._reaching[relay.node]

    async def _take(self, offer: Offered) -> None:
        """A relay offers a circuit: take it if a link from there were taken."""
        mesh, key = self._mesh, (offer.peer, offer.number)
        peer = mesh.peers.get(offer.peer)
        if peer is None:
            return
        link = peer.link
        if mesh.bans.get(offer.node, 0) > mesh.clock():
            self.circuits.refuse(*key, "banned")
        elif any(other.link.peer == offer.node for other in mesh.peers.values()):
            self.circuits.refuse(*key, "linked_already")
        else:
            pipe = self._new_pipe(key)
            try:
                far = await _opened(pipe)
            except LinkError as error:
                _log.warning("a circuit is refused: %s", error.message)
                self.circuits.refuse(*key, "busy")
                self._drop(key)
                return
            if self._transport.take_over(far, offer.node, link.peer, link.host, mesh.accepted):
                self.circuits.accept(*key)
            else:
                self.circuits.refuse(*key, "busy")
                self._drop(key)
        self._do()

    def _new_pipe(self, key: Circuit) -> Pipe:
        pipe = Pipe(partial(self._write, key), partial(self._took, key), partial(self._drop, key))
        self._pipes[key] = pipe
        return pipe

    def _write(self, key: Circuit, data: bytes) -> int:
        sent = self.circuits.write(*key, data)
        self._do()
        return sent

    def _took(self, key: Circuit, data: bytes) -> None:
        self.circuits.took(*key, data)
        self._do()

    def _drop(self, key: Circuit) -> None:
        """The link has ended, or never came about: so does its circuit."""
        pipe = self._pipes.pop(key, None)
        if pipe is not None:
            self.circuits.end(*key, "closed")
            pipe.end()
            self._do()

    def _do(self) -> None:
        """Carry out what the circuits want; what comes up meanwhile waits for its turn."""
        if self._doing:
            return
        self._doing = True
        try:
            while effects := self.circuits.take_effects():
                for effect in effects:
                    self._do_one(effect)
        finally:
            self._doing = False
        if self.circuits.waits:
            self._timing.set()

    def _do_one(self, effect: Send | Offered | Opened | Came | Room | Ended) -> None:
        if isinstance(effect, Send):
            self._carry(effect)
            return
        if isinstance(effect, Offered):
            self._mesh.start(self._take(effect), "mesh-circuit")
            return
        key = effect.peer, effect.number
        pipe, opening = self._pipes.get(key), self._opening.get(key)
        match effect:
            case Opened() | Ended() if opening is not None and not opening.done():
                opening.set_result("" if isinstance(effect, Opened) else effect.code or "ended")
            case Came(_, _, data) if pipe is not None:
                pipe.came(data)
            case Room() if pipe is not None:
                pipe.room()
            case Ended() if pipe is not None:
                pipe.end()
            case _:
                pass

    # -- time -----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Keep the time until cancelled."""
        while True:
            if self.circuits.waits:
                await asyncio.sleep(_CREDIT_S)
            else:
                self._timing.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_S):
                        await self._timing.wait()
            self.circuits.tick(self._mesh.now_ms())
            self._do()


async def _opened(pipe: Pipe) -> socket.socket:
    try:
        return await pipe.open()
    except OSError as error:
        raise LinkError("busy", f"This device has no room for a circuit: {error.strerror or error}.") from None
