"""The chain database: the DAG, the selected chain and the state after it, one step of the engine a transaction.

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

from node.api.errors import Internal, NexusError
from node.storage import database, pruning, rows
from node.storage.faults import translated
from node.storage.records import Batch, DagRow, MetaValue, OpenReport, StoredBlock, StoredTransaction, Tip
from node.storage.rows import StateChange, StateRow
from node.storage.writing import SET_STATE, SET_WAVE, checked_buckets, state_rows, write_batch

_AT_ONCE = 2_000


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

        Raises Damaged (foreign, newer, of other rules, truncated, damaged, disk full, read-only) and leaves such a
        file alone.
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

    # -- writing --------------------------------------------------------------------------------------------------

    def write_genesis(
        self,
        genesis: bytes,
        rule_version: int,
        state: Iterable[StateRow],
        buckets: Iterable[tuple[int, bytes]],
        meta: dict[str, MetaValue] | None = None,
    ) -> None:
        """Write the state a chain begins with; refused when there is a chain already."""
        with self._transaction() as connection:
            if database.read_meta(connection, "genesis") is not None:
                raise Internal("chain_exists", f"{self.path.name} already holds a chain; nothing was changed.")
            for name, value in {"genesis": genesis, "rule_version": rule_version, **(meta or {})}.items():
                database.write_meta(connection, name, value)
            connection.executemany(SET_STATE, state_rows(state))
            connection.executemany(SET_WAVE, checked_buckets(buckets))

    def advance(self, batch: Batch) -> None:
        """Write a step of the engine. Raises Internal where it does not follow what is stored."""
        with self._transaction() as connection:
            write_batch(connection, batch)

    def set_meta(self, values: dict[str, MetaValue]) -> None:
        """Set values of the `meta` table, all at once."""
        with self._transaction() as connection:
            for name, value in values.items():
                database.write_meta(connection, name, value)

    def move_root(self, dropped: Iterable[int], meta: dict[str, MetaValue]) -> None:
        """The DAG begins at a later root: blocks leave it, and `meta` holds the new root's record."""
        with self._transaction() as connection:
            pruning.leave_dag(connection, dropped)
            for name, value in meta.items():
                database.write_meta(connection, name, value)

    def prune_undo(self, below: int) -> int:
        """Drop the undo records of chain blocks below height `below`; return how many."""
        with self._transaction() as connection:
            return pruning.prune_undo(connection, below)

    def prune_votes(self, below: int) -> int:
        """Drop heard votes whose target lies below checkpoint `below`; return how many."""
        with self._transaction() as connection:
            return pruning.prune_votes(connection, below)

    def prune_bodies(self, before_slot: int, limit: int = 200) -> int:
        """Drop up to `limit` bodies before a slot that nobody needs; return how many. See `node.storage.pruning`."""
        with self._transaction() as connection:
            return pruning.prune_bodies(connection, before_slot, limit)

    def prune_history(self, before_slot: int, limit: int = 200) -> int:
        """Drop up to `limit` of the oldest chain blocks, before a slot; return how many. See `node.storage.pruning`."""
        with self._transaction() as connection:
            return pruning.prune_history(connection, before_slot, limit)

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

    # -- reading --------------------------------------------------------------------------------------------------

    def meta(self, name: str) -> MetaValue | None:
        """A value of the `meta` table: "genesis", "rule_version", or one of the service's own."""
        with self._lock, translated(self.path):
            return database.read_meta(self._connection, name)

    def tip(self) -> Tip | None:
        """The newest block of the selected chain, None while there is only the genesis state."""
        with self._lock, translated(self.path):
            return rows.read_tip(self._connection)

    def dag(self) -> list[DagRow]:
        """The blocks that the DAG keeps, by index. Raises ValueError or TypeError where one cannot be read."""
        with self._lock, translated(self.path):
            return list(rows.read_dag(self._connection))

    def chain(self) -> list[tuple[int, int]]:
        """(height, index) of the kept blocks of the selected chain, oldest first."""
        with self._lock, translated(self.path):
            return list(rows.read_chain(self._connection))

    def votes(self) -> tuple[bytes, ...]:
        """The votes that were heard and are not settled yet."""
        with self._lock, translated(self.path):
            return rows.read_votes(self._connection)

    def changes(self, height: int) -> tuple[StateChange, ...] | None:
        """The state records a chain block changed with their values before it, None when pruned."""
        with self._lock, translated(self.path):
            return rows.read_changes(self._connection, height)

    def load_state(self, ordered: bool = False) -> Iterator[StateRow]:
        """All state records, bucket by bucket in ascending order of table and key if `ordered` (slower).

        They belong to one block only if nothing is written before the last one is taken.
        """
        with self._lock, translated(self.path):
            order = " ORDER BY bucket, tbl, key" if ordered else ""
            cursor = self._connection.execute("SELECT tbl, key, value FROM state" + order)
        while True:
            with self._lock, translated(self.path):
                found = cursor.fetchmany(_AT_ONCE)
            if not found:
                return
            yield from found

    def load_waves(self) -> dict[int, bytes]:
        """The stored bucket waves; a bucket never written is absent (all zero)."""
        with self._lock, translated(self.path):
            return rows.read_waves(self.path, self._connection)

    def block(self, height: int | None = None, block_id: bytes | None = None) -> StoredBlock | None:
        """A block of the selected chain by height or by id; the tip when neither is given."""
        with self._lock, translated(self.path):
            return rows.read_block(self._connection, height, block_id)

    def dag_block(self, index: int | None = None, block_id: bytes | None = None) -> DagRow | None:
        """A kept block by index or id, in the DAG or left over from it."""
        with self._lock, translated(self.path):
            return rows.read_dag_block(self._connection, index, block_id)

    def blocks(self, first: int = 0) -> Iterator[StoredBlock]:
        """Every kept block of the selected chain from height `first` upwards."""
        for height, _ in self.chain():
            block = self.block(height) if height >= first else None
            if block is not None:
                yield block

    def transaction(self, txid: bytes) -> StoredTransaction | None:
        """An executed transaction by txid."""
        with self._lock, translated(self.path):
            return rows.read_transaction(self._connection, txid)

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
