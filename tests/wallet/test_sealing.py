"""Sealing: every level, one or many recipients, and nothing comes out of an envelope that was touched."""

from __future__ import annotations

import os
from typing import cast

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from node.encoding.bundle import PUBLIC_SIZES
from node.encoding.canonical import decode, encode, pack
from node.encoding.hashing import tagged_hash
from node.encoding.message import (
    CHUNK,
    ENCAPSULATED,
    MAX_RECIPIENTS,
    MLKEM1024_P384,
    P256,
    QUANTUM,
    MessageError,
    MessageHeader,
    Recipient,
    delivered_key,
    envelope_hash,
    lock_of,
)
from wallet import suites
from wallet.sealing import Opened, Sealed, To, seal, unseal
from wallet.secret import Secret

GENESIS, SENDER, MALLORY = b"g" * 32, b"\0" + b"s" * 20, b"\0" + b"m" * 20
KEYS = {kem: suites.generate(kem) for kem in sorted(suites.available())}


def to(kem: int, number: int = 1) -> To:
    return To(number.to_bytes(16), kem, number, KEYS[kem][1])


def sealed_for(*recipients: To, content: bytes = b"hello") -> Sealed:
    return seal(content, recipients, genesis=GENESIS, sender=SENDER, orbit=0, wavelength=600_000)


def with_key(sealed: Sealed, place: int, secret: Secret, **other: bytes) -> Opened:
    names = {"commitment": sealed.commitment, "genesis": GENESIS, "sender": SENDER} | other
    return unseal(sealed.header, sealed.envelope, place, secret, **names)


def opened(sealed: Sealed, place: int = 0, **other: bytes) -> bytes:
    return with_key(sealed, place, KEYS[sealed.header.recipients[place].kem][0], **other).content


def changed(sealed: Sealed, envelope: bytes) -> Sealed:
    return sealed._replace(envelope=envelope)


def wrapped(secret: bytes, to: To, bound: bytes) -> bytes:
    return suites.suite(to.kem).encrypt(secret, suites.public_key(to.kem, to.public_key), b"nexus/wrap" + bound)


def refused(sealed: Sealed, place: int = 0, **other: bytes) -> str:
    with pytest.raises(MessageError) as error:
        opened(sealed, place, **other)
    return error.value.code


def parts(sealed: Sealed) -> tuple[tuple[bytes, ...], bytes]:
    return cast("tuple[tuple[bytes, ...], bytes]", decode(sealed.envelope))


def test_all_levels_work_where_the_library_has_them() -> None:
    assert set(ENCAPSULATED) == set(suites.LEVELS) == set(suites.STRONGEST) == set(PUBLIC_SIZES)
    assert set(KEYS) == set(suites.STRONGEST), "the tests run over a library with ML-KEM"
    assert suites.best([P256, MLKEM1024_P384]) == MLKEM1024_P384
    assert suites.best([P256]) == P256
    assert suites.best([]) is None


@pytest.mark.parametrize("kem", suites.STRONGEST)
@pytest.mark.parametrize("size", [0, 1, QUANTUM - 4, QUANTUM - 3, 5_000, CHUNK - 4, CHUNK - 3, 3 * CHUNK])
def test_what_was_sealed_is_opened(kem: int, size: int) -> None:
    content = os.urandom(size)
    sealed = sealed_for(to(kem), content=content)
    assert opened(sealed) == content
    assert len(sealed.envelope) == sealed.header.envelope_size
    assert sealed.header.content_size % QUANTUM == 0
    assert MessageHeader.from_value(decode(pack(sealed.header.value()))) == sealed.header


@pytest.mark.parametrize("kem", suites.STRONGEST)
def test_keys_are_what_the_raw_forms_say(kem: int) -> None:
    secret, public = KEYS[kem]
    ciphertext = suites.suite(kem).encrypt(b"text", suites.public_key(kem, public), b"info")
    assert len(ciphertext) == ENCAPSULATED[kem] + len(b"text") + 16
    assert suites.suite(kem).decrypt(ciphertext, suites.private_key(kem, secret), b"info") == b"text"
    with pytest.raises(ValueError, match="bytes, not"):
        suites.public_key(kem, public[:-1])


@pytest.mark.parametrize("kem", suites.STRONGEST)
def test_a_public_key_that_is_none_is_refused_before_anything_is_sealed(kem: int) -> None:
    for public in (b"", b"\xff" * PUBLIC_SIZES[kem], KEYS[kem][1] + b"\0"):
        with pytest.raises(MessageError) as error:
            sealed_for(to(kem)._replace(public_key=public))
        assert error.value.code == "bad_key"


def test_one_content_for_many_at_the_price_of_a_quantum_each() -> None:
    recipients = [to(kem, number) for number, kem in enumerate(sorted(KEYS), 1)]
    alone, together = sealed_for(recipients[0]), sealed_for(*recipients)
    assert together.header.quanta == alone.header.quanta + len(recipients) - 1
    assert all(opened(together, place) == b"hello" for place in range(len(recipients)))
    small, large = KEYS[P256][0], KEYS[MLKEM1024_P384][0]
    with pytest.raises(MessageError, match="not sealed for this key"):
        with_key(together, len(recipients) - 1, small)
    with pytest.raises(MessageError, match="not sealed for this key"):
        with_key(together, 0, large)


def test_another_key_of_the_same_kind_opens_nothing() -> None:
    sealed = sealed_for(to(P256))
    with pytest.raises(MessageError) as error:
        with_key(sealed, 0, suites.generate(P256)[0])
    assert error.value.code == "wrong_key"


@pytest.mark.parametrize("kem", suites.STRONGEST)
def test_no_byte_of_an_envelope_can_be_changed(kem: int) -> None:
    """Even where the liar may say what the commitment is."""
    sealed = sealed_for(to(kem))
    for place in range(len(sealed.envelope)):
        envelope = bytearray(sealed.envelope)
        envelope[place] ^= 1 + place % 255
        other = changed(sealed, bytes(envelope))
        assert refused(other, commitment=sealed.commitment) == "other_envelope"
        assert refused(other) in ("bad_form", "wrong_key", "damaged")
    assert refused(changed(sealed, sealed.envelope + b"\0")) == "other_envelope"
    assert refused(changed(sealed, b"")) == "other_envelope"


def test_an_envelope_is_bound_to_header_sender_and_network() -> None:
    sealed = sealed_for(to(P256))
    header = sealed.header
    changes = (
        {"orbit": 1},
        {"wavelength": 600_001},
        {"key_commitment": bytes(32)},
        {"recipients": (header.recipients[0]._replace(tag=bytes(16)),)},
        {"recipients": (header.recipients[0]._replace(bundle=9),)},
        {"recipients": (header.recipients[0]._replace(lock=bytes(16)),)},
        {"parents": (bytes(32),)},
    )
    for change in changes:
        assert refused(sealed._replace(header=header._replace(**change))) == "wrong_key"  # type: ignore[arg-type]
    assert refused(sealed._replace(header=header._replace(quanta=2))) == "other_envelope"
    assert refused(sealed, sender=MALLORY) == "wrong_key"
    assert refused(sealed, genesis=bytes(32)) == "wrong_key"


def test_chunks_cannot_change_places_or_be_repeated() -> None:
    sealed = sealed_for(to(P256), content=os.urandom(2 * CHUNK - 4))
    wraps, content = parts(sealed)
    size = CHUNK + 16
    one, two = content[:size], content[size:]
    for chunks in (two + one, one + one, two + two):
        assert refused(changed(sealed, encode((wraps, chunks)))) == "damaged"


def test_one_envelope_cannot_say_two_things() -> None:
    """A liar wraps another session key for the second recipient: he is told, whatever its content would be."""
    first, second = to(P256, 1), to(P256, 2)
    sealed = sealed_for(first, second)
    wraps, content = parts(sealed)
    bound = sealed.header.bound_hash(GENESIS, SENDER)
    key, read_key = os.urandom(32), sealed.read_keys[1]
    for commitment in (tagged_hash(b"nexus/session", key), sealed.header.key_commitment):
        forged = changed(sealed, encode(((wraps[0], wrapped(key + commitment + read_key, second, bound)), content)))
        assert opened(forged, 0) == b"hello"
        assert refused(forged, 1) == "key_differs"


def test_a_receipt_is_known_to_sender_and_recipient_alone() -> None:
    first, second = to(P256, 1), to(P256, 2)
    sealed = sealed_for(first, second)
    for place in (0, 1):
        read_key = with_key(sealed, place, KEYS[P256][0]).read_key
        assert read_key == sealed.read_keys[place]
        assert lock_of(delivered_key(read_key)) == sealed.header.recipients[place].lock
    assert sealed.read_keys[0] != sealed.read_keys[1], "one recipient cannot acknowledge for another"


def test_a_message_that_could_not_be_acknowledged_is_refused() -> None:
    """Else a liar could send what its recipient reads and can never prove to have got."""
    first = to(P256)
    key, read_key = os.urandom(32), os.urandom(32)
    commitment = tagged_hash(b"nexus/session", key)
    header = MessageHeader(0, 600_000, 1, commitment, (Recipient(first.tag, P256, 1, bytes(16)),), ())
    bound = header.bound_hash(GENESIS, SENDER)
    content = AESGCM(key).encrypt(bytes(11) + b"\1", bytes(256), bound)
    envelope = encode(((wrapped(key + commitment + read_key, first, bound),), content))
    assert refused(Sealed(header, envelope, ())) == "false_lock"


def test_padding_is_checked() -> None:
    """A sender who pays for more quanta than he fills, or hides something behind the content, is found out."""
    first = to(P256)
    key = os.urandom(32)
    commitment = tagged_hash(b"nexus/session", key)
    read_key = os.urandom(32)
    recipient = Recipient(first.tag, P256, 1, lock_of(delivered_key(read_key)))
    header = MessageHeader(0, 600_000, 2, commitment, (recipient,), ())
    bound = header.bound_hash(GENESIS, SENDER)
    wrap = wrapped(key + commitment + read_key, first, bound)
    for size, rest in ((5, b"hello"), (508, b"hello" + b"x" * 503 + b"y"), (505, b"hello"), (9_999, b""), (0, b"")):
        padded = (size.to_bytes(4) + rest).ljust(512, b"\0")[:512]
        envelope = encode(((wrap,), AESGCM(key).encrypt(bytes(11) + b"\1", padded, bound)))
        if size in (508, 505):
            assert len(opened(Sealed(header, envelope, ()))) == size
        else:
            assert refused(Sealed(header, envelope, ())) == "bad_form"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"quanta": 0}, "too_large"),
        ({"quanta": 1 << 63}, "too_large"),
        ({"quanta": 256}, "too_large"),
        ({"key_commitment": b"short"}, "bad_form"),
        ({"recipients": ()}, "bad_form"),
        ({"recipients": ((bytes(16), P256, 1, bytes(16)),) * 2}, "bad_form"),
        ({"recipients": tuple((bytes([i]) * 16, P256, 1, bytes(16)) for i in range(MAX_RECIPIENTS + 1))}, "bad_form"),
        ({"recipients": ((bytes(16), 99, 1, bytes(16)),)}, "unknown_suite"),
        ({"recipients": ((bytes(15), P256, 1, bytes(16)),)}, "bad_form"),
        ({"recipients": ((bytes(16), P256, 1, bytes(15)),)}, "bad_form"),
        ({"recipients": ((bytes(16), P256, 1),)}, "bad_form"),
        ({"parents": (bytes(32), bytes(32))}, "bad_form"),
        ({"parents": tuple(bytes([i]) * 32 for i in range(5))}, "bad_form"),
        ({"parents": (b"",)}, "bad_form"),
    ],
)
def test_headers_that_can_never_be_right(change: dict[str, object], code: str) -> None:
    header = MessageHeader(0, 600_000, 1, bytes(32), (Recipient(bytes(16), P256, 1, bytes(16)),), ())
    with pytest.raises(MessageError) as error:
        MessageHeader.from_value(header._replace(**change).value())  # type: ignore[arg-type]
    assert error.value.code == code


@given(st.recursive(st.none() | st.integers(0, 2**64 - 1) | st.binary() | st.text(), lambda x: st.lists(x).map(tuple)))
@settings(max_examples=200)
def test_anything_else_is_no_header(value: object) -> None:
    with pytest.raises(MessageError):
        MessageHeader.from_value(value)  # type: ignore[arg-type]


def test_the_secret_of_a_key_is_not_shown() -> None:
    secret, _ = suites.generate(P256)
    assert isinstance(secret, Secret)
    assert repr(secret) == "Secret(hidden)"
    assert envelope_hash(b"") != envelope_hash(b"\0")
