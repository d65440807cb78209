"""The node as a daemon: what it says to its supervisor and to the journal, and which signals it minds."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from nexus_tui.cli import launch
from node.api.errors import NoNode
from node.profile.paths import existing_profile

Run = Callable[..., Any]


@contextmanager
def started(*ignored: signal.Signals, stderr: Any = subprocess.DEVNULL, **variables: str) -> Iterator[Any]:
    """`nexus node run` as a process; it is killed in the end if it still lives. `ignored`: as nohup and shells do."""

    def prepare() -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN if number in ignored else signal.SIG_DFL)

    child = subprocess.Popen(
        [sys.executable, "-m", "nexus_tui", "node", "run"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        env={**os.environ, **variables},
        preexec_fn=prepare,
    )
    try:
        yield child
    finally:
        child.kill()
        child.communicate(timeout=120)


def wait_until_ready(child: Any) -> None:
    for line in child.stdout:
        if " runs (" in line:
            return
    pytest.fail("it ended before it was ready")


def test_it_is_ready_alive_and_stopping_for_its_supervisor(solo: Path, tmp_path: Path) -> None:
    place = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(place)
        heard.settimeout(120)
        with started(NOTIFY_SOCKET=place, WATCHDOG_USEC="200000") as child:
            words = [heard.recv(1_000).decode() for _ in range(4)]
            assert words[0] == "STATUS=starting"
            assert words[1].startswith("READY=1\nSTATUS=block 0, final 0")
            assert all(word.startswith("WATCHDOG=1\n") for word in words[2:])
            child.terminate()
            while (word := heard.recv(1_000).decode()).startswith("WATCHDOG=1"):
                pass
            assert word.startswith("STOPPING=1")
            assert child.wait(120) == 0


def test_a_signal_that_was_ignored_stays_ignored(solo: Path) -> None:
    with started(signal.SIGHUP, signal.SIGINT) as child:
        wait_until_ready(child)
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            child.send_signal(number)
        out, _ = child.communicate(timeout=120)
        assert child.returncode == 0, "it was SIGTERM that ended it, not Ctrl-C"
        assert out == ""


def test_a_node_that_still_starts_is_stopped_too(nexus: Run, solo: Path, tmp_path: Path) -> None:
    place = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(place)
        heard.settimeout(120)
        with started(NOTIFY_SOCKET=place) as child:
            assert heard.recv(1_000) == b"STATUS=starting"
            child.terminate()
            child.communicate(timeout=120)
            assert child.returncode == 0
    assert nexus("node", "verify", "--json").document["ok"] is True
    assert not (solo / "profiles/default/node.sock").exists()


def test_lines_for_the_journal_begin_with_their_level(solo: Path, tmp_path: Path) -> None:
    with (tmp_path / "journal").open("w+") as journal:
        found = os.fstat(journal.fileno())
        with started(stderr=journal, JOURNAL_STREAM=f"{found.st_dev}:{found.st_ino}") as child:
            wait_until_ready(child)
            child.terminate()
            assert child.wait(120) == 0
        journal.seek(0)
        lines = [line for line in journal.read().splitlines() if "nexus.run" in line]
    assert len(lines) >= 2
    assert all(line.startswith("<6>nexus.run: ") for line in lines)
    with started(stderr=subprocess.PIPE, JOURNAL_STREAM=f"{found.st_dev}:{found.st_ino}") as child:
        wait_until_ready(child)
        child.terminate()
        _, err = child.communicate(timeout=120)
    assert "<6>" not in err, "this one went elsewhere"


async def test_an_attached_app_does_not_take_the_folder_from_a_daemon(
    process: Run, solo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nexus_tui.settings import SECTIONS
    from node.profile.config import load
    from node.profile.paths import config_file

    household = launch.household_of(existing_profile("default"), load(config_file(), SECTIONS, ()))
    assert json.loads(process("node", "start", "--json").out)["running"] is True
    async with household.open_node() as api:
        pid = (await api.status()).pid
    assert process("node", "stop", "--json").status == 0
    for _ in range(2):
        with pytest.raises(NoNode) as refused:
            async with household.open_node():
                pass
        assert "nexus node start" in refused.value.hint
    assert json.loads(process("node", "start", "--json").out)["running"] is True
    async with household.open_node() as api:
        assert (await api.status()).pid != pid
    assert process("node", "stop", "--json").status == 0


def test_who_watches_hears_that_the_node_stops(nexus: Run, process: Run, solo: Path) -> None:
    assert nexus("node", "start", "--json").document["running"] is True
    watching = subprocess.Popen(
        [sys.executable, "-m", "nexus_tui", "status", "--watch", "--json"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ,
    )
    assert watching.stdout is not None
    first = json.loads(watching.stdout.readline())
    assert first["running"] is True
    assert process("node", "stop", "--json").status == 0
    out, _ = watching.communicate(timeout=120)
    assert json.loads(out.splitlines()[-1]) == {"profile": "default", "running": False}
    assert watching.returncode == 0
