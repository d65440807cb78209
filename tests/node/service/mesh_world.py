"""Several whole nodes with validators of their own, in one process, and links between them without sockets."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from node.ledger.genesis import Allocation, Founder, make_genesis
from node.mesh.protocol import forms, messages
from node.mesh.protocol.effects import Close, Heard, Parted, Send
from node.profile.paths import ProfilePaths
from node.service.clock import system_clock
from node.service.founding import write_genesis
from node.service.gossip import Gossip
from node.service.node import Node
from node.service.opening import ServiceSettings, open_service
from node.service.validator_key import create_validator_key
from node.storage.signing_record import SigningRecord
from tests.node.world import NXT, Payer, key


def profiles_of_one_network(
    folder: Path, validators: int, others: int = 0, preset: str = "minimal", **changed: int
) -> list[ProfilePaths]:
    """Profiles with a validator each, and some without, that share a new genesis. Keys 1 to 4 own 1,000 NXT. `changed`
    are parameters that differ from the preset's."""
    made, founders = [], []
    for number in range(validators + others):
        place = folder / f"node{number}"
        place.mkdir(mode=0o700, parents=True)
        paths = ProfilePaths(place.name, place)
        made.append(paths)
        if number < validators:
            secret = create_validator_key(paths.validator_key)
            SigningRecord.create(paths.signing_record, secret.public_key)
            owner = key(850 + number).address
            founders.append(Founder(owner, secret.public_key, 1_000 * NXT, secret.reveals.commitment))
    allocations = tuple(Allocation(key(number).address, 1_000 * NXT, "") for number in (1, 2, 3, 4))
    genesis = make_genesis(preset, system_clock() - 2_000, allocations, tuple(founders))
    genesis = replace(genesis, parameters=replace(genesis.parameters, **changed))
    for paths in made:
        write_genesis(paths, genesis)
    return made


class Joined:
    """One node and its gossip; links are numbered by the other's number."""

    def __init__(self, mesh: Mesh, number: int, node: Node) -> None:
        self.mesh = mesh
        self.number = number
        self.node = node
        self.closed: list[Close] = []
        self.gossip = Gossip(node, bytes([number]) * 16, mesh.now_ms, self._carry, self._room)

    async def _room(self, peer: int) -> None:
        await asyncio.sleep(0)

    def _carry(self, effect: Send | Heard | Close | Parted) -> None:
        if isinstance(effect, Close):
            self.closed.append(effect)
            self.mesh.cut(self.number, effect.peer)
            return
        assert isinstance(effect, Send)
        message = effect.message
        self.mesh.send(self.number, effect.peer, messages.NUMBERS[type(message)], forms.encode(message))


class Mesh:
    """Nodes that run while the context is open. Messages arrive in order, a little later."""

    def __init__(self, folder: Path, validators: int, others: int = 0, asleep: int = 0) -> None:
        """The last `asleep` nodes do not run at first; see `wake`."""
        self.profiles = profiles_of_one_network(folder, validators, others)
        self._asleep = asleep
        self.links: set[frozenset[int]] = set()
        self.nodes: list[Joined] = []
        self._stack = AsyncExitStack()

    def now_ms(self) -> int:
        return int(asyncio.get_running_loop().time() * 1000)

    async def __aenter__(self) -> Mesh:
        await self._stack.__aenter__()
        for _ in range(len(self.profiles) - self._asleep):
            await self.wake()
        return self

    async def wake(self) -> None:
        """Start the next node."""
        number = len(self.nodes)
        paths = self.profiles[number]
        service = await self._stack.enter_async_context(open_service(paths, ServiceSettings(serve=False)))
        joined = Joined(self, number, service.node)
        self.nodes.append(joined)
        task = asyncio.create_task(joined.gossip.run())

        async def end() -> None:
            task.cancel()
            await asyncio.wait({task})

        self._stack.push_async_callback(end)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(kind, error, trace)

    def payer(self, number: int) -> Payer:
        return Payer(self.nodes[0].node.genesis.hash, key(number))

    def connect(self, one: int, other: int) -> None:
        self.links.add(frozenset((one, other)))
        a, b = self.nodes[one].gossip, self.nodes[other].gossip
        hello_a, hello_b = a.hello(), b.hello()
        a.connected(other, hello_b, False)
        b.connected(one, hello_a, True)

    def cut(self, one: int, other: int) -> None:
        if frozenset((one, other)) in self.links:
            self.links.discard(frozenset((one, other)))
            self.nodes[one].gossip.disconnected(other)
            self.nodes[other].gossip.disconnected(one)

    def send(self, sender: int, receiver: int, kind: int, body: bytes) -> None:
        asyncio.get_running_loop().call_later(0.002, self._arrive, sender, receiver, kind, body)

    def _arrive(self, sender: int, receiver: int, kind: int, body: bytes) -> None:
        if frozenset((sender, receiver)) in self.links:
            self.nodes[receiver].gossip.received(sender, kind, body)
