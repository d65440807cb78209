"""Ten people in one local network and one invitation: they join, their nodes find each other, and money moves. One of
the nodes is killed then, is away while payments go on, and catches up. Everything as its owner would do it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.netns import Town, require_namespaces

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1_800)]
NODES = 10
FORMED_S = 30.0
"""The bar; what is waited for is four times that."""
PATIENCE_S = 120.0


class Device:
    """A host of the town with a home of its own."""

    def __init__(self, town: Town, number: int, home: Path) -> None:
        self._inside = ["ip", "netns", "exec", town.name(number), sys.executable, "-m", "nexus_tui"]
        self._env = {name: value for name, value in os.environ.items() if not name.startswith("NEXUS_MESH_")}
        self._env |= {"NEXUS_HOME": str(home), "NEXUS_PASSPHRASE": "correct horse"}
        self._log = home.with_suffix(".log")
        self.node: subprocess.Popen[bytes] | None = None

    def nexus(self, *arguments: str) -> dict[str, Any]:
        """What a command answers; empty while no node is there."""
        done = subprocess.run(
            [*self._inside, *arguments, "--json"],
            capture_output=True,
            encoding="utf-8",
            env=self._env,
            timeout=PATIENCE_S,
            check=False,
        )
        assert done.returncode in (0, 3), done.stdout + done.stderr
        answer = json.loads(done.stdout)
        assert isinstance(answer, dict)
        return {} if "error" in answer else answer

    def start(self) -> None:
        with self._log.open("ab") as output:
            self.node = subprocess.Popen(
                [*self._inside, "node", "run"],
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def join(self, invitation: str) -> None:
        self.nexus("init", "--network", "join", "--invite", invitation, "--yes")
        self.start()

    def end(self, how: signal.Signals) -> int:
        assert self.node is not None
        self.node.send_signal(how)
        return self.node.wait(PATIENCE_S)

    def linked(self) -> int:
        return len(self.nexus("mesh", "peers").get("peers", ()))

    def units(self) -> int:
        return int(self.nexus("wallet", "balance")["total"]["units"])


def until(so: Callable[[], object], seconds: float = PATIENCE_S) -> float:
    """Wait for a condition; how long it took."""
    began = time.monotonic()
    while not so():
        assert time.monotonic() - began < seconds, "it did not come to be"
        time.sleep(0.2)
    return time.monotonic() - began


def test_ten_nodes_form_from_one_invitation(tmp_path: Path, away: float) -> None:
    require_namespaces()
    with Town(NODES) as town, ThreadPoolExecutor(NODES) as together:
        devices = [Device(town, number, tmp_path / f"home{number}") for number in range(NODES)]
        founder, *others = devices
        try:
            founder.nexus("init", "--network", "create", "--name", "street", "--yes")
            founder.start()
            until(lambda: founder.nexus("mesh", "peers").get("port"))
            invitation = founder.nexus("mesh", "invite")["uri"]
            began = time.monotonic()
            list(together.map(lambda device: device.join(invitation), others))
            installed = time.monotonic() - began
            until(lambda: all(together.map(lambda device: device.linked() == NODES - 1, devices)), 4 * FORMED_S)
            formed = time.monotonic() - began
            print(
                f"\n{NODES} nodes: wallets made and the network joined after {installed:.1f} s, each linked with each "
                f"after {formed:.1f} s (bar about {FORMED_S:.0f} s)"
            )
            for device in others[:2]:
                founder.nexus("wallet", "send", device.nexus("wallet", "address")["address"], "10", "--yes")
            until(lambda: all(device.units() == 10 * 10**8 for device in others[:2]))

            lost = others[0]
            lost.end(signal.SIGKILL)
            gone, paid = time.monotonic(), 0
            while time.monotonic() - gone < away:
                founder.nexus("wallet", "send", lost.nexus("wallet", "address")["address"], "1", "--yes")
                paid += 1
                time.sleep(1)
            lost.start()
            caught_up = until(lambda: lost.nexus("mesh", "peers") and lost.units() == (10 + paid) * 10**8)
            print(
                f"killed, away for {away:.0f} s and {paid} payments: they are there {caught_up:.1f} s after its start"
            )
            until(lambda: lost.linked() == NODES - 1)
            report = together.map(lambda device: device.nexus("node", "verify")["ok"], devices)
            assert all(report)
        finally:
            codes = [device.end(signal.SIGTERM) for device in devices if device.node is not None]
    assert codes == [0] * NODES
