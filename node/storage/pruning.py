"""What may go, so that disk and memory stay flat however long the network lives (protocol section 4).

Blocks leave the DAG when the engine says so. Bodies go after their retention: the transactions that the chain accepted
from them keep their own bytes, so the history stays whole. The history itself goes after a longer retention, or never.
Undo records go below the newest final checkpoint's block, which no reorganisation may pass. The state always stays.
SQLite gives freed pages to later blocks, so the file stops growing; only `ChainDatabase.shrink` makes it smaller.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

import msgpack

from node.storage.records import Colouring


def leave_dag(connection: sqlite3.Connection, dropped: Iterable[int]) -> None:
    """These blocks are in the DAG no longer."""
    connection.executemany("UPDATE blocks SET dag = 0 WHERE idx = ?", ((index,) for index in dropped))


def prune_undo(connection: sqlite3.Connection, below: int) -> int:
    """Drop the undo records of chain blocks below height `below`; return how many."""
    return connection.execute("DELETE FROM undo WHERE height < ?", (below,)).rowcount


def prune_votes(connection: sqlite3.Connection, below: int) -> int:
    """Drop heard votes whose target lies below checkpoint `below`; return how many."""
    return connection.execute("DELETE FROM votes WHERE target < ?", (below,)).rowcount


def prune_proofs(connection: sqlite3.Connection, before_slot: int) -> int:
    """Drop final checkpoints before a slot with their certificates and tables; return how many. The newest stays."""
    gone = connection.execute(
        "DELETE FROM checkpoints WHERE slot < ? AND number < (SELECT max(number) FROM checkpoints)", (before_slot,)
    ).rowcount
    connection.execute(
        "DELETE FROM certificates WHERE slot < ? AND number < (SELECT max(number) FROM certificates)", (before_slot,)
    )
    # A table is used by the newest checkpoint that is made with it, and this one is kept.
    connection.execute("DELETE FROM tables WHERE slot < (SELECT min(slot) FROM checkpoints)")
    return gone


def prune_bodies(connection: sqlite3.Connection, before_slot: int, limit: int) -> int:
    """Drop up to `limit` bodies of blocks before a slot that left the DAG; return how many.

    A block off the chain that carried nothing goes altogether.
    """
    found = connection.execute(
        "SELECT o.idx, b.merged FROM bodies o JOIN blocks b ON b.idx = o.idx "
        "WHERE o.slot < ? AND b.dag = 0 ORDER BY o.slot LIMIT ?",
        (before_slot, limit),
    ).fetchall()
    for index, height in found:
        carried = 0
        if height is not None:
            carried = connection.execute(
                "UPDATE transactions SET raw = (SELECT substr(o.body, start + 1, length) FROM bodies o "
                "WHERE o.idx = carrier) WHERE carrier = ?2 AND raw IS NULL AND id >= "
                "(SELECT first_transaction FROM chain WHERE height = ?1) AND id < "
                "(SELECT first_transaction + transactions FROM chain WHERE height = ?1)",
                (height, index),
            ).rowcount
        connection.execute("DELETE FROM bodies WHERE idx = ?", (index,))
        if not carried:
            connection.execute(
                "DELETE FROM blocks WHERE idx = ?1 "
                "AND NOT EXISTS (SELECT 1 FROM chain WHERE height = ?2 AND block = ?1)",
                (index, height),
            )
    return len(found)


def prune_history(connection: sqlite3.Connection, before_slot: int, limit: int) -> int:
    """Drop up to `limit` of the oldest chain blocks, before a slot and out of the DAG, with what they accepted.

    Returns how many went. The newest chain block always stays.
    """
    found = connection.execute(
        "SELECT c.height, c.block, c.first_transaction, c.first_transaction + c.transactions, b.colouring "
        "FROM chain c JOIN blocks b ON b.idx = c.block WHERE c.height < (SELECT max(height) FROM chain) "
        "ORDER BY c.height LIMIT ?",
        (limit,),
    ).fetchall()
    gone = 0
    for height, index, first, end, colouring in found:
        merged = [index, *(other for other, _ in Colouring.decode(colouring, index).merged)]
        marks = ",".join("?" * len(merged))
        kept = connection.execute(f"SELECT max(dag), max(slot) FROM blocks WHERE idx IN ({marks})", merged).fetchone()
        if kept[0] or kept[1] >= before_slot or _has_undo(connection, height):
            break
        rows = connection.execute("SELECT id, touched FROM transactions WHERE id >= ? AND id < ?", (first, end))
        connection.executemany(
            "DELETE FROM touches WHERE address = ? AND tx = ?",
            [(address, number) for number, touched in rows for address in msgpack.unpackb(touched)],
        )
        connection.execute("DELETE FROM transactions WHERE id >= ? AND id < ?", (first, end))
        connection.execute("DELETE FROM chain WHERE height = ?", (height,))
        for table in ("bodies", "blocks"):
            connection.executemany(f"DELETE FROM {table} WHERE idx = ?", ((other,) for other in merged))
        gone += 1
    return gone


def _has_undo(connection: sqlite3.Connection, height: int) -> bool:
    return connection.execute("SELECT 1 FROM undo WHERE height = ?", (height,)).fetchone() is not None
