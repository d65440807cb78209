"""Records that pass between the running node and its database.

Plain bytes and ints: storage keeps what the ledger and consensus encoded and never interprets it while writing.
Fees are units, times Unix milliseconds (`_ms`) or slots; indices are those of the DAG.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, cast

import msgpack

DONE = 1
FAILED = 0

Change = tuple[str, bytes, bytes | None, bytes | None]
"""One state record that a block changed: table, key, old value, new value; None is an absent record."""

MetaValue = int | str | bytes


class Colouring(NamedTuple):
    """What the DAG said of a block when it came (protocol section 4, GHOSTDAG); never changed later.

    `blues` begin with the selected parent; `sizes` are the blue anticone sizes that the block touched, by index.
    """

    parents: tuple[int, ...]
    blues: tuple[int, ...]
    reds: tuple[int, ...]
    sizes: tuple[tuple[int, int], ...]
    score: int
    work: int

    @property
    def merged(self) -> tuple[tuple[int, bool], ...]:
        """The mergeset without the selected parent, each with whether it is blue."""
        return (*((index, True) for index in self.blues[1:]), *((index, False) for index in self.reds))

    def encode(self, index: int) -> bytes:
        """Small bytes: neighbours are near, so they are written as distances from the block's own index."""
        near = [tuple(index - other for other in group) for group in (self.parents, self.blues, self.reds)]
        sizes = tuple((index - other, size) for other, size in self.sizes)
        return cast(bytes, msgpack.packb((*near, sizes, self.score, self.work)))

    @classmethod
    def decode(cls, data: bytes, index: int) -> Colouring:
        """The inverse. Raises ValueError (msgpack's errors are of its kind) or TypeError for other bytes."""
        parents, blues, reds, sizes, score, work = msgpack.unpackb(data, use_list=False)
        return cls(
            tuple(index - other for other in parents),
            tuple(index - other for other in blues),
            tuple(index - other for other in reds),
            tuple((index - other, size) for other, size in sizes),
            score,
            work,
        )


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of one executed transaction. Skipped ones have no receipt."""

    txid: bytes
    wid: bytes
    raw: bytes
    carrier: int  # index of the block whose body holds it
    status: int  # DONE, or FAILED: executed, charged, nothing else changed
    reason: str
    fee: int
    touched: tuple[bytes, ...]  # raw addresses whose history shows it


@dataclass(frozen=True, slots=True)
class NewBlock:
    """A block that came into the DAG. Its index is the next one."""

    index: int
    block_id: bytes
    slot: int
    height: int  # on its own selected chain
    header: bytes
    body: bytes
    colouring: Colouring
    transactions: int
    votes: int
    late: int = 0  # by how many slots it came too late
    disqualified: bool = False


@dataclass(frozen=True, slots=True)
class ChainBlock:
    """A block of the selected chain with what executing it did.

    `changes` holds each (table, key) once, with its net effect; their old values are the block's undo record.
    `active_set` is that of the state after a checkpoint's block, from which later tables are made; opaque here.
    """

    height: int
    index: int
    epoch: int
    fees: int
    receipts: tuple[Receipt, ...]
    changes: tuple[Change, ...]
    active_set: bytes | None = None


@dataclass(frozen=True, slots=True)
class NewVote:
    """A vote that was heard, in no block of the chain perhaps."""

    vote_id: bytes
    target: int
    vote: bytes


class NewFinal(NamedTuple):
    """A checkpoint that became final, at the chain height of its block, with the validator tables there."""

    number: int
    hash: bytes
    height: int
    slot: int
    checkpoint: bytes
    tables: tuple[tuple[bytes, bytes], ...]  # hash, content: the current and the next one


class NewCertificate(NamedTuple):
    """Why a checkpoint is final. `tables` are the hashes of the two there, one after the other."""

    number: int
    tables: bytes
    slot: int
    certificate: bytes


@dataclass(frozen=True, slots=True)
class Batch:
    """Everything one step of the engine changed; written in one database transaction.

    `undone` are ids of blocks of the selected chain that were taken back, newest first; `applied` the ones executed
    after that, oldest first. `buckets` are the bucket waves that changed (0 to 255, 2,048 bytes each) as they are in
    the end. `disqualified` are indices of blocks found so since they were added. `meta` is written as it is.
    """

    added: tuple[NewBlock, ...] = ()
    undone: tuple[bytes, ...] = ()
    applied: tuple[ChainBlock, ...] = ()
    buckets: tuple[tuple[int, bytes], ...] = ()
    disqualified: tuple[int, ...] = ()
    votes: tuple[NewVote, ...] = ()
    finals: tuple[NewFinal, ...] = ()
    certificates: tuple[NewCertificate, ...] = ()
    meta: dict[str, MetaValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tip:
    """The newest block of the selected chain, without its contents."""

    height: int
    block_id: bytes
    slot: int
    epoch: int


@dataclass(frozen=True, slots=True)
class DagRow:
    """A block as the DAG needs it. `body` is None where it was pruned."""

    index: int
    block_id: bytes
    slot: int
    height: int  # on its own selected chain
    dag: bool
    merged: int | None  # height of the chain block that merged it; its own on the chain
    blue: bool | None  # as that block judged it
    disqualified: bool
    late: int  # by how many slots it came too late
    colouring: Colouring
    header: bytes
    body: bytes | None


@dataclass(frozen=True, slots=True)
class StoredBlock:
    """A block of the selected chain as it lies in the database."""

    height: int
    index: int
    block_id: bytes
    slot: int
    epoch: int
    fees: int
    transactions: int
    failed: int
    header: bytes
    body: bytes | None  # None where it was pruned
    active_set: bytes | None
    txids: tuple[bytes, ...]  # of what it accepted, in order of execution


@dataclass(frozen=True, slots=True)
class StoredTransaction:
    """An executed transaction with its receipt."""

    txid: bytes
    wid: bytes
    raw: bytes
    height: int
    position: int
    carrier: int
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
