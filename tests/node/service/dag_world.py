"""Validators with known keys around a node without one: they make real blocks, in branches, that the node hears."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from node.consensus.blocks import Block
from node.ledger.genesis import Allocation, Genesis, make_genesis
from node.ledger.types import SignedTransaction
from node.profile.paths import ProfilePaths
from node.service.founding import write_genesis
from node.service.node import Node
from node.service.opening import ServiceSettings, open_service
from tests.node.world import NXT, Network, Payer, Validator, founder, key

START_MS = 1_700_000_000_000
VALIDATORS = 4


class Town:
    """A network of preset minimal (0.5 s slots, checkpoint every 4, merge depth 200 slots) and a profile that follows
    it. Time stands where the network's newest slot is."""

    def __init__(self, folder: Path, validators: int = VALIDATORS, **changed: int) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.paths = ProfilePaths(folder.name, folder)
        self.genesis = town_genesis(validators, **changed)
        if not self.paths.exists:
            write_genesis(self.paths, self.genesis)
        self.network = Network(self.genesis)
        self.payers = [Payer(self.genesis.hash, key(number)) for number in (1, 2, 3, 4)]
        self.nonces = [0, 0, 0, 0]

    def clock(self) -> int:
        return START_MS + self.network.slot * self.genesis.parameters.slot_ms

    @asynccontextmanager
    async def node(self, **settings: object) -> AsyncIterator[Node]:
        chosen = replace(ServiceSettings(produce=False, serve=False), **settings)  # type: ignore[arg-type]
        async with open_service(self.paths, chosen, self.clock) as service:
            yield service.node

    def payment(self, number: int = 0, amount: int = 1_000) -> SignedTransaction:
        """The next payment of a payer."""
        nonce, self.nonces[number] = self.nonces[number], self.nonces[number] + 1
        return self.payers[number].pay(nonce, key(50 + number).address, amount)

    def part(self, *groups: Iterable[int]) -> None:
        """The network falls into groups that do not hear each other."""
        self.network.groups = [[self.network.nodes[number] for number in group] for group in groups]

    def pass_slots(self, count: int, *transactions: SignedTransaction) -> list[Block]:
        """Let slots pass; all leaders make blocks, the first one carries the transactions. Returns the new blocks."""
        before = len(self.network.blocks)
        for number in range(count):
            self.network.pass_slot(*(transactions if number == 0 else ()))
        return self.network.blocks[before:]

    def group_of(self, number: int) -> list[Validator]:
        return next(group for group in self.network.groups if self.network.nodes[number] in group)


def town_genesis(validators: int = VALIDATORS, **changed: int) -> Genesis:
    """Keys 1 to 4 own 1,000 NXT each; validators have equal stakes."""
    allocations = tuple(Allocation(key(number).address, 1_000 * NXT, "") for number in (1, 2, 3, 4))
    genesis = make_genesis("minimal", START_MS, allocations, tuple(founder(number) for number in range(validators)))
    return replace(genesis, parameters=replace(genesis.parameters, **changed))


async def hear(node: Node, blocks: Iterable[Block]) -> None:
    """A node takes blocks one after another."""
    for block in blocks:
        await node.receive(block)
