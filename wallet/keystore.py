"""The wallet's file: public accounts in clear, the secret sealed with Argon2id (RFC 9106) and SecretBox (NaCl).

One JSON object, written by `encode_file` and accepted by `decode_file` only if it is byte for byte what `encode_file`
writes and its checksum fits: a damaged file is refused, never guessed at. The checksum finds accidents. Against a
forger stand SecretBox for the secret (salt and cost are bound to it, since they make its key) and, for accounts, that
their keys are derived anew at every unlock and compared. Labels and watched addresses have no such guard.

The cost of Argon2id is measured on the device, never below `FLOOR`, and stands in the file. What a file may ask for
is bounded before it is done: otherwise a foreign file could take all memory.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from node.api.errors import Damaged, Locked, Refused
from node.encoding.address import P256, Address, AddressError
from node.encoding.hashing import tagged_hash
from wallet.files import parse_object, read_bounded
from wallet.secret import MAX_TEXT_BYTES, Secret
from wallet.text import MAX_NAME

FORMAT, VERSION = "nexus-wallet", 1
MAX_FILE = 256 * 1024
MAX_ACCOUNTS = 256
DERIVED, WATCH = "derived", "watch"
_KDF = "argon2id"
_SALT_SIZE = 16
_MAX_SECRET = 4096
_BOX_OVERHEAD = 40  # SecretBox's nonce and tag
_PAYLOAD_STEP = 256


@dataclass(frozen=True, slots=True)
class KdfCost:
    """What one guess of the passphrase costs: passes over so many bytes of memory."""

    operations: int
    memory: int


FLOOR = KdfCost(operations=2, memory=64 << 20)
TARGET_SECONDS = 0.5
_MOST_OPERATIONS, _LEAST_MEMORY, _MOST_MEMORY = 64, 8192, 256 << 20
_MOST_WORK = 4 << 30  # bytes passed over in all


@dataclass(frozen=True, slots=True)
class Sealed:
    """A secret under a passphrase."""

    cost: KdfCost
    salt: bytes
    box: bytes


@dataclass(frozen=True, slots=True)
class Account:
    """One account's public part. `index` is its number in the derivation path, None when it is only watched.

    A watched account may have a public key too: then payments can be built here and signed where its key is.
    """

    label: str
    kind: str
    address: bytes
    index: int | None = None
    public_key: bytes | None = None

    @property
    def can_sign(self) -> bool:
        """Whether the wallet has the key to this account."""
        return self.kind == DERIVED


@dataclass(frozen=True, slots=True)
class WalletFile:
    """The contents of a wallet's file."""

    sealed: Sealed
    accounts: tuple[Account, ...]


@cache
def tuned_cost() -> KdfCost:
    """The cost that takes about half a second on this device now, never below `FLOOR`. Takes up to a second."""
    operations = FLOOR.operations
    for _ in range(2):  # the second round corrects for what does not grow with the passes
        start = time.perf_counter()
        _key(Secret(b"measured"), bytes(_SALT_SIZE), KdfCost(operations, FLOOR.memory))
        took = max(time.perf_counter() - start, 1e-3)
        operations = min(max(round(operations * TARGET_SECONDS / took), FLOOR.operations), _MOST_OPERATIONS)
    return KdfCost(operations, FLOOR.memory)


def check_passphrase(passphrase: Secret) -> None:
    """Raise `Refused` (bad_passphrase) for one that no wallet can have."""
    if not passphrase:
        raise Refused("bad_passphrase", "The passphrase is empty; a wallet needs one.")
    if len(passphrase) > MAX_TEXT_BYTES:
        raise Refused("bad_passphrase", f"A passphrase has at most {MAX_TEXT_BYTES} bytes.")


def seal(entropy: Secret, bip39_passphrase: Secret, passphrase: Secret, cost: KdfCost) -> Sealed:
    """Encrypt under a fresh salt. Its size does not tell how many words there are, or whether with a passphrase."""
    import secrets

    from nacl.secret import SecretBox

    from node.encoding.canonical import encode

    check_passphrase(passphrase)
    salt = secrets.token_bytes(_SALT_SIZE)
    size = len(entropy) + len(bip39_passphrase) + 16
    padding = bytes(-size % _PAYLOAD_STEP)
    box = SecretBox(_key(passphrase, salt, cost).reveal())
    return Sealed(cost, salt, bytes(box.encrypt(encode((1, entropy.reveal(), bip39_passphrase.reveal(), padding)))))


def unseal(sealed: Sealed, passphrase: Secret) -> tuple[Secret, Secret]:
    """(entropy, BIP-39 passphrase). Raises `Locked` (wrong_passphrase) when the passphrase does not open it."""
    from nacl.exceptions import CryptoError
    from nacl.secret import SecretBox

    key = _key(passphrase, sealed.salt, sealed.cost)
    try:
        payload: Secret | None = Secret(SecretBox(key.reveal()).decrypt(sealed.box))
    except CryptoError:
        payload = None
    finally:
        key.wipe()
    if payload is None:
        raise Locked(
            "wrong_passphrase",
            "This passphrase does not open the wallet.",
            hint="Mind capitals and the keyboard's layout. With your recovery words you can restore the wallet.",
        )
    return _payload(payload)


def _payload(payload: Secret) -> tuple[Secret, Secret]:
    from node.encoding.canonical import decode

    match decode(payload.reveal()):
        case (1, bytes(entropy), bytes(passphrase), bytes()):
            return Secret(entropy), Secret(passphrase)
    raise Damaged("newer_version", "The wallet's secret is of a version that this program does not know.")


def _key(passphrase: Secret, salt: bytes, cost: KdfCost) -> Secret:
    from nacl import pwhash
    from nacl.exceptions import CryptoError

    try:
        return Secret(pwhash.argon2id.kdf(32, passphrase.reveal(), salt, cost.operations, cost.memory))
    except (CryptoError, MemoryError):
        pass
    raise Refused(
        "out_of_memory",
        f"There is not enough free memory to open the wallet ({cost.memory >> 20} MiB are needed).",
        hint="Close other programs and try again; nothing was changed.",
    )


def encode_file(contents: WalletFile) -> bytes:
    """The file's bytes."""
    sealed = contents.sealed
    document: dict[str, object] = {
        "format": FORMAT,
        "version": VERSION,
        "kdf": {
            "name": _KDF,
            "operations": sealed.cost.operations,
            "memory": sealed.cost.memory,
            "salt": sealed.salt.hex(),
        },
        "secret": sealed.box.hex(),
        "accounts": [_account_fields(account) for account in contents.accounts],
    }
    return _dump(document | {"checksum": tagged_hash(b"nexus/wallet", _dump(document)).hex()})


def _dump(document: object) -> bytes:
    return json.dumps(document, indent=1, ensure_ascii=True).encode() + b"\n"


def _account_fields(account: Account) -> dict[str, object]:
    fields: dict[str, object] = {"label": account.label, "kind": account.kind, "address": account.address.hex()}
    if account.index is not None:
        fields["index"] = account.index
    if account.public_key is not None:
        fields["public_key"] = account.public_key.hex()
    return fields


def decode_file(path: Path) -> WalletFile:
    """Read and check a wallet's file. Raises `Refused` (not_found) or `Damaged`; the file is never touched."""
    data = read_bounded(path, MAX_FILE, "a Nexus wallet")
    document = parse_object(data, path, "a Nexus wallet")
    if document.get("format") != FORMAT:
        raise _damaged(path, "foreign_file", "is no Nexus wallet")
    if document.get("version") != VERSION:
        raise Damaged(
            "newer_version",
            f"{path} was written by another version of Nexus. It was left as it is.",
            hint="Open it with a newer Nexus.",
        )
    try:
        contents = WalletFile(_read_sealed(document), _read_accounts(document["accounts"]))
    except (KeyError, TypeError, ValueError) as error:
        reason = str(error) if isinstance(error, _OutOfBoundsError) else "is damaged: a field is missing or wrong"
        raise _damaged(path, "damaged_wallet", reason) from None
    if encode_file(contents) != data:
        raise _damaged(path, "damaged_wallet", "is damaged: its checksum does not fit")
    return contents


class _OutOfBoundsError(ValueError):
    """A field that asks for more than a wallet may."""


def _damaged(path: Path, code: str, reason: str) -> Damaged:
    return Damaged(
        code,
        f"{path} {reason}. It was left as it is, and no new wallet was made in its place.",
        hint="Put back a copy of the file, or restore the wallet from its words under another name.",
    )


def _read_sealed(document: dict[str, object]) -> Sealed:
    kdf = document["kdf"]
    if not isinstance(kdf, dict) or kdf["name"] != _KDF:
        raise ValueError("kdf")
    cost = KdfCost(_integer(kdf["operations"]), _integer(kdf["memory"]))
    if (
        not 1 <= cost.operations <= _MOST_OPERATIONS
        or not _LEAST_MEMORY <= cost.memory <= _MOST_MEMORY
        or cost.operations * cost.memory > _MOST_WORK
    ):
        raise _OutOfBoundsError("asks for more work or memory than any Nexus wallet does")
    salt, box = _hex(kdf["salt"], _SALT_SIZE), _hex(document["secret"], _MAX_SECRET)
    if len(salt) != _SALT_SIZE or len(box) <= _BOX_OVERHEAD:
        raise ValueError("salt or secret")
    return Sealed(cost, salt, box)


def _read_accounts(value: object) -> tuple[Account, ...]:
    if not isinstance(value, list) or len(value) > MAX_ACCOUNTS:
        raise ValueError("accounts")
    return tuple(_read_account(fields) for fields in value)


def _read_account(fields: object) -> Account:
    if not isinstance(fields, dict):
        raise ValueError("account")
    label, kind, address = fields["label"], fields["kind"], _hex(fields["address"], 64)
    if not isinstance(label, str) or len(label) > MAX_NAME or kind not in (DERIVED, WATCH):
        raise ValueError("account")
    try:
        Address.from_raw(address)
    except AddressError:
        raise ValueError("address") from None
    key = _hex(fields["public_key"], 33) if kind == DERIVED or "public_key" in fields else None
    if key is not None and (len(key) != 33 or Address.from_key(P256, key).raw != address):
        raise ValueError("public_key")
    return Account(label, kind, address, _integer(fields["index"]) if kind == DERIVED else None, key)


def _integer(value: object) -> int:
    if type(value) is not int or not 0 <= value < 1 << 31:
        raise ValueError("integer")
    return value


def _hex(value: object, limit: int) -> bytes:
    if not isinstance(value, str) or len(value) > 2 * limit:
        raise ValueError("hex")
    return bytes.fromhex(value)
