"""`kill -9` under a load of payments: the node's promise that what it reported as accepted is there, once.

A real `nexus node run` is killed at random moments, some of them aimed, by its own trace, into a commit or into the
recovery of the start after. After every kill it must come back by itself, verify clean, hold exactly all units, and
know every payment it ever accepted. Run more with `--count 200`; the figures are printed (`-s`).
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from node.api.client import RemoteNode
from node.api.errors import NoNode
from node.encoding.address import P256, raw_address
from node.encoding.amounts import SUPPLY, UNITS_PER_NXT
from node.ledger.genesis import Allocation
from node.ledger.types import TRANSFER, SignedTransaction, Transaction, transfer_payload
from node.profile.paths import ProfilePaths, new_profile, profile_paths
from node.service.founding import found_network
from node.service.validator_key import ValidatorKey
from node.storage.database import connect_reader

PAYERS = 6
PAUSE_S = 0.05  # between a payer's payments
START_TIMEOUT_S = 60.0
LOAD_S = (0.05, 1.2)
IN_COMMIT, IN_RECOVERY, ELSEWHERE = "inside a commit", "inside recovery", "elsewhere"


@dataclass(slots=True)
class Payer:
    """An account that pays its own recipient, one nonce after the other."""

    key: ValidatorKey
    genesis: bytes
    recipient: bytes
    sent: list[SignedTransaction] = field(default_factory=list)  # accepted, by nonce
    amount: int = 0  # of those
    next: SignedTransaction | None = None  # signed once: a retry is the same transaction

    @property
    def address(self) -> bytes:
        return raw_address(P256, self.key.public_key)

    def payment(self) -> SignedTransaction:
        if self.next is None:
            nonce = len(self.sent)
            payload = transfer_payload(self.recipient, 1 + nonce, f"payment {nonce}")
            body = Transaction(self.genesis, TRANSFER, P256, self.key.public_key, nonce, 1 << 40, 0, payload)
            self.next = body.signed(self.key.sign(body.signing_hash()))
        return self.next

    def accepted(self) -> None:
        assert self.next is not None
        self.amount += 1 + len(self.sent)
        self.sent.append(self.next)
        self.next = None


class Trace:
    """The node's own log of its commits and recoveries."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch()

    def lines(self, pid: int) -> list[str]:
        """What the process `pid` wrote, without its id."""
        head = f"{pid} "
        return [line[len(head) :] for line in self.path.read_text().splitlines() if line.startswith(head)]

    def wait(self, process: subprocess.Popen[bytes], word: str, timeout_s: float) -> bool:
        """Spin until the process's newest lines name `word`; for a thread. A sleep would be longer than a commit."""
        end = time.monotonic() + timeout_s
        mark = f"{process.pid} {word}".encode()
        with self.path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            while time.monotonic() < end and process.poll() is None:
                if mark in file.read():
                    return True
                time.sleep(0.0001)
        return False


class World:
    """The profile, its node process, the payers and what was measured."""

    def __init__(self, paths: ProfilePaths, payers: list[Payer], folder: Path, seed: int) -> None:
        self.paths = paths
        self.payers = payers
        self.trace = Trace(folder / "trace.log")
        self.output = folder / "node.out"
        self.chance = random.Random(seed)
        self.process: subprocess.Popen[bytes] | None = None
        self.hits: Counter[str] = Counter()
        self.restarts: list[float] = []
        self.verifications: list[float] = []
        self.commit_s = 0.01  # aims fall up to so long after the beginning; both learn from where they fell
        self.recovery_s = 0.05

    def start(self) -> subprocess.Popen[bytes]:
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "nexus_tui", "node", "run"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "NEXUS_TRACE": str(self.trace.path)},
            )
        return self.process

    def kill(self, process: subprocess.Popen[bytes]) -> str:
        """Kill and note, by the trace, what that interrupted."""
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, self.complaint("the node ended by itself before the kill")
        lines = self.trace.lines(process.pid)
        last = lines[-1] if lines else ""
        where = ELSEWHERE
        if last.startswith("commit begin"):
            where = IN_COMMIT
        elif last == "recovery begin":
            where = IN_RECOVERY
        self.hits[where] += 1
        return where

    async def connect(self, process: subprocess.Popen[bytes]) -> RemoteNode:
        end = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < end:
            assert process.poll() is None, self.complaint("the node did not come back")
            try:
                return await RemoteNode.connect(self.paths.socket)
            except NoNode:
                await asyncio.sleep(0.01)
        pytest.fail(self.complaint("the node did not answer in a minute"))

    def complaint(self, what: str) -> str:
        return f"{what}; its output ends:\n{self.output.read_text()[-3_000:]}"

    async def load(self, node: RemoteNode) -> None:
        """Pay until the node dies or the task is cancelled. Accepted is what the node said it accepted."""

        async def pay(payer: Payer) -> None:
            while True:
                payment = payer.payment()
                answer = await node.submit(payment.raw)
                assert answer.txid == payment.txid
                payer.accepted()
                await asyncio.sleep(PAUSE_S * self.chance.uniform(0.5, 1.5))

        results = await asyncio.gather(*(pay(payer) for payer in self.payers), return_exceptions=True)
        for result in results:
            assert isinstance(result, NoNode | asyncio.CancelledError), repr(result)

    async def examine(self, node: RemoteNode) -> None:
        """Everything that must hold whenever the node has come back."""
        begun = time.monotonic()
        report = await node.verify()
        self.verifications.append(time.monotonic() - begun)
        assert report.ok, [check for check in report.checks if not check.ok]
        assert report.total_units == SUPPLY
        assert (await node.status()).total_units == SUPPLY
        assert sum(place.units for place in await node.places()) == SUPPLY
        for payer in self.payers:
            assert (await node.account(payer.address)).next_nonce >= len(payer.sent), "an accepted payment is gone"
            for payment in payer.sent[-200:]:
                found = await node.transaction(payment.txid)
                assert found is not None
                assert found.status in ("pending", "done"), (found.status, found.reason)


def learned(reach_s: float, hit: bool) -> float:
    """How late the next aim may fall: a little later after a hit, much earlier after a miss."""
    return min(0.5, reach_s * 1.2) if hit else max(0.0005, reach_s * 0.6)


async def kill_under_load(world: World, aim: Callable[[subprocess.Popen[bytes]], object]) -> str:
    """One life of the node: start, examine, load, kill where `aim` returns. Where it fell."""
    begun = time.monotonic()
    process = world.start()
    node = await world.connect(process)
    world.restarts.append(time.monotonic() - begun)
    await world.examine(node)
    load = asyncio.create_task(world.load(node))
    await asyncio.sleep(world.chance.uniform(*LOAD_S))
    await asyncio.to_thread(aim, process)
    where = await asyncio.to_thread(world.kill, process)
    await asyncio.wait_for(load, 10)
    await node.close()
    return where


async def kill_in_recovery(world: World) -> None:
    """One life that ends while the node still takes up what the last kill left."""
    process = world.start()
    if await asyncio.to_thread(world.trace.wait, process, "recovery begin", START_TIMEOUT_S):
        await asyncio.sleep(world.chance.uniform(0, world.recovery_s))
    where = await asyncio.to_thread(world.kill, process)
    world.recovery_s = learned(world.recovery_s, where == IN_RECOVERY)


def make_world(folder: Path, seed: int) -> World:
    keys = [ValidatorKey(1_000 + number, b"\0" * 32) for number in range(2 * PAYERS)]
    addresses = [raw_address(P256, key.public_key) for key in keys]
    with new_profile("default") as paths:
        genesis = found_network(
            paths,
            "solo",
            time.time_ns() // 1_000_000,
            tuple(Allocation(address, 1_000 * UNITS_PER_NXT, "payer") for address in addresses[:PAYERS]),
            addresses[0],
            10_000 * UNITS_PER_NXT,
        )
    pairs = zip(keys[:PAYERS], addresses[PAYERS:], strict=True)
    return World(
        profile_paths("default"), [Payer(key, genesis.hash, recipient) for key, recipient in pairs], folder, seed
    )


@pytest.mark.slow
@pytest.mark.timeout(7_200)  # two seconds a kill
async def test_nothing_accepted_is_ever_lost(tmp_path: Path, count: int) -> None:
    seed = int(os.environ.get("PYTEST_KILL_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 31)
    print(f"\nseed {seed} (PYTEST_KILL_SEED repeats its choices)")
    world = make_world(tmp_path, seed)

    def into_commit(process: subprocess.Popen[bytes]) -> None:
        if world.trace.wait(process, "commit begin", 5.0):
            time.sleep(world.chance.uniform(0, world.commit_s))

    begun = time.monotonic()
    try:
        for number in range(count):
            if number % 4 == 3:
                await kill_in_recovery(world)
            elif number % 2 == 0:
                where = await kill_under_load(world, into_commit)
                world.commit_s = learned(world.commit_s, where == IN_COMMIT)
            else:
                await kill_under_load(world, lambda process: None)
        await finish(world)
    finally:
        if world.process is not None and world.process.poll() is None:
            world.process.kill()
            world.process.wait()
    accepted = sum(len(payer.sent) for payer in world.payers)
    print(f"kills             {sum(world.hits.values())} in {time.monotonic() - begun:.0f} s")
    for where, times in sorted(world.hits.items()):
        print(f"  {where:<15} {times}")
    print(f"payments accepted {accepted}, each in the chain once")
    print(f"start to answer   median {statistics.median(world.restarts):.2f} s, longest {max(world.restarts):.2f} s")
    print(f"verification      median {statistics.median(world.verifications):.2f} s")
    assert sum(world.hits.values()) == count
    assert world.hits[IN_COMMIT] >= max(1, count // 10)
    assert world.hits[IN_RECOVERY] >= max(1, count // 10)
    assert accepted >= count


async def finish(world: World) -> None:
    """A last life without a kill: everything confirmed, counted once, and verified again from the files alone."""
    process = world.start()
    node = await world.connect(process)
    await world.examine(node)
    for payer in world.payers:  # what was under way at the last kill: the same transaction again
        if payer.next is not None:
            await node.submit(payer.next.raw)
            payer.accepted()
    end = time.monotonic() + START_TIMEOUT_S
    while (await node.status()).mempool_transactions:
        assert time.monotonic() < end, "payments still wait after a minute"
        await asyncio.sleep(0.1)
    for payer in world.payers:
        account = await node.account(payer.address)
        assert account.nonce == len(payer.sent)
        assert (await node.account(payer.recipient)).balance == payer.amount, "a payment is missing or was made twice"
    await node.stop()
    assert await asyncio.to_thread(process.wait, 20) == 0, world.complaint("the node did not stop cleanly")
    await node.close()

    connection = connect_reader(world.paths.chain_db)
    counted = Counter(txid for (txid,) in connection.execute("SELECT txid FROM transactions"))
    connection.close()
    accepted = [payment.txid for payer in world.payers for payment in payer.sent]
    assert counted == Counter(accepted)
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "nexus_tui", "node", "verify", "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
