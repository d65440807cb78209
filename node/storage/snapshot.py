"""A state snapshot at a final checkpoint, as a file that anyone can check in one pass (protocol sections 3 and 4).

`magic`, then frames of a 4-byte length and canonical bytes: the head (with the whole genesis), the blocks of the DAG
in the checkpoint's past down to the pruning root, the votes heard, the 256 buckets with their rows in strictly
ascending order of table and key, and a digest of all that. A bucket's wave follows from its rows alone; the 256 waves
give the commitment that the checkpoint names. The sum of waves counts multiplicity modulo 2¹⁶, so repeated or unordered
rows are refused.

Blocks are numbered anew; 0 stands for the genesis, or for one that was pruned.
"""

from __future__ import annotations

import os
import sqlite3
import struct
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import IO, cast

from node.api.errors import Damaged
from node.encoding.amounts import SUPPLY
from node.encoding.canonical import EncodingError, Value, decode, pack
from node.ledger import registry
from node.ledger.genesis import RULE_VERSION
from node.ledger.state import Record, element
from node.light.waves import BUCKETS, StateWaves, bucket_of, superposition
from node.storage import database
from node.storage.faults import translated
from node.storage.files import place_new
from node.storage.reader import ChainReader
from node.storage.records import Colouring, DagRow, MetaValue
from node.storage.rows import StateRow
from node.storage.writing import SET_STATE, SET_WAVE

MAGIC = b"nexus state snapshot 1\n"
LENGTH = struct.Struct(">I")
MAX_FRAME = 1 << 30
_MAX_COUNT = 1 << 63
_GONE = 0


@dataclass(frozen=True, slots=True)
class Head:
    """What a snapshot is of. `genesis` is the whole file, `checkpoint` and `base_view` are consensus's encodings;
    `commitment` is of the state."""

    genesis: bytes
    checkpoint: bytes
    commitment: bytes
    height: int
    root: int
    base: int
    base_view: bytes
    busy: int
    blocks: int
    chain: tuple[tuple[int, int, int, bytes], ...]  # height, index, epoch, active set or empty
    votes: tuple[tuple[bytes, int, bytes], ...]  # id, target, vote


def export_snapshot(
    source: ChainReader,
    target: Path,
    genesis: bytes,
    block: bytes,
    height: int,
    checkpoint: bytes,
    commitment: bytes,
) -> Head:
    """Write the snapshot at the chain block `block` of `height`, which must be final, into a new file, mode 0600.

    The file appears whole or not at all. Raises Damaged where what is stored does not reach back to that block,
    Refused (file_exists) where the name is taken.
    """
    rows = _past_of(source, block)
    numbers = {row.index: place for place, row in enumerate(rows, 1)}
    root, base = (cast(int, source.meta(name)) for name in ("root", "base"))
    active = dict(source.active_sets())
    ids = {row.index: row.block_id for row in rows}
    head = Head(
        genesis=genesis,
        checkpoint=checkpoint,
        commitment=commitment,
        height=height,
        root=numbers.get(root, 0),
        base=numbers.get(base, 0),
        base_view=cast(bytes, source.meta("base_view")),
        busy=max(source.executing(0, height), default=min(height, cast(int, source.meta("busy_height") or 0))),
        blocks=len(rows),
        chain=tuple(
            (number, numbers[index], found.epoch, active.get(ids[index], b""))
            for number, index in source.chain()
            if index in numbers and number <= height and (found := source.block(number)) is not None
        ),
        votes=tuple(source.heard()),
    )
    with translated(target):
        number, name = tempfile.mkstemp(prefix=".snapshot-", dir=target.parent)  # of mode 0600
        try:
            with open(number, "wb") as file:
                hasher = blake2b(digest_size=32)
                for part in _parts(source, head, rows, numbers):
                    hasher.update(part)
                    file.write(part)
                file.write(hasher.digest())
                file.flush()
                os.fsync(number)
            place_new(Path(name), target)
        finally:
            Path(name).unlink(missing_ok=True)
    return head


def _past_of(source: ChainReader, block: bytes) -> list[DagRow]:
    """The kept blocks in the past of one, and it, by index."""
    rows = {row.index: row for row in source.dag()}
    top = next((row.index for row in rows.values() if row.block_id == block), None)
    found: set[int] = set()
    doing = [] if top is None else [top]
    while doing:
        index = doing.pop()
        if index not in found and index in rows:
            found.add(index)
            doing += rows[index].colouring.parents
    return [rows[index] for index in sorted(found)]


def _parts(source: ChainReader, head: Head, rows: list[DagRow], numbers: dict[int, int]) -> Iterator[bytes]:
    yield MAGIC
    fields = (head.genesis, RULE_VERSION, head.checkpoint, head.commitment, head.height, head.root, head.base)
    yield _frame((*fields, head.base_view, head.busy, head.blocks, head.chain, head.votes))
    for row in rows:
        yield _frame(_block_value(row, numbers))
    older = _way_back(source, head.height)
    merged = iter(source.load_state(ordered=True))
    row_: StateRow | None = next(merged, None)
    for bucket in range(BUCKETS):
        entries: dict[tuple[str, bytes], bytes] = {}
        while row_ is not None and bucket_of(row_[0], row_[1]) == bucket:
            entries[row_[0], row_[1]] = row_[2]
            row_ = next(merged, None)
        for name, value in older.get(bucket, {}).items():
            entries.pop(name, None)
            if value is not None:
                entries[name] = value
        yield _frame((bucket, tuple((table, key, entries[table, key]) for table, key in sorted(entries, key=_order))))


def _way_back(source: ChainReader, height: int) -> dict[int, dict[tuple[str, bytes], bytes | None]]:
    """By bucket, what records were after the chain block of `height`, where they changed since."""
    found: dict[int, dict[tuple[str, bytes], bytes | None]] = {}
    tip = source.tip()
    for number in range(0 if tip is None else tip.height, height, -1):
        changes = source.changes(number)
        if changes is None:
            raise Damaged("cannot_go_back", f"The undo record of block {number} is missing; no snapshot was made.")
        for table, key, value in changes:
            found.setdefault(bucket_of(table, key), {})[table, key] = value
    return found


def _order(name: tuple[str, bytes]) -> tuple[bytes, bytes]:
    return name[0].encode(), name[1]


def _frame(value: Value) -> bytes:
    data = pack(value)
    return LENGTH.pack(len(data)) + data


def _block_value(row: DagRow, numbers: dict[int, int]) -> Value:
    colouring = row.colouring
    groups = (colouring.parents, colouring.blues, colouring.reds)
    renamed = tuple(tuple(numbers.get(index, _GONE) for index in group) for group in groups)
    sizes = tuple((numbers[index], size) for index, size in colouring.sizes if index in numbers)
    plain = (numbers[row.index], row.slot, row.height, row.merged or 0, int(bool(row.blue)), int(row.disqualified))
    return (*plain, row.header, row.body or b"", *renamed, sizes, colouring.score, colouring.work)


class SnapshotFile:
    """A snapshot to be read once, front to back: `head`, then `blocks`, then `buckets`, which checks as it goes."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self._path = path
        self._file = file
        self._hasher = blake2b(digest_size=32)
        self._take(len(MAGIC), MAGIC)
        self.head = self._read_head()
        self.waves: list[bytes] = []
        """Those of the buckets that were read."""
        self.total = 0

    def blocks(self) -> Iterator[tuple[DagRow, int]]:
        """The blocks, each with its size in bytes (header and body)."""
        for number in range(1, self.head.blocks + 1):
            value = self._frame()
            try:
                row, size = _block_of(value)
            except (ValueError, TypeError) as error:
                raise self.refusal(f"a block in it cannot be read ({error})") from None
            if row.index != number:
                raise self.refusal(f"block {number} in it has another number")
            yield row, size

    def buckets(self) -> Iterator[tuple[int, tuple[StateRow, ...]]]:
        """The rows of each bucket. After the last one, waves, total and digest have been checked.

        Raises Damaged for rows that are not in strictly ascending order, in another bucket than theirs, or no records.
        """
        for bucket in range(BUCKETS):
            value = self._frame()
            if type(value) is not tuple or len(value) != 2 or value[0] != bucket or type(value[1]) is not tuple:
                raise self.refusal(f"bucket {bucket} is missing")
            rows = cast("tuple[StateRow, ...]", value[1])
            self._check_rows(bucket, rows)
            yield bucket, rows
        digest = self._hasher.digest()
        if self._file.read(33) != digest:
            raise self.refusal("its digest is another, or something follows it")
        if self.total != SUPPLY:
            raise self.refusal(f"it holds {self.total} units instead of {SUPPLY}")
        if StateWaves(self.waves, numpy=False).commitment != self.head.commitment:
            raise self.refusal("its waves are not those of the state that its checkpoint names")

    def _check_rows(self, bucket: int, rows: tuple[StateRow, ...]) -> None:
        try:
            records = records_of(bucket, rows)
        except ValueError as error:
            raise self.refusal(str(error)) from None
        self.total += sum(registry.TABLES[table].holds(record) for table, _, record in records)
        self.waves.append(superposition(element(*row) for row in rows))

    def _take(self, size: int, expected: bytes | None = None) -> bytes:
        data = self._file.read(size)
        if len(data) != size or (expected is not None and data != expected):
            raise self.refusal("it is cut off" if expected is None else "it is of another kind or version")
        self._hasher.update(data)
        return data

    def _frame(self) -> Value:
        (size,) = LENGTH.unpack(self._take(LENGTH.size))
        if size > MAX_FRAME:
            raise self.refusal("a part of it is too large")
        try:
            return decode(self._take(size), MAX_FRAME)
        except EncodingError as error:
            raise self.refusal(f"a part of it cannot be read ({error})") from None

    def _read_head(self) -> Head:
        value = self._frame()
        shape = (bytes, int, bytes, bytes, int, int, int, bytes, int, int, tuple, tuple)
        if type(value) is not tuple or tuple(map(type, value)) != shape:
            raise self.refusal("its head is malformed")
        if value[1] != RULE_VERSION:
            raise self.refusal(f"it follows rule version {value[1]!r}, this program version {RULE_VERSION}")
        if not _fit(value):
            raise self.refusal("a number in its head is out of bounds")
        if cast(int, value[5]) > 1:
            raise self.refusal("its root is not its first block")
        chain, votes = cast("tuple[tuple[Value, ...], tuple[Value, ...]]", value[10:])
        if any(type(row) is not tuple or tuple(map(type, row)) != (int, int, int, bytes) for row in chain):
            raise self.refusal("its head is malformed")
        if any(type(row) is not tuple or tuple(map(type, row)) != (bytes, int, bytes) for row in votes):
            raise self.refusal("its head is malformed")
        return Head(*cast("tuple[bytes]", value[:1]), *value[2:])  # type: ignore[arg-type]

    def refusal(self, why: str) -> Damaged:
        """The error for something in it that is wrong."""
        return Damaged(
            "bad_snapshot",
            f"{self._path.name} is no snapshot that can be used: {why}. Nothing was changed.",
            "Fetch it again, from somebody else perhaps.",
        )


def records_of(bucket: int, rows: tuple[StateRow, ...]) -> list[tuple[str, bytes, Record]]:
    """The records of a bucket's rows. Raises ValueError for rows that are not in strictly ascending order, in another
    bucket than theirs, or no records."""
    found: list[tuple[str, bytes, Record]] = []
    before: tuple[bytes, bytes] | None = None
    for row in rows:
        if type(row) is not tuple or tuple(map(type, row)) != (str, bytes, bytes):
            raise ValueError(f"a row of bucket {bucket} is none")
        table, key, value = row
        known = registry.TABLES.get(table)
        try:
            record = decode(value)
        except EncodingError:
            record = None
        if known is None or type(record) is not tuple or bucket_of(table, key) != bucket:
            raise ValueError(f"a row of bucket {bucket} does not belong there")
        try:
            known.holds(record)
        except (AssertionError, IndexError, TypeError):
            raise ValueError(f"a row of bucket {bucket} is no record of its table") from None
        here = _order(row[:2])
        if before is not None and before >= here:
            raise ValueError(f"the rows of bucket {bucket} are not in strictly ascending order")
        before = here
        found.append((table, key, record))
    return found


def _fit(value: Value) -> bool:
    """Whether all numbers in a value are counts that the database can hold."""
    if type(value) is tuple:
        return all(_fit(item) for item in value)
    return type(value) is not int or 0 <= value < _MAX_COUNT


def _block_of(value: Value) -> tuple[DagRow, int]:
    shape = (int, int, int, int, int, int, bytes, bytes, tuple, tuple, tuple, tuple, int, int)
    if type(value) is not tuple or tuple(map(type, value)) != shape:
        raise ValueError("its fields are not those of a block")
    if not _fit(value):
        raise ValueError("a number in it is out of bounds")
    index, slot, height, merged, blue, disqualified, header, body, parents, blues, reds, sizes, score, work = value
    groups = cast("tuple[tuple[int, ...], ...]", (parents, blues, reds))
    if any(type(number) is not int for group in groups for number in group):
        raise ValueError("its colouring is malformed")
    pairs = cast("tuple[tuple[int, int], ...]", sizes)
    if any(type(item) is not tuple or tuple(map(type, item)) != (int, int) for item in pairs):
        raise ValueError("its colouring is malformed")
    colouring = Colouring(groups[0], groups[1], groups[2], pairs, cast(int, score), cast(int, work))
    row = DagRow(
        index=cast(int, index),
        block_id=b"",
        slot=cast(int, slot),
        height=cast(int, height),
        dag=True,
        merged=cast(int, merged) or None,
        blue=bool(blue) if merged else None,
        disqualified=bool(disqualified),
        late=0,
        colouring=colouring,
        header=cast(bytes, header),
        body=cast(bytes, body) or None,
    )
    return row, len(row.header) + len(row.body or b"")


def write_snapshot(
    connection: sqlite3.Connection,
    source: SnapshotFile,
    identify: Callable[[DagRow], tuple[bytes, int, int]],
    meta: dict[str, MetaValue],
) -> None:
    """Fill an empty database from a snapshot; everything is checked on the way. Runs inside a transaction.

    `identify` gives a block's id and its numbers of transactions and votes. What the chain accepted before is no part
    of a snapshot: the history begins here.
    """
    try:
        for name, value in meta.items():
            database.write_meta(connection, name, value)
        for row, size in source.blocks():
            try:
                block_id, transactions, votes = identify(row)
            except ValueError as error:
                raise source.refusal(f"a block in it cannot be read ({error})") from None
            values = (row.index, block_id, row.slot, row.height, 1, row.merged, row.blue, row.disqualified, 0)
            blob = row.colouring.encode(row.index)
            connection.execute(
                "INSERT INTO blocks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*values, transactions, votes, size, blob, row.header),
            )
            if row.body is not None:
                connection.execute("INSERT INTO bodies VALUES (?, ?, ?)", (row.index, row.slot, row.body))
        connection.executemany(
            "INSERT INTO chain VALUES (?, ?, ?, 0, 0, 0, 1, ?)",
            ((height, index, epoch, active or None) for height, index, epoch, active in source.head.chain),
        )
        connection.executemany("INSERT INTO votes VALUES (?, ?, ?)", source.head.votes)
        _write_buckets(connection, source.buckets())
        connection.executemany(SET_WAVE, enumerate(source.waves))
    except sqlite3.IntegrityError as error:
        raise source.refusal(f"two of its entries are one ({error})") from None


def _write_buckets(connection: sqlite3.Connection, buckets: Iterable[tuple[int, tuple[StateRow, ...]]]) -> None:
    for bucket, rows in buckets:
        connection.executemany(SET_STATE, ((bucket, *row) for row in rows))
