"""Service files: what they run, quoting of strange paths, and what systemd and a shell say to them."""

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from node.profile.service_files import plans

COMMAND = ("/opt/my env/bin/nexus", "node", "run", "--profile", "work")


def test_systemd_runs_the_command_with_the_home() -> None:
    plan = plans(COMMAND, Path('/home/a b/100% "x"'), "work")["systemd"]
    text = plan.files[0].text
    assert 'ExecStart="/opt/my env/bin/nexus" "node" "run" "--profile" "work"' in text
    assert 'Environment="NEXUS_HOME=/home/a b/100%% \\"x\\""' in text
    assert plan.files[0].path.endswith("nexus-work.service")


def test_termux_runs_the_command_with_the_home() -> None:
    plan = plans(COMMAND, Path("/data/it's"), "work")["termux"]
    run = next(file for file in plan.files if file.path.endswith("work/run"))
    assert run.mode == 0o700
    assert run.text.startswith("#!/data/data/com.termux/")
    lines = run.text.splitlines()
    assert shlex.split(lines[3]) == ["export", "NEXUS_HOME=/data/it's"]
    assert shlex.split(lines[4]) == ["exec", *COMMAND]


def test_systemd_is_told_when_the_node_is_ready_and_when_not_to_try_again() -> None:
    text = plans(COMMAND, Path("/home/a"), "work")["systemd"].files[0].text
    for line in ("Type=notify", "Restart=on-failure", "RestartPreventExitStatus=2 6", "NoNewPrivileges=true"):
        assert f"\n{line}\n" in text


def test_systemd_finds_no_fault_in_the_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    unit = tmp_path / "nexus-work.service"
    unit.write_text(plans(("/bin/true", "a %b$c"), tmp_path, "work")["systemd"].files[0].text)
    asked = subprocess.run(
        ["systemd-analyze", "verify", "--user", "--man=no", str(unit)],
        capture_output=True,
        text=True,
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
        timeout=120,
        check=False,
    )
    if "Failed to initialize manager" in asked.stderr:
        pytest.skip(f"systemd cannot check units here: {asked.stderr.strip()}")
    assert (asked.returncode, asked.stderr) == (0, "")


def test_the_scripts_for_termux_are_good_shell(tmp_path: Path) -> None:
    for file in plans(COMMAND, Path("/data/it's"), "work")["termux"].files:
        asked = subprocess.run(["sh", "-n"], input=file.text, capture_output=True, text=True, timeout=60, check=False)
        assert (asked.returncode, asked.stderr) == (0, ""), file.path


@pytest.mark.parametrize(("status", "down"), [("0", False), ("1", False), ("2", True), ("6", True), ("70", False)])
def test_a_fault_that_stays_keeps_the_service_down(tmp_path: Path, status: str, down: bool) -> None:
    finish = next(f for f in plans(COMMAND, tmp_path, "work")["termux"].files if f.path.endswith("finish"))
    for name in ("sv", "sleep"):
        (tmp_path / name).write_text(f'#!/bin/sh\necho {name} "$@"\n')
        (tmp_path / name).chmod(0o700)
    asked = subprocess.run(
        ["sh", "-c", finish.text, "finish", status, "0"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "PWD": str(tmp_path)},
        timeout=60,
        check=True,
    )
    assert (asked.stdout.strip() == f"sv down {tmp_path.name}") == down
