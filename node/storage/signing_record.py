"""What a validator key has signed, on disk before a signature leaves (protocol section 4, "Signing record").

A key that signs two blocks of one slot, or votes twice for a target, loses its stake. So the record is written and
synced first; a slot at or below the recorded one, a target at or below, a source below are refused, and so is a key
whose record is missing, damaged or another key's. Guessing is never safe here: the person must decide.

A key that goes on from a backup may have voted since for checkpoints that the older chain numbers anew. Its votes are
*held* from that slot on until `release` says that what it votes for next lies beyond all those.
"""

from __future__ import annotations

import struct
from pathlib import Path

from node.api.errors import Damaged, Refused
from node.encoding.hashing import tagged_hash
from node.storage.faults import translated
from node.storage.files import write_durably

_MAGIC = b"NXSIGN02"
_KEY_BYTES = 33
_NUMBERS = struct.Struct(">qqqq")
_CHECK_BYTES = 32
_SIZE = len(_MAGIC) + _KEY_BYTES + _NUMBERS.size + _CHECK_BYTES
_TAG = b"nx.sign-record"
_NONE = -1

_MISSING_HINT = (
    "Restore the file, or make a new validator key. To go on with this key, restore a backup with "
    "`nexus node restore`: that sets a record at the present slot."
)


class SigningRecord:
    """The record of one consensus key. Not shared between processes: the folder lock sees to that."""

    def __init__(self, path: Path, public_key: bytes, slot: int, source: int, target: int, held: int) -> None:
        self.path = path
        self.public_key = public_key
        self._slot = slot
        self._source = source
        self._target = target
        self._held = held

    @property
    def slot(self) -> int:
        """The highest slot a block was signed for, -1 if none."""
        return self._slot

    @property
    def vote(self) -> tuple[int, int]:
        """The highest source and target voted for, -1 if none."""
        return self._source, self._target

    @property
    def held(self) -> int:
        """The slot from which votes are held, -1 if they are not."""
        return self._held

    @classmethod
    def create(cls, path: Path, public_key: bytes, *, restored_at: int = _NONE) -> SigningRecord:
        """A record for a new key; for one from a backup with the slot that runs now: no block at or below is signed,
        and votes are held.

        Raises Refused when there is a record already: replacing one is what loses stakes.
        """
        if len(public_key) != _KEY_BYTES:
            raise ValueError("a consensus key has 33 bytes")
        if path.exists():
            raise Refused(
                "signing_record_exists",
                f"{path} exists already and was kept: a signing record is never replaced.",
                "Move it away only if its key will never sign again.",
            )
        record = cls(path, public_key, restored_at, _NONE, _NONE, restored_at)
        record._write(restored_at, _NONE, _NONE, restored_at)
        return record

    @classmethod
    def open(cls, path: Path, public_key: bytes) -> SigningRecord:
        """The record of an existing key.

        Raises Refused when it is missing or another key's, Damaged when it cannot be read; signing must not begin then.
        """
        with translated(path):
            try:
                with path.open("rb") as file:
                    content = file.read(_SIZE + 1)
            except FileNotFoundError:
                raise Refused(
                    "signing_record_missing",
                    f"The signing record {path} is missing although its key exists. This node will not sign: "
                    "the key may have signed before, and signing a slot twice loses the stake.",
                    _MISSING_HINT,
                ) from None
        body, check = content[:-_CHECK_BYTES], content[-_CHECK_BYTES:]
        if (
            len(content) != _SIZE
            or not content.startswith(_MAGIC)
            or tagged_hash(_TAG, body, size=_CHECK_BYTES) != check
        ):
            raise Damaged(
                "signing_record_damaged",
                f"The signing record {path} is damaged. It was left as it is and this node will not sign.",
                _MISSING_HINT,
            )
        key = body[len(_MAGIC) : len(_MAGIC) + _KEY_BYTES]
        if key != public_key:
            raise Refused(
                "signing_record_other_key",
                f"The signing record {path} belongs to another validator key. This node will not sign.",
                "Put the key and its own record side by side again.",
            )
        return cls(path, public_key, *_NUMBERS.unpack(body[len(_MAGIC) + _KEY_BYTES :]))

    def record_block(self, slot: int) -> None:
        """Call before signing a block of `slot`; when it returns, the slot is on disk.

        Raises Refused at or below the recorded slot, Damaged when the disk refuses: no signature may be made then.
        """
        if slot <= self._slot:
            raise Refused(
                "slot_already_signed",
                f"A block of slot {slot} was not signed: this key has signed up to slot {self._slot}.",
                "If the clock was set back, wait until it has caught up.",
            )
        self._write(slot, self._source, self._target, self._held)
        self._slot = slot

    def record_vote(self, source: int, target: int) -> None:
        """Call before signing a vote; when it returns, source and target are on disk. Errors as `record_block`."""
        if self._held != _NONE:
            raise Refused("votes_held", "This key goes on from a backup; it does not vote yet.")
        if source < self._source or target <= self._target or source >= target:
            raise Refused(
                "vote_already_signed",
                f"A vote from {source} to {target} was not signed: this key has voted from {self._source} "
                f"to {self._target}.",
            )
        self._write(self._slot, source, target, self._held)
        self._source, self._target = source, target

    def hold(self, slot: int) -> None:
        """The chain goes back to a backup in `slot`: sign no block at or below it, and hold all votes."""
        slot = max(slot, self._slot)
        self._write(slot, self._source, self._target, slot)
        self._slot = self._held = slot

    def release(self, source: int, target: int) -> None:
        """Vote again, from this source on and above this target."""
        self._write(self._slot, source, target, _NONE)
        self._source, self._target, self._held = source, target, _NONE

    def _write(self, slot: int, source: int, target: int, held: int) -> None:
        body = _MAGIC + self.public_key + _NUMBERS.pack(slot, source, target, held)
        write_durably(self.path, body + tagged_hash(_TAG, body, size=_CHECK_BYTES))
