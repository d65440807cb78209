"""The state: tables of records, with a journal from which changes are counted and undone.

A record is a tuple of values; a record equal to its default is absent (protocol section 3). Every write is journalled,
so an operation that fails is rolled back to a mark, and a block's net changes are read off once at its end.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

from node.encoding.canonical import Value, packer
from node.light.waves import Entry, StateWaves, bucket_of

Record = tuple[Value, ...]
Tables = dict[str, dict[bytes, Record]]
_LIST_OF_THREE = b"\x93"


class Change(NamedTuple):
    """What a block did to one entry, net."""

    table: str
    key: bytes
    old: Record | None
    new: Record | None


class State:
    """Tables of records; only `put` writes."""

    def __init__(self, tables: Tables | None = None) -> None:
        self.tables: Tables = tables if tables is not None else {}
        self._journal: list[tuple[str, bytes, Record | None]] = []

    def copy(self) -> State:
        """Another with the same records, whose changes do not touch this one."""
        return State({name: dict(rows) for name, rows in self.tables.items()})

    def get(self, table: str, key: bytes) -> Record | None:
        """The record, or None where it has its default."""
        entries = self.tables.get(table)
        return None if entries is None else entries.get(key)

    def put(self, table: str, key: bytes, record: Record | None) -> None:
        """Set a record; None, the default, removes it."""
        try:
            entries = self.tables[table]
        except KeyError:
            entries = self.tables[table] = {}
        self._journal.append((table, key, entries.get(key)))
        if record is None:
            entries.pop(key, None)
        else:
            entries[key] = record

    def rows(self, table: str) -> dict[bytes, Record]:
        """All entries of a table; not to be written to."""
        return self.tables.get(table, {})

    def mark(self) -> int:
        """A place to roll back to."""
        return len(self._journal)

    def roll_back(self, mark: int) -> None:
        """Undo every write since `mark`."""
        while len(self._journal) > mark:
            table, key, old = self._journal.pop()
            self._set(table, key, old)

    def changes(self) -> list[Change]:
        """Net changes since the last `settle`, each entry once."""
        first = {(table, key): old for table, key, old in reversed(self._journal)}
        tables = self.tables
        return [
            Change(table, key, old, new)
            for (table, key), old in reversed(first.items())
            if (new := tables[table].get(key)) != old
        ]

    def settle(self) -> None:
        """Forget the journal: what was written stays."""
        self._journal.clear()

    def restore(self, changes: Iterable[Change]) -> None:
        """Take net changes back, as an undo record asks."""
        for change in changes:
            self._set(change.table, change.key, change.old)

    def _set(self, table: str, key: bytes, record: Record | None) -> None:
        entries = self.tables.setdefault(table, {})
        if record is None:
            entries.pop(key, None)
        else:
            entries[key] = record


def apply_to_waves(waves: StateWaves, changes: Iterable[Change]) -> set[int]:
    """Superpose a block's net changes; returns the buckets that were touched.

    What is hashed for an entry is the canonical encoding of [table, key, value] (protocol section 3).
    """
    added: list[Entry] = []
    removed: list[Entry] = []
    pack = packer()
    for table, key, old, new in changes:
        bucket = bucket_of(table, key)
        entry = _head(table) + pack(key)  # once for both values
        if old is not None:
            removed.append((bucket, entry + pack(old)))
        if new is not None:
            added.append((bucket, entry + pack(new)))
    return waves.update(added, removed)


def element(table: str, key: bytes, value: bytes) -> bytes:
    """What the wave of an entry is drawn from, given the canonical encoding of its record."""
    return _head(table) + packer()(key) + value


@cache
def _head(table: str) -> bytes:
    """How the encoding of [table, key, value] begins."""
    return _LIST_OF_THREE + packer()(table)


def waves_of(state: State, *, numpy: bool = True) -> StateWaves:
    """The state's waves counted from nothing: the oracle for the running ones."""
    waves = StateWaves(numpy=numpy)
    entries = (Change(table, key, None, record) for table, rows in state.tables.items() for key, record in rows.items())
    batch: list[Change] = []
    for change in entries:
        batch.append(change)
        if len(batch) == 4096:  # bounds the memory that the waves of a large state take
            apply_to_waves(waves, batch)
            batch.clear()
    apply_to_waves(waves, batch)
    return waves
