"""A snapshot file in sections, as it travels: its 256 buckets, and its front (head and blocks) before them.

A bucket's section is the canonical encoding of its rows, so all who have the state at a checkpoint give the same bytes,
and its wave's hash shows whether they are the right ones. The front is as its maker numbered the blocks.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import IO, NamedTuple, cast

from node.encoding.canonical import EncodingError, decode
from node.ledger.state import element
from node.light.waves import BUCKETS, bucket_hash, superposition
from node.storage.rows import StateRow
from node.storage.snapshot import LENGTH, MAGIC, MAX_FRAME, records_of

DIGEST_SIZE = 32
_AT_ONCE = 1 << 20


class Layout(NamedTuple):
    """Where the sections of a snapshot file lie: first byte and size of each, the 256 buckets and the front."""

    starts: tuple[int, ...]
    sizes: tuple[int, ...]


def layout_of(file: IO[bytes], blocks: int) -> Layout:
    """The layout of a whole snapshot file with that many blocks. Raises ValueError for one that is cut off."""
    file.seek(0, os.SEEK_END)
    end, at = file.tell(), len(MAGIC)
    starts, sizes = [], []
    for number in range(1 + blocks + BUCKETS):
        file.seek(at)
        head = file.read(LENGTH.size)
        if len(head) < LENGTH.size:
            raise ValueError("the file is cut off")
        (size,) = LENGTH.unpack(head)
        if number > blocks:
            starts.append(at + LENGTH.size)
            sizes.append(size)
        at += LENGTH.size + size
    if at + DIGEST_SIZE != end:
        raise ValueError("the file is cut off, or something follows it")
    return Layout((*starts, len(MAGIC)), (*sizes, starts[0] - LENGTH.size - len(MAGIC)))


def read_part(path: Path, layout: Layout, section: int, start: int, size: int) -> bytes:
    """Bytes of a section, `size` of them from `start` on or what is left; none beyond its end."""
    left = layout.sizes[section] - start
    if left <= 0:
        return b""
    with path.open("rb") as file:
        file.seek(layout.starts[section] + start)
        return file.read(min(size, left))


def check_bucket(bucket: int, data: bytes, expected: bytes, *, numpy: bool = True) -> bool:
    """Whether these are the rows of a bucket whose wave has that hash: of their form, in strictly ascending order, each
    where it belongs."""
    try:
        value = decode(data, MAX_FRAME)
        if type(value) is not tuple or len(value) != 2 or value[0] != bucket or type(value[1]) is not tuple:
            return False
        rows = cast("tuple[StateRow, ...]", value[1])
        records_of(bucket, rows)
    except (EncodingError, ValueError):
        return False
    return bucket_hash(superposition((element(*row) for row in rows), numpy=numpy)) == expected


def assemble(target: Path, front: Path, buckets: Sequence[Path]) -> None:
    """Write a snapshot file from its sections. That they are true ones, `adopt_snapshot` sees."""
    hasher = blake2b(digest_size=DIGEST_SIZE)
    with target.open("wb") as file:

        def put(data: bytes) -> None:
            hasher.update(data)
            file.write(data)

        put(MAGIC)
        with front.open("rb") as part:
            while data := part.read(_AT_ONCE):
                put(data)
        for place in buckets:
            data = place.read_bytes()
            put(LENGTH.pack(len(data)))
            put(data)
        file.write(hasher.digest())
