"""The chain database's schema and its migrations, from version 1 on.

Hashes are looked up through one unique index each and joined by integer row ids: rows keyed by random hashes
cost three to five times as much (measured). Large blobs are a row's last columns, so that lists never read them.
A transaction's bytes are a slice of its block's body (`start`, `length`); `raw` holds them only if they are not in it.
"""

from __future__ import annotations

from dataclasses import dataclass

APPLICATION_ID = 0x4E585553  # "NXUS"


@dataclass(frozen=True, slots=True)
class Migration:
    """Statements that bring a database from `version` - 1 to `version`, in one transaction."""

    version: int
    statements: tuple[str, ...]


MIGRATIONS: tuple[Migration, ...] = (
    Migration(
        1,
        (
            "CREATE TABLE meta (name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID",
            """CREATE TABLE blocks (
                height INTEGER PRIMARY KEY,
                id BLOB NOT NULL,
                parent BLOB NOT NULL,
                slot INTEGER NOT NULL,
                time_ms INTEGER NOT NULL,
                epoch INTEGER NOT NULL,
                fees INTEGER NOT NULL,
                transactions INTEGER NOT NULL,
                failed INTEGER NOT NULL,
                first_transaction INTEGER NOT NULL,
                size INTEGER NOT NULL,
                header BLOB NOT NULL,
                body BLOB NOT NULL)""",
            "CREATE UNIQUE INDEX blocks_id ON blocks (id)",
            """CREATE TABLE transactions (
                id INTEGER PRIMARY KEY,
                txid BLOB NOT NULL,
                wid BLOB NOT NULL,
                height INTEGER NOT NULL,
                position INTEGER NOT NULL,
                status INTEGER NOT NULL,
                fee INTEGER NOT NULL,
                start INTEGER NOT NULL,
                length INTEGER NOT NULL,
                reason TEXT NOT NULL,
                raw BLOB)""",
            "CREATE UNIQUE INDEX transactions_txid ON transactions (txid)",
            "CREATE TABLE addresses (id INTEGER PRIMARY KEY, raw BLOB NOT NULL)",
            "CREATE UNIQUE INDEX addresses_raw ON addresses (raw)",
            """CREATE TABLE touches (
                address INTEGER NOT NULL REFERENCES addresses (id),
                tx INTEGER NOT NULL,
                PRIMARY KEY (address, tx)) WITHOUT ROWID""",
            """CREATE TABLE state (
                id INTEGER PRIMARY KEY,
                tbl TEXT NOT NULL,
                key BLOB NOT NULL,
                value BLOB NOT NULL)""",
            "CREATE UNIQUE INDEX state_key ON state (tbl, key)",
            """CREATE TABLE undo (
                height INTEGER PRIMARY KEY REFERENCES blocks (height),
                rows BLOB NOT NULL)""",
            "CREATE TABLE waves (bucket INTEGER PRIMARY KEY, wave BLOB NOT NULL)",
        ),
    ),
)

VERSION = MIGRATIONS[-1].version
