"""`nexus node snapshot`: made at the final checkpoint, checked by anybody, begun from on somebody's word."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
SUPPLY = 10**14


@pytest.fixture
def snapshot(nexus: Run, savings: str, tmp_path: Path) -> tuple[Path, str]:
    """A snapshot of a solo network and the hash of its checkpoint."""
    early = nexus("node", "snapshot", "make", tmp_path / "early", "--json")
    assert (early.status, early.error["code"]) == (1, "nothing_final")
    assert not (tmp_path / "early").exists()
    for amount in ("1", "2", "3"):
        assert nexus("wallet", "send", savings, amount, "--yes").status == 0
    made = nexus("node", "snapshot", "make", tmp_path / "state", "--json").document
    finality = nexus("dag", "finality", "--json").document
    assert 0 < made["checkpoint"]["number"] <= finality["final"]["number"], "by votes that the chain carries already"
    return tmp_path / "state", made["checkpoint"]["hash"]


def test_a_profile_begins_from_a_snapshot(nexus: Run, snapshot: tuple[Path, str], savings: str) -> None:
    file, trusted = snapshot
    taken = nexus("node", "snapshot", "make", file, "--json")
    assert (taken.status, taken.error["code"]) == (1, "file_exists")
    checked = nexus("node", "snapshot", "check", file, "--checkpoint", trusted, "--json").document
    assert (checked["total"]["units"], checked["trusted"]) == (str(SUPPLY), True)
    assert checked["checkpoint"]["old"] is False
    text = nexus("node", "snapshot", "check", file).out
    assert trusted in text
    assert "1000000 NXT in all" in text
    assert "Compare the checkpoint's hash" in text
    half = trusted[:32]
    assert nexus("node", "snapshot", "check", file, "--checkpoint", half, "--json").document["trusted"] is True
    short = nexus("node", "snapshot", "check", file, "--checkpoint", half[:30], "--json")
    assert (short.status, short.error["code"]) == (1, "bad_id")
    begun = nexus("node", "snapshot", "adopt", file, "--checkpoint", half, "--profile", "second", "--json").document
    assert (begun["profile"], begun["checkpoint"]["hash"]) == ("second", trusted)
    assert nexus("node", "verify", "--profile", "second").status == 0
    status = nexus("status", "--profile", "second", "--json").document
    assert (status["height"], status["total"]["units"]) == (begun["height"], str(SUPPLY))
    assert status["height"] >= 1
    assert status["began_ms"] == begun["checkpoint"]["time_ms"]
    assert "earlier payments are not here" in nexus("status", "--profile", "second").out
    assert nexus("status", "--json").document["began_ms"] is None
    again = nexus("node", "snapshot", "adopt", file, "--checkpoint", trusted, "--profile", "second", "--json")
    assert (again.status, again.error["code"]) == (2, "profile_exists")
    passed_on = nexus("node", "snapshot", "make", file.with_name("again"), "--profile", "second", "--json").document
    assert passed_on["checkpoint"]["hash"] == trusted


def test_what_is_not_whole_or_not_trusted_begins_nothing(nexus: Run, snapshot: tuple[Path, str], solo: Path) -> None:
    file, trusted = snapshot
    content = file.read_bytes()
    bad = file.with_name("bad")
    for changed in (
        content[: len(content) // 2],
        content[:-1],
        content + b"x",
        content[:200] + bytes([content[200] ^ 1]) + content[201:],
        content.replace(b"snapshot 1", b"snapshot 2", 1),
        b"",
    ):
        bad.write_bytes(changed)
        for command in (("check", bad), ("adopt", bad, "--checkpoint", trusted, "--profile", "second")):
            result = nexus("node", "snapshot", *command, "--json")
            assert (result.status, result.error["code"]) == (6, "bad_snapshot")
            assert "Nothing was changed" in result.error["message"]
    other = "ab" * 32
    result = nexus("node", "snapshot", "check", file, "--checkpoint", other, "--json")
    assert (result.status, result.error["code"]) == (6, "other_checkpoint")
    result = nexus("node", "snapshot", "adopt", file, "--checkpoint", other, "--profile", "second", "--json")
    assert (result.status, result.error["code"]) == (6, "bad_snapshot")
    assert "another checkpoint" in result.error["message"]
    result = nexus("node", "snapshot", "adopt", file, "--profile", "second", "--json")
    assert result.status == 2, "a checkpoint must be named: no file can vouch for itself"
    result = nexus("node", "snapshot", "check", file.with_name("nowhere"), "--json")
    assert (result.status, result.error["code"]) == (1, "missing_file")
    assert [path.name for path in (solo / "profiles").iterdir()] == ["default"]


def test_beginning_from_an_old_checkpoint_asks(
    nexus: Run, snapshot: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file, trusted = snapshot
    monkeypatch.setattr("node.service.snapshots.SnapshotReport.is_old", True)
    assert "half the unbonding period" in nexus("node", "snapshot", "check", file).err
    command = ("node", "snapshot", "adopt", file, "--checkpoint", trusted, "--profile", "second")
    asked = nexus(*command, "--json")
    assert (asked.status, asked.error["code"]) == (2, "needs_yes")
    assert nexus(*command, "--yes").status == 0
