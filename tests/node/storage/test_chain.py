"""The chain database: blocks in, blocks back out, undone exactly; what cannot follow is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from storage_blocks import address, digest, make_block  # type: ignore[import-not-found]

from node.api.errors import Internal
from node.storage.chain import ChainDatabase
from node.storage.records import BlockBatch
from node.storage.writer import ChainWriter


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[ChainDatabase]:
    database = ChainDatabase.open(tmp_path / "chain.db")
    database.write_genesis(digest("genesis"), 1, [("accounts", address("rich"), b"all")], [(0, b"\x01" * 2_048)])
    yield database
    database.close()


def snapshot(chain: ChainDatabase) -> tuple[object, ...]:
    tip = chain.tip()
    return (
        tip,
        tuple(chain.load_state(ordered=True)),
        chain.load_waves(),
        chain.meta("epoch"),
        tuple(chain.blocks()),
    )


def test_block_comes_back_as_written(chain: ChainDatabase) -> None:
    batch = make_block(1, (("a", "b"), ("b", "c"), ("c", "c")))
    chain.apply_block(batch)
    tip = chain.tip()
    assert tip is not None
    assert (tip.height, tip.block_id, tip.slot, tip.epoch) == (1, batch.block_id, 3, 0)
    for found in (chain.block(), chain.block(height=1), chain.block(block_id=batch.block_id)):
        assert found is not None
        assert (found.header, found.body, found.fees) == (batch.header, batch.body, batch.fees)
        assert (found.transactions, found.failed) == (3, 1)
        assert found.txids == tuple(receipt.txid for receipt in batch.receipts)
    for position, receipt in enumerate(batch.receipts):
        stored = chain.transaction(receipt.txid)
        assert stored is not None
        assert (stored.raw, stored.wid, stored.status) == (receipt.raw, receipt.wid, receipt.status)
        assert (stored.height, stored.position, stored.reason) == (1, position, receipt.reason)
        assert chain.has_transaction(receipt.txid)
    assert chain.changes(1) is not None
    assert chain.transaction(digest("nothing")) is None
    assert chain.block(height=9) is None


def test_raw_outside_the_body_is_kept(chain: ChainDatabase) -> None:
    batch = make_block(1, (("a", "b"),), in_body=False)
    chain.apply_block(batch)
    stored = chain.transaction(batch.receipts[0].txid)
    assert stored is not None
    assert stored.raw == batch.receipts[0].raw


def test_raw_is_stored_once(chain: ChainDatabase) -> None:
    chain.apply_block(make_block(1, (("a", "b"), ("c", "d"))))
    raws = chain._connection.execute("SELECT raw FROM transactions").fetchall()
    assert raws == [(None,), (None,)]


def test_undo_restores_everything(chain: ChainDatabase) -> None:
    chain.apply_block(make_block(1, (("a", "b"), ("b", "c"))))
    before = snapshot(chain)
    second = make_block(2, (("a", "d"), ("rich", "b")))
    old = dict((key, value) for _, key, value in chain.load_state())
    second = BlockBatch(
        **{name: getattr(second, name) for name in BlockBatch.__slots__ if name != "changes"},
        changes=(
            *((table, key, old.get(key), new) for table, key, _, new in second.changes),
            ("accounts", address("c"), old[address("c")], None),
        ),
    )
    chain.apply_block(second)
    assert dict((key, value) for _, key, value in chain.load_state()).get(address("c")) is None
    chain.undo_block(2, [(2, b"\0" * 2_048)])
    waves = chain.load_waves()
    assert waves.pop(2) == b"\0" * 2_048
    after = snapshot(chain)
    assert (after[0], after[1], after[3], after[4]) == (before[0], before[1], before[3], before[4])
    assert waves == before[2]
    assert not chain.has_transaction(second.receipts[0].txid)
    assert chain.integrity_problems() == []
    chain.apply_block(second)
    assert chain.has_transaction(second.receipts[0].txid)


def test_block_that_does_not_follow_changes_nothing(chain: ChainDatabase) -> None:
    chain.apply_block(make_block(1, (("a", "b"),)))
    before = snapshot(chain)
    for wrong in (make_block(1), make_block(3)):
        with pytest.raises(Internal, match="does not follow"):
            chain.apply_block(wrong)
    with pytest.raises(Internal):
        chain.undo_block(0, ())
    with pytest.raises(Internal):
        chain.undo_block(2, ())
    assert snapshot(chain) == before


def test_failure_inside_a_block_leaves_no_trace(chain: ChainDatabase) -> None:
    chain.apply_block(make_block(1, (("a", "b"),)))
    before = snapshot(chain)
    good = make_block(2, (("c", "d"),))
    bad_wave = BlockBatch(
        **{name: getattr(good, name) for name in BlockBatch.__slots__ if name != "buckets"},
        buckets=((5, b"short"),),
    )
    with pytest.raises(Internal):
        chain.apply_block(bad_wave)
    repeated = BlockBatch(
        **{name: getattr(good, name) for name in BlockBatch.__slots__ if name != "receipts"},
        receipts=make_block(1, (("a", "b"),)).receipts,
    )
    with pytest.raises(Internal):
        chain.apply_block(repeated)  # the txid is there already
    assert snapshot(chain) == before
    chain.apply_block(good)


def test_pruned_blocks_cannot_be_undone(chain: ChainDatabase) -> None:
    for height in range(1, 6):
        chain.apply_block(make_block(height, (("a", "b"),)))
    assert chain.prune_undo(below=5) == 4
    assert chain.changes(4) is None
    assert chain.changes(4) is None
    chain.undo_block(5, ())
    with pytest.raises(Internal, match="cannot be undone"):
        chain.undo_block(4, ())


def test_genesis_only_once(chain: ChainDatabase) -> None:
    with pytest.raises(Internal, match="already holds"):
        chain.write_genesis(digest("other"), 1, [], [])
    assert chain.meta("genesis") == digest("genesis")
    assert chain.meta("rule_version") == 1


def test_meta_values(chain: ChainDatabase) -> None:
    chain.set_meta({"final_height": 7, "note": "text", "bytes": b"\0\1"})
    assert (chain.meta("final_height"), chain.meta("note"), chain.meta("bytes")) == (7, "text", b"\0\1")
    assert chain.meta("absent") is None


async def test_writer_keeps_order_and_closes(tmp_path: Path) -> None:
    path = tmp_path / "chain.db"
    writer = await ChainWriter.open(path)
    assert writer.report.created
    for height in range(1, 20):
        await writer.apply_block(make_block(height, (("a", "b"),)))
    await writer.undo_block(19, [(19, b"\0" * 2_048)])
    tip = await writer.run(writer.database.tip)
    assert tip is not None
    assert tip.height == 18
    await writer.close()
    again = await ChainWriter.open(path)
    assert not again.report.unclean
    assert len(list(again.database.blocks())) == 18
    await again.close()
