"""Kaspa's reference DAGs against the node's colouring."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

import pytest

from node.consensus.ghostdag import Colour, Ghostdag, colour

K = 18  # of the large files, by their names


def hash_of(name: str) -> bytes:
    """The files' rule: an id's ASCII bytes padded on the right with zeros."""
    return name.encode("ascii").ljust(32, b"\0")


def small_files(vectors: Path) -> Iterator[tuple[str, dict]]:
    found = False
    for path in sorted((vectors / "ghostdag").glob("dag*.json")):
        found = True
        yield path.name, json.loads(path.read_text())
    assert found, f"no small DAG in {vectors}"


def large_files(vectors: Path) -> Iterator[tuple[str, list[tuple[str, list[str]]]]]:
    found = False
    for path in sorted((vectors / "ghostdag").glob(f"*-k{K}.json.gz")):
        found = True
        blocks = json.loads(gzip.decompress(path.read_bytes()))
        yield path.name, [(block["id"], block["parents"]) for block in blocks]
    assert found, f"no large DAG in {vectors}"


def named(blocks: Sequence[tuple[str, list[str]]]) -> list[tuple[bytes, list[bytes], int]]:
    return [(hash_of(block), [hash_of(parent) for parent in parents], 1) for block, parents in blocks]


def test_small_dags(vectors: Path) -> None:
    reds = 0
    for name, content in small_files(vectors):
        genesis = content["GenesisID"]
        blocks = [(genesis, []), *((block["ID"], block["Parents"]) for block in content["Blocks"])]
        found = colour(named(blocks), content["K"])
        assert len(found) == len(blocks)
        for block in content["Blocks"]:
            expected = Colour(
                selected=hash_of(block["ExpectedSelectedParent"]),
                blues=tuple(map(hash_of, block["ExpectedBlues"])),
                reds=tuple(map(hash_of, block["ExpectedReds"])),
                score=block["ExpectedScore"],
                work=block["ExpectedScore"],
            )
            assert found[hash_of(block["ID"])] == expected, (name, block["ID"])
            reds += len(expected.reds)
    assert reds, "the files hold no red block"


def test_reachability_of_large_dags(vectors: Path) -> None:
    """Against a plain search from some hundred blocks: every block is in the past of these or is not."""
    for name, blocks in large_files(vectors):
        dag = Ghostdag(K, hash_of(blocks[0][0]))
        for block, parents in blocks[1:]:
            dag.add(hash_of(block), dag.judge([dag.index[hash_of(parent)] for parent in parents]))
        parents_of = [dag.coloured[at].parents for at in range(len(blocks))]
        for b in random_places(name, len(blocks)):
            past, waiting = set[int](), list(parents_of[b])
            while waiting:
                a = waiting.pop()
                if a not in past:
                    past.add(a)
                    waiting.extend(parents_of[a])
            assert {a for a in range(len(blocks)) if dag.is_ancestor(a, b)} == past, (name, blocks[b][0])


def random_places(name: str, count: int) -> list[int]:
    """Some hundred places, the last ones among them."""
    return sorted({*Random(name).sample(range(count), min(count, 300)), *range(count - 20, count)})


@pytest.mark.parametrize("seed", range(3))
def test_large_dags_in_any_order(vectors: Path, seed: int) -> None:
    for name, blocks in large_files(vectors):
        expected = colour(named(blocks), K)
        found = colour(named(another_order(Random(f"{name} {seed}"), blocks, seed)), K)
        assert list(found) != list(expected), name
        assert found == expected, name


def another_order(random: Random, blocks: Sequence[tuple[str, list[str]]], seed: int) -> list[tuple[str, list[str]]]:
    """A random order in which parents come first: seed 0 goes deep before wide, the others take any that is ready."""
    children: dict[str, list[tuple[str, list[str]]]] = {}
    waits = {}
    for block, parents in blocks:
        waits[block] = len(parents)
        for parent in parents:
            children.setdefault(parent, []).append((block, parents))
    ready, order = [blocks[0]], list[tuple[str, list[str]]]()
    while ready:
        place = len(ready) - 1 if seed == 0 else random.randrange(len(ready))
        order.append(ready.pop(place))
        for child in children.get(order[-1][0], ()):
            waits[child[0]] -= 1
            if not waits[child[0]]:
                ready.append(child)
    assert len(order) == len(blocks)
    return order
