"""The four levels of sealing: HPKE (RFC 9180) by `cryptography`, and keys of each kind as bytes (protocol section 9).

Nothing here is our own cryptography: a suite is a name for one of the library's, a key its raw form. Hybrid public keys
have no serialiser in the library, so they are two raw keys side by side: ML-KEM, then P-384 uncompressed or X25519.
A build over an older OpenSSL may lack ML-KEM: `available` says what this device can do.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, TypeAlias

from node.encoding.bundle import PUBLIC_SIZES
from node.encoding.message import MLKEM768_X25519, MLKEM1024_P384, P256, P384, P521
from wallet.secret import Secret

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.hpke import (
        MLKEM768X25519PrivateKey,
        MLKEM768X25519PublicKey,
        MLKEM1024P384PrivateKey,
        MLKEM1024P384PublicKey,
        Suite,
    )

    PrivateKey: TypeAlias = ec.EllipticCurvePrivateKey | MLKEM768X25519PrivateKey | MLKEM1024P384PrivateKey
    PublicKey: TypeAlias = ec.EllipticCurvePublicKey | MLKEM768X25519PublicKey | MLKEM1024P384PublicKey

STANDARD, HIGH, MAXIMUM, QUANTUM = "STANDARD", "HIGH", "MAXIMUM", "QUANTUM"
LEVELS = {P256: STANDARD, P384: HIGH, P521: MAXIMUM, MLKEM768_X25519: QUANTUM, MLKEM1024_P384: QUANTUM}
"""The level that each kind of KEM gives."""
STRONGEST = (MLKEM1024_P384, MLKEM768_X25519, P521, P384, P256)
"""Kinds of KEM, the one to prefer first."""
_CURVES = {P256: 65, P384: 97, P521: 133}  # and the size of an uncompressed point
_MLKEM_PUBLIC = {MLKEM768_X25519: 1_184, MLKEM1024_P384: 1_568}
_MLKEM_SEED = 64


@cache
def available() -> frozenset[int]:
    """The kinds of KEM that work on this device."""
    return frozenset(kem for kem in STRONGEST if _works(kem))


def _works(kem: int) -> bool:
    from cryptography.exceptions import UnsupportedAlgorithm

    if kem in _CURVES:
        return True
    try:
        generate(kem)
    except UnsupportedAlgorithm:
        return False
    return True


def best(offered: Iterable[int]) -> int | None:
    """The strongest kind of KEM that is offered and works here: it is taken, never negotiated."""
    usable = available().intersection(offered)
    return next((kem for kem in STRONGEST if kem in usable), None)


def suite(kem: int) -> Suite:
    """The library's suite for a kind of KEM."""
    from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

    kems = {P256: KEM.P256, P384: KEM.P384, P521: KEM.P521}
    kems |= {MLKEM768_X25519: KEM.MLKEM768_X25519, MLKEM1024_P384: KEM.MLKEM1024_P384}
    kdf = {P256: KDF.HKDF_SHA256, P384: KDF.HKDF_SHA384}.get(kem, KDF.HKDF_SHA512)
    return Suite(kems[kem], kdf, AEAD.AES_256_GCM)


def generate(kem: int) -> tuple[Secret, bytes]:
    """A fresh key pair: the secret's raw form and the public key's. Raises UnsupportedAlgorithm."""
    from cryptography.hazmat.primitives.asymmetric import ec, mlkem, x25519

    if kem in _CURVES:
        key = ec.generate_private_key(_curve(kem))
        return Secret(_scalar(key)), _point(key)
    if kem == MLKEM768_X25519:
        small, other = mlkem.MLKEM768PrivateKey.generate(), x25519.X25519PrivateKey.generate()
        public = small.public_key().public_bytes_raw() + other.public_key().public_bytes_raw()
        return Secret(small.private_bytes_raw() + other.private_bytes_raw()), public
    large, curve = mlkem.MLKEM1024PrivateKey.generate(), ec.generate_private_key(ec.SECP384R1())
    public = large.public_key().public_bytes_raw() + _point(curve)
    return Secret(large.private_bytes_raw() + _scalar(curve)), public


def private_key(kem: int, secret: Secret) -> PrivateKey:
    """The library's private key from its raw form. Raises ValueError for what is none."""
    from cryptography.hazmat.primitives.asymmetric import ec, mlkem, x25519
    from cryptography.hazmat.primitives.hpke import MLKEM768X25519PrivateKey, MLKEM1024P384PrivateKey

    raw = secret.reveal()
    if kem in _CURVES:
        return ec.derive_private_key(int.from_bytes(raw), _curve(kem))
    seed, rest = raw[:_MLKEM_SEED], raw[_MLKEM_SEED:]
    if kem == MLKEM768_X25519:
        return MLKEM768X25519PrivateKey(
            mlkem.MLKEM768PrivateKey.from_seed_bytes(seed), x25519.X25519PrivateKey.from_private_bytes(rest)
        )
    return MLKEM1024P384PrivateKey(
        mlkem.MLKEM1024PrivateKey.from_seed_bytes(seed), ec.derive_private_key(int.from_bytes(rest), ec.SECP384R1())
    )


def public_key(kem: int, raw: bytes) -> PublicKey:
    """The library's public key from its raw form. Raises ValueError for bytes that are none, also a point off its
    curve and a key of ML-KEM whose coefficients are too large."""
    from cryptography.hazmat.primitives.asymmetric import ec, mlkem, x25519
    from cryptography.hazmat.primitives.hpke import MLKEM768X25519PublicKey, MLKEM1024P384PublicKey

    if len(raw) != PUBLIC_SIZES[kem]:
        raise ValueError(f"A key of kind {kem} has {PUBLIC_SIZES[kem]} bytes, not {len(raw)}.")
    if kem in _CURVES:
        return _on_curve(_curve(kem), raw)
    size = _MLKEM_PUBLIC[kem]
    if kem == MLKEM768_X25519:
        return MLKEM768X25519PublicKey(
            mlkem.MLKEM768PublicKey.from_public_bytes(raw[:size]),
            x25519.X25519PublicKey.from_public_bytes(raw[size:]),
        )
    return MLKEM1024P384PublicKey(
        mlkem.MLKEM1024PublicKey.from_public_bytes(raw[:size]), _on_curve(ec.SECP384R1(), raw[size:])
    )


def _on_curve(curve: ec.EllipticCurve, raw: bytes) -> ec.EllipticCurvePublicKey:
    from cryptography.hazmat.primitives.asymmetric import ec

    if raw[0] != 4:
        raise ValueError("A point is written uncompressed.")
    return ec.EllipticCurvePublicKey.from_encoded_point(curve, raw)


def _curve(kem: int) -> ec.EllipticCurve:
    from cryptography.hazmat.primitives.asymmetric import ec

    curves: dict[int, ec.EllipticCurve] = {P256: ec.SECP256R1(), P384: ec.SECP384R1(), P521: ec.SECP521R1()}
    return curves[kem]


def _point(key: ec.EllipticCurvePrivateKey) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _scalar(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_numbers().private_value.to_bytes(-(-key.key_size // 8))
