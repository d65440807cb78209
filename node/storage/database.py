"""Opening SQLite files: creation, migrations, refusal of foreign and newer files, the check at start.

The chain runs with WAL and `synchronous=NORMAL`: a killed process loses nothing, a power cut at most the last blocks,
which can be made or fetched again. What cannot be fetched again (outbox, signing record) is written with an fsync each.
A file is looked at before SQLite may write to it: a foreign, newer or truncated one stays untouched.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

from node.api.errors import Damaged, Refused
from node.ledger.genesis import RULE_VERSION
from node.storage import schema
from node.storage.connections import Connection, opened_here
from node.storage.faults import damaged, from_sqlite, not_a_database, other_rules, translated
from node.storage.files import sync_folder
from node.storage.records import MetaValue, OpenReport

_MAGIC = b"SQLite format 3\x00"
_HEADER = 100
_BUSY_MS = 5_000
_QUICK_CHECK_LIMIT = 64 * 1024 * 1024  # a larger database is only quick-checked after an unclean stop


def _wal_size(path: Path) -> int:
    try:
        return path.with_name(path.name + "-wal").stat().st_size
    except FileNotFoundError:
        return 0


def _newer(path: Path, version: int, known: int) -> Damaged:
    return Damaged(
        "newer_database",
        f"{path.name} was written by a newer Nexus (database version {version}; this one knows {known}). "
        "It was left as it is.",
        "Update Nexus, or restore a backup made by this version.",
    )


def inspect(path: Path, application_id: int, version: int) -> bool:
    """Look at the raw file; return whether it holds anything yet. Never writes.

    Raises Damaged for a foreign, newer or truncated file.
    """
    if opened_here(path):
        return True  # it was looked at when it was opened; another look would cost its locks
    with translated(path):
        try:
            with path.open("rb") as file:
                header = file.read(_HEADER)
                size = os.fstat(file.fileno()).st_size
        except FileNotFoundError:
            return False
    if not header:
        return _wal_size(path) > 0
    if header[:16] != _MAGIC[: len(header)]:
        raise not_a_database(path)
    if len(header) < _HEADER:
        raise damaged(path, f"only {size} bytes are left of it")
    page = int.from_bytes(header[16:18], "big")
    page = 65_536 if page == 1 else page
    pages = int.from_bytes(header[28:32], "big")
    if pages * page > size and not _wal_size(path):
        raise damaged(path, f"it is cut off: {size:,} of {pages * page:,} bytes are there")
    stored_application = int.from_bytes(header[68:72], "big")
    if stored_application not in (0, application_id):
        raise not_a_database(path)
    stored_version = int.from_bytes(header[60:64], "big")
    if stored_application == application_id and stored_version > version:
        raise _newer(path, stored_version, version)
    return True


def _pragma_int(connection: sqlite3.Connection, name: str) -> int:
    row = connection.execute(f"PRAGMA {name}").fetchone()
    return int(row[0])


def _confirm_ours(path: Path, connection: sqlite3.Connection, application_id: int, version: int) -> int:
    """The stored version (0: still empty). Asks SQLite, since the newest header may lie in the WAL."""
    stored_application = _pragma_int(connection, "application_id")
    stored_version = _pragma_int(connection, "user_version")
    if stored_application == 0:
        if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] or stored_version:
            raise not_a_database(path)
        return 0
    if stored_application != application_id:
        raise not_a_database(path)
    if stored_version > version:
        raise _newer(path, stored_version, version)
    return stored_version


def _confirm_rules(path: Path, connection: sqlite3.Connection) -> None:
    """A chain of another rule version has other tables: nothing of it can be read here."""
    version = read_meta(connection, "rule_version")
    if version is not None and version != RULE_VERSION:
        raise other_rules(path, version, RULE_VERSION)


def _create_private(path: Path) -> None:
    """Create an empty file of mode 0600, so that SQLite's side files get that mode too."""
    if not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        sync_folder(path.parent)


def connect_writer(
    path: Path,
    *,
    application_id: int = schema.APPLICATION_ID,
    migrations: tuple[schema.Migration, ...] = schema.MIGRATIONS,
    synchronous: str = "NORMAL",
    cache_kib: int = 8_192,
) -> tuple[sqlite3.Connection, int]:
    """A writing connection and the version found before migration (0: new file).

    Transactions are explicit (`BEGIN IMMEDIATE`). The connection may move between threads but serves one at a time.
    """
    newest = migrations[-1].version
    existed = inspect(path, application_id, newest)
    with translated(path):
        if existed and not os.access(path, os.W_OK):
            raise PermissionError(13, "read-only", str(path))
        _create_private(path)
        if existed:
            probe = sqlite3.connect(_uri(path, "mode=ro"), uri=True, timeout=_BUSY_MS / 1000, factory=Connection)
            try:
                if _confirm_ours(path, probe, application_id, newest) and application_id == schema.APPLICATION_ID:
                    _confirm_rules(path, probe)
            finally:
                probe.close()
        connection = sqlite3.connect(
            path, timeout=_BUSY_MS / 1000, isolation_level=None, check_same_thread=False, factory=Connection
        )
    try:
        with translated(path):
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA synchronous = {synchronous}")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute(f"PRAGMA cache_size = -{cache_kib}")
            connection.execute("PRAGMA wal_autocheckpoint = 4000")
            connection.execute("PRAGMA journal_size_limit = 33554432")
            connection.execute("PRAGMA trusted_schema = OFF")
            found = _migrate(path, connection, application_id, migrations)
    except BaseException:
        connection.close()
        raise
    return connection, found


def _migrate(
    path: Path,
    connection: sqlite3.Connection,
    application_id: int,
    migrations: tuple[schema.Migration, ...],
) -> int:
    found = _confirm_ours(path, connection, application_id, migrations[-1].version)
    for migration in migrations:
        if migration.version <= found:
            continue
        connection.execute("BEGIN IMMEDIATE")
        try:
            for statement in migration.statements:
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {application_id}")
            connection.execute(f"PRAGMA user_version = {migration.version}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
    if found != migrations[-1].version:
        # the file's own header then names application and version, for `inspect`
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return found


def _uri(path: Path, options: str) -> str:
    return f"{path.resolve().as_uri()}?{options}"


def reader_uri(path: Path, application_id: int = schema.APPLICATION_ID, version: int = schema.VERSION) -> str:
    """The URI for reading connections beside a running writer, after looking at the file.

    On a read-only disk SQLite cannot make the WAL's index; a cleanly closed database is then read as immutable.
    """
    if not path.exists():
        raise Refused("missing_file", f"{path} does not exist.", "Run `nexus init` to set up this profile.")
    inspect(path, application_id, version)
    uri = _uri(path, "mode=ro")
    probe: sqlite3.Connection | None = None
    try:
        probe = sqlite3.connect(uri, uri=True, timeout=_BUSY_MS / 1000, factory=Connection)
        probe.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error as error:
        code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
        if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY) and os.access(path, os.R_OK):
            if not _wal_size(path):
                return _uri(path, "mode=ro&immutable=1")
            raise Damaged(
                "read_only",
                f"{path} was not closed cleanly and its folder is read-only, so its last blocks cannot be read.",
                "Make the folder writable, or copy it to a writable place and read it there.",
            ) from error
        raise from_sqlite(path, error) from error
    finally:
        if probe is not None:
            probe.close()
    return uri


def connect_reader(path: Path) -> sqlite3.Connection:
    """A read-only connection to the chain database; it never blocks the writer nor is blocked by it."""
    uri = reader_uri(path)
    with translated(path):
        connection = sqlite3.connect(
            uri, uri=True, timeout=_BUSY_MS / 1000, check_same_thread=False, factory=Connection
        )
    try:
        with translated(path):
            if _confirm_ours(path, connection, schema.APPLICATION_ID, schema.VERSION) == 0:
                raise empty_chain(path)
            _confirm_rules(path, connection)
    except BaseException:
        connection.close()
        raise
    return connection


def empty_chain(path: Path) -> Refused:
    """The error for a database without a chain in it."""
    return Refused("empty_chain", f"{path.name} holds no chain yet.", "Start the node once, or run `nexus init`.")


def read_meta(connection: sqlite3.Connection, name: str) -> MetaValue | None:
    """A value of the `meta` table, or None."""
    row = connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    if row is None:
        return None
    value: MetaValue = row[0]
    return value


def write_meta(connection: sqlite3.Connection, name: str, value: MetaValue) -> None:
    """Set a value of the `meta` table."""
    connection.execute(
        "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (name, value),
    )


def integrity_problems(connection: sqlite3.Connection, full: bool) -> list[str]:
    """What SQLite's own check complains about, at most ten lines; empty when all is well.

    The quick check reads every page; the full one also compares indexes with their tables.
    """
    pragma = "integrity_check(10)" if full else "quick_check(10)"
    found = [str(row[0]) for row in connection.execute(f"PRAGMA {pragma}")]
    problems = [] if found == ["ok"] else found
    if full:
        problems += [
            f"row {row[1]} of {row[0]} refers to a missing row of {row[2]}"
            for row in connection.execute("PRAGMA foreign_key_check").fetchmany(10)
        ]
    return problems


def check_at_start(path: Path, connection: sqlite3.Connection, found_version: int, check: str) -> OpenReport:
    """Check an opened database, mark it in use, and say what was done.

    `check` is "auto" (quick after an unclean stop or when it is cheap), "none", "quick" or "full". Raises Damaged.
    """
    lines: list[str] = []
    created = found_version == 0
    unclean = not created and read_meta(connection, "clean_shutdown") != 1
    migrated = found_version if not created and found_version != schema.VERSION else None
    if created:
        lines.append(f"Created {path.name} (database version {schema.VERSION}).")
    if migrated is not None:
        lines.append(f"Brought {path.name} from database version {migrated} to {schema.VERSION}.")
    if unclean:
        lines.append(
            f"{path.name} was not closed by its last node (killed or power lost); every confirmed block is there."
        )
    if check == "auto":
        small = path.stat().st_size <= _QUICK_CHECK_LIMIT
        check = "none" if created else "quick" if unclean or small else "none"
    if check != "none":
        problems = integrity_problems(connection, full=check == "full")
        if problems:
            raise damaged(path, "; ".join(problems[:3]))
        lines.append(f"Checked {path.name} ({check} check): no faults.")
    elif not created:
        lines.append(f"{path.name} was closed cleanly; no check needed.")
    # this mark must not be lost by a power cut, or the next start would not know
    connection.execute("PRAGMA synchronous = FULL")
    _in_transaction(connection, lambda: write_meta(connection, "clean_shutdown", 0))
    connection.execute("PRAGMA synchronous = NORMAL")
    return OpenReport(created, unclean, migrated, check, tuple(lines))


def _in_transaction(connection: sqlite3.Connection, action: Callable[[], None]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        action()
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def close_cleanly(connection: sqlite3.Connection) -> None:
    """Fold the WAL into the file, mark it closed and close."""
    try:
        _in_transaction(connection, lambda: write_meta(connection, "clean_shutdown", 1))
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.close()
