"""How a network is made on this machine: what the genesis pays to whom. The onboarding steps call it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from node.encoding.amounts import UNITS_PER_NXT

if TYPE_CHECKING:
    from nexus_tui.onboarding import NetworkChoice, NetworkMade
    from node.profile.invitation import Invitation
    from node.profile.paths import ProfilePaths

OWNED = 1_000 * UNITS_PER_NXT
"""What the genesis pays to the first account."""
STAKE = 10_000 * UNITS_PER_NXT
"""What it stakes for that account, so that it can make blocks."""
FAUCET = 100_000 * UNITS_PER_NXT
"""What the faucet of a solo or demo network owns."""
WITH_FAUCET = ("solo", "minimal")


def make_network(paths: ProfilePaths, choice: NetworkChoice, owner: bytes) -> NetworkMade:
    """See `nexus_tui.onboarding.NetworkMaker`. Raises Refused for allocations that make no lawful genesis."""
    from nexus_tui.onboarding import NetworkMade
    from node.service.founding import Allocation, found_network

    if choice.invitation is not None:
        return _join(paths, choice.invitation)
    faucet = choice.preset in WITH_FAUCET
    allocations = [Allocation(owner, OWNED, "first account")]
    if faucet:
        from wallet.faucet import create_faucet

        allocations.append(Allocation(create_faucet(paths.faucet_key).address.raw, FAUCET, "faucet"))
    allocations += [Allocation(raw, units, label) for raw, units, label in choice.allocations]
    genesis = found_network(
        paths,
        choice.preset,
        time.time_ns() // 1_000_000 if choice.start_ms is None else choice.start_ms,
        tuple(allocations),
        owner,
        STAKE,
        name=choice.name,
    )
    asyncio.run(_write_first_state(paths))
    return NetworkMade(genesis.name, genesis.preset, genesis.hash, OWNED, STAKE, FAUCET if faucet else 0)


def _join(paths: ProfilePaths, invitation: Invitation) -> NetworkMade:
    """A profile on somebody else's network: it owns nothing yet."""
    from nexus_tui.onboarding import NetworkMade
    from node.service.joining import join_network

    genesis = asyncio.run(join_network(paths, invitation))
    asyncio.run(_write_first_state(paths))
    return NetworkMade(genesis.name, genesis.preset, genesis.hash, 0, 0, 0)


async def _write_first_state(paths: ProfilePaths) -> None:
    """Put the genesis state into the database, so that the new profile can be read before a node ever ran."""
    from node.service.opening import ServiceSettings, open_service

    async with open_service(paths, ServiceSettings(produce=False, serve=False)):
        pass
