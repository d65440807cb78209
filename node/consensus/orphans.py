"""Blocks whose parents have not come yet, within bounds."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Container, Iterable

from node.consensus.blocks import Block

MAX_ORPHANS = 1_024
MAX_BYTES = 16 << 20


class Orphans:
    """The oldest make room for new ones: what is really missing is asked for again."""

    def __init__(self) -> None:
        self._blocks: OrderedDict[bytes, tuple[Block, int, bytes]] = OrderedDict()
        self._waiting: dict[bytes, set[bytes]] = {}  # parent: orphans that name it
        self._bytes = 0

    def __contains__(self, block: bytes) -> bool:
        return block in self._blocks

    def __len__(self) -> int:
        return len(self._blocks)

    def want(self, block: bytes) -> bool:
        """Whether an orphan waits for this block."""
        return block in self._waiting

    def missing(self, block: Block, known: Container[bytes]) -> list[bytes]:
        """What must come before a block can be judged: ids below it, through other orphans, that nobody gave yet."""
        found: dict[bytes, None] = {}
        seen: set[bytes] = set()
        doing = [block]
        while doing:
            for parent in doing.pop().header.parents:
                if parent in seen or parent in known:
                    continue
                seen.add(parent)
                if parent in self._blocks:
                    doing.append(self._blocks[parent][0])
                else:
                    found[parent] = None
        return list(found)

    def add(self, block: Block, unknown: Iterable[bytes], signed: bytes) -> None:
        """Keep a block until its unknown parents have come; `signed` is the key by which its signature is good."""
        size = len(block.header_bytes) + len(block.body())
        self._blocks[block.id] = (block, size, signed)
        self._bytes += size
        for parent in unknown:
            self._waiting.setdefault(parent, set()).add(block.id)
        while len(self._blocks) > MAX_ORPHANS or self._bytes > MAX_BYTES:
            self._remove(next(iter(self._blocks)))

    def ready(self, parent: bytes, known: Container[bytes]) -> list[tuple[Block, bytes]]:
        """Remove and return the orphans whose parents are all known now that `parent` has come, by slot, with keys."""
        found = [
            (self._blocks[name][0], self._blocks[name][2])
            for name in self._waiting.get(parent, ())
            if all(item in known for item in self._blocks[name][0].header.parents)
        ]
        found.sort(key=lambda item: (item[0].header.slot, item[0].id))
        for block, _ in found:
            self._remove(block.id)
        return found

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

    def _remove(self, name: bytes) -> None:
        block, size, _ = self._blocks.pop(name)
        self._bytes -= size
        for parent in block.header.parents:
            waiting = self._waiting.get(parent)
            if waiting is not None:
                waiting.discard(name)
                if not waiting:
                    del self._waiting[parent]
