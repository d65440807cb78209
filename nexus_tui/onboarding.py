"""The first minute, without a screen: make a network, its profile and a wallet. The wizard and `nexus init` call it.

Nothing is printed here. A profile is built aside and appears complete or not at all. How a network's files (genesis,
validator key, faucet key) are written is the node's business: the command line passes that in as a `NetworkMaker`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from node.api.errors import Refused, UsageError

if TYPE_CHECKING:
    from node.profile.invitation import Invitation
    from node.profile.paths import ProfilePaths
    from wallet.secret import Secret

NETWORKS = ("solo", "create", "join")
"""What a person chooses from."""

DEMO_PRESET = "minimal"


@dataclass(frozen=True, slots=True)
class NetworkChoice:
    """The network to make, or to join. `preset` is "solo", "create", "minimal" or "join"; `start_ms` is Unix time, None
    for now. `allocations` are further accounts that the genesis pays: (raw address, units, label). `invitation` is the
    one to follow, for "join".
    """

    preset: str
    name: str | None = None
    start_ms: int | None = None
    allocations: tuple[tuple[bytes, int, str], ...] = ()
    invitation: Invitation | None = None


class NetworkMaker(Protocol):
    """Writes genesis, validator key and, where there is one, faucet key into the folder of `paths`; to join a network
    it fetches the genesis from somebody who has it.

    `owner` is the raw address that the genesis pays first and whose stake validates.
    """

    def __call__(self, paths: ProfilePaths, choice: NetworkChoice, owner: bytes) -> NetworkMade: ...


@dataclass(frozen=True, slots=True)
class NetworkMade:
    """What a genesis says about itself. Amounts in units; `faucet` is 0 where there is none."""

    name: str
    preset: str
    genesis: bytes
    owned: int
    stake: int
    faucet: int


@dataclass(frozen=True, slots=True)
class OnboardingResult:
    """A new profile. `words` are the wallet's recovery words: show them or forget them."""

    paths: ProfilePaths
    network: NetworkMade
    wallet: str
    address: str
    words: Secret


def create_profile_and_wallet(
    choice: NetworkChoice,
    profile: str,
    passphrase: Secret,
    make_network: NetworkMaker,
    *,
    words: Secret | None = None,
    word_count: int = 12,
    bip39_passphrase: Secret | None = None,
    wallet: str = "main",
    report: Callable[[str], None] = lambda step: None,
) -> OnboardingResult:
    """Make the profile `profile` with a network of its own and a wallet that owns its first account.

    `words` restores a wallet (or uses words that a screen has shown and confirmed); None makes `word_count` new ones.
    Takes some seconds: call it in a thread from a screen; `report` is told each step as it begins. Raises NexusError;
    then nothing was made.
    """
    from node.encoding.address import TEST_PREFIX
    from node.profile.paths import new_profile, profile_paths
    from wallet.store import WalletStore

    if choice.preset not in (*NETWORKS, DEMO_PRESET):
        raise UsageError("bad_network", f"{choice.preset!r} is no network that can be made here.")
    check_name(choice.name)
    with new_profile(profile) as aside:
        report("Making the wallet; its lock is tuned to this device")
        store = WalletStore(aside.wallets, TEST_PREFIX)
        if words is None:
            made = store.create(wallet, passphrase, word_count=word_count, bip39_passphrase=bip39_passphrase)
        else:
            made = store.restore(wallet, passphrase, words, bip39_passphrase=bip39_passphrase)
        try:
            owner = made.account()
            recovery_words = made.words()
            address = made.address_text(owner)
        finally:
            made.lock()
        joining = choice.invitation is not None
        report("Asking for the network's genesis" if joining else "Making the network: genesis and validator key")
        network = make_network(aside, choice, owner.address)
    return OnboardingResult(profile_paths(profile), network, wallet, address, recovery_words)


def check_name(name: str | None) -> None:
    """Raises Refused (bad_network_name) for what no network can be called; None is the preset's own name."""
    from node.encoding.names import NETWORK_NAME_RULE, is_network_name

    if name is not None and not is_network_name(name):
        raise Refused("bad_network_name", NETWORK_NAME_RULE, hint="Choose another name; nothing was made.")
