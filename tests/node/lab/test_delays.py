"""Any delays: honest validators, messages held back and told in any order, stake that moves. Never two histories, and
life once everything has arrived."""

from __future__ import annotations

from itertools import combinations
from random import Random

import pytest

from node.consensus.views import Clauses
from node.lab.stage import Actor, Stage, everything, nothing

FOUNDERS, OTHERS = "ABCDE", "FGH"
HEIRS = ("ABFGH", "DEFGH", "FGH", "BCDEF")


class Delayed:
    """A stage whose script is drawn."""

    def __init__(self, seed: int, stake_moves: bool) -> None:
        self.random = Random(seed)
        self.stage = Stage(seed % 7 + 1, Clauses(), FOUNDERS, OTHERS if stake_moves else "")
        if stake_moves:
            self.stage.move_stake(self.random.choice(HEIRS), self.stage.genesis)
        self.actors = list(self.stage.actors.values())

    def step(self) -> None:
        """Some play for a while, or hear what others know, or hear some votes, or an epoch ends."""
        random, stage = self.random, self.stage
        group = random.sample(self.actors, random.randint(1, len(self.actors)))
        kind = random.random()
        if kind < 0.6:
            told = random.choice([everything, everything, nothing, lambda vote: random.random() < 0.5])
            stage.play(group, lambda: False, told, random.randint(1, 25))
        elif kind < 0.75:
            stage.wake(group)
            stage.tell(group, stage.known_to(random.choice(self.actors)))
        elif kind < 0.95:
            stage.tell(group, votes=random.sample(stage.cast, random.randint(0, len(stage.cast))))
        else:
            stage.await_epoch()

    def agree(self) -> bool:
        """Whether no two hold different histories final, and nobody thinks so."""
        return not any(self.stage.conflicting(one, other) for one, other in combinations(self.actors, 2)) and all(
            actor.engine.ballots.conflict is None for actor in self.actors
        )

    def heal(self) -> None:
        """Everybody hears everything, and goes on from there."""
        stage, actors = self.stage, self.actors
        stage.wake(actors)
        stage.tell(actors, stage.blocks, stage.cast)
        beyond = max(actor.target for actor in actors)

        def alive() -> bool:
            return all(actor.engine.final.number > beyond for actor in actors)

        assert stage.play(actors, alive, everything), "finality goes on"


def tips(actors: list[Actor]) -> set[bytes]:
    return {actor.engine.tip.id for actor in actors}


@pytest.mark.parametrize("stake_moves", [False, True])
@pytest.mark.parametrize("seed", [*range(5), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(5, 60))])
def test_honest_validators_never_part_whatever_the_delays(seed: int, stake_moves: bool) -> None:
    delayed = Delayed(seed, stake_moves)
    for _ in range(delayed.random.randint(3, 14)):
        delayed.step()
        assert delayed.agree()
    delayed.heal()
    assert delayed.agree()
    assert len(tips(delayed.actors)) == 1
    assert not delayed.stage.offences(delayed.actors)
