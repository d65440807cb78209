"""Transactions as files: built here, signed there, submitted here; what is shown is what is signed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wallet_world import INFO  # type: ignore[import-not-found]

from node.api.errors import Damaged, NexusError, Refused
from node.api.records import AccountView, Output
from node.encoding.address import Address
from wallet import offline
from wallet.offline import (
    read_signed,
    read_unsigned,
    sender_text,
    sign_file,
    signed_file,
    summary,
    unsigned_file,
    write_file,
)
from wallet.payments import PaymentPlan, Sender, build, plan_transfer
from wallet.secret import Secret
from wallet.signing import P256Signer

SIGNER = P256Signer(Secret((7).to_bytes(32)))
ONE, TWO = Address(0, b"\x01" * 20).raw, Address(0, b"\x02" * 20).raw


def plan(*outputs: Output, memo: str = "") -> PaymentPlan:
    view = AccountView(SIGNER.address.raw, True, 10**8, 4, 4, 10**8, 0, 0)
    return plan_transfer(INFO, Sender(view, SIGNER.public_key, 1), outputs, memo=memo, tip=3)


@pytest.mark.parametrize("outputs", [(Output(ONE, 5),), (Output(ONE, 5), Output(TWO, 6))])
def test_there_and_back(tmp_path: Path, outputs: tuple[Output, ...]) -> None:
    made = plan(*outputs, memo="hi")
    unsigned, signed = tmp_path / "pay.unsigned", tmp_path / "pay.signed"
    write_file(unsigned, unsigned_file(made))
    assert unsigned.stat().st_mode & 0o777 == 0o600
    body = read_unsigned(unsigned)  # the offline device knows no network
    assert body == made.transaction
    shown = summary(body)
    assert (shown.outputs, shown.memo, shown.amount, shown.tip, shown.fee) == (outputs, "hi", made.amount, 3, None)
    assert (shown.sender, shown.txid, shown.nonce) == (SIGNER.address.raw, body.txid, 4)
    assert sender_text(body, "tnxt") == SIGNER.address.text("tnxt")
    write_file(signed, signed_file(sign_file(unsigned, SIGNER)))
    back = read_signed(signed, INFO)
    assert back.body == body
    assert summary(back.body, INFO).fee == made.fee
    assert back.raw == build(made, SIGNER).raw


def test_files_are_not_mixed_up(tmp_path: Path) -> None:
    unsigned, signed = tmp_path / "a", tmp_path / "b"
    write_file(unsigned, unsigned_file(plan(Output(ONE, 5))))
    write_file(signed, signed_file(build(plan(Output(ONE, 5)), SIGNER)))
    with pytest.raises(Refused, match="is an unsigned Nexus transaction, not a signed"):
        read_signed(unsigned)
    with pytest.raises(Refused, match="is a signed"):
        read_unsigned(signed)
    with pytest.raises(Refused) as refusal:
        write_file(signed, b"")
    assert refusal.value.code == "file_exists"
    with pytest.raises(Refused) as refusal:
        read_signed(tmp_path / "nowhere")
    assert refusal.value.code == "not_found"


def test_another_network_and_another_account(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_file(path, unsigned_file(plan(Output(ONE, 5))))
    with pytest.raises(Refused) as refusal:
        read_unsigned(path, replace(INFO, genesis=bytes(32)))
    assert refusal.value.code == "other_network"
    with pytest.raises(Refused) as refusal:
        sign_file(path, P256Signer(Secret((8).to_bytes(32))))
    assert refusal.value.code == "other_account"


def test_a_signature_that_does_not_fit(tmp_path: Path) -> None:
    good = build(plan(Output(ONE, 5)), SIGNER)
    bad = good.body.signed(SIGNER.sign(bytes(32)))
    path = tmp_path / "a"
    write_file(path, signed_file(bad))
    with pytest.raises(Refused) as refusal:
        read_signed(path)
    assert refusal.value.code == "bad_signature"


@pytest.mark.parametrize("kind", ["unsigned", "signed"])
@given(data=st.data())
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_changed_byte_never_changes_the_payment(tmp_path: Path, kind: str, data: st.DataObject) -> None:
    made = plan(Output(ONE, 5), memo="hi")
    good = unsigned_file(made) if kind == "unsigned" else signed_file(build(made, SIGNER))
    bad = bytearray(good)
    bad[data.draw(st.integers(0, len(good) - 1))] ^= data.draw(st.integers(1, 255))
    path = tmp_path / "a"
    path.write_bytes(bad)
    try:
        body = read_unsigned(path) if kind == "unsigned" else read_signed(path).body
    except NexusError:
        return
    assert body == made.transaction  # white space, or a capital in the hexadecimal digits


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.update(transaction=""),
        lambda d: d.update(transaction="00"),
        lambda d: d.update(transaction="c0"),
        lambda d: d.update(transaction="9" + "1" * 31),
        lambda d: d.update(transaction="zz"),
        lambda d: d.update(transaction="dd" + "ffffffff"),
        lambda d: d.update(transaction=d["transaction"] + "00"),
        lambda d: d.update(txid="00" * 32),
        lambda d: d.pop("txid"),
        lambda d: d.update(transaction=5),
    ],
)
@pytest.mark.parametrize("kind", ["unsigned", "signed"])
def test_malformed_transactions(tmp_path: Path, kind: str, change: Callable[[dict[str, object]], None]) -> None:
    made = plan(Output(ONE, 5))
    document = json.loads(unsigned_file(made) if kind == "unsigned" else signed_file(build(made, SIGNER)))
    change(document)
    path = tmp_path / "a"
    path.write_text(json.dumps(document))
    with pytest.raises(Damaged):
        read_unsigned(path) if kind == "unsigned" else read_signed(path)


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b"x" * 200_000, b"{}", b'{"format": 7}'])
def test_foreign_files(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a"
    path.write_bytes(content)
    with pytest.raises(NexusError):
        read_unsigned(path)


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        (9, (ONE, 5, "")),
        (1, (ONE, 5)),
        (1, (ONE, 0, "")),
        (1, (ONE, True, "")),
        (1, (b"short", 5, "")),
        (1, (ONE, 5, "x" * 257)),
        (2, ((), "")),
        (2, ((ONE, 5), "")),
        (2, (((ONE, 5, 6),), "")),
        (2, (((ONE, 5),) * 257, "")),
    ],
)
def test_what_cannot_be_shown_is_not_signed(tmp_path: Path, kind: int, payload: tuple[object, ...]) -> None:
    made = plan(Output(ONE, 5))
    strange = made.transaction._replace(kind=kind, payload=payload)  # type: ignore[arg-type]
    path = tmp_path / "a"
    path.write_bytes(unsigned_file(replace(made, transaction=strange)))
    with pytest.raises(Refused):
        sign_file(path, SIGNER)
    with pytest.raises(Refused):
        summary(strange)


def test_foreign_control_characters_reach_the_screen_to_be_cleaned_there(tmp_path: Path) -> None:
    """A memo that this wallet would not write can still be valid: it is shown (sanitised) and may be signed."""
    made = plan(Output(ONE, 5))
    path = tmp_path / "a"
    path.write_bytes(unsigned_file(replace(made, transaction=made.transaction._replace(payload=(ONE, 5, "\x1b[2J")))))
    assert summary(read_unsigned(path)).memo == "\x1b[2J"
    assert offline.MAX_FILE < 1 << 18
