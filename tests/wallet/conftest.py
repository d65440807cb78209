"""Makes `wallet_world` importable by name, here and in the processes the tests start, and gives its fixtures."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from wallet_world import CHEAP, WORDS, FakeClock, FakeNode  # type: ignore[import-not-found]

from wallet.secret import Secret
from wallet.store import WalletStore
from wallet.wallet import Wallet


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def passphrase() -> Secret:
    return Secret.of("correct horse battery staple")


@pytest.fixture
def store(tmp_path: Path, clock: FakeClock) -> WalletStore:
    return WalletStore(tmp_path / "wallets", "tnxt", clock=clock, cost=CHEAP)


@pytest.fixture
def wallet(store: WalletStore, passphrase: Secret) -> Wallet:
    """The wallet of `WORDS`, unlocked."""
    return store.restore("main", passphrase, Secret.of(WORDS))


@pytest.fixture
def node() -> FakeNode:
    return FakeNode()
