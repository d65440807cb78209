"""Checkpoints, quorums and certificates (protocol section 5), as functions of what is given alone."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from hashlib import blake2b
from typing import NamedTuple, cast

from node.consensus.tables import Table
from node.consensus.votes import Vote
from node.encoding.canonical import Value, pack
from node.encoding.hashing import tagged_hash
from node.light.waves import SILENCE, superpose, wave

PREFIX = 16
"""Bytes of a checkpoint's hash that are enough to know it again: another one with the same is a second preimage."""
SILENT_BLOCKS = 100
"""Chain blocks after the last final checkpoint before a long silence is believed."""
_FULL_REGION = 4
"""Validators that make a region count in the spectral quorum."""
_LOOK_BACK = 3


class Checkpoint(NamedTuple):
    """Checkpoint `number` of a chain: its block, the state after that block, and by their hashes the tables there and
    all else that the chain knows there of validators and votes (`View.digest`)."""

    number: int
    block: bytes
    slot: int
    state: bytes
    table: bytes
    next_table: bytes
    view: bytes

    @property
    def hash(self) -> bytes:
        """What votes name."""
        return tagged_hash(b"nexus/checkpoint", pack(tuple(self)))

    def is_meant_by(self, trusted: bytes) -> bool:
        """Whether this is the checkpoint that somebody trusts by its hash, or by the first 16 bytes of it."""
        return len(trusted) >= PREFIX and self.hash.startswith(trusted)

    @classmethod
    def from_value(cls, value: Value) -> Checkpoint:
        """A checkpoint from a decoded value. Raises ValueError."""
        if type(value) is not tuple or tuple(map(type, value)) != (int, bytes, int, bytes, bytes, bytes, bytes):
            raise ValueError("A checkpoint has seven fields.")
        found = cls._make(cast("tuple[int, bytes, int, bytes, bytes, bytes, bytes]", value))
        if any(len(item) != 32 for item in (found.block, *found[3:])):
            raise ValueError("A hash of a checkpoint has 32 bytes.")
        return found


class Target:
    """A checkpoint with what its block's own past says about votes for it; a pure function of that past.

    `source` is the highest justified checkpoint there, the one that votes for this target come from. `stake_alone`:
    none of the three checkpoints before was justified, so regions are not asked. `absent`: whom a long silence leaves
    out. `score` is the blue score, `height` the chain height and `header` the encoded header of the block (the genesis
    hash for the genesis), which votes sign: the block itself may be pruned long before.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        table: Table,
        next_table: Table,
        source: Checkpoint,
        stake_alone: bool,
        absent: frozenset[bytes],
        score: int,
        height: int,
        header: bytes,
    ) -> None:
        self.checkpoint = checkpoint
        self.table = table
        self.next_table = next_table
        self.source = source
        self.stake_alone = stake_alone
        self.absent = absent
        self.score = score
        self.height = height
        self.header = header

    @property
    def number(self) -> int:
        """The checkpoint's number."""
        return self.checkpoint.number

    @cached_property
    def hash(self) -> bytes:
        """The checkpoint's hash."""
        return self.checkpoint.hash


class Link(NamedTuple):
    """A justified link: two checkpoints and the votes that lead from one to the other, by voter."""

    source: Checkpoint
    target: Checkpoint
    votes: tuple[Vote, ...]
    stake_alone: bool
    absent: tuple[bytes, ...]  # whom the target leaves out, those of them who vote again too

    @property
    def pattern(self) -> bytes:
        """The interference pattern: the superposition of the votes' waves, 2,048 bytes, recomputed by everybody."""
        return superpose(SILENCE, [wave(vote.encoded()) for vote in self.votes])

    def encoded(self) -> bytes:
        """Canonical bytes."""
        votes: tuple[Value, ...] = tuple(tuple(vote) for vote in self.votes)
        return pack((tuple(self.source), tuple(self.target), votes, int(self.stake_alone), self.absent))

    @classmethod
    def from_value(cls, value: Value) -> Link:
        """A link from a decoded value. Raises ValueError (also VoteError, one of its kind)."""
        if type(value) is not tuple or tuple(map(type, value)) != (tuple, tuple, tuple, int, tuple):
            raise ValueError("A link has five fields.")
        source, target, votes, alone, absent = cast("tuple[Value, Value, tuple[Value, ...], int, Value]", value)
        if alone > 1 or any(type(item) is not bytes for item in cast("tuple[Value, ...]", absent)):
            raise ValueError("A link says plainly whose stake it counts.")
        return cls(
            Checkpoint.from_value(source),
            Checkpoint.from_value(target),
            tuple(Vote.from_value(item) for item in votes),
            bool(alone),
            cast("tuple[bytes, ...]", absent),
        )


def pattern_digest(pattern: bytes) -> bytes:
    """The short form of an interference pattern, for people to compare."""
    return blake2b(pattern, digest_size=32, person=b"nexus/pattern").digest()


def stands_in_tables(target: Table, source: Table, source_next: Table) -> bool:
    """Whether at most one rotation lies between two checkpoints: the target's table is the source's or its next."""
    return target.hash in (source.hash, source_next.hash)


def quorum(
    voters: Iterable[bytes],
    table: Table,
    source_table: Table,
    *,
    stake_alone: bool,
    absent: frozenset[bytes] = frozenset(),
    spectral: bool = True,
    rear: bool = True,
    forward: bool = True,
) -> bool:
    """Whether votes of these validators justify a link.

    More than 2/3 of stake in the target's current table, and in the source's too if it is another (`forward` and
    `rear`: whether each is asked then); and, unless `stake_alone`, more than 1/3 of the stake inside ⌊5r/6⌋ of the r
    regions with four validators or more, if r ≥ 4 (`spectral`). The absent count nothing unless they vote, and are
    none of a region's four.
    """
    have = frozenset(voters)
    turned = source_table is not table and source_table.hash != table.hash
    if (forward or not turned) and not _two_thirds(have, table, absent):
        return False
    if rear and turned and not _two_thirds(have, source_table, absent):
        return False
    return stake_alone or not spectral or spectral_quorum(have, table, absent)


def _two_thirds(have: frozenset[bytes], table: Table, absent: frozenset[bytes]) -> bool:
    voted = sum(table.stake_of(voter) for voter in have)
    whole = table.total_stake
    if absent:
        whole -= sum(table.stake_of(identity) for identity in absent - have)
    return 3 * voted > 2 * whole


def spectral_quorum(have: frozenset[bytes], table: Table, absent: frozenset[bytes] = frozenset()) -> bool:
    """The quorum of regions: see `quorum`. Which regions are full does not depend on the votes, so more never hurt."""
    counts, stakes = [count for count, _ in table.region_stakes], [stake for _, stake in table.region_stakes]
    voted = [0] * len(stakes)
    for identity in absent:
        if (stake := table.stake_of(identity)) > 0:
            region = table.regions[identity]
            counts[region] -= 1
            if identity not in have:
                stakes[region] -= stake
    full = [region for region, count in enumerate(counts) if count >= _FULL_REGION]
    if len(full) < 4:
        return True
    for identity in have:
        if (stake := table.stake_of(identity)) > 0:
            voted[table.regions[identity]] += stake
    lit = sum(3 * voted[region] > stakes[region] for region in full)
    return lit >= 5 * len(full) // 6


def voter_key(vote: Vote, table: Table, source_table: Table) -> bytes | None:
    """The consensus key that must have signed a vote, by the target's table, else by the source's.

    None where its voter is in neither, or votes under another region's hash than his own.
    """
    for place in (table, source_table):
        found = place.validator(vote.voter)
        if found is not None:
            return found.consensus_key if place.regions[vote.voter] == vote.region else None
    return None


def names(vote: Vote, source: Checkpoint, target: Checkpoint) -> bool:
    """Whether a vote's plain fields say what its hashes say."""
    return (vote.source, vote.target, vote.target_slot) == (source.number, target.number, target.slot)


def preceding_justified(number: int, justified: Iterable[int]) -> bool:
    """Whether one of the three checkpoints before `number` is justified."""
    return any(number - _LOOK_BACK <= item < number for item in justified)
