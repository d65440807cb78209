"""The first minute without a screen: a profile appears complete or not at all."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from nexus_tui.cli.networks import make_network
from nexus_tui.onboarding import (
    NetworkChoice,
    NetworkMade,
    OnboardingResult,
    create_profile_and_wallet,
)
from node.api.errors import Refused, UsageError
from node.profile.paths import ProfilePaths, list_profiles
from wallet.secret import Secret


def onboard(profile: str = "work") -> OnboardingResult:
    return create_profile_and_wallet(NetworkChoice("solo"), profile, Secret.of("passphrase"), make_network)


def test_the_result_tells_what_was_made(tmp_path: Path) -> None:
    told: list[str] = []
    made = create_profile_and_wallet(
        NetworkChoice("solo"), "work", Secret.of("passphrase"), make_network, word_count=24, report=told.append
    )
    assert made.paths.exists
    assert made.paths.root == tmp_path / "nexus/profiles/work"
    assert (made.paths.wallets / "main.wallet").exists()
    assert len(made.words.text().split()) == 24
    assert made.address.startswith("tnxt1")
    assert made.network.preset == "solo"
    assert len(told) == 2
    assert made.words.text() not in repr(made)


def test_the_words_of_a_screen_are_used(tmp_path: Path) -> None:
    words = onboard("first").words
    again = create_profile_and_wallet(
        NetworkChoice("create", "town"), "second", Secret.of("x"), make_network, words=words
    )
    assert again.words == words
    assert again.network.name == "town"


def test_a_network_that_cannot_be_made_leaves_nothing(tmp_path: Path) -> None:
    def fail(paths: ProfilePaths, choice: NetworkChoice, owner: bytes) -> NetworkMade:
        paths.genesis.write_bytes(b"half")
        raise Refused("no", "No.")

    with pytest.raises(Refused):
        create_profile_and_wallet(NetworkChoice("solo"), "work", Secret.of("x"), fail)
    assert list_profiles() == ()
    assert list((tmp_path / "nexus/profiles").iterdir()) == []
    with pytest.raises(UsageError):
        create_profile_and_wallet(NetworkChoice("moon"), "work", Secret.of("x"), make_network)
    assert onboard().paths.exists


async def test_the_wizard_gets_a_household_that_lives(tmp_path: Path) -> None:
    """What the app is given after its wizard: a node that opens here, and to which a second door leads meanwhile."""
    from nexus_tui.cli.launch import _FirstProfile
    from nexus_tui.settings import SECTIONS
    from node.profile.config import load

    config = load(tmp_path / "none.toml", SECTIONS)
    words = Secret.of("legal winner thank year wave sausage worth useful legal winner thank yellow")
    household = await asyncio.to_thread(
        _FirstProfile("default", config).create, NetworkChoice("solo"), words, Secret.of("x"), lambda step: None
    )
    assert household.has_faucet
    async with household.open_node() as api:
        status = await api.status()
        assert status.mode == "producing"
        (account,) = household.wallets(status.network.hrp).open().accounts
        async with household.open_node() as attached:
            assert (await attached.account(account.address)).balance == 1_000 * 10**8
            assert type(attached) is not type(api)
