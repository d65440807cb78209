"""Contacts, and warnings about what looks like something else."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.api.errors import Damaged, Refused
from node.encoding.address import Address
from node.encoding.bech32m import encode_words
from wallet.contacts import Contacts
from wallet.lookalikes import address_warning, similar_addresses, similar_names
from wallet.text import checked_name, cleaned, is_hidden, skeleton

ALICE, BOB = Address(0, bytes(range(20))), Address(0, bytes(range(100, 120)))


@pytest.fixture
def contacts(tmp_path: Path) -> Contacts:
    return Contacts(tmp_path / "profile" / "contacts.json", "tnxt")


def test_add_list_find_remove(contacts: Contacts) -> None:
    assert contacts.list() == ()
    bob = contacts.add("Bob", BOB.text("tnxt"), note="from the shop")
    alice = contacts.add("  alice ", ALICE.text("tnxt").upper())
    assert contacts.list() == (alice, bob)
    assert contacts.find("ALICE") == contacts.find(ALICE.text("tnxt")) == alice
    assert contacts.find("carol") is None
    assert contacts.path.stat().st_mode & 0o777 == 0o600
    assert contacts.remove("bob") == bob
    assert contacts.list() == (alice,)
    with pytest.raises(Refused) as refusal:
        contacts.remove("bob")
    assert refusal.value.code == "unknown_contact"


@pytest.mark.parametrize(
    ("name", "address", "code"),
    [
        ("alice", BOB.text("tnxt"), "contact_exists"),
        ("Second", ALICE.text("tnxt"), "contact_exists"),
        ("Carol", BOB.text("nxt"), "bad_address"),
        ("Carol", BOB.text("tnxt")[:-1] + "q", "bad_address"),
        ("Carol", "", "bad_address"),
        ("", BOB.text("tnxt"), "bad_name"),
        ("a\x07b", BOB.text("tnxt"), "bad_name"),
    ],
)
def test_refusals_change_nothing(contacts: Contacts, name: str, address: str, code: str) -> None:
    contacts.add("Alice", ALICE.text("tnxt"))
    before = contacts.path.read_bytes()
    with pytest.raises(Refused) as refusal:
        contacts.add(name, address)
    assert refusal.value.code == code
    assert contacts.path.read_bytes() == before


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"format": "nexus-contacts", "version": 2, "contacts": []}',
        b'{"format": "nexus-contacts", "version": 1}',
        b'{"format": "nexus-contacts", "version": 1, "contacts": [1]}',
        b'{"format": "nexus-contacts", "version": 1, "contacts": [{"name": "x", "address": "zz", "note": ""}]}',
        b'{"format": "nexus-contacts", "version": 1, "contacts": [{"name": 5, "address": "", "note": ""}]}',
    ],
)
def test_a_damaged_file_is_kept(contacts: Contacts, content: bytes) -> None:
    contacts.path.parent.mkdir()
    contacts.path.write_bytes(content)
    for attempt in (contacts.list, lambda: contacts.add("Alice", ALICE.text("tnxt"))):
        with pytest.raises(Damaged):
            attempt()
    assert contacts.path.read_bytes() == content


def forged(genuine: Address, start: int, end: int) -> Address:
    """An address that shares so many characters at the start (after the version's) and end; found by trying."""
    from itertools import count

    text = genuine.text("tnxt")
    for number in count():
        digest = genuine.digest[: (start * 5 + 7) // 8] + number.to_bytes(20)
        other = Address(0, digest[: 20 - 4] + number.to_bytes(4))
        if other != genuine and other.text("tnxt")[len(text) - end :] == text[len(text) - end :]:
            return other
    raise AssertionError


def test_a_look_alike_address_is_noticed(contacts: Contacts) -> None:
    contacts.add("Alice", ALICE.text("tnxt"))
    trap = forged(ALICE, start=6, end=2)
    assert trap.text("tnxt")[:11] == ALICE.text("tnxt")[:11]
    warnings = contacts.warnings("Alice at work", trap.raw)
    assert len(warnings) == 1
    assert "“Alice”" in warnings[0]
    assert contacts.warnings("Bob", BOB.raw) == ()
    assert contacts.warnings("Alice", ALICE.raw) == ()
    assert "“My savings”" in contacts.warnings("x", trap.raw, [("My savings", ALICE.raw)])[0]


def test_only_the_end_alike(contacts: Contacts) -> None:
    trap = forged(ALICE, start=0, end=3)
    assert similar_addresses(trap.raw, [("a", ALICE.raw)], "tnxt") in ((), ("a",))
    assert address_warning(ALICE.raw, [("a", ALICE.raw)], "tnxt") is None


@given(st.binary(min_size=20, max_size=20), st.binary(min_size=20, max_size=20))
def test_the_rule_is_what_it_says(one: bytes, two: bytes) -> None:
    first, second = Address(0, one), Address(0, two)
    texts = [a.text("tnxt")[6:] for a in (first, second)]
    shared = 0
    for side in (texts, [t[::-1] for t in texts]):
        for mine, theirs in zip(*side, strict=True):
            if mine != theirs:
                break
            shared += 1
    warned = bool(similar_addresses(first.raw, [("x", second.raw)], "tnxt"))
    assert warned == (one != two and shared >= 6)
    assert encode_words("tnxt", []) != ""


@pytest.mark.parametrize(
    ("name", "other"),
    [("AIice", "Alice"), ("Аlice", "Alice"), ("B0b", "Bob"), ("rnike", "mike"), ("Zoë", "Zoe"), ("Al ice", "Alice")],
)
def test_look_alike_names(name: str, other: str) -> None:
    assert similar_names(name, [other, "Carol"]) == (other,)


def test_names_that_differ_visibly() -> None:
    assert similar_names("Alice", ["Alicia", "Bob", "Alice"]) == ()
    assert skeleton("Account 2") != skeleton("Account 3")


@given(st.text(max_size=80))
def test_names_and_cleaning(text: str) -> None:
    shown = cleaned(text)
    assert not any(is_hidden(c) for c in shown)
    try:
        name = checked_name(text, "A name")
    except Refused:
        return
    assert cleaned(name) == " ".join(name.splitlines())
    assert checked_name(name, "A name") == name
