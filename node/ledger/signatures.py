"""The one check of signatures (protocol section 2): P-256 with SHA-256, low-s only, and ML-DSA-65.

`cryptography` is imported when the first signature is checked, so that reading a balance never loads it.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import lru_cache
from typing import Any

from node.encoding.address import ML_DSA_65, P256
from node.ledger.types import SIGNATURE_SIZES, SignedTransaction

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_ZERO, _ORDER, _HALF_ORDER = bytes(32), P256_ORDER.to_bytes(32), (P256_ORDER >> 1).to_bytes(32)


class UnsupportedScheme(Exception):
    """This device's cryptography library lacks a scheme that consensus needs; the text says what to install."""


def low_s(signature: bytes) -> bytes:
    """The r‖s signature with s replaced by n − s where that is smaller."""
    s = signature[32:]
    return signature if s <= _HALF_ORDER else signature[:32] + (P256_ORDER - int.from_bytes(s)).to_bytes(32)


def is_good_key(scheme: int, key: bytes) -> bool:
    """Whether `key` is a public key of the scheme at all (a point on the curve, in compressed form)."""
    return _verifier(scheme, key) is not None


def verify(scheme: int, key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` over `message` (a 32-byte signing hash) is good under `key`."""
    if len(signature) != SIGNATURE_SIZES.get(scheme):
        return False
    if scheme == P256:
        return _verify_p256(key, message, signature, prehashed=False)
    verifier = _verifier(scheme, key)
    return verifier is not None and verifier(signature, message)


def verify_digest(key: bytes, digest: bytes, signature: bytes) -> bool:
    """Whether a low-s signature r‖s of a P-256 key is over the 32 bytes `digest` themselves, not over their hash."""
    return len(signature) == SIGNATURE_SIZES[P256] and _verify_p256(key, digest, signature, prehashed=True)


def _verify_p256(key: bytes, message: bytes, signature: bytes, prehashed: bool) -> bool:
    r, s = signature[:32], signature[32:]
    # Big-endian bytes of one length compare as the numbers do.
    if not (_ZERO < r < _ORDER and _ZERO < s <= _HALF_ORDER):
        return False
    verifier = _p256_verifier(key, prehashed)
    return verifier is not None and verifier(_der(r, s), message)


def verify_transaction(transaction: SignedTransaction) -> bool:
    """Whether a transaction's signature is its key's."""
    body = transaction.body
    return verify(body.scheme, body.key, transaction.signing_hash(), transaction.signature)


class Verdicts:
    """Remembers by wid which signatures were found good, so that each is checked once (architecture.md).

    Bad ones are not remembered: they would let anyone push the good ones out.
    """

    def __init__(self, kept: int = 1 << 16) -> None:
        self._good: OrderedDict[bytes, None] = OrderedDict()
        self._kept = kept

    def good(self, transaction: SignedTransaction) -> bool:
        """Whether the transaction's signature is good; checks it when that is not known yet."""
        wid = transaction.wid
        if wid in self._good:
            return True
        if not verify_transaction(transaction):
            return False
        self.add(wid)
        return True

    def add(self, wid: bytes) -> None:
        """Remember a signature that was found good elsewhere."""
        while len(self._good) >= self._kept:
            self._good.popitem(last=False)
        self._good[wid] = None

    def __contains__(self, wid: bytes) -> bool:
        return wid in self._good


def supports_ml_dsa() -> bool:
    """Whether the installed library can check ML-DSA-65: a node without it cannot validate."""
    try:
        return _ml_dsa_key(bytes(1952)) is not None
    except UnsupportedScheme:
        return False


def _der(r: bytes, s: bytes) -> bytes:
    """ASN.1 SEQUENCE of two INTEGERs (X.690), the form that the library takes."""
    r, s = r.lstrip(b"\0"), s.lstrip(b"\0")
    if r[0] & 0x80:
        r = b"\0" + r
    if s[0] & 0x80:
        s = b"\0" + s
    return b"\x30%c\x02%c%b\x02%c%b" % (len(r) + len(s) + 4, len(r), r, len(s), s)


def _verifier(scheme: int, key: bytes) -> Any:
    """A function (signature, message) → bool for a key, or None when it is no key of the scheme."""
    if scheme == P256:
        return _p256_verifier(key, False)
    if scheme == ML_DSA_65:
        return _ml_dsa_verifier(key)
    return None


@lru_cache(maxsize=4096)  # 3 KB each
def _p256_verifier(key: bytes, prehashed: bool) -> Any:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
    from cryptography.hazmat.primitives.hashes import SHA256

    if len(key) != 33 or key[0] not in (2, 3):
        return None
    try:
        check = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), key).verify
    except ValueError:
        return None
    algorithm = ec.ECDSA(Prehashed(SHA256()) if prehashed else SHA256())

    def verifier(signature: bytes, message: bytes) -> bool:
        try:
            check(signature, message, algorithm)
        except InvalidSignature:
            return False
        return True

    return verifier


def _ml_dsa_key(key: bytes) -> Any:
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        from cryptography.hazmat.primitives.asymmetric import mldsa
    except ImportError:
        raise UnsupportedScheme(_ML_DSA_HINT) from None
    try:
        return mldsa.MLDSA65PublicKey.from_public_bytes(key)
    except UnsupportedAlgorithm:
        raise UnsupportedScheme(_ML_DSA_HINT) from None
    except ValueError:
        return None


_ML_DSA_HINT = (
    "The installed `cryptography` cannot check ML-DSA-65 signatures, so this node cannot validate. "
    "Install cryptography 48 or newer (on Termux: pkg upgrade python-cryptography openssl)."
)


@lru_cache(maxsize=256)  # 12 KB each
def _ml_dsa_verifier(key: bytes) -> Any:
    from cryptography.exceptions import InvalidSignature

    public = _ml_dsa_key(key)
    if public is None:
        return None

    def verifier(signature: bytes, message: bytes) -> bool:
        try:
            public.verify(signature, message)
        except InvalidSignature:
            return False
        return True

    return verifier
