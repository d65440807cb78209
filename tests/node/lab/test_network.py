"""Small simulated networks of the real engine: one seed, one result, and safety under every attack."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from node.lab import network as lab_network
from node.lab.attacks import ATTACKS
from node.lab.network import Network
from node.lab.scenario import CLAUSES, Cut, Scenario, ScenarioError

SMALL = Scenario(nodes=8, validators=5, seconds=90, seed=3, preset="minimal", latency_ms=60, payments_per_s=2)


def played(scenario: Scenario) -> tuple[Network, dict[str, Any]]:
    network = Network(scenario)
    network.run(scenario.seconds)
    return network, network.report()


def test_one_seed_gives_one_report_however_it_is_asked_for() -> None:
    scenario = replace(SMALL, seconds=30, crashes=2, loss_permille=50, skew_ms=200, cuts=(Cut(8, 14, 40),))
    _, whole = played(scenario)
    network = Network(scenario)
    for second in (1, 7, 13, 30):
        network.run(second)
        network.report()  # looking changes nothing
    assert network.report() == whole
    assert played(replace(scenario, seed=4))[1] != whole


_RUN = """
import json, sys
from node.lab.network import Network
from node.lab.scenario import Scenario
preset = {"preset": "minimal", "latency_ms": 60}
network = Network(Scenario(nodes=8, validators=5, seconds=20, seed=3, attack=sys.argv[1], **preset))
network.run(20)
print(json.dumps(network.report()))
"""


@pytest.mark.parametrize("attack", ["none", "equivocate"])
def test_the_report_does_not_depend_on_the_hash_seed(attack: str) -> None:
    reports = [
        subprocess.run(
            [sys.executable, "-c", _RUN, attack],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "4242")
    ]
    assert json.loads(reports[0])["throughput"]["payments_final"] > 0
    assert reports[0] == reports[1] == reports[2]


def test_sharing_work_between_nodes_changes_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = replace(SMALL, seconds=25, attack="equivocate", cuts=(Cut(8, 14, 40),))
    _, shared = played(scenario)
    monkeypatch.setattr(lab_network, "share", lambda engine, executed, first: None)
    _, alone = played(scenario)
    assert alone == shared


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_attack_below_a_third_breaks_safety_or_stops_finality(attack: str) -> None:
    network, report = played(replace(SMALL, attack=attack))
    assert report["safety"]["ok"], report["safety"]["faults"]
    assert report["safety"]["final_checkpoints"] > 10
    assert report["finality_ms"]["open"] == 0
    assert report["finality"]["lag_ms"] < 15_000
    assert all(item["attacker"] for item in report["culprits"]), "nobody honest is punished"
    if attack not in ("none", "whale"):
        assert 0 < report["attackers"]["stake_percent"] < 34
        assert report["offences"] or attack == "silent"
    if attack in ("equivocate", "double-vote", "surround", "wrong-region"):
        punished = {item["validator"] for item in report["culprits"]}
        assert punished == set(report["attackers"]["validators"])
    assert len(network.honest) == report["safety"]["nodes"]


def test_after_a_partition_the_halves_agree_and_finality_goes_on() -> None:
    network = Network(replace(SMALL, cuts=(Cut(20, 50, 50),)))
    network.run(49)
    before = network.report()
    assert before["safety"]["ok"]
    assert before["finality"]["lag_ms"] > 20_000, "no half of the network may finalise alone"
    network.run(90)
    after = network.report()
    assert after["safety"]["ok"], after["safety"]["faults"]
    assert after["finality"]["lag_ms"] < 10_000
    assert after["finality_ms"]["open"] == 0
    assert len({node.engine.final.number for node in network.nodes}) <= 2


def test_nodes_that_crash_come_back_with_their_disk_and_catch_up() -> None:
    network, report = played(replace(SMALL, crashes=6, seconds=120))
    assert report["safety"]["ok"], report["safety"]["faults"]
    assert report["finality_ms"]["open"] == 0
    finals = [node.engine.final.number for node in network.nodes if node.is_up]
    assert len(finals) > 4
    assert max(finals) - min(finals) <= 2
    assert not report["culprits"], "the signing record keeps a restarted validator from signing twice"


def test_a_node_that_was_away_learns_by_history_what_it_missed() -> None:
    network, report = played(replace(SMALL, away=(20, 60)))
    (back,) = report["returns"]
    assert (back["node"], back["second"]) == (len(network.nodes) - 2, 60)
    assert back["lacked"] > 100
    assert 0 < back["took_ms"] < 5_000
    assert report["traffic"]["blocks_again_percent"] < 2
    assert report["safety"]["ok"], report["safety"]["faults"]
    one, other = network.nodes[back["node"]].engine, network.observer.engine
    assert abs(one.final.number - other.final.number) <= 2


def test_a_network_whose_nodes_are_all_down_waits_for_one() -> None:
    _, report = played(replace(SMALL, nodes=1, validators=1, crashes=2, seconds=120))
    assert report["safety"]["ok"]
    assert report["throughput"]["payments_final"] > 100
    assert report["finality"]["longest_gap_ms"] > 20_000, "the only node was down"


def test_lossy_links_and_wrong_clocks_are_borne() -> None:
    # Votes must get into blocks between two checkpoints: slots as short as this preset's are too short for such links.
    slow = (("slot_ms", 2_000),)
    _, report = played(replace(SMALL, seconds=200, loss_permille=200, skew_ms=400, changed=slow))
    assert report["safety"]["ok"], report["safety"]["faults"]
    assert report["finality_ms"]["open"] == 0


def test_a_quiet_network_falls_silent_and_its_last_payment_is_final() -> None:
    _, report = played(replace(SMALL, quiet=(30, 80)))
    blocks = {moment["second"]: moment["blocks"] for moment in report["series"]}
    assert max(count for second, count in blocks.items() if second < 80) - blocks[49] <= 15, (
        "in the quiet, little more than heartbeats"
    )
    assert report["safety"]["ok"]
    assert report["finality_ms"]["open"] == 0


def test_the_report_of_a_healthy_network_adds_up() -> None:
    _, report = played(SMALL)
    flow, dag = report["throughput"], report["dag"]
    assert flow["payments"] == 180
    assert flow["payments_accepted"] >= 176
    assert flow["payments_refused"] == {}
    assert dag["blue"] + dag["red"] == dag["merged"]
    assert dag["disqualified"] == 0
    assert 1 <= dag["parallel_mean"] <= dag["parallel_max"]
    traffic = report["traffic"]
    assert traffic["total_bytes"] == sum(traffic["bytes"].values())
    assert set(traffic["messages"]) == set(traffic["bytes"]) >= {"blocks", "votes", "transactions", "inventories"}
    assert traffic["blocks_again_percent"] < 1, "a block is given to a node once"
    assert traffic["links_ended"] == {}
    assert 0 < report["propagation_ms"]["median"] <= report["propagation_ms"]["p95"] < 1_000
    assert report["safety"]["energy"] == str(10**14)
    assert json.loads(json.dumps(report)) == report, "the document survives JSON as it is"


@pytest.mark.parametrize(
    "wrong",
    [
        {"validators": 9},
        {"attack": "magic"},
        {"preset": "nobody's"},
        {"without": ("gravity",)},
        {"changed": (("weather", 1),)},
        {"changed": (("epoch_slots", 0),)},
        {"attack": "silent", "share_percent": 10},
        {"quiet": (9, 5)},
        {"quiet": (90, 95)},
        {"away": (9, 5)},
        {"away": (50, 95)},
        {"cuts": (Cut(90, 95, 50),)},
    ],
)
def test_what_cannot_be_played_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ScenarioError):
        Network(replace(SMALL, **wrong))


@pytest.mark.parametrize("text", ["", "5", "9-5:10", "1-2:100", "a-b:5", "1-2:0", "٣-٤:5"])
def test_a_partition_that_says_nothing_is_refused(text: str) -> None:
    with pytest.raises(ScenarioError):
        Cut.parse(text)


def test_a_partition_parts_validators_and_others_alike() -> None:
    scenario = replace(SMALL, nodes=40, validators=20, cuts=(Cut.parse("10-20:30"),))
    (parted,) = scenario.partitions()
    assert sum(parted.groups[:20]) == sum(parted.groups[20:]) == 6
    assert parted.parts(parted.groups.index(0), parted.groups.index(1), 10_000)
    assert not parted.parts(parted.groups.index(0), parted.groups.index(1), 20_000)


def test_every_clause_can_be_switched_off() -> None:
    clauses = replace(SMALL, without=CLAUSES).clauses
    assert not any(getattr(clauses, name) for name in CLAUSES)
    assert all(getattr(SMALL.clauses, name) for name in CLAUSES)
