"""How long a node takes to find another in its local network, without an address: from the moment at which it listens
to the link with somebody who was there before.

Run by hand, as root: python tests/benchmarks/discovery.py [--rounds N]. Real nodes in network namespaces of their own
on one bridge; nothing reaches any other network. Bar: 3 s.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from node.api.client import RemoteNode
from node.api.errors import NoNode
from node.api.records import MeshView
from node.profile.paths import ProfilePaths
from tests.node.service.mesh_world import profiles_of_one_network
from tests.scenarios.netns import Town

BAR_S = 3.0


async def view_of(paths: ProfilePaths) -> MeshView | None:
    """What a node says of the mesh, once it listens."""
    try:
        async with await RemoteNode.connect(paths.socket) as node:
            view = await node.mesh()
    except NoNode:
        return None
    return view if view.port else None


async def once(home: Path) -> float:
    """Seconds from listening to the first link."""
    os.environ["NEXUS_HOME"] = str(home)
    profiles = profiles_of_one_network(home / "profiles", 2)
    with Town(2) as town:
        processes = []
        try:
            processes.append(town.run_node(0, profiles[0].name, home / "one.log"))
            while await view_of(profiles[0]) is None:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
            await asyncio.sleep(4)
            processes.append(town.run_node(1, profiles[1].name, home / "other.log"))
            while (view := await view_of(profiles[1])) is None:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            begun = time.monotonic()
            while not view.peers:
                assert time.monotonic() - begun < 60
                await asyncio.sleep(0.02)
                view = await view_of(profiles[1]) or view
            return time.monotonic() - begun
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait(30)


async def measure(rounds: int) -> bool:
    times = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as name:
            times.append(await once(Path(name)))
    met = max(times) <= BAR_S
    print(
        f"found in the local network: half of {rounds} times within {statistics.median(times):.2f} s, "
        f"all within {max(times):.2f} s, bar {BAR_S:.0f} s{'' if met else '   MISSED'}"
    )
    return met


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    sys.exit(not asyncio.run(measure(parser.parse_args().rounds)))


if __name__ == "__main__":
    main()
