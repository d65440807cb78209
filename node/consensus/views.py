"""The rules by which views follow one another along a chain (protocol sections 4 and 5).

`Views.advance` makes a block's view from its selected parent's and shares what stayed the same. So side branches are
judged without executing them, except that a rotation takes the active set from the state of a checkpoint that is final
there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from node.consensus.blocks import Header
from node.consensus.finality import (
    SILENT_BLOCKS,
    Checkpoint,
    Link,
    Target,
    names,
    preceding_justified,
    quorum,
    stands_in_tables,
    voter_key,
)
from node.consensus.slots import SlotClock
from node.consensus.tables import Reveal, Table, next_seed
from node.consensus.view import Ballots, Fresh, View
from node.consensus.votes import Vote, VoteVerdicts
from node.encoding.hashing import tagged_hash
from node.ledger.parameters import Parameters
from node.ledger.staking import Validator

_SEEN_PARTS = 64  # a long silence is measured in 64ths of it, so that most blocks share the record of who was seen

Accepted = tuple[bytes, Header, Sequence[Vote]]
"""A block that a chain accepts: its id, header and votes."""


class StateMissing(Exception):
    """A table needs the active set in the state after a block that was not executed here yet."""

    def __init__(self, block: bytes) -> None:
        super().__init__(block.hex())
        self.block = block


@dataclass(frozen=True, slots=True)
class Clauses:
    """Rules that answer a known attack or stall. All hold on every network; the lab switches one off to show why."""

    vote_depth: bool = True
    exact_successor: bool = True
    rotate_after_final: bool = True
    spectral_quorum: bool = True
    forward_quorum: bool = True
    rear_quorum: bool = True
    twins_red: bool = True
    lateness: bool = True


class Views:
    """The rules by which views follow one another on one network."""

    def __init__(
        self,
        genesis: bytes,
        parameters: Parameters,
        slots: SlotClock,
        header_of: Callable[[bytes], bytes],
        active_set: Callable[[bytes], tuple[Validator, ...] | None],
        verdicts: VoteVerdicts,
        clauses: Clauses,
    ) -> None:
        """`header_of` gives a block's encoded header; `active_set` that of the state after a block, None if unknown."""
        self.genesis = genesis
        self.parameters = parameters
        self.slots = slots
        self.clauses = clauses
        self.verdicts = verdicts
        self._header_of = header_of
        self.active_set = active_set

    def first(self, validators: tuple[Validator, ...], state: bytes) -> View:
        """The view at the genesis, whose checkpoint 0 is final."""
        table = Table(self.genesis, validators)
        checkpoint = Checkpoint(0, self.genesis, 0, state, table.hash, table.hash, bytes(32))
        target = Target(checkpoint, table, table, checkpoint, True, frozenset(), 0, 0, self.genesis)
        view = View()
        view.height = view.epoch = view.rotation = view.number = 0
        view.table = view.next_table = table
        view.reveals = frozenset()
        view.order = self.genesis
        view.known = {target.hash: target}
        view.fresh = None
        view.justified = {target.hash: 0}
        view.best = view.final = target
        view.links = {}
        view.proofs = {}
        view.seen = {}
        view.absent = frozenset()
        view.finals = view.new_links = view.certificate = ()
        return view

    def tables(self, view: View, slot: int) -> tuple[Table, Table]:
        """The current and the next table for a block of `slot` whose selected parent has this view.

        Raises StateMissing.
        """
        if self.slots.epoch_of(slot) <= view.epoch:
            return view.table, view.next_table
        final = view.final
        if not self.clauses.rotate_after_final:
            # What the clause forbids: to turn by what a chain merely justified.
            final = view.best
        if final.height <= view.rotation:
            return view.table, view.next_table
        validators = self.active_set(final.checkpoint.block)
        if validators is None:
            raise StateMissing(final.checkpoint.block)
        if not validators:
            return view.table, view.next_table
        return view.next_table, Table(next_seed(view.table.seed, view.reveals), validators)

    def advance(self, view: View, header: Header, block: bytes, score: int, accepted: Sequence[Accepted]) -> View:
        """The view at a block whose selected parent has `view`.

        `score` is its blue score; `accepted` are the rest of its mergeset in order, then the block itself.
        Raises StateMissing.
        """
        made = view.copy()
        made.finals = made.new_links = ()
        made.height = view.height + 1
        made.order = tagged_hash(b"nexus/order", view.order, *(item for item, _, _ in accepted))
        if view.fresh is not None:
            self._seal(made, view, header.state_commitment)
        table, following = self.tables(view, header.slot)
        if following is not view.next_table:
            made.table, made.next_table = table, following
            made.rotation, made.reveals = made.height, frozenset()
            # A link asks the table of its source too, which may be the one that was turned away just now.
            made.absent = _of_tables(view.absent, view.table, table, following)
        made.epoch = max(view.epoch, self.slots.epoch_of(header.slot))
        self._watch(made, (item for _, item, _ in accepted))
        for _, item, votes in accepted:
            if votes:
                self._count(made, votes, item.slot)
        number = score // self.parameters.checkpoint_score
        if number > view.number:
            made.fresh = Fresh(tuple(range(view.number + 1, number + 1)), block, header.slot, score)
            made.number = number
            made.absent |= self._silent(made, header.slot)
        return made

    def _seal(self, made: View, view: View, state: bytes) -> None:
        """The child's header commits to the state after the checkpoint's block: now its hash is known."""
        fresh = view.fresh
        assert fresh is not None
        known = dict(made.known)
        for target in self.targets(view, state):
            known[target.hash] = target
        made.known, made.fresh = known, None

    def targets(self, view: View, state: bytes) -> list[Target]:
        """The checkpoints of the view's own block, given the state after it."""
        fresh = view.fresh
        if fresh is None:
            return []
        header = self._header_of(fresh.block)
        tables = view.table.hash, view.next_table.hash
        return [
            Target(
                Checkpoint(number, fresh.block, fresh.slot, state, *tables, view.digest),
                view.table,
                view.next_table,
                view.best.checkpoint,
                not preceding_justified(number, view.justified.values()),
                view.absent,
                fresh.score,
                view.height,
                header,
            )
            for number in fresh.numbers
        ]

    def _silent(self, made: View, slot: int) -> frozenset[bytes]:
        """Who begins to be absent with a checkpoint at this view's block: it ends a long silence, all of it his too."""
        silence = self.parameters.silence_slots
        final = made.final
        if slot - final.checkpoint.slot < silence or made.height - final.height < SILENT_BLOCKS:
            return frozenset()
        since = (slot - silence) // _part(silence)
        return frozenset(item.id for item in made.table.validators if made.seen.get(item.id, -1) < since)

    def _watch(self, made: View, headers: Iterable[Header]) -> None:
        """Record the reveals of accepted blocks, and their creators' signs of life."""
        reveals: list[Reveal] = []
        for header in headers:
            reveal = (header.creator, self.slots.epoch_of(header.slot), header.reveal)
            if reveal not in made.reveals:
                reveals.append(reveal)
            self._see(made, (header.creator,), header.slot)
        if reveals:
            made.reveals = made.reveals.union(reveals)

    def _see(self, made: View, identities: Iterable[bytes], slot: int) -> None:
        now = slot // _part(self.parameters.silence_slots)
        newly = {identity: now for identity in identities if made.seen.get(identity, -1) < now}
        if newly:
            made.seen = {**made.seen, **newly}

    def _count(self, made: View, votes: Iterable[Vote], slot: int) -> None:
        """Count votes that a chain block accepts from a block of `slot`, and draw what follows from them.

        Only a vote that counts, and for the first time, is a sign of life: anybody can repeat one or make one up. An
        absent validator is back with a vote for a checkpoint that leaves him out; an older vote, which somebody kept
        back, does not prove that he lives.
        """
        new: dict[tuple[bytes, bytes], dict[bytes, Vote]] = {}
        for vote in votes:
            if any(vote.voter in tally.get(vote.link, ()) for tally in (made.links, new)):
                continue
            if self._counts(made, vote):
                new.setdefault(vote.link, {})[vote.voter] = vote
        if new:
            made.links = {**made.links, **{link: {**made.links.get(link, {}), **votes} for link, votes in new.items()}}
            for (_, target), cast in new.items():
                self._see(made, cast, slot)
                made.absent -= made.known[target].absent & cast.keys()
            self._conclude(made)

    def _counts(self, made: View, vote: Vote) -> bool:
        source, target = made.known.get(vote.source_hash), made.known.get(vote.target_hash)
        return source is not None and target is not None and self.is_good(vote, source, target)

    def is_good(self, vote: Vote, source: Target, target: Target) -> bool:
        """Whether a vote speaks of these checkpoints, is its voter's, and in his region."""
        if not names(vote, source.checkpoint, target.checkpoint):
            return False
        if not stands_in_tables(target.table, source.table, source.next_table):
            return False
        key = voter_key(vote, target.table, source.table)
        if key is None:
            return False
        return self.verdicts.good(vote, key, self.genesis, source.header, target.header)

    def justifies(self, voters: Iterable[bytes], source: Target, target: Target) -> bool:
        """Whether votes of these validators make the link from source to target a justified one."""
        return quorum(
            voters,
            target.table,
            source.table,
            stake_alone=target.stake_alone,
            absent=target.absent,
            spectral=self.clauses.spectral_quorum,
            rear=self.clauses.rear_quorum,
            forward=self.clauses.forward_quorum,
        )

    def is_whole(self, link: Link, source: Target, target: Target) -> bool:
        """Whether a link that came from elsewhere is what its good votes make of it."""
        votes = {vote.voter: vote for vote in link.votes if self.is_good(vote, source, target)}
        return link == link_of(source, target, votes) and self.justifies(votes, source, target)

    def conclusion(
        self,
        links: Ballots,
        known: Mapping[bytes, Target],
        justified: Mapping[bytes, int],
        final: int,
    ) -> tuple[Target, Target, bool] | None:
        """A link whose votes justify its target, or make its source final, for the first time; None without any.

        The third is whether its source, above number `final`, is final by it.
        """
        for (source_hash, target_hash), votes in links.items():
            if source_hash not in justified:
                continue
            source = known[source_hash]
            if target_hash in justified and source.number <= final:
                continue
            target = known[target_hash]
            finalises = source.number > final and (
                target.number == source.number + 1 or not self.clauses.exact_successor
            )
            if (finalises or target_hash not in justified) and self.justifies(votes, source, target):
                return source, target, finalises
        return None

    def _conclude(self, made: View) -> None:
        """Justify what has its quorum until nothing new follows."""
        final = made.final
        # In one order everywhere: of two that get the same number together, the first is the best from then on.
        links = dict(sorted(made.links.items()))
        while found := self.conclusion(links, made.known, made.justified, final.number):
            source, target, finalises = found
            link = link_of(source, target, made.links[source.hash, target.hash])
            made.new_links = (*made.new_links, link)
            if target.hash not in made.justified:
                made.justified = {**made.justified, target.hash: target.number}
                made.proofs = {**made.proofs, target.hash: link}
            if target.number > made.best.number:
                made.best = target
            if finalises:
                final = source
                made.certificate = (made.proofs[source.hash], link)
        if final is not made.final:
            self._finish(made, final)

    def _finish(self, made: View, final: Target) -> None:
        """Checkpoints up to `final` are final now: count who voted for each, and forget what is older."""
        before = made.final.number
        newly = sorted(
            (target for target in made.known.values() if before < target.number <= final.number),
            key=lambda target: target.number,
        )
        made.finals = tuple((target, voters_for(made.links, target.hash)) for target in newly)
        made.final = final
        made.known = {name: target for name, target in made.known.items() if target.number >= final.number}
        # The three before a checkpoint are asked about, so a few justified numbers stay.
        made.justified = {name: number for name, number in made.justified.items() if number >= final.number - 3}
        made.proofs = {name: link for name, link in made.proofs.items() if link.target.number > final.number}
        made.links = {
            (source, target): votes
            for (source, target), votes in made.links.items()
            if source in made.known and target in made.known and target != final.hash
        }


def voters_for(links: Ballots, target: bytes) -> frozenset[bytes]:
    """Everybody whose vote for this checkpoint was accepted."""
    return frozenset(voter for (_, aim), votes in links.items() if aim == target for voter in votes)


def link_of(source: Target, target: Target, votes: Mapping[bytes, Vote]) -> Link:
    """A justified link with its votes in the order of their voters."""
    ordered = tuple(votes[voter] for voter in sorted(votes))
    return Link(source.checkpoint, target.checkpoint, ordered, target.stake_alone, tuple(sorted(target.absent)))


def _of_tables(identities: frozenset[bytes], *tables: Table) -> frozenset[bytes]:
    return frozenset(identity for identity in identities if any(table.validator(identity) for table in tables))


def _part(silence: int) -> int:
    return max(1, silence // _SEEN_PARTS)
