"""Large simulated networks: the size that the protocol's figures are about. Minutes of work, so marked slow."""

from __future__ import annotations

import time

import pytest

from node.lab.network import Network
from node.lab.scenario import Scenario

pytestmark = pytest.mark.slow


@pytest.mark.timeout(4 * 120)
def test_a_hundred_nodes_for_four_minutes() -> None:
    """Printed: processor time, whose bar is two minutes on one core for ten; asserted: what the network must do."""
    began = time.process_time()
    network = Network(Scenario(nodes=100, validators=30, seconds=240, seed=7))
    network.run(240)
    report = network.report()
    print(f"\n100 nodes, 240 s: {time.process_time() - began:.0f} s of processor time, {report['events']} events")
    assert report["safety"]["ok"], report["safety"]["faults"]
    assert report["safety"]["energy"] == str(10**14)
    assert report["finality_ms"]["median"] <= 90_000
    assert report["finality_ms"]["open"] == 0
    assert report["dag"]["parallel_max"] >= 2
    assert report["overlap"]["percent"] < 40, "blocks take most of a slot to reach everybody"
    assert report["traffic"]["links_ended"] == {}
    assert report["traffic"]["blocks_again_percent"] < 1


@pytest.mark.timeout(600)
@pytest.mark.parametrize("attack", ["equivocate", "surround", "wrong-region", "late-fill", "bodiless"])
def test_thirty_validators_of_the_main_preset(attack: str) -> None:
    """All attacks are played in small; these need many validators, or many links, to show what they can do."""
    network = Network(Scenario(nodes=30, validators=30, seconds=400, seed=11, attack=attack))
    network.run(400)
    report = network.report()
    print(f"\n{attack}: finality {report['finality_ms']}, blue {report['dag']['blue_percent']} %")
    assert report["safety"]["ok"], report["safety"]["faults"]
    assert report["finality_ms"]["open"] == 0
    assert all(item["attacker"] for item in report["culprits"])
    punished = {item["validator"] for item in report["culprits"]}
    if attack == "equivocate":
        assert punished == set(report["attackers"]["validators"])
    if attack == "wrong-region":
        assert punished, "those whose blocks somebody saw before their links were gone"
