"""The table of validators: who leads a seat, and in which region he shines (protocol section 4).

The seed of a chain's first table is the genesis hash, its validators are the genesis's.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from node.encoding.hashing import tagged_hash
from node.ledger.stakes import Validator
from node.light.spectrum import VISIBLE


@dataclass(frozen=True, slots=True)
class Table:
    """Validators in the order of their ids, with the seed that draws leaders and regions."""

    seed: bytes
    validators: tuple[Validator, ...]
    regions: dict[bytes, int] = field(init=False)
    total_stake: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "total_stake", sum(item.stake for item in self.validators))
        object.__setattr__(self, "regions", assign_regions(self.seed, self.validators))

    def validator(self, identity: bytes) -> Validator | None:
        """The validator with this id, or None."""
        return next((item for item in self.validators if item.id == identity), None)

    def leader(self, slot: int, seat: int) -> bytes | None:
        """The id of the seat's leader, drawn by stake; None where he already fills seat 0 of the slot."""
        drawn = self._draw(slot, seat)
        return None if seat and drawn == self._draw(slot, 0) else drawn

    def _draw(self, slot: int, seat: int) -> bytes:
        lot = tagged_hash(b"nexus/leader", self.seed, slot.to_bytes(8), bytes((seat,)))
        # 256 bits modulo the stake: the bias is below 2⁻²⁰⁰.
        point = int.from_bytes(lot) % self.total_stake
        for item in self.validators:
            if point < item.stake:
                return item.id
            point -= item.stake
        raise AssertionError("a point below the total stake lies in somebody's share")


def assign_regions(seed: bytes, validators: tuple[Validator, ...]) -> dict[bytes, int]:
    """Index of the visible region of each validator: in the order of H(seed ‖ id), each to the region with the least
    stake so far, the lowest on a tie."""
    filled = [0] * len(VISIBLE)
    regions: dict[bytes, int] = {}
    for item in sorted(validators, key=lambda item: tagged_hash(b"nexus/region", seed, item.id)):
        region = filled.index(min(filled))
        filled[region] += item.stake
        regions[item.id] = region
    return regions
