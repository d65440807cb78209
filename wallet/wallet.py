"""One wallet: accounts that anyone on this device may see, and keys that a passphrase opens for a while.

Unlocked, it holds the seed in memory until `lock`, until the auto-lock's time has passed, or until another program
locks it through the marker file beside the wallet. Every use of a key looks at all three.
"""

from __future__ import annotations

import contextlib
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from node.api.errors import Damaged, Locked, NexusError, Refused
from node.encoding.address import P256, Address, AddressError
from wallet import derivation, keystore, words
from wallet.clock import Clock
from wallet.files import folder_lock, read_bounded, write_atomic
from wallet.keystore import DERIVED, WATCH, Account, WalletFile
from wallet.secret import Secret
from wallet.signing import Signer, sign_p256
from wallet.text import checked_name
from wallet.throttle import Throttle

AUTO_LOCK_SECONDS = 300.0
_MARKER_SIZE = 64
_PUBLIC_KEY = re.compile(r"0[23][0-9a-fA-F]{64}")


@dataclass(frozen=True, slots=True)
class WalletPaths:
    """The files of one wallet."""

    folder: Path
    name: str

    @property
    def wallet(self) -> Path:
        """The wallet itself."""
        return self.folder / f"{self.name}.wallet"

    @property
    def throttle(self) -> Path:
        """The count of wrong passphrases."""
        return self.folder / f"{self.name}.attempts"

    @property
    def marker(self) -> Path:
        """Changes whenever the wallet is to be locked everywhere."""
        return self.folder / f"{self.name}.locked"


class _Opened:
    """What is in memory while a wallet is unlocked."""

    __slots__ = ("bip39_passphrase", "entropy", "keys", "seed")

    def __init__(self, entropy: Secret, bip39_passphrase: Secret) -> None:
        self.entropy = entropy
        self.bip39_passphrase = bip39_passphrase
        self.seed = words.seed_of(words.words_of(entropy), bip39_passphrase)
        self.keys: dict[int, Secret] = {}

    def key(self, index: int) -> Secret:
        if index not in self.keys:
            self.keys[index] = derivation.derive(self.seed, derivation.account_path(index)).private
        return self.keys[index]

    def account(self, index: int, label: str) -> Account:
        public = derivation.public_key(self.key(index))
        return Account(label, DERIVED, Address.from_key(P256, public).raw, index, public)

    def wipe(self) -> None:
        for secret in (self.entropy, self.bip39_passphrase, self.seed, *self.keys.values()):
            secret.wipe()
        self.keys.clear()


class Wallet:
    """Made by `wallet.store.WalletStore`. `clock` runs the auto-lock; `prefix` writes addresses."""

    def __init__(
        self,
        paths: WalletPaths,
        prefix: str,
        clock: Clock,
        cost: Callable[[], keystore.KdfCost],
        auto_lock_seconds: float = AUTO_LOCK_SECONDS,
    ) -> None:
        self.paths = paths
        self.prefix = prefix
        self.auto_lock_seconds = auto_lock_seconds
        self._clock = clock
        self._cost = cost
        self._throttle = Throttle(paths.throttle, clock)
        self._contents = keystore.decode_file(paths.wallet)
        self._opened: _Opened | None = None
        self._deadline = 0.0
        self._marker_seen = b""

    def __repr__(self) -> str:
        return f"Wallet({self.name!r}, {len(self.accounts)} accounts, {'locked' if self.locked else 'unlocked'})"

    @property
    def name(self) -> str:
        """The wallet's name, which is that of its file."""
        return self.paths.name

    @property
    def accounts(self) -> tuple[Account, ...]:
        """All accounts, in the order in which they were added."""
        return self._contents.accounts

    def refresh(self) -> None:
        """Read the accounts again, as another program may have added some."""
        self._contents = keystore.decode_file(self.paths.wallet)

    def account(self, selector: str | None = None) -> Account:
        """The account with this label, number (1 is the first) or address; the first that can sign when None.

        Raises `Refused` (unknown_account, ambiguous_account).
        """
        if selector is None:
            found = [account for account in self.accounts if account.can_sign][:1] or list(self.accounts[:1])
        else:
            wanted = selector.strip()
            found = [account for account in self.accounts if account.label.casefold() == wanted.casefold()]
            if not found and wanted.isascii() and wanted.isdecimal() and len(wanted) < 6:
                found = list(self.accounts[int(wanted) - 1 : int(wanted)]) if int(wanted) else []
            if not found:
                text = wanted.lower()
                found = [a for a in self.accounts if self.address_text(a) == text]
        if len(found) > 1:
            raise Refused(
                "ambiguous_account", f"{len(found)} accounts have the label {selector!r}.", hint="Use its number."
            )
        if not found:
            raise Refused(
                "unknown_account",
                f"The wallet {self.name} has no account {selector!r}." if selector else "The wallet has no account.",
                hint="“nexus wallet show” lists its accounts.",
            )
        return found[0]

    def address_text(self, account: Account) -> str:
        """The account's address as people write it."""
        return Address.from_raw(account.address).text(self.prefix)

    # Locking

    @property
    def locked(self) -> bool:
        """Whether keys are out of reach. Looking locks the wallet when its time has come."""
        if self._opened is not None and (
            (self.auto_lock_seconds and self._clock.elapsed() >= self._deadline) or self._marker() != self._marker_seen
        ):
            self.lock()
        return self._opened is None

    @property
    def seconds_to_lock(self) -> float | None:
        """Seconds until the auto-lock; None when it is off or the wallet is locked."""
        if self.locked or not self.auto_lock_seconds:
            return None
        return max(self._deadline - self._clock.elapsed(), 0.0)

    def touch(self) -> None:
        """Someone is there: the auto-lock counts from now."""
        if not self.locked:
            self._deadline = self._clock.elapsed() + self.auto_lock_seconds

    def lock(self) -> None:
        """Forget the keys in this process."""
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.wipe()

    def wait_seconds(self) -> int:
        """Seconds until another passphrase may be tried."""
        return self._throttle.wait_seconds()

    def unlock(self, passphrase: Secret) -> None:
        """Open the keys until the auto-lock. Takes about half a second: call it in a thread from a screen.

        Raises `Locked` (wrong_passphrase, slow_down), or `Damaged` when the accounts in the file are not those of
        the keys.
        """
        marker = self._marker()  # before the slow part: who asks for a lock meanwhile is heard
        opened = self._open(passphrase)
        self.lock()
        self._marker_seen = marker
        self._deadline = self._clock.elapsed() + self.auto_lock_seconds
        self._opened = opened

    def change_passphrase(self, old: Secret, new: Secret) -> None:
        """Seal the secret under another passphrase; every program that has the wallet open locks it.

        The file is the old or the new one, whatever happens. Copies made before still open with the old passphrase.
        """
        keystore.check_passphrase(new)
        opened = self._open(old)
        try:
            sealed = keystore.seal(opened.entropy, opened.bip39_passphrase, new, self._cost())
        finally:
            opened.wipe()
        self._change(lambda contents: replace(contents, sealed=sealed))
        self.lock_everywhere()

    def lock_everywhere(self) -> None:
        """Lock this wallet in every program that has it open. Raises `Damaged` when the marker cannot be written."""
        self.lock()
        with folder_lock(self.paths.folder):
            write_atomic(self.paths.marker, secrets.token_hex(16).encode())

    def _open(self, passphrase: Secret) -> _Opened:
        self._throttle.check()
        self.refresh()
        try:
            opened = _Opened(*keystore.unseal(self._contents.sealed, passphrase))
        except Locked:
            self._throttle.failed()
            raise
        self._throttle.passed()
        for account in self.accounts:
            if account.index is not None and opened.account(account.index, account.label) != account:
                opened.wipe()
                raise Damaged(
                    "forged_accounts",
                    f"The account {account.label!r} in {self.paths.wallet} does not belong to this wallet's keys: "
                    "someone changed the file. Nothing was opened.",
                    hint="Do not give out addresses of this file. Restore the wallet from its words.",
                )
        return opened

    def _marker(self) -> bytes:
        with contextlib.suppress(NexusError):
            return read_bounded(self.paths.marker, _MARKER_SIZE, "the lock marker")
        return b""

    def _keys(self) -> _Opened:
        if self.locked or self._opened is None:
            raise Locked("wallet_locked", f"The wallet {self.name} is locked.", hint="Unlock it with its passphrase.")
        self._deadline = self._clock.elapsed() + self.auto_lock_seconds
        return self._opened

    # What needs the keys

    def signer(self, account: Account | None = None) -> Signer:
        """The signer of an account (the first that can sign when None).

        It works while the wallet is unlocked and raises `Locked` from then on. Raises `Refused` (watch_only).
        """
        account = account or self.account()
        if account.index is None or account.public_key is None:
            raise Refused(
                "watch_only",
                f"The account {account.label!r} is only watched: its key is not in this wallet.",
                hint="Sign where the key is: nexus tx build, then nexus tx sign over there.",
            )
        return _AccountSigner(self, account.index, account.public_key)

    def words(self) -> Secret:
        """The recovery words. Raises `Locked`."""
        return words.words_of(self._keys().entropy)

    @property
    def has_bip39_passphrase(self) -> bool:
        """Whether the words alone do not restore this wallet. Raises `Locked`."""
        return bool(self._keys().bip39_passphrase)

    def add_account(self, label: str = "") -> Account:
        """Derive the next account and keep it. Raises `Locked`, `Refused` (bad_name, label_taken, too_many)."""
        opened = self._keys()

        def change(contents: WalletFile) -> WalletFile:
            index = _next_index(contents)
            account = opened.account(index, label or _unused_label(contents, f"Account {index + 1}"))
            # Watched until now: from here on it is the wallet's own.
            contents = replace(contents, accounts=tuple(a for a in contents.accounts if a.address != account.address))
            return _with(contents, replace(account, label=_free_label(contents, account.label)))

        return self._change(change).accounts[-1]

    def next_accounts(self, count: int) -> tuple[Account, ...]:
        """What the next calls of `add_account` would add: for finding used accounts after a restore."""
        opened, first = self._keys(), _next_index(self._contents)
        return tuple(opened.account(index, f"Account {index + 1}") for index in range(first, first + count))

    # What needs no key

    def add_watch(self, address: str, label: str) -> Account:
        """Watch an account whose key is elsewhere, by its address or its public key (66 hexadecimal digits).

        With the public key, payments can be built here and signed there. Raises `Refused` (bad_address,
        already_there, bad_name, label_taken, too_many).
        """
        key = bytes.fromhex(address.strip()) if _PUBLIC_KEY.fullmatch(address.strip()) else None
        raw = Address.from_key(P256, key).raw if key else read_address(address, self.prefix).raw

        def change(contents: WalletFile) -> WalletFile:
            for known in contents.accounts:
                if known.address == raw:
                    raise Refused("already_there", f"This is the account {known.label!r}, already in the wallet.")
            return _with(contents, Account(_free_label(contents, label), WATCH, raw, public_key=key))

        return self._change(change).accounts[-1]

    def remove_watch(self, account: Account) -> None:
        """Stop watching. Accounts of the wallet's own keys stay: they would come back with the words."""
        if account.can_sign:
            raise Refused("own_account", "Only watched accounts can be removed; this one has its key here.")
        self._change(lambda contents: replace(contents, accounts=tuple(a for a in contents.accounts if a != account)))

    def set_label(self, account: Account, label: str) -> Account:
        """Name an account. Raises `Refused` (bad_name, label_taken, unknown_account)."""

        def change(contents: WalletFile) -> WalletFile:
            others = tuple(a for a in contents.accounts if a.address != account.address)
            if len(others) == len(contents.accounts):
                raise Refused("unknown_account", f"The account {account.label!r} is no longer in the wallet.")
            name = _free_label(replace(contents, accounts=others), label)
            return replace(
                contents,
                accounts=tuple(
                    replace(a, label=name) if a.address == account.address else a for a in contents.accounts
                ),
            )

        changed = self._change(change)
        return next(a for a in changed.accounts if a.address == account.address)

    def _change(self, change: Callable[[WalletFile], WalletFile]) -> WalletFile:
        """Read, change and write under the folder's lock, so that two programs never lose each other's accounts."""
        with folder_lock(self.paths.folder):
            contents = change(keystore.decode_file(self.paths.wallet))
            write_atomic(self.paths.wallet, keystore.encode_file(contents))
        self._contents = contents
        return contents


class _AccountSigner:
    """Signs with a wallet's key for as long as the wallet is unlocked; holds no key itself."""

    scheme = P256

    def __init__(self, wallet: Wallet, index: int, public_key: bytes) -> None:
        self._wallet = wallet
        self._index = index
        self.public_key = public_key
        self.address = Address.from_key(P256, public_key)

    def __repr__(self) -> str:
        return f"Signer({self._wallet.name!r}, {self.address.text(self._wallet.prefix)})"

    def sign(self, message_hash: bytes) -> bytes:
        """See `wallet.signing.Signer`."""
        return sign_p256(self._wallet._keys().key(self._index), message_hash)


def first_accounts(entropy: Secret, bip39_passphrase: Secret, labels: tuple[str, ...]) -> tuple[Account, ...]:
    """The accounts 0, 1 … of words, one for each label."""
    opened = _Opened(Secret(entropy.reveal()), Secret(bip39_passphrase.reveal()))
    try:
        return tuple(opened.account(index, label) for index, label in enumerate(labels))
    finally:
        opened.wipe()


def read_address(text: str, prefix: str) -> Address:
    """`Address.parse` with the errors of the command line: `Refused` (bad_address)."""
    try:
        return Address.parse(text, prefix)
    except AddressError as error:
        raise Refused("bad_address", str(error), hint="Copy the whole address again.") from None


def _next_index(contents: WalletFile) -> int:
    return max((a.index for a in contents.accounts if a.index is not None), default=-1) + 1


def _unused_label(contents: WalletFile, wish: str) -> str:
    taken = {account.label.casefold() for account in contents.accounts}
    candidates = (wish, *(f"{wish} ({number})" for number in range(2, keystore.MAX_ACCOUNTS + 2)))
    return next(label for label in candidates if label.casefold() not in taken)


def _with(contents: WalletFile, account: Account) -> WalletFile:
    if len(contents.accounts) >= keystore.MAX_ACCOUNTS:
        raise Refused("too_many", f"A wallet has at most {keystore.MAX_ACCOUNTS} accounts.")
    return replace(contents, accounts=(*contents.accounts, account))


def _free_label(contents: WalletFile, label: str) -> str:
    name = checked_name(label, "A label")
    if any(account.label.casefold() == name.casefold() for account in contents.accounts):
        raise Refused("label_taken", f"Another account of this wallet is called {name!r}.", hint="Choose another.")
    return name
