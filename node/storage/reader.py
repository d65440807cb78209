"""What the chain database says, over any connection: the writer's own, or a reader's that sees one snapshot."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock

from node.api.errors import NexusError
from node.light.waves import bucket_of
from node.storage import database, rows
from node.storage.faults import translated
from node.storage.records import DagRow, MetaValue, StoredBlock, StoredTransaction, Tip
from node.storage.rows import StateChange, StateRow

_AT_ONCE = 2_000


class ChainReader:
    """Reads the chain at `path`. Calls from several threads take turns."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection
        self._lock = RLock()

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

    def executing(self, low: int, high: int) -> list[int]:
        """Heights above `low` and up to `high` of chain blocks that executed a transaction, ascending."""
        with self._lock, translated(self.path):
            return list(rows.read_executing(self._connection, low, high))

    def active_sets(self) -> list[tuple[bytes, bytes]]:
        """(block id, active set) of the checkpoints' blocks among the DAG's chain blocks."""
        with self._lock, translated(self.path):
            return list(rows.read_active_sets(self._connection))

    def votes(self) -> tuple[bytes, ...]:
        """The votes that were heard and are not settled yet."""
        with self._lock, translated(self.path):
            return rows.read_votes(self._connection)

    def heard(self) -> list[tuple[bytes, int, bytes]]:
        """(id, number of the target, vote) of the votes that were heard and are not settled yet."""
        with self._lock, translated(self.path):
            return self._connection.execute("SELECT id, target, vote FROM votes ORDER BY target, id").fetchall()

    def checkpoint(self, prefix: bytes) -> bytes | None:
        """The final checkpoint whose hash begins so, encoded; None where there is none, or more than one."""
        with self._lock, translated(self.path):
            found = self._connection.execute(
                "SELECT checkpoint FROM checkpoints WHERE hash >= ? AND hash < ? LIMIT 2",
                (prefix, prefix + b"\xff" * 33),
            ).fetchall()
            return found[0][0] if len(found) == 1 else None

    def newest_checkpoint(self) -> tuple[int, int, bytes] | None:
        """(number, height of its block, encoded) of the newest final checkpoint."""
        with self._lock, translated(self.path):
            found: tuple[int, int, bytes] | None = self._connection.execute(
                "SELECT number, height, checkpoint FROM checkpoints ORDER BY number DESC LIMIT 1"
            ).fetchone()
            return found

    def oldest_checkpoint(self) -> tuple[int, int, bytes] | None:
        """The same of the oldest one that is kept."""
        with self._lock, translated(self.path):
            found: tuple[int, int, bytes] | None = self._connection.execute(
                "SELECT number, height, checkpoint FROM checkpoints ORDER BY number LIMIT 1"
            ).fetchone()
            return found

    def tables(self, hashes: Iterable[bytes]) -> list[bytes]:
        """The contents of those of these validator tables that are kept."""
        with self._lock, translated(self.path):
            found = (
                self._connection.execute("SELECT content FROM tables WHERE hash = ?", (name,)).fetchone()
                for name in hashes
            )
            return [row[0] for row in found if row is not None]

    def certificates(self, after: int, limit: int) -> list[bytes]:
        """Encoded certificates of checkpoints above a number, ascending."""
        with self._lock, translated(self.path):
            found = self._connection.execute(
                "SELECT certificate FROM certificates WHERE number > ? ORDER BY number LIMIT ?", (after, limit)
            )
            return [row[0] for row in found]

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

    def record(self, table: str, key: bytes) -> bytes | None:
        """One state record, encoded; None where it has its default."""
        with self._lock, translated(self.path):
            question = "SELECT value FROM state WHERE bucket = ? AND tbl = ? AND key = ?"
            row = self._connection.execute(question, (bucket_of(table, key), table, key)).fetchone()
            return None if row is None else bytes(row[0])

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

    def accepted(self, height: int) -> tuple[StoredTransaction, ...]:
        """What a block of the selected chain executed, in order."""
        with self._lock, translated(self.path):
            return rows.read_accepted(self._connection, height)

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


@contextmanager
def reading(path: Path) -> Iterator[ChainReader]:
    """A reader of one snapshot of the database, beside whoever writes it. Errors as of `database.connect_reader`."""
    connection = database.connect_reader(path)
    try:
        with translated(path):
            connection.execute("BEGIN")
            yield ChainReader(path, connection)
    finally:
        connection.close()
