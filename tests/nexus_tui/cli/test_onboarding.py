"""The first minute without a screen: a profile appears complete or not at all; invitations are only looked at."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from nexus_tui.cli.networks import make_network
from nexus_tui.onboarding import (
    NetworkChoice,
    NetworkMade,
    OnboardingResult,
    check_invitation,
    create_profile_and_wallet,
)
from node.api.errors import Refused, UsageError
from node.profile.paths import ProfilePaths, list_profiles
from wallet.secret import Secret

GENESIS = "ab" * 32


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


@pytest.mark.parametrize("node", ["a.example:4711", "10.0.0.1:1", "[fe80::1]:65535"])
def test_a_good_invitation_names_its_network(node: str) -> None:
    assert check_invitation(f"nexus://join?genesis={GENESIS}&node={node}&name=town") == "town"
    assert check_invitation(f"  nexus://join?genesis={GENESIS}&node={node}\n") == GENESIS[:12]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "join",
        "nexus://join",
        "nexus://join?",
        f"nexus:leave?genesis={GENESIS}&node=a:1",
        f"http:join?genesis={GENESIS}&node=a:1",
        "nexus://join?genesis=abc&node=a:1",
        f"nexus://join?genesis={GENESIS}&genesis={GENESIS}&node=a:1",
        f"nexus://join?genesis={GENESIS}&node=a",
        f"nexus://join?genesis={GENESIS}&node=:1",
        f"nexus://join?genesis={GENESIS}&node=a:0",
        f"nexus://join?genesis={GENESIS}&node=a:65536",
        f"nexus://join?genesis={GENESIS}&node=a:٣",
        "nexus://join?" + "a=1&" * 50,
        "nexus://join?genesis=" + "a" * 5000,
        "nexus://[::join",
    ],
)
def test_what_is_no_invitation_is_refused(text: str) -> None:
    with pytest.raises(Refused) as caught:
        check_invitation(text)
    assert caught.value.code == "bad_invitation"


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
