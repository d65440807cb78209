"""What only the mesh's own machine shows: bodies that never come, inventories of nothing, a node that is surrounded."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from node.lab.network import Network
from node.lab.scenario import Scenario

TOWN = Scenario(
    nodes=12,
    validators=8,
    seconds=80,
    seed=5,
    preset="minimal",
    latency_ms=40,
    payments_per_s=2,
    changed=(("slot_ms", 2_000),),
)


def played(**changed: Any) -> tuple[Network, dict[str, Any]]:
    network = Network(replace(TOWN, **changed))
    network.run(TOWN.seconds)
    report = network.report()
    assert report["safety"]["ok"], report["safety"]["faults"]
    assert report["traffic"]["bans"]["of_honest"] == 0
    return network, report


def test_nobody_honest_is_shut_out_and_little_is_sent_twice() -> None:
    _, report = played(crashes=3, skew_ms=200)
    traffic = report["traffic"]
    assert traffic["links_ended"] == {}
    assert traffic["blocks_again_percent"] < 2
    assert traffic["headers_per_block"] < 8
    assert traffic["messages_per_node_minute"] > 0
    assert all(back["took_ms"] >= 0 for back in report["returns"])


def test_links_that_stall_again_and_again_are_kept() -> None:
    _, report = played(
        preset="main", nodes=5, validators=5, loss_permille=200, latency_ms=300, kilobits=500, changed=()
    )
    assert report["traffic"]["links_ended"] == {}
    assert report["throughput"]["blocks"] > 40


def test_bodies_that_never_come_delay_blocks_and_stop_nothing() -> None:
    _, calm = played()
    _, report = played(attack="bodiless")
    assert report["offences"]["header announced without its body"] > 20
    assert report["finality_ms"]["open"] == 0
    assert calm["propagation_ms"]["p95"] < report["propagation_ms"]["p95"] < 10_000
    assert report["attackers"]["blocks_percent"] == 0, "nobody has theirs"


def test_who_announces_what_does_not_exist_is_shut_out_at_once() -> None:
    network, report = played(attack="inventories")
    bans = report["traffic"]["bans"]["of_attackers"]
    assert bans >= sum(
        peer not in {node.index for node in network.attackers}
        for node in network.attackers
        for peer in network.links.peers[node.index]
    )
    assert report["offences"]["inventory of nothing"] <= 3 * len(network.attackers), "then nobody listens any more"
    assert report["finality_ms"]["open"] == 0


def test_one_honest_link_is_enough_for_a_surrounded_node() -> None:
    network, report = played(attack="eclipse")
    victim = report["findings"]["victim"]
    hostile = {node.index for node in network.attackers}
    assert sum(peer not in hostile for peer in network.links.peers[victim]) == 1
    assert sum(peer in hostile for peer in network.links.peers[victim]) == len(hostile)
    assert report["offences"]["message kept from the victim"] > 50
    assert report["findings"]["behind_blocks_at_most"] <= 4
    assert report["findings"]["behind_checkpoints_at_most"] <= 2


def test_a_narrow_uplink_slows_blocks_and_keeps_them_coming() -> None:
    _, wide = played()
    _, narrow = played(kilobits=200)
    assert narrow["finality_ms"]["open"] == 0
    assert wide["propagation_ms"]["median"] < narrow["propagation_ms"]["median"] < 5_000
