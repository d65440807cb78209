"""Scenes that show what a clause is there for: played with it and without it, by the same script (protocol section 5).

In each of them every validator is honest; only the network is slow, and somebody chooses what is slow. Without the
clause two nodes then hold checkpoints final that contradict each other, and no evidence names anybody.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

from node.consensus.blocks import Block
from node.consensus.views import Clauses
from node.consensus.votes import Vote
from node.lab.stage import Actor, Stage, everything, nothing

_ALONE = 60  # slots that a side goes on alone: three epochs


Side: TypeAlias = tuple[list[Block], list[Vote]]
"""What a node there hears."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a scene. `finals`: the number of the checkpoint that the node on either side holds final."""

    finals: tuple[int, int]
    safe: bool
    offences: int
    agreed: int
    """Where nothing was broken, and everything was told to everybody: the checkpoint that is final for all then."""
    slots: int


@dataclass(frozen=True, slots=True)
class Scene:
    """A clause, the validators (a letter each), and the script.

    The script returns the two sides.
    """

    clause: str
    about: str
    founders: str
    script: Callable[[Stage], tuple[Side, Side]]
    others: str = ""

    def play(self, with_clause: bool, seed: int = 1) -> Outcome:
        """Play it. Seed 1 suits every script; the draws of another may give no occasion, or raise OffScript."""
        stage = Stage(seed, replace(Clauses(), **{self.clause: with_clause}), self.founders, self.others)
        sides = self.script(stage)
        watchers = stage.watcher(), stage.watcher()
        stage.wake(watchers)
        for watcher, (blocks, votes) in zip(watchers, sides, strict=True):
            stage.tell([watcher], blocks, votes)
        finals = watchers[0].engine.final.number, watchers[1].engine.final.number
        safe = not stage.conflicting(*watchers)
        everybody = [*stage.actors.values(), *watchers]
        if safe:
            stage.wake(everybody)
            stage.tell(everybody, stage.blocks, stage.cast)
            beyond = max(actor.target for actor in everybody)
            stage.play(everybody, lambda: all(actor.engine.final.number > beyond for actor in everybody), everything)
        agreed = {actor.engine.final.hash for actor in everybody}
        return Outcome(
            finals,
            safe,
            stage.offences(everybody),
            watchers[0].engine.final.number if safe and len(agreed) == 1 else 0,
            stage.slot,
        )


class _Seesaw:
    """Two chains from the genesis, and validators who go from one to the other as the votes for it reach them.

    Votes for the chain on which they are not are held back, until it is wanted: then it has a checkpoint justified that
    is newer than any known, so that fork choice turns to it. Nobody votes twice for a number, nor around a vote.
    """

    def __init__(self, stage: Stage, together: str, alone: str) -> None:
        """`together` vote on the first chain; `alone` makes the second meanwhile, all of it heard when it is longer."""
        self.stage = stage
        some, other = stage.named(together), stage.named(alone)
        self.everybody = [*some, *other]
        stage.play_until_voted(some)
        self.votes: tuple[list[Vote], list[Vote]] = (list(stage.cast), [])
        self.first = stage.blocks[0].id
        ahead = max(actor.target for actor in some)
        work = some[0].engine.chain.tip.coloured.work

        def longer() -> bool:
            return all(actor.target > ahead and actor.engine.chain.tip.coloured.work > work for actor in other)

        told = len(stage.cast)
        stage.play(other, longer, everything)
        stage.wake(stage.actors.values())
        stage.tell(stage.actors.values(), stage.blocks)
        self.votes[1].extend(stage.cast[told:])

    def tip_to(self, side: int, makers: list[Actor] | None = None, turn: bool = False) -> None:
        """Tell the votes for a side's chain; the validators go there and vote, and those votes are held back.

        With `turn` an epoch ends as soon as that chain has the votes, so that its tables may turn.
        """
        stage, everybody = self.stage, self.everybody
        makers = makers or []
        told = len(stage.cast)
        stage.tell([*everybody, *makers], stage.blocks, self.votes[side])
        if turn:
            made = len(stage.blocks)
            stage.play([*everybody, *makers], lambda: len(stage.blocks) > made, nothing)
            stage.await_epoch()
        stage.play_until_voted(everybody, makers=makers)
        self.votes[side].extend(stage.cast[told:])


def _exact_successor(stage: Stage) -> tuple[Side, Side]:
    seesaw = _Seesaw(stage, "ABC", "D")
    seesaw.tip_to(0)
    here = list(stage.blocks)
    seesaw.tip_to(1)
    return (here, seesaw.votes[0]), (stage.blocks, seesaw.votes[1])


def _rotate_after_final(stage: Stage) -> tuple[Side, Side]:
    heirs = stage.named("EFG")
    seesaw = _Seesaw(stage, "ABC", "D")
    stage.move_stake("EFG", seesaw.first)
    seesaw.tip_to(0, heirs, turn=True)
    seesaw.tip_to(1)
    seesaw.tip_to(0, heirs, turn=True)
    ours, theirs = seesaw.votes
    told = len(stage.cast)
    stage.tell(heirs, stage.blocks, ours)
    final = heirs[0].engine.final.number
    stage.play(heirs, lambda: all(actor.engine.final.number > final for actor in heirs), everything, _ALONE)
    ours += stage.cast[told:]
    told = len(stage.cast)
    stage.tell(seesaw.everybody, votes=theirs)
    stage.play(
        seesaw.everybody, lambda: all(actor.engine.final.number > final for actor in seesaw.everybody), everything
    )
    theirs += stage.cast[told:]
    return (stage.known_to(heirs[0]), ours), (stage.known_to(seesaw.everybody[0]), theirs)


def _rear_quorum(stage: Stage) -> tuple[Side, Side]:
    old, new = stage.named("ABCD"), stage.named("EFGH")
    everybody = [*old, *new]
    stage.move_stake("EFGH", stage.genesis)

    def turned() -> bool:
        return all(0 < actor.engine.view.rotation < actor.engine.view.final.height for actor in everybody)

    stage.play(everybody, turned, everything)
    common = list(stage.cast)
    final = old[0].engine.final.number
    # The network parts shortly before the epoch ends: who has the stake no longer hears who had it.
    stage.play(old, lambda: stage.is_last_of_epoch, everything)
    ours = list(stage.cast)
    stage.play(new, lambda: all(actor.engine.final.number > final + 1 for actor in new), everything, _ALONE)
    return (stage.known_to(old[0]), ours), (stage.known_to(new[0]), common + stage.cast[len(ours) :])


def _forward_quorum(stage: Stage) -> tuple[Side, Side]:
    old, new, one = stage.named("ABCD"), stage.named("EFG"), stage.named("H")
    everybody = [*old, *new, *one]
    stage.move_stake("EFGH", stage.genesis)

    def turned() -> bool:
        return all(0 < actor.engine.view.rotation < actor.engine.view.final.height for actor in everybody)

    stage.play(everybody, turned, everything)
    stage.play(everybody, lambda: stage.is_last_of_epoch, everything)
    common = list(stage.cast)
    last = old[0].engine.view.number  # what is newer lies in an epoch of the new validators
    # Old and new vote for the first checkpoint of the new; the new hear of it, vote for the next, and it is final.
    stage.play_until_voted(old, last, makers=new, told=lambda vote: vote.target <= last)
    held = [vote for vote in stage.cast if vote.target > last]
    stage.tell(new, votes=held)
    stage.play_until_voted(new, max(vote.target for vote in held))
    ours, one_side = list(stage.cast), stage.known_to(new[0])
    # H heard nothing of it and made a longer chain; the old, who know of no quorum, vote for what is newer there.
    work = old[0].engine.chain.tip.coloured.work
    newest = max(actor.target for actor in (*old, *new))
    stage.play(one, lambda: all(a.target > newest and a.engine.chain.tip.coloured.work > work for a in one), everything)
    stage.wake(everybody)
    stage.tell(old, stage.known_to(one[0]))
    theirs = stage.cast[len(ours) :]
    told = len(stage.cast)
    both = [*new, *one]
    stage.tell(both, stage.blocks, theirs)
    stage.play(both, lambda: all(actor.engine.final.number > newest for actor in both), everything, _ALONE)
    return (one_side, ours), (stage.known_to(one[0]), common + theirs + stage.cast[told:])


_ALL = (
    Scene(
        "exact_successor",
        "A checkpoint is final by a link to the very next one, not to any later one. The scene: A, B and C vote for a "
        "checkpoint 1. D, whom nobody hears, makes a longer chain, and all vote for checkpoint 2 there. Then the votes "
        "for 1 arrive: they go back and vote from 1 for a checkpoint after 2. Then the votes for 2 arrive: they go "
        "there again and vote from 2 for a checkpoint that is later still.",
        "ABCD",
        _exact_successor,
    ),
    Scene(
        "rotate_after_final",
        "Tables turn only after something became final. The scene: A, B, C and D go to and fro between two chains, as "
        "in exact_successor. On one of them their stake moves to E, F and G. Turned by what is merely justified, the "
        "tables there are soon those of E, F and G, who go on alone, while A, B, C and D end on the other chain.",
        "ABCD",
        _rotate_after_final,
        "EFG",
    ),
    Scene(
        "rear_quorum",
        "Where tables turn between two checkpoints, a link needs two thirds of the old table, too. The scene: stake "
        "moves from A, B, C and D to E, F, G and H. Just before the tables turn, the old and the new part; the old go "
        "on in their epoch, the new in the next one.",
        "ABCD",
        _rear_quorum,
        "EFGH",
    ),
    Scene(
        "forward_quorum",
        "Where tables turn between two checkpoints, a link needs two thirds of the new table, too. The scene: the old "
        "vote for the first checkpoint after the turn, and E, F and G make it final. H, whom nobody hears, makes a "
        "longer chain meanwhile, and the old vote for a later checkpoint there.",
        "ABCD",
        _forward_quorum,
        "EFGH",
    ),
)
SCENES = {scene.clause: scene for scene in _ALL}
"""By the clause that each is about."""
