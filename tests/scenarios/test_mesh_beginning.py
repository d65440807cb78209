"""Real processes: a network forgets its first blocks; a newcomer begins from the checkpoint of an invitation, though it
is killed in the middle, and pays; a member that was away for too long begins anew."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from node.api.client import RemoteNode
from node.profile.invitation import parse_invitation
from node.profile.paths import ProfilePaths
from node.service.verify import verify_file
from node.storage.queries import read_genesis
from node.storage.reader import reading
from tests.node.service.mesh_world import profiles_of_one_network
from tests.node.world import Payer, key
from tests.scenarios.resident import Resident

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
PATIENCE_S = 90.0
DELAY_S = 0.1
FAST: dict[str, Any] = {"slot_ms": 200, "epoch_slots": 60, "merge_depth_slots": 20, "unbonding_slots": 100_000}


class Member(Resident):
    """A node as a process of its own."""

    process: subprocess.Popen[bytes] | None = None

    def start(self, listen: str = "127.0.0.1") -> None:
        with (self.paths.root / "output").open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "nexus_tui", "--profile", self.paths.name, "node", "run"],
                env={**os.environ, "NEXUS_MESH_LISTEN": listen, "NEXUS_MESH_DISCOVERY": "false"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def end(self, how: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(timeout=PATIENCE_S)
            self.process = None

    async def height(self) -> int:
        status = await self.status()
        return 0 if status is None else status.height

    def output(self) -> str:
        return (self.paths.root / "output").read_text()

    def oldest_slot(self) -> int:
        """Of the blocks that it can name to others."""
        with reading(self.paths.chain_db) as chain:
            return min((row.slot for row in chain.dag()), default=0) if chain.meta("root") else 0


async def until(so: Callable[[], Awaitable[object]], what: str) -> None:
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not await so():  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"{what} did not come to be") from None


@asynccontextmanager
async def far_away(port: int) -> AsyncIterator[int]:
    """A port from which everything goes on to another, and back, a little later."""
    tasks: set[asyncio.Task[None]] = set()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        with suppress(ConnectionError):
            while data := await reader.read(1 << 16):
                loop.call_later(DELAY_S / 2, writer.write, data)
        loop.call_later(DELAY_S, writer.close)

    async def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        other_reader, other_writer = await asyncio.open_connection("127.0.0.1", port)
        for pair in ((reader, other_writer), (other_reader, writer)):
            tasks.add(asyncio.ensure_future(carry(*pair)))

    server = await asyncio.start_server(begin, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def invitation(founder: Member) -> str:
    async with await RemoteNode.connect(founder.paths.socket) as node:
        return (await node.invitation("127.0.0.1")).uri


async def introduce(member: Member, other: Member) -> None:
    place = parse_invitation(await invitation(other)).nodes[0]
    async with await RemoteNode.connect(member.paths.socket) as node:
        await node.introduce(f"{place.node.hex()}@{place.host}:{place.port}")


async def join(home: Path, uri: str) -> Member:
    """A new profile by an invitation, made as its owner makes it."""
    command = ["init", "--network", "join", "--invite", uri, "--yes", "--profile", "newcomer"]
    made = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "nexus_tui", *command),
        env={**os.environ, "NEXUS_PASSPHRASE": "correct horse"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    said, _ = await made.communicate()
    assert made.returncode == 0, said.decode()
    return Member(ProfilePaths("newcomer", home / "profiles" / "newcomer"))


async def test_who_comes_late_begins_from_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXUS_HOME", str(tmp_path))
    (tmp_path / "logs").mkdir()
    members = [Member(paths) for paths in profiles_of_one_network(tmp_path / "profiles", 2, 1, **FAST)]
    founder, other, away = members
    genesis = read_genesis(founder.paths.genesis)
    payer, paid, pays = Payer(genesis.hash, key(1)), 0, True

    async def pay_on() -> None:
        nonlocal paid
        while pays:
            await founder.submit(payer.pay(paid, key(60).address, 1_000))
            paid += 1
            await asyncio.sleep(0.3)

    try:
        founder.start()
        other.start("none")
        away.start("none")
        for member in (other, away):
            await until(member.status, "a node")
        await until(founder.status, "a node")
        for member in (other, away):
            await introduce(member, founder)
        paying = asyncio.create_task(pay_on())

        async def final_everywhere() -> bool:
            seen = [await member.status() for member in members]
            return all(status is not None and status.final_height > 0 for status in seen)

        await until(final_everywhere, "finality")
        left_at = await away.status()
        assert left_at is not None
        away.end(signal.SIGTERM)

        async def forgotten() -> bool:
            return founder.oldest_slot() > left_at.current_slot and other.oldest_slot() > left_at.current_slot

        await until(forgotten, "the end of old blocks")
        uri = await invitation(founder)
        invited = parse_invitation(uri)
        assert invited.checkpoint
        port = invited.nodes[0].port
        async with far_away(port) as far:
            newcomer = await join(tmp_path, uri.replace(f":{port}", f":{far}"))
            members.append(newcomer)
            newcomer.start("none")

            async def half_way() -> bool:
                return len(list(newcomer.paths.fetching.glob("bucket-*"))) > 20

            await until(half_way, "the first half of the state")
            newcomer.end(signal.SIGKILL)
            assert newcomer.paths.fetching.exists(), "it was killed before the end"
            newcomer.start("none")
            await until(newcomer.status, "the newcomer's node")
            said = newcomer.output()
            assert "Began from checkpoint" in said
            first, second = (int(count) for count in re.findall(r"(\d+) of 257 parts", said)[:2])
            assert first == 257
            assert second < 257 - 20
            payment = Payer(genesis.hash, key(2)).pay(0, key(61).address, 5_000)
            await newcomer.submit(payment)
            for member in (newcomer, founder):
                await until(lambda who=member: who.has_done([payment]), "the newcomer's payment")  # type: ignore[misc]

            away.start("none")
            await until(away.status, "the member that was away")

            async def caught_up() -> bool:
                return await away.height() > 0 and abs(await away.height() - await founder.height()) < 10

            async def began_anew() -> bool:
                return "Began from checkpoint" in away.output()

            await until(caught_up, "the end of being away")
            await until(began_anew, "a new beginning")
            said = away.output()
            assert "too_far_behind" in said
            assert "Began from checkpoint" in said
        pays = False
        await paying
    finally:
        for member in members:
            member.end(signal.SIGTERM)
    for member in members:
        assert verify_file(member.paths.chain_db, genesis).ok
