"""A town whose streets are parted for a while under a load of payments, and heal: real nodes in network namespaces that
find each other in their local network, without an address given to any."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from node.encoding.amounts import SUPPLY
from node.ledger.types import SignedTransaction
from node.service.verify import verify_file
from node.storage.queries import read_genesis
from tests.node.service.mesh_world import profiles_of_one_network
from tests.node.world import Payer, key
from tests.scenarios.netns import Town, require_namespaces
from tests.scenarios.resident import Resident

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
NODES = 6
PARTED_S = 20.0
HEALED_S = 15.0
"""The bar; what is waited for is four times that."""
PATIENCE_S = 60.0


@asynccontextmanager
async def town_of_nodes(folder: Path) -> AsyncIterator[tuple[Town, list[Resident]]]:
    """The nodes run as long as the context is open, and must end by themselves then."""
    profiles = profiles_of_one_network(folder / "profiles", NODES)
    with Town(NODES) as town:
        processes: list[subprocess.Popen[bytes]] = []
        try:
            for number, paths in enumerate(profiles):
                processes.append(town.run_node(number, paths.name, folder / f"node{number}.log"))
            yield town, [Resident(paths) for paths in profiles]
        finally:
            for process in processes:
                process.send_signal(signal.SIGTERM)
            for process in processes:
                assert process.wait(timeout=PATIENCE_S) == 0


async def within(residents: list[Resident], so: object, seconds: float = PATIENCE_S) -> float:
    """Wait until `so` holds of what all nodes say; how long it took."""
    began = time.monotonic()
    while True:
        said = [await resident.status() for resident in residents]
        if None not in said and so(said):  # type: ignore[operator]
            return time.monotonic() - began
        assert time.monotonic() - began < seconds, [
            status and (status.peers, status.height, status.final_height) for status in said
        ]
        await asyncio.sleep(0.3)


async def test_parted_streets_heal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require_namespaces()
    monkeypatch.setenv("NEXUS_HOME", str(tmp_path))
    async with town_of_nodes(tmp_path) as (town, residents):
        formed = await within(residents, lambda said: all((status.peers or 0) >= NODES - 1 for status in said))
        genesis = read_genesis(residents[0].paths.genesis)
        payers = [Payer(genesis.hash, key(number)) for number in (1, 2)]
        sides = residents[0], residents[-1]
        paid: list[SignedTransaction] = []

        async def load(seconds: float, nonces: list[int]) -> None:
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                for side, (payer, resident) in enumerate(zip(payers, sides, strict=True)):
                    paid.append(payer.pay(nonces[side], key(60 + side).address, 1_000))
                    await resident.submit(paid[-1])
                    nonces[side] += 1
                await asyncio.sleep(0.4)

        nonces = [0, 0]
        await load(4.0, nonces)
        await within(residents, lambda said: all(status.final_height > 0 for status in said))
        town.part()
        await load(PARTED_S, nonces)
        town.heal()
        began = time.monotonic()
        while not all([await resident.has_done(paid) for resident in residents]):
            assert time.monotonic() - began < 4 * HEALED_S, "what either side accepted is not everywhere"
            await asyncio.sleep(0.3)
        healed = time.monotonic() - began
        said = [await resident.status() for resident in residents]
        height = max(status.height for status in said if status is not None)
        await within(residents, lambda said: all(status.final_height >= height for status in said))
        print(
            f"\n{NODES} nodes found each other in {formed:.1f} s; {len(paid)} payments, parted for {PARTED_S:.0f} s; "
            f"all of them everywhere {healed:.1f} s after healing (bar {HEALED_S:.0f} s)"
        )
    tips = set()
    for resident in residents:
        report = verify_file(resident.paths.chain_db, genesis)
        assert report.ok
        assert report.total_units == SUPPLY
        tips.add(report.height)
    assert max(tips) - min(tips) <= 2, "they stopped one after the other"
