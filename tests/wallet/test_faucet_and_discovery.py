"""The faucet's key, accounts found after a restore, and what reading accounts may not load."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from wallet_world import FakeNode, as_api  # type: ignore[import-not-found]

import wallet as package
from node.api.errors import Damaged, Locked, NexusError, Refused
from wallet.discovery import find_accounts
from wallet.faucet import create_faucet, open_faucet
from wallet.signing import verify_p256
from wallet.wallet import Wallet


def test_faucet(tmp_path: Path) -> None:
    path = tmp_path / "solo" / "faucet.key"
    with pytest.raises(Refused) as refusal:
        open_faucet(path)
    assert refusal.value.code == "no_faucet"
    assert refusal.value.exit_status == 1
    made = create_faucet(path)
    assert path.stat().st_mode & 0o777 == 0o600
    opened = open_faucet(path)
    assert opened.address == made.address
    assert verify_p256(made.public_key, bytes(32), opened.sign(bytes(32)))
    with pytest.raises(Refused) as refusal:
        create_faucet(path)
    assert refusal.value.code == "faucet_exists"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b'{"format": "nexus-faucet-key", "version": 1}',
        b'{"format": "nexus-faucet-key", "version": 1, "private_key": "%s"}' % (b"0" * 64),
        b'{"format": "nexus-faucet-key", "version": 1, "private_key": "%s"}' % (b"f" * 64),
        b'{"format": "nexus-faucet-key", "version": 1, "private_key": "%s"}' % (b"z" * 64),
        b'{"format": "nexus-faucet-key", "version": 2, "private_key": "%s"}' % (b"1" * 64),
        b'{"format": "nexus-faucet-key", "version": 1, "private_key": "%s", "more": 1}' % (b"1" * 64),
    ],
)
def test_a_damaged_faucet_key_is_kept(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "faucet.key"
    path.write_bytes(content)
    with pytest.raises(Damaged):
        open_faucet(path)
    with pytest.raises(NexusError):
        create_faucet(path)
    assert path.read_bytes() == content


async def test_used_accounts_are_found(wallet: Wallet, node: FakeNode) -> None:
    coming = wallet.next_accounts(12)
    for place in (0, 4, 8):  # gaps of three: found; the next one lies behind a gap of five
        node.fund(coming[place].address, 5)
    added = await find_accounts(wallet, as_api(node))
    assert [a.address for a in added] == [a.address for a in coming[:9]]
    assert len(wallet.accounts) == 10
    assert await find_accounts(wallet, as_api(node)) == ()
    wallet.lock()
    with pytest.raises(Locked):
        await find_accounts(wallet, as_api(node))


READ = """
import sys
from pathlib import Path
from wallet import Account, Contacts, WalletStore
store = WalletStore(Path(sys.argv[1]), "tnxt")
wallet = store.open()
print(wallet.address_text(wallet.account()), wallet.locked, len(Contacts(Path(sys.argv[1]) / "c.json", "tnxt").list()))
heavy = {"cryptography", "nacl", "mnemonic", "segno", "msgpack", "numpy", "asyncio", "textual", "rich", "typer"}
print(sorted(heavy & {name.partition(".")[0] for name in sys.modules}))
"""


def test_reading_accounts_loads_no_cryptography(wallet: Wallet) -> None:
    run = subprocess.run(
        [sys.executable, "-c", READ, str(wallet.paths.folder)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(package.__file__).parents[1],
    )
    address, heavy = run.stdout.splitlines()
    assert address == f"{wallet.address_text(wallet.accounts[0])} True 0"
    assert heavy == "[]"


def test_the_package_gives_its_names() -> None:
    for name in package.__all__:
        assert getattr(package, name).__name__ == name
    with pytest.raises(AttributeError):
        _ = package.nothing
