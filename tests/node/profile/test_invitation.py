"""Invitations as text and as QR codes."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
import segno
from hypothesis import given
from hypothesis import strategies as st

from node.api.errors import Refused
from node.encoding.hosts import Address
from node.encoding.node_id import node_text
from node.profile.invitation import MAX_NODES, PREFIX, Invitation, parse_address, parse_invitation

GENESIS, CHECKPOINT = bytes(range(32)), bytes(range(100, 132))
_hash = st.binary(min_size=32, max_size=32)
_id = st.binary(min_size=31, max_size=31).map(lambda rest: b"x" + rest[:30] + b"y")
_host = st.one_of(
    st.ip_addresses(v=4).map(str), st.ip_addresses(v=6).map(str), st.sampled_from(["example.org", "a-b.c", "node7"])
)
_relay = st.one_of(st.just(b""), _id.map(lambda node: b"w" + node[1:]))
_node = st.builds(Address, _host, st.integers(1, 65_535), _id, _relay)
_name = st.text(st.characters(categories=("L", "N", "P", "S")), max_size=40).map(lambda text: text.strip())
_invitation = st.builds(
    Invitation,
    _hash,
    st.lists(_node, min_size=1, max_size=MAX_NODES).map(tuple),
    st.one_of(st.just(b""), _hash),
    _name,
)


def invitation(host: str = "203.0.113.7", **changed: Any) -> Invitation:
    return Invitation(GENESIS, (Address(host, 7_400, b"n" * 32),), CHECKPOINT, "Our street")._replace(**changed)


@given(_invitation)
def test_what_was_written_is_read(made: Invitation) -> None:
    text = made.text()
    if len(text) <= 2_048:
        assert parse_invitation(f"  {text}\n") == made


@given(_invitation)
def test_the_short_form_keeps_what_is_needed(made: Invitation) -> None:
    short = made.compact()
    found = parse_invitation(short)
    assert found == parse_invitation(short.lower())
    assert (found.nodes[0].port, found.nodes[0].node) == made.nodes[0].there[1:3], "of a relay the relay itself"
    assert not found.nodes[0].relay
    assert made.genesis.startswith(found.genesis)
    assert len(found.genesis) == PREFIX
    assert made.checkpoint.startswith(found.checkpoint)


@pytest.mark.parametrize("host", ["203.0.113.7", "2001:db8:1234:5678:9abc:def0:1234:5678", "node.example.org"])
def test_the_code_fits_a_phone(host: str) -> None:
    code = segno.make(invitation(host).compact(), error="l", micro=False)
    assert code.symbol_size(border=2)[0] <= 41


@given(_invitation, st.data())
def test_a_wrong_character_is_found(made: Invitation, data: st.DataObject) -> None:
    short = made.compact()
    place = data.draw(st.integers(6, len(short) - 1))
    other = data.draw(st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"))
    changed = short[:place] + other + short[place + 1 :]
    if changed != short:
        with pytest.raises(Refused, match=r"checksum|never occurs"):
            parse_invitation(changed)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "does not begin"),
        ("https://example.org", "does not begin"),
        ("nexus://join?;=&", "cannot be read"),
        ("nexus://join?genesis=12&node=x@h:1", "genesis is not 64"),
        (invitation().text().replace("genesis=00", "genesis=zz"), "genesis is not 64"),
        (invitation().text().replace("checkpoint=64", "checkpoint=6"), "checkpoint is not 64"),
        (invitation().text().replace("node=", "nobody="), "is not known"),
        (invitation().text() + "&name=other", "stands twice"),
        (invitation().text() + "&colour=red", "is not known"),
        (invitation(nodes=()).text(), "names no node"),
        (invitation().text().replace(":7400", ":0"), "not NODE@HOST:PORT"),
        (invitation().text().replace(":7400", ":99999"), "not NODE@HOST:PORT"),
        (invitation().text().replace(":7400", ":٧٤"), "not NODE@HOST:PORT"),
        (invitation().text().replace("203.0.113.7", "2001:db8::1"), "without its brackets"),
        (invitation().text().replace("203.0.113.7", "-x-"), "not NODE@HOST:PORT"),
        (invitation().text().replace("node=nxn1", "node=nxn1q"), "no node's id"),
        (invitation(nodes=(Address("h", 1, bytes(32)),)).text(), "no node's id"),
        (invitation(nodes=(Address("h", 1, b"n" * 32, bytes(32)),)).text(), "no node's id"),
        (invitation(nodes=(Address("h", 1, b"n" * 32, b"n" * 32),)).text(), "its own relay"),
        (invitation().text().replace("@203", "@via:@203"), "no node's id"),
        (invitation(name="\x1b[2J").text(), "cannot be shown"),
        (invitation(name="x" * 65).text(), "too long"),
        ("nexus://join?" + "x" * 3_000, "too long"),
        ("NEXUS:" + "A" * 100, "checksum"),
        ("NEXUS:", "checksum"),
        ("NEXUS:!!!", "never occurs"),
        (invitation().compact()[:-3], "checksum"),
    ],
)
def test_what_is_none_is_refused_and_says_why(text: str, why: str) -> None:
    with pytest.raises(Refused, match=why) as caught:
        parse_invitation(text)
    assert caught.value.code == "bad_invitation"
    assert caught.value.hint


@given(st.text(max_size=200))
def test_any_text_is_an_invitation_or_refused(text: str) -> None:
    for tried in (text, "nexus://join?" + text, "NEXUS:" + text):
        with contextlib.suppress(Refused):
            parse_invitation(tried)


def test_a_long_name_asks_for_an_address() -> None:
    with pytest.raises(Refused, match="too long"):
        invitation("a-very-long-name-of-a-node.example.org").compact()


@pytest.mark.parametrize("text", ["", "somewhere", "nxn1@", "203.0.113.7:7400", "NEXUS", f"{node_text(b'n' * 32)}@h:0"])
def test_a_place_that_is_none_is_refused_as_a_place(text: str) -> None:
    with pytest.raises(Refused, match="does not say where a node is") as caught:
        parse_address(text)
    assert caught.value.code == "bad_place"
    assert "NODE@HOST:PORT" in caught.value.hint
