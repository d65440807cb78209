"""Whom a node calls, and when (protocol section 10): out of the address book, prefixes apart, later where it failed
before, and who shows himself in the local network.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

from node.encoding.hosts import Address, prefix_of
from node.mesh.link import LinkError
from node.mesh.protocol import messages
from node.mesh.transport import Transport

if TYPE_CHECKING:
    from node.service.mesh import Mesh

_log = logging.getLogger("nexus.mesh")

_DIALS = 4  # at a time
_IDLE_S = 60.0
_LOCAL_AGAIN_S = 120.0
"""A place of the local network that was no use is tried again so much later; who cannot hear asks as often."""


class Dialling:
    """One mesh's calls."""

    def __init__(self, mesh: Mesh, transport: Transport) -> None:
        self._mesh = mesh
        self._transport = transport
        self._calling: set[bytes] = set()
        self._places: dict[tuple[str, int], float] = {}  # of the local network, whose node ids are not known
        self._due = asyncio.Event()

    async def run(self) -> None:
        """Call whom it is time to call until cancelled."""
        while True:
            self._due.clear()
            self._call_what_is_due()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._next_s()):
                    await self._due.wait()

    def _call_what_is_due(self) -> None:
        if self._mesh.thrift.asleep:
            return
        now = self._mesh.clock()
        # Who is linked through a relay is still called: a direct link takes the place of a circuit.
        links = [peer.link for peer in self._mesh.peers.values()]
        linked = {link.peer for link in links if not link.relay}
        banned = {node for node, until in self._mesh.bans.items() if until > now}
        prefixes = {prefix_of(link.host) for link in links if not link.inbound}
        wanted = self._mesh.settings.outbound - sum(not link.inbound for link in links)
        while len(self._calling) < min(_DIALS, wanted):
            address = self._mesh.book.candidate(now, linked | banned | self._calling, prefixes)
            if address is None:
                break
            self._calling.add(address.node)
            prefixes.add(prefix_of(address.host))
            self._mesh.start(self._call_one(address), "mesh-dial-one")
        self._mesh.relaying.dial_what_is_due(wanted, banned | self._calling)
        loop_now = asyncio.get_running_loop().time()
        for place, due in list(self._places.items()):
            if wanted > 0 and due <= loop_now:
                self._places[place] = loop_now + _LOCAL_AGAIN_S
                self._mesh.start(self._call_place(*place), "mesh-dial-local")

    def _next_s(self) -> float:
        due = self._mesh.book.next_ms()
        return _IDLE_S if due is None else min(max((due - self._mesh.clock()) / 1000, 1.0), _IDLE_S)

    def wake(self) -> None:
        """Somebody may be due to be called."""
        self._due.set()

    def call(self, address: Address) -> None:
        """Call a node now, beside those whose turn it is."""
        if address.node not in self._calling and self._mesh.bans.get(address.node, 0) <= self._mesh.clock():
            self._calling.add(address.node)
            self._mesh.start(self._call_one(address), "mesh-dial-one")

    async def _call_one(self, address: Address) -> None:
        try:
            link = await self._transport.connect(address.host, address.port, address.node)
        except LinkError as error:
            _log.debug("%s port %d was not reached: %s", address.host, address.port, error.message)
            self._mesh.recovery.failed(address, error.message)
            if self._mesh.book.address_of(address.node) == address:
                self._mesh.book.failed(address.node, self._mesh.clock())
            self._mesh.relaying.not_reached(address.node)
            return
        finally:
            self._calling.discard(address.node)
            self._due.set()
        if not await self._mesh.serve(link):
            self._mesh.book.failed(address.node, self._mesh.clock())

    async def _call_place(self, host: str, port: int) -> None:
        """Somebody of the local network, who may be anybody, this node itself too."""
        if any((peer.link.host, peer.hello.port) == (host, port) for peer in self._mesh.peers.values()):
            return
        try:
            link = await self._transport.connect(host, port, None)
        except LinkError as error:
            _log.debug("%s port %d was not reached: %s", host, port, error.message)
            return
        self._mesh.book.add(Address(host, port, link.peer), b"", self._mesh.clock())
        await self._mesh.serve(link)

    def wants_more(self) -> bool:
        """Whether anybody of the local network would be welcome."""
        return len(self._mesh.peers) < self._mesh.settings.outbound and not self._mesh.thrift.asleep

    def found(self, host: str, port: int) -> None:
        """Somebody of the local network is there, who may be anybody."""
        if len(self._places) < messages.MAX_ADDRESSES or (host, port) in self._places:
            self._places.setdefault((host, port), 0.0)
            self._due.set()
