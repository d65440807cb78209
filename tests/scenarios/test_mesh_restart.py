"""Every node of a network is restarted, one after the other, while payments go on: nothing accepted is lost."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from node.api.client import RemoteNode
from node.api.errors import NoNode
from node.api.records import MeshView
from node.encoding.amounts import SUPPLY
from node.ledger.types import SignedTransaction
from node.profile.paths import ProfilePaths
from node.service.verify import verify_file
from node.storage.queries import read_genesis
from tests.node.service.mesh_world import profiles_of_one_network
from tests.node.world import Payer, key
from tests.scenarios.resident import Resident

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
NODES = 4
KILLED = 2
"""The node that is not asked to stop."""
PATIENCE_S = 60.0
RECIPIENT = key(60).address
AMOUNT = 1_000


class Owner(Resident):
    """Somebody who runs a node, and pays with one key by way of it whenever it runs."""

    def __init__(self, paths: ProfilePaths, payer: Payer) -> None:
        super().__init__(paths)
        self.payer = payer
        self.paid: list[SignedTransaction] = []
        self.pays = True
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        listen = {"NEXUS_MESH_LISTEN": "127.0.0.1", "NEXUS_MESH_DISCOVERY": "false"}
        with (self.paths.root / "output").open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "nexus_tui", "--profile", self.paths.name, "node", "run"],
                env={**os.environ, **listen},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def end(self, how: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(how)
        assert self.process.wait(timeout=PATIENCE_S) == (0 if how == signal.SIGTERM else -how)
        self.process = None

    async def mesh(self) -> MeshView:
        async with await RemoteNode.connect(self.paths.socket) as node:
            return await node.mesh()

    async def is_up(self) -> bool:
        """Whether it answers and listens."""
        try:
            return (await self.mesh()).port > 0
        except NoNode:
            return False

    async def is_linked(self) -> bool:
        """Whether it is linked with all others."""
        try:
            return len((await self.mesh()).peers) == NODES - 1
        except NoNode:
            return False

    async def has(self, owners: list[Owner]) -> bool:
        """Whether all that was ever accepted is done here, and all done was accepted: each once."""
        paid = [item for owner in owners for item in owner.paid]
        async with await RemoteNode.connect(self.paths.socket) as node:
            nonces = [(await node.account(owner.payer.address)).nonce for owner in owners]
            received = (await node.account(RECIPIENT)).balance
        expected = [len(owner.paid) for owner in owners]
        assert all(nonce <= count for nonce, count in zip(nonces, expected, strict=True))
        assert received <= AMOUNT * len(paid)
        return await self.has_done(paid) and nonces == expected and received == AMOUNT * len(paid)

    async def pay_on(self) -> None:
        """One payment after the other; one of which it is not known whether it was accepted is sent again."""
        while self.pays:
            payment = self.payer.pay(len(self.paid), RECIPIENT, AMOUNT)
            with suppress(NoNode):
                await self.submit(payment)
                self.paid.append(payment)
            await asyncio.sleep(0.2)


async def until(so: Callable[[], Awaitable[bool]]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not await so():
        assert time.monotonic() < deadline, "it did not come to be"
        await asyncio.sleep(0.1)


@asynccontextmanager
async def running(owners: list[Owner]) -> AsyncIterator[None]:
    """Their nodes are linked, each with each, and end with the context."""
    try:
        for owner in owners:
            owner.start()
        first = owners[0]
        await until(first.is_up)
        view = await first.mesh()
        for owner in owners[1:]:
            await until(owner.is_up)
            async with await RemoteNode.connect(owner.paths.socket) as node:
                await node.introduce(f"{view.node.hex()}@127.0.0.1:{view.port}")
        for owner in owners:
            await until(owner.is_linked)
        yield
    finally:
        for owner in owners:
            if owner.process is not None:
                owner.end(signal.SIGTERM)


async def test_restarting_every_node_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXUS_HOME", str(tmp_path))
    profiles = profiles_of_one_network(tmp_path / "profiles", NODES)
    genesis = read_genesis(profiles[0].genesis)
    owners = [Owner(paths, Payer(genesis.hash, key(number))) for number, paths in enumerate(profiles, 1)]
    async with running(owners):
        async with asyncio.TaskGroup() as paying:
            for owner in owners:
                paying.create_task(owner.pay_on())
            for number, owner in enumerate(owners):
                before = len(owner.paid)
                owner.end(signal.SIGKILL if number == KILLED else signal.SIGTERM)
                owner.start()
                await until(owner.is_linked)
                while len(owner.paid) < before + 3:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
            for owner in owners:
                owner.pays = False
        for owner in owners:
            await until(lambda owner=owner: owner.has(owners))  # type: ignore[misc]
        print(f"\n{sum(len(owner.paid) for owner in owners)} payments, {NODES} restarts")
    heights = []
    for owner in owners:
        report = verify_file(owner.paths.chain_db, genesis)
        assert report.ok
        assert report.total_units == SUPPLY
        heights.append(report.height)
    assert max(heights) - min(heights) <= 2, "they stopped one after the other"
