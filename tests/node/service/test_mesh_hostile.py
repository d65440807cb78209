"""A node against peers over real links that break every rule: they go, they do not come back soon, and it lives on."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from node.encoding.canonical import pack
from node.encoding.hashing import tagged_hash
from node.mesh.certificate import make_credentials
from node.mesh.identity import NodeKey
from node.mesh.link import Link, LinkError
from node.mesh.protocol import forms, messages
from node.mesh.protocol.hello import GUEST, Hello
from node.mesh.protocol.limits import CONTROL, MAX_QUEUED
from node.mesh.protocol.messages import (
    TRANSACTION,
    Addresses,
    AskHistory,
    Bye,
    Get,
    Given,
    History,
    Inventory,
    Ping,
    WholeBlock,
)
from node.mesh.transport import Transport
from node.service.mesh import Mesh
from tests.node.service.service_world import confirmed, until
from tests.node.service.test_mesh import Street, mesh_of
from tests.node.world import key


def any_size(kind: int) -> int | None:
    """An attacker keeps to no limit of its own."""
    return 1 << 30


class Attacker:
    """Somebody with an identity and a greeting that are in order, and nothing else."""

    def __init__(self, victim: Mesh, **changes: object) -> None:
        self.victim = victim
        self.key = NodeKey(os.urandom(32))
        greeting = victim.gossip.hello()._replace(nonce=os.urandom(16), port=0, **changes)  # type: ignore[arg-type]
        self._transport = Transport(make_credentials(self.key), lambda: greeting.encoded(), any_size)

    async def link(self) -> Link:
        return await self._transport.connect("127.0.0.1", self.victim.port, self.victim.key.id)

    async def close(self) -> None:
        await self._transport.close()

    @property
    def is_linked(self) -> bool:
        return any(peer.link.peer == self.key.id for peer in self.victim.peers.values())

    @property
    def is_banned(self) -> bool:
        return self.key.id in self.victim.bans


@asynccontextmanager
async def attacked(folder: Path, **changes: object) -> AsyncIterator[tuple[Street, Attacker]]:
    """A street of two honest nodes, and somebody at the door of the first; at the end it still works."""
    async with Street(folder, validators=2) as street:
        street.meet(1, 0)
        await until(lambda: len(mesh_of(street.nodes[0]).peers) == 1)
        attacker = Attacker(mesh_of(street.nodes[0]), **changes)
        try:
            yield street, attacker
            payment = street.payer(1).pay(0, key(60).address, 5_000)
            await street.nodes[1].submit(payment.raw)
            await confirmed(street.nodes[1], payment.txid)
        finally:
            await attacker.close()


def frame(message: messages.AnyMessage) -> tuple[int, bytes]:
    return messages.NUMBERS[type(message)], forms.encode(message)


def say(link: Link, message: messages.AnyMessage) -> None:
    link.send(*frame(message), CONTROL)


def names(count: int) -> tuple[bytes, ...]:
    return tuple(os.urandom(32) for _ in range(count))


EVIL: dict[str, list[tuple[int, bytes]]] = {
    "a type that does not exist": [(99, b"x")],
    "bytes that are no message": [(1, b"\xc1\xc1")],
    "a message of the wrong form": [(10, pack((0, (b"short",))))],
    "a frame that is too long": [(1, b"x" * 5_000)],
    "what nobody asked for": [frame(Given(TRANSACTION, (b"%d" % number,))) for number in range(40)],
    "history that nobody asked for": [frame(History((number.to_bytes(32),), 1)) for number in range(40)],
    "a proof for beginners": [(messages.NUMBERS[messages.Proof], bytes(1_000))],
    "pings without end": [frame(Ping(number)) for number in range(300)],
    "names without end": [frame(Inventory(TRANSACTION, names(1_000))) for _ in range(80)],
    "addresses without end": [frame(Addresses((("10.1.1.1", 7_400, bytes(32)),))) for _ in range(40)],
    "questions about history without end": [frame(AskHistory((bytes(32),), 500))] * 400,
    "questions for things without end": [frame(Get(TRANSACTION, names(128)))] * 1_300,
}


@pytest.mark.parametrize("evil", EVIL)
async def test_who_breaks_the_rules_goes(tmp_path: Path, evil: str) -> None:
    async with attacked(tmp_path) as (_, attacker):
        link = await attacker.link()
        await until(lambda: attacker.is_linked)
        for kind, body in EVIL[evil]:
            link.send(kind, body, CONTROL)
        await until(lambda: not attacker.is_linked)
        await until(lambda: not link.open)


async def test_who_gives_a_payment_that_nobody_signed_is_banned(tmp_path: Path) -> None:
    async with attacked(tmp_path) as (street, attacker):
        payment = bytearray(street.payer(2).pay(0, key(60).address, 5_000).raw)
        payment[-1] ^= 1
        name = tagged_hash(b"nexus/wid", bytes(payment))
        link = await attacker.link()
        await until(lambda: attacker.is_linked)
        say(link, Inventory(TRANSACTION, (name,)))
        while Get(TRANSACTION, (name,)) not in [forms.decode(*frame) for frame in await link.receive()]:
            pass
        say(link, Given(TRANSACTION, (bytes(payment),)))
        await until(lambda: attacker.is_banned)
        await until(lambda: not link.open)


async def test_a_block_longer_than_this_networks_is_no_frame(tmp_path: Path) -> None:
    async with attacked(tmp_path) as (street, attacker):
        link = await attacker.link()
        await until(lambda: attacker.is_linked)
        longest = street.nodes[0].genesis.parameters.max_body_bytes
        link.send(messages.NUMBERS[WholeBlock], bytes(longest + 4_096), CONTROL)
        await until(lambda: not attacker.is_linked)


async def test_who_was_banned_is_told_so_and_does_not_come_back(tmp_path: Path) -> None:
    async with attacked(tmp_path) as (_, attacker):
        link = await attacker.link()
        await until(lambda: attacker.is_linked)
        link.send(10, pack((9, ())), CONTROL)
        await until(lambda: attacker.is_banned)
        again = await attacker.link()
        frames = await again.receive()
        bye = forms.decode(*frames[0])
        assert isinstance(bye, Bye)
        assert bye.code == "banned"
        with pytest.raises(LinkError):
            await again.receive()
        assert not attacker.is_linked


async def test_a_flood_of_inventories_is_bounded(tmp_path: Path) -> None:
    async with attacked(tmp_path) as (street, attacker):
        machine = mesh_of(street.nodes[0]).gossip.machine
        link = await attacker.link()
        await until(lambda: attacker.is_linked)
        for _ in range(25):
            say(link, Inventory(TRANSACTION, names(1_000)))
            await asyncio.sleep(0)
        await until(lambda: len(machine.requests) > 0)
        await link.drain(30)
        assert len(machine.requests) <= MAX_QUEUED + 100


async def test_a_flood_of_addresses_fills_only_its_share(tmp_path: Path) -> None:
    async with attacked(tmp_path) as (street, attacker):
        mesh = mesh_of(street.nodes[0])
        link = await attacker.link()
        await until(lambda: attacker.is_linked)
        for block in range(8):
            entries = tuple((f"{20 + block}.{number}.1.1", 7_400, b"x" + os.urandom(31)) for number in range(100))
            say(link, Addresses(entries))
        await link.drain(30)
        await until(lambda: len(mesh.book) > 100)
        assert len(mesh.book) <= 600


async def test_a_guest_gets_the_genesis_and_nothing_else(tmp_path: Path) -> None:
    async with attacked(tmp_path, services=GUEST) as (_, attacker):
        link = await attacker.link()
        say(link, Get(TRANSACTION, names(1)))
        await until(lambda: not link.open)
        assert not attacker.is_linked


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"genesis": b"?" * 32}, "other_network"), ({"rules": 99}, "other_rules"), ({"protocol": 99}, "other_protocol")],
)
async def test_who_is_of_another_network_is_told_why(tmp_path: Path, changes: dict[str, object], code: str) -> None:
    async with attacked(tmp_path, **changes) as (_, attacker):
        link = await attacker.link()
        assert isinstance(Hello.decode(link.hello), Hello)
        bye = forms.decode(*(await link.receive())[0])
        assert isinstance(bye, Bye)
        assert bye.code == code
        assert not attacker.is_linked
