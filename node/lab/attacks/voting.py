"""Attacks by votes: doubled, surrounding, split over siblings, none at all, and a whale beside five small ones."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from node.consensus import duties
from node.consensus.finality import Target
from node.consensus.votes import Vote
from node.lab.attacks.attack import Attack
from node.lab.attacks.making import halves
from node.lab.behaviour import Behaviour
from node.lab.scenario import Cut

if TYPE_CHECKING:
    from node.lab.node import Node
    from node.lab.scenario import Scenario


def link(node: Node, source: Target, target: Target) -> Vote | None:
    """A signed vote from any source to any target."""
    assert node.operator is not None
    if node.identity not in target.table.regions:
        return None
    vote = Vote(
        source.number,
        source.hash,
        target.number,
        target.hash,
        target.checkpoint.slot,
        target.table.regions[node.identity],
        node.identity,
        b"",
    )
    engine = node.engine
    headers = engine.header_of(source.checkpoint.block), engine.header_of(target.checkpoint.block)
    return vote._replace(signature=node.operator.consensus.sign_digest(vote.digest(engine.genesis_hash, *headers)))


def next_target(node: Node) -> Target | None:
    """What an honest validator would vote for now; it counts as voted for."""
    target = duties.target_to_vote(node.engine, node.disk.source, node.disk.target)
    if target is not None:
        node.disk.source, node.disk.target = target.source.number, target.number
    return target


class DoubleVote(Attack):
    """Two votes with one target number: one for another checkpoint of that number, else from another source."""

    name = "double-vote"
    about = "Attackers cast two contradicting votes, one to each half of the network."

    def behaviour(self) -> Behaviour:
        return _DoubleVoting(self)


class _DoubleVoting(Behaviour):
    def __init__(self, attack: Attack) -> None:
        self._attack = attack

    def vote(self, node: Node) -> None:
        target = next_target(node)
        if target is None:
            return
        vote, other = node.sign_vote(target), self._other(node, target)
        if vote is None:
            return
        if other is None:
            node.send_vote(vote)
            return
        self._attack.count("double vote")
        for ballot, peers in zip((vote, other), halves(node), strict=True):
            node.send_vote(ballot, peers)

    @staticmethod
    def _other(node: Node, target: Target) -> Vote | None:
        known = sorted(node.engine.ballots.targets.values(), key=lambda item: (item.number, item.hash))
        for sibling in known:
            if sibling.number == target.number and sibling.hash != target.hash:
                return node.sign_vote(sibling)
        for source in known:
            if source.number < target.number and source.hash != target.source.hash:
                return link(node, source, target)
        return None


class Surround(Attack):
    """Votes around own earlier ones, from the oldest source known to the newest target.

    While finality goes on, such a source is forgotten and the vote falls on deaf ears; so the network is parted for
    a while first.
    """

    name = "surround"
    about = "Attackers cast votes around their earlier ones, in a network that was parted for a while."

    @classmethod
    def adapt(cls, scenario: Scenario) -> Scenario:
        if scenario.cuts:
            return scenario
        return replace(scenario, cuts=(Cut(scenario.seconds * 3 // 10, scenario.seconds * 5 // 10, 50),))

    def behaviour(self) -> Behaviour:
        return _Surrounding(self)


class _Surrounding(Behaviour):
    def __init__(self, attack: Attack) -> None:
        self._attack = attack
        self._cast: list[Vote] = []

    def vote(self, node: Node) -> None:
        target = next_target(node)
        if target is None:
            return
        vote = node.sign_vote(target)
        if vote is not None:
            self._cast.append(vote)
            node.send_vote(vote)
        known = sorted(node.engine.ballots.targets.values(), key=lambda item: (item.number, item.hash))
        first, last = known[0], known[-1]
        if any(first.number < own.source and own.target < last.number for own in self._cast):
            wide = link(node, first, last)
            if wide is not None:
                self._attack.count("surround vote")
                self._cast.append(wide)
                node.send_vote(wide)


class SplitVotes(Attack):
    """Of several checkpoints of one number, attackers vote for the one that has the least votes."""

    name = "split-votes"
    about = "Attackers vote for whichever sibling checkpoint has fewer votes, so that none gets its quorum."

    def behaviour(self) -> Behaviour:
        return _Splitting(self)


class _Splitting(Behaviour):
    def __init__(self, attack: Attack) -> None:
        self._attack = attack

    def vote(self, node: Node) -> None:
        target = next_target(node)
        if target is None:
            return
        ballots = node.engine.ballots
        siblings = [item for item in ballots.targets.values() if item.number == target.number]

        def support(item: Target) -> tuple[int, bytes]:
            return sum(len(votes) for (_, aim), votes in ballots.links.items() if aim == item.hash), item.hash

        weakest = min(siblings, key=support, default=target)
        if weakest.hash != target.hash:
            self._attack.count("vote for a weaker sibling")
        vote = node.sign_vote(weakest)
        if vote is not None:
            node.send_vote(vote)


class Silent(Attack):
    """Attackers neither make blocks nor vote."""

    name = "silent"
    about = "Attackers make no blocks and cast no votes."

    def behaviour(self) -> Behaviour:
        return _Sleeping()


class _Sleeping(Behaviour):
    def lead(self, node: Node, slot: int, seat: int) -> None:
        pass

    def vote(self, node: Node) -> None:
        pass


class Whale(Silent):
    """One validator with 95 % of stake and five small ones, each in a region of its own, who keep silent."""

    name = "whale"
    about = "One validator holds 95 % of stake; five small ones, alone in their regions, keep silent."
    _SMALL = 5

    @classmethod
    def adapt(cls, scenario: Scenario) -> Scenario:
        return replace(scenario, validators=min(scenario.nodes, 1 + cls._SMALL))

    @classmethod
    def stakes(cls, scenario: Scenario) -> tuple[int, ...]:
        return (95, *(1,) * (scenario.validators - 1))

    @classmethod
    def attackers(cls, scenario: Scenario) -> tuple[int, ...]:
        return tuple(range(1, scenario.validators))
