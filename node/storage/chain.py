"""The chain in its database: one block, one transaction, and its exact reversal (protocol section 4).

Synchronous; `node.storage.writer` gives it a thread of its own. State values are the ledger's canonical encodings and
opaque here. Every method either does all of its work or none of it.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock

import msgpack

from node.api.errors import Internal, NexusError
from node.storage import database
from node.storage.faults import damaged, translated
from node.storage.records import (
    FAILED,
    BlockBatch,
    OpenReport,
    Receipt,
    StoredBlock,
    StoredTransaction,
    Tip,
)

BUCKETS = 256
WAVE_BYTES = 2_048

StateRow = tuple[str, bytes, bytes]
StateChange = tuple[str, bytes, bytes | None]

_SET_STATE = (
    "INSERT INTO state (tbl, key, value) VALUES (?, ?, ?) ON CONFLICT (tbl, key) DO UPDATE SET value = excluded.value"
)
_DELETE_STATE = "DELETE FROM state WHERE tbl = ? AND key = ?"
_SET_WAVE = "INSERT INTO waves (bucket, wave) VALUES (?, ?) ON CONFLICT (bucket) DO UPDATE SET wave = excluded.wave"
_TRANSACTION = """SELECT t.txid, t.wid,
    CASE WHEN t.raw IS NULL THEN substr(b.body, t.start + 1, t.length) ELSE t.raw END,
    t.height, t.position, t.status, t.reason, t.fee
    FROM transactions t JOIN blocks b ON b.height = t.height """


class ChainDatabase:
    """The one writing connection to `chain.db`."""

    def __init__(self, path: Path, connection: sqlite3.Connection, report: OpenReport) -> None:
        self.path = path
        self.report = report
        self._connection = connection
        self._lock = RLock()

    @classmethod
    def open(cls, path: Path, *, check: str = "auto") -> ChainDatabase:
        """Open or create the database; see `database.check_at_start` for `check`.

        Raises Damaged (foreign, newer, truncated, damaged, disk full, read-only) and leaves such a file alone.
        """
        connection, found = database.connect_writer(path)
        try:
            with translated(path):
                report = database.check_at_start(path, connection, found, check)
        except BaseException:
            connection.close()
            raise
        return cls(path, connection, report)

    def close(self) -> None:
        """Close and mark as cleanly closed."""
        with self._lock, translated(self.path):
            database.close_cleanly(self._connection)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, translated(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def write_genesis(
        self,
        genesis: bytes,
        rule_version: int,
        state: Iterable[StateRow],
        buckets: Iterable[tuple[int, bytes]],
        epoch: int = 0,
    ) -> None:
        """Write the state a chain begins with; refused when there is a chain already."""
        with self._transaction() as connection:
            if database.read_meta(connection, "genesis") is not None:
                raise Internal("chain_exists", f"{self.path.name} already holds a chain; nothing was changed.")
            database.write_meta(connection, "genesis", genesis)
            database.write_meta(connection, "rule_version", rule_version)
            database.write_meta(connection, "epoch", epoch)
            connection.executemany(_SET_STATE, state)
            connection.executemany(_SET_WAVE, _checked_buckets(buckets))

    def meta(self, name: str) -> database.MetaValue | None:
        """A value of the `meta` table: "genesis", "rule_version", "epoch", or one of the service's own."""
        with self._lock, translated(self.path):
            return database.read_meta(self._connection, name)

    def set_meta(self, values: dict[str, database.MetaValue]) -> None:
        """Set values of the `meta` table, all at once."""
        with self._transaction() as connection:
            for name, value in values.items():
                database.write_meta(connection, name, value)

    def tip(self) -> Tip | None:
        """The newest block, None while there is only the genesis state."""
        with self._lock, translated(self.path):
            return read_tip(self._connection)

    def apply_block(self, batch: BlockBatch) -> None:
        """Write a block and everything it changes. Its height and parent must follow the tip."""
        with self._transaction() as connection:
            tip = read_tip(connection)
            if tip is not None and (batch.height != tip.height + 1 or batch.parent_id != tip.block_id):
                raise Internal(
                    "wrong_parent",
                    f"Block {batch.height} does not follow the stored tip {tip.height}; nothing was written.",
                )
            first = connection.execute("SELECT coalesce(max(id), 0) + 1 FROM transactions").fetchone()[0]
            connection.execute(
                "INSERT INTO blocks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    batch.height,
                    batch.block_id,
                    batch.parent_id,
                    batch.slot,
                    batch.time_ms,
                    batch.epoch,
                    batch.fees,
                    len(batch.receipts),
                    sum(receipt.status == FAILED for receipt in batch.receipts),
                    first,
                    len(batch.header) + len(batch.body),
                    batch.header,
                    batch.body,
                ),
            )
            connection.executemany(
                "INSERT INTO transactions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                _transaction_rows(batch, first),
            )
            touched = _address_ids(connection, batch.receipts)
            connection.executemany(
                "INSERT INTO touches VALUES (?, ?)",
                (
                    (touched[raw], first + position)
                    for position, receipt in enumerate(batch.receipts)
                    for raw in dict.fromkeys(receipt.touched)
                ),
            )
            _write_state(connection, ((table, key, new) for table, key, _, new in batch.changes))
            old = [(table, key, value) for table, key, value, _ in batch.changes]
            epoch = database.read_meta(connection, "epoch")
            connection.execute(
                "INSERT INTO undo VALUES (?, ?)",
                (batch.height, msgpack.packb((epoch or 0, sorted(touched.values()), old))),
            )
            connection.executemany(_SET_WAVE, _checked_buckets(batch.buckets))
            database.write_meta(connection, "epoch", batch.epoch)

    def undo_block(self, height: int, buckets: Iterable[tuple[int, bytes]]) -> None:
        """Reverse the newest block: state, receipts, history and block are as before it.

        `buckets` are the waves of the changed buckets as they were before (the caller takes the entries out again).
        Raises Internal when `height` is not the tip or its undo record was pruned; nothing changes then.
        """
        with self._transaction() as connection:
            tip = read_tip(connection)
            row = connection.execute("SELECT rows FROM undo WHERE height = ?", (height,)).fetchone()
            if tip is None or tip.height != height or row is None:
                raise Internal("cannot_undo", f"Block {height} cannot be undone: no undo record of the tip.")
            epoch, touched, old = msgpack.unpackb(row[0])
            first = connection.execute("SELECT first_transaction FROM blocks WHERE height = ?", (height,)).fetchone()[0]
            connection.executemany(
                "DELETE FROM touches WHERE address = ? AND tx >= ?", ((number, first) for number in touched)
            )
            connection.execute("DELETE FROM transactions WHERE id >= ?", (first,))
            connection.execute("DELETE FROM undo WHERE height = ?", (height,))
            connection.execute("DELETE FROM blocks WHERE height = ?", (height,))
            _write_state(connection, old)
            connection.executemany(_SET_WAVE, _checked_buckets(buckets))
            database.write_meta(connection, "epoch", epoch)

    def sync(self) -> None:
        """Make every written block safe from a power cut.

        The WAL is synced directly: a checkpoint would do it only as far as no reader holds it back. What has left the
        WAL was synced by the checkpoint that moved it.
        """
        with self._lock, translated(self.path):
            try:
                number = os.open(self.path.with_name(self.path.name + "-wal"), os.O_RDWR | os.O_CLOEXEC)
            except FileNotFoundError:
                return
            try:
                os.fsync(number)
            finally:
                os.close(number)

    def prune_undo(self, below: int) -> int:
        """Drop the undo records of blocks below height `below`; return how many."""
        with self._transaction() as connection:
            return connection.execute("DELETE FROM undo WHERE height < ?", (below,)).rowcount

    def changes(self, height: int) -> tuple[StateChange, ...] | None:
        """The state records a block changed with their values before it, None when pruned."""
        with self._lock, translated(self.path):
            return read_changes(self._connection, height)

    def load_state(self, ordered: bool = False) -> Iterator[StateRow]:
        """All state records, in ascending order of table and key if `ordered` (slower).

        They belong to one block only if nothing is written before the last one is taken.
        """
        order = " ORDER BY tbl, key" if ordered else ""
        with self._lock, translated(self.path):
            cursor = self._connection.execute("SELECT tbl, key, value FROM state" + order)
        while True:
            with self._lock, translated(self.path):
                rows = cursor.fetchmany(2_000)
            if not rows:
                return
            yield from rows

    def load_waves(self) -> dict[int, bytes]:
        """The stored bucket waves; a bucket never written is absent (all zero)."""
        with self._lock, translated(self.path):
            return read_waves(self.path, self._connection)

    def block(self, height: int | None = None, block_id: bytes | None = None) -> StoredBlock | None:
        """A block by height or by id; the tip when neither is given."""
        with self._lock, translated(self.path):
            return read_block(self._connection, height, block_id)

    def blocks(self, first: int = 0) -> Iterator[StoredBlock]:
        """Every stored block from height `first` upwards."""
        tip = self.tip()
        for height in range(first, 0 if tip is None else tip.height + 1):
            block = self.block(height)
            if block is not None:
                yield block

    def transaction(self, txid: bytes) -> StoredTransaction | None:
        """An executed transaction by txid."""
        with self._lock, translated(self.path):
            return read_transaction(self._connection, txid)

    def has_transaction(self, txid: bytes) -> bool:
        """Whether a transaction was executed: a look-up in one index."""
        with self._lock, translated(self.path):
            row = self._connection.execute("SELECT 1 FROM transactions WHERE txid = ?", (txid,)).fetchone()
            return row is not None

    def integrity_problems(self, full: bool = True) -> list[str]:
        """What SQLite's check of the whole file complains about; empty when all is well."""
        with self._lock:
            try:
                with translated(self.path):
                    return database.integrity_problems(self._connection, full)
            except NexusError as error:
                return [error.message]

    def size_bytes(self) -> int:
        """Bytes on disk, the WAL included."""
        return sum(
            file.stat().st_size for file in (self.path, self.path.with_name(self.path.name + "-wal")) if file.exists()
        )


def _checked_buckets(buckets: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    for bucket, wave in buckets:
        if not 0 <= bucket < BUCKETS or len(wave) != WAVE_BYTES:
            raise Internal("bad_wave", f"Bucket {bucket} has a wave of {len(wave)} bytes; nothing was written.")
        yield bucket, wave


def _transaction_rows(batch: BlockBatch, first: int) -> Iterator[tuple[object, ...]]:
    cursor = 0
    for position, receipt in enumerate(batch.receipts):
        start = batch.body.find(receipt.raw, cursor)
        if start < 0:
            start = batch.body.find(receipt.raw)
        else:
            cursor = start + len(receipt.raw)
        yield (
            first + position,
            receipt.txid,
            receipt.wid,
            batch.height,
            position,
            receipt.status,
            receipt.fee,
            max(start, 0),
            len(receipt.raw),
            receipt.reason,
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


def _write_state(connection: sqlite3.Connection, changes: Iterable[tuple[str, bytes, bytes | None]]) -> None:
    written: list[StateRow] = []
    deleted: list[tuple[str, bytes]] = []
    for table, key, value in changes:
        if value is None:
            deleted.append((table, key))
        else:
            written.append((table, key, value))
    connection.executemany(_DELETE_STATE, deleted)
    connection.executemany(_SET_STATE, written)


def read_tip(connection: sqlite3.Connection) -> Tip | None:
    """The newest block, by any connection."""
    row = connection.execute(
        "SELECT height, id, slot, time_ms, epoch FROM blocks ORDER BY height DESC LIMIT 1"
    ).fetchone()
    return None if row is None else Tip(*row)


def read_block(
    connection: sqlite3.Connection, height: int | None = None, block_id: bytes | None = None
) -> StoredBlock | None:
    """A block by height or id (the tip when neither is given), by any connection."""
    select = (
        "SELECT height, id, parent, slot, time_ms, epoch, fees, transactions, failed, header, body, "
        "first_transaction FROM blocks "
    )
    if block_id is not None:
        row = connection.execute(select + "WHERE id = ?", (block_id,)).fetchone()
    elif height is not None:
        row = connection.execute(select + "WHERE height = ?", (height,)).fetchone()
    else:
        row = connection.execute(select + "ORDER BY height DESC LIMIT 1").fetchone()
    if row is None:
        return None
    txids = connection.execute(
        "SELECT txid FROM transactions WHERE id >= ? AND id < ? ORDER BY id", (row[11], row[11] + row[7])
    )
    return StoredBlock(*(*row[:11], tuple(txid for (txid,) in txids)))


def read_state(connection: sqlite3.Connection) -> Iterator[StateRow]:
    """All state records, by any connection that holds one snapshot meanwhile."""
    yield from connection.execute("SELECT tbl, key, value FROM state")


def read_waves(path: Path, connection: sqlite3.Connection) -> dict[int, bytes]:
    """The stored bucket waves, by any connection; a bucket never written is absent (all zero)."""
    waves: dict[int, bytes] = dict(connection.execute("SELECT bucket, wave FROM waves"))
    if any(not 0 <= bucket < BUCKETS or len(wave) != WAVE_BYTES for bucket, wave in waves.items()):
        raise damaged(path, "a bucket wave has a wrong size")
    return waves


def read_changes(connection: sqlite3.Connection, height: int) -> tuple[StateChange, ...] | None:
    """A block's undo record, by any connection: each changed entry with its value before; None when pruned."""
    row = connection.execute("SELECT rows FROM undo WHERE height = ?", (height,)).fetchone()
    return None if row is None else tuple((table, key, value) for table, key, value in msgpack.unpackb(row[0])[2])


def read_transaction(connection: sqlite3.Connection, txid: bytes) -> StoredTransaction | None:
    """An executed transaction by txid, by any connection."""
    row = connection.execute(_TRANSACTION + "WHERE t.txid = ?", (txid,)).fetchone()
    return None if row is None else StoredTransaction(*row)
