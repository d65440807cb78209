"""Transactions from outside: parsed exactly, or refused under the name of what is wrong."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.encoding.amounts import SUPPLY
from node.encoding.canonical import Value, encode
from node.encoding.hashing import tagged_hash
from node.ledger.registry import check_payload
from node.ledger.types import (
    MAX_MEMO_BYTES,
    MAX_OUTPUTS,
    MAX_TRANSACTION,
    MULTI_TRANSFER,
    TRANSFER,
    SignedTransaction,
    Transaction,
    TransactionError,
)
from tests.node.world import Payer, key, quantum_key, stranger

GENESIS = bytes(range(32))
ALICE = Payer(GENESIS, key(1), signed=False)
GOOD = (GENESIS, TRANSFER, 0, key(1).key, 7, 1_000, 3, (stranger(1), 5, "memo"))


def raw(*fields: Any, signature: Value = bytes(64)) -> bytes:
    return encode((tuple(fields), signature))


def changed(**fields: Any) -> bytes:
    names = Transaction._fields
    return raw(*(fields.get(name, old) for name, old in zip(names, GOOD, strict=True)))


def test_a_good_one_is_read_back() -> None:
    transaction = SignedTransaction.from_raw(raw(*GOOD))
    body = encode(GOOD)
    assert tuple(transaction.body) == GOOD
    assert transaction.body_bytes == body == transaction.body.encoded()
    assert transaction.txid == transaction.body.txid == tagged_hash(b"nexus/txid", body)
    assert transaction.wid == tagged_hash(b"nexus/wid", raw(*GOOD))
    assert transaction.signing_hash() == transaction.body.signing_hash() == tagged_hash(b"nexus/tx/sign", GENESIS, body)
    assert transaction.sender == transaction.body.sender == key(1).address


def test_the_body_is_cut_out_right_for_either_scheme() -> None:
    for payer in (ALICE, Payer(GENESIS, quantum_key(1), signed=False)):
        transaction = payer.pay(3, stranger(1), 5, "memo")
        assert transaction.body_bytes == encode(tuple(transaction.body))
        assert transaction.raw == encode((tuple(transaction.body), transaction.signature))


def test_another_signature_is_another_wid_of_one_txid() -> None:
    one = SignedTransaction.from_raw(raw(*GOOD))
    other = SignedTransaction.from_raw(raw(*GOOD, signature=b"\x01" * 64))
    assert one.txid == other.txid
    assert one.wid != other.wid


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "bad_encoding"),
        (b"\xc1", "bad_encoding"),
        (raw(*GOOD) + b"\x00", "bad_encoding"),
        (b"\xc5\x7f\xff" + bytes(MAX_TRANSACTION), "bad_encoding"),
        (encode(5), "bad_form"),
        (encode(()), "bad_form"),
        (encode((GOOD, bytes(64), 1)), "bad_form"),
        (encode((1, bytes(64))), "bad_form"),
        (encode((GOOD, "signature")), "bad_form"),
        (encode((GOOD[:-1], bytes(64))), "bad_form"),
        (encode(((*GOOD, 1), bytes(64))), "bad_form"),
        (changed(kind=True), "bad_form"),
        (changed(nonce="7"), "bad_form"),
        (changed(nonce=(1 << 64).to_bytes(9)), "bad_form"),
        (changed(tip=None), "bad_form"),
        (changed(payload=b"memo"), "bad_form"),
        (changed(genesis=bytes(31)), "bad_form"),
        (changed(genesis=bytes(33)), "bad_form"),
        (changed(key=bytes(32)), "bad_form"),
        (changed(key=bytes(65)), "bad_form"),
        (changed(key=bytes(1952)), "bad_form"),
        (changed(scheme=1), "bad_form"),
        (changed(scheme=2), "unknown_scheme"),
        (changed(scheme=255), "unknown_scheme"),
        (changed(expiry=1 << 48), "bad_form"),
        (changed(tip=SUPPLY + 1), "bad_form"),
        (raw(*GOOD, signature=bytes(63)), "bad_form"),
        (raw(*GOOD, signature=bytes(65)), "bad_form"),
        (raw(*GOOD, signature=bytes(3309)), "bad_form"),
        (raw(*GOOD, signature=b""), "bad_form"),
    ],
)
def test_a_bad_form_is_named(data: bytes, code: str) -> None:
    with pytest.raises(TransactionError) as caught:
        SignedTransaction.from_raw(data)
    assert caught.value.code == code


@given(st.data())
def test_changed_bytes_are_refused_or_another_transaction(data: st.DataObject) -> None:
    good = raw(*GOOD)
    at = data.draw(st.integers(0, len(good) - 1))
    bad = good[:at] + data.draw(st.binary(max_size=2)) + good[at + data.draw(st.integers(0, 2)) :]
    if bad == good:
        return
    try:
        transaction = SignedTransaction.from_raw(bad)
    except TransactionError:
        return
    assert transaction.raw == bad
    assert transaction.wid != SignedTransaction.from_raw(good).wid


TO = stranger(2)
MEMO_OF_256 = "€" * 85 + "x"


@pytest.mark.parametrize(
    ("kind", "payload", "code"),
    [
        (0, (TO, 1, ""), "unknown_kind"),
        (3, (TO, 1, ""), "unknown_kind"),
        (TRANSFER, (), "bad_form"),
        (TRANSFER, (TO, 1), "bad_form"),
        (TRANSFER, (TO, 1, "", 0), "bad_form"),
        (TRANSFER, ("name", 1, ""), "bad_recipient"),
        (TRANSFER, (b"", 1, ""), "bad_recipient"),
        (TRANSFER, (TO[:-1], 1, ""), "bad_recipient"),
        (TRANSFER, (TO + b"\x00", 1, ""), "bad_recipient"),
        (TRANSFER, (b"\x03" + bytes(32), 1, ""), "bad_recipient"),
        (TRANSFER, (b"\x01" + bytes(20), 1, ""), "bad_recipient"),
        (TRANSFER, (TO, 0, ""), "bad_amount"),
        (TRANSFER, (TO, SUPPLY + 1, ""), "bad_amount"),
        (TRANSFER, (TO, True, ""), "bad_amount"),
        (TRANSFER, (TO, b"\x01", ""), "bad_amount"),
        (TRANSFER, (TO, 1, MEMO_OF_256 + "x"), "bad_memo"),
        (TRANSFER, (TO, 1, b"memo"), "bad_memo"),
        (TRANSFER, (TO, 1, None), "bad_memo"),
        (MULTI_TRANSFER, (), "bad_form"),
        (MULTI_TRANSFER, ("", ((TO, 1),)), "bad_form"),
        (MULTI_TRANSFER, ((), ""), "bad_form"),
        (MULTI_TRANSFER, (((TO, 1),) * (MAX_OUTPUTS + 1), ""), "bad_form"),
        (MULTI_TRANSFER, (((TO, 1), (TO,)), ""), "bad_form"),
        (MULTI_TRANSFER, (((TO, 1), (TO, 1, "")), ""), "bad_form"),
        (MULTI_TRANSFER, (((TO, 1), TO), ""), "bad_form"),
        (MULTI_TRANSFER, (((TO, 1), (b"", 1)), ""), "bad_recipient"),
        (MULTI_TRANSFER, (((TO, 1), (TO, 0)), ""), "bad_amount"),
        (MULTI_TRANSFER, (((TO, 1),), 5), "bad_memo"),
    ],
)
def test_a_bad_payload_is_named(kind: int, payload: tuple[Any, ...], code: str) -> None:
    with pytest.raises(TransactionError) as caught:
        check_payload(ALICE.transaction(0, kind, payload).body)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        (TRANSFER, (TO, 1, MEMO_OF_256)),
        (TRANSFER, (TO, SUPPLY, "")),
        (TRANSFER, (b"\x01" + bytes(32), 1, "")),
        (TRANSFER, (b"\x02" + bytes(32), 1, "")),
        (MULTI_TRANSFER, (((TO, SUPPLY),) * MAX_OUTPUTS, "")),
    ],
)
def test_the_limits_themselves_are_allowed(kind: int, payload: tuple[Any, ...]) -> None:
    check_payload(ALICE.transaction(0, kind, payload).body)
    assert len(MEMO_OF_256.encode()) == MAX_MEMO_BYTES
