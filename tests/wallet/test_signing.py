"""Signatures: low s, deterministic, and only good ones are good."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.encoding.address import Address
from wallet.derivation import ORDER, public_key
from wallet.secret import Secret
from wallet.signing import P256Signer, Signer, sign_p256, verify_p256

KEY = Secret((12345).to_bytes(32))


@given(st.integers(1, ORDER - 1), st.binary(min_size=32, max_size=32))
@settings(max_examples=50)
def test_signatures_are_low_s_and_verify(private: int, message: bytes) -> None:
    secret = Secret(private.to_bytes(32))
    signature = sign_p256(secret, message)
    assert len(signature) == 64
    assert 0 < int.from_bytes(signature[32:]) <= ORDER // 2
    assert verify_p256(public_key(secret), message, signature)
    high = signature[:32] + (ORDER - int.from_bytes(signature[32:])).to_bytes(32)
    assert not verify_p256(public_key(secret), message, high)


@given(st.integers(0, 63), st.integers(1, 255))
def test_a_changed_byte_is_refused(place: int, change: int) -> None:
    message = bytes(32)
    signature = bytearray(sign_p256(KEY, message))
    signature[place] ^= change
    assert not verify_p256(public_key(KEY), message, bytes(signature))


def test_the_same_message_gives_the_same_signature() -> None:
    assert sign_p256(KEY, bytes(32)) == sign_p256(KEY, bytes(32))


@pytest.mark.parametrize("key", [b"", bytes(33), b"\x02" + b"\xff" * 32, b"\x04" + bytes(64), b"\x05" + bytes(32)])
def test_a_key_that_is_none_verifies_nothing(key: bytes) -> None:
    assert not verify_p256(key, bytes(32), sign_p256(KEY, bytes(32)))


@pytest.mark.parametrize("signature", [b"", bytes(64), bytes(63), b"\xff" * 64, b"\x01" * 65])
def test_a_malformed_signature_is_none(signature: bytes) -> None:
    assert not verify_p256(public_key(KEY), bytes(32), signature)


def test_only_hashes_are_signed() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        sign_p256(KEY, b"pay everything")


def test_the_software_signer() -> None:
    signer: Signer = P256Signer(KEY)
    assert signer.scheme == 0
    assert signer.address == Address.from_key(0, signer.public_key)
    assert verify_p256(signer.public_key, bytes(32), signer.sign(bytes(32)))
    assert KEY.reveal().hex() not in repr(signer)
