"""Votes of validators for checkpoints (protocol section 5).

A vote's digest is its region's hash of everything it speaks of, with the full headers of source and target: to move
votes to other headers one must find collisions in the hashes of five regions at once. The consensus key signs the
digest's leftmost 256 bits as they are.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from node.encoding.canonical import Value, pack
from node.encoding.hashing import tagged_hash
from node.ledger.signatures import verify_digest
from node.light.signature import region_hash
from node.light.spectrum import VISIBLE

MAX_VOTES = 128
"""In one body: twice the largest table."""
_TAG = b"nexus/vote"
_SHAPE = (int, bytes, int, bytes, int, int, bytes, bytes)
_MAX_ID = 33


class VoteError(ValueError):
    """A vote whose form is wrong."""


class Vote(NamedTuple):
    """A link from a justified checkpoint to a later one, and the voter's signature. Numbers count checkpoints."""

    source: int
    source_hash: bytes
    target: int
    target_hash: bytes
    target_slot: int
    region: int
    voter: bytes
    signature: bytes

    def encoded(self) -> bytes:
        """Canonical bytes."""
        return pack(tuple(self))

    @property
    def id(self) -> bytes:
        """The name under which gossip and caches know it."""
        return tagged_hash(b"nexus/vote/id", self.encoded())

    @property
    def link(self) -> tuple[bytes, bytes]:
        """Hashes of source and target."""
        return self.source_hash, self.target_hash

    def digest(self, genesis: bytes, source_header: bytes, target_header: bytes) -> bytes:
        """The 32 bytes that the voter signs. Headers are encoded in full; the genesis hash stands for its header."""
        content = pack(tuple(self[:-1]))
        parts = (_TAG, genesis, len(content).to_bytes(4), content, len(source_header).to_bytes(4), source_header)
        return region_hash(self.region, b"".join((*parts, target_header)))[:32]

    @classmethod
    def from_value(cls, value: Value) -> Vote:
        """A vote of good form from a decoded value. Raises VoteError."""
        if type(value) is not tuple or tuple(map(type, value)) != _SHAPE:
            raise VoteError("A vote does not have the fields of a vote.")
        vote = cls._make(value)
        if len(vote.source_hash) != 32 or len(vote.target_hash) != 32 or len(vote.signature) != 64:
            raise VoteError("A hash or the signature of a vote has a wrong length.")
        if not vote.source < vote.target or not 0 < len(vote.voter) <= _MAX_ID or vote.region >= len(VISIBLE):
            raise VoteError("A vote goes from a checkpoint to a later one, by a validator in a visible region.")
        return vote


class VoteVerdicts:
    """Remembers which votes were found to be signed by a key, so that each is checked once."""

    def __init__(self, kept: int = 1 << 13) -> None:
        self._good: OrderedDict[tuple[bytes, Vote], None] = OrderedDict()
        self._kept = kept

    def good(self, vote: Vote, key: bytes, genesis: bytes, source_header: bytes, target_header: bytes) -> bool:
        """Whether the vote is signed by the consensus key `key`."""
        name = (key, vote)
        if name in self._good:
            return True
        if not verify_digest(key, vote.digest(genesis, source_header, target_header), vote.signature):
            return False
        self._good[name] = None
        if len(self._good) > self._kept:
            self._good.popitem(last=False)
        return True


def conflict(one: Vote, other: Vote) -> str:
    """Why two votes of one voter are an offence: "double_vote", "surround_vote", or empty (protocol section 5)."""
    if one.target == other.target:
        return "" if one[:-1] == other[:-1] else "double_vote"
    if (one.source < other.source and other.target < one.target) or (
        other.source < one.source and one.target < other.target
    ):
        return "surround_vote"
    return ""
