"""`kill -9` during reorganisation and during pruning: whatever moment it falls on, the files verify clean.

A process lets a node hear real blocks of validators who part and meet again (`branches.py`); it is killed inside
reorganisations and inside pruning, by its own trace. After every kill the database verifies clean, and the next start
goes on to the same end as if nothing had happened. Run more with `--count 100`; the figures are printed (`-s`).
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import msgpack
import pytest

from node.encoding.amounts import SUPPLY
from node.service.restoring import read_engine
from node.service.verify import verify_file
from tests.node.service.dag_world import Town
from tests.scenarios.branches import MERGE_DEPTH, Item, main, prepare

ROUNDS = 24
KINDS = ("reorganisation", "pruning")
_DRIVER = Path(__file__).with_name("branches.py")


class Killed:
    """The folder, its process and where the kills fell."""

    def __init__(self, folder: Path, prepared: Path, seed: int) -> None:
        self.folder, self.prepared = folder, prepared
        self.trace = folder.parent / "trace.log"
        self.chance = random.Random(seed)
        self.hits: Counter[str] = Counter()
        self.finished = 0
        self.reach_s = dict.fromkeys(KINDS, 0.002)  # how late after its beginning an aim may fall; learned

    def live(self, kind: str) -> bool:
        """One life that ends inside `kind`. False where the process came to the end of all blocks first."""
        self.trace.write_bytes(b"")
        process = subprocess.Popen(
            [sys.executable, str(_DRIVER), str(self.folder), str(self.prepared)],
            env={**os.environ, "NEXUS_TRACE": str(self.trace)},
            stderr=subprocess.PIPE,
        )
        mark, wanted = f" {kind} begin".encode(), self.chance.randrange(1, 12)
        with self.trace.open("rb") as file:
            seen = 0
            while process.poll() is None and seen < wanted:
                seen += file.read().count(mark)
                time.sleep(0.0001)
        time.sleep(self.chance.uniform(0, self.reach_s[kind]))
        ended = process.poll() is not None
        process.send_signal(signal.SIGKILL)
        _, complaint = process.communicate()
        if ended:
            assert process.returncode == 0, complaint.decode()[-3_000:]
            self.finished += 1
            return False
        last = (self.trace.read_text().splitlines() or [""])[-1]
        inside = next((name for name in KINDS if f" {name} begin" in last), "elsewhere")
        self.hits[inside] += 1
        late = inside != kind
        self.reach_s[kind] = max(0.0002, self.reach_s[kind] * 0.6) if late else min(0.05, self.reach_s[kind] * 1.2)
        return True


def prepared_branches(folder: Path) -> tuple[Town, list[Item], Path]:
    town = Town(folder / "town", merge_depth_slots=MERGE_DEPTH)
    items = prepare(town, ROUNDS)
    path = folder / "items"
    path.write_bytes(msgpack.packb(items))
    return town, items, path


@pytest.mark.slow
async def test_branches_are_followed_without_a_kill(tmp_path: Path) -> None:
    """What the killed node must come to; and that the branches do reorganise and prune."""
    town, _, path = prepared_branches(tmp_path)
    await main(town.paths.root, path)
    engine = read_engine(town.paths.chain_db, town.genesis)
    network = town.network.nodes[0].engine
    assert engine.tip == network.tip
    assert engine.waves.commitment == network.waves.commitment
    assert len(engine.blocks) < len(network.blocks)
    assert verify_file(town.paths.chain_db, town.genesis).ok


@pytest.mark.slow
@pytest.mark.timeout(7_200)
async def test_a_kill_inside_a_reorganisation_or_pruning_leaves_clean_files(tmp_path: Path, count: int) -> None:
    seed = int(os.environ.get("PYTEST_KILL_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 31)
    print(f"\nseed {seed} (PYTEST_KILL_SEED repeats its choices)")
    town, _, path = prepared_branches(tmp_path)
    network = town.network.nodes[0].engine
    killed = Killed(town.paths.root, path, seed)
    begun, kills = time.monotonic(), 0

    def hit_each() -> bool:
        return all(killed.hits[kind] >= max(1, count // 10) for kind in KINDS)

    # What a kill hits is up to the machine: more of them where a busy one lets them miss.
    while kills < count or (kills < 25 * count and not hit_each()):
        if await asyncio.to_thread(killed.live, KINDS[kills % 2]):
            kills += 1
        else:  # to the end: it must be the end that all others came to; then from the beginning again
            engine = read_engine(town.paths.chain_db, town.genesis)
            assert engine.tip == network.tip
            assert engine.waves.commitment == network.waves.commitment
            for file in town.paths.root.glob("chain.db*"):
                file.unlink()
            continue
        report = await asyncio.to_thread(verify_file, town.paths.chain_db, town.genesis)
        assert report.ok, [check for check in report.checks if not check.ok]
        assert report.total_units == SUPPLY
    await main(town.paths.root, path)
    engine = read_engine(town.paths.chain_db, town.genesis)
    assert engine.tip == network.tip
    assert engine.waves.commitment == network.waves.commitment
    assert verify_file(town.paths.chain_db, town.genesis).ok
    print(
        f"kills {kills} in {time.monotonic() - begun:.0f} s; the blocks were heard to their end {killed.finished} times"
    )
    for where, times in sorted(killed.hits.items()):
        print(f"  {where:<15} {times}")
    assert hit_each()
