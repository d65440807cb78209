"""A command line to call: inside the test's process where that is enough, as a process of its own where it is not."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nexus_tui.cli.run import run
from wallet import keystore

PASSPHRASE = "correct horse battery"
CHEAP = keystore.KdfCost(1, 8192)


@dataclass(frozen=True)
class Result:
    """What a run of the command line left."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one document on stdout: exactly one line, and nothing else."""
        assert self.out.count("\n") == 1, self.out
        document = json.loads(self.out)
        assert isinstance(document, dict)
        return document

    @property
    def error(self) -> dict[str, str]:
        """The refusal in the document, which holds nothing else."""
        document = self.document
        assert list(document) == ["error"]
        assert list(document["error"]) == ["code", "message", "hint"]
        error = document["error"]
        assert all(isinstance(value, str) for value in error.values())
        return error


def piped(text: str) -> io.TextIOWrapper:
    """Standard input that is no terminal."""
    return io.TextIOWrapper(io.BytesIO(text.encode()), encoding="utf-8")


class Terminal(io.StringIO):
    """Standard input at which somebody sits."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def cheap_wallets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Argon2id at its least: what it costs is tested with the wallet."""
    monkeypatch.setattr(keystore, "tuned_cost", lambda: CHEAP)


@pytest.fixture
def nexus(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run `nexus` with these arguments in this process; `typed` is what somebody at a terminal types."""

    def call(*arguments: object, stdin: str = "", typed: str | None = None) -> Result:
        monkeypatch.setattr(sys, "stdin", piped(stdin) if typed is None else Terminal(typed))
        capsys.readouterr()
        status = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Result(status, captured.out, captured.err)

    return call


@pytest.fixture
def process() -> Callable[..., Result]:
    """Run `nexus` as a process of its own, without a terminal."""

    def call(*arguments: object, stdin: str = "", env: dict[str, str] | None = None) -> Result:
        done = subprocess.run(
            [sys.executable, "-m", "nexus_tui", *map(str, arguments)],
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            env={**os.environ, **(env or {})},
            timeout=240,
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    return call


@pytest.fixture(scope="session")
def solo_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a solo network, made once; tests get copies of it."""
    home = tmp_path_factory.mktemp("made") / "nexus"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keystore, "tuned_cost", lambda: CHEAP)
        patch.setenv("NEXUS_HOME", str(home))
        patch.setenv("NEXUS_PASSPHRASE", PASSPHRASE)
        assert run(["init", "--network", "solo", "--yes", "--json"]) == 0
        assert run(["wallet", "account", "add", "Savings", "--json"]) == 0
    return home


@pytest.fixture
def solo(solo_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a solo network and a wallet of two accounts, "Main" and "Savings"; NEXUS_PASSPHRASE opens it."""
    home = tmp_path / "nexus"
    shutil.copytree(solo_home, home)
    monkeypatch.setenv("NEXUS_HOME", str(home))
    monkeypatch.setenv("NEXUS_PASSPHRASE", PASSPHRASE)
    return home


@pytest.fixture
def savings(solo: Path, nexus: Callable[..., Result]) -> str:
    """The address of the second account."""
    return str(nexus("wallet", "address", "-a", "Savings", "--json").document["address"])
