"""Records that pass between the running node and its database.

Plain bytes and ints: storage keeps what the ledger and consensus encoded and never interprets it while writing.
Fees are units, times Unix milliseconds (`_ms`) or slots.
"""

from __future__ import annotations

from dataclasses import dataclass

DONE = 1
FAILED = 0

Change = tuple[str, bytes, bytes | None, bytes | None]
"""One state record that a block changed: table, key, old value, new value; None is an absent record."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of one executed transaction. Skipped ones have no receipt."""

    txid: bytes
    wid: bytes
    raw: bytes
    status: int  # DONE, or FAILED: executed, charged, nothing else changed
    reason: str
    fee: int
    touched: tuple[bytes, ...]  # raw addresses whose history shows it


@dataclass(frozen=True, slots=True)
class BlockBatch:
    """Everything one block changes; written in one database transaction.

    `changes` holds each (table, key) once, with its net effect; their old values are the block's undo
    record. `buckets` are the changed bucket waves (0 to 255, 2,048 bytes each). `epoch` is the epoch after the block.
    """

    height: int
    block_id: bytes
    parent_id: bytes
    slot: int
    time_ms: int
    header: bytes
    body: bytes
    fees: int
    receipts: tuple[Receipt, ...]
    changes: tuple[Change, ...]
    buckets: tuple[tuple[int, bytes], ...]
    epoch: int


@dataclass(frozen=True, slots=True)
class Tip:
    """The newest stored block, without its contents."""

    height: int
    block_id: bytes
    slot: int
    time_ms: int
    epoch: int


@dataclass(frozen=True, slots=True)
class StoredBlock:
    """A block as it lies in the database."""

    height: int
    block_id: bytes
    parent_id: bytes
    slot: int
    time_ms: int
    epoch: int
    fees: int
    transactions: int
    failed: int
    header: bytes
    body: bytes
    txids: tuple[bytes, ...]  # in order of execution


@dataclass(frozen=True, slots=True)
class StoredTransaction:
    """An executed transaction with its receipt."""

    txid: bytes
    wid: bytes
    raw: bytes
    height: int
    position: int
    status: int
    reason: str
    fee: int


@dataclass(frozen=True, slots=True)
class OpenReport:
    """What opening the database found and did; `lines` say it to a person."""

    created: bool
    unclean: bool  # the last writer did not close it (killed, power lost)
    migrated_from: int | None
    check: str  # "none", "quick" or "full"
    lines: tuple[str, ...]
