"""What whole nodes do over real links: a block's way to ten others, catching up, the bytes of silence, a peer's memory.

Run by hand: python tests/benchmarks/network.py [--seconds N] [--idle N]. Everything stays on the loopback. Bars: 95 of
100 times a block is judged and written at a node 250 ms after its maker had it, eleven nodes in one process; blocks
come from a node in another process at ≥ 0.8 of the rate at which the same blocks are judged and written without links.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from node.consensus.blocks import Block
from node.consensus.dagblocks import Progress
from node.encoding.hosts import Address
from node.ledger.genesis import Genesis
from node.mesh.link import Link, LinkError
from node.mesh.protocol import forms, messages
from node.mesh.protocol.hello import Hello
from node.mesh.protocol.limits import CONTROL, KNOWN
from node.mesh.protocol.messages import Ping, Pong
from node.mesh.protocol.peer import Peer
from node.profile.paths import ProfilePaths
from node.service.clock import system_clock
from node.service.founding import write_genesis
from node.service.mesh import Mesh
from node.service.mesh_settings import MeshSettings
from node.service.node import Node
from node.service.opening import ServiceSettings, open_service
from tests.benchmarks.attacks import Field
from tests.benchmarks.engine import SLOTS, VALIDATORS, filled, network
from tests.benchmarks.hostile import cpu_s, memory_mb
from tests.benchmarks.mesh import round_trips
from tests.node.service.mesh_world import profiles_of_one_network
from tests.node.world import Payer, key

HERE = MeshSettings(hosts=("127.0.0.1",), port=17_400, discovery=False)
OTHERS = 10
MAKERS = 3
PEERS = 50
ROUNDS = 3
SYNC_S = 60
NOBODY = Hello(0, 0, b"", 0, 0, 0, b"", (), 0, 0, b"", "")
Heard = list[tuple[bytes, bytes]]


@asynccontextmanager
async def opened(paths: ProfilePaths, linked: bool = True) -> AsyncIterator[Node]:
    """The node of a profile, with links or without."""
    async with open_service(paths, ServiceSettings(serve=False, mesh=HERE if linked else None)) as service:
        node = service.node
        while linked and not mesh_of(node).port:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        yield node


def mesh_of(node: Node) -> Mesh:
    assert node.links is not None
    return node.links


def place_of(node: Node) -> Address:
    mesh = mesh_of(node)
    return Address("127.0.0.1", mesh.port, mesh.key.id)


def new_profile(folder: Path, genesis: Genesis) -> ProfilePaths:
    """A profile without a validator."""
    folder.mkdir(mode=0o700)
    paths = ProfilePaths(folder.name, folder)
    write_genesis(paths, genesis)
    return paths


# -- a block's way --------------------------------------------------------------------------------------------------


class Watch:
    """When blocks were born, and how long they took to the others."""

    def __init__(self) -> None:
        self.born: dict[bytes, tuple[float, Node]] = {}
        self.times: list[float] = []

    def look_at(self, node: Node) -> None:
        add, told = node.engine.add, node.step_taken

        def added(block: Block, now: int) -> Progress:
            self.born.setdefault(block.id, (time.perf_counter(), node))  # its maker is the first
            return add(block, now)

        def taken(progress: Progress) -> None:
            now = time.perf_counter()
            for block in progress.added:
                begun, maker = self.born[block.id]
                if maker is not node:
                    self.times.append(now - begun)
            told(progress)

        node.engine.add = added  # type: ignore[method-assign]
        node.step_taken = taken


async def propagation(folder: Path, seconds: float) -> list[float]:
    """Seconds from a block at its maker to the same block written at each of the others."""
    watch = Watch()
    async with contexts(profiles_of_one_network(folder, MAKERS, 1 + OTHERS - MAKERS)) as nodes:
        for node in nodes[1:]:
            mesh_of(node).introduce(place_of(nodes[0]))
        while min(len(mesh_of(node).peers) for node in nodes) < OTHERS // 2:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        for node in nodes:
            watch.look_at(node)
        payer, end, nonce = Payer(nodes[0].genesis.hash, key(1)), time.perf_counter() + seconds, 0
        while time.perf_counter() < end:
            await nodes[0].submit(payer.pay(nonce, key(60).address, 1_000).raw)
            nonce += 1
            await asyncio.sleep(0.1)
        await asyncio.sleep(2)
        peers = sum(len(mesh_of(node).peers) for node in nodes) / len(nodes)
    print(f"{len(watch.born)} blocks, {nonce} payments; each of {len(nodes)} nodes had {peers:.1f} peers on average")
    return watch.times


@asynccontextmanager
async def contexts(profiles: list[ProfilePaths]) -> AsyncIterator[list[Node]]:
    """All of them open at a time."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(opened(paths)) for paths in profiles]


# -- catching up ----------------------------------------------------------------------------------------------------


async def judged_here(paths: ProfilePaths, heard: Heard) -> float:
    """Blocks a second, parsed, judged and written without links."""
    async with opened(paths, linked=False) as node:
        limit = node.genesis.parameters.max_body_bytes
        start = time.perf_counter()
        for header, body in heard:
            await node.receive(Block.decode(bytes(bytearray(header)), body, limit))
        return len(heard) / (time.perf_counter() - start)


async def fetched(paths: ProfilePaths, giver: Address, heard: Heard, last: bytes) -> float:
    """Blocks a second from a node in another process, the link's set-up included."""
    async with opened(paths) as node:
        start = time.perf_counter()
        assert mesh_of(node).introduce(giver)
        async with asyncio.timeout(SYNC_S):
            while node.engine.tip.id != last:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        return len(heard) / (time.perf_counter() - start)


async def give(folder: Path) -> None:
    """The node of a folder, until standard input ends. Says where it is."""
    async with opened(ProfilePaths(folder.name, folder)) as node:
        place = place_of(node)
        print(place.port, place.node.hex(), node.engine.tip.id.hex(), flush=True)
        await asyncio.to_thread(sys.stdin.read)


async def sync(folder: Path, votes: bool, payments: int) -> float:
    """The ratio; prints both rates."""
    genesis, keys = network(VALIDATORS)
    genesis = replace(genesis, start_ms=system_clock() - (SLOTS + 10) * genesis.parameters.slot_ms)
    heard, _ = filled(genesis, keys, SLOTS, votes, payments)
    rates: list[tuple[float, float]] = []
    for number in range(ROUNDS):
        giver = new_profile(folder / f"giver{number}", genesis)
        local = await judged_here(giver, heard)
        process = subprocess.Popen(
            [sys.executable, __file__, "--give", str(giver.root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert process.stdin is not None
        assert process.stdout is not None
        port, node, tip = process.stdout.readline().split()
        place = Address("127.0.0.1", int(port), bytes.fromhex(node.decode()))
        taker = new_profile(folder / f"taker{number}", genesis)
        try:
            rates.append((local, await fetched(taker, place, heard, bytes.fromhex(tip.decode()))))
        finally:
            process.stdin.close()
            process.wait(30)
        shutil.rmtree(giver.root)
        shutil.rmtree(taker.root)
    local, linked = (statistics.median(rate) for rate in zip(*rates, strict=True))
    ratio = statistics.median(fetched / judged for judged, fetched in rates)
    size = sum(len(header) + len(body) for header, body in heard) // len(heard)
    print(
        f"catching up, {len(heard)} blocks of {size} bytes with {payments} payments: without links {local:,.0f}/s, "
        f"over a link {linked:,.0f}/s, ratio {ratio:.2f}, bar 0.8{'' if ratio >= 0.8 else '   MISSED'}"
    )
    return ratio


# -- silence and memory ---------------------------------------------------------------------------------------------


async def idle(folder: Path, seconds: float) -> None:
    """Print what peers cost a node that has no news, in a process of its own: bytes, processor time and memory.

    Peers answer its pings and say no more. What is said of an hour is seconds extrapolated."""
    genesis, _ = network(VALIDATORS)
    paths = new_profile(folder / "crowded", replace(genesis, start_ms=system_clock()))
    process = subprocess.Popen(
        [sys.executable, __file__, "--give", str(paths.root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    links: list[Link] = []
    answering: list[asyncio.Task[None]] = []
    try:
        port, node, _ = process.stdout.readline().split()
        await asyncio.sleep(5)
        alone_mb = memory_mb(process.pid)
        alone_s = await spent(process.pid, seconds)
        for number in range(PEERS):  # two devices, since one address may have 32 links
            field = Field(paths.root, int(port), bytes.fromhex(node.decode()), 0, f"127.0.2.{1 + number % 2}")
            links.append(await field.link())
            answering.append(asyncio.create_task(answer(links[-1])))
        await asyncio.sleep(5)
        crowded_mb = memory_mb(process.pid)
        before = sum(link.bytes_in + link.bytes_out for link in links)
        crowded_s = await spent(process.pid, seconds)
        size = sum(link.bytes_in + link.bytes_out for link in links) - before
    finally:
        for task in answering:
            task.cancel()
        process.stdin.close()
        process.wait(30)
    hours = PEERS * seconds / 3_600
    print(
        f"{PEERS} peers without news for {seconds:.0f} s: memory {alone_mb:.1f} → {crowded_mb:.1f} MB; extrapolated to "
        f"an hour, each {size / hours:,.0f} bytes of frames there and back and {(crowded_s - alone_s) / hours:.2f} s "
        f"of the processor (the node alone {alone_s * 3_600 / seconds:.1f} s)"
    )


async def spent(pid: int, seconds: float) -> float:
    """Processor time that a process takes in so many seconds."""
    before = cpu_s(pid)
    await asyncio.sleep(seconds)
    return cpu_s(pid) - before


async def answer(link: Link) -> None:
    """Be there, and no more."""
    with contextlib.suppress(LinkError):
        while True:
            for kind, body in await link.receive():
                message = forms.decode(kind, body)
                if isinstance(message, Ping):
                    link.send(messages.NUMBERS[Pong], forms.encode(Pong(message.token)), CONTROL)


def memory() -> float:
    """MB of a peer of whom everything is remembered that can be."""
    tracemalloc.start()
    peer = Peer(1, NOBODY, True, 0)
    for known in peer.known:
        for _ in range(KNOWN):
            known.add(os.urandom(32))
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return used / 1e6


async def measure(seconds: float, idle_s: float) -> bool:
    """Print all figures; whether the bars were met."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bare, link = await round_trips(500)
        times = sorted(await propagation(folder / "street", seconds))
        half, most = (times[int(len(times) * part)] * 1e3 for part in (0.5, 0.95))
        met = most <= 250
        print(
            f"a block at {OTHERS} nodes: half of the times within {half:.0f} ms, 95 of 100 within {most:.0f} ms, "
            f"bar 250{'' if met else '   MISSED'}; "
            f"echo of a frame: bare TLS {bare * 1e3:.2f} ms, link {link * 1e3:.2f} ms"
        )
        for votes, payments in ((True, 0), (True, 5)):
            met = await sync(folder, votes, payments) >= 0.8 and met
        print(f"memory of what is known of a peer that told all it may: {memory():.2f} MB")
        await idle(folder, idle_s)
    return met


def main() -> None:
    """Measure everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20, help="of blocks on their way")
    parser.add_argument("--idle", type=float, default=120, help="seconds of silence, twice")
    parser.add_argument("--give", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.give is not None:
        asyncio.run(give(chosen.give))
        return
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)  # as a running node does
    sys.exit(not asyncio.run(measure(chosen.seconds, chosen.idle)))


if __name__ == "__main__":
    main()
