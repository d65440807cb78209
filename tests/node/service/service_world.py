"""A profile with a network of its own, whose node a test may start, stop, freeze and damage."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

from node.api.records import Alert
from node.consensus import duties
from node.ledger.genesis import Allocation, Genesis
from node.profile.paths import ProfilePaths
from node.service.founding import found_network
from node.service.node import Node
from node.service.opening import Service, ServiceSettings, open_service
from tests.node.world import NXT, Payer, key

DAY_MS = 86_400_000
STAKER = 800  # the number of the key whose account stakes


class Place:
    """A network of preset solo (200 ms slots) that funds keys 1, 2 and 3 with 1,000 NXT each."""

    def __init__(self, folder: Path, started_ms_ago: int = 60_000) -> None:
        folder.mkdir(mode=0o700, parents=True)
        self.paths = ProfilePaths(folder.name, folder)
        self.offset_ms = 0
        self.genesis: Genesis = found_network(
            self.paths,
            "solo",
            self.clock() - started_ms_ago,
            tuple(Allocation(key(number).address, 1_000 * NXT, f"key {number}") for number in (1, 2, 3)),
            key(STAKER).address,
            1_000 * NXT,
        )

    def clock(self) -> int:
        """This place's time: the machine's, shifted."""
        return time.time_ns() // 1_000_000 + self.offset_ms

    def payer(self, number: int = 1) -> Payer:
        return Payer(self.genesis.hash, key(number))

    @asynccontextmanager
    async def opened(self, **settings: Any) -> AsyncIterator[Service]:
        async with open_service(self.paths, ServiceSettings(serve=False, **settings), self.clock) as service:
            yield service

    @asynccontextmanager
    async def node(self, **settings: Any) -> AsyncIterator[Node]:
        async with self.opened(**settings) as service:
            yield service.node

    def image(self, folder: Path) -> Place:
        """What a crash at this moment would leave: a copy of all files, taken while the node runs."""
        shutil.copytree(self.paths.root, folder)
        other = object.__new__(Place)
        other.paths, other.offset_ms, other.genesis = ProfilePaths(folder.name, folder), self.offset_ms, self.genesis
        return other

    def edit(self, *statements: str, file: str = "chain.db") -> None:
        """Change a database behind the node's back."""
        with closing(sqlite3.connect(self.paths.root / file)) as connection, connection:
            for statement in statements:
                connection.execute(statement)


async def until(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    """Wait for something that must come to be."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def confirmed(node: Node, txid: bytes, status: str = "done") -> None:
    """Wait until a transaction has a status."""
    async with asyncio.timeout(120.0):
        while (view := await node.transaction(txid)) is None or view.status != status:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def at_rest(node: Node) -> None:
    """Wait until all that was executed is final, the certificate of that is in a block, and everything is written."""
    await until(lambda: not len(node.journal) and not duties.is_busy(node.engine, len(node.mempool) > 0))


def alert(node: Node, code: str) -> Alert | None:
    """The alert of a code that stands now."""
    return next((item for item in node.alerts.standing() if item.code == code), None)
