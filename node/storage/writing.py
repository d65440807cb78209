"""One step of the engine as rows: blocks in, chain blocks back out, chain blocks in (protocol section 4).

Everything here runs inside a transaction of `ChainDatabase`. Reversal is exact because it uses what was written: a
chain block's undo record, the transactions it accepted with the addresses they touch, and its stored mergeset.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator

import msgpack

from node.api.errors import Internal
from node.light.waves import bucket_of
from node.storage import database
from node.storage.records import (
    FAILED,
    Batch,
    ChainBlock,
    Colouring,
    NewBlock,
    NewCertificate,
    NewFinal,
    Receipt,
    Tip,
)
from node.storage.rows import BUCKETS, WAVE_BYTES, StateRow, read_tip

SET_STATE = (
    "INSERT INTO state (bucket, tbl, key, value) VALUES (?, ?, ?, ?) "
    "ON CONFLICT (bucket, tbl, key) DO UPDATE SET value = excluded.value"
)
_DELETE_STATE = "DELETE FROM state WHERE bucket = ? AND tbl = ? AND key = ?"
SET_WAVE = "INSERT INTO waves (bucket, wave) VALUES (?, ?) ON CONFLICT (bucket) DO UPDATE SET wave = excluded.wave"

_Net = dict[tuple[str, bytes], bytes | None]


def write_batch(connection: sqlite3.Connection, batch: Batch) -> None:
    """Write a step. Raises Internal where it does not follow what is stored; the caller's transaction ends then."""
    _add_blocks(connection, batch.added)
    tip = read_tip(connection)
    net: _Net = {}
    for block_id in batch.undone:
        if tip is None or tip.block_id != block_id:
            raise Internal("cannot_undo", f"The block {block_id.hex()} cannot be undone: it is not the stored tip.")
        _undo(connection, tip, net)
        tip = read_tip(connection)
    if batch.applied:
        _apply_all(connection, batch.applied, net)
    write_state(connection, net)
    connection.executemany(SET_WAVE, checked_buckets(batch.buckets))
    connection.executemany("UPDATE blocks SET disqualified = 1 WHERE idx = ?", ((item,) for item in batch.disqualified))
    connection.executemany(
        "INSERT INTO votes VALUES (?, ?, ?) ON CONFLICT (id) DO NOTHING",
        ((item.vote_id, item.target, item.vote) for item in batch.votes),
    )
    write_finals(connection, batch.finals, batch.certificates)
    for name, value in batch.meta.items():
        database.write_meta(connection, name, value)


def write_finals(
    connection: sqlite3.Connection, finals: Iterable[NewFinal], certificates: Iterable[NewCertificate]
) -> None:
    """Keep final checkpoints, their validator tables once each, and of each pair of tables the newest certificate."""
    for item in finals:
        connection.execute("INSERT INTO checkpoints VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", item[:5])
        connection.executemany(
            "INSERT INTO tables VALUES (?, ?, ?) ON CONFLICT (hash) DO UPDATE SET slot = excluded.slot",
            ((name, item.slot, content) for name, content in item.tables),
        )
    connection.executemany("INSERT OR REPLACE INTO certificates VALUES (?, ?, ?, ?)", certificates)


def write_state(connection: sqlite3.Connection, net: _Net) -> None:
    """Set and delete state records."""
    rows = [(bucket_of(table, key), table, key, value) for (table, key), value in net.items()]
    connection.executemany(_DELETE_STATE, (row[:3] for row in rows if row[3] is None))
    connection.executemany(SET_STATE, (row for row in rows if row[3] is not None))


def state_rows(rows: Iterable[StateRow]) -> Iterator[tuple[int, str, bytes, bytes]]:
    """State records as `SET_STATE` takes them."""
    return ((bucket_of(table, key), table, key, value) for table, key, value in rows)


def checked_buckets(buckets: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    """Bucket waves of the right size, or Internal."""
    for bucket, wave in buckets:
        if not 0 <= bucket < BUCKETS or len(wave) != WAVE_BYTES:
            raise Internal("bad_wave", f"Bucket {bucket} has a wave of {len(wave)} bytes; nothing was written.")
        yield bucket, wave


def _add_blocks(connection: sqlite3.Connection, blocks: Iterable[NewBlock]) -> None:
    blocks = tuple(blocks)
    connection.executemany(
        "INSERT INTO blocks VALUES (?, ?, ?, ?, 1, NULL, NULL, ?, ?, ?, ?, ?, ?, ?)",
        (
            (
                block.index,
                block.block_id,
                block.slot,
                block.height,
                block.disqualified,
                block.late,
                block.transactions,
                block.votes,
                len(block.header) + len(block.body),
                block.colouring.encode(block.index),
                block.header,
            )
            for block in blocks
        ),
    )
    connection.executemany(
        "INSERT INTO bodies VALUES (?, ?, ?)", ((block.index, block.slot, block.body) for block in blocks)
    )


def _colouring(connection: sqlite3.Connection, index: int) -> Colouring:
    row = connection.execute("SELECT colouring FROM blocks WHERE idx = ?", (index,)).fetchone()
    if row is None:
        raise Internal("unknown_block", f"Block number {index} of the DAG is not stored; nothing was written.")
    return Colouring.decode(row[0], index)


def _undo(connection: sqlite3.Connection, tip: Tip, net: _Net) -> None:
    """Reverse the newest chain block; what its state records were goes into `net`."""
    row = connection.execute(
        "SELECT u.rows, c.first_transaction, c.block FROM chain c JOIN undo u ON u.height = c.height "
        "WHERE c.height = ?",
        (tip.height,),
    ).fetchone()
    if row is None:
        raise Internal("cannot_undo", f"Block {tip.height} cannot be undone: its undo record was pruned.")
    packed, first, index = row
    for table, key, value in msgpack.unpackb(packed):
        net[table, key] = value
    touched = connection.execute("SELECT touched FROM transactions WHERE id >= ?", (first,)).fetchall()
    addresses = {number for (packed,) in touched for number in msgpack.unpackb(packed)}
    connection.executemany("DELETE FROM touches WHERE address = ? AND tx >= ?", ((item, first) for item in addresses))
    connection.execute("DELETE FROM transactions WHERE id >= ?", (first,))
    connection.execute("DELETE FROM undo WHERE height = ?", (tip.height,))
    connection.execute("DELETE FROM chain WHERE height = ?", (tip.height,))
    connection.executemany(
        "UPDATE blocks SET merged = NULL, blue = NULL WHERE idx = ?",
        ((item,) for item in (index, *(item for item, _ in _colouring(connection, index).merged))),
    )


def _apply_all(connection: sqlite3.Connection, applied: tuple[ChainBlock, ...], net: _Net) -> None:
    row = connection.execute(
        "SELECT height, block, first_transaction + transactions FROM chain ORDER BY height DESC LIMIT 1"
    ).fetchone()
    height, parent, first = (0, None, 1) if row is None else row
    for block in applied:
        colouring = _colouring(connection, block.index)
        if block.height != height + 1 or (parent is not None and colouring.blues[0] != parent):
            raise Internal(
                "wrong_parent", f"Block {block.height} does not follow the stored block {height}; nothing was written."
            )
        _apply(connection, block, colouring, first, net)
        height, parent, first = block.height, block.index, first + len(block.receipts)


def _apply(connection: sqlite3.Connection, block: ChainBlock, colouring: Colouring, first: int, net: _Net) -> None:
    receipts = block.receipts
    connection.execute(
        "INSERT INTO chain VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            block.height,
            block.index,
            block.epoch,
            block.fees,
            len(receipts),
            sum(receipt.status == FAILED for receipt in receipts),
            first,
            block.active_set,
        ),
    )
    connection.executemany(
        "UPDATE blocks SET merged = ?, blue = ? WHERE idx = ?",
        ((block.height, blue, index) for index, blue in (*colouring.merged, (block.index, True))),
    )
    ids = _address_ids(connection, receipts)
    connection.executemany(
        "INSERT INTO transactions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        _transaction_rows(connection, block, first, ids),
    )
    connection.executemany(
        "INSERT INTO touches VALUES (?, ?)",
        (
            (ids[raw], first + position)
            for position, receipt in enumerate(receipts)
            for raw in dict.fromkeys(receipt.touched)
        ),
    )
    old = []
    for table, key, before, after in block.changes:
        net[table, key] = after
        old.append((table, key, before))
    connection.execute("INSERT INTO undo VALUES (?, ?)", (block.height, msgpack.packb(old)))


def _transaction_rows(
    connection: sqlite3.Connection, block: ChainBlock, first: int, ids: dict[bytes, int]
) -> Iterator[tuple[object, ...]]:
    bodies: dict[int, bytes] = {}
    cursors: dict[int, int] = {}
    for position, receipt in enumerate(block.receipts):
        body = bodies.get(receipt.carrier)
        if body is None:
            row = connection.execute("SELECT body FROM bodies WHERE idx = ?", (receipt.carrier,)).fetchone()
            body = bodies[receipt.carrier] = b"" if row is None else row[0]
        cursor = cursors.get(receipt.carrier, 0)
        start = body.find(receipt.raw, cursor)  # mostly the next one of the body
        if start < 0:
            start = body.find(receipt.raw)
        else:
            cursors[receipt.carrier] = start + len(receipt.raw)
        yield (
            first + position,
            receipt.txid,
            receipt.wid,
            block.height,
            position,
            receipt.status,
            receipt.fee,
            receipt.carrier,
            max(start, 0),
            len(receipt.raw),
            receipt.reason,
            msgpack.packb([ids[raw] for raw in dict.fromkeys(receipt.touched)]),
            receipt.raw if start < 0 else None,
        )


def _address_ids(connection: sqlite3.Connection, receipts: tuple[Receipt, ...]) -> dict[bytes, int]:
    """Row ids of all touched addresses; new ones are added."""
    ids: dict[bytes, int] = {}
    for raw in dict.fromkeys(raw for receipt in receipts for raw in receipt.touched):
        row = connection.execute("SELECT id FROM addresses WHERE raw = ?", (raw,)).fetchone()
        if row is None:
            row = connection.execute("INSERT INTO addresses (raw) VALUES (?) RETURNING id", (raw,)).fetchone()
        ids[raw] = row[0]
    return ids
