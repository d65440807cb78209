"""Frames, messages, greetings and certificates that were good once and were spoilt: what comes out is good or refused
by the errors that are documented, and the work grows with the bytes alone."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from fake_network import Network  # type: ignore[import-not-found]
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_messages import MESSAGES, hello_of  # type: ignore[import-not-found]

from node.mesh.certificate import AUTHORITY, AUTHORITY_KEY, CertificateError, judge, leaf_builder
from node.mesh.identity import NodeKey
from node.mesh.protocol import forms, messages
from node.mesh.protocol import hello as greetings
from node.mesh.protocol.effects import Judge
from node.mesh.protocol.frames import FrameDecoder, FrameError, frame_head
from node.mesh.protocol.hello import Hello
from node.mesh.protocol.limits import MAX_IN_FLIGHT, MAX_QUEUED, size_of
from node.mesh.protocol.messages import KINDS, WireError

pytestmark = pytest.mark.slow
fuzzed = settings(max_examples=1_500, suppress_health_check=list(HealthCheck))
CALLS = 400
CALLS_A_BYTE = 12
"""Calls of functions, Python's and others', that decoding may take at most."""

_extreme = st.sampled_from(
    [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\1", b"\xdd\xff\xff\xff\xff"]
)
_piece = st.binary(min_size=1, max_size=12) | _extreme


@st.composite
def spoilt(draw: st.DrawFn, good: st.SearchStrategy[bytes]) -> bytes:
    """Good bytes with pieces changed, lost, doubled, moved or put in; sometimes good ones."""
    data = bytearray(draw(good))
    for _ in range(draw(st.integers(0, 4))):
        start, size = draw(st.integers(0, len(data))), draw(st.integers(1, 40))
        piece = bytes(data[start : start + size])
        match draw(st.integers(0, 5)):
            case 0 if start < len(data):
                data[start] ^= draw(st.integers(1, 255))
            case 1:
                del data[start : start + size]
            case 2:
                data[start:start] = piece
            case 3:
                data[start : start + size] = draw(_piece)
            case 4:
                data[start:start] = draw(_piece)
            case _:
                del data[start : start + size]
                place = draw(st.integers(0, len(data)))
                data[place:place] = piece
    return bytes(data)


def framed(message: Any) -> bytes:
    body = forms.encode(message)
    return frame_head(messages.NUMBERS[type(message)], len(body)) + body


_message = st.one_of(*MESSAGES.values())
_stream = st.lists(_message.map(framed), min_size=1, max_size=6).map(b"".join)


def outcome(work: Callable[[], None]) -> tuple[str, int]:
    """The code by which a piece of work refused its bytes, and how many functions it called."""
    count = 0

    def see(frame: FrameType, event: str, _: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(see)
    try:
        work()
    except (FrameError, WireError, CertificateError) as error:
        return error.code, count
    finally:
        sys.setprofile(before)
    return "", count


@fuzzed
@given(spoilt(_stream), st.lists(st.integers(1, 400), max_size=8))
def test_a_spoilt_stream_gives_messages_or_is_refused(data: bytes, cuts: list[int]) -> None:
    decoder = FrameDecoder(size_of)

    def read() -> None:
        rest = data
        for size in (*cuts, len(data)):
            for kind, body in decoder.feed(rest[:size]):
                assert forms.encode(forms.decode(kind, body)) == body
            rest = rest[size:]

    code, calls = outcome(read)
    assert code in ("", "empty_frame", "unknown_type", "oversize", "bad_encoding", "bad_form", "unknown_kind")
    assert calls <= CALLS + CALLS_A_BYTE * len(data)
    assert len(decoder._rest) <= len(data)


@fuzzed
@given(st.lists(_message | spoilt(_stream), min_size=1, max_size=12), st.lists(st.integers(0, 20_000), max_size=12))
def test_whatever_is_said_the_machine_stays_whole(said: list[Any], waits: list[int]) -> None:
    """Messages out of any order, some of them spoilt, and time that passes: it never fails, and stays in bounds."""
    network = Network(2)
    node = network.nodes[0]
    machine, now = node.machine, 1_000
    machine.connected(1, network.nodes[1].hello, True, now)
    for number, item in enumerate(said):
        kind, body = (item[4], item[5:]) if isinstance(item, bytes) and len(item) > 5 else (1, b"")
        if not isinstance(item, bytes):
            kind, body = messages.NUMBERS[type(item)], forms.encode(item)
        machine.received(1, kind, body, now)
        for effect in machine.take_effects():
            if isinstance(effect, Judge):
                machine.refused(1, "early", hostile=False, now_ms=now)
                machine.judged(1, now)
        now += waits[number] if number < len(waits) else 0
        machine.tick(now)
        machine.take_effects()
        assert len(machine.requests) <= len(KINDS) * (MAX_QUEUED + MAX_IN_FLIGHT)


@fuzzed
@given(spoilt(st.builds(hello_of).map(lambda hello: hello.encoded())))
def test_a_spoilt_greeting_is_one_or_is_refused(data: bytes) -> None:
    def read() -> None:
        found = Hello.decode(data)
        assert found.encoded() == data
        greetings.judge(hello_of(), found)

    code, calls = outcome(read)
    assert code in ("", "bad_hello", "other_protocol", "other_network", "other_rules", "self")
    assert calls <= CALLS + CALLS_A_BYTE * len(data)


OWN, PEER = NodeKey(bytes(32)), NodeKey(b"\1" * 32)
LEAF = (
    leaf_builder(PEER, ec.derive_private_key(7, ec.SECP256R1()).public_key())
    .sign(AUTHORITY_KEY, hashes.SHA256())
    .public_bytes(Encoding.DER)
)


@fuzzed
@given(spoilt(st.just(LEAF)), st.booleans())
def test_a_spoilt_certificate_never_names_another_node(data: bytes, with_authority: bool) -> None:
    """OpenSSL has refused most of these before."""

    def read() -> None:
        assert judge((data, AUTHORITY) if with_authority else (data,), OWN.id, None) == PEER.id

    code, calls = outcome(read)
    assert code in ("", "bad_certificate", "no_identity", "bad_validity", "bad_identity", "bad_signature")
    assert calls <= CALLS
    assert judge((LEAF,), OWN.id, PEER.id) == PEER.id
