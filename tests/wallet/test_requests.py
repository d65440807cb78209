"""Payment requests: what was written is read back, everything else is refused."""

from __future__ import annotations

import contextlib
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.api.errors import NexusError, Refused
from node.encoding.address import Address
from node.encoding.amounts import SUPPLY
from wallet.requests import PaymentRequest, make_request, parse_request, qr, read_recipient
from wallet.text import checked_name, is_hidden

ADDRESS = Address(0, bytes(range(20)))
TEXT = ADDRESS.text("tnxt")


def usable(text: str) -> bool:
    return not any(is_hidden(c) for c in text) and len(text.encode()) <= 256


labels = (
    st.text(st.characters(exclude_categories=["Cs"]), max_size=64)
    .filter(usable)
    .filter(lambda text: not text or (text.strip() != "" and checked_name(text, "x") == text))
)
memos = st.text(st.characters(exclude_categories=["Cs"]), max_size=256).filter(usable)
addresses = st.one_of(
    st.binary(min_size=20, max_size=20).map(lambda d: Address(0, d)),
    st.tuples(st.sampled_from([1, 2]), st.binary(min_size=32, max_size=32)).map(lambda p: Address(*p)),
)


@given(addresses, st.none() | st.integers(1, SUPPLY), labels, memos, st.sampled_from(["nxt", "tnxt"]))
def test_round_trip(address: Address, amount: int | None, label: str, memo: str, prefix: str) -> None:
    request = make_request(address, amount, label, memo)
    uri = request.uri(prefix)
    assert uri.isascii()
    if len(uri) <= 2048:
        assert parse_request(uri, prefix) == request
        assert parse_request(f"  {uri}\n", prefix) == request


@given(st.text(max_size=100) | st.text(max_size=60).map(lambda tail: f"nexus:{TEXT}?{tail}"))
def test_nothing_from_outside_is_a_surprise(text: str) -> None:
    with contextlib.suppress(NexusError):
        assert isinstance(parse_request(text, "tnxt"), PaymentRequest)


def test_what_it_looks_like() -> None:
    request = PaymentRequest(ADDRESS, 150_000_000, "Shop & Co", "Order 7 ☂")
    assert request.uri("tnxt") == f"nexus:{TEXT}?amount=1.5&label=Shop%20%26%20Co&memo=Order%207%20%E2%98%82"
    assert PaymentRequest(ADDRESS).uri("tnxt") == f"nexus:{TEXT}"


@pytest.mark.parametrize(
    ("uri", "code"),
    [
        ("", "bad_request"),
        (TEXT, "bad_request"),
        (f"bitcoin:{TEXT}", "bad_request"),
        (f"nexus://{TEXT}", "bad_address"),
        ("nexus:", "bad_address"),
        (f"nexus:{TEXT[:-1]}", "bad_address"),
        (f"nexus:{ADDRESS.text('nxt')}", "bad_address"),
        (f"nexus:{TEXT[:9].upper()}{TEXT[9:]}", "bad_address"),
        (f"nexus:{TEXT}?amount=", "bad_amount"),
        (f"nexus:{TEXT}?amount=-1", "bad_amount"),
        (f"nexus:{TEXT}?amount=1e3", "bad_amount"),
        (f"nexus:{TEXT}?amount=0.000000001", "bad_amount"),
        (f"nexus:{TEXT}?amount=1000001", "bad_amount"),
        (f"nexus:{TEXT}?amount=0", "bad_request"),
        (f"nexus:{TEXT}?amount=1&amount=2", "bad_request"),
        (f"nexus:{TEXT}?amount=1&AMOUNT=2", "bad_request"),
        (f"nexus:{TEXT}?tip=1", "bad_request"),
        (f"nexus:{TEXT}?memo", "bad_request"),
        (f"nexus:{TEXT}?&", "bad_request"),
        (f"nexus:{TEXT}?memo=%", "bad_request"),
        (f"nexus:{TEXT}?memo=%zz", "bad_request"),
        (f"nexus:{TEXT}?memo=%ff", "bad_request"),
        (f"nexus:{TEXT}?memo=%1B%5B2J", "bad_request"),
        (f"nexus:{TEXT}?memo={quote(chr(0x202E))}", "bad_request"),
        (f"nexus:{TEXT}?memo={'x' * 257}", "bad_request"),
        (f"nexus:{TEXT}?label={'x' * 65}", "bad_name"),
        (f"nexus:{TEXT}?memo=a b", "bad_request"),
        (f"nexus:{TEXT}#memo", "bad_request"),
        (f"nexus:{TEXT}?memo={'x' * 3000}", "bad_request"),
    ],
)
def test_refused(uri: str, code: str) -> None:
    with pytest.raises(Refused) as refusal:
        parse_request(uri, "tnxt")
    assert refusal.value.code == code


def test_recipients() -> None:
    assert read_recipient(f" {TEXT.upper()} ", "tnxt") == PaymentRequest(ADDRESS)
    assert read_recipient(f"NEXUS:{TEXT.upper()}?amount=1", "tnxt").amount == 10**8
    with pytest.raises(Refused) as refusal:
        read_recipient("hello", "tnxt")
    assert refusal.value.code == "bad_address"


def modules(lines: tuple[str, ...]) -> list[list[bool]]:
    rows = []
    for line in lines:
        rows.append([mark in "▀█" for mark in line])
        rows.append([mark in "▄█" for mark in line])
    return rows


def test_qr_code() -> None:
    import segno

    uri = PaymentRequest(ADDRESS, 5, "Shop", "Order ☂").uri("tnxt")
    lines = qr(uri)
    assert len({len(line) for line in lines}) == 1
    expected = [
        [bool(m) for m in row]
        for row in segno.make(uri, micro=False, error="m", boost_error=False).matrix_iter(border=2)
    ]
    assert modules(lines)[: len(expected)] == expected
    plain = qr(uri, blocks=False)
    assert [[line[i : i + 2] == "##" for i in range(0, len(line), 2)] for line in plain] == expected
    assert set("".join(plain)) == {"#", " "}


def test_a_plain_request_fits_a_phone() -> None:
    """44 columns and 22 rows, the smallest layout that is drawn; a bare address too."""
    for text in (PaymentRequest(ADDRESS).uri("tnxt"), PaymentRequest(ADDRESS, 150_000_000).uri("tnxt"), TEXT):
        lines = qr(text)
        assert len(lines[0]) <= 41
        assert len(lines) <= 21


def test_a_request_too_long_for_a_code() -> None:
    with pytest.raises(Refused):
        qr("nexus:" + "x" * 3000)
    assert qr(PaymentRequest(ADDRESS, 1, "x" * 64, "\u2602" * 80).uri("tnxt"))
