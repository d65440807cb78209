"""All votes that a node knows, from gossip and from blocks: what is justified and final by any of them.

Fork choice goes by this pool, chains by the votes they accept (`node.consensus.view`). Votes for checkpoints that are
not known yet wait in a bounded place: a few of each validator's. Two votes of one validator that contradict each other
are evidence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Mapping
from typing import NamedTuple

from node.consensus.finality import Checkpoint, Link, Target
from node.consensus.views import Views, link_of
from node.consensus.votes import Vote, conflict
from node.ledger import staking

MAX_WAITING = 8
"""Votes of one validator that wait. Nobody can tell yet who signed them, so they push out none but his own."""
MAX_SAID = 2
"""Votes of one validator for checkpoints of one number that are taken from gossip: the second proves the offence. What
blocks carry counts in any case, so that all come to the same."""
LOOK_BACK = 64
"""Checkpoints below the final one whose votes are still checked: who contradicts what is final is named."""
_OFFENCES = {"double_vote": staking.DOUBLE_VOTE, "surround_vote": staking.SURROUND_VOTE}


class Evidence(NamedTuple):
    """Proof of an offence, as the payload of an evidence transaction holds it."""

    kind: int
    validator: bytes
    proof: tuple[bytes, ...]


class Ballots:
    """The pool. `best` is the highest justified checkpoint known, `final` the newest final one."""

    def __init__(
        self,
        views: Views,
        final: Target,
        extends: Callable[[Checkpoint, Checkpoint], bool],
        may_wait: Callable[[bytes], bool],
    ) -> None:
        """`extends` tells whether the chain of the second checkpoint passes through the first's block, `may_wait`
        whether a validator is one of those whose votes may wait."""
        self.best = final
        self.final = final
        self.conflict: Link | None = None
        """A justified link that contradicts what is final: a third of the stake broke the rules. Nothing more is
        concluded then; people must choose."""
        self._finals = [final]  # the newest ones, oldest first
        self.targets: dict[bytes, Target] = {final.hash: final}
        self.links: dict[tuple[bytes, bytes], dict[bytes, Vote]] = {}
        self.justified: dict[bytes, int] = {final.hash: final.number}
        self.new_links: list[Link] = []
        self.heard: list[Vote] = []
        """Votes that had to wait and count now."""
        self.new_voice = False
        """Whether somebody was heard who had not voted above the final checkpoint."""
        self.evidence: list[Evidence] = []
        self._views = views
        self._extends = extends
        self._may_wait = may_wait
        self._waiting: dict[bytes, list[Vote]] = {}  # by voter, the oldest first
        self.highest: dict[bytes, int] = {}
        """The highest target that each validator voted for."""
        self._said: dict[int, Counter[bytes]] = {}  # target number: votes of each validator
        self._cast: dict[bytes, list[tuple[Vote, tuple[bytes, bytes]]]] = {}
        self._reached: dict[bytes, tuple[int, int]] = {}  # the highest source and target that each voted for

    def add_target(self, target: Target) -> None:
        """A checkpoint came to be known: count the votes that waited for it."""
        if target.hash in self.targets or target.number < self.final.number - LOOK_BACK:
            return
        self.targets[target.hash] = target
        named = [vote for votes in self._waiting.values() for vote in votes if target.hash in vote.link]
        self._keep_waiting(lambda vote: target.hash not in vote.link)
        for vote in named:
            if self.add(vote, carried=True):  # a block may have had it; few of each validator wait
                self.heard.append(vote)

    def add(self, vote: Vote, *, carried: bool = False) -> bool:
        """Count a vote, `carried` if a block has it. False for one that is known, outdated, one too many or not its
        voter's, and for one that has to wait for its checkpoints: until then nobody can tell whether it is good, so it
        is neither told on nor wakes anybody."""
        votes = self.links.get(vote.link)
        if vote.target < self.final.number - LOOK_BACK or (votes is not None and vote.voter in votes):
            return False
        said = self._said.get(vote.target)
        if not carried and said is not None and said[vote.voter] >= MAX_SAID:
            return False
        source, target = self.targets.get(vote.source_hash), self.targets.get(vote.target_hash)
        if source is None or target is None:
            self._wait(vote)
            return False
        if not self._views.is_good(vote, source, target):
            return False
        self.links.setdefault(vote.link, {})[vote.voter] = vote
        self._said.setdefault(vote.target, Counter())[vote.voter] += 1
        before = self.highest.get(vote.voter, 0)
        self.highest[vote.voter] = max(vote.target, before)
        self.new_voice = self.new_voice or before <= self.final.number < vote.target
        self._look_for_offence(vote, source, target)
        self._conclude({vote.link: self.links[vote.link]})
        return True

    def _wait(self, vote: Vote) -> None:
        if not self._may_wait(vote.voter):
            return
        waiting = self._waiting.setdefault(vote.voter, [])
        if vote not in waiting:
            waiting.append(vote)
            del waiting[:-MAX_WAITING]

    def _keep_waiting(self, wanted: Callable[[Vote], bool]) -> None:
        kept = {voter: [vote for vote in votes if wanted(vote)] for voter, votes in self._waiting.items()}
        self._waiting = {voter: votes for voter, votes in kept.items() if votes}

    def forget_blocks(self, gone: Container[bytes], kept: Container[bytes]) -> None:
        """Drop checkpoints whose blocks were pruned, but for those `kept` that chains may still be led on from."""
        self.targets = {
            name: item
            for name, item in self.targets.items()
            if item.checkpoint.block not in gone or name in kept or item is self.final
        }
        self.links = {link: votes for link, votes in self.links.items() if all(name in self.targets for name in link)}
        self._finals = [item for item in self._finals if item.checkpoint.block not in gone]

    def _conclude(self, links: Mapping[tuple[bytes, bytes], Mapping[bytes, Vote]]) -> None:
        """Draw what follows from these links, of which votes are new; then from any, since more may count now."""
        while self.conflict is None:
            found = self._views.conclusion(links, self.targets, self.justified, self.final.number)
            if found is None:
                break
            links = self.links
            source, target, finalises = found
            link = link_of(source, target, self.links[source.hash, target.hash])
            # A source that is not above what is final here may be final in another history.
            if self._contradicts(source if finalises or target.number == source.number + 1 else None, target):
                self.conflict = link
                break
            self.new_links.append(link)
            self.justified[target.hash] = target.number
            if (-target.number, target.checkpoint.block) < (-self.best.number, self.best.checkpoint.block):
                self.best = target
            if finalises:
                self.final = source
                self._finals.append(source)
        if self.new_links:
            self._forget()

    def _contradicts(self, final: Target | None, justified: Target) -> bool:
        """Whether what became justified, or final, takes a third of the stake that broke the rules.

        Only what is not older than a final checkpoint contradicts it: an older one of another history may have been
        justified before by honest votes that arrive late.
        """
        older = [item for item in self._finals if item.number <= justified.number]
        if older and not self._extends(older[-1].checkpoint, justified.checkpoint):
            return True
        if final is None:
            return False
        newer = [item for item in self.targets.values() if item.hash in self.justified and item.number >= final.number]
        return not all(self._extends(final.checkpoint, item.checkpoint) for item in newer)

    def _forget(self) -> None:
        """Drop what lies far below the final checkpoint, and what waits of those who are no validators any more."""
        low = self.final.number - LOOK_BACK
        self._keep_waiting(lambda vote: vote.target >= low and self._may_wait(vote.voter))
        known = (target.number for target in self.targets.values())
        if all(number >= low for number in (*self.justified.values(), *known)):
            return
        self.targets = {name: target for name, target in self.targets.items() if target.number >= low}
        self.justified = {name: number for name, number in self.justified.items() if number >= low}
        self._said = {number: said for number, said in self._said.items() if number >= low}
        self._finals = [item for item in self._finals if item.number >= low]
        self.links = {
            (source, target): votes
            for (source, target), votes in self.links.items()
            if source in self.targets and target in self.targets
        }

    def _look_for_offence(self, vote: Vote, source: Target, target: Target) -> None:
        headers = source.header, target.header
        cast = self._cast.setdefault(vote.voter, [])
        reached = self._reached.get(vote.voter, (0, 0))
        self._reached[vote.voter] = max(reached[0], vote.source), max(reached[1], vote.target)
        goes_on = vote.source >= reached[0] and vote.target > reached[1]  # that contradicts nothing said before
        for other, theirs in () if goes_on else cast:
            if (name := conflict(vote, other)) and not any(item.validator == vote.voter for item in self.evidence):
                proof = (vote.encoded(), *headers, other.encoded(), *theirs)
                self.evidence.append(Evidence(_OFFENCES[name], vote.voter, proof))
        cast.append((vote, headers))
        if len(cast) > LOOK_BACK:
            del cast[0]
