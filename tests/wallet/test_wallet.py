"""Wallets: made, opened, locked, changed; by one program and by two."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from wallet_world import WORDS, FakeClock  # type: ignore[import-not-found]

from node.api.errors import Damaged, Locked, Refused
from node.encoding.address import Address
from wallet.keystore import DERIVED, WATCH, Account, KdfCost, Sealed, decode_file, encode_file
from wallet.secret import Secret
from wallet.signing import verify_p256
from wallet.store import WalletStore
from wallet.throttle import LONGEST_WAIT, delay_after
from wallet.wallet import Wallet

WRONG = Secret.of("wrong")
OTHER = Address(0, bytes(20)).text("tnxt")


def test_create_then_restore_gives_the_same_accounts(store: WalletStore, passphrase: Secret) -> None:
    made = store.create("one", passphrase, word_count=24, bip39_passphrase=Secret.of("extra"))
    assert made.has_bip39_passphrase
    made.add_account("Savings")
    found = made.words()
    assert len(found.text().split()) == 24
    again = store.restore("two", passphrase, found, bip39_passphrase=Secret.of("extra"), accounts=2)
    assert [a.address for a in again.accounts] == [a.address for a in made.accounts]
    without = store.restore("three", passphrase, found)
    assert without.accounts[0].address != made.accounts[0].address
    assert not without.has_bip39_passphrase
    assert store.list() == ("one", "three", "two")


def test_accounts_stay_where_they_are(wallet: Wallet) -> None:
    """Derivation must never change: this figure is what every later version has to give for these words."""
    assert wallet.address_text(wallet.accounts[0]) == "tnxt1qzlekwwek0yfdvda4cergj43vcd6065h8g3k0k0k"


def test_a_wallet_opens_locked_and_shows_its_accounts(store: WalletStore, wallet: Wallet) -> None:
    opened = store.open()
    assert opened.locked
    assert opened.accounts == wallet.accounts
    for needs_key in (opened.words, opened.add_account, lambda: opened.signer().sign(bytes(32))):
        with pytest.raises(Locked) as refusal:
            needs_key()
        assert refusal.value.code == "wallet_locked"
        assert refusal.value.exit_status == 5


def test_files_are_private(wallet: Wallet) -> None:
    wallet.lock_everywhere()
    assert stat.S_IMODE(wallet.paths.folder.stat().st_mode) == 0o700
    for path in wallet.paths.folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_files_hold_no_secret(wallet: Wallet, passphrase: Secret) -> None:
    entropy = "7f" * 16
    for path in wallet.paths.folder.iterdir():
        text = path.read_text()
        assert entropy not in text
        assert "winner" not in text
        assert passphrase.text() not in text


@pytest.mark.parametrize("name", ["", "a/b", "..", ".hidden", "a" * 33, "näme", "a b", "a\n"])
def test_bad_names(store: WalletStore, passphrase: Secret, name: str) -> None:
    with pytest.raises(Refused) as refusal:
        store.create(name, passphrase)
    assert refusal.value.code == "bad_name"


def test_which_wallet(store: WalletStore, passphrase: Secret) -> None:
    with pytest.raises(Refused) as refusal:
        store.open()
    assert refusal.value.code == "no_wallet"
    store.create("savings", passphrase)
    assert store.open().name == "savings"
    store.create("other", passphrase)
    with pytest.raises(Refused, match="other, savings") as refusal:
        store.open()
    assert refusal.value.code == "which_wallet"
    store.create("main", passphrase)
    assert store.open().name == "main"
    with pytest.raises(Refused) as refusal:
        store.create("main", passphrase)
    assert refusal.value.code == "wallet_exists"


# Signing


def test_the_signer_follows_the_lock(wallet: Wallet, passphrase: Secret) -> None:
    signer = wallet.signer()
    assert signer.address.raw == wallet.accounts[0].address
    assert verify_p256(signer.public_key, bytes(32), signer.sign(bytes(32)))
    wallet.lock()
    with pytest.raises(Locked):
        signer.sign(bytes(32))
    wallet.unlock(passphrase)
    assert verify_p256(signer.public_key, bytes(32), signer.sign(bytes(32)))


def test_a_watched_account_does_not_sign(wallet: Wallet) -> None:
    account = wallet.add_watch(OTHER, "Cold")
    with pytest.raises(Refused) as refusal:
        wallet.signer(account)
    assert refusal.value.code == "watch_only"


# Locking


def test_auto_lock(wallet: Wallet, clock: FakeClock) -> None:
    clock.forward(299)
    assert not wallet.locked
    assert wallet.seconds_to_lock == 1
    wallet.touch()
    clock.forward(299)
    wallet.signer().sign(bytes(32))  # a signature counts as someone being there
    clock.forward(299)
    assert not wallet.locked
    clock.forward(1)
    assert wallet.locked
    assert wallet.seconds_to_lock is None
    with pytest.raises(Locked):
        wallet.words()


def test_auto_lock_off(store: WalletStore, wallet: Wallet, passphrase: Secret, clock: FakeClock) -> None:
    store.auto_lock_seconds = 0
    opened = store.open()
    opened.unlock(passphrase)
    clock.forward(10**6)
    assert not opened.locked
    assert opened.seconds_to_lock is None


def test_another_program_locks_an_open_wallet(store: WalletStore, wallet: Wallet, passphrase: Secret) -> None:
    signer = wallet.signer()
    store.open().lock_everywhere()
    assert wallet.locked
    with pytest.raises(Locked):
        signer.sign(bytes(32))
    wallet.unlock(passphrase)  # the marker is of the past now
    assert not wallet.locked
    store.open().lock_everywhere()
    assert wallet.locked


def test_a_lock_asked_for_while_unlocking_is_heard(
    store: WalletStore, wallet: Wallet, passphrase: Secret, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wallet import keystore

    real = keystore.unseal

    def slow(sealed: Sealed, given: Secret) -> tuple[Secret, Secret]:
        store.open().lock_everywhere()
        return real(sealed, given)

    monkeypatch.setattr(keystore, "unseal", slow)
    wallet.unlock(passphrase)
    assert wallet.locked


def test_locking_wipes_the_keys(wallet: Wallet) -> None:
    opened = wallet._opened
    assert opened is not None
    wallet.signer().sign(bytes(32))
    secrets = [opened.entropy, opened.seed, *opened.keys.values()]
    assert all(secrets)
    wallet.lock()
    assert not any(secrets)
    assert opened.keys == {}


# Wrong passphrases


def test_wrong_passphrases_are_slowed_down_for_everyone(store: WalletStore, wallet: Wallet, clock: FakeClock) -> None:
    messages = set()
    for failures in range(1, 14):
        opened = store.open()  # a new program every time
        with pytest.raises(Locked) as refusal:
            opened.unlock(WRONG)
        assert refusal.value.code == "wrong_passphrase"
        messages.add(str(refusal.value))
        wait = delay_after(failures)
        assert store.open().wait_seconds() == wait
        if wait:
            with pytest.raises(Locked, match=f"in {wait} s") as refusal:
                store.open().unlock(WRONG)
            assert refusal.value.code == "slow_down"
        clock.forward(wait)
    assert len(messages) == 1
    assert delay_after(13) == LONGEST_WAIT


def test_the_right_passphrase_forgets_the_wrong_ones(
    store: WalletStore, wallet: Wallet, passphrase: Secret, clock: FakeClock
) -> None:
    for _ in range(5):
        with pytest.raises(Locked):
            store.open().unlock(WRONG)
        clock.forward(60)
    before = wallet.paths.wallet.read_bytes()
    wallet.unlock(passphrase)
    assert wallet.wait_seconds() == 0
    assert not wallet.paths.throttle.exists()
    assert wallet.paths.wallet.read_bytes() == before
    with pytest.raises(Locked):
        store.open().unlock(WRONG)
    assert store.open().wait_seconds() == 0


def test_a_clock_set_back_does_not_lengthen_the_wait(store: WalletStore, wallet: Wallet, clock: FakeClock) -> None:
    for _ in range(2):
        with pytest.raises(Locked):
            store.open().unlock(WRONG)
    clock.forward(-365 * 86400)
    assert store.open().wait_seconds() == 1


@pytest.mark.parametrize("content", [b"", b"{}", b'{"failures": -5, "last_ms": "x"}', b"\xff" * 10_000])
def test_a_damaged_count_does_not_lock_the_owner_out(wallet: Wallet, passphrase: Secret, content: bytes) -> None:
    wallet.paths.throttle.write_bytes(content)
    wallet.unlock(passphrase)
    assert not wallet.locked


def test_the_count_goes_on_where_nothing_can_be_written(
    wallet: Wallet, monkeypatch: pytest.MonkeyPatch, clock: FakeClock
) -> None:
    def fail(*_: object) -> None:
        raise Damaged("not_writable", "read-only")

    monkeypatch.setattr("wallet.throttle.write_atomic", fail)
    for _ in range(2):
        with pytest.raises(Locked) as refusal:
            wallet.unlock(WRONG)
        assert refusal.value.code == "wrong_passphrase"
    with pytest.raises(Locked) as refusal:
        wallet.unlock(WRONG)
    assert refusal.value.code == "slow_down"


# Passphrase


def test_change_of_passphrase(store: WalletStore, wallet: Wallet, passphrase: Secret) -> None:
    elsewhere = store.open()
    elsewhere.unlock(passphrase)
    before = wallet.paths.wallet.read_bytes()
    with pytest.raises(Locked):
        wallet.change_passphrase(WRONG, Secret.of("new"))
    with pytest.raises(Refused):
        wallet.change_passphrase(passphrase, Secret.of(""))
    assert wallet.paths.wallet.read_bytes() == before
    wallet.change_passphrase(passphrase, Secret.of("new"))
    assert wallet.locked
    assert elsewhere.locked
    with pytest.raises(Locked):
        wallet.unlock(passphrase)
    elsewhere.unlock(Secret.of("new"))
    assert elsewhere.words().text() == WORDS


# Accounts and labels


def test_accounts_labels_and_selectors(wallet: Wallet) -> None:
    savings = wallet.add_account("Savings")
    third = wallet.add_account()
    assert [a.index for a in wallet.accounts] == [0, 1, 2]
    assert third.label == "Account 3"
    assert wallet.account() == wallet.accounts[0]
    assert wallet.account("savings") == wallet.account("2") == wallet.account(wallet.address_text(savings)) == savings
    renamed = wallet.set_label(savings, "Löhne ☂")
    assert wallet.account("löhne ☂") == renamed
    assert renamed.address == savings.address
    for bad in ("4", "0", "-1", "nobody", "٣"):
        with pytest.raises(Refused) as refusal:
            wallet.account(bad)
        assert refusal.value.code == "unknown_account"


@pytest.mark.parametrize(
    ("label", "code"),
    [
        ("main", "label_taken"),
        ("", "bad_name"),
        ("x" * 65, "bad_name"),
        ("a\x1b[2J", "bad_name"),
        ("a\u202eb", "bad_name"),
        ("a\u200bb", "bad_name"),
        ("a\nb", "bad_name"),
    ],
)
def test_bad_labels_change_nothing(wallet: Wallet, label: str, code: str) -> None:
    second = wallet.add_account("Second")
    before = wallet.paths.wallet.read_bytes()
    for attempt in (lambda: wallet.set_label(second, label), lambda: wallet.add_watch(OTHER, label)):
        with pytest.raises(Refused) as refusal:
            attempt()
        assert refusal.value.code == code
    assert wallet.paths.wallet.read_bytes() == before


def test_watching_needs_no_passphrase(store: WalletStore, wallet: Wallet) -> None:
    opened = store.open()
    account = opened.add_watch(OTHER.upper(), "Cold")
    assert (account.kind, account.can_sign, account.public_key) == (WATCH, False, None)
    with pytest.raises(Refused) as refusal:
        opened.add_watch(OTHER, "Again")
    assert refusal.value.code == "already_there"
    with pytest.raises(Refused, match="begin with tnxt1"):
        opened.add_watch(Address(0, bytes(20)).text("nxt"), "Main net")
    with pytest.raises(Refused):
        opened.remove_watch(opened.accounts[0])
    opened.remove_watch(account)
    assert len(opened.accounts) == 1


def test_watching_a_public_key_and_owning_it_later(wallet: Wallet) -> None:
    coming = wallet.next_accounts(1)[0]
    assert coming.public_key is not None
    watched = wallet.add_watch(coming.public_key.hex().upper(), "Soon mine")
    assert watched == Account("Soon mine", WATCH, coming.address, None, coming.public_key)
    owned = wallet.add_account("Mine")
    assert owned.kind == DERIVED
    assert [a.label for a in wallet.accounts] == ["Main", "Mine"]


def test_a_taken_default_label_is_no_obstacle(wallet: Wallet) -> None:
    wallet.set_label(wallet.accounts[0], "Account 2")
    assert wallet.add_account().label == "Account 2 (2)"


def test_two_programs_lose_nothing_of_each_other(store: WalletStore, wallet: Wallet, passphrase: Secret) -> None:
    other = store.open()
    other.unlock(passphrase)
    wallet.add_account("From one")
    other.add_account("From the other")
    wallet.refresh()
    assert [(a.label, a.index) for a in wallet.accounts] == [("Main", 0), ("From one", 1), ("From the other", 2)]


def test_processes_adding_accounts_at_once(store: WalletStore, wallet: Wallet, passphrase: Secret) -> None:
    children = []
    for number in range(4):
        if not (child := os.fork()):
            code = 1
            try:
                mine = store.open()
                mine.unlock(passphrase)
                for turn in range(3):
                    mine.add_account(f"{number}-{turn}")
                code = 0
            finally:
                os._exit(code)
        children.append(child)
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * 4
    wallet.refresh()
    assert [a.index for a in wallet.accounts] == list(range(13))
    assert len({a.label for a in wallet.accounts}) == 13


def test_forged_accounts_are_found_at_unlock(store: WalletStore, wallet: Wallet, passphrase: Secret) -> None:
    """Someone who can write the file puts a key of theirs in the place of mine, to be paid in my stead."""
    theirs = store.restore("theirs", passphrase, Secret.of("zoo " * 11 + "wrong")).accounts[0]
    contents = decode_file(wallet.paths.wallet)
    forged = type(contents)(contents.sealed, (theirs,))
    wallet.paths.wallet.write_bytes(encode_file(forged))
    opened = store.open("main")
    with pytest.raises(Damaged) as damage:
        opened.unlock(passphrase)
    assert damage.value.code == "forged_accounts"
    assert opened.locked


# Copies


def test_backup_and_restore_of_the_file(store: WalletStore, wallet: Wallet, passphrase: Secret, tmp_path: Path) -> None:
    target = tmp_path / "usb" / "copy.wallet"
    store.backup("main", target)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    with pytest.raises(Refused, match="already a file"):
        store.backup("main", target)
    again = store.restore_file(target, "again")
    assert again.accounts == wallet.accounts
    again.unlock(passphrase)
    with pytest.raises(Refused):
        store.restore_file(target, "main")
    target.write_bytes(target.read_bytes()[:-5])
    with pytest.raises(Damaged):
        store.restore_file(target, "third")
    assert store.list() == ("again", "main")


def test_production_measures_its_cost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, passphrase: Secret) -> None:
    """Without the tests' argument the cost comes from the device; nothing in the environment lowers it."""
    asked = []

    def measured() -> KdfCost:
        asked.append(1)
        return KdfCost(operations=2, memory=8192)

    monkeypatch.setattr("wallet.keystore.tuned_cost", measured)
    made = WalletStore(tmp_path / "wallets", "tnxt").create("main", passphrase)
    assert asked == [1]
    assert json.loads(made.paths.wallet.read_text())["kdf"]["operations"] == 2
