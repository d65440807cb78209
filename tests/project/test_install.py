"""From clone to a confirmed payment, as README tells a newcomer: in a fresh clone, with a fresh environment."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

INSTALL = "python3 -m venv .venv && .venv/bin/pip install ."
DEMO = "&& .venv/bin/nexus demo"
TESTS = "python3 -m venv .venv && .venv/bin/pip install -c .ci/constraints.txt -e '.[test]' && .venv/bin/pytest"


def test_readme_tells_the_two_commands(root: Path) -> None:
    lines = (root / "README.md").read_text().splitlines()
    assert f"{INSTALL} {DEMO}" in lines
    assert TESTS in lines


def test_ci_runs_what_readme_tells(root: Path) -> None:
    script = (root / ".ci" / "run").read_text()
    for command in ("-m venv", "install -qq -c .ci/constraints.txt -e '.[test]'", ".venv/bin/pytest"):
        assert command in script, f".ci/run no longer does what README tells: {command}"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_newcomer_gets_a_running_node_with_money_in_it(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("git") is None or not (root / ".git").exists():
        pytest.skip("not a git checkout")
    # Debian's own interpreter where there is one: it is what a newcomer has.
    python = next((path for path in ("/usr/bin/python3", sys.executable) if Path(path).is_file()), sys.executable)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.setenv("PATH", f"{Path(python).parent}:{os.environ['PATH']}")
    clone = tmp_path / "clone"

    def run(command: str, where: Path = clone) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            ["bash", "-euc", command],
            cwd=where,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, f"{command}: exit {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done

    run(f"git -c safe.directory='*' clone -q '{root}' '{clone}'", tmp_path)
    run(INSTALL)
    assert run(".venv/bin/nexus --version").stdout.strip()
    demo = run(".venv/bin/nexus demo --no-tui")
    assert demo.stdout.strip()
    assert "Traceback" not in demo.stdout + demo.stderr
    # Help, styles and pictures must have come along in the wheel.
    tracked = run("git ls-files -z nexus_tui node wallet").stdout.split("\0")
    (packages,) = (clone / ".venv" / "lib").glob("python3*/site-packages")
    left_out = [name for name in tracked if name and not (packages / name).is_file()]
    assert not left_out, f"not installed: {left_out}"
