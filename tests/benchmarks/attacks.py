"""What hostile peers do to a node in `hostile.py`: each attack runs in a process of its own for some seconds.

An attack says what it did as one line of JSON: how long after its first proof each link was gone, and how much it sent.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import socket
import ssl
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from node.consensus import duties
from node.consensus.blocks import Block, Header, body_root
from node.consensus.engine import Engine
from node.encoding.hashing import tagged_hash
from node.encoding.hosts import Address
from node.ledger.genesis import RULE_VERSION
from node.ledger.types import SignedTransaction
from node.mesh import transport
from node.mesh.certificate import make_credentials
from node.mesh.identity import NodeKey
from node.mesh.link import Link, LinkError, LinkLimits
from node.mesh.protocol import forms, messages
from node.mesh.protocol.frames import frame_head
from node.mesh.protocol.hello import PROTOCOL, RELAY, Hello
from node.mesh.protocol.limits import AT_ONCE, BULK, CONTROL, LIMITS, SELDOM
from node.mesh.protocol.messages import (
    KINDS,
    TRANSACTION,
    VOTE,
    Addresses,
    AnyMessage,
    AskHistory,
    Get,
    Given,
    Inventory,
    NewBlock,
    Ping,
    WholeBlock,
)
from node.mesh.transport import Transport
from node.profile.paths import ProfilePaths
from node.service.mesh_settings import MeshSettings
from node.service.opening import ServiceSettings, open_service
from node.service.validator_key import ValidatorKey, load_validator_key
from node.storage.queries import read_genesis
from tests.node.world import Payer, key

LINKS = 8
"""Identities that attack at a time."""
WHOLE = LinkLimits(unread=1 << 30, budgets=(1 << 30,) * 4, waiting=1 << 32)
_AHEAD = 256 << 10  # bytes that a flood keeps waiting


def any_size(kind: int) -> int | None:
    """An attacker keeps to no limit of its own."""
    return 1 << 30


async def _dial_from(own: str, host: str, port: int) -> socket.socket:
    """As the transport dials, from an address of one's own."""
    connection = socket.socket()
    connection.setblocking(False)
    connection.bind((own, 0))
    await asyncio.get_running_loop().sock_connect(connection, (host, port))
    return connection


class Field:
    """Where an attack takes place: whom to attack, until when, and what came of it."""

    def __init__(self, folder: Path, port: int, victim: bytes, seconds: float, own: str = "127.0.0.1") -> None:
        """`own` is where the attack comes from."""
        transport._dial = partial(_dial_from, own)  # type: ignore[assignment]
        self.own = own
        self.profile = ProfilePaths(folder.name, folder)
        self.genesis = read_genesis(self.profile.genesis)
        self.port, self.victim = port, victim
        self.end = time.monotonic() + seconds
        self.random = Random(1)
        self.sent = 0
        self.gone: list[float] = []
        self._transports: list[Transport] = []

    @property
    def on(self) -> bool:
        return time.monotonic() < self.end

    async def link(self) -> Link:
        """A link of a new identity, with a greeting that is in order."""
        credentials = make_credentials(NodeKey(os.urandom(32)))
        self._transports.append(Transport(credentials, self.greeting, any_size, WHOLE))
        return await self._transports[-1].connect("127.0.0.1", self.port, self.victim)

    def greeting(self) -> bytes:
        now = time.time_ns() // 1_000_000
        network = self.genesis.hash
        return Hello(
            PROTOCOL, RULE_VERSION, network, RELAY, 0, now, os.urandom(16), (), 0, 0, bytes(32), "evil"
        ).encoded()

    def say(self, link: Link, message: AnyMessage) -> bool:
        self.sent += 1
        return link.send(messages.NUMBERS[type(message)], forms.encode(message), BULK)

    async def until_gone(self, link: Link, since: float) -> None:
        """Wait for a link's end, and note how long that took."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.end - time.monotonic()):
                await link.wait_closed()
                self.gone.append(time.monotonic() - since)

    def names(self, count: int) -> tuple[bytes, ...]:
        return tuple(self.random.randbytes(32) for _ in range(count))

    async def close(self) -> None:
        for made in self._transports:
            await made.close(0)


async def each(field: Field, attack: Callable[[Field, Link], Awaitable[None]]) -> None:
    """The same on several links at a time."""
    links = [await field.link() for _ in range(LINKS)]
    await asyncio.gather(*(attack(field, link) for link in links))


async def flood(field: Field, link: Link, make: Callable[[], AnyMessage], *, reads: bool = True) -> None:
    """Say without end what `make` gives, as fast as it is taken; the proof is what passes the rates."""
    said = volume = 0
    proof = None
    while field.on and not link.ended:
        message = make()
        limit = LIMITS[type(message)]
        field.say(link, message)
        said, volume = said + 1, volume + forms.weight(message)
        parts = 1 if limit.rate <= SELDOM else AT_ONCE
        if proof is None and (said > limit.rate // parts or volume > limit.volume // parts):
            with contextlib.suppress(LinkError, TimeoutError):
                await link.drain(30)
            proof = time.monotonic()
        while link.queued > _AHEAD and not link.ended:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        if said % 50 == 0:
            await asyncio.sleep(0)
        if reads:
            link._inbox.clear()
            link._unread = 0
    if link.ended and proof is not None:
        field.gone.append(time.monotonic() - proof)


# -- connections ----------------------------------------------------------------------------------------------------


async def many_connects(field: Field) -> None:
    """1,000 connects a second from one address, each closed at once or never spoken on."""
    held: list[socket.socket] = []
    begun = time.monotonic()
    while field.on:
        await asyncio.sleep(max(0.0, begun + field.sent / 1_000 - time.monotonic()))
        fresh = socket.socket()
        fresh.setblocking(False)
        fresh.bind((field.own, 0))
        fresh.connect_ex(("127.0.0.1", field.port))
        field.sent += 1
        held.append(fresh)
        if len(held) > 500:
            held.pop(0).close()


async def half_open(field: Field) -> None:
    """Connections on which nothing is said; each that is cut is made anew."""

    async def one() -> None:
        while field.on:
            since = time.monotonic()
            reader, writer = await asyncio.open_connection("127.0.0.1", field.port, local_addr=(field.own, 0))
            field.sent += 1
            with contextlib.suppress(OSError):
                await reader.read()
            if field.on:
                field.gone.append(time.monotonic() - since)
            writer.transport.abort()
            await asyncio.sleep(0.2)

    await until_end(field, [one() for _ in range(200)])


async def slow_handshake(field: Field) -> None:
    """TLS begun byte by byte."""
    hello = ssl.MemoryBIO()
    context = make_credentials(NodeKey(os.urandom(32))).client
    beginning = context.wrap_bio(ssl.MemoryBIO(), hello)
    with contextlib.suppress(ssl.SSLWantReadError):
        beginning.do_handshake()
    data = hello.read()

    async def one() -> None:
        while field.on:
            since = time.monotonic()
            reader, writer = await asyncio.open_connection("127.0.0.1", field.port, local_addr=(field.own, 0))
            field.sent += 1
            for byte in data:
                if reader.at_eof() or writer.transport.is_closing():
                    break
                writer.write(bytes((byte,)))
                await asyncio.sleep(0.2)
            field.gone.append(time.monotonic() - since)
            writer.transport.abort()

    await until_end(field, [one() for _ in range(64)])


async def handshakes(field: Field) -> None:
    """Links with good certificates, closed as soon as they are there, as fast as they come about."""

    async def one() -> None:
        while field.on:
            with contextlib.suppress(LinkError):
                link = await field.link()
                link.abort("done", "That was all.")
            field.sent += 1
            await asyncio.sleep(0)

    await until_end(field, [one() for _ in range(LINKS)])


async def until_end(field: Field, doing: list[Awaitable[None]]) -> None:
    tasks = [asyncio.ensure_future(item) for item in doing]
    await asyncio.sleep(max(0.0, field.end - time.monotonic()))
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


# -- frames and messages --------------------------------------------------------------------------------------------


async def oversize(field: Field) -> None:
    """A frame that says it has a gigabyte."""

    async def one(field: Field, link: Link) -> None:
        assert link._transport is not None
        link._transport.write(frame_head(15, (1 << 30) - 2) + bytes(60_000))
        await field.until_gone(link, time.monotonic())

    await each(field, one)


async def slow_frames(field: Field) -> None:
    """The largest frame that is allowed, but for its last byte, which never comes."""
    largest = LIMITS[WholeBlock].size

    async def one(field: Field, link: Link) -> None:
        assert link._transport is not None
        link._transport.write(frame_head(15, largest) + bytes(largest - 1))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(field.end - time.monotonic()):
                await link.wait_closed()

    await each(field, one)


async def inventories(field: Field) -> None:
    """Names of what does not exist."""
    await each(field, lambda field, link: flood(field, link, lambda: _inventory(field)))


def _inventory(field: Field) -> Inventory:
    return Inventory(field.random.choice(KINDS), field.names(messages.MAX_NAMES))


async def addresses(field: Field) -> None:
    """Addresses of nobody."""

    def make() -> Addresses:
        bits = field.random.randrange
        return Addresses(tuple((f"10.{bits(256)}.{bits(256)}.{bits(256)}", 7_400, name) for name in field.names(100)))

    await each(field, lambda field, link: flood(field, link, make))


async def pings(field: Field) -> None:
    """Pings without end."""
    await each(field, lambda field, link: flood(field, link, lambda: Ping(1)))


async def gets(field: Field) -> None:
    """Questions for what does not exist; the answers are not read."""
    await each(field, lambda field, link: flood(field, link, lambda: Get(TRANSACTION, field.names(128)), reads=False))


async def histories(field: Field) -> None:
    """Questions about all of history; the answers are not read."""
    ask = AskHistory((field.genesis.hash,), messages.MAX_HISTORY)
    await each(field, lambda field, link: flood(field, link, lambda: ask, reads=False))


# -- things ---------------------------------------------------------------------------------------------------------


class Liar:
    """Tells of things and gives them when asked."""

    def __init__(self, field: Field, link: Link) -> None:
        self.field, self.link = field, link
        self.things: dict[bytes, AnyMessage] = {}
        self.given_at: float | None = None

    async def answer(self) -> None:
        with contextlib.suppress(LinkError):
            while True:
                for kind, body in await self.link.receive():
                    message = forms.decode(kind, body)
                    if isinstance(message, Get):
                        for name in message.names:
                            if name in self.things:
                                self.field.say(self.link, self.things[name])
                                self.given_at = self.given_at or time.monotonic()
        if self.given_at is not None:
            self.field.gone.append(time.monotonic() - self.given_at)

    def tell_block(self, block: Block) -> None:
        self.things[block.id] = WholeBlock(block.header_bytes, block.body())
        self.link.send(14, forms.encode(NewBlock(block.header_bytes)), CONTROL)

    def tell(self, kind: int, things: list[bytes]) -> None:
        tag = b"nexus/wid" if kind == TRANSACTION else b"nexus/vote/id"
        for thing in things:
            self.things[tagged_hash(tag, thing)] = Given(kind, (thing,))
        self.field.say(self.link, Inventory(kind, tuple(self.things)[-len(things) :]))


@contextlib.asynccontextmanager
async def liar(field: Field) -> AsyncIterator[Liar]:
    made = Liar(field, await field.link())
    answering = asyncio.create_task(made.answer())
    try:
        yield made
    finally:
        answering.cancel()
        await asyncio.wait({answering})


async def bad_signatures(field: Field) -> None:
    """Payments whose signatures are nobody's, from one identity after the other."""
    payer = Payer(field.genesis.hash, key(1))
    while field.on:
        payments = [bytearray(payer.pay(0, key(60).address, field.random.randrange(1, 1 << 30)).raw) for _ in range(20)]
        for payment in payments:
            payment[-1] ^= 1
        async with liar(field) as lying:
            lying.tell(TRANSACTION, [bytes(payment) for payment in payments])
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(field.end - time.monotonic()):
                    await lying.link.wait_closed()
        await asyncio.sleep(0.5)


@contextlib.asynccontextmanager
async def validator(field: Field) -> AsyncIterator[tuple[Engine, ValidatorKey]]:
    """A validator who follows the network and makes nothing; his key signs lies."""
    settings = ServiceSettings(
        produce=False, serve=False, mesh=MeshSettings(hosts=("127.0.0.1",), port=0, discovery=False)
    )
    async with open_service(field.profile, settings) as service:
        links = service.node.links
        assert links is not None
        links.introduce(Address("127.0.0.1", field.port, field.victim))
        while service.node.engine.tip.height < 3 and field.on:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        secret = load_validator_key(field.profile.validator_key)
        assert secret is not None
        yield service.node.engine, secret


def identity_of(engine: Engine, secret: ValidatorKey) -> bytes:
    return next(item.id for item in engine.view.table.validators if item.consensus_key == secret.public_key)


def signed(header: Header, secret: ValidatorKey) -> Header:
    return header._replace(signature=secret.sign(header.signing_hash()))


async def orphans(field: Field) -> None:
    """Blocks well signed by a validator, with full bodies, whose parents nobody has."""
    payer = Payer(field.genesis.hash, key(2))
    payments = tuple(payer.pay(nonce, key(60).address, 1) for nonce in range(400))
    async with validator(field) as (engine, secret), liar(field) as lying:
        identity = identity_of(engine, secret)
        base = engine.chain.tip.header
        assert base is not None
        root = body_root(payments, ())
        while field.on and not lying.link.ended:
            header = base._replace(creator=identity, parents=field.names(1), body_root=root)
            lying.tell_block(Block(signed(header, secret), payments))
            await asyncio.sleep(0.01)


async def equivocations(field: Field) -> None:
    """In each slot that a validator leads, blocks without end; and votes for each newest checkpoint from everywhere."""
    async with validator(field) as (engine, secret), liar(field) as lying:
        identity = identity_of(engine, secret)
        payer, nonce, voted = Payer(field.genesis.hash, key(3)), 0, 0
        while field.on and not lying.link.ended:
            await asyncio.sleep(0.02)
            slot = engine.slots.slot_at(time.time_ns() // 1_000_000)
            if duties.seat_of(engine, identity, slot) is not None and slot > engine.tip.slot:
                base = duties.make_block(engine, identity, slot, (), secret.reveals.preimage, secret.sign)
                for _ in range(100):
                    nonce += 1
                    lying.tell_block(_twin(base, payer.pay(nonce, key(60).address, 1), secret))
                while engine.slots.slot_at(time.time_ns() // 1_000_000) == slot:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            target = max(engine.ballots.targets.values(), key=lambda item: item.number)
            if target.number > voted:
                voted = target.number
                lying.tell(VOTE, _votes(engine, identity, secret))


def _twin(base: Block, payment: SignedTransaction, secret: ValidatorKey) -> Block:
    header = base.header._replace(body_root=body_root((payment,), base.votes))
    return Block(signed(header, secret), (payment,), base.votes)


def _votes(engine: Engine, identity: bytes, secret: ValidatorKey) -> list[bytes]:
    """A vote from every source to the newest checkpoint, each well signed."""
    targets = sorted(engine.ballots.targets.values(), key=lambda item: item.number)
    made = duties.make_vote(engine, identity, targets[-1], secret.sign_digest)
    if made is None:
        return []
    found = []
    for source in targets[:-1]:
        vote = made._replace(source=source.number, source_hash=source.hash)
        headers = engine.header_of(source.checkpoint.block), engine.header_of(targets[-1].checkpoint.block)
        found.append(vote._replace(signature=secret.sign_digest(vote.digest(engine.genesis_hash, *headers))).encoded())
    return found


ATTACKS = {
    "oversize frames": oversize,
    "unfinished frames": slow_frames,
    "slow handshakes": slow_handshake,
    "half-open connections": half_open,
    "1,000 connects a second": many_connects,
    "handshakes": handshakes,
    "inventories": inventories,
    "addresses": addresses,
    "pings": pings,
    "questions for things": gets,
    "questions for history": histories,
    "invalid signatures": bad_signatures,
    "orphans of a validator": orphans,
    "equivocations": equivocations,
}


async def attack(name: str, field: Field) -> None:
    try:
        await ATTACKS[name](field)
    except (LinkError, OSError) as error:
        print(f"{name}: {error}", file=sys.stderr)
    finally:
        await field.close()
    print(json.dumps({"sent": field.sent, "gone": field.gone}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=ATTACKS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("port", type=int)
    parser.add_argument("victim", type=bytes.fromhex)
    parser.add_argument("seconds", type=float)
    parser.add_argument("own")
    chosen = parser.parse_args()
    asyncio.run(attack(chosen.name, Field(chosen.folder, chosen.port, chosen.victim, chosen.seconds, chosen.own)))


if __name__ == "__main__":
    main()
