"""A node under attack: its memory, the time in which it answers an honest peer, and how fast the offender is gone.

Run by hand: python tests/benchmarks/hostile.py [--seconds N] [ATTACK…]. The victim is a real node process of a network
with three validators, an honest one is linked to it and makes blocks, attackers are processes of their own, all on the
loopback. An honest link asks the victim 40 times a second for something it does not have, and waits for the answer: in
quiet seconds before each attack, and during it. Attackers run at the lowest priority, since others' would have
processors of their own. Bars: memory within 20 MB of before, half of the answers within twice the time
of before, offenders gone within 1 s of the first proof.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from node.api.client import RemoteNode
from node.api.errors import NoNode
from node.mesh.link import Link
from node.mesh.protocol import forms, messages
from node.mesh.protocol.messages import TRANSACTION, Absent, Get
from node.profile.paths import ProfilePaths
from tests.benchmarks.attacks import ATTACKS, Field
from tests.node.service.mesh_world import profiles_of_one_network

QUIET_S = 5.0
PAUSE_S = 0.025
MEMORY_MB, SLOWER, GONE_S = 20.0, 2.0, 1.0
NO_PROOF = {"unfinished frames", "slow handshakes", "half-open connections", "orphans of a validator"}
"""Who is only slow, or tells of blocks that may exist, has proved nothing; time and faults end it."""
ATTACKS_FILE = Path(__file__).parent / "attacks.py"


def memory_mb(pid: int) -> float:
    """Resident memory of a process in MB (10⁶ bytes). Linux only (proc(5))."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def cpu_s(pid: int) -> float:
    """Processor time that a process took."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Victim:
    """A node process and an honest link to it."""

    def __init__(self, paths: ProfilePaths, process: subprocess.Popen[bytes], link: Link) -> None:
        self.paths, self.process, self.link = paths, process, link
        self.answers: list[float] = []
        self.most_mb = 0.0

    async def ask_on(self) -> None:
        """Ask again and again; how long each answer took."""
        number = 0
        while True:
            number += 1
            name = number.to_bytes(32)
            begun = time.perf_counter()
            self.link.send(11, forms.encode(Get(TRANSACTION, (name,))), 2)
            while not any(
                kind == messages.NUMBERS[Absent] and name in body for kind, body in await self.link.receive()
            ):
                pass
            self.answers.append(time.perf_counter() - begun)
            await asyncio.sleep(PAUSE_S)

    async def watch(self) -> None:
        while True:
            self.most_mb = max(self.most_mb, memory_mb(self.process.pid))
            await asyncio.sleep(0.05)

    def begin(self) -> None:
        self.answers, self.most_mb = [], 0.0


def start(home: Path, paths: ProfilePaths) -> subprocess.Popen[bytes]:
    env = {**os.environ, "NEXUS_HOME": str(home), "NEXUS_MESH_LISTEN": "127.0.0.1", "NEXUS_MESH_DISCOVERY": "false"}
    with (home / f"{paths.name}.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "nexus_tui", "--profile", paths.name, "node", "run"],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )


async def view_of(paths: ProfilePaths) -> Any:
    while True:
        try:
            async with await RemoteNode.connect(paths.socket) as node:
                view = await node.mesh()
                if view.port:
                    return view
        except NoNode:
            pass
        await asyncio.sleep(0.2)


@asynccontextmanager
async def attacked(home: Path) -> AsyncIterator[tuple[Victim, ProfilePaths, Any]]:
    """The victim, the attacker's profile, and what the victim says of itself."""
    victim, honest, attacker = profiles_of_one_network(home / "profiles", 3)
    processes = [start(home, victim), start(home, honest)]
    try:
        view = await view_of(victim)
        await view_of(honest)
        async with await RemoteNode.connect(honest.socket) as node:
            await node.introduce(f"{view.node.hex()}@127.0.0.1:{view.port}")
        link = await Field(honest.root, view.port, view.node, 0).link()
        yield Victim(victim, processes[0], link), attacker, view
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(30)


async def measure(names: list[str], seconds: float) -> bool:
    met = True
    with tempfile.TemporaryDirectory() as name:
        async with attacked(Path(name)) as (victim, attacker, view), asyncio.TaskGroup() as tasks:
            doing = [tasks.create_task(victim.ask_on()), tasks.create_task(victim.watch())]
            await asyncio.sleep(5)
            print("attack                    sent  CPU    memory MB       answers ms: half, 95 of 100    gone s")
            for attack in names:
                met = await one(victim, attack, attacker, view, seconds) and met
            for task in doing:
                task.cancel()
    return met


async def one(victim: Victim, attack: str, attacker: ProfilePaths, view: Any, seconds: float) -> bool:
    """Measure an attack and print its line."""
    victim.begin()
    await asyncio.sleep(QUIET_S)
    quiet, before_mb, before_s = sorted(victim.answers), victim.most_mb, cpu_s(victim.process.pid)
    victim.begin()
    process = await asyncio.create_subprocess_exec(
        "nice",
        "-n19",
        sys.executable,
        str(ATTACKS_FILE),
        attack,
        str(attacker.root),
        str(view.port),
        view.node.hex(),
        str(seconds),
        f"127.0.1.{1 + list(ATTACKS).index(attack)}",  # its attempts are counted apart from others'
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,  # its own links end badly
    )
    begun = time.monotonic()
    output, _ = await process.communicate()
    share = (cpu_s(victim.process.pid) - before_s) / (time.monotonic() - begun)
    told = json.loads(output)
    loud, most_mb = sorted(victim.answers), victim.most_mb
    halves = statistics.median(quiet) * 1e3, statistics.median(loud) * 1e3
    lasts = quiet[len(quiet) * 95 // 100] * 1e3, loud[len(loud) * 95 // 100] * 1e3
    gone = max(told["gone"], default=0.0)
    faults = [
        *(["memory"] if most_mb - before_mb > MEMORY_MB else []),
        *(["answers"] if halves[1] > SLOWER * halves[0] else []),
        *(["gone"] if gone > GONE_S and attack not in NO_PROOF else []),
    ]
    left = f"{gone:.2f} ({len(told['gone'])})" if told["gone"] else "-"
    print(
        f"{attack:23} {told['sent']:7,} {share:4.0%} {before_mb:6.1f} +{max(0.0, most_mb - before_mb):4.1f}  "
        f"{halves[0]:5.1f} → {halves[1]:6.1f} (×{halves[1] / halves[0]:4.1f})  "
        f"{lasts[0]:5.1f} → {lasts[1]:6.1f}  {left}{'   MISSED: ' + ', '.join(faults) if faults else ''}",
        flush=True,
    )
    return not faults


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("attacks", nargs="*", metavar="ATTACK", help=", ".join(ATTACKS))
    parser.add_argument("--seconds", type=float, default=8, help="of each attack")
    chosen = parser.parse_args()
    sys.exit(not asyncio.run(measure(chosen.attacks or list(ATTACKS), chosen.seconds)))


if __name__ == "__main__":
    main()
