"""The one door to signatures (protocol section 2: ECDSA over P-256 with SHA-256, r‖s of 64 bytes, low s).

Payments, signed texts and offline files know `Signer` alone, so that keys held elsewhere (another device, several
owners, a quantum-safe scheme) can join behind it. Nonces of ECDSA are deterministic (RFC 6979) where OpenSSL can.
"""

from __future__ import annotations

from typing import Protocol

from node.encoding.address import P256, Address
from wallet.derivation import ORDER, public_key
from wallet.secret import Secret

SIGNATURE_SIZE = 64


class Signer(Protocol):
    """Signs for one account. `sign` may raise `Locked`, or `Refused` when the key's holder says no."""

    @property
    def scheme(self) -> int:
        """Signature scheme, as a transaction names it (0 = P-256)."""
        ...

    @property
    def public_key(self) -> bytes:
        """The key in its only accepted form (P-256: 33 bytes, compressed)."""
        ...

    @property
    def address(self) -> Address:
        """The account's address."""
        ...

    def sign(self, message_hash: bytes) -> bytes:
        """The signature over a tagged hash of 32 bytes."""
        ...


class P256Signer:
    """A signer whose private key is in this process."""

    scheme = P256
    public_key = b""

    def __init__(self, private: Secret) -> None:
        self._private = private
        self.public_key = public_key(private)
        self.address = Address.from_key(P256, self.public_key)

    def __repr__(self) -> str:
        return f"P256Signer(public_key={self.public_key.hex()})"

    def sign(self, message_hash: bytes) -> bytes:
        """See `Signer.sign`."""
        return sign_p256(self._private, message_hash)


def sign_p256(private: Secret, message_hash: bytes) -> bytes:
    """r‖s, s in the lower half of the order."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
    from cryptography.hazmat.primitives.hashes import SHA256

    if len(message_hash) != 32:
        raise ValueError("What is signed is a tagged hash of 32 bytes.")
    key = ec.derive_private_key(int.from_bytes(private.reveal()), ec.SECP256R1())
    try:
        algorithm = ec.ECDSA(SHA256(), deterministic_signing=True)
    except UnsupportedAlgorithm:  # OpenSSL before 3.2
        algorithm = ec.ECDSA(SHA256())
    r, s = decode_dss_signature(key.sign(message_hash, algorithm))
    return r.to_bytes(32) + min(s, ORDER - s).to_bytes(32)


def verify_p256(key: bytes, message_hash: bytes, signature: bytes) -> bool:
    """Whether a low-s signature of 64 bytes by a compressed key is good. Never raises for bad input."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
    from cryptography.hazmat.primitives.hashes import SHA256

    if len(key) != 33 or key[0] not in (2, 3) or len(signature) != SIGNATURE_SIZE:
        return False
    r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
    if not 0 < r < ORDER or not 0 < s <= ORDER // 2:
        return False
    try:
        point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), key)
        point.verify(encode_dss_signature(r, s), message_hash, ec.ECDSA(SHA256()))
    except (ValueError, InvalidSignature):
        return False
    return True
