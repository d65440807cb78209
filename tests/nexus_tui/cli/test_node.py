"""`nexus node …`, `status`, `doctor`, `demo` and `config`: the node as a process of its own, and its upkeep."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


@pytest.fixture
def running(nexus: Run, solo: Path) -> Iterator[dict[str, Any]]:
    """A node in the background; it is stopped in the end."""
    started = nexus("node", "start", "--json").document
    yield started
    try:
        os.kill(started["pid"], signal.SIGTERM)
    except ProcessLookupError:
        return
    _gone(started["pid"])


def _gone(pid: int) -> None:
    """Wait for a child of this process that was started in the background."""
    for _ in range(1_200):
        try:
            if os.waitpid(pid, os.WNOHANG)[0]:
                return
        except ChildProcessError:
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                return
        time.sleep(0.05)
    pytest.fail("the node did not end")


def test_commands_attach_to_a_running_node(nexus: Run, running: dict[str, Any], savings: str) -> None:
    assert running["running"] is True
    status = nexus("status", "--json").document
    assert (status["running"], status["pid"], status["mode"]) == (True, running["pid"], "producing")
    assert status["total"]["nxt"] == "1000000"
    assert nexus("wallet", "send", savings, "1", "--yes", "--json").document["status"] == "done"
    assert nexus("status", "--json").document["height"] >= 1, "and blocks follow until it is final"
    result = nexus("node", "start", "--json")
    assert (result.status, result.error["code"]) == (1, "node_running")
    assert nexus("node", "verify", "--json").document["ok"] is True


def test_two_nodes_never_share_a_folder(process: Run, running: dict[str, Any]) -> None:
    result = process("node", "run", "--json")
    assert (result.status, result.error["code"]) == (1, "node_running")
    assert str(running["pid"]) in result.error["message"]


def test_a_relative_home_is_the_same_for_the_node(nexus: Run, solo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(solo.parent)
    monkeypatch.setenv("NEXUS_HOME", "nexus")
    started = nexus("node", "start", "--json").document
    assert nexus("node", "stop", "--json").document["pid"] == started["pid"]
    _gone(started["pid"])


def test_a_database_of_a_newer_version_is_left_alone(nexus: Run, solo: Path) -> None:
    path = solo / "profiles/default/chain.db"
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version = 99")
    before = path.read_bytes()
    for command in (("status",), ("node", "verify"), ("node", "start"), ("wallet", "faucet")):
        result = nexus(*command, "--json")
        assert result.status == 6, command
        assert "99" in result.error["message"]
    assert path.read_bytes() == before


def test_stopping_waits_until_the_node_has_ended(nexus: Run, running: dict[str, Any], solo: Path) -> None:
    stopped = nexus("node", "stop", "--json").document
    assert stopped["pid"] == running["pid"]
    profile = solo / "profiles/default"
    assert not [path.name for path in profile.iterdir() if path.name.endswith((".sock", "-wal", "-shm"))]
    result = nexus("node", "stop", "--json")
    assert (result.status, result.error["code"]) == (3, "no_node")
    assert nexus("status", "--json").document["running"] is False


def test_the_log_is_private_and_shown(nexus: Run, running: dict[str, Any]) -> None:
    log = Path(running["log"])
    assert log.stat().st_mode & 0o777 == 0o600
    lines = nexus("node", "logs", "--json").document["lines"]
    assert any("ready" in line for line in lines)
    assert nexus("node", "logs", "-n", "1").out.count("\n") == 1
    log.write_text("evil \x1b]0;x\x07 line\n")
    assert "\x1b" not in nexus("node", "logs").out


def test_a_killed_node_leaves_a_profile_that_goes_on(nexus: Run, running: dict[str, Any], savings: str) -> None:
    sent = nexus("wallet", "send", savings, "1", "--yes", "--no-wait", "--json").document
    os.kill(running["pid"], signal.SIGKILL)
    _gone(running["pid"])
    assert nexus("status", "--json").document["running"] is False
    assert nexus("wallet", "send", savings, "2", "--yes", "--json").document["status"] == "done"
    assert nexus("tx", "show", sent["txid"], "--json").document["status"] == "done"
    assert nexus("node", "verify", "--json").document["ok"] is True


def test_a_start_that_fails_says_why(nexus: Run, solo: Path) -> None:
    (solo / "profiles/default/chain.db").write_bytes(b"this is no database at all" * 100)
    result = nexus("node", "start", "--json")
    assert result.status == 6
    assert result.error["code"] != "internal"
    assert "chain.db" in result.error["message"]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130), (signal.SIGHUP, 0)])
def test_a_signal_ends_the_node_clean(nexus: Run, solo: Path, number: int, status: int) -> None:
    child = subprocess.Popen(
        [sys.executable, "-m", "nexus_tui", "--json", "node", "run"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # nohup leaves it ignored
    )
    assert child.stdout is not None
    assert json.loads(child.stdout.readline())["pid"] == child.pid
    child.send_signal(number)
    out, err = child.communicate(timeout=120)
    assert (child.returncode, out, err) == (status, "", "")
    assert not (solo / "profiles/default/node.sock").exists()


def test_watching_goes_on_with_every_block(nexus: Run, running: dict[str, Any]) -> None:
    child = subprocess.Popen(
        [sys.executable, "-m", "nexus_tui", "status", "--watch", "--json"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ,
    )
    assert child.stdout is not None
    assert json.loads(child.stdout.readline())["height"] == 0
    nexus("wallet", "faucet", "1")
    heights = [json.loads(child.stdout.readline())["height"] for _ in range(3)]
    assert heights == sorted(heights)
    assert 1 <= heights[-1] <= 3, "its own block, and those that make it final"
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=120)
    assert child.returncode == 130


def test_watching_needs_a_node(nexus: Run, solo: Path) -> None:
    assert nexus("status", "--watch", "--json").status == 3


def test_a_backup_becomes_a_profile_again(nexus: Run, solo: Path, savings: str, tmp_path: Path) -> None:
    nexus("wallet", "send", savings, "1", "--yes")
    file = tmp_path / "node.backup"
    made = nexus("node", "backup", file, "--json").document
    assert made["height"] >= 1
    assert made["with_key"] is False
    assert file.stat().st_mode & 0o777 == 0o600
    assert nexus("node", "backup", file, "--json").error["code"] == "file_exists"
    assert nexus("node", "restore", file, "--json").error["code"] == "profile_exists"
    assert nexus("node", "restore", file, "--profile", "copy", "--json").document["height"] == made["height"]
    assert nexus("node", "verify", "--profile", "copy", "--json").document["height"] == 1
    cut = tmp_path / "cut"
    cut.write_bytes(file.read_bytes()[:5000])
    result = nexus("node", "restore", cut, "--profile", "bad", "--json")
    assert result.status == 6
    assert not (solo / "profiles/bad").exists()


def test_a_damaged_chain_is_replaced_and_kept_aside(nexus: Run, solo: Path, savings: str, tmp_path: Path) -> None:
    nexus("wallet", "send", savings, "1", "--yes")
    file = tmp_path / "node.backup"
    nexus("node", "backup", file)
    chain = solo / "profiles/default/chain.db"
    chain.write_bytes(b"damaged")
    for suffix in ("-wal", "-shm"):
        Path(f"{chain}{suffix}").unlink(missing_ok=True)
    assert nexus("node", "verify", "--json").status == 6
    assert nexus("node", "restore", file, "--replace", "--json").error["code"] == "needs_yes"
    replaced = nexus("node", "restore", file, "--replace", "--yes", "--json").document
    assert (Path(replaced["kept"]) / "chain.db").read_bytes() == b"damaged"
    assert nexus("node", "verify", "--json").document["height"] == 1
    assert nexus("wallet", "send", savings, "2", "--yes", "--json").document["status"] == "done"
    nexus("init", "--network", "solo", "--yes", "--profile", "elsewhere")
    result = nexus("node", "restore", file, "--replace", "--yes", "--profile", "elsewhere", "--json")
    assert result.error["code"] == "other_network"
    assert nexus("node", "verify", "--profile", "elsewhere", "--json").document["ok"] is True


def test_a_running_node_is_not_replaced(nexus: Run, running: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "node.backup"
    assert nexus("node", "backup", file, "--json").status == 0
    result = nexus("node", "restore", file, "--replace", "--yes", "--json")
    assert (result.status, result.error["code"]) == (1, "node_running")


def test_service_files_run_this_profile(nexus: Run, solo: Path) -> None:
    unit = nexus("node", "service", "--kind", "systemd", "--json").document
    assert f"NEXUS_HOME={solo}" in unit["files"][0]["text"]
    assert "--profile" in unit["files"][0]["text"]
    assert nexus("node", "service", "--kind", "termux", "--json").document["kind"] == "termux"
    assert nexus("node", "service", "--kind", "cron", "--json").error["code"] == "usage"
    assert "[Service]" in nexus("node", "service").out


def test_the_validator_key_is_shown_without_its_secret(nexus: Run, solo: Path) -> None:
    key = nexus("node", "validator-key", "--json").document
    assert len(key["public_key"]) == 66
    assert key["stake"]["nxt"] == "10000"
    assert (key["last_block_slot"], key["last_vote"], key["problem"]) == (None, None, "")
    assert "no block yet" in nexus("node", "validator-key").out
    block = nexus("wallet", "faucet", "1", "--json").document["slot"]
    signed = nexus("node", "validator-key", "--json").document
    assert signed["last_block_slot"] >= block
    assert signed["last_vote"] >= 1
    assert f"a block of slot {signed['last_block_slot']:,}" in nexus("node", "validator-key").out
    (solo / "profiles/default/signing-record").unlink()
    assert "missing" in nexus("node", "validator-key", "--json").document["problem"]
    secret = (solo / "profiles/default/validator.key").read_bytes()
    assert not any(secret[at : at + 8].hex() in json.dumps(key) for at in range(30, len(secret) - 8))
    (solo / "profiles/default/validator.key").unlink()
    assert nexus("node", "validator-key", "--json").error["code"] == "no_validator_key"


def test_a_clock_that_is_wrong_is_told(nexus: Run, solo: Path, savings: str, monkeypatch: pytest.MonkeyPatch) -> None:
    nexus("wallet", "send", savings, "1", "--yes")
    year = 365 * 86_400_000
    now = time.time_ns() // 1_000_000
    monkeypatch.setattr("node.service.opening.open_service.__wrapped__.__defaults__", (None, lambda: now - year, None))
    result = nexus("wallet", "send", savings, "1", "--yes", "--timeout", "0.5", "--json")
    assert result.status in (1, 4)
    assert "clock" in result.error["message"] or "expir" in result.error["message"]


def test_the_demo_moves_money_and_says_what_it_did(nexus: Run, tmp_path: Path) -> None:
    shown = nexus("demo", "--no-tui")
    assert shown.status == 0
    for part in ("preset minimal", "12.5 NXT were paid", "cost 0.00051 NXT", "passphrase is", "1000000 NXT"):
        assert part in shown.out
    again = nexus("demo", "--no-tui", "--json")
    document = again.document
    assert document["height"] >= 2
    assert document["total"]["units"] == "100000000000000"
    assert float(document["seconds"]) > 0
    assert all("cost" in step and "milliseconds" in step for step in document["steps"])
    assert (tmp_path / "nexus/profiles/demo/demo.passphrase").stat().st_mode & 0o777 == 0o600
    (tmp_path / "nexus/profiles/demo/demo.passphrase").unlink()
    assert nexus("demo", "--no-tui", "--json").error["code"] == "demo_profile"
    assert nexus("demo", "--no-tui", "--profile", "mine", "--json").error["code"] == "demo_profile"
    assert nexus("wallet", "balance", "--profile", "demo", "--json").status == 0


def test_the_doctor_looks_at_everything(nexus: Run, solo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    well = nexus("doctor", "--json")
    assert well.status == 0
    states = {item["name"]: item["state"] for item in well.document["findings"]}
    for name in ("python", "packages", "ML-DSA-65", "HPKE", "Argon2id", "clock", "disk", "folder", "configuration"):
        assert states[name] == "ok", name
    assert states["node"] == "note"
    (solo / "profiles/default/validator.key").chmod(0o644)
    solo.chmod(0o755)
    monkeypatch.setattr("time.time", lambda: 1.0)
    ill = nexus("doctor", "--json")
    assert ill.status == 1
    problems = {item["name"]: item["advice"] for item in ill.document["findings"] if item["state"] == "problem"}
    assert set(problems) == {"clock", "folder", "permissions"}
    assert all(problems.values())
    assert "chmod 600" in nexus("doctor").out


def test_the_doctor_survives_a_broken_configuration(nexus: Run, solo: Path) -> None:
    (solo / "config.toml").write_text("[node]\nprodcue = 1\n")
    result = nexus("doctor")
    assert result.status == 1
    assert "node.produce" in result.out
    status = nexus("status", "--json")
    assert (status.status, status.error["code"]) == (2, "bad_config")
    assert "line 2" in status.error["message"]


def test_settings_are_shown_and_changed(nexus: Run, solo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert nexus("config", "path").out == f"{solo / 'config.toml'}\n"
    changed = nexus("config", "set", "node.log_level", "debug", "--json").document
    assert changed["value"] == "debug"
    assert nexus("config", "get", "node.log_level").out == "debug\n"
    monkeypatch.setenv("NEXUS_NODE_LOG_LEVEL", "error")
    assert nexus("config", "get", "node.log_level", "--json").document["source"] == "environment"
    assert nexus("config", "set", "node.log_files", "-1", "--json").error["code"] == "bad_config"
    assert nexus("config", "set", "node.nope", "1", "--json").error["hint"]
    assert "node.log_level" in nexus("config", "get").out
