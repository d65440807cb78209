"""The hot consensus key of a validator (protocol section 6): it signs blocks and votes, and can never spend.

The file holds the P-256 secret and the seed of the reveal chain, mode 0600, in the profile's folder, so that a daemon
makes blocks after a reboot without the wallet.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from node.api.errors import Damaged, Refused
from node.consensus.reveals import RevealChain
from node.encoding.canonical import EncodingError, decode, pack
from node.ledger.signatures import P256_ORDER, low_s
from node.storage.faults import translated
from node.storage.files import read_key_file, write_durably
from node.storage.signing_record import SigningRecord

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurveSignatureAlgorithm

_FORMAT = "nexus validator key 1"
_MAX_FILE = 1_024


class ValidatorKey:
    """A consensus key in memory. Its `repr` shows only the public key."""

    def __init__(self, secret: int, seed: bytes) -> None:
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        self._key: EllipticCurvePrivateKey = ec.derive_private_key(secret, ec.SECP256R1())
        self.public_key: bytes = self._key.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
        self.reveals = RevealChain(seed)

    def __repr__(self) -> str:
        return f"ValidatorKey({self.public_key.hex()})"

    def sign(self, message: bytes) -> bytes:
        """64 bytes r‖s, low-s, of a message, for blocks. The signing record must know of it first."""
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.hashes import SHA256

        return self._sign(message, ec.ECDSA(SHA256()))

    def sign_digest(self, digest: bytes) -> bytes:
        """The same of 32 bytes that are a digest already, for votes."""
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
        from cryptography.hazmat.primitives.hashes import SHA256

        return self._sign(digest, ec.ECDSA(Prehashed(SHA256())))

    def _sign(self, message: bytes, algorithm: EllipticCurveSignatureAlgorithm) -> bytes:
        from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

        r, s = decode_dss_signature(self._key.sign(message, algorithm))
        return low_s(r.to_bytes(32) + s.to_bytes(32))


def create_validator_key(path: Path) -> ValidatorKey:
    """Make a new key and write it. Raises Refused where a file stands there already."""
    if path.exists():
        raise Refused("validator_key_exists", f"{path} exists already; a validator key is never replaced.")
    secret = 1 + int.from_bytes(os.urandom(40)) % (P256_ORDER - 1)
    seed = os.urandom(32)
    with translated(path):
        write_durably(path, pack((_FORMAT, secret.to_bytes(32), seed)))
    return ValidatorKey(secret, seed)


def load_validator_key(path: Path) -> ValidatorKey | None:
    """The key in a file, None without one. Raises Damaged for a broken file, Refused for one that others can read."""
    data = read_key_file(path, _MAX_FILE, "validator key")
    if data is None:
        return None
    try:
        value = decode(data)
    except EncodingError:
        value = None
    if type(value) is not tuple or len(value) != 3 or value[0] != _FORMAT:
        raise _broken(path)
    secret, seed = value[1:]
    if type(secret) is not bytes or type(seed) is not bytes or len(secret) != 32 or len(seed) != 32:
        raise _broken(path)
    number = int.from_bytes(secret)
    if not 0 < number < P256_ORDER:
        raise _broken(path)
    return ValidatorKey(number, seed)


def last_signed(record: Path, key: ValidatorKey) -> tuple[int | None, int | None]:
    """The slot of the last block and the number of the last checkpoint that the key signed, None for none yet.

    Raises what `SigningRecord.open` raises: a key without its record does not sign.
    """
    found = SigningRecord.open(record, key.public_key)
    slot, target = found.slot, found.vote[1]
    return slot if slot >= 0 else None, target if target >= 0 else None


def _broken(path: Path) -> Damaged:
    return Damaged(
        "validator_key_damaged",
        f"{path} is no validator key, or it is damaged. It was left as it is, and this node will not sign.",
        "Restore it from a backup. Without it this validator cannot make blocks.",
    )
