"""Certificates moved to other headers: how many regions' hashes must be broken (protocol section 5, "Six hashes").

Whoever finds collisions in a region's hash can make the votes of its validators speak of other headers. So a
certificate is as strong as the number of regions without whose votes it is none.
"""

from __future__ import annotations

from itertools import combinations

from node.consensus.finality import quorum
from node.consensus.tables import Table
from node.ledger.staking import Validator
from node.light.spectrum import VISIBLE

ABOUT = (
    "A link needs votes of most regions, not of stake alone. Each region votes by a hash of its own: who breaks the "
    "hashes of some regions can move their validators' votes to other headers. The count: how many hashes must be "
    "broken until those votes alone make a certificate."
)
_MANY = 30
_STAKES: dict[str, tuple[int, ...]] = {
    "equal stakes": (1,) * _MANY,
    "stakes that fall as 1, 1/2, 1/3": tuple(5_040 // (place + 1) for place in range(_MANY)),
    "one with 70 %": (70 * (_MANY - 1), *(30,) * (_MANY - 1)),
}


def hashes_to_break(with_regions: bool) -> dict[str, int]:
    """The least number of regions whose votes alone justify a link, by how stakes lie."""
    return {name: _least(stakes, with_regions) for name, stakes in _STAKES.items()}


def _least(stakes: tuple[int, ...], with_regions: bool) -> int:
    validators = tuple(Validator(number.to_bytes(21), stake, b"", b"", 0) for number, stake in enumerate(stakes))
    table = Table(b"nexus lab", validators)
    for count in range(1, len(VISIBLE) + 1):
        for broken in combinations(range(len(VISIBLE)), count):
            voters = [item.id for item in validators if table.regions[item.id] in broken]
            if quorum(voters, table, table, stake_alone=False, spectral=with_regions):
                return count
    raise AssertionError("all votes together make a certificate")
