"""Messages and greetings: their forms, and that quotas never count less than is sent."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.encoding.canonical import pack
from node.mesh.protocol import forms, hello, limits, messages
from node.mesh.protocol.hello import GUEST, PROTOCOL, Hello
from node.mesh.protocol.messages import (
    KINDS,
    TYPES,
    Absent,
    Addresses,
    AnswerCircuit,
    AskAddresses,
    AskCircuit,
    AskGenesis,
    AskHistory,
    AskPart,
    AskProof,
    AskSnapshot,
    Bye,
    CircuitCredit,
    CircuitData,
    EndCircuit,
    GenesisFile,
    Get,
    Given,
    History,
    Inventory,
    NewBlock,
    Offer,
    OfferCircuit,
    Part,
    Ping,
    Pong,
    Proof,
    Routes,
    WholeBlock,
    WireError,
)
from node.mesh.protocol.quota import Bucket, Quota

_uint = st.integers(0, (1 << 64) - 1)
_name = st.binary(min_size=32, max_size=32)
_names = st.lists(_name, unique=True, max_size=64).map(tuple)
_kind = st.sampled_from(KINDS)
_host = st.text(st.characters(codec="utf-8"), min_size=1, max_size=60)
MESSAGES: dict[type, st.SearchStrategy[Any]] = {
    Ping: st.builds(Ping, _uint),
    Pong: st.builds(Pong, _uint),
    Bye: st.builds(Bye, st.text(max_size=32), st.text(max_size=200)),
    Inventory: st.builds(
        Inventory, _kind, _names.filter(bool), st.integers(0, messages.MOST).map(lambda worth: (worth,))
    ),
    Get: st.builds(Get, _kind, _names),
    Absent: st.builds(Absent, _kind, _names),
    Given: st.builds(Given, _kind, st.lists(st.binary(max_size=400), min_size=1, max_size=9).map(tuple)),
    NewBlock: st.builds(NewBlock, st.binary(max_size=1_024)),
    WholeBlock: st.builds(WholeBlock, st.binary(max_size=1_024), st.binary(max_size=3_000)),
    AskHistory: st.builds(AskHistory, _names, _uint),
    History: st.builds(History, _names, st.integers(0, 1)),
    AskAddresses: st.just(AskAddresses()),
    Addresses: st.builds(Addresses, st.lists(st.tuples(_host, st.integers(1, 65_535), _name), max_size=20).map(tuple)),
}
MESSAGES |= {
    Routes: st.builds(Routes, st.lists(st.tuples(_host, st.integers(1, 65_535), _name, _name), max_size=20).map(tuple)),
    AskCircuit: st.builds(AskCircuit, _uint, _name),
    OfferCircuit: st.builds(OfferCircuit, _uint, _name),
    AnswerCircuit: st.builds(AnswerCircuit, _uint, st.text(max_size=32)),
    CircuitData: st.builds(CircuitData, _uint, st.binary(min_size=1, max_size=3_000)),
    CircuitCredit: st.builds(CircuitCredit, _uint, _uint),
    EndCircuit: st.builds(EndCircuit, _uint, st.text(max_size=32)),
}
MESSAGES |= {AskGenesis: st.just(AskGenesis()), GenesisFile: st.builds(GenesisFile, st.binary(max_size=900))}
_section, _part = st.integers(0, messages.FRONT), st.integers(0, messages.MAX_SECTION // messages.PART_SIZE - 1)
_sizes = st.integers(1, messages.MAX_SECTION).map(lambda size: (size,) * messages.SECTIONS)
_hashes = st.binary(min_size=32, max_size=32).map(lambda one: one * messages.BUCKETS)
MESSAGES |= {
    AskProof: st.builds(AskProof, st.binary(min_size=16, max_size=32), _name, _uint),
    Proof: st.builds(
        Proof,
        st.binary(max_size=400),
        st.lists(st.binary(max_size=400), max_size=2).map(tuple),
        st.lists(st.binary(max_size=400), max_size=9).map(tuple),
        st.integers(0, 1),
    ),
    AskSnapshot: st.builds(AskSnapshot, st.binary(max_size=32)),
    Offer: st.one_of(
        st.just(Offer(b"", b"", ())), st.builds(Offer, st.binary(min_size=1, max_size=400), _hashes, _sizes)
    ),
    AskPart: st.builds(AskPart, _name, _section, _part),
    Part: st.builds(Part, _name, _section, _part, st.binary(max_size=900)),
}
_any = st.one_of(*MESSAGES.values())


def test_every_type_is_tested_and_has_its_limit() -> None:
    assert set(MESSAGES) == set(TYPES.values()) == set(limits.LIMITS)
    assert len(set(TYPES)) == len(TYPES)
    assert hello_of().encoded().__len__() < limits.MAX_HELLO


@given(_any)
def test_decoding_undoes_encoding_within_the_limits(message: Any) -> None:
    number, body = messages.NUMBERS[type(message)], forms.encode(message)
    assert forms.decode(number, body) == message
    assert type(forms.decode(number, body)) is type(message)
    size = limits.size_of(number)
    assert size is not None
    assert len(body) <= size
    assert len(body) <= forms.weight(message), "quotas count at least what is sent"


@given(_any, st.data())
def test_a_changed_byte_is_another_message_or_none(message: Any, data: st.DataObject) -> None:
    body = bytearray(forms.encode(message))
    place = data.draw(st.integers(0, len(body) - 1))
    body[place] ^= data.draw(st.integers(1, 255))
    try:
        other = forms.decode(messages.NUMBERS[type(message)], bytes(body))
    except WireError:
        return
    assert other != message
    assert forms.encode(other) == bytes(body)


@given(st.integers(0, 255), st.binary(max_size=200))
def test_any_bytes_are_a_message_or_refused(number: int, body: bytes) -> None:
    try:
        message = forms.decode(number, body)
    except WireError:
        return
    assert forms.encode(message) == body


def hello_of(**changes: Any) -> Hello:
    plain = Hello(
        PROTOCOL, 2, bytes(32), 1, 7_400, 1_800_000_000_000, b"n" * 16, (b"t" * 32,), 9, 3, b"f" * 32, "nexus"
    )
    return plain._replace(**changes)


def test_a_greeting_is_read_as_it_was_written() -> None:
    assert Hello.decode(hello_of().encoded()) == hello_of()


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "bad_hello"),
        (b"\x90", "bad_hello"),
        (pack((PROTOCOL + 1, "what comes later is not looked at")), "other_protocol"),
        (pack((PROTOCOL,)), "bad_hello"),
        (hello_of(genesis=b"short").encoded(), "bad_hello"),
        (hello_of(nonce=b"").encoded(), "bad_hello"),
        (hello_of(tips=(b"t" * 31,)).encoded(), "bad_hello"),
        (hello_of(tips=(7,)).encoded(), "bad_hello"),
        (hello_of(tips=tuple(bytes([tip]) * 32 for tip in range(11))).encoded(), "bad_hello"),
        (hello_of(port=65_536).encoded(), "bad_hello"),
        (hello_of(agent="x" * 65).encoded(), "bad_hello"),
        (hello_of(agent="x" * 5_000).encoded(), "bad_hello"),
    ],
)
def test_a_greeting_that_is_none_is_refused(data: bytes, code: str) -> None:
    with pytest.raises(WireError) as caught:
        Hello.decode(data)
    assert caught.value.code == code


def test_only_nodes_of_one_network_and_other_than_oneself_talk() -> None:
    mine, theirs = hello_of(), hello_of(nonce=b"o" * 16)
    hello.judge(mine, theirs)
    hello.judge(mine, theirs._replace(genesis=b"?" * 32, services=GUEST))
    for changed, code in (
        (theirs._replace(genesis=b"g" * 32), "other_network"),
        (theirs._replace(rules=3), "other_rules"),
        (theirs._replace(genesis=bytes(32), services=GUEST, rules=3), "other_rules"),
        (mine, "self"),
    ):
        with pytest.raises(WireError) as caught:
            hello.judge(mine, changed)
        assert caught.value.code == code


@pytest.mark.parametrize(
    ("ahead_minutes", "count", "middle"),
    [
        ([], 0, 0),
        ([1], 0, 0),
        ([5], 1, 5),
        ([0, 60], 0, 0),
        ([0, 60, 62, 61], 3, 61),
        ([-60, -62, 1], 2, -60),
        ([-60, 60, 0], 0, 0),
        ([-60, -60, 60, 60], 0, 0),
    ],
)
def test_only_a_clock_that_is_far_from_those_of_most_is_told(ahead_minutes: list[int], count: int, middle: int) -> None:
    assert hello.skew_of_most([minutes * 60_000 for minutes in ahead_minutes]) == (count, middle * 60_000)


@given(
    st.lists(st.tuples(st.integers(0, 5_000), st.integers(0, 200)), max_size=60),
    st.integers(1, 1_000),
    st.integers(1, 1_000),
)
def test_a_bucket_never_lets_more_pass_than_its_rate(steps: list[tuple[int, int]], rate: int, at_once: int) -> None:
    bucket, now, passed = Bucket(rate, 0, at_once), 0, 0
    for wait, amount in steps:
        now += wait
        if bucket.has(amount, now):
            bucket.take(amount)
            passed += amount
        assert passed * 60_000 <= at_once * 60_000 + rate * now


def test_a_clock_that_goes_back_gives_nothing() -> None:
    bucket = Bucket(10, 1_000_000)
    bucket.take(10)
    assert not bucket.has(1, 900_000)
    assert not bucket.has(1, 905_000)
    assert bucket.has(1, 906_000)


def test_each_type_has_its_own_quota() -> None:
    quota = Quota()
    while quota.allows(Ping(1), 0):
        pass
    assert quota.allows(Pong(1), 0)
    assert not quota.allows(Ping(1), 500)
    assert quota.allows(Ping(1), 1_000)
