"""The chain database: the DAG, the selected chain and the state after it, one step of the engine a transaction.

Synchronous; `node.storage.writer` gives it a thread of its own. State values are the ledger's canonical encodings and
opaque here. Every method either does all of its work or none of it.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from node.api.errors import Internal
from node.storage import database, pruning
from node.storage.faults import translated
from node.storage.reader import ChainReader
from node.storage.records import Batch, MetaValue, NewCertificate, NewFinal, OpenReport
from node.storage.rows import StateRow
from node.storage.writing import SET_STATE, SET_WAVE, checked_buckets, state_rows, write_batch, write_finals


class ChainDatabase(ChainReader):
    """The one writing connection to `chain.db`."""

    def __init__(self, path: Path, connection: sqlite3.Connection, report: OpenReport) -> None:
        super().__init__(path, connection)
        self.report = report

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

    def adopt(self, write: Callable[[sqlite3.Connection], None]) -> None:
        """Fill an empty database as `write` does (`node.storage.snapshot`); refused when there is a chain already."""
        with self._transaction() as connection:
            if database.read_meta(connection, "genesis") is not None:
                raise Internal("chain_exists", f"{self.path.name} already holds a chain; nothing was changed.")
            write(connection)

    def keep_proofs(self, finals: Iterable[NewFinal], certificates: Iterable[NewCertificate]) -> None:
        """Keep final checkpoints and certificates that came from elsewhere."""
        with self._transaction() as connection:
            write_finals(connection, finals, certificates)

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

    def prune_proofs(self, before_slot: int) -> int:
        """Drop what light clients could ask of final checkpoints before a slot; return how many of these."""
        with self._transaction() as connection:
            return pruning.prune_proofs(connection, before_slot)

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

    def used_bytes(self) -> int:
        """Bytes of the database's pages that hold something; the others are filled before the file grows."""
        with self._lock, translated(self.path):
            page, pages, free = (
                int(self._connection.execute(f"PRAGMA {name}").fetchone()[0])
                for name in ("page_size", "page_count", "freelist_count")
            )
            return (pages - free) * page

    def limit_wal(self, limit: int) -> None:
        """Fold the WAL into the file whenever it comes near `limit` bytes, and cut it back to them."""
        with self._lock, translated(self.path):
            page = int(self._connection.execute("PRAGMA page_size").fetchone()[0])
            self._connection.execute(f"PRAGMA wal_autocheckpoint = {max(1, limit // 2 // page)}")
            self._connection.execute(f"PRAGMA journal_size_limit = {limit}")

    def shrink(self) -> None:
        """Give the room of empty pages back to the system. Takes a while, and for that long as much room once more."""
        with self._lock, translated(self.path):
            self._connection.execute("VACUUM")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def size_bytes(self) -> int:
        """Bytes on disk, the WAL included."""
        return sum(
            file.stat().st_size for file in (self.path, self.path.with_name(self.path.name + "-wal")) if file.exists()
        )
