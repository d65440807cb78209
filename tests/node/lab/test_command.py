"""`nexus lab network` as a person or a script calls it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from nexus_tui.cli import lab
from node.lab.attacks import ATTACKS
from node.lab.forgery import hashes_to_break
from node.lab.grinding import grind
from node.lab.scenario import CLAUSES
from node.lab.scenes import SCENES

SMALL = (
    "lab",
    "network",
    "--nodes",
    "6",
    "--validators",
    "4",
    "--minutes",
    "0.4",
    "--preset",
    "minimal",
    "--seed",
    "7",
)
MORE = ("--latency-ms", "60", "--payments", "2", "--share", "25")


def nexus(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "nexus_tui", *arguments], capture_output=True, text=True, env=os.environ, check=False
    )


def test_the_report_is_one_document_and_progress_goes_beside_it() -> None:
    first = nexus(*SMALL, *MORE, "--attack", "equivocate", "--json")
    assert first.returncode == 0, first.stderr
    assert first.stdout.count("\n") == 1
    report = json.loads(first.stdout)
    assert report["scenario"]["attack"] == "equivocate"
    assert report["virtual_seconds"] == 24
    assert report["safety"]["ok"]
    assert "of 24 s" in first.stderr
    assert nexus(*SMALL, *MORE, "--attack", "equivocate", "--json").stdout == first.stdout


def test_people_get_sentences_and_bars() -> None:
    result = nexus(*SMALL, *MORE, "--partition", "5-10:50", "--quiet", "12-18", "--without", "lateness")
    assert result.returncode == 0, result.stderr
    assert "Safety" in result.stdout
    assert "holds" in result.stdout
    assert any(bar in result.stdout for bar in "▁▂▃▄▅▆▇█")
    assert max(map(len, result.stdout.splitlines())) <= 45, "a phone shows it as it is"


def test_the_report_says_who_attacked_and_whom_it_cost() -> None:
    text = nexus(*SMALL, *MORE, "--attack", "wrong-region").stdout
    assert "wrong-region, by 1 of 4 validators" in " ".join(text.split())
    assert "10 % of stake" in text


def test_what_cannot_be_simulated_is_refused_with_the_choices() -> None:
    for wrong in (
        ("--attack", "magic"),
        ("--attack", "silent", "--share", "10"),  # nobody
        ("--partition", "9-5"),
        ("--partition", "500-600:50"),
        ("--quiet", "x"),
        ("--quiet", "9-5"),
        ("--parameter", "epoch_slots"),
        ("--parameter", "epoch_slots=0"),
        ("--minutes", "nan"),
    ):
        result = nexus(*SMALL, *wrong, "--json")
        assert result.returncode == 2, wrong
        assert json.loads(result.stdout)["error"]["message"]
    assert "equivocate" in nexus(*SMALL, "--attack", "magic").stderr


def test_the_help_names_every_attack_and_clause() -> None:
    assert lab.ATTACKS.split(", ") == list(ATTACKS)
    assert lab.CLAUSES.split(", ") == list(CLAUSES)
    assert lab.SCENES.split(", ") == [*SCENES, "spectral_quorum", "epoch_reveals"]


def test_a_clause_is_shown_with_and_without_it() -> None:
    result = nexus("lab", "clause", "exact_successor")
    assert result.returncode == 0, result.stderr
    assert "two histories" in " ".join(result.stdout.split())
    assert max(map(len, result.stdout.splitlines())) <= 45
    document = json.loads(nexus("lab", "clause", "rear_quorum", "--json").stdout)
    assert document["with"]["safe"]
    assert not document["without"]["safe"]
    wrong = nexus("lab", "clause", "gravity")
    assert wrong.returncode == 2
    assert "exact_successor" in wrong.stderr


def test_more_reveals_give_attackers_more_of_the_draw() -> None:
    once, often = grind(True), grind(False)
    assert 25 < once.percent < 33
    assert often.percent > once.percent + 5
    assert once == grind(True)


def test_regions_keep_one_broken_hash_from_moving_a_certificate() -> None:
    asked, unasked = hashes_to_break(True), hashes_to_break(False)
    assert min(asked.values()) >= 4
    assert unasked["one with 70 %"] == 1
    assert asked["one with 70 %"] == 5
