"""A link through a relay, for the benchmark of links: three nodes in one process, with real links to the relay."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any

from node.mesh.admission import AdmissionLimits
from node.mesh.certificate import make_credentials
from node.mesh.identity import NodeKey
from node.mesh.link import Link, LinkError
from node.mesh.pipe import Pipe
from node.mesh.protocol import forms, messages
from node.mesh.protocol.circuits import Came, Circuits, Ended, Offered, Opened, Room
from node.mesh.protocol.effects import Send
from node.mesh.protocol.limits import LIMITS, size_of
from node.mesh.protocol.messages import CircuitMessage
from node.mesh.transport import Transport

LOCAL = "127.0.0.1"
OPEN = AdmissionLimits(total=100, local_per_address=100, local_per_network=100, local_attempts=1_000_000)


class End:
    """A node with its links by number and its circuits; what a service does, and no more."""

    def __init__(self, seed: int) -> None:
        self.key = NodeKey(bytes((seed,)) * 32)
        # Frames of type 1 stand for all that a link carries.
        sizes = lambda kind: 4 << 20 if kind == 1 else size_of(kind)  # noqa: E731
        self.transport = Transport(make_credentials(self.key), lambda: b"hello", sizes, admission=OPEN)
        self.circuits = Circuits(0)
        self.taken: asyncio.Queue[Link] = asyncio.Queue()
        self.opened = asyncio.Event()
        self._links: list[Link] = []
        self._pipes: dict[int, Pipe] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._doing = False

    def serve(self, link: Link) -> None:
        """Speak of circuits on a link."""
        self._links.append(link)
        number = len(self._links) - 1
        self.circuits.connected(number, link.peer, link.inbound, True, 0)
        self.start(self._serve(number, link))

    def start(self, task: Coroutine[Any, Any, None]) -> None:
        """Run something until the end."""
        self._tasks.add(asyncio.create_task(task))

    async def _serve(self, number: int, link: Link) -> None:
        with contextlib.suppress(LinkError):
            while True:
                for kind, body in await link.receive():
                    message = forms.decode(kind, body)
                    assert isinstance(message, CircuitMessage)
                    self.circuits.take(number, message, 0)
                self.do()

    def do(self) -> None:
        """Carry out what the circuits want."""
        if self._doing:
            return
        self._doing = True
        while effects := self.circuits.take_effects():
            for effect in effects:
                self._do(effect)
        self._doing = False

    def _do(self, effect: object) -> None:
        match effect:
            case Send(peer, message):
                kind = type(message)
                self._links[peer].send(messages.NUMBERS[kind], forms.encode(message), LIMITS[kind].queue)
            case Offered(peer, number, node):
                self.start(self._take(peer, number, node))
            case Opened():
                self.opened.set()
            case Came(_, number, data):
                self._pipes[number].came(data)
            case Room(_, number):
                self._pipes[number].room()
            case Ended(_, number, _) if number in self._pipes:
                self._pipes[number].end()
            case _:
                pass

    async def _take(self, peer: int, number: int, node: bytes) -> None:
        far = await self.pipe(peer, number).open()
        self.transport.take_over(far, node, self._links[peer].peer, LOCAL, self.taken.put_nowait)
        self.circuits.accept(peer, number)
        self.do()

    def pipe(self, peer: int, number: int) -> Pipe:
        """The end of a circuit."""

        def took(data: bytes) -> None:
            self.circuits.took(peer, number, data)
            self.do()

        def write(data: bytes) -> int:
            sent = self.circuits.write(peer, number, data)
            self.do()
            return sent

        def over() -> None:
            self.circuits.end(peer, number, "closed")
            self.do()

        self._pipes[number] = Pipe(write, took, over)
        return self._pipes[number]

    async def close(self) -> None:
        """End all links."""
        await self.transport.close(0.1)
        await asyncio.gather(*self._tasks)


class Relayed:
    """A pair of nodes whose links go through a relay that both have called."""

    def __init__(self) -> None:
        self.ends = End(5), End(6)
        self.relay = End(7)
        self.relay.circuits.relaying = True

    async def start(self) -> None:
        """Link both with the relay."""
        relay = self.relay
        port = await relay.transport.listen((LOCAL,), 0, relay.taken.put_nowait)
        for end in self.ends:
            end.serve(await end.transport.connect(LOCAL, port, relay.key.id))
            relay.serve(await relay.taken.get())

    async def link(self) -> tuple[Link, Link]:
        """(ours, theirs)."""
        here, there = self.ends
        here.opened.clear()
        number = here.circuits.ask(0, there.key.id, 0)
        assert number is not None
        far = await here.pipe(0, number).open()
        here.do()
        await here.opened.wait()
        link = await here.transport.connect_over(far, there.key.id, self.relay.key.id, LOCAL)
        return link, await there.taken.get()

    async def close(self) -> None:
        """End everything."""
        await asyncio.gather(*(end.close() for end in (*self.ends, self.relay)))
