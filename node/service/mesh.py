"""The node in the mesh: links made and taken, whom to try next, whom to refuse (protocol section 10).

`Gossip` decides what is said; here are the links that carry it, the address book, bans, and what the local network
tells. One link a peer; of two that crossed each other the one opened by the smaller node id stays.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from random import Random
from typing import Any

from node.api.errors import NexusError, Refused
from node.api.records import Event
from node.encoding.hosts import Address, is_public
from node.mesh.admission import AdmissionLimits
from node.mesh.certificate import make_credentials
from node.mesh.identity import NodeKey
from node.mesh.link import Link, LinkError
from node.mesh.protocol import hello as greetings
from node.mesh.protocol import messages
from node.mesh.protocol.addresses import AddressBook
from node.mesh.protocol.effects import Close, Heard, Parted, Send
from node.mesh.protocol.hello import CIRCUITS, GUEST, RELAY, Hello
from node.mesh.protocol.limits import BAN_MS, heard_of_members, sizes_in
from node.mesh.protocol.messages import (
    Addresses,
    AskAddresses,
    Bye,
    Routes,
    WireError,
)
from node.mesh.traffic import Traffic
from node.mesh.transport import Transport
from node.profile.invitation import QR_SCHEME, parse_address, parse_invitation
from node.service.dialling import Dialling
from node.service.gossip import Gossip
from node.service.guests import Guests
from node.service.heap import give_back
from node.service.mesh_settings import MeshSettings
from node.service.neighbourhood import Neighbourhood
from node.service.node import Node
from node.service.peer_file import PeerFile
from node.service.recovery import Recovery
from node.service.relaying import Relaying
from node.service.routing import Routing
from node.service.saying import say
from node.service.shelf import Shelf
from node.service.steady_clock import SteadyClock, boot_ms
from node.service.thrift import Thrift
from node.service.turns import Turn, Turns

_log = logging.getLogger("nexus.mesh")

_TOLD = 8  # peers that hear of a new address
_SAVE_S = 60.0
_MANY_LINKS = 8  # in that time: some were no friends
_DRAIN_S = 60.0
_CROSSING_S = 5.0
_QUIET_S = 5.0
_BRIEF_S = 5.0
"""Whoever ends a link so soon wants none for now."""
_TELL_S = 0.25
"""Changes of the links are told together, so often at most."""


@dataclass(slots=True)
class Peer:
    """One linked peer."""

    link: Link
    hello: Hello
    since_ms: int
    linked_ms: int
    """The same by the clock on the wall."""
    ahead_ms: int
    """How far its clock was ahead of this device's, as that stands now."""


class Mesh:
    """Made by `node.service.opening`; `run` until cancelled."""

    def __init__(
        self,
        node: Node,
        key: NodeKey,
        file: PeerFile,
        settings: MeshSettings,
        clock: Callable[[], int],
        shelf: Shelf | None = None,
    ) -> None:
        """Without a `shelf` no snapshots are given to newcomers."""
        self.key = key
        self.settings = settings
        self.peers: dict[int, Peer] = {}
        self.port = 0
        """Where it listens, 0 for nowhere."""
        self.node = node
        self._file = file
        self.clock = SteadyClock(clock, boot_ms, lambda by: self.recovery.clock_set(by))
        self._random = Random(os.urandom(16))
        self.book = AddressBook(key.id, self._random)
        self.book.restore(file.rows)
        # A clock that is behind what was heard before was set meanwhile.
        back = min(0, clock() - self.book.newest_ms)
        self.book.shift(back)
        self.bans = {node: until + back for node, until in file.bans.items() if until + back > clock()}
        self._numbers = 0
        self._turns = Turns(time.monotonic)
        self._tasks: asyncio.TaskGroup | None = None
        self._telling: asyncio.TimerHandle | None = None
        self.gossip = Gossip(node, os.urandom(16), self.now_ms, self._carry, self._room)
        self.gossip.services = RELAY
        self.shelf = shelf
        self._guests = Guests(node.genesis.encode(), shelf, self._addresses_for, self.now_ms)
        if shelf is not None:
            node.final_written = shelf.finalised
        sizes = sizes_in(node.genesis.parameters.max_body_bytes, len(node.genesis.encode()))
        self._transport = Transport(
            make_credentials(key),
            lambda: self.gossip.hello().encoded(),
            sizes,
            admission=AdmissionLimits(total=settings.inbound),
            proxy=settings.proxy,
            hears=heard_of_members(sizes),
        )
        self.routing = Routing(self, self._random)
        self.routing.routes.restore(file.routes)
        self.relaying = Relaying(self, self.routing, self._transport, self._carry)
        self.dialling = Dialling(self, self._transport)
        self.neighbourhood = Neighbourhood(self.dialling.found, self.dialling.wants_more, settings.interfaces)
        self.thrift = Thrift(self, *file.data)
        self.recovery = Recovery(self, file.anchors, file.familiar)

    # -- life -----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Listen, look for peers and talk to them until cancelled."""
        try:
            if self.settings.hosts:
                await self._listen()
            async with asyncio.TaskGroup() as self._tasks:
                self.start(self.gossip.run(), "mesh-gossip")
                self.start(self.recovery.run(), "mesh-recovery")
                self.start(self.dialling.run(), "mesh-dial")
                self.start(self._save_on(), "mesh-save")
                self.start(self.routing.run(), "mesh-routes")
                self.start(self.relaying.run(), "mesh-circuits")
                self.start(self.thrift.run(), "mesh-thrift")
                if self.settings.discovery:
                    self.start(self.neighbourhood.run(self.port), "mesh-neighbourhood")
                await asyncio.get_running_loop().create_future()  # until cancelled
        finally:
            self._tasks = None
            if self._telling is not None:
                self._telling.cancel()
            self.recovery.anchors_now()
            for peer in self.peers.values():
                say(peer.link, Bye("stopping", "The node stops."))
            await self._transport.close()
            self._save()

    def start(self, task: Coroutine[Any, Any, None], name: str) -> None:
        """Run a task for as long as the mesh runs."""
        if self._tasks is None:
            task.close()
        else:
            self._tasks.create_task(task, name=name)

    def links_changed(self) -> None:
        """Screens hear of it in a moment: links may come and go by the dozen."""
        if self._telling is None:
            self._telling = asyncio.get_running_loop().call_later(_TELL_S, self._tell_links)

    def _tell_links(self) -> None:
        self._telling = None
        self.node.hub.publish(Event("mesh"))

    async def _listen(self) -> None:
        """On the port of last time, if it is free. Without one the node still calls others."""
        try:
            port = await self._transport.listen(
                self.settings.hosts, self._file.port or self.settings.port, self.accepted
            )
        except NexusError as error:
            _log.warning("no links are taken from outside: %s", error.message)
            self.node.alerts.put("not_listening", "warning", error.message, error.hint)
            return
        self.port = self.gossip.port = self._file.port = port
        if self.settings.relay and self.settings.inbound:
            self.gossip.services |= CIRCUITS
            self.relaying.circuits.relaying = True
        _log.info("listening on %s, port %d", " and ".join(self.settings.hosts), port)

    @property
    def traffic(self) -> Traffic:
        """What passed over all links since the start."""
        return self._transport.traffic

    @property
    def refused(self) -> int:
        """Connections that were not let in, since the start."""
        return self._transport.refused

    @staticmethod
    def now_ms() -> int:
        return int(asyncio.get_running_loop().time() * 1000)

    # -- links ----------------------------------------------------------------------------------------------------

    def accepted(self, link: Link) -> None:
        """A link was taken from outside."""
        self.start(self._take(link), "mesh-peer")

    async def _take(self, link: Link) -> None:
        await self.serve(link)

    async def serve(self, link: Link) -> bool:
        """Talk on a link until it ends; whether the peer was one to talk to."""
        try:
            hello = Hello.decode(link.hello)
            greetings.judge(self.gossip.hello(), hello)
            if hello.services & GUEST:
                await self._guests.serve(link)
                return True
            self._check_welcome(link)
        except WireError as error:
            say(link, Bye(error.code[:32], str(error)[:200]))
            await link.close()
            _log.debug("%r was sent away: %s", link, error)
            if error.code in ("self", "other_network"):
                self.book.forget(link.peer)
            return False
        await self._talk(link, hello)
        return True

    def _check_welcome(self, link: Link) -> None:
        if self.thrift.asleep:
            raise WireError("sleeping", "This node sleeps between looks, to spare data.")
        if self.bans.get(link.peer, 0) > self.clock():
            raise WireError("banned", "This node does not talk to you for now.")
        number = next((number for number, peer in self.peers.items() if peer.link.peer == link.peer), None)
        if number is None:
            return
        other = self.peers[number]
        if link.relay and not other.link.relay:
            raise WireError("linked_already", "There is a direct link between these nodes already.")
        better = bool(other.link.relay) and not link.relay
        crossed = self.now_ms() - other.since_ms < _CROSSING_S * 1000 and other.link.inbound != link.inbound
        mine_is_smaller = self.key.id < link.peer
        if better or (crossed and link.inbound != mine_is_smaller) or (not crossed and self._is_quiet(number)):
            del self.peers[number]
            self.gossip.disconnected(number)
            other.link.abort("replaced", "Another link to the same peer is kept.")
            return
        raise WireError("linked_already", "There is a link between these nodes already.")

    def _is_quiet(self, number: int) -> bool:
        """Whether nothing was heard on a link for a while: if its other end is back, the link may be dead."""
        known = self.gossip.machine.peers.get(number)
        return known is not None and self.now_ms() - known.heard_ms > _QUIET_S * 1000

    async def _talk(self, link: Link, hello: Hello) -> None:
        self._numbers += 1
        number = self._numbers
        now = self.clock()
        self.peers[number] = Peer(link, hello, self.now_ms(), now, hello.clock_ms - self.node.clock_ms())
        if link.inbound and hello.port and not link.relay:
            address = Address(link.host, hello.port, link.peer)
            if self.book.add(address, link.peer, now):
                self._tell_others(address)
        if not link.relay:
            self.book.reached(link.peer, now)
        self.gossip.connected(number, hello, link.inbound)
        self.relaying.linked(number, self.peers[number])
        self.routing.linked(number, self.peers[number])
        self.recovery.linked(self.peers[number])
        self.links_changed()
        if not link.inbound:
            self.gossip.say(number, AskAddresses())
        _log.info("linked with %r", link)
        turn = Turn(self._turns)
        try:
            while True:
                for kind, body in await link.receive():
                    begun = time.thread_time()
                    self.gossip.received(number, kind, body)
                    if turn.spent(time.thread_time() - begun):
                        await turn.give_way()
        except LinkError as error:
            _log.info("%r ended: %s", link, error.message)
        finally:
            if (peer := self.peers.pop(number, None)) is not None:
                self._ended_there(peer)
                if not self.peers:
                    self.recovery.lost_all()
            self.gossip.disconnected(number)
            self.relaying.unlinked(number)
            self.dialling.wake()
            self.links_changed()

    def _ended_there(self, peer: Peer) -> None:
        """The peer ended a link, or gave reason to. Who does so at once is called later each time, not in a circle."""
        if peer.link.relay:
            return
        if self.now_ms() - peer.since_ms >= _BRIEF_S * 1000:
            self.book.lasted(peer.link.peer)
        elif not peer.link.inbound:
            self.book.sent_away(peer.link.peer, self.clock())

    def _tell_others(self, address: Address) -> None:
        """Somebody new can be reached: a few peers hear of it."""
        local = not is_public(address.host)
        able = [number for number, peer in self.peers.items() if not local or not is_public(peer.link.host)]
        for number in self._random.sample(able, min(_TOLD, len(able))):
            if self.peers[number].link.peer != address.node:
                self.gossip.say(number, Addresses(((address.host, address.port, address.node),)))

    def _addresses_for(self, link: Link) -> Addresses:
        """Addresses of others that may be told on a link."""
        known = self.book.share(messages.MAX_ADDRESSES, self.clock(), local=not is_public(link.host))
        return Addresses(tuple((one.host, one.port, one.node) for one in known))

    # -- what gossip wants ----------------------------------------------------------------------------------------

    def _carry(self, effect: Send | Heard | Close | Parted) -> None:
        peer = self.peers.get(effect.peer)
        if peer is None:
            return
        match effect:
            case Send(number, message):
                if not say(peer.link, message):
                    self._end(number, peer, "too_slow", "The peer does not take what is sent.")
            case Heard(number, AskAddresses()):
                self.gossip.say(number, self._addresses_for(peer.link))
                self.routing.share(number, local=not is_public(peer.link.host))
            case Heard(_, Addresses(entries)):
                for entry in entries:
                    self._told_of(Address(*entry), peer)
                self.dialling.wake()
            case Heard(_, Routes() as message):
                self.routing.hear(peer, message)
            case Heard(number, message) if not isinstance(message, AskAddresses | Addresses | Routes):
                self.relaying.heard(number, message)
            case Parted():
                self._look_whether_cut_off()
            case Close(number, code, text, ban_ms):
                if ban_ms:
                    _log.warning("%r is not let in for %d min: %s (%s)", peer.link, ban_ms // 60_000, text, code)
                    self.bans[peer.link.peer] = self.clock() + ban_ms
                say(peer.link, Bye(code[:32], text[:200]))
                self._ended_there(peer)
                self._end(number, peer, code, text)
            case _:
                pass

    def _look_whether_cut_off(self) -> None:
        """Whether all who are further can no longer give what this node lacks."""
        final, known = self.node.engine.final.number, self.gossip.machine.peers
        ahead = [number for number, peer in self.peers.items() if peer.hello.final > final and number in known]
        if ahead and all(known[number].parted for number in ahead):
            self.node.cut_off()

    def _told_of(self, address: Address, peer: Peer) -> None:
        """Addresses of a local network are taken only from within it."""
        if is_public(address.host) or not is_public(peer.link.host):
            self.book.add(address, peer.link.peer, self.clock())

    def _end(self, number: int, peer: Peer, code: str, text: str) -> None:
        self.peers.pop(number, None)
        self.start(_close(peer.link, code, text), "mesh-close")
        self.dialling.wake()
        self.links_changed()

    def end_all(self, code: str, text: str) -> None:
        """End all links, politely."""
        for number, peer in list(self.peers.items()):
            say(peer.link, Bye(code, text))
            self.gossip.disconnected(number)
            self._end(number, peer, code, text)

    async def _room(self, number: int) -> None:
        """Wait until the peer has taken what was sent before."""
        peer = self.peers.get(number)
        if peer is not None:
            with contextlib.suppress(LinkError, TimeoutError):
                await peer.link.drain(_DRAIN_S)

    # -- what the owner says --------------------------------------------------------------------------------------

    def introduce(self, address: Address) -> bool:
        """The owner names a node; it is called at once."""
        self.bans.pop(address.node, None)
        self.recovery.familiar.know(address.node)
        self.recovery.familiar.seen(address)
        self.thrift.wake()
        if address.relay:
            self.routing.routes.add(address, b"", self.clock())
            self.relaying.dial(address)
            return address.node != self.key.id
        self.book.forget(address.node)
        added = self.book.add(address, b"", self.clock())
        self.dialling.wake()
        return added

    def introduce_place(self, place: str) -> bytes:
        """The owner names a node as NODE@HOST:PORT, or by an invitation to this network. Raises Refused."""
        if "://" in place or place.upper().startswith(QR_SCHEME):
            invitation = parse_invitation(place)
            if not self.node.genesis.hash.startswith(invitation.genesis):
                raise Refused("other_network", "The invitation is to another network. Nothing was changed.")
            addresses = invitation.nodes
        else:
            addresses = (parse_address(place),)
        if not any([self.introduce(address) for address in addresses]):
            raise Refused("bad_place", "That is this node itself.")
        return addresses[0].node

    def ban(self, node: bytes, ban_ms: int = BAN_MS) -> bool:
        """Do not talk to a node for a while; whether that is new. Raises Refused for this one."""
        if node == self.key.id:
            raise Refused("bad_node", "That is this node itself.")
        changed = node not in self.bans
        self.bans[node] = self.clock() + ban_ms
        for number, peer in list(self.peers.items()):
            if peer.link.peer == node:
                say(peer.link, Bye("banned", "This node does not talk to you for now."))
                self.gossip.disconnected(number)
                self._end(number, peer, "banned", "The owner of this node wanted it so.")
        self._save()
        self.links_changed()
        return changed

    def unban(self, node: bytes) -> bool:
        """Talk to it again; whether it was banned."""
        self.links_changed()
        return self.bans.pop(node, None) is not None

    # -- what stays -----------------------------------------------------------------------------------------------

    async def _save_on(self) -> None:
        links = self._numbers
        while True:
            await asyncio.sleep(_SAVE_S)
            self._save()
            if self._numbers > links + _MANY_LINKS:
                links = self._numbers
                give_back()

    def _save(self) -> None:
        now = self.clock()
        self.bans = {node: until for node, until in self.bans.items() if until > now}
        self.thrift.count()
        allowance = self.thrift.allowance
        self._file.save(
            self._file.port,  # that of last time where it listens nowhere now: invitations name it
            self.book.rows(),
            self.bans,
            self.routing.routes.rows(),
            self.recovery.anchors_now(),
            self.recovery.familiar.rows(),
            (allowance.day, allowance.used) if allowance.limit else (0, 0),
        )


async def _close(link: Link, code: str, text: str) -> None:
    await link.close()
    link.abort(code, text)
