"""Withheld reveals, by the draw itself: what attackers gain where a validator reveals once an epoch, and where each of
their blocks reveals something of its own (protocol section 4, "Reveals are per epoch").

Attackers keep blocks back until everybody else has revealed, compute the table that each choice among them would draw,
and publish the choice that gives them most seats. No engine is needed for that: the draw is `Table` and `next_seed`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import compress
from random import Random

from node.consensus.tables import Reveal, Table, next_seed
from node.ledger.staking import Validator

ABOUT = (
    "Leaders of a later epoch are drawn from what validators reveal in this one; each has one reveal an epoch. The "
    "draw: 3 of 12 validators keep back what they can until the others have revealed, compute the table that each "
    "choice among it would draw, and publish what gives them most seats (chance: 25 %). Without the rule each of "
    "their blocks would reveal something of its own."
)
_VALIDATORS, _ATTACKERS = 12, 3
_EPOCHS = 10
_SLOTS, _SEATS = 60, 2
_TRIES = 1 << 10  # choices that attackers look at: it takes them a second, and more would win more


@dataclass(frozen=True, slots=True)
class Draws:
    """What attackers won: `choices` they had at the end of an epoch, `seats` of all that were filled they got."""

    choices: int
    seats: int
    won: int

    @property
    def percent(self) -> float:
        """Their share of the seats."""
        return round(100 * self.won / self.seats, 1)


def grind(once_an_epoch: bool, seed: int = 1) -> Draws:
    """Draw some epochs one after the other, each as the attackers like it best."""
    random = Random(f"nexus lab grinding {seed}")
    everybody = tuple(Validator(number.to_bytes(21), 1, b"", b"", 0) for number in range(_VALIDATORS))
    hostile = {item.id for item in everybody[:_ATTACKERS]}
    table = Table(random.randbytes(32), everybody)
    choices, seats, won = 0, 0, 0
    for epoch in range(_EPOCHS):
        given = [(item.id, epoch, random.randbytes(32)) for item in everybody[_ATTACKERS:]]
        kept: list[Reveal] = []
        if once_an_epoch:
            kept = [(identity, epoch, random.randbytes(32)) for identity in sorted(hostile)]
        else:
            kept = [(leader, epoch, random.randbytes(32)) for leader in _leaders(table, epoch) if leader in hostile]
        choices = min(_TRIES, 1 << len(kept))
        seat_counts = []
        for choice in range(choices):
            published = compress(kept, (choice >> number & 1 for number in range(len(kept))))
            drawn = Table(next_seed(table.seed, [*given, *published]), everybody)
            leaders = list(_leaders(drawn, epoch + 1))
            seat_counts.append((sum(leader in hostile for leader in leaders), len(leaders), -choice, drawn))
        best = max(seat_counts, key=lambda count: count[:3])
        won, seats, table = won + best[0], seats + best[1], best[3]
    return Draws(choices, seats, won)


def _leaders(table: Table, epoch: int) -> Iterator[bytes]:
    """Who fills the seats of an epoch."""
    for slot in range(epoch * _SLOTS, (epoch + 1) * _SLOTS):
        for seat in range(_SEATS):
            leader = table.leader(slot, seat)
            if leader is not None:
                yield leader
