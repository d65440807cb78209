"""Signed texts: good for exactly one text, address and network, and never a transaction."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wallet_world import GENESIS, INFO  # type: ignore[import-not-found]

from node.api.errors import Refused
from node.api.records import AccountView, Output
from node.encoding.address import Address
from wallet.payments import Sender, plan_transfer
from wallet.secret import Secret
from wallet.signing import P256Signer, verify_p256
from wallet.textsign import sign_text, verify_text

SIGNER, OTHER = P256Signer(Secret((7).to_bytes(32))), P256Signer(Secret((8).to_bytes(32)))


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=100))
@settings(max_examples=30)
def test_sign_and_verify(text: str) -> None:
    signature = sign_text(SIGNER, GENESIS, text)
    assert verify_text(SIGNER.address, GENESIS, text, signature)
    assert verify_text(SIGNER.address, GENESIS, text, f" {signature[:50]}\n{signature[50:]} ")
    assert not verify_text(SIGNER.address, GENESIS, text + " ", signature)
    assert not verify_text(OTHER.address, GENESIS, text, signature)
    assert not verify_text(SIGNER.address, bytes(32), text, signature)


def test_another_key_does_not_pass_for_the_address() -> None:
    """The attacker signs with a key of their own and claims the victim's address."""
    assert not verify_text(SIGNER.address, GENESIS, "I owe you", sign_text(OTHER, GENESIS, "I owe you"))


def test_a_signed_text_is_no_transaction() -> None:
    """Even the very bytes of a transaction, signed as text, do not sign the transaction; nor the other way round."""
    view = AccountView(SIGNER.address.raw, True, 10**8, 0, 0, 10**8, 0, 0)
    plan = plan_transfer(INFO, Sender(view, SIGNER.public_key, 1), (Output(Address(0, bytes(20)).raw, 5),))
    body = plan.transaction
    for text in (body.encoded().decode("latin-1"), body.signing_hash().hex(), body.encoded().hex()):
        raw = base64.b64decode(sign_text(SIGNER, GENESIS, text))
        assert not verify_p256(SIGNER.public_key, body.signing_hash(), raw[-64:])


@pytest.mark.parametrize("signature", ["", "x", "====", "A" * 300, base64.b64encode(bytes(97)).decode(), "ä" * 10])
def test_what_is_no_signature(signature: str) -> None:
    with pytest.raises(Refused) as refusal:
        verify_text(SIGNER.address, GENESIS, "text", signature)
    assert refusal.value.code == "bad_signature"


def test_a_scheme_of_later() -> None:
    with pytest.raises(Refused) as refusal:
        verify_text(SIGNER.address, GENESIS, "text", base64.b64encode(b"\x01" + bytes(97)).decode())
    assert refusal.value.code == "unknown_scheme"


@pytest.mark.parametrize("text", ["x" * 65_537, "\ud800"])
def test_texts_that_cannot_be_signed(text: str) -> None:
    with pytest.raises(Refused) as refusal:
        sign_text(SIGNER, GENESIS, text)
    assert refusal.value.code == "bad_text"
