"""Whole nodes of which some cannot be called: they find each other through relays, and no relay is believed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from node.encoding.hosts import Address
from node.mesh.certificate import make_credentials
from node.mesh.identity import NodeKey
from node.mesh.link import Link, LinkError
from node.mesh.protocol import forms
from node.mesh.protocol.effects import Send
from node.mesh.protocol.hello import CIRCUITS, RELAY
from node.mesh.protocol.limits import BULK, CIRCUIT_WINDOW
from node.mesh.protocol.messages import (
    MAX_CIRCUIT_DATA,
    AnswerCircuit,
    AnyMessage,
    AskCircuit,
    CircuitData,
    OfferCircuit,
    Routes,
)
from node.mesh.protocol.routes import MAX_FROM_SOURCE
from node.mesh.transport import Transport
from node.profile.invitation import address_text, parse_invitation
from node.profile.paths import ProfilePaths
from node.service.joining import join_network
from node.service.mesh import Mesh, Peer
from node.service.mesh_view import invitation, mesh_view
from node.service.node import Node
from node.service.opening import ServiceSettings, open_service
from tests.node.service.mesh_world import profiles_of_one_network
from tests.node.service.service_world import confirmed, until
from tests.node.service.test_mesh import HERE, LONG, mesh_of
from tests.node.service.test_mesh_hostile import any_size, attacked, frame
from tests.node.world import Payer, key

HIDDEN = replace(HERE, hosts=())


class Valley:
    """`relays` nodes that can be called, then `hidden` ones that cannot; each is a validator. None knows another."""

    def __init__(self, folder: Path, relays: int, hidden: int, **settings: object) -> None:
        kinds = [HERE] * relays + [HIDDEN] * hidden
        self.kinds = [replace(kind, **settings) for kind in kinds]  # type: ignore[arg-type]
        self.profiles = profiles_of_one_network(folder, relays + hidden)
        self.nodes: list[Node] = []
        self.stacks: list[AsyncExitStack] = []

    async def __aenter__(self) -> Valley:
        for number in range(len(self.profiles)):
            await self.start(number)
        return self

    async def start(self, number: int) -> None:
        stack = AsyncExitStack()
        service = await stack.enter_async_context(
            open_service(self.profiles[number], ServiceSettings(serve=False, mesh=self.kinds[number]))
        )
        self.stacks.append(stack)
        self.nodes.append(service.node)
        if self.kinds[number].hosts:
            await until(lambda: bool(mesh_of(service.node).port))

    async def __aexit__(self, *error: object) -> None:
        for stack in reversed(self.stacks):
            await stack.aclose()

    def mesh(self, number: int) -> Mesh:
        return mesh_of(self.nodes[number])

    def meet(self, one: int, other: int) -> None:
        """The first is told of the second."""
        target = self.mesh(other)
        assert self.mesh(one).introduce(Address("127.0.0.1", target.port, target.key.id))

    def between(self, one: int, other: int) -> Peer | None:
        """The link between two nodes, as the first has it."""
        name = self.mesh(other).key.id
        return next((peer for peer in self.mesh(one).peers.values() if peer.link.peer == name), None)

    def joined_by(self, one: int, other: int, relay: int | None) -> bool:
        """Whether two nodes are linked through a relay; None: directly."""
        ends = self.between(one, other), self.between(other, one)
        name = b"" if relay is None else self.mesh(relay).key.id
        return all(end is not None and end.link.relay == name for end in ends)


async def test_two_hidden_nodes_meet_through_the_one_that_both_called(tmp_path: Path) -> None:
    async with Valley(tmp_path, relays=1, hidden=2) as valley:
        valley.meet(1, 0)
        valley.meet(2, 0)
        await until(lambda: valley.joined_by(1, 2, relay=0), LONG)
        payment = Payer(valley.nodes[0].genesis.hash, key(1)).pay(0, key(60).address, 5_000)
        await valley.nodes[1].submit(payment.raw)
        await confirmed(valley.nodes[2], payment.txid)
        relay = mesh_view(valley.mesh(0))
        assert relay.circuits == 1
        assert relay.relayed > 1_000
        hidden = mesh_view(valley.mesh(1))
        assert hidden.unreachable
        assert hidden.relays == (valley.mesh(0).key.id,)
        assert {peer.relay for peer in hidden.peers} == {b"", valley.mesh(0).key.id}


async def test_when_a_relay_goes_another_takes_over(tmp_path: Path) -> None:
    async with Valley(tmp_path, relays=2, hidden=2) as valley:
        for hidden in (2, 3):
            for relay in (0, 1):
                valley.meet(hidden, relay)
        await until(lambda: valley.joined_by(2, 3, 0) or valley.joined_by(2, 3, 1), LONG)
        first = 0 if valley.joined_by(2, 3, 0) else 1
        await valley.stacks[first].aclose()
        await until(lambda: valley.joined_by(2, 3, 1 - first), LONG)


@pytest.mark.parametrize("form", ["text", "code"])
async def test_one_joins_by_an_invitation_of_somebody_who_cannot_be_called(tmp_path: Path, form: str) -> None:
    async with Valley(tmp_path, relays=1, hidden=1) as valley:
        valley.meet(1, 0)
        await until(lambda: bool(valley.mesh(1).routing.own_routes()), LONG)
        made = invitation(valley.mesh(1), None)
        invited = parse_invitation(made.uri if form == "text" else made.compact)
        assert invited.nodes[0].there.node == valley.mesh(0).key.id
        place = tmp_path / "newcomer"
        place.mkdir(mode=0o700)
        newcomer = ProfilePaths("newcomer", place)
        genesis = await join_network(newcomer, invited)
        assert genesis.hash == valley.nodes[0].genesis.hash
        valley.profiles.append(newcomer)
        valley.kinds.append(HIDDEN)
        await valley.start(2)
        await until(lambda: valley.joined_by(2, 1, relay=0), LONG)


async def test_a_direct_link_takes_the_place_of_a_circuit(tmp_path: Path) -> None:
    async with Valley(tmp_path, relays=2, hidden=1, outbound=1) as valley:
        valley.meet(1, 0)
        await until(lambda: valley.between(1, 0) is not None, LONG)
        relay, target, caller = valley.mesh(0), valley.mesh(1), valley.mesh(2)
        route = Address("127.0.0.1", relay.port, target.key.id, relay.key.id)
        assert caller.introduce_place(address_text(route)) == target.key.id
        await until(lambda: valley.joined_by(2, 1, relay=0), LONG)
        assert len(relay.relaying.circuits) == 1
        assert target.routing.unreachable is False or not target.routing.own_routes()
        caller.dialling.call(Address("127.0.0.1", target.port, target.key.id))
        ends = (2, 1), (1, 2)
        await until(
            lambda: all((end := valley.between(*pair)) is not None and not end.link.relay for pair in ends), LONG
        )
        await until(lambda: len(relay.relaying.circuits) == 0, LONG)


async def test_a_direct_call_comes_first(tmp_path: Path) -> None:
    async with Valley(tmp_path, relays=2, hidden=1) as valley:
        valley.meet(2, 0)
        await until(lambda: valley.between(2, 0) is not None, LONG)
        relay, target, caller = valley.mesh(0), valley.mesh(1), valley.mesh(2)
        route = Address("127.0.0.1", relay.port, target.key.id, relay.key.id)
        caller.routing.routes.add(route, b"", caller.clock())
        valley.meet(2, 1)
        await until(lambda: valley.joined_by(2, 1, relay=None), LONG)
        assert caller.routing.routes.success(relay.key.id, caller.clock()) == 5, "it was never tried"
        assert relay.relaying.circuits.relayed == 0


async def test_a_relay_that_does_not_answer_is_given_up_at_once(tmp_path: Path) -> None:
    async with Valley(tmp_path, relays=0, hidden=2) as valley:
        relaying = valley.mesh(0).relaying
        await until(lambda: valley.mesh(0)._tasks is not None)
        relaying.dial(Address("127.0.0.1", 9, b"x" * 32, b"y" * 32))
        await until(lambda: valley.mesh(0).routing.routes.success(b"y" * 32, valley.mesh(0).clock()) < 5, LONG)
        assert not relaying._reaching


async def test_relays_of_a_local_network_are_no_business_of_others(tmp_path: Path) -> None:
    async with Valley(tmp_path, relays=1, hidden=2) as valley:
        hidden, relay = valley.mesh(1), valley.mesh(0)
        valley.meet(1, 0)
        await until(lambda: len(relay.routing.routes) == 1, LONG)
        assert hidden.routing.own_routes()[0].host == "127.0.0.1"
        link = next(iter(relay.peers.values())).link
        link.host = "8.8.8.8"  # as if the hidden node had called from outside
        number = next(iter(relay.peers))
        said: list[AnyMessage] = []
        relay.gossip.say = lambda _, message: said.append(message)  # type: ignore[method-assign, assignment]
        relay.routing._say(number, hidden.routing.own_routes())
        link.host = "127.0.0.1"
        relay.routing._say(number, hidden.routing.own_routes())
        assert [len(message.entries) for message in said if isinstance(message, Routes)] == [0, 1]


@pytest.mark.parametrize("settings", [{"relay": False}, {"inbound": 0}])
async def test_who_does_not_want_to_or_takes_no_links_never_relays(tmp_path: Path, settings: dict[str, object]) -> None:
    async with Valley(tmp_path, relays=1, hidden=1, **settings) as valley:
        relay, hidden = valley.mesh(0), valley.mesh(1)
        assert not relay.gossip.hello().services & CIRCUITS
        assert mesh_view(relay).circuits is None
        relay.relaying.circuits.connected(1_000, b"a" * 32, True, True, 0)
        relay.relaying.circuits.connected(1_001, hidden.key.id, True, True, 0)
        relay.relaying.circuits.take(1_000, AskCircuit(1, hidden.key.id), 0)
        (answer,) = relay.relaying.circuits.take_effects()
        assert answer == Send(1_000, AnswerCircuit(1, "off"))


def say(link: Link, message: AnyMessage) -> None:
    link.send(*frame(message), BULK)


@pytest.mark.parametrize("target", [b"?" * 32, None])
async def test_who_asks_a_relay_without_end_is_sent_away(tmp_path: Path, target: bytes | None) -> None:
    async with attacked(tmp_path) as (street, attacker):
        relay, other = mesh_of(street.nodes[0]), mesh_of(street.nodes[1])
        link = await attacker.link()
        await until(lambda: attacker.is_linked, LONG)
        for number in range(1, 4_001, 2):
            say(link, AskCircuit(number, target or other.key.id))
        await until(lambda: attacker.is_banned, LONG)
        await until(lambda: len(relay.relaying.circuits) == 0 and not other.relaying._pipes, LONG)


class EvilRelay:
    """Has an identity and a greeting that are in order, offers circuits, and does to them what a test says."""

    def __init__(self, victim: Mesh, evil: Callable[[Link, AnyMessage], None]) -> None:
        self.victim = victim
        self.evil = evil
        self.key = NodeKey(os.urandom(32))
        self.port = 0
        self.asked = 0
        self._tasks: list[asyncio.Task[None]] = []
        self.transport = Transport(make_credentials(self.key), self._greeting, any_size)

    def _greeting(self) -> bytes:
        greeting = self.victim.gossip.hello()
        return greeting._replace(nonce=os.urandom(16), port=self.port, services=RELAY | CIRCUITS).encoded()

    async def listen(self) -> None:
        self.port = await self.transport.listen(("127.0.0.1",), 0, self._accept)

    def _accept(self, link: Link) -> None:
        self._tasks.append(asyncio.ensure_future(self._serve(link)))

    async def _serve(self, link: Link) -> None:
        try:
            while True:
                for kind, body in await link.receive():
                    message = forms.decode(kind, body)
                    self.asked += isinstance(message, AskCircuit)
                    self.evil(link, message)
        except LinkError:
            pass

    @property
    def linked(self) -> bool:
        return any(peer.link.peer == self.key.id for peer in self.victim.peers.values())

    def say(self, message: AnyMessage) -> None:
        """To the victim, if it listens still."""
        for link in self.transport._links:
            say(link, message)

    async def close(self) -> None:
        await self.transport.close()
        await asyncio.gather(*self._tasks)


@asynccontextmanager
async def misled(folder: Path, evil: Callable[[Link, AnyMessage], None]) -> AsyncIterator[tuple[Valley, EvilRelay]]:
    """Two hidden nodes with an honest relay; the first has also called one that is not. At the end all works."""
    async with Valley(folder, relays=1, hidden=2) as valley:
        victim = valley.mesh(1)
        relay = EvilRelay(victim, evil)
        await relay.listen()
        try:
            assert victim.introduce(Address("127.0.0.1", relay.port, relay.key.id))
            await until(lambda: relay.linked or relay.key.id in victim.bans, LONG)
            yield valley, relay
        finally:
            await relay.close()
        valley.meet(1, 0)
        valley.meet(2, 0)
        await until(lambda: valley.joined_by(1, 2, relay=0), LONG)


def ghost_routes(relay: EvilRelay, count: int) -> Routes:
    return Routes(tuple(("127.0.0.1", relay.port, relay.key.id, os.urandom(32)) for _ in range(count)))


def garbage(link: Link, message: AnyMessage) -> None:
    if isinstance(message, AskCircuit):
        say(link, AnswerCircuit(message.circuit, ""))
        say(link, CircuitData(message.circuit, os.urandom(5_000)))


def silence(link: Link, message: AnyMessage) -> None:
    pass


def no_room(link: Link, message: AnyMessage) -> None:
    if isinstance(message, AskCircuit):
        say(link, AnswerCircuit(message.circuit, "busy"))


async def test_a_relay_whose_circuits_lead_nowhere_falls_behind(tmp_path: Path) -> None:
    async with misled(tmp_path, garbage) as (valley, relay):
        victim = valley.mesh(1)
        for _ in range(10):
            relay.say(ghost_routes(relay, 32))
        await until(lambda: relay.asked > 0, LONG)
        routes = victim.routing.routes
        await until(lambda: routes.success(relay.key.id, victim.clock()) < 4, LONG)
        assert len(routes) <= MAX_FROM_SOURCE
        assert not any(peer.link.relay for peer in victim.peers.values())


FLOODS: dict[str, Callable[[Link, AnyMessage], None]] = {
    "beyond the window": lambda link, message: flood(link, message),
    "circuits that do not exist": lambda link, message: say(link, CircuitData(7, b"x")),
    "an answer to nothing": lambda link, message: say(link, AnswerCircuit(9, "")),
}


def flood(link: Link, message: AnyMessage) -> None:
    if isinstance(message, AskCircuit):
        say(link, AnswerCircuit(message.circuit, ""))
        for _ in range(16 * CIRCUIT_WINDOW // MAX_CIRCUIT_DATA):
            say(link, CircuitData(message.circuit, bytes(MAX_CIRCUIT_DATA)))


@pytest.mark.parametrize("how", FLOODS)
async def test_a_relay_that_breaks_the_rules_is_not_let_in_again(tmp_path: Path, how: str) -> None:
    async with misled(tmp_path, FLOODS[how]) as (valley, relay):
        victim = valley.mesh(1)
        relay.say(ghost_routes(relay, 4))
        await until(lambda: relay.key.id in victim.bans, LONG)
        await until(lambda: not relay.linked, LONG)
        await until(lambda: not victim.relaying._pipes, LONG)


async def test_thousands_of_offers_send_the_relay_away(tmp_path: Path) -> None:
    async with misled(tmp_path, silence) as (valley, relay):
        victim = valley.mesh(1)
        for number in range(2, 6_002, 2):
            relay.say(OfferCircuit(number, os.urandom(32)))
            if number % 100 == 0:
                await asyncio.sleep(0)
        await until(lambda: relay.key.id in victim.bans, LONG)
        await until(lambda: not victim.relaying._pipes, LONG)


async def test_a_relay_without_room_is_no_bad_relay(tmp_path: Path) -> None:
    async with misled(tmp_path, no_room) as (valley, relay):
        victim = valley.mesh(1)
        relay.say(ghost_routes(relay, 2))
        await until(lambda: relay.asked >= 2, LONG)
        assert victim.routing.routes.success(relay.key.id, victim.clock()) == 5
