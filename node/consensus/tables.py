"""The table of validators: who leads a seat, who may vote, and in which region each shines (protocol section 4).

The seed of a chain's first table is the genesis hash, its validators are the genesis's. A table never changes; a
chain has a current and a next one and turns them at the first block of an epoch (`node.consensus.view`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from functools import cached_property
from itertools import accumulate
from typing import cast

from node.encoding.canonical import Value, pack
from node.encoding.hashing import tagged_hash
from node.ledger.staking import Validator
from node.light.spectrum import VISIBLE

Reveal = tuple[bytes, int, bytes]
"""(validator, epoch, reveal) of a block."""
_MEMORY = 4096  # draws remembered: a seat is asked for by every block and every node that looks ahead


class Table:
    """Validators in the order of their ids, with the seed that draws leaders and regions."""

    def __init__(self, seed: bytes, validators: tuple[Validator, ...]) -> None:
        self.seed = seed
        self.validators = validators
        self._ends = list(accumulate(item.stake for item in validators))  # where each one's share of the stake ends
        self.total_stake = self._ends[-1] if validators else 0
        self.regions = assign_regions(seed, validators)
        self._by_id = {item.id: item for item in validators}
        self._drawn: dict[tuple[int, int], bytes] = {}

    def validator(self, identity: bytes) -> Validator | None:
        """The validator with this id, or None."""
        return self._by_id.get(identity)

    def stake_of(self, identity: bytes) -> int:
        """Its stake in this table, 0 for strangers."""
        found = self._by_id.get(identity)
        return 0 if found is None else found.stake

    def leader(self, slot: int, seat: int) -> bytes | None:
        """The id of the seat's leader, drawn by stake; None where he already fills seat 0 of the slot."""
        drawn = self._draw(slot, seat)
        return None if seat and drawn == self._draw(slot, 0) else drawn

    def _draw(self, slot: int, seat: int) -> bytes:
        found = self._drawn.get((slot, seat))
        if found is not None:
            return found
        lot = tagged_hash(b"nexus/leader", self.seed, slot.to_bytes(8), bytes((seat,)))
        # 256 bits modulo the stake: the bias is below 2⁻²⁰⁰.
        item = self.validators[bisect_right(self._ends, int.from_bytes(lot) % self.total_stake)]
        if len(self._drawn) >= _MEMORY:
            self._drawn.clear()
        self._drawn[slot, seat] = item.id
        return item.id

    @cached_property
    def region_stakes(self) -> tuple[tuple[int, int], ...]:
        """(number of validators, stake) of each visible region."""
        counts, stakes = [0] * len(VISIBLE), [0] * len(VISIBLE)
        for item in self.validators:
            counts[self.regions[item.id]] += 1
            stakes[self.regions[item.id]] += item.stake
        return tuple(zip(counts, stakes, strict=True))

    def encoded(self) -> bytes:
        """Canonical bytes: [seed, validators]."""
        return pack((self.seed, tuple(tuple(item) for item in self.validators)))

    @cached_property
    def hash(self) -> bytes:
        """What checkpoints commit to."""
        return tagged_hash(b"nexus/table", self.encoded())

    @classmethod
    def from_value(cls, value: Value) -> Table:
        """A table from a decoded value; that it is the right one, its hash shows. Raises ValueError."""
        shape = (bytes, int, bytes, bytes, int)
        if type(value) is not tuple or tuple(map(type, value)) != (bytes, tuple):
            raise ValueError("A table is a seed and a list of validators.")
        seed, rows = cast("tuple[bytes, tuple[Value, ...]]", value)
        if not rows or any(type(row) is not tuple or tuple(map(type, row)) != shape for row in rows):
            raise ValueError("A table lists validators.")
        validators = tuple(Validator._make(cast("tuple[Value, ...]", row)) for row in rows)
        ids = [item.id for item in validators]
        if ids != sorted(set(ids)) or any(item.stake <= 0 for item in validators):
            raise ValueError("A table lists each validator once, by id, with its stake.")
        return cls(seed, validators)


def assign_regions(seed: bytes, validators: Iterable[Validator]) -> dict[bytes, int]:
    """Index of the visible region of each validator: in the order of H(seed ‖ id), each to the region with the least
    stake so far, the lowest on a tie."""
    filled = [0] * len(VISIBLE)
    regions: dict[bytes, int] = {}
    for item in sorted(validators, key=lambda item: tagged_hash(b"nexus/region", seed, item.id)):
        region = filled.index(min(filled))
        filled[region] += item.stake
        regions[item.id] = region
    return regions


def next_seed(seed: bytes, reveals: Iterable[Reveal]) -> bytes:
    """The seed of a table made now: from the current one and the distinct reveals since the last rotation."""
    return tagged_hash(b"nexus/seed", seed, pack(tuple(sorted(set(reveals)))))
