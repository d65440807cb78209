"""What came so far of a snapshot, in the profile's folder `fetching`.

A bucket's file is named by its wave's hash, so that one which did not change between two snapshots serves for both, and
what a killed node left is known again. What was checked has its name; what has not come whole is a draft.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

from node.mesh.protocol.messages import BUCKETS, FRONT, SECTIONS
from node.profile.paths import make_private_folder
from node.storage.parts import assemble, check_bucket


class FetchFolder:
    """The sections of one snapshot; `begin` says of which."""

    def __init__(self, folder: Path, numpy: bool) -> None:
        self._folder = folder
        self._numpy = numpy
        self._checkpoint = self._buckets = b""
        make_private_folder(folder)

    async def begin(self, checkpoint: bytes, buckets: bytes) -> list[int]:
        """Keep the snapshot at a checkpoint from now on, whose buckets have these hashes; the sections that are not
        here. What is of no use for it goes."""
        self._checkpoint, self._buckets = checkpoint, buckets
        lacking = [section for section in range(SECTIONS) if not await self._has(section)]
        wanted = {self._place(section) for section in range(SECTIONS)}
        for file in self._folder.iterdir():
            if file not in wanted:
                file.unlink(missing_ok=True)
        return lacking

    async def _has(self, section: int) -> bool:
        place = self._place(section)
        if section == FRONT or not place.exists():
            return place.exists()  # what is in a front the whole will show
        return await asyncio.to_thread(
            check_bucket, section, place.read_bytes(), self._expected(section), numpy=self._numpy
        )

    def _expected(self, bucket: int) -> bytes:
        return self._buckets[32 * bucket : 32 * bucket + 32]

    def _place(self, section: int) -> Path:
        """A section's file, by what must be in it."""
        if section == FRONT:
            return self._folder / f"front-{self._checkpoint.hex()[:32]}"
        return self._folder / f"bucket-{section:03d}-{self._expected(section).hex()[:32]}"

    def _draft(self, number: int) -> Path:
        return self._folder / f"draft-{number}"

    def add_to_front(self, number: int, data: bytes) -> None:
        """The next bytes of the front that comes from a peer."""
        with self._draft(number).open("ab") as file:
            file.write(data)

    def drop_front(self, number: int) -> None:
        """What came of a peer's front is of no use."""
        self._draft(number).unlink(missing_ok=True)

    def keep_front(self, number: int) -> None:
        """A peer's front has come whole."""
        os.replace(self._draft(number), self._place(FRONT))

    def forget_front(self) -> None:
        """The front turned out to be false."""
        self._place(FRONT).unlink(missing_ok=True)

    async def keep_bucket(self, bucket: int, data: bytes) -> bool:
        """Check a bucket, and keep it if it is true; whether it is."""
        place, expected = self._place(bucket), self._expected(bucket)
        good = await asyncio.to_thread(check_bucket, bucket, data, expected, numpy=self._numpy)
        if good:
            draft = place.with_suffix(".new")
            draft.write_bytes(data)
            os.replace(draft, place)
        return good

    def assembled(self) -> Path:
        """All sections as one snapshot file."""
        target = self._folder / "whole.snapshot"
        assemble(target, self._place(FRONT), [self._place(bucket) for bucket in range(BUCKETS)])
        return target

    def clear(self) -> None:
        """Nothing of it is needed any more."""
        shutil.rmtree(self._folder, ignore_errors=True)
