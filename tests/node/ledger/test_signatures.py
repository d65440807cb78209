"""Signatures: only the key's own, in their one form; and verdicts that cannot be passed on."""

from __future__ import annotations

import pytest

from node.ledger import signatures
from node.ledger.signatures import (
    P256_ORDER,
    Verdicts,
    is_good_key,
    low_s,
    supports_ml_dsa,
    verify,
    verify_transaction,
)
from node.ledger.types import SIGNATURE_SIZES, SignedTransaction
from tests.node.world import Payer, key, quantum_key, stranger

MESSAGE = bytes(range(32))
ALICE = Payer(bytes(32), key(1))


@pytest.mark.parametrize("payer", [ALICE, Payer(bytes(32), quantum_key(1))], ids=["P-256", "ML-DSA-65"])
def test_a_real_payment_is_verified_and_every_change_refused(payer: Payer) -> None:
    good = payer.pay(0, stranger(1), 5)
    assert verify_transaction(good)
    for at in (0, 31, 33, 63, len(good.signature) - 1):
        broken = bytearray(good.signature)
        broken[at] ^= 1
        assert not verify_transaction(good.body.signed(bytes(broken)))
    assert not verify_transaction(good.body._replace(nonce=1).signed(good.signature))
    assert not verify_transaction(good.body._replace(genesis=b"\x01" * 32).signed(good.signature))
    assert not verify_transaction(good.body.signed(bytes(len(good.signature))))


def test_somebody_elses_signature_is_refused() -> None:
    body = ALICE.pay(0, stranger(1), 5).body
    assert not verify_transaction(body.signed(key(2).sign(body.signing_hash())))


def test_the_high_twin_of_a_signature_is_refused() -> None:
    good = key(1).sign(MESSAGE)
    twin = good[:32] + (P256_ORDER - int.from_bytes(good[32:])).to_bytes(32)
    assert verify(0, key(1).key, MESSAGE, good)
    assert not verify(0, key(1).key, MESSAGE, twin)
    assert low_s(twin) == low_s(good) == good


@pytest.mark.parametrize(
    "numbers", [(0, 1), (1, 0), (P256_ORDER, 1), (1, P256_ORDER), (P256_ORDER + 1, 1), ((1 << 256) - 1,) * 2, (0, 0)]
)
def test_numbers_out_of_range_are_refused(numbers: tuple[int, int]) -> None:
    assert not verify(0, key(1).key, MESSAGE, numbers[0].to_bytes(32) + numbers[1].to_bytes(32))


@pytest.mark.parametrize(
    ("scheme", "bad"),
    [
        (0, b""),
        (0, bytes(33)),
        (0, b"\x04" + bytes(64)),
        (0, b"\x05" + key(1).key[1:]),
        (0, b"\x02" + b"\xff" * 32),
        (0, b"\x02" + bytes(31) + b"\x01"),  # no point of the curve has this x
        (0, key(1).key + b"\x00"),
        (1, key(1).key),
        (1, bytes(1951)),
        (2, bytes(33)),
    ],
)
def test_what_is_no_key_verifies_nothing(scheme: int, bad: bytes) -> None:
    assert not is_good_key(scheme, bad)
    assert not verify(scheme, bad, MESSAGE, bytes(SIGNATURE_SIZES.get(scheme, 64)))


def test_this_machine_can_validate() -> None:
    assert supports_ml_dsa()
    assert is_good_key(0, key(1).key)
    assert is_good_key(1, quantum_key(1).key)


def test_a_broken_twin_is_refused_after_its_good_one_was_seen() -> None:
    """They share the txid: a cache by txid would let the broken one through."""
    verdicts = Verdicts()
    good = ALICE.pay(0, stranger(1), 5)
    broken = good.body.signed(good.signature[:-1] + bytes([good.signature[-1] ^ 1]))
    assert broken.txid == good.txid
    assert verdicts.good(good)
    assert not verdicts.good(broken)
    assert not verdicts.good(broken)
    assert verdicts.good(SignedTransaction.from_raw(good.raw))


def test_each_good_signature_is_checked_once_and_the_oldest_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[bytes] = []

    def check(transaction: SignedTransaction) -> bool:
        checked.append(transaction.wid)
        return verify_transaction(transaction)

    monkeypatch.setattr(signatures, "verify_transaction", check)
    verdicts = Verdicts(kept=2)
    one, two, three = (ALICE.pay(nonce, stranger(1), 5) for nonce in range(3))
    broken = [three.body.signed(bytes(63) + bytes([number])) for number in range(1, 9)]
    assert verdicts.good(one)
    assert verdicts.good(two)
    assert not any(verdicts.good(item) for item in broken), "bad ones must not push good ones out"
    assert verdicts.good(one)
    assert verdicts.good(two)
    assert len(checked) == 2 + len(broken)
    assert verdicts.good(three)
    assert verdicts.good(two)
    assert len(checked) == 3 + len(broken)
    assert verdicts.good(one)
    assert len(checked) == 4 + len(broken)
