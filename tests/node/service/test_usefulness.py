"""What links are good for, and how long fetching takes still."""

from types import SimpleNamespace
from typing import Any

from node.api.records import SyncView
from node.consensus.dagblocks import Progress
from node.service.mesh_view import sync_view
from node.service.tally import Tally
from node.service.usefulness import Usefulness


def test_the_region_of_what_a_peer_brings_first_must_stand_out() -> None:
    found = Usefulness()
    assert (found.count(1), found.region(1)) == (0, "")
    for _ in range(3):
        found.brought(1, 2)
    assert (found.count(1), found.region(1)) == (3, ""), "too few"
    found.brought(1, 2)
    assert found.region(1) == "Green"
    for region in (0, 1, 3, 4):
        found.brought(1, region)
    assert (found.count(1), found.region(1)) == (8, ""), "half is not most"
    for _ in range(40):
        found.brought(1, 5)
    assert (found.count(1), found.region(1)) == (48, "Red"), "the last ones count: epochs change regions"
    assert found.count(2) == 0
    found.forget(1)
    assert (found.count(1), found.region(1)) == (0, "")


def test_the_rest_takes_as_long_as_the_last_blocks_say() -> None:
    now = 1_000_000
    tally = Tally(lambda: now)
    assert tally.ms_for(100) is None
    for _ in range(10):
        tally._note(5)
        now += 500
    assert tally.blocks == 0, "only steps of the engine count"
    assert tally.ms_for(100) == 10_000
    assert tally.ms_for(0) == 0
    now += 60_000
    assert tally.ms_for(100) is None, "nothing came lately"
    now -= 3_600_000  # the clock was set back
    tally._note(5)
    now += 2_000
    assert tally.ms_for(5) == 2_000


def test_an_empty_step_counts_nothing() -> None:
    tally = Tally(lambda: 0)
    tally.count(Progress())
    assert (tally.blocks, tally.executed, tally.reorganisations, tally.undone) == (0, 0, 0, 0)


def test_progress_is_told_while_a_peer_is_known_to_have_more() -> None:
    tally = Tally(lambda: 0)
    peers = {1: SimpleNamespace(hello=SimpleNamespace(score=500)), 2: SimpleNamespace(hello=SimpleNamespace(score=900))}
    behind = {1: SimpleNamespace(behind=True), 2: SimpleNamespace(behind=False)}
    tip = SimpleNamespace(coloured=SimpleNamespace(score=100))
    mesh: Any = SimpleNamespace(
        peers=peers,
        gossip=SimpleNamespace(machine=SimpleNamespace(peers=behind, syncing=True)),
        node=SimpleNamespace(engine=SimpleNamespace(chain=SimpleNamespace(tip=tip)), tally=tally),
    )
    assert sync_view(mesh) == SyncView(100, 500, None), "the other one has nothing that is not here"
    tip.coloured.score = 500
    assert sync_view(mesh) is None, "all that was named is here"
    tip.coloured.score, mesh.gossip.machine.syncing = 100, False
    assert sync_view(mesh) is None
