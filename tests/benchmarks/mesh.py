"""What links cost: setting one up, frames a second, memory; beside bare asyncio and TLS in the same run.

Run by hand: python tests/benchmarks/mesh.py [--rounds N] [--frames N]. Everything happens in one process on the
loopback, so both sides share a core. Bars: frames ≥ 0.7 of the bare stream; the rest is printed to be compared.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import ssl
import statistics
import sys
import time
from pathlib import Path

from node.mesh.admission import AdmissionLimits
from node.mesh.certificate import judge, make_credentials, sent_certificates
from node.mesh.identity import NodeKey
from node.mesh.link import Link
from node.mesh.protocol.frames import FrameDecoder, frame_head
from node.mesh.protocol.limits import BULK, CONTROL
from node.mesh.transport import Transport
from tests.benchmarks.relayed import Relayed

LOCAL = "127.0.0.1"
OPEN = AdmissionLimits(total=10_000, local_per_address=10_000, local_per_network=10_000, local_attempts=1_000_000)
BODY = os.urandom(406)  # with its head 411 bytes
WIRE = 411
RELAYED_FRAMES = 8_000
"""Within what a circuit may carry in its first minute."""


def size(kind: int) -> int | None:
    """One type of frame."""
    return 4 << 20 if kind == 1 else None


class Bare:
    """An echo over TLS with certificates on both sides, by asyncio's streams alone."""

    def __init__(self) -> None:
        self.listener, self.caller = (make_credentials(NodeKey(bytes((number,)) * 32)) for number in (1, 2))
        self.port = 0
        self.server: asyncio.Server | None = None
        self.got = asyncio.Event()
        self.wanted = 0

    async def start(self, echo: bool) -> None:
        self.server = await asyncio.start_server(
            self._echo if echo else self._swallow, LOCAL, 0, ssl=self.listener.server
        )
        self.port = self.server.sockets[0].getsockname()[1]

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(LOCAL, self.port, ssl=self.caller.client, server_hostname="")

    async def _echo(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                writer.write(await reader.readexactly(WIRE))
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            writer.transport.abort()

    async def _swallow(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(self.wanted):
            await reader.readexactly(WIRE)
        self.got.set()
        writer.transport.abort()


async def bare_setup(bare: Bare) -> float:
    """Seconds from nothing to the first echo."""
    start = time.perf_counter()
    reader, writer = await bare.connect()
    writer.write(BODY.ljust(WIRE))
    await reader.readexactly(WIRE)
    spent = time.perf_counter() - start
    writer.transport.abort()
    return spent


async def bare_frames(count: int) -> float:
    """Frames a second, one write and one read each."""
    bare = Bare()
    bare.wanted = count
    await bare.start(False)
    _, writer = await bare.connect()
    frame = BODY.ljust(WIRE)
    start = time.perf_counter()
    for _ in range(count):
        writer.write(frame)
        await writer.drain()
    await bare.got.wait()
    spent = time.perf_counter() - start
    writer.transport.abort()
    assert bare.server is not None
    bare.server.close()
    return count / spent


class Pair:
    """Two nodes."""

    def __init__(self) -> None:
        self.taken: asyncio.Queue[Link] = asyncio.Queue()
        self.nodes = [
            Transport(make_credentials(NodeKey(bytes((number,)) * 32)), lambda: b"hello", size, admission=OPEN)
            for number in (3, 4)
        ]
        self.port = 0

    async def start(self) -> None:
        self.port = await self.nodes[0].listen((LOCAL,), 0, self.taken.put_nowait)

    async def link(self) -> tuple[Link, Link]:
        """(ours, theirs)."""
        return await self.nodes[1].connect(LOCAL, self.port), await self.taken.get()

    async def close(self) -> None:
        await asyncio.gather(*(node.close(0.1) for node in self.nodes))


async def link_setup(pair: Pair) -> float:
    """Seconds from nothing to a link that both sides believe and a frame there and back."""
    start = time.perf_counter()
    here, there = await pair.link()
    here.send(1, BODY, CONTROL)
    ((kind, body),) = await there.receive()
    there.send(kind, body, CONTROL)
    await here.receive()
    spent = time.perf_counter() - start
    here.abort("benchmark", "")
    await there.wait_closed()
    return spent


async def link_frames(count: int) -> float:
    """Frames a second through queue, TLS and decoder to whoever reads."""
    pair = Pair()
    await pair.start()
    rate = await _frames(*await pair.link(), count)
    await pair.close()
    return rate


async def _frames(here: Link, there: Link, count: int) -> float:
    async def read() -> None:
        got = 0
        while got < count:
            got += len(await there.receive())

    start = time.perf_counter()
    reading = asyncio.create_task(read())
    for _ in range(count):
        while not here.send(1, BODY, BULK):
            await here.drain(60)
    await reading
    return count / (time.perf_counter() - start)


async def relayed_link(count: int, trips: int) -> tuple[float, float]:
    """(frames a second, seconds of an echo) over a link through a relay; all three nodes share a core."""
    valley = Relayed()
    await valley.start()
    here, there = await valley.link()
    rate = await _frames(here, there, count)
    spent = []
    for _ in range(trips):
        start = time.perf_counter()
        here.send(1, BODY, CONTROL)
        ((kind, body),) = await there.receive()
        there.send(kind, body, CONTROL)
        await here.receive()
        spent.append(time.perf_counter() - start)
    await valley.close()
    return rate, statistics.median(spent)


async def round_trips(count: int) -> tuple[float, float]:
    """Seconds of an echo of one frame, (bare, link), medians."""
    bare, pair = Bare(), Pair()
    await bare.start(True)
    await pair.start()
    reader, writer = await bare.connect()
    here, there = await pair.link()

    async def echo() -> None:
        while True:
            for kind, body in await there.receive():
                there.send(kind, body, CONTROL)

    echoing = asyncio.create_task(echo())
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(count):
        start = time.perf_counter()
        writer.write(BODY.ljust(WIRE))
        await reader.readexactly(WIRE)
        middle = time.perf_counter()
        here.send(1, BODY, CONTROL)
        await here.receive()
        times[0].append(middle - start)
        times[1].append(time.perf_counter() - middle)
    echoing.cancel()
    writer.transport.abort()
    assert bare.server is not None
    bare.server.close()
    await pair.close()
    return statistics.median(times[0]), statistics.median(times[1])


def resident() -> float:
    """Memory of this process in MB (10⁶ bytes). Linux only (proc(5))."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


async def memory(count: int) -> float:
    """kB of one end of a link that has carried a little; both ends are in this process."""
    pair = Pair()
    await pair.start()
    await pair.link()
    before = resident()
    links = [await pair.link() for _ in range(count)]
    for here, there in links:
        here.send(1, BODY, BULK)
        await there.receive()
    spent = resident() - before
    await pair.close()
    return spent * 1000 / count / 2


def decoding(count: int) -> float:
    """Frames a second of the decoder alone, fed 64 kB at a time."""
    data = (frame_head(1, len(BODY)) + BODY) * count
    decoder = FrameDecoder(size)
    start = time.perf_counter()
    found = sum(1 for place in range(0, len(data), 1 << 16) for _ in decoder.feed(data[place : place + (1 << 16)]))
    assert found == count
    return count / (time.perf_counter() - start)


async def judging(count: int) -> float:
    """Seconds of judging a certificate."""
    bare = Bare()
    await bare.start(True)
    _, writer = await bare.connect()
    sent = sent_certificates(writer.get_extra_info("ssl_object"))
    start = time.perf_counter()
    for _ in range(count):
        judge(sent, bare.caller.node, bare.listener.node)
    spent = time.perf_counter() - start
    writer.transport.abort()
    assert bare.server is not None
    bare.server.close()
    return spent / count


async def measure(rounds: int, frames: int) -> bool:
    """Print all figures; whether the bar was met."""
    bare, pair = Bare(), Pair()
    await bare.start(True)
    await pair.start()
    for _ in range(5):
        await bare_setup(bare)
        await link_setup(pair)
    setups = [(await bare_setup(bare), await link_setup(pair)) for _ in range(rounds)]  # they take turns
    bare_s, link_s = (statistics.median(times) for times in zip(*setups, strict=True))
    print(f"set-up and first echo: bare {bare_s * 1e3:.1f} ms, link {link_s * 1e3:.1f} ms, ratio {link_s / bare_s:.2f}")
    assert bare.server is not None
    bare.server.close()
    await pair.close()
    bare_trip, link_trip = await round_trips(rounds * 20)
    print(f"echo of {WIRE} bytes: bare {bare_trip * 1e6:.0f} µs, link {link_trip * 1e6:.0f} µs")
    runs = [(await bare_frames(frames), await link_frames(frames)) for _ in range(5)]
    streams, links = (statistics.median(rates) for rates in zip(*runs, strict=True))
    ratio = statistics.median(link / stream for stream, link in runs)
    met = ratio >= 0.7
    print(
        f"frames a second of {WIRE} bytes: bare {streams:,.0f}, link {links:,.0f}, ratio {ratio:.2f}, bar 0.7"
        f"{'' if met else '   MISSED'}"
    )
    relay_rate, relay_trip = await relayed_link(min(frames, RELAYED_FRAMES), rounds * 20)
    print(
        f"through a relay: {relay_rate:,.0f} frames a second, {relay_rate / links:.2f} of direct; "
        f"echo {relay_trip * 1e6:.0f} µs, {relay_trip / link_trip:.1f} × direct"
    )
    print(f"decoder alone: {decoding(200_000):,.0f} frames a second")
    print(f"judging a certificate: {await judging(1_000) * 1e6:.0f} µs")
    print(f"memory of an end of a link: {await memory(100):.0f} kB")
    return met


def main() -> None:
    """Measure everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=50, help="links to set up")
    parser.add_argument("--frames", type=int, default=20_000, help="frames to send in one go")
    chosen = parser.parse_args()
    sys.exit(not asyncio.run(measure(chosen.rounds, chosen.frames)))


if __name__ == "__main__":
    main()
