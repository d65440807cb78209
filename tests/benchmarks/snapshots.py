"""Beginning from a checkpoint with many accounts, over loopback links from two hosts in another process.

Run by hand: python tests/benchmarks/snapshots.py [--accounts N] [--profile]. Bar: 100,000 accounts in 10 s, from the
first call to the adopted chain. The parts are printed, and beside them one recount of the same state by itself.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import os
import pstats
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from node.ledger.types import MAX_OUTPUTS
from node.light.waves import BUCKETS
from node.profile.paths import ProfilePaths
from node.service.bootstrap import Bootstrap
from node.service.fetch_progress import FetchView
from node.service.founding import read_genesis
from node.service.peer_file import PeerFile
from node.service.restoring import read_engine
from node.service.shelf import Shelf, keep_snapshot
from node.service.snapshots import adopt_snapshot
from node.storage.parts import check_bucket, read_part
from tests.node.service.dag_world import Town, hear
from tests.node.service.fetch_world import HERE, Country, Host
from tests.node.world import key

BAR_S = 10.0
A_BLOCK = 10


async def fill(town: Town, accounts: int) -> None:
    """Pay to so many new accounts, and go on until that is final."""
    like = key(60).address
    async with town.node() as node:
        left = accounts
        while left:
            payments = []
            for _ in range(A_BLOCK):
                count = min(MAX_OUTPUTS, left)
                if count:
                    outputs = [(like[:1] + os.urandom(len(like) - 1), 1_000) for _ in range(count)]
                    payments.append(town.payers[0].pay_all(town.nonces[0], *outputs))
                    town.nonces[0] += 1
                    left -= count
            await hear(node, town.pass_slots(1, *payments))
        for _ in range(60):
            await hear(node, town.pass_slots(1))
            for vote in town.network.votes[-3:]:
                await node.receive_vote(vote)


class Stored(Country):
    """A country that lies on disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        paths = ProfilePaths("town", folder / "town")
        self.chain_db, self.genesis = paths.chain_db, read_genesis(paths)
        self.final = read_engine(self.chain_db, self.genesis).view.final
        place = folder / "kept"
        if not place.exists():
            place.mkdir()
            start = time.perf_counter()
            keep_snapshot(self.chain_db, self.genesis, self.final, place)
            print(f"keeping the snapshot: {time.perf_counter() - start:.2f} s", file=sys.stderr)
        now = self.genesis.start_ms + self.final.checkpoint.slot * self.genesis.parameters.slot_ms
        self.clock = lambda: now
        (self.kept,) = Shelf(place, self.chain_db, self.genesis, self.clock).kept


async def give(folder: Path) -> None:
    """Two hosts, until standard input ends. Says where they are."""
    country = Stored(folder)
    made = [Host(country), Host(country)]
    for host in made:
        await host.listen()
        print(host.port, host.key.id.hex(), flush=True)
    await asyncio.to_thread(sys.stdin.read)


async def measure(folder: Path, profiled: bool) -> bool:
    """Print how long each part takes; whether the bar was met."""
    country = Stored(folder)
    process = subprocess.Popen(
        [sys.executable, __file__, "--give", str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    rows = []
    for _ in range(2):
        port, node = process.stdout.readline().split()
        rows.append(("127.0.0.1", int(port), bytes.fromhex(node.decode()), b"", 0, 0, 0))
    newcomer = country.newcomer(f"newcomer-{os.getpid()}", [])
    PeerFile(newcomer.paths.peers).save(0, tuple(rows), {})
    moments: dict[str, float] = {}

    def tell(view: FetchView) -> None:
        moments.setdefault(view.stage, time.perf_counter())

    start, worked = time.perf_counter(), time.process_time()
    try:
        await Bootstrap(newcomer.paths, country.genesis, HERE, country.clock, tell).run()
    finally:
        process.stdin.close()
        process.wait(30)
    took, cpu = time.perf_counter() - start, time.process_time() - worked
    newcomer.stands_right()
    looked, fetched = moments["fetching"] - start, moments["checking"] - moments["fetching"]
    size, accounts = (
        sum(country.kept.layout.sizes),
        len(read_engine(country.chain_db, country.genesis).state.rows("accounts")),
    )
    missed = "" if took <= BAR_S else "   MISSED"
    print(
        f"{accounts:,} accounts, {size / 1e6:.1f} MB: {took:.1f} s, bar {BAR_S:.0f}{missed}: looking {looked:.1f}, "
        f"fetching and checking {fetched:.1f}, adopting {took - looked - fetched:.1f} s; {cpu:.1f} s of work here"
    )
    recount(country)
    if profiled:
        profile = cProfile.Profile()
        profile.enable()
        adopt_snapshot(folder / f"again-{os.getpid()}.db", country.genesis, country.kept.path, country.trusted)
        profile.disable()
        pstats.Stats(profile).sort_stats("cumulative").print_stats(45)
    return took <= BAR_S


def recount(country: Country) -> None:
    """What checking each bucket once takes by itself, with NumPy and without."""
    layout, buckets = country.kept.layout, country.kept.buckets
    parts = [read_part(country.kept.path, layout, bucket, 0, layout.sizes[bucket]) for bucket in range(BUCKETS)]
    for numpy in (True, False):
        start = time.perf_counter()
        good = all(
            check_bucket(bucket, part, buckets[32 * bucket : 32 * bucket + 32], numpy=numpy)
            for bucket, part in enumerate(parts)
        )
        assert good
        print(f"checking all buckets {'with' if numpy else 'without'} NumPy: {time.perf_counter() - start:.1f} s")


def main() -> None:
    """Measure everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, help="where a country was kept by an earlier run, or is to be")
    parser.add_argument("--profile", action="store_true", help="where adopting spends its time")
    parser.add_argument("--give", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.give is not None:
        asyncio.run(give(chosen.give))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = chosen.folder or Path(name)
        if not (folder / "town").exists():
            town = Town(folder / "town", validators=1, merge_depth_slots=20, unbonding_slots=100_000)
            asyncio.run(fill(town, chosen.accounts))
        sys.exit(not asyncio.run(measure(folder, chosen.profile)))


if __name__ == "__main__":
    main()
