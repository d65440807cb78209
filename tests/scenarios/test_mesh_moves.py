"""A node whose network goes away and comes back, with the same address and with another one: real nodes in network
namespaces."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.node.service.mesh_world import profiles_of_one_network
from tests.scenarios.netns import NETWORK, Town, ip, require_namespaces
from tests.scenarios.resident import Resident

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
PATIENCE_S = 60.0
OTHER = f"{NETWORK}.77"


async def within(resident: Resident, so: Callable[[int], bool]) -> float:
    """Wait until `so` holds of a node's peers; how long it took."""
    began = time.monotonic()
    while True:
        status = await resident.status()
        if status is not None and so(status.peers or 0):
            return time.monotonic() - began
        assert time.monotonic() - began < PATIENCE_S, status
        await asyncio.sleep(0.2)


async def test_a_node_is_linked_again_when_its_network_is_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require_namespaces()
    monkeypatch.setenv("NEXUS_HOME", str(tmp_path))
    profiles = profiles_of_one_network(tmp_path / "profiles", 2)
    with Town(2) as town:
        processes = [
            town.run_node(number, paths.name, tmp_path / f"node{number}.log") for number, paths in enumerate(profiles)
        ]
        try:
            mobile, inside = Resident(profiles[1]), ("-n", town.name(1))
            formed = await within(mobile, lambda peers: peers > 0)
            ip(*inside, "link", "set", "eth0", "down")
            gone = await within(mobile, lambda peers: peers == 0)
            ip(*inside, "link", "set", "eth0", "up")
            ip(*inside, "route", "add", "default", "dev", "eth0")
            back = await within(mobile, lambda peers: peers > 0)
            ip(*inside, "addr", "del", f"{town.address(1)}/24", "dev", "eth0")
            ip(*inside, "addr", "add", f"{OTHER}/24", "dev", "eth0")
            ip(*inside, "route", "replace", "default", "dev", "eth0")
            log = tmp_path / "logs" / f"node-{profiles[1].name}.log"
            began = time.monotonic()
            async with asyncio.timeout(PATIENCE_S):
                while "linked with" not in log.read_text().partition(f"other addresses now: {OTHER}")[2]:  # noqa: ASYNC110
                    await asyncio.sleep(0.2)
            moved = time.monotonic() - began
            await within(mobile, lambda peers: peers > 0)
            print(f"formed {formed:.1f} s, gone {gone:.1f} s, back {back:.1f} s, moved {moved:.1f} s")
        finally:
            for process in processes:
                process.send_signal(signal.SIGTERM)
            for process in processes:
                assert process.wait(timeout=PATIENCE_S) == 0
