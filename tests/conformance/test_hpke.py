"""HPKE as RFC 9180 writes it, beside the library's.

The library seals in one shot and takes no associated data, as all vectors of the RFC do (appendix A.6.1: P-521,
HKDF-SHA512, AES-256-GCM, which is the level MAXIMUM). So the receiver of the RFC's sections 4 and 5 is written down
here, checked against the RFC's figures, and then opens what the library sealed.
"""

from __future__ import annotations

import hmac
from typing import cast

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from node.encoding.canonical import decode
from node.encoding.message import ENCAPSULATED, P256, P384, P521
from wallet import suites
from wallet.sealing import To, seal
from wallet.secret import Secret

# KEM id, KDF id, hash of both, size of a secret
CURVES = {P256: (16, 1, "sha256", 32), P384: (17, 2, "sha384", 48), P521: (18, 3, "sha512", 64)}
AES_256_GCM = 2

SECRET = bytes.fromhex(
    "01462680369ae375e4b3791070a7458ed527842f6a98a79ff5e0d4cbde83c27196a3916956655523a6a2556a7af62c5cadabe2ef9da3760b"
    "b21e005202f7b2462847"
)
PUBLIC = bytes.fromhex(
    "0401b45498c1714e2dce167d3caf162e45e0642afc7ed435df7902ccae0e84ba0f7d373f646b7738bbbdca11ed91bdeae3cdcba3301f2457"
    "be452f271fa6837580e661012af49583a62e48d44bed350c7118c0d8dc861c238c72a2bda17f64704f464b57338e7f40b60959480c0e58e6"
    "559b190d81663ed816e523b6b6a418f66d2451ec64"
)
ENCAPSULATION = bytes.fromhex(
    "040138b385ca16bb0d5fa0c0665fbbd7e69e3ee29f63991d3e9b5fa740aab8900aaeed46ed73a49055758425a0ce36507c54b29cc5b85a5c"
    "ee6bae0cf1c21f2731ece2013dc3fb7c8d21654bb161b463962ca19e8c654ff24c94dd2898de12051f1ed0692237fb02b2f8d1dc1c73e9b3"
    "66b529eb436e98a996ee522aef863dd5739d2f29b0"
)
INFO = bytes.fromhex("4f6465206f6e2061204772656369616e2055726e")
KEY = bytes.fromhex("751e346ce8f0ddb2305c8a2a85c70d5cf559c53093656be636b9406d4d7d1b70")
NONCE = bytes.fromhex("55ff7a7d739c69f44b25447b")
TEXT = bytes.fromhex("4265617574792069732074727574682c20747275746820626561757479")
ASSOCIATED = bytes.fromhex("436f756e742d30")
SEALED = bytes.fromhex("170f8beddfe949b75ef9c387e201baf4132fa7374593dfafa90768788b7b2b200aafcc6d80ea4c795a7c5b841a")


def extract(algorithm: str, suite: bytes, salt: bytes, label: bytes, material: bytes) -> bytes:
    """LabeledExtract (section 4)."""
    return hmac.digest(salt or bytes(1), b"HPKE-v1" + suite + label + material, algorithm)


def expand(algorithm: str, suite: bytes, key: bytes, label: bytes, info: bytes, size: int) -> bytes:
    """LabeledExpand (section 4), HKDF-Expand of RFC 5869."""
    text = size.to_bytes(2) + b"HPKE-v1" + suite + label + info
    found = block = b""
    for number in range(1, 256):
        if len(found) >= size:
            break
        block = hmac.digest(key, block + text + bytes((number,)), algorithm)
        found += block
    return found[:size]


def schedule(kem: int, secret: bytes, encapsulation: bytes, info: bytes) -> tuple[bytes, bytes]:
    """Key and base nonce of a receiver in base mode (sections 4.1 and 5.1)."""
    kem_id, kdf_id, algorithm, size = CURVES[kem]
    private = suites.private_key(kem, Secret(secret))
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    public = private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    shared = private.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(private.curve, encapsulation))
    suite = b"KEM" + kem_id.to_bytes(2)
    pseudo = extract(algorithm, suite, b"", b"eae_prk", shared)
    shared = expand(algorithm, suite, pseudo, b"shared_secret", encapsulation + public, size)
    suite = b"HPKE" + kem_id.to_bytes(2) + kdf_id.to_bytes(2) + AES_256_GCM.to_bytes(2)
    context = b"\0" + extract(algorithm, suite, b"", b"psk_id_hash", b"")
    context += extract(algorithm, suite, b"", b"info_hash", info)
    pseudo = extract(algorithm, suite, shared, b"secret", b"")
    return (
        expand(algorithm, suite, pseudo, b"key", context, 32),
        expand(algorithm, suite, pseudo, b"base_nonce", context, 12),
    )


def test_the_figures_of_the_rfc() -> None:
    key, nonce = schedule(P521, SECRET, ENCAPSULATION, INFO)
    assert (key, nonce) == (KEY, NONCE)
    assert AESGCM(key).decrypt(nonce, SEALED, ASSOCIATED) == TEXT
    private = suites.private_key(P521, Secret(SECRET))
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    assert private.public_key() == suites.public_key(P521, PUBLIC)


@pytest.mark.parametrize("kem", sorted(CURVES))
def test_the_library_seals_as_the_rfc_says(kem: int) -> None:
    secret, public = suites.generate(kem)
    sealed = suites.suite(kem).encrypt(TEXT, suites.public_key(kem, public), INFO)
    size = ENCAPSULATED[kem]
    key, nonce = schedule(kem, secret.reveal(), sealed[:size], INFO)
    assert AESGCM(key).decrypt(nonce, sealed[size:], b"") == TEXT


def test_a_receiver_of_the_rfc_opens_what_the_wallet_sealed() -> None:
    """Nothing is needed but the RFC and section 9 of the protocol: the whole way with none of the wallet's code."""
    secret, public = suites.generate(P521)
    to = To(bytes(16), P521, 1, public)
    sealed = seal(b"hello", [to], genesis=bytes(32), sender=bytes(21), orbit=0, wavelength=600_000)
    (wrap,), content = cast("tuple[tuple[bytes], bytes]", decode(sealed.envelope))
    bound = sealed.header.bound_hash(bytes(32), bytes(21))
    size = ENCAPSULATED[P521]
    key, nonce = schedule(P521, secret.reveal(), wrap[:size], b"nexus/wrap" + bound)
    session = AESGCM(key).decrypt(nonce, wrap[size:], b"")[:32]
    padded = AESGCM(session).decrypt(bytes(11) + b"\1", content, bound)
    assert padded == (5).to_bytes(4) + b"hello" + bytes(256 - 9)
