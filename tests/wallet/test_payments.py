"""Plans: fees to the unit, what remains, what is warned of; lists of payments from CSV."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wallet_world import GENESIS, INFO, STATUS, FakeNode, as_api, view  # type: ignore[import-not-found]

from node.api.errors import Locked, Refused
from node.api.records import AccountView, Output
from node.encoding.address import Address
from node.encoding.amounts import SUPPLY
from node.ledger.types import MULTI_TRANSFER, TRANSFER
from wallet import payments
from wallet.contacts import Contact
from wallet.payment_lists import read_payments, read_payments_file
from wallet.payments import Sender, build, plan_max, plan_transfer, prepare
from wallet.secret import Secret
from wallet.signing import P256Signer, verify_p256
from wallet.wallet import Wallet

SIGNER = P256Signer(Secret((7).to_bytes(32)))
ONE, TWO = Address(0, b"\x01" * 20).raw, Address(0, b"\x02" * 20).raw


def sender(spendable: int, nonce: int = 3) -> Sender:
    raw = SIGNER.address.raw
    return Sender(AccountView(raw, True, spendable, nonce, nonce + 1, spendable, 0, 0), SIGNER.public_key, 100)


def test_a_transfer_to_an_existing_account() -> None:
    plan = plan_transfer(INFO, sender(10**8), (Output(ONE, 5000),), memo="hi", tip=10)
    assert (plan.amount, plan.fee, plan.creation_fee, plan.total) == (5000, 1010, 0, 6010)
    assert plan.remaining == 10**8 - 6010
    body = plan.transaction
    assert (body.genesis, body.kind, body.nonce, body.tip) == (GENESIS, TRANSFER, 4, 10)
    assert body.payload == (ONE, 5000, "hi")
    assert body.expiry == 100 + 30 * 60 * 5  # half an hour of 200 ms slots
    assert plan.expires_ms == INFO.start_ms + body.expiry * 200
    assert any("public" in warning for warning in plan.warnings)


def test_a_transfer_to_new_accounts() -> None:
    outputs = (Output(ONE, 1), Output(TWO, 2), Output(ONE, 3))
    plan = plan_transfer(INFO, sender(10**8), outputs, frozenset([ONE]))
    assert plan.transaction.kind == MULTI_TRANSFER
    assert (plan.amount, plan.fee, plan.creation_fee) == (6, 3_000, 50_000)
    assert plan.new_accounts == (ONE,)
    assert len(plan.warnings) == 1
    assert "more than once" in plan.warnings[0]


@given(st.integers(1, SUPPLY), st.booleans(), st.integers(0, 10_000))
def test_everything_leaves_nothing(spendable: int, new: bool, tip: int) -> None:
    missing = frozenset([ONE]) if new else frozenset()
    cost = 1_000 + tip + (50_000 if new else 0)
    if spendable <= cost:
        with pytest.raises(Refused) as refusal:
            plan_max(INFO, sender(spendable), ONE, missing, tip=tip)
        assert refusal.value.code == "insufficient_funds"
    else:
        plan = plan_max(INFO, sender(spendable), ONE, missing, tip=tip)
        assert plan.remaining == 0
        assert plan.total == spendable
        assert plan.amount == spendable - cost


def test_one_unit_too_much() -> None:
    assert plan_transfer(INFO, sender(6000), (Output(ONE, 5000),)).remaining == 0
    with pytest.raises(Refused, match=r"takes 0\.00006001 NXT .* can spend 0\.00006 NXT") as refusal:
        plan_transfer(INFO, sender(6000), (Output(ONE, 5001),))
    assert refusal.value.code == "insufficient_funds"


@pytest.mark.parametrize(
    ("outputs", "options", "code"),
    [
        ((), {}, "bad_form"),
        ((Output(ONE, 0),), {}, "bad_amount"),
        ((Output(ONE, -1),), {}, "bad_amount"),
        ((Output(ONE, SUPPLY + 1),), {}, "bad_amount"),
        ((Output(b"\x00" * 20, 1),), {}, "bad_recipient"),
        ((Output(b"\x09" * 21, 1),), {}, "bad_recipient"),
        ((Output(b"", 1),), {}, "bad_recipient"),
        ((Output(ONE, 1),) * 257, {}, "too_many_outputs"),
        ((Output(ONE, 1),), {"memo": "ä" * 129}, "bad_memo"),
        ((Output(ONE, 1),), {"memo": "a\nb"}, "bad_memo"),
        ((Output(ONE, 1),), {"memo": "\x1b]0;x\x07"}, "bad_memo"),
        ((Output(ONE, 1),), {"memo": "\ud800"}, "bad_memo"),
        ((Output(ONE, 1),), {"tip": -1}, "bad_amount"),
    ],
)
def test_refused(outputs: tuple[Output, ...], options: dict[str, object], code: str) -> None:
    with pytest.raises(Refused) as refusal:
        plan_transfer(INFO, sender(10**12), outputs, **options)  # type: ignore[arg-type]
    assert refusal.value.code == code


def test_warnings() -> None:
    mine = SIGNER.address.raw
    plan = plan_transfer(INFO, sender(10**8), (Output(mine, 1),), known=[("Me", mine)])
    assert plan.warnings == ("This account pays itself: only the fee is spent.",)
    digest = bytes(range(20))
    trap = next(
        Address(0, digest[:16] + n.to_bytes(4)).raw
        for n in range(1, 100_000)
        if Address(0, digest[:16] + n.to_bytes(4)).text("tnxt")[-2:] == Address(0, digest).text("tnxt")[-2:]
    )
    plan = plan_transfer(INFO, sender(10**8), (Output(trap, 1),), known=[("Bob", Address(0, digest).raw)])
    assert "“Bob”" in plan.warnings[0]
    known = [("Bob", Address(0, digest).raw)]
    assert plan_transfer(INFO, sender(10**8), (Output(known[0][1], 1),), known=known).warnings == ()


def test_build_signs_what_was_planned() -> None:
    plan = plan_transfer(INFO, sender(10**8), (Output(ONE, 5000),))
    signed = build(plan, SIGNER)
    assert signed.body == plan.transaction
    assert signed.txid == plan.transaction.txid
    assert signed.sender == SIGNER.address.raw
    assert verify_p256(SIGNER.public_key, signed.signing_hash(), signed.signature)
    with pytest.raises(Refused) as refusal:
        build(plan, P256Signer(Secret((8).to_bytes(32))))
    assert refusal.value.code == "other_account"


def test_a_faulty_signer_is_caught() -> None:
    class Faulty(P256Signer):
        def sign(self, message_hash: bytes) -> bytes:
            return super().sign(bytes(32))

    plan = plan_transfer(INFO, sender(10**8), (Output(ONE, 5000),))
    with pytest.raises(Refused) as refusal:
        build(plan, Faulty(Secret((7).to_bytes(32))))
    assert refusal.value.code == "bad_signature"


async def test_prepare_asks_the_node(wallet: Wallet, node: FakeNode) -> None:
    account = wallet.accounts[0]
    node.fund(account.address, 10**8, nonce=5)
    node.fund(TWO, 1)
    plan = await prepare(as_api(node), account, (Output(ONE, 100), Output(TWO, 100)))
    assert plan.new_accounts == (ONE,)
    assert plan.transaction.nonce == 5
    assert plan.transaction.expiry > STATUS.current_slot
    everything = await prepare(as_api(node), account, TWO)
    assert everything.remaining == 0
    assert everything.amount == 10**8 - 1_000
    assert build(plan, wallet.signer()).sender == account.address
    wallet.lock()
    with pytest.raises(Locked):
        build(plan, wallet.signer())


async def test_a_watched_accounts_key(wallet: Wallet, node: FakeNode) -> None:
    account = wallet.add_watch(SIGNER.address.text("tnxt"), "Cold")
    node.fund(account.address, 10**8)
    with pytest.raises(Refused) as refusal:
        await prepare(as_api(node), account, (Output(ONE, 100),))
    assert refusal.value.code == "no_public_key"
    signed = build(plan_transfer(INFO, sender(10**8), (Output(ONE, 5),)), SIGNER)
    node.views = [view(1, ONE, (account.address, 5)), view(2, account.address, (ONE, 5), raw=signed.raw)]
    plan = await prepare(as_api(node), account, (Output(ONE, 100),))
    assert plan.transaction.key == SIGNER.public_key


def test_a_long_life_for_offline_signing() -> None:
    plan = plan_transfer(INFO, sender(10**8), (Output(ONE, 1),), lifetime_ms=payments.OFFLINE_LIFETIME_MS)
    assert plan.transaction.expiry == 100 + 7 * 24 * 3600 * 5
    slow = replace(INFO, slot_ms=60_000)
    assert plan_transfer(slow, sender(10**8), (Output(ONE, 1),), lifetime_ms=1).transaction.expiry == 120


# Lists

A, B = Address.from_raw(ONE).text("tnxt"), Address.from_raw(TWO).text("tnxt")


@pytest.mark.parametrize(
    "text",
    [
        f"{A},1.5\n{B},2u\n",
        f"address,amount\n{A},1.5\n{B},2u",
        f"{A};1.5 NXT\r\n\r\n# a remark, with a comma\r\n{B};2u\r\n",
        f"Recipient\tamount\n{A}\t1.5\n{B}\t2u\n",
        f' {A.upper()} , "1.5" \n"{B}",2u',
        f"{A},1.5\nbob,2u",
        f"nexus:{A},1.5\nBOB,2u",
    ],
)
def test_a_list_of_payments(text: str, tmp_path: Path) -> None:
    expected = (Output(ONE, 150_000_000), Output(TWO, 2))
    contacts = (Contact("Bob", TWO),)
    assert read_payments(text, "tnxt", contacts) == expected
    path = tmp_path / "list.csv"
    path.write_bytes(text.encode("utf-8-sig"))
    assert read_payments_file(path, "tnxt", contacts) == expected


def test_faulty_lines_are_named() -> None:
    text = f'{A},1\n\n{A},-5\nnobody,1\n{A},1,2\n{A}\n{B[:-1]},1\n{A},0\n{A},1e3\n{A},1"2\n'
    with pytest.raises(Refused) as refusal:
        read_payments(text, "tnxt")
    message = refusal.value.message
    assert refusal.value.code == "bad_payments"
    for number in (3, 4, 5, 6, 7, 8, 9, 10):
        assert f"Line {number}:" in message
    for number in (1, 2):
        assert f"Line {number}:" not in message
    assert "negative" in message
    assert "nothing was sent" in message


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing", "address,amount\n", f"{A},1\n" * 257, "x" * 300_000])
def test_lists_that_are_none(text: str) -> None:
    with pytest.raises(Refused) as refusal:
        read_payments(text, "tnxt")
    assert refusal.value.code == "bad_payments"


def test_many_errors_are_cut() -> None:
    with pytest.raises(Refused, match="and 90 more"):
        read_payments("x,1\n" * 100, "tnxt")


def test_a_list_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(Refused, match="UTF-8"):
        read_payments_file(path, "tnxt")


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        outputs = read_payments(text, "tnxt")
    except Refused:
        return
    assert outputs
