"""What a chain knows of its validators and of finality at one of its blocks (protocol sections 4 and 5).

A `View` is a pure function of a block's past: tables, checkpoints, votes that chain blocks accepted, what they
justified and made final. It is never changed; `node.consensus.views` makes the next block's from its selected parent's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from node.consensus.finality import Link, Target
from node.consensus.tables import Reveal, Table
from node.consensus.votes import Vote
from node.encoding.canonical import Value, pack
from node.encoding.hashing import tagged_hash

Ballots = Mapping[tuple[bytes, bytes], Mapping[bytes, Vote]]
"""Votes by link (hashes of source and target) and voter."""


class Fresh(NamedTuple):
    """Checkpoints whose block is the newest: the state after it is not committed to yet."""

    numbers: tuple[int, ...]
    block: bytes
    slot: int
    score: int


class View:
    """See the module. `known` holds checkpoints from the final one on, by hash; `seen` the last sign of life of each
    validator, in parts of a long silence; `absent` whom a long silence leaves out until they vote again; `order` is a
    running hash of all blocks that the chain accepted, for one left out, though it changed nothing yet, would be merged
    once more later; `finals` what this very block made final, with the votes that count."""

    __slots__ = (
        "_digest",
        "absent",
        "best",
        "certificate",
        "epoch",
        "final",
        "finals",
        "fresh",
        "height",
        "justified",
        "known",
        "links",
        "new_links",
        "next_table",
        "number",
        "order",
        "proofs",
        "reveals",
        "rotation",
        "seen",
        "table",
    )

    height: int
    epoch: int
    table: Table
    next_table: Table
    rotation: int  # height of the last block that turned the tables
    reveals: frozenset[Reveal]
    known: Mapping[bytes, Target]
    fresh: Fresh | None
    order: bytes
    number: int  # of the newest checkpoint
    justified: Mapping[bytes, int]  # hash → number
    proofs: Mapping[bytes, Link]  # what justified each checkpoint above the final one
    best: Target  # the highest justified
    final: Target
    links: Ballots
    seen: Mapping[bytes, int]
    absent: frozenset[bytes]
    finals: tuple[tuple[Target, frozenset[bytes]], ...]
    new_links: tuple[Link, ...]
    certificate: tuple[Link, ...]  # what makes `final` final: the link that justified it, and the one to its successor

    def __init__(self) -> None:
        self._digest = b""

    def copy(self) -> View:
        """A view that shares everything."""
        other = View()
        for name in View.__slots__:
            setattr(other, name, getattr(self, name))
        other._digest = b""
        return other

    @property
    def digest(self) -> bytes:
        """A hash of all that the chain's future depends on, in an order that no way of getting here changes.

        Checkpoints commit to it: who takes up a chain in its middle knows by it that he sees what all others do. How a
        vote was signed and which votes were counted first are no part of it.
        """
        if not self._digest:
            self._digest = tagged_hash(b"nexus/view", pack(self._value()))
        return self._digest

    def _value(self) -> Value:
        known: tuple[Value, ...] = tuple(
            (
                name,
                target.source.hash,
                int(target.stake_alone),
                tuple(sorted(target.absent)),
                target.score,
                target.height,
            )
            for name, target in sorted(self.known.items())
        )
        links: tuple[Value, ...] = tuple((*link, tuple(sorted(votes))) for link, votes in sorted(self.links.items()))
        return (
            (self.height, self.epoch, self.rotation, self.number),
            self.order,
            None if self.fresh is None else tuple(self.fresh),
            (self.best.hash, self.final.hash),
            tuple(sorted(self.reveals)),
            known,
            tuple(sorted(self.justified.items())),
            links,
            tuple(sorted(self.seen.items())),
            tuple(sorted(self.absent)),
        )
