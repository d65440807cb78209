"""Sealing and opening: one content for one or many, end to end (protocol section 9).

A fresh AES-256-GCM session key seals the padded content in chunks; for each recipient HPKE wraps that key together with
its commitment, because GCM does not commit to its key: without it one envelope could say different things to different
people. Everything is bound to the header, its sender and the network. Who wrote it, the transaction's signature shows.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple, cast

from node.encoding.canonical import EncodingError, Value, decode, pack
from node.encoding.hashing import tagged_hash
from node.encoding.message import (
    CHUNK,
    ENCAPSULATED,
    LENGTH_SIZE,
    MAX_ENVELOPE,
    MessageError,
    MessageHeader,
    Recipient,
    delivered_key,
    envelope_hash,
    lock_of,
    quanta_of,
)
from wallet import suites
from wallet.secret import Secret

_KEY, _COMMITMENT, _READ = 32, 32, 32
_TAG = 16  # of GCM
_INFO = b"nexus/wrap"


class Sealed(NamedTuple):
    """The header for all to see, the envelope for its recipients, and, for the sender alone, what each of them will
    show when he has read it."""

    header: MessageHeader
    envelope: bytes
    read_keys: tuple[bytes, ...]

    @property
    def commitment(self) -> bytes:
        """The envelope's hash."""
        return envelope_hash(self.envelope)


class To(NamedTuple):
    """A recipient: a tag that he knows again, and a kind of KEM with its public key out of his bundle."""

    tag: bytes
    kem: int
    bundle: int
    public_key: bytes


class Opened(NamedTuple):
    """What a recipient gets: the content, and what he shows once he has read it (`node.encoding.message`)."""

    content: bytes
    read_key: bytes


def seal(
    content: bytes,
    recipients: Sequence[To],
    *,
    genesis: bytes,
    sender: bytes,
    orbit: int,
    wavelength: int,
    parents: tuple[bytes, ...] = (),
) -> Sealed:
    """Seal content for recipients, in their order. `sender` is the raw address whose transaction will carry it.

    Raises MessageError: too_large, bad_form, unknown_suite, or bad_key for a public key that is none.
    """
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    session = Secret(os.urandom(_KEY))
    commitment = _key_commitment(session)
    read_keys = [os.urandom(_READ) for _ in recipients]
    fields = MessageHeader(
        orbit,
        wavelength,
        quanta_of(len(content), len(recipients)),
        commitment,
        tuple(
            Recipient(to.tag, to.kem, to.bundle, lock_of(delivered_key(read_key)))
            for to, read_key in zip(recipients, read_keys, strict=True)
        ),
        parents,
    )
    header = MessageHeader.from_value(fields.value())  # as everybody will read it
    bound = header.bound_hash(genesis, sender)
    wraps = []
    for to, read_key in zip(recipients, read_keys, strict=True):
        try:
            key = suites.public_key(to.kem, to.public_key)
            wraps.append(suites.suite(to.kem).encrypt(session.reveal() + commitment + read_key, key, _INFO + bound))
        except ValueError as error:
            raise MessageError("bad_key", f"A recipient's key cannot be used: {error}") from None
    padded = (len(content).to_bytes(LENGTH_SIZE) + content).ljust(header.content_size, b"\0")
    cipher = AESGCM(session.reveal())
    session.wipe()
    last = (len(padded) - 1) // CHUNK
    sealed = b"".join(
        cipher.encrypt(_nonce(index, index == last), padded[index * CHUNK : (index + 1) * CHUNK], bound)
        for index in range(last + 1)
    )
    return Sealed(header, pack((tuple(wraps), sealed)), tuple(read_keys))


def unseal(
    header: MessageHeader,
    envelope: bytes,
    place: int,
    secret: Secret,
    *,
    commitment: bytes,
    genesis: bytes,
    sender: bytes,
) -> Opened:
    """The content, for the recipient at `place` of the header, whose private key `secret` is of the kind named there.

    `commitment` is the one in the signed transaction, `sender` whose transaction it is. Raises MessageError, and gives
    no part of the content then: other_envelope, bad_form, wrong_key, key_differs, false_lock, damaged.
    """
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    if len(envelope) != header.envelope_size or envelope_hash(envelope) != commitment:
        raise MessageError("other_envelope", "The envelope is not the one that was paid for.")
    wraps, content = _parts(envelope, header)
    bound = header.bound_hash(genesis, sender)
    kem = header.recipients[place].kem
    try:
        opened = suites.suite(kem).decrypt(wraps[place], suites.private_key(kem, secret), _INFO + bound)
    except (InvalidTag, ValueError):
        raise MessageError("wrong_key", "The message is not sealed for this key, or was changed.") from None
    session, found, read_key = Secret(opened[:_KEY]), opened[_KEY:-_READ], opened[-_READ:]
    if not found == _key_commitment(session) == header.key_commitment:
        raise MessageError("key_differs", "The key inside is not the header's: not everybody would read the same.")
    if lock_of(delivered_key(read_key)) != header.recipients[place].lock:
        raise MessageError("false_lock", "The message could not be acknowledged: its lock is none.")
    cipher = AESGCM(session.reveal())
    session.wipe()
    size = CHUNK + _TAG
    last = (len(content) - 1) // size
    try:
        padded = b"".join(
            cipher.decrypt(_nonce(index, index == last), content[index * size : (index + 1) * size], bound)
            for index in range(last + 1)
        )
    except InvalidTag:
        raise MessageError("damaged", "The message was changed on its way.") from None
    return Opened(_unpadded(padded), read_key)


def _parts(envelope: bytes, header: MessageHeader) -> tuple[tuple[bytes, ...], bytes]:
    try:
        value = decode(envelope, MAX_ENVELOPE)
    except EncodingError:
        value = None
    if type(value) is not tuple or tuple(map(type, value)) != (tuple, bytes):
        raise MessageError("bad_form", "The envelope is none: it does not hold wraps and a content.")
    wraps, content = cast("tuple[tuple[Value, ...], bytes]", value)
    sizes = [ENCAPSULATED[item.kem] + _KEY + _COMMITMENT + _READ + _TAG for item in header.recipients]
    if any(type(wrap) is not bytes for wrap in wraps) or [len(cast(bytes, wrap)) for wrap in wraps] != sizes:
        raise MessageError("bad_form", "The envelope does not hold one wrap for each recipient.")
    return cast("tuple[bytes, ...]", wraps), content


def _unpadded(padded: bytes) -> bytes:
    size = int.from_bytes(padded[:LENGTH_SIZE])
    content, padding = padded[LENGTH_SIZE : LENGTH_SIZE + size], padded[LENGTH_SIZE + size :]
    if len(content) != size or quanta_of(size, 1) != quanta_of(len(padded) - LENGTH_SIZE, 1) or any(padding):
        raise MessageError("bad_form", "The content is not padded as it must be.")
    return content


def _key_commitment(session: Secret) -> bytes:
    return tagged_hash(b"nexus/session", session.reveal())


def _nonce(index: int, last: bool) -> bytes:
    """11 bytes of chunk index, and whether it is the last: chunks cannot change places or be left out."""
    return index.to_bytes(11) + bytes((last,))
