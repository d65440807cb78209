"""The chain database's schema: version 1 of rule version 2, and the migrations that will follow it.

`blocks` are blocks of the DAG by their index there; `chain` is the selected chain, by height. Blocks that left the DAG
stay while the chain's history needs them (`dag` = 0). Hashes are looked up through one unique index each and joined by
integer row ids: rows keyed by random hashes cost three to five times as much (measured). Large blobs are a row's last
columns or lie in a table of their own, so that lists never read them. A transaction's bytes are a slice of its
carrier's body (`start`, `length`); `raw` holds them once that body was pruned. State rows lie in the order of their
buckets, which are the chunks of a snapshot. `checkpoints` are the final ones; of those with the same two validator
tables the newest has its certificate kept, by which a light client walks from one rotation to the next.
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
                idx INTEGER PRIMARY KEY,
                id BLOB NOT NULL,
                slot INTEGER NOT NULL,
                height INTEGER NOT NULL,
                dag INTEGER NOT NULL,
                merged INTEGER,
                blue INTEGER,
                disqualified INTEGER NOT NULL,
                late INTEGER NOT NULL,
                transactions INTEGER NOT NULL,
                votes INTEGER NOT NULL,
                size INTEGER NOT NULL,
                colouring BLOB NOT NULL,
                header BLOB NOT NULL)""",
            "CREATE UNIQUE INDEX blocks_id ON blocks (id)",
            "CREATE INDEX blocks_dag ON blocks (slot, idx) WHERE dag = 1",
            "CREATE TABLE bodies (idx INTEGER PRIMARY KEY, slot INTEGER NOT NULL, body BLOB NOT NULL)",
            "CREATE INDEX bodies_slot ON bodies (slot)",
            """CREATE TABLE chain (
                height INTEGER PRIMARY KEY,
                block INTEGER NOT NULL,
                epoch INTEGER NOT NULL,
                fees INTEGER NOT NULL,
                transactions INTEGER NOT NULL,
                failed INTEGER NOT NULL,
                first_transaction INTEGER NOT NULL,
                active_set BLOB)""",
            """CREATE TABLE transactions (
                id INTEGER PRIMARY KEY,
                txid BLOB NOT NULL,
                wid BLOB NOT NULL,
                height INTEGER NOT NULL,
                position INTEGER NOT NULL,
                status INTEGER NOT NULL,
                fee INTEGER NOT NULL,
                carrier INTEGER NOT NULL,
                start INTEGER NOT NULL,
                length INTEGER NOT NULL,
                reason TEXT NOT NULL,
                touched BLOB NOT NULL,
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
                bucket INTEGER NOT NULL,
                tbl TEXT NOT NULL,
                key BLOB NOT NULL,
                value BLOB NOT NULL)""",
            "CREATE UNIQUE INDEX state_key ON state (bucket, tbl, key)",
            """CREATE TABLE undo (
                height INTEGER PRIMARY KEY REFERENCES chain (height),
                rows BLOB NOT NULL)""",
            "CREATE TABLE waves (bucket INTEGER PRIMARY KEY, wave BLOB NOT NULL)",
            "CREATE TABLE votes (id BLOB PRIMARY KEY, target INTEGER NOT NULL, vote BLOB NOT NULL) WITHOUT ROWID",
            """CREATE TABLE checkpoints (
                number INTEGER PRIMARY KEY,
                hash BLOB NOT NULL,
                height INTEGER NOT NULL,
                slot INTEGER NOT NULL,
                checkpoint BLOB NOT NULL)""",
            "CREATE UNIQUE INDEX checkpoints_hash ON checkpoints (hash)",
            """CREATE TABLE certificates (
                number INTEGER PRIMARY KEY,
                tables BLOB NOT NULL UNIQUE,
                slot INTEGER NOT NULL,
                certificate BLOB NOT NULL)""",
            "CREATE TABLE tables (hash BLOB PRIMARY KEY, slot INTEGER NOT NULL, content BLOB NOT NULL)",
        ),
    ),
)

VERSION = MIGRATIONS[-1].version
