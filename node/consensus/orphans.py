"""Blocks whose parents have not come yet, within bounds."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Container, Iterable
from typing import NamedTuple

from node.consensus.blocks import Block, Header, decode_body

MAX_ORPHANS = 1_024
MAX_BYTES = 8 << 20
_SHARE = MAX_BYTES // MAX_ORPHANS
"""Counted for each beside its bytes, so that many small ones weigh as much as a few large ones."""


class _Orphan(NamedTuple):
    """A body stays bytes here: parsed it takes several times as much."""

    header: Header
    header_bytes: bytes
    body: bytes
    signed: bytes

    @property
    def size(self) -> int:
        return len(self.header_bytes) + len(self.body)

    def block(self) -> Block:
        return Block(self.header, *decode_body(self.body, len(self.body)), self.header_bytes)


class Orphans:
    """Where there are too many, whoever signed most of them loses his oldest: nobody pushes out another's. What is
    really missing is asked for again."""

    def __init__(self) -> None:
        self._blocks: dict[bytes, _Orphan] = {}
        self._waiting: dict[bytes, set[bytes]] = {}  # parent: orphans that name it
        self._signers: dict[bytes, OrderedDict[bytes, None]] = {}  # key: what it signed, the oldest first
        self._weights: dict[bytes, int] = {}  # key: bytes and shares of that
        self._bytes = 0

    def __contains__(self, block: bytes) -> bool:
        return block in self._blocks

    def __len__(self) -> int:
        return len(self._blocks)

    def want(self, block: bytes) -> bool:
        """Whether an orphan waits for this block."""
        return block in self._waiting

    def missing(self, block: bytes, known: Container[bytes]) -> list[bytes]:
        """What must come before one of these can be judged: ids below it, through others, that nobody gave yet."""
        found: dict[bytes, None] = {}
        seen = {block}
        doing = [block]
        while doing:
            waiting = self._blocks.get(doing.pop())
            for parent in waiting.header.parents if waiting is not None else ():
                if parent not in seen and parent not in known:
                    seen.add(parent)
                    if parent in self._blocks:
                        doing.append(parent)
                    else:
                        found[parent] = None
        return list(found)

    def add(self, block: Block, unknown: Iterable[bytes], signed: bytes) -> None:
        """Keep a block until its unknown parents have come; `signed` is the key by which its signature is good."""
        orphan = self._blocks[block.id] = _Orphan(block.header, block.header_bytes, block.body(), signed)
        self._signers.setdefault(signed, OrderedDict())[block.id] = None
        self._weights[signed] = self._weights.get(signed, 0) + orphan.size + _SHARE
        self._bytes += orphan.size
        for parent in unknown:
            self._waiting.setdefault(parent, set()).add(block.id)
        while len(self._blocks) > MAX_ORPHANS or self._bytes > MAX_BYTES:
            most = max(self._weights, key=self._weights.__getitem__)
            self._remove(next(iter(self._signers[most])))

    def ready(self, parent: bytes, known: Container[bytes]) -> list[tuple[Block, bytes]]:
        """Remove and return the orphans whose parents are all known now that `parent` has come, by slot, with keys."""
        found = [
            name
            for name in self._waiting.get(parent, ())
            if all(item in known for item in self._blocks[name].header.parents)
        ]
        found.sort(key=lambda name: (self._blocks[name].header.slot, name))
        gone = [self._remove(name) for name in found]
        return [(orphan.block(), orphan.signed) for orphan in gone]

    def drop_waiting(self, parent: bytes) -> list[bytes]:
        """Remove everything that waits for `parent`, and for what is removed so; returns the ids."""
        gone: list[bytes] = []
        doomed = list(self._waiting.get(parent, ()))
        while doomed:
            name = doomed.pop()
            if name in self._blocks:
                self._remove(name)
                gone.append(name)
                doomed += self._waiting.get(name, ())
        return gone

    def _remove(self, name: bytes) -> _Orphan:
        orphan = self._blocks.pop(name)
        mine = self._signers[orphan.signed]
        del mine[name]
        self._weights[orphan.signed] -= orphan.size + _SHARE
        self._bytes -= orphan.size
        if not mine:
            del self._signers[orphan.signed], self._weights[orphan.signed]
        for parent in orphan.header.parents:
            waiting = self._waiting.get(parent)
            if waiting is not None:
                waiting.discard(name)
                if not waiting:
                    del self._waiting[parent]
        return orphan
