"""Each scene: honest validators, a slow network; unsafe without the clause, safe and then alive with it."""

from __future__ import annotations

import pytest

from node.lab.scenario import CLAUSES
from node.lab.scenes import SCENES


@pytest.mark.parametrize("clause", SCENES)
def test_without_the_clause_honest_validators_finalise_two_histories(clause: str) -> None:
    broken = SCENES[clause].play(False)
    assert not broken.safe
    assert min(broken.finals) > 0
    assert broken.offences == 0, "nobody broke a rule, so nobody can be named"


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("clause", SCENES)
def test_with_it_nothing_breaks_and_life_goes_on(clause: str, seed: int) -> None:
    kept = SCENES[clause].play(True, seed)
    assert kept.safe
    assert kept.offences == 0
    assert kept.agreed > max(kept.finals), "once everybody hears everything, all agree on what is final next"


def test_a_scene_is_the_same_every_time() -> None:
    scene = SCENES["exact_successor"]
    assert scene.play(False) == scene.play(False)
    assert set(SCENES) <= set(CLAUSES)
