"""The wallets of a profile: one file each in its folder `wallets`."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from node.api.errors import Damaged, Refused
from wallet import keystore, words
from wallet.clock import Clock, SystemClock
from wallet.files import folder_lock, read_bounded, write_atomic
from wallet.keystore import KdfCost, WalletFile
from wallet.secret import MAX_TEXT_BYTES, Secret
from wallet.text import checked_name
from wallet.wallet import AUTO_LOCK_SECONDS, Wallet, WalletPaths, first_accounts

DEFAULT_NAME = "main"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}", re.ASCII)
_SUFFIX = ".wallet"


class WalletStore:
    """Makes and finds wallets in `folder`; `prefix` is the network's address prefix (`NetworkInfo.hrp`).

    `cost` is for tests alone: it replaces what is measured on the device.
    """

    def __init__(
        self,
        folder: Path,
        prefix: str,
        *,
        clock: Clock | None = None,
        cost: KdfCost | None = None,
        auto_lock_seconds: float = AUTO_LOCK_SECONDS,
    ) -> None:
        self.folder = folder
        self.prefix = prefix
        self.auto_lock_seconds = auto_lock_seconds
        self._clock = clock or SystemClock()
        self._cost: Callable[[], KdfCost] = lambda: cost or keystore.tuned_cost()

    def list(self) -> tuple[str, ...]:
        """Names of the wallets here, sorted, whether they can be read or not. Raises `Damaged` (not_readable)."""
        try:
            found = [entry.name for entry in os.scandir(self.folder)]
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise Damaged(
                "not_readable", f"The folder {self.folder} cannot be read: {error.strerror}.", hint="Is it yours?"
            ) from None
        names = (name.removesuffix(_SUFFIX) for name in found if name.endswith(_SUFFIX))
        return tuple(sorted(name for name in names if _NAME.fullmatch(name)))

    def open(self, name: str | None = None) -> Wallet:
        """A wallet, locked, its accounts readable. Without a name: the only one, or the one called “main”.

        Raises `Refused` (no_wallet, which_wallet) or `Damaged`.
        """
        if name is None:
            names = self.list()
            name = names[0] if len(names) == 1 else DEFAULT_NAME
            if names and name not in names:
                raise Refused(
                    "which_wallet",
                    f"There are several wallets here: {', '.join(names)}.",
                    hint="Say which one.",
                )
        paths = self._paths(name)
        if not os.path.lexists(paths.wallet):
            raise Refused(
                "no_wallet",
                f"There is no wallet {name!r} in this profile.",
                hint="“nexus wallet create” makes one, “nexus wallet list” shows what there is.",
            )
        return Wallet(paths, self.prefix, self._clock, self._cost, self.auto_lock_seconds)

    def create(
        self,
        name: str,
        passphrase: Secret,
        *,
        word_count: int = 12,
        bip39_passphrase: Secret | None = None,
        label: str = "Main",
    ) -> Wallet:
        """A wallet with fresh words and one account, unlocked: show `words()` to its owner now.

        Takes about two seconds. Raises `Refused` (wallet_exists, bad_name, bad_passphrase, bad_word_count) or
        `Damaged` (disk_full, not_writable); then no wallet was made.
        """
        return self._make(name, passphrase, words.generate(word_count), bip39_passphrase or Secret(b""), (label,))

    def restore(
        self,
        name: str,
        passphrase: Secret,
        recovery_words: Secret,
        *,
        bip39_passphrase: Secret | None = None,
        label: str = "Main",
        accounts: int = 1,
    ) -> Wallet:
        """The wallet of these words, with its first `accounts` accounts, unlocked. Raises as `create`, and
        `Refused` with what is wrong with the words."""
        if not 1 <= accounts <= keystore.MAX_ACCOUNTS:
            raise Refused("too_many", f"A wallet has 1 to {keystore.MAX_ACCOUNTS} accounts.")
        labels = (label, *(f"Account {number}" for number in range(2, accounts + 1)))
        entropy = words.entropy_of(recovery_words)
        return self._make(name, passphrase, entropy, bip39_passphrase or Secret(b""), labels)

    def backup(self, name: str, target: Path) -> None:
        """Copy a wallet's file, sealed as it is, to `target`, which must not exist. Raises `Refused`, `Damaged`."""
        paths = self.open(name).paths
        self._refuse_existing(target)
        data = read_bounded(paths.wallet, keystore.MAX_FILE, "a Nexus wallet")
        with folder_lock(target.parent):
            self._refuse_existing(target)
            write_atomic(target, data)

    def restore_file(self, source: Path, name: str) -> Wallet:
        """Take in a copy that `backup` made, under a name that is free."""
        paths = self._paths(name)
        contents = keystore.decode_file(source)
        with folder_lock(self.folder):
            self._refuse_existing(paths.wallet)
            write_atomic(paths.wallet, keystore.encode_file(contents))
        return self.open(name)

    def _make(
        self, name: str, passphrase: Secret, entropy: Secret, bip39_passphrase: Secret, labels: tuple[str, ...]
    ) -> Wallet:
        paths = self._paths(name)
        self._refuse_existing(paths.wallet)
        keystore.check_passphrase(passphrase)
        if len(bip39_passphrase) > MAX_TEXT_BYTES:
            raise Refused("bad_passphrase", f"A BIP-39 passphrase has at most {MAX_TEXT_BYTES} bytes.")
        accounts = first_accounts(entropy, bip39_passphrase, tuple(checked_name(label, "A label") for label in labels))
        sealed = keystore.seal(entropy, bip39_passphrase, passphrase, self._cost())
        with folder_lock(self.folder):
            self._refuse_existing(paths.wallet)  # another program may have been faster
            write_atomic(paths.wallet, keystore.encode_file(WalletFile(sealed, accounts)))
        wallet = self.open(name)
        wallet.unlock(passphrase)
        return wallet

    def _paths(self, name: str) -> WalletPaths:
        if not _NAME.fullmatch(name):
            raise Refused(
                "bad_name",
                f"{name[:64]!r} is no name for a wallet: 1 to 32 letters a–z, digits, “-” and “_”.",
            )
        return WalletPaths(self.folder, name)

    @staticmethod
    def _refuse_existing(path: Path) -> None:
        if os.path.lexists(path):
            raise Refused(
                "wallet_exists",
                f"There is already a file {path}. It was left as it is.",
                hint="Choose another name. Nexus never overwrites a wallet, not even one that it cannot read.",
            )
