"""Pruning: the history stays whole while bodies go, what goes leaves nothing behind, and the file stops growing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from storage_blocks import RULES, Story, digest, line  # type: ignore[import-not-found]

from node.api.errors import Internal
from node.storage.chain import ChainDatabase
from node.storage.records import StoredTransaction


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[ChainDatabase]:
    database = ChainDatabase.open(tmp_path / "chain.db")
    database.write_genesis(digest("genesis"), RULES, [], [])
    yield database
    database.close()


def count(chain: ChainDatabase, table: str) -> int:
    found: int = chain._connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    return found


def history(chain: ChainDatabase, story: Story, tip: int) -> list[StoredTransaction | None]:
    return [chain.transaction(item.txid) for index in story.chain(tip) for item in story.accepted(index)]


def braid(rounds: int) -> Story:
    """Rounds of three blocks: one on the chain, one beside it that carries a payment, one beside it that is empty."""
    story = Story()
    tip: tuple[int, ...] = (0,)
    for number in range(rounds):
        on = story.add(tip, ((f"s{number % 5}", "r"),))
        carrying = story.add((tip[0],), ((f"s{number % 7}", "q"),))
        empty = story.add((tip[0],))
        tip = (on.index, carrying.index, empty.index)
    story.add(tip)
    return story


def test_undo_records_below_the_final_block_go(chain: ChainDatabase) -> None:
    story, steps = line([(("a", "b"),)] * 5)
    for step in steps:
        chain.advance(step)
    assert chain.prune_undo(below=5) == 4
    assert chain.changes(4) is None
    chain.advance(story.switch(5, 4))
    with pytest.raises(Internal, match="cannot be undone"):
        chain.advance(story.switch(4, 3))
    tip = chain.tip()
    assert tip is not None
    assert tip.height == 4


def test_bodies_go_only_from_blocks_that_left_the_dag(chain: ChainDatabase) -> None:
    story = braid(4)
    top = len(story.blocks)
    chain.advance(story.switch(0, top, tuple(story.blocks.values())))
    before = history(chain, story, top)
    assert chain.prune_bodies(before_slot=1 << 40) == 0, "all are in the DAG"
    chain.move_root(range(1, 7), {"root": b"seven"})
    assert chain.meta("root") == b"seven"
    assert [row.index for row in chain.dag()] == list(range(7, top + 1))
    assert chain.prune_bodies(before_slot=4 * 3) == 3, "the blocks of slots 3, 6 and 9"
    assert chain.prune_bodies(before_slot=1 << 40) == 3
    assert chain.prune_bodies(before_slot=1 << 40) == 0
    assert history(chain, story, top) == before
    kept = {index for (index,) in chain._connection.execute("SELECT idx FROM blocks")}
    assert kept == {1, 2, 4, 5, *range(7, top + 1)}, "the empty ones off the chain went altogether"
    block = chain.block(height=1)
    assert block is not None
    assert (block.body, block.header) == (None, b"header 1")
    assert chain.integrity_problems() == []


def test_bodies_go_in_portions(chain: ChainDatabase) -> None:
    _, steps = line([(("a", "b"),)] * 9)
    for step in steps:
        chain.advance(step)
    chain.move_root(range(1, 9), {})
    assert [chain.prune_bodies(1 << 40, limit=5) for _ in range(3)] == [5, 3, 0]


def test_blocks_that_nobody_merged_go_with_their_bodies(chain: ChainDatabase) -> None:
    story = Story()
    story.add((0,), (("a", "b"),))
    stray = story.add((0,), (("c", "d"),))
    story.add((1,))
    chain.advance(story.switch(0, 3, tuple(story.blocks.values())))
    chain.move_root([1, 2], {})
    assert chain.prune_bodies(1 << 40) == 2
    assert chain.dag_block(index=stray.index) is None
    assert chain.dag_block(index=1) is not None


def test_history_goes_whole_and_numbers_go_on(chain: ChainDatabase) -> None:
    story = braid(6)
    top = len(story.blocks)
    chain.advance(story.switch(0, top, tuple(story.blocks.values())))
    assert chain.prune_history(1 << 40) == 0, "all are in the DAG"
    chain.move_root(range(1, top), {})
    assert chain.prune_history(1 << 40) == 0, "all can be undone"
    chain.prune_undo(below=7)
    assert chain.prune_history(before_slot=7 * 3) == 2
    assert chain.chain()[0] == (3, 7)
    assert [item is None for item in history(chain, story, top)[:4]] == [True, True, True, False]
    while chain.prune_history(1 << 40, limit=2):
        pass
    assert chain.chain() == [(7, top)], "the newest always stays"
    assert count(chain, "transactions") == 1, "what the newest accepted"
    assert {tx for (tx,) in chain._connection.execute("SELECT tx FROM touches")} == {12}
    assert count(chain, "blocks") == 3, "the newest, and what it merged"
    assert chain.integrity_problems() == []
    more = story.add((top,), (("n", "m"),))
    chain.advance(story.switch(top, more.index, [more]))
    numbers = [number for (number,) in chain._connection.execute("SELECT id FROM transactions ORDER BY id")]
    assert numbers == [12, 13], "places in the order of execution are never given twice"


def test_the_file_stops_growing(chain: ChainDatabase) -> None:
    """Freed pages serve later blocks: after a first lap of retention the file keeps its size."""
    lap, laps = 40, 6
    _, steps = line([tuple((f"s{place}", f"r{place}") for place in range(8))] * (lap * laps))
    sizes = []
    for number, step in enumerate(steps, 1):
        chain.advance(step)
        if number % lap:
            continue
        chain.move_root(range(max(1, number - lap - 10), number - 10), {})
        chain.prune_undo(below=number - 10)
        while chain.prune_bodies((number - 20) * 3):
            pass
        while chain.prune_history((number - 40) * 3):
            pass
        chain._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        sizes.append(chain.path.stat().st_size)
        assert count(chain, "chain") <= lap + 1
    assert max(sizes[2:]) <= sizes[1] * 1.05, sizes
    assert count(chain, "addresses") == 16
