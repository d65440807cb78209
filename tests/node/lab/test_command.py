"""`nexus lab network` as a person or a script calls it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

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


def test_what_cannot_be_simulated_is_refused_with_the_choices() -> None:
    for wrong in (("--attack", "magic"), ("--partition", "9-5"), ("--quiet", "x"), ("--parameter", "epoch_slots")):
        result = nexus(*SMALL, *wrong, "--json")
        assert result.returncode == 2, wrong
        assert json.loads(result.stdout)["error"]["message"]
    assert "equivocate" in nexus(*SMALL, "--attack", "magic").stderr
