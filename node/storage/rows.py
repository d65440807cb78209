"""Reading what the chain database holds, by any connection: the writer's, a query's, a verification's."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack

from node.storage.faults import damaged
from node.storage.records import Colouring, DagRow, StoredBlock, StoredTransaction, Tip

BUCKETS = 256
WAVE_BYTES = 2_048

StateRow = tuple[str, bytes, bytes]
StateChange = tuple[str, bytes, bytes | None]

_DAG = """SELECT b.idx, b.id, b.slot, b.height, b.dag, b.merged, b.blue, b.disqualified, b.late, b.colouring, b.header,
    o.body
    FROM blocks b LEFT JOIN bodies o ON o.idx = b.idx """
_CHAIN = """SELECT c.height, b.idx, b.id, b.slot, c.epoch, c.fees, c.transactions, c.failed, b.header, o.body,
    c.active_set, c.first_transaction FROM chain c JOIN blocks b ON b.idx = c.block
    LEFT JOIN bodies o ON o.idx = b.idx """
RAW = "CASE WHEN t.raw IS NULL THEN substr(o.body, t.start + 1, t.length) ELSE t.raw END"
_TRANSACTION = f"""SELECT t.txid, t.wid, {RAW}, t.height, t.position, t.carrier, t.status, t.reason, t.fee
    FROM transactions t LEFT JOIN bodies o ON o.idx = t.carrier """


def read_tip(connection: sqlite3.Connection) -> Tip | None:
    """The newest block of the selected chain; None while there is only the genesis state."""
    row = connection.execute(
        "SELECT c.height, b.id, b.slot, c.epoch FROM chain c JOIN blocks b ON b.idx = c.block "
        "ORDER BY c.height DESC LIMIT 1"
    ).fetchone()
    return None if row is None else Tip(*row)


def read_block(
    connection: sqlite3.Connection, height: int | None = None, block_id: bytes | None = None
) -> StoredBlock | None:
    """A block of the selected chain by height or id; the tip when neither is given."""
    if block_id is not None:
        row = connection.execute(_CHAIN + "WHERE b.id = ? AND c.height = b.merged", (block_id,)).fetchone()
    elif height is not None:
        row = connection.execute(_CHAIN + "WHERE c.height = ?", (height,)).fetchone()
    else:
        row = connection.execute(_CHAIN + "ORDER BY c.height DESC LIMIT 1").fetchone()
    if row is None:
        return None
    first, count = row[11], row[6]
    txids = connection.execute(
        "SELECT txid FROM transactions WHERE id >= ? AND id < ? ORDER BY id", (first, first + count)
    )
    height, index, found, slot, epoch, fees, _, failed, header, body, active = row[:11]
    return StoredBlock(
        height, index, found, slot, epoch, fees, count, failed, header, body, active, tuple(txid for (txid,) in txids)
    )


def read_dag(connection: sqlite3.Connection) -> Iterator[DagRow]:
    """The blocks that the DAG keeps, by index. Raises ValueError or TypeError for a colouring that is none."""
    for row in connection.execute(_DAG + "WHERE b.dag = 1 ORDER BY b.idx"):
        yield _dag_row(row)


def read_dag_block(
    connection: sqlite3.Connection, index: int | None = None, block_id: bytes | None = None
) -> DagRow | None:
    """A kept block by index or id, in the DAG or left over from it."""
    if index is not None:
        row = connection.execute(_DAG + "WHERE b.idx = ?", (index,)).fetchone()
    else:
        row = connection.execute(_DAG + "WHERE b.id = ?", (block_id,)).fetchone()
    return None if row is None else _dag_row(row)


def _dag_row(row: tuple[Any, ...]) -> DagRow:
    index, block_id, slot, height, dag, merged, blue, disqualified, late, colouring, header, body = row
    return DagRow(
        index=index,
        block_id=block_id,
        slot=slot,
        height=height,
        dag=bool(dag),
        merged=merged,
        blue=None if blue is None else bool(blue),
        disqualified=bool(disqualified),
        late=late,
        colouring=Colouring.decode(colouring, index),
        header=header,
        body=body,
    )


def read_chain(connection: sqlite3.Connection) -> Iterator[tuple[int, int]]:
    """(height, index) of the kept blocks of the selected chain, oldest first."""
    yield from connection.execute("SELECT height, block FROM chain ORDER BY height")


def read_executing(connection: sqlite3.Connection, low: int, high: int) -> Iterator[int]:
    """Heights above `low` and up to `high` of chain blocks that executed a transaction, ascending."""
    found = connection.execute(
        "SELECT height FROM chain WHERE height > ? AND height <= ? AND transactions > 0 ORDER BY height", (low, high)
    )
    for (height,) in found:
        yield height


def read_active_sets(connection: sqlite3.Connection) -> Iterator[tuple[bytes, bytes]]:
    """(block id, active set) of the checkpoints' blocks among the chain blocks that the DAG keeps."""
    yield from connection.execute(
        "SELECT b.id, c.active_set FROM chain c JOIN blocks b ON b.idx = c.block "
        "WHERE c.active_set IS NOT NULL AND b.dag = 1"
    )


def read_state(connection: sqlite3.Connection, ordered: bool = False) -> Iterator[StateRow]:
    """All state records, by buckets in ascending order of table and key if `ordered` (slower)."""
    order = " ORDER BY bucket, tbl, key" if ordered else ""
    yield from connection.execute("SELECT tbl, key, value FROM state" + order)


def read_waves(path: Path, connection: sqlite3.Connection) -> dict[int, bytes]:
    """The stored bucket waves; a bucket never written is absent (all zero)."""
    waves: dict[int, bytes] = dict(connection.execute("SELECT bucket, wave FROM waves"))
    if any(not 0 <= bucket < BUCKETS or len(wave) != WAVE_BYTES for bucket, wave in waves.items()):
        raise damaged(path, "a bucket wave has a wrong size")
    return waves


def read_votes(connection: sqlite3.Connection) -> tuple[bytes, ...]:
    """The votes that were heard and are not settled yet, in no special order."""
    return tuple(vote for (vote,) in connection.execute("SELECT vote FROM votes ORDER BY target, id"))


def read_changes(connection: sqlite3.Connection, height: int) -> tuple[StateChange, ...] | None:
    """The undo record of a chain block: each changed entry with its value before; None when pruned."""
    row = connection.execute("SELECT rows FROM undo WHERE height = ?", (height,)).fetchone()
    return None if row is None else tuple((table, key, value) for table, key, value in msgpack.unpackb(row[0]))


def read_transaction(connection: sqlite3.Connection, txid: bytes) -> StoredTransaction | None:
    """An executed transaction by txid."""
    row = connection.execute(_TRANSACTION + "WHERE t.txid = ?", (txid,)).fetchone()
    return None if row is None else StoredTransaction(*row)


def read_accepted(connection: sqlite3.Connection, height: int) -> tuple[StoredTransaction, ...]:
    """What a block of the selected chain executed, in order."""
    row = connection.execute("SELECT first_transaction, transactions FROM chain WHERE height = ?", (height,)).fetchone()
    if row is None:
        return ()
    found = connection.execute(_TRANSACTION + "WHERE t.id >= ? AND t.id < ? ORDER BY t.id", (row[0], sum(row)))
    return tuple(StoredTransaction(*item) for item in found)
