"""Several real nodes: one founds a network and invites, others join by the invitation, payments reach everybody, and a
node that is killed comes back and catches up."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow
PATIENCE_S = 120.0


class Device:
    """A home of its own, with a node that runs as a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.home = folder
        self.node: subprocess.Popen[bytes] | None = None

    def nexus(self, *arguments: str) -> dict[str, Any]:
        """What a command answers."""
        done = self.call(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        answer = json.loads(done.stdout)
        assert isinstance(answer, dict)
        return answer

    def call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "nexus_tui", *arguments, "--json"],
            capture_output=True,
            encoding="utf-8",
            env={**os.environ, "NEXUS_HOME": str(self.home), "NEXUS_PASSPHRASE": "correct horse"},
            timeout=PATIENCE_S,
            check=False,
        )

    def start(self) -> None:
        """Run the node in the foreground of a process that the test can kill."""
        self.node = subprocess.Popen(
            [sys.executable, "-m", "nexus_tui", "node", "run"],
            env={**os.environ, "NEXUS_HOME": str(self.home)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait(lambda: self.call("mesh", "peers").returncode == 0)

    def kill(self) -> None:
        assert self.node is not None
        self.node.send_signal(signal.SIGKILL)
        self.node.wait()
        self.node = None

    def address(self) -> str:
        return str(self.nexus("wallet", "address")["address"])

    def units(self) -> int:
        return int(self.nexus("wallet", "balance")["total"]["units"])

    def linked(self) -> int:
        return len(self.nexus("mesh", "peers")["peers"])


def wait(so: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not so():
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.2)


@pytest.fixture
def street(tmp_path: Path) -> Iterator[list[Device]]:
    devices = [Device(tmp_path / name) for name in ("founder", "second", "third")]
    yield devices
    for device in devices:
        if device.node is not None:
            device.node.send_signal(signal.SIGTERM)
    for device in devices:
        if device.node is not None:
            device.node.wait(timeout=PATIENCE_S)


def test_an_invitation_is_all_that_a_newcomer_needs(street: list[Device]) -> None:
    founder, second, third = street
    founder.nexus("init", "--network", "create", "--name", "street", "--yes")
    founder.start()
    invitation = founder.nexus("mesh", "invite")
    second.nexus("init", "--network", "join", "--invite", invitation["uri"], "--yes")
    second.start()
    third.nexus("init", "--network", "join", "--invite", invitation["compact"], "--yes")
    third.start()
    wait(lambda: all(device.linked() == 2 for device in street))

    founder.nexus("wallet", "send", second.address(), "10", "--yes")
    wait(lambda: second.units() == 10 * 10**8)
    paid = second.nexus("wallet", "send", third.address(), "3", "--yes")
    wait(lambda: third.units() == 3 * 10**8)

    third.kill()
    founder.nexus("wallet", "send", third.address(), "4", "--yes")
    second.nexus("wallet", "send", third.address(), "1", "--yes")
    third.start()
    wait(lambda: third.units() == 8 * 10**8)
    wait(lambda: third.linked() == 2)
    for device in street:
        assert device.nexus("tx", "show", paid["txid"])["status"] == "done"
        assert device.nexus("node", "verify")["ok"]
