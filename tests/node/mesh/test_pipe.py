"""Links over circuits: the same TLS and the same judging, whatever the relay does to the bytes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import pytest

from node.mesh.link import Link, LinkError, LinkLimits
from node.mesh.pipe import Pipe
from node.mesh.protocol.circuits import Came, Circuits, Ended, Offered, Opened, Room
from node.mesh.protocol.effects import Send
from node.mesh.protocol.limits import BULK, CIRCUIT_WINDOW, CONTROL
from node.mesh.protocol.messages import CircuitData, CircuitMessage
from tests.node.mesh.linked import PATIENCE_S, Node, nodes, until

A, R, B = 1, 2, 3
Tamper = Callable[[CircuitData], list[CircuitData]]


def faithful(message: CircuitData) -> list[CircuitData]:
    return [message]


@dataclass
class Valley:
    """Two nodes and a relay between them, which passes on what `tamper` makes of each piece."""

    tamper: Tamper = faithful
    limits: LinkLimits | None = None
    under_way: int = 0
    pipes: dict[int, Pipe] = field(default_factory=dict)
    taken: list[Link] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.nodes = {number: Node(self.limits) for number in (A, B)}
        self.circuits = {number: Circuits(0) for number in (A, R, B)}
        self.circuits[R].relaying = True
        self.opened = asyncio.Event()
        self.works = asyncio.Event()
        for number, node in self.nodes.items():
            self.circuits[number].connected(R, b"R" * 32, False, True, 0)
            self.circuits[R].connected(number, node.key.id, True, True, 0)

    async def run(self) -> None:
        """Carry what is said; each message a turn of the loop later."""
        while True:
            for number, circuits in self.circuits.items():
                for effect in circuits.take_effects():
                    await self._do(number, effect)
            self.works.clear()
            if not any(circuits.effects for circuits in self.circuits.values()):
                await self.works.wait()

    async def _do(self, number: int, effect: object) -> None:
        match effect:
            case Send(peer, message):
                assert isinstance(message, CircuitMessage)
                pieces: list[CircuitMessage] = [message]
                if number == R and isinstance(message, CircuitData):
                    self.under_way += len(message.data)
                    pieces = [*self.tamper(message)]
                for piece in pieces:
                    self.circuits[peer].take(number, piece, 0)
            case Offered(peer, circuit, node):
                far = await self.pipe(number, circuit).open()
                assert self.nodes[B].transport.take_over(far, node, b"R" * 32, "127.0.0.1", self.taken.append)
                self.circuits[number].accept(peer, circuit)
            case Opened():
                self.opened.set()
            case Came(_, _, data):
                self.pipes[number].came(data)
            case Room():
                self.pipes[number].room()
            case Ended():
                self.pipes[number].end()
            case _:
                raise AssertionError(effect)

    def pipe(self, number: int, circuit: int) -> Pipe:
        circuits = self.circuits[number]

        def called(method: Callable[..., object], *arguments: object) -> object:
            self.works.set()
            return method(R, circuit, *arguments)

        write = partial(called, circuits.write)
        self.pipes[number] = Pipe(write, partial(called, circuits.took), partial(called, circuits.end, "closed"))  # type: ignore[arg-type]
        return self.pipes[number]

    async def link(self, expected: bytes | None = None) -> Link:
        """A's end of a link over a circuit."""
        circuit = self.circuits[A].ask(R, self.nodes[B].key.id, 0)
        assert circuit is not None
        far = await self.pipe(A, circuit).open()
        self.works.set()
        await self.opened.wait()
        expected = expected or self.nodes[B].key.id
        return await self.nodes[A].transport.connect_over(far, expected, b"R" * 32, "127.0.0.1")


@asynccontextmanager
async def valley(tamper: Tamper = faithful, limits: LinkLimits | None = None) -> AsyncIterator[Valley]:
    made = Valley(tamper, limits)
    async with nodes(*made.nodes.values()):
        running = asyncio.create_task(made.run())
        try:
            yield made
            await asyncio.gather(*(node.transport.close() for node in made.nodes.values()))
        finally:
            running.cancel()
            for pipe in made.pipes.values():
                pipe.end()


async def test_above_a_circuit_a_link_is_a_link() -> None:
    async with valley() as world, asyncio.timeout(PATIENCE_S):
        here = await world.link()
        await until(lambda: bool(world.taken), "the link at the other end")
        (there,) = world.taken
        assert (here.peer, there.peer) == (world.nodes[B].key.id, world.nodes[A].key.id)
        assert (here.inbound, there.inbound) == (False, True)
        assert here.relay == there.relay == b"R" * 32
        bodies = [bytes([number]) * 300_000 for number in range(4)]
        for sender, reader in ((here, there), (there, here)):
            for body in bodies:
                assert sender.send(2, body, BULK)
            got: list[bytes] = []
            while len(got) < len(bodies):
                got += [body for _, body in await reader.receive()]
            assert got == bodies
        await here.close()
        with pytest.raises(LinkError) as caught:
            await there.receive()
        assert caught.value.code == "closed"


async def test_the_relay_sees_nothing_of_what_is_said() -> None:
    secret, seen = b"a letter to Bob, and to nobody else", bytearray()

    def look(message: CircuitData) -> list[CircuitData]:
        seen.extend(message.data)
        return [message]

    async with valley(look) as world, asyncio.timeout(PATIENCE_S):
        here = await world.link()
        here.send(2, secret, CONTROL)
        await until(lambda: bool(world.taken), "the link at the other end")
        assert await world.taken[0].receive() == [(2, secret)]
    assert len(seen) > 2_000
    assert secret not in seen
    assert world.nodes[A].key.id not in seen, "certificates are encrypted too"


async def test_who_answers_must_be_the_one_that_was_asked_for() -> None:
    async with valley() as world, asyncio.timeout(PATIENCE_S):
        with pytest.raises(LinkError) as caught:
            await world.link(expected=b"somebody else, who is not there!")
        assert caught.value.code == "wrong_id"
        assert not world.taken


def flip(message: CircuitData) -> list[CircuitData]:
    return [message._replace(data=message.data[:-1] + bytes([message.data[-1] ^ 1]))]


def inject(message: CircuitData) -> list[CircuitData]:
    return [message, message._replace(data=b"\x17\x03\x03\x00\x20" + bytes(32))]


def drop(message: CircuitData) -> list[CircuitData]:
    return []


class Reorder:
    """Keeps each second piece back until the next."""

    def __init__(self) -> None:
        self.kept: CircuitData | None = None

    def __call__(self, message: CircuitData) -> list[CircuitData]:
        if self.kept is None:
            self.kept = message
            return []
        kept, self.kept = self.kept, None
        return [message, kept]


async def read_all(link: Link, got: list[bytes]) -> None:
    while True:
        got += [body for _, body in await link.receive()]


TAMPERS: dict[str, Callable[[], Tamper]] = {
    "flip": lambda: flip,
    "inject": lambda: inject,
    "drop": lambda: drop,
    "reorder": Reorder,
}


@pytest.mark.parametrize("how", TAMPERS)
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_relay_that_changes_anything_only_breaks_the_link(how: str, when: str) -> None:
    tamper = TAMPERS[how]()
    active = when == "before"

    def sometimes(message: CircuitData) -> list[CircuitData]:
        return tamper(message) if active else [message]

    patience = LinkLimits(handshake_s=2.0, hello_s=2.0)
    async with valley(sometimes, patience) as world, asyncio.timeout(PATIENCE_S):
        if when == "before":
            with pytest.raises(LinkError):
                await world.link()
            assert not any(link.open for link in world.taken)
            return
        here = await world.link()
        here.send(2, b"first", CONTROL)
        await until(lambda: bool(world.taken), "the link at the other end")
        (there,) = world.taken
        assert await there.receive() == [(2, b"first")]
        active = True
        for number in range(6):
            here.send(2, b"%d" % number * 1_000, CONTROL)
            await asyncio.sleep(0.02)
        if tamper is drop:
            await here.close()  # what is missing shows at the end at the latest
        got: list[bytes] = []
        with pytest.raises(LinkError) as caught:
            await read_all(there, got)
        # TLS keeps the order: what came is a beginning of what was sent.
        assert got == [b"%d" % number * 1_000 for number in range(len(got))]
        assert caught.value.code in ("tls_failed", "closed", "lost", "cut")


async def test_who_does_not_read_holds_up_the_sender_and_not_the_relay() -> None:
    async with valley() as world, asyncio.timeout(PATIENCE_S):
        here = await world.link()
        await until(lambda: bool(world.taken), "the link at the other end")
        before, sent = world.under_way, 0
        idle = 0
        while idle < 20:
            while here.send(2, bytes(10_000), BULK):
                sent, idle = sent + 10_000, 0
            idle += 1
            await asyncio.sleep(0.01)
        # The relay passed on what fits into the link's own buffers and one window, and the rest waits at the sender.
        passed = world.under_way - before
        assert sent > 2 << 20
        assert passed < sent
        assert world.circuits[A].write(R, 1, b"more") == 0
        assert passed < (2 << 20) + CIRCUIT_WINDOW
