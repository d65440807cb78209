"""The chain database: steps of the engine in, chain blocks back out, undone exactly; what cannot follow is refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from storage_blocks import RULES, Made, Story, address, digest, line, waves_of  # type: ignore[import-not-found]

from node.api.errors import Internal
from node.light.waves import SILENCE
from node.storage.chain import ChainDatabase
from node.storage.records import Batch, Colouring, NewVote
from node.storage.writer import ChainWriter


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[ChainDatabase]:
    database = ChainDatabase.open(tmp_path / "chain.db")
    database.write_genesis(digest("genesis"), RULES, [("accounts", address("rich"), b"all")], [(0, b"\x01" * 2_048)])
    yield database
    database.close()


def contents(chain: ChainDatabase) -> dict[str, list[tuple[object, ...]]]:
    """Everything that the database says, without the row ids of what it merely numbers."""
    connection = chain._connection
    names = dict(connection.execute("SELECT id, raw FROM addresses"))
    found = {
        name: connection.execute(f"SELECT * FROM {name} ORDER BY 1").fetchall()
        for name in ("meta", "blocks", "bodies", "chain", "undo", "votes")
    }
    found["waves"] = connection.execute("SELECT * FROM waves WHERE wave != ? ORDER BY 1", (SILENCE,)).fetchall()
    found["state"] = connection.execute("SELECT bucket, tbl, key, value FROM state ORDER BY 1, 2, 3").fetchall()
    found["undo"] = [(height, sorted(msgpack.unpackb(rows))) for height, rows in found["undo"]]
    found["transactions"] = [
        (*row[:11], [names[number] for number in msgpack.unpackb(row[11])], row[12])
        for row in connection.execute("SELECT * FROM transactions ORDER BY id")
    ]
    found["touches"] = sorted((names[number], tx) for number, tx in connection.execute("SELECT * FROM touches"))
    return found


def test_a_step_comes_back_as_written(chain: ChainDatabase) -> None:
    story, (step,) = line([(("a", "b"), ("b", "c"), ("c", "c"))])
    chain.advance(step)
    (new,), (applied,) = step.added, step.applied
    tip = chain.tip()
    assert tip is not None
    assert (tip.height, tip.block_id, tip.slot, tip.epoch) == (1, new.block_id, 3, 0)
    for found in (chain.block(), chain.block(height=1), chain.block(block_id=new.block_id)):
        assert found is not None
        assert (found.header, found.body, found.fees, found.index) == (new.header, new.body, applied.fees, 1)
        assert (found.transactions, found.failed) == (3, 1)
        assert found.txids == tuple(receipt.txid for receipt in applied.receipts)
    for position, receipt in enumerate(applied.receipts):
        stored = chain.transaction(receipt.txid)
        assert stored is not None
        assert (stored.raw, stored.wid, stored.status) == (receipt.raw, receipt.wid, receipt.status)
        assert (stored.height, stored.position, stored.carrier, stored.reason) == (1, position, 1, receipt.reason)
        assert chain.has_transaction(receipt.txid)
    assert chain.changes(1) is not None
    assert chain.transaction(digest("nothing")) is None
    assert chain.block(height=9) is None
    (row,) = chain.dag()
    assert (row.index, row.block_id, row.merged, row.blue, row.colouring) == (1, new.block_id, 1, True, new.colouring)
    assert (row.header, row.body, row.late, row.disqualified) == (new.header, new.body, new.late, False)
    assert chain.chain() == [(1, 1)]
    assert story.blocks[1].id == new.block_id


def test_merged_blocks_say_who_merged_them_and_how(chain: ChainDatabase) -> None:
    story = Story()
    blocks = [story.add((0,), (("a", "b"),)), story.add((0,), (("b", "c"),)), story.add((0,), (("c", "d"),))]
    top = story.add((1, 2, 3), (("d", "e"),), reds=(3,))
    chain.advance(story.switch(0, 1, blocks))
    assert [(row.merged, row.blue) for row in chain.dag()] == [(1, True), (None, None), (None, None)]
    assert chain.block(block_id=blocks[1].id) is None, "no block of the selected chain"
    chain.advance(story.switch(1, 4, [top]))
    assert [(row.merged, row.blue) for row in chain.dag()] == [(1, True), (2, True), (2, False), (2, True)]
    accepted = [chain.transaction(receipt.txid) for receipt in story.accepted(4)]
    assert [(item.carrier, item.height, item.position) for item in accepted if item is not None] == [
        (2, 2, 0),
        (3, 2, 1),
        (4, 2, 2),
    ]
    assert [item.raw for item in accepted if item is not None] == [item.raw for item in story.accepted(4)]
    chain.advance(Batch(undone=(top.id,), disqualified=(4,)))
    rows = chain.dag()
    assert [(row.merged, row.disqualified) for row in rows] == [(1, False), (None, False), (None, False), (None, True)]


def test_raw_outside_the_body_is_kept(chain: ChainDatabase) -> None:
    story = Story()
    made = story.add((0,), (("a", "b"),), in_body=False)
    chain.advance(story.switch(0, 1, [made]))
    stored = chain.transaction(made.receipts[0].txid)
    assert stored is not None
    assert stored.raw == made.receipts[0].raw


def test_raw_is_stored_once(chain: ChainDatabase) -> None:
    _, (step,) = line([(("a", "b"), ("c", "d"))])
    chain.advance(step)
    raws = chain._connection.execute("SELECT raw FROM transactions").fetchall()
    assert raws == [(None,), (None,)]


NAMES = st.sampled_from("abcdefg")
PAYMENTS = st.lists(st.tuples(NAMES, NAMES), max_size=3)


@st.composite
def stories(draw: st.DrawFn) -> tuple[Story, list[int]]:
    """A random DAG and the tips that its chain had, one after another; the DAG's blocks come as they are needed."""
    story = Story()
    for index in range(1, draw(st.integers(2, 14)) + 1):
        selected = draw(st.integers(max(0, index - 4), index - 1))
        taken = set(story.chain(selected))
        for other in list(taken):
            taken.update(story.blocks[other].parents)
        free = [other for other in range(max(1, index - 5), index) if other not in taken]
        merged = draw(st.lists(st.sampled_from(free), unique=True, max_size=2)) if free else []
        reds = tuple(other for other in sorted(merged) if draw(st.booleans()))
        story.add((selected, *merged), draw(PAYMENTS), reds, draw(st.booleans()))
    tips = draw(st.lists(st.integers(0, len(story.blocks)), min_size=1, max_size=12))
    return story, tips


def missing(story: Story, known: int, tip: int) -> list[Made]:
    """Blocks that must come before a tip can be chosen: those up to its index."""
    return [story.blocks[index] for index in range(known + 1, max(known, tip) + 1)]


@settings(max_examples=25)
@given(stories())
def test_whatever_the_tips_were_the_last_one_is_all_that_counts(
    tmp_path_factory: pytest.TempPathFactory, drawn: tuple[Story, list[int]]
) -> None:
    wander(tmp_path_factory.mktemp("reorg"), *drawn)


@pytest.mark.slow
@given(stories())
def test_whatever_the_tips_were_in_a_hundred_stories(
    tmp_path_factory: pytest.TempPathFactory, drawn: tuple[Story, list[int]]
) -> None:
    wander(tmp_path_factory.mktemp("reorg"), *drawn)


def wander(folder: Path, story: Story, tips: list[int]) -> None:
    """A database that went through any reorganisations equals one that went straight to the last tip."""
    wandered, straight = (ChainDatabase.open(folder / name) for name in ("wandered.db", "straight.db"))
    try:
        for database in (wandered, straight):
            database.write_genesis(digest("genesis"), RULES, [], [])
        tip = known = 0
        for target in tips:
            wandered.advance(story.switch(tip, target, missing(story, known, target), votes=[target]))
            tip, known = target, max(known, target)
        straight.advance(
            story.switch(0, tip, missing(story, 0, known), votes=sorted(set(tips)))  # all at once
        )
        assert contents(wandered) == contents(straight)
        assert wandered.integrity_problems() == []
        state = story.state(story.chain(tip))
        assert {(table, key): value for table, key, value in wandered.load_state()} == state
        waves = wandered.load_waves()
        assert all(waves.get(bucket, SILENCE) == waves_of(state, bucket) for bucket in range(256))
        rows = list(wandered.load_state(ordered=True))
        assert len(rows) == len(state)
    finally:
        wandered.close()
        straight.close()


def test_what_does_not_follow_changes_nothing(chain: ChainDatabase) -> None:
    story, steps = line([(("a", "b"),), (("b", "c"),), ()])
    chain.advance(steps[0])
    before = contents(chain)
    unknown = replace(steps[1], added=())
    gap = replace(steps[2], added=(*steps[1].added, *steps[2].added))
    for wrong, why in (
        (unknown, "not stored"),
        (gap, "does not follow"),
        (replace(steps[1], applied=(replace(steps[1].applied[0], height=5),)), "does not follow"),
        (Batch(undone=(digest("other"),)), "not the stored tip"),
        (Batch(undone=(story.blocks[1].id, story.blocks[1].id)), "not the stored tip"),
    ):
        with pytest.raises(Internal, match=why):
            chain.advance(wrong)
        assert contents(chain) == before
    side = story.add((1,), (("x", "y"),))
    chain.advance(replace(steps[1], meta={}))
    with pytest.raises(Internal, match="does not follow"):  # its selected parent is block 1
        chain.advance(Batch(added=(side.new(),), applied=(story.chain_block(3, side.index),)))


def test_failure_inside_a_step_leaves_no_trace(chain: ChainDatabase) -> None:
    story, steps = line([(("a", "b"),), (("c", "d"),)])
    chain.advance(steps[0])
    before = contents(chain)
    good = steps[1]
    again = replace(good.applied[0], receipts=story.accepted(1))
    for bad in (
        replace(good, buckets=((5, b"short"),)),
        replace(good, buckets=((256, bytes(2_048)),)),
        replace(good, applied=(again,)),  # the txid is there already
        replace(good, added=(replace(good.added[0], index=1),)),
        replace(good, added=(*good.added, replace(good.added[0], index=9))),  # the id is there already
    ):
        with pytest.raises(Internal):
            chain.advance(bad)
        assert contents(chain) == before
    chain.advance(good)


def test_genesis_only_once(chain: ChainDatabase) -> None:
    with pytest.raises(Internal, match="already holds"):
        chain.write_genesis(digest("other"), RULES, [], [])
    assert chain.meta("genesis") == digest("genesis")
    assert chain.meta("rule_version") == RULES


def test_meta_values(chain: ChainDatabase) -> None:
    chain.set_meta({"final_height": 7, "note": "text", "bytes": b"\0\1"})
    assert (chain.meta("final_height"), chain.meta("note"), chain.meta("bytes")) == (7, "text", b"\0\1")
    assert chain.meta("absent") is None


def test_votes_are_kept_once_and_go_when_they_are_settled(chain: ChainDatabase) -> None:
    votes = [NewVote(digest(f"vote {number}"), number, b"%d" % number) for number in range(5)]
    chain.advance(Batch(votes=tuple(votes)))
    chain.advance(Batch(votes=tuple(votes[2:])))
    assert chain.votes() == tuple(item.vote for item in votes)
    assert chain.prune_votes(below=3) == 3
    assert chain.votes() == (b"3", b"4")


@given(
    st.integers(0, 1 << 40),
    st.lists(st.integers(1, 10_000), max_size=10),
    st.lists(st.integers(1, 10_000), min_size=1, max_size=20),
    st.integers(0, 1 << 62),
)
def test_colourings_are_small_and_come_back(index: int, parents: list[int], others: list[int], work: int) -> None:
    at = index + 10_000
    colouring = Colouring(
        tuple(at - item for item in parents),
        tuple(at - item for item in others),
        tuple(at - item for item in parents),
        tuple((at - item, item % 19) for item in dict.fromkeys(others)),
        work,
        work,
    )
    encoded = colouring.encode(at)
    assert Colouring.decode(encoded, at) == colouring
    assert len(encoded) <= 30 + 3 * (2 * len(parents) + len(others)) + 5 * len(others)


async def test_writer_keeps_order_and_closes(tmp_path: Path) -> None:
    path = tmp_path / "chain.db"
    writer = await ChainWriter.open(path)
    assert writer.report.created
    story, steps = line([(("a", "b"),)] * 19)
    for step in steps:
        await writer.advance(step)
    await writer.advance(story.switch(19, 18))
    tip = await writer.run(writer.database.tip)
    assert tip is not None
    assert tip.height == 18
    await writer.close()
    again = await ChainWriter.open(path)
    assert not again.report.unclean
    assert len(list(again.database.blocks())) == 18
    await again.close()
