"""`nexus init`: forms that scripts rely on, and that a failure leaves nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
WORDS = "legal winner thank year wave sausage worth useful legal winner thank yellow"
GENESIS = "ab" * 32
ADDRESS = "tnxt1qr6fd5nwuh2fmtk4g8fzn7h47g5craql4vh0s2l9"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NEXUS_PASSPHRASE", "correct horse")
    return tmp_path / "nexus"


@pytest.mark.parametrize(("network", "faucet"), [("solo", "100000"), ("create", "0")])
def test_init_makes_a_profile_that_works_at_once(nexus: Run, home: Path, network: str, faucet: str) -> None:
    made = nexus("init", "--network", network, "--yes", "--json").document
    assert made["profile"] == "default"
    assert made["network"]["preset"] == network
    assert made["faucet"]["nxt"] == faucet
    assert "words" not in made
    assert nexus("wallet", "balance", "--json").document["total"] == made["balance"]
    assert nexus("node", "verify", "--json").document["total"]["nxt"] == "1000000"
    assert nexus("node", "validator-key", "--json").document["account"] == made["address"]
    assert nexus("config", "get", "profile", "--json").document["value"] == "default"
    assert "# Configuration of Nexus" in (home / "config.toml").read_text()
    for path in [home, *home.rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path


def test_the_mode_is_kept_for_all_profiles(nexus: Run, home: Path) -> None:
    refused = nexus("init", "--network", "solo", "--mode", "tablet", "--yes", "--json")
    assert refused.error["code"] == "bad_mode"
    assert not (home / "profiles").exists()
    nexus("init", "--network", "solo", "--mode", "archive", "--yes")
    assert nexus("config", "get", "node.mode", "--json").document["value"] == "archive"


def test_without_a_passphrase_nothing_is_made(nexus: Run, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NEXUS_PASSPHRASE")
    result = nexus("init", "--network", "solo", "--yes", "--json")
    assert result.status == 2
    assert result.error["code"] == "no_passphrase"
    assert not (home / "profiles").exists()


@pytest.mark.parametrize("passphrase", ["x" * 2000])
def test_an_impossible_passphrase_leaves_nothing(
    nexus: Run, home: Path, monkeypatch: pytest.MonkeyPatch, passphrase: str
) -> None:
    monkeypatch.setenv("NEXUS_PASSPHRASE", passphrase)
    assert nexus("init", "--network", "solo", "--yes", "--json").error["code"] == "bad_passphrase"
    assert not (home / "profiles").exists()


def test_words_are_shown_only_when_asked_for(nexus: Run, home: Path) -> None:
    result = nexus("init", "--network", "solo", "--yes", "--show-words", "--words", "24", "--json")
    words = result.document["words"]
    assert len(words.split()) == 24
    assert words not in result.err
    assert nexus("wallet", "backup", "--show-words", "--json").document["words"] == words


def test_a_wallet_can_be_restored_at_once(nexus: Run, home: Path) -> None:
    made = nexus("init", "--network", "solo", "--yes", "--restore", "--json", stdin=WORDS).document
    other = nexus("init", "--network", "solo", "--yes", "--restore", "--profile", "b", "--json", stdin=f"  {WORDS}\n")
    assert other.document["address"] == made["address"]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (WORDS.replace("sausage", "sausagge"), "unknown_word"),
        (WORDS.replace("yellow", "year"), "bad_checksum"),
        ("legal winner", "bad_word_count"),
        ("", "input_closed"),
    ],
)
def test_bad_words_leave_nothing(nexus: Run, home: Path, words: str, code: str) -> None:
    result = nexus("init", "--network", "solo", "--yes", "--restore", "--json", stdin=words)
    assert result.error["code"] == code
    assert result.status in (1, 2)
    if code == "unknown_word":
        assert "sausage" in result.error["hint"]
    assert list(home.glob("profiles/*")) == []


def test_a_second_init_changes_nothing(nexus: Run, home: Path) -> None:
    assert nexus("init", "--network", "solo", "--yes").status == 0
    before = {path: path.read_bytes() for path in (home / "profiles").rglob("*") if path.is_file()}
    result = nexus("init", "--network", "solo", "--yes", "--json")
    assert result.status == 2
    assert result.error["code"] == "profile_exists"
    assert {path: path.read_bytes() for path in (home / "profiles").rglob("*") if path.is_file()} == before


def test_the_first_profile_of_another_name_becomes_the_usual_one(nexus: Run, home: Path) -> None:
    nexus("init", "--network", "solo", "--yes", "--profile", "work")
    assert nexus("status", "--json").document["profile"] == "work"
    nexus("init", "--network", "solo", "--yes", "--profile", "play")
    assert nexus("status", "--json").document["profile"] == "work"


def test_a_genesis_of_the_same_choices_is_the_same(nexus: Run, home: Path) -> None:
    choice = ("--name", "town", "--start-ms", "1800000000000", "--allocation", f"{ADDRESS}=5=Library")
    made = nexus("init", "--network", "create", *choice, "--yes", "--json").document
    assert made["network"]["name"] == "town"
    assert nexus("wallet", "watch", ADDRESS, "--json").status == 0
    assert nexus("wallet", "balance", "-a", ADDRESS, "--json").document["total"]["nxt"] == "5"


NOBODY = f"nexus://join?genesis={GENESIS}&node={'6e' * 32}@127.0.0.1:9"


@pytest.mark.parametrize(
    ("options", "status", "code"),
    [
        (("--network", "solo", "--allocation", "nonsense"), 2, "usage"),
        (("--network", "create", "--allocation", f"{ADDRESS}=-5"), 1, "bad_amount"),
        (("--network", "create", "--allocation", f"{ADDRESS}=0"), 1, "bad_amount"),
        (("--network", "create", "--allocation", f"{ADDRESS}x=5"), 1, "bad_address"),
        (("--network", "create", "--allocation", f"{ADDRESS}=900000"), 1, "bad_genesis"),
        (("--network", "create", "--name", "Bad Name"), 1, "bad_network_name"),
        (("--network", "moon"), 2, "bad_network"),
        (("--network", "solo", "--invite", "nexus://join"), 2, "usage"),
        (("--network", "solo", "--words", "13"), 1, "bad_word_count"),
        (("--network", "join"), 2, "usage"),
        (("--network", "join", "--invite", "http://x"), 1, "bad_invitation"),
        (("--network", "join", "--invite", f"nexus://join?genesis={GENESIS}"), 1, "bad_invitation"),
        (("--network", "join", "--invite", f"nexus://join?genesis={GENESIS}&node=a:99999"), 1, "bad_invitation"),
        (("--network", "join", "--invite", f"nexus://join?genesis={GENESIS}&node=a:4711"), 1, "bad_invitation"),
        (("--network", "join", "--invite", NOBODY), 3, "nobody_answers"),
        (("--network", "solo", "--invite", NOBODY), 2, "usage"),
        ((), 2, "usage"),
    ],
)
def test_what_cannot_be_made_is_refused_and_leaves_nothing(
    nexus: Run, home: Path, options: tuple[str, ...], status: int, code: str
) -> None:
    result = nexus("init", *options, "--yes", "--json")
    assert (result.status, result.error["code"]) == (status, code)
    assert list(home.glob("profiles/*")) == []


def test_an_unusable_home_is_named(nexus: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXUS_PASSPHRASE", "correct horse")
    monkeypatch.setenv("NEXUS_HOME", "/proc/nowhere")
    result = nexus("init", "--network", "solo", "--yes", "--json")
    assert result.status == 6
    assert "/proc/nowhere" in result.error["message"]


def as_nobody(call: Callable[[], int]) -> int:
    """The result of `call` in a process of another user. What it imports must be loaded already."""
    child = os.fork()
    if child == 0:
        try:
            os.setgid(65534)
            os.setuid(65534)
            os._exit(call())
        finally:
            os._exit(99)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_another_user_can_neither_write_nor_read_here(nexus: Run, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert nexus("init", "--network", "solo", "--yes").status == 0  # loads what the child needs
    assert nexus("init", "--network", "solo", "--yes").status == 2
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        os.chmod(folder, 0o755)
        monkeypatch.setenv("NEXUS_HOME", folder)
        init = ["init", "--network", "solo", "--yes", "--json"]
        assert as_nobody(lambda: int(nexus(*init).error["code"] != "not_writable")) == 0
        assert as_nobody(lambda: int(nexus(*init).status)) == 6
        assert os.listdir(folder) == []
        shutil.copytree(home, f"{folder}/nexus")
        monkeypatch.setenv("NEXUS_HOME", f"{folder}/nexus")
        assert as_nobody(lambda: int(nexus("wallet", "balance", "--json").status)) in (2, 6)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 192 KiB; skips where it cannot be made."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=192k", "tmpfs", str(place)]
    try:
        done = subprocess.run(mount, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount")
    if done.returncode:
        pytest.skip("a small disk cannot be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_is_named_and_leaves_nothing(
    nexus: Run, home: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEXUS_HOME", str(small_disk / "nexus"))
    result = nexus("init", "--network", "solo", "--yes", "--json")
    assert (result.status, result.error["code"]) == (6, "disk_full")
    assert list((small_disk / "nexus" / "profiles").iterdir()) == []
    assert nexus("status", "--json").error["code"] == "no_profile"


def test_questions_are_asked_at_a_terminal(nexus: Run, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NEXUS_PASSPHRASE")
    answers = iter(["secret words", "other words"])
    monkeypatch.setattr("getpass.getpass", lambda prompt, stream: next(answers))
    result = nexus("init", typed="\ny\n")
    assert result.status == 1
    assert "The two passphrases differ" in result.err
    answers = iter(["secret words", "secret words"])
    result = nexus("init", typed="solo\ny\n")
    assert result.status == 0
    assert "The profile 'default' is ready" in result.out
