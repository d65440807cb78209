"""The outbox: transactions accepted from this machine and not yet deep in the chain.

They cannot be fetched from anybody again, so an accepted one is on disk (`synchronous=FULL`, an fsync a commit) before
the sender hears of it. Submissions that arrive while a commit is under way share the next one.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from node.api.errors import Refused
from node.storage import database
from node.storage.connections import Connection
from node.storage.faults import translated
from node.storage.schema import Migration

APPLICATION_ID = 0x4E58554F  # "NXUO"
MAX_WAITING = 10_000
MAX_WAITING_BYTES = 32 * 1024 * 1024
KEPT_EXPIRED = 1_000
VERSION = 1

_MIGRATIONS = (
    Migration(
        1,
        (
            """CREATE TABLE outbox (
                id INTEGER PRIMARY KEY,
                txid BLOB NOT NULL,
                wid BLOB NOT NULL,
                expiry INTEGER NOT NULL,
                added_ms INTEGER NOT NULL,
                expired_ms INTEGER,
                reason TEXT NOT NULL,
                raw BLOB NOT NULL)""",
            "CREATE UNIQUE INDEX outbox_txid ON outbox (txid)",
            "CREATE INDEX outbox_expired ON outbox (expired_ms) WHERE expired_ms IS NOT NULL",
        ),
    ),
)
_SELECT = "SELECT txid, wid, raw, expiry, added_ms, expired_ms, reason FROM outbox "


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """A kept transaction. `expired_ms` and `reason` are set once it can no longer get into a block."""

    txid: bytes
    wid: bytes
    raw: bytes
    expiry: int  # slot
    added_ms: int
    expired_ms: int | None = None
    reason: str = ""


_Action = Callable[[sqlite3.Connection], object]


class Outbox:
    """The one writer of `outbox.db`."""

    def __init__(self, path: Path, connection: sqlite3.Connection, waiting: int, waiting_bytes: int) -> None:
        self.path = path
        self._connection = connection
        self._waiting = waiting
        self._waiting_bytes = waiting_bytes
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="outbox")
        self._queue: list[tuple[_Action, asyncio.Future[object]]] = []
        self._committer: asyncio.Task[None] | None = None

    @classmethod
    def open(cls, path: Path) -> Outbox:
        """Open or create the outbox. Errors as for the chain database."""
        connection, _ = database.connect_writer(
            path,
            application_id=APPLICATION_ID,
            migrations=_MIGRATIONS,
            synchronous="FULL",
            cache_kib=1_024,
        )
        try:
            with translated(path):
                waiting, size = connection.execute(
                    "SELECT count(*), coalesce(sum(length(raw)), 0) FROM outbox WHERE expired_ms IS NULL"
                ).fetchone()
        except BaseException:
            connection.close()
            raise
        return cls(path, connection, waiting, size)

    @property
    def waiting_count(self) -> int:
        """How many entries wait."""
        return self._waiting

    async def add(self, entry: OutboxEntry) -> bool:
        """Keep a transaction; when this returns it is on disk. False if its txid was kept already.

        A kept one that had expired waits again. Raises Refused when the outbox is full, Damaged when the disk is.
        """
        if self._waiting >= MAX_WAITING or self._waiting_bytes + len(entry.raw) > MAX_WAITING_BYTES:
            raise Refused(
                "outbox_full",
                f"{self._waiting} of your transactions wait for a block already; this one was not accepted.",
                "Wait until some are confirmed.",
            )
        self._waiting += 1
        self._waiting_bytes += len(entry.raw)
        added = False
        try:
            added = bool(await self._write(lambda connection: _insert(connection, entry)))
        finally:
            if not added:
                self._waiting -= 1
                self._waiting_bytes -= len(entry.raw)
        return added

    async def remove(self, txids: Iterable[bytes]) -> None:
        """Forget transactions that are deep in the chain. Unknown ones are ignored."""
        wanted = tuple(txids)
        if wanted:
            await self._leave(lambda connection: _delete(connection, wanted))

    async def expire(self, txids: Iterable[bytes], reason: str, now_ms: int) -> None:
        """Note that these can no longer get into a block; the newest thousand such notes are kept."""
        wanted = tuple(txids)
        if wanted:
            await self._leave(lambda connection: _expire(connection, wanted, reason, now_ms))

    async def waiting(self) -> tuple[OutboxEntry, ...]:
        """All waiting entries, oldest first."""
        return await self._read(_waiting)

    async def expired(self) -> tuple[OutboxEntry, ...]:
        """The kept expired entries, newest first."""
        return await self._read(_expired)

    async def find(self, txid: bytes) -> OutboxEntry | None:
        """An entry by txid, waiting or expired."""
        found = await self._read(
            lambda connection: tuple(
                OutboxEntry(*row) for row in connection.execute(_SELECT + "WHERE txid = ?", (txid,))
            )
        )
        return found[0] if found else None

    async def close(self) -> None:
        """Finish all writes and close."""
        if self._committer is not None:
            await self._committer
        with translated(self.path):
            await asyncio.get_running_loop().run_in_executor(self._thread, self._connection.close)
        self._thread.shutdown(wait=False)

    async def _leave(self, action: Callable[[sqlite3.Connection], list[int]]) -> None:
        """Run an action that returns the sizes of the entries that no longer wait."""
        sizes: list[int] = []
        await self._write(lambda connection: sizes.extend(action(connection)))
        self._waiting -= len(sizes)
        self._waiting_bytes -= sum(sizes)

    async def _read(self, action: Callable[[sqlite3.Connection], tuple[OutboxEntry, ...]]) -> tuple[OutboxEntry, ...]:
        with translated(self.path):
            return await asyncio.get_running_loop().run_in_executor(self._thread, action, self._connection)

    async def _write(self, action: _Action) -> object:
        """Queue an action for the next commit and wait for that commit."""
        future: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        self._queue.append((action, future))
        if self._committer is None or self._committer.done():
            self._committer = asyncio.create_task(self._commit_queue())
        # a caller that gives up must not take the commit of the others with it
        return await asyncio.shield(future)

    async def _commit_queue(self) -> None:
        loop = asyncio.get_running_loop()
        while self._queue:
            group, self._queue = self._queue, []
            try:
                results = await loop.run_in_executor(self._thread, self._commit, [item[0] for item in group])
            except BaseException as error:
                for _, future in group:
                    if not future.done():
                        future.set_exception(error)
                        future.exception()  # a caller that is gone leaves no complaint behind
                if not isinstance(error, Exception):
                    raise
            else:
                for (_, future), result in zip(group, results, strict=True):
                    if not future.done():
                        future.set_result(result)

    def _commit(self, actions: list[_Action]) -> list[object]:
        with translated(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                results = [action(self._connection) for action in actions]
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            return results


def _insert(connection: sqlite3.Connection, entry: OutboxEntry) -> bool:
    found = connection.execute("SELECT expired_ms FROM outbox WHERE txid = ?", (entry.txid,)).fetchone()
    if found is not None and found[0] is None:
        return False
    connection.execute("DELETE FROM outbox WHERE txid = ?", (entry.txid,))
    connection.execute(
        "INSERT INTO outbox (txid, wid, expiry, added_ms, reason, raw) VALUES (?, ?, ?, ?, '', ?)",
        (entry.txid, entry.wid, entry.expiry, entry.added_ms, entry.raw),
    )
    return True


def _delete(connection: sqlite3.Connection, txids: tuple[bytes, ...]) -> list[int]:
    sizes: list[int] = []
    for txid in txids:
        rows = connection.execute(
            "DELETE FROM outbox WHERE txid = ? RETURNING length(raw), expired_ms", (txid,)
        ).fetchall()
        sizes += [size for size, expired_ms in rows if expired_ms is None]
    return sizes


def _expire(connection: sqlite3.Connection, txids: tuple[bytes, ...], reason: str, now_ms: int) -> list[int]:
    sizes: list[int] = []
    for txid in txids:
        rows = connection.execute(
            "UPDATE outbox SET expired_ms = ?, reason = ? WHERE txid = ? AND expired_ms IS NULL RETURNING length(raw)",
            (now_ms, reason, txid),
        ).fetchall()
        sizes += [size for (size,) in rows]
    connection.execute(
        "DELETE FROM outbox WHERE expired_ms IS NOT NULL AND id NOT IN (SELECT id FROM outbox "
        "WHERE expired_ms IS NOT NULL ORDER BY expired_ms DESC, id DESC LIMIT ?)",
        (KEPT_EXPIRED,),
    )
    return sizes


def _waiting(connection: sqlite3.Connection) -> tuple[OutboxEntry, ...]:
    rows = connection.execute(_SELECT + "WHERE expired_ms IS NULL ORDER BY id")
    return tuple(OutboxEntry(*row) for row in rows)


def _expired(connection: sqlite3.Connection) -> tuple[OutboxEntry, ...]:
    rows = connection.execute(_SELECT + "WHERE expired_ms IS NOT NULL ORDER BY expired_ms DESC, id DESC")
    return tuple(OutboxEntry(*row) for row in rows)


def read_outbox(path: Path) -> tuple[tuple[OutboxEntry, ...], tuple[OutboxEntry, ...]]:
    """Waiting and expired entries of a node's outbox without its lock; nothing when there is no outbox."""
    if not path.exists():
        return (), ()
    uri = database.reader_uri(path, APPLICATION_ID, VERSION)
    with translated(path):
        connection = sqlite3.connect(uri, uri=True, timeout=5.0, factory=Connection)
        try:
            if connection.execute("PRAGMA application_id").fetchone()[0] == 0:
                return (), ()
            return _waiting(connection), _expired(connection)
        finally:
            connection.close()
