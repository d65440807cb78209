"""What the block DAG costs: speed on Kaspa's DAGs, cost and memory of 100,000 blocks, hostile shapes, pruning.

Run by hand: python tests/benchmarks/ghostdag.py. Bars: ≥ 20,000 blocks a second on each reference DAG; a block among
100,000 costs ≤ 1.2 × one among 1,000; 100,000 unpruned blocks take ≤ 150 MB, in the hostile shapes too. Processor
seconds, so that a busy machine does not matter; the 1.2 compares runs that alternate.
"""

from __future__ import annotations

import gc
import gzip
import json
import os
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from random import Random
from statistics import median

from node.consensus.ghostdag import Ghostdag

ROOT = Path(__file__).resolve().parent.parent.parent
K = 18
BLOCKS = 100_000
SAMPLE = 1_000  # blocks that are timed at once
DELAY = 5.0  # seconds after which everybody has a block; a block a second on average

Named = tuple[bytes, Sequence[int]]


def block_id(number: int) -> bytes:
    return blake2b(number.to_bytes(9), digest_size=32).digest()


def network(blocks: int) -> Iterator[Named]:
    """A DAG of random delays: a block names the tips of what its maker had, at most ten."""
    random = Random("network")
    times, now = [0.0], 0.0
    parents_of: list[tuple[int, ...]] = [()]
    yield block_id(0), ()
    for place in range(1, blocks):
        now += random.expovariate(1.0)
        had = now - random.uniform(0.2, DELAY)
        recent = [other for other in range(max(0, place - 64), place) if times[other] <= had] or [max(0, place - 64)]
        named = {parent for other in recent for parent in parents_of[other]}
        parents = tuple(other for other in recent if other not in named)[-10:]
        times.append(now)
        parents_of.append(parents)
        yield block_id(place), parents


def lingering(blocks: int) -> Iterator[Named]:
    """The same, and a block on the first that nobody ever merges."""
    for place, (name, parents) in enumerate(network(blocks - 1)):
        if place == 1:
            yield block_id(1 << 64), (0,)
        yield name, [parent + (parent > 0) for parent in parents]


def branches(blocks: int) -> Iterator[Named]:
    """Two halves of a network that never meet."""
    yield block_id(0), ()
    for place in range(1, blocks):
        yield block_id(place), (max(0, place - 2),)


def reference(path: Path) -> list[Named]:
    content = json.loads(gzip.decompress(path.read_bytes()))
    places = {block["id"]: place for place, block in enumerate(content)}
    return [(block["id"].encode().ljust(32, b"\0"), [places[p] for p in block["parents"]]) for block in content]


def build(blocks: Iterator[Named] | Sequence[Named], started: Callable[[int], None] = lambda place: None) -> Ghostdag:
    """The DAG of these blocks, with their maker and slot as a node would give them."""
    blocks = iter(blocks)
    dag = Ghostdag(K, next(blocks)[0])
    for place, (name, parents) in enumerate(blocks, 1):
        started(place)
        dag.add(name, dag.judge(parents, limit=180), twin=(name[:21], place))
    return dag


def verdict(good: bool) -> str:
    return "" if good else "   ← misses the bar"


def reference_speed() -> None:
    vectors = Path(os.environ.get("NEXUS_VECTORS") or ROOT.parent / "shared" / "vectors")
    for path in sorted((vectors / "ghostdag").glob("*.json.gz")):
        blocks = reference(path)
        rates = []
        for _ in range(5):
            start = time.process_time()
            build(blocks)
            rates.append(len(blocks) / (time.process_time() - start))
        print(f"{path.name}: {median(rates):,.0f} blocks a second{verdict(median(rates) >= 20_000)}")


def timed(dag: Ghostdag, shape: Sequence[Named]) -> float:
    """Processor microseconds a block of a stretch of the network costs on top of a DAG that has all before it."""
    start = time.process_time()
    for name, parents in shape:
        dag.add(name, dag.judge(parents, limit=180), twin=(name[:21], dag.next))
    return (time.process_time() - start) / len(shape) * 1e6


def growth(make: Callable[[int], Iterator[Named]]) -> None:
    """Cost of a block early and late."""
    gc.collect()
    gc.freeze()
    shape = list(make(BLOCKS + 9 * SAMPLE))
    shapes = {size: shape[size : size + 9 * SAMPLE] for size in (1_000, 10_000, BLOCKS)}
    dags = {size: build(shape[:size]) for size in shapes}
    costs: dict[int, list[float]] = {size: [] for size in shapes}
    for turn in range(9):
        for size, dag in dags.items():
            costs[size].append(timed(dag, shapes[size][turn * SAMPLE : (turn + 1) * SAMPLE]))
    least = {size: min(cost) for size, cost in costs.items()}  # others on the machine only ever add
    early, late = least[1_000], least[BLOCKS]
    print(f"{make.__name__}: " + ", ".join(f"{cost:.1f} µs at {size:,}" for size, cost in least.items()))
    print(f"  cost at {BLOCKS:,} ÷ cost at 1,000: {late / early:.2f}{verdict(late <= 1.2 * early)}")


def memory(make: Callable[[int], Iterator[Named]]) -> None:
    """Bytes of an unpruned block: everything that building made, ids included."""
    gc.collect()
    tracemalloc.start()
    dag = build(make(BLOCKS))
    gc.collect()
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    longest = max(coloured.missing.bit_length() for coloured in list(dag.coloured.values())[-1_000:])
    print(
        f"{make.__name__}: {size / BLOCKS:.0f} bytes a block, {size / 1e6:.0f} MB for {BLOCKS:,}"
        f"{verdict(size <= 150e6)}; a missing set reaches back {longest:,} blocks"
    )


def pruning() -> None:
    """A node that keeps two merge depths of 1,800 slots of 2 s: 7,200 blocks, pruned every 20."""
    shape = list(network(8_000))
    dag, spent = build(shape[:7_200]), 0.0
    rounds = range(7_200, len(shape), 20)
    for begin in rounds:
        for name, parents in shape[begin : begin + 20]:
            newest = dag.add(name, dag.judge(parents))
        start = time.process_time()
        dag.prune(next(block for block in dag.chain(newest) if block <= newest - 7_200))
        spent += time.process_time() - start
    print(f"pruning to {len(dag.coloured):,} kept blocks: {spent / len(rounds) * 1e3:.1f} ms each time")
    longest = max(coloured.missing.bit_length() for coloured in dag.coloured.values())
    print(f"  afterwards a missing set reaches back {longest:,} blocks")


def main() -> None:
    reference_speed()
    for make in (network, lingering, branches):
        growth(make)
    for make in (network, lingering, branches):
        memory(make)
    pruning()


if __name__ == "__main__":
    main()
