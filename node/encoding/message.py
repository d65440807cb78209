"""What everybody sees of a message: its header, and how long its envelope must be (protocol sections 3 and 9).

The envelope, which only its recipients can open (`wallet.sealing`), travels beside the block by its hash. Its length
follows from the header alone, so that nobody declares a short message and sends a long one: the price goes by quanta
of 256 bytes, and validity never looks at an envelope.

A receipt is a preimage. The wrap of each recipient holds 32 random bytes; shown, they say *read*, and their hash says
*delivered*; the hash of that is the recipient's lock in the header.
"""

from __future__ import annotations

from typing import NamedTuple, cast

from node.encoding.canonical import Value, pack
from node.encoding.hashing import tagged_hash

QUANTUM = 256
MAX_ENVELOPE = 64 << 10
MAX_RECIPIENTS = 32
MAX_PARENTS = 4
TAG_SIZE = 16
LOCK_SIZE = 16
"""128 bits against a second preimage."""
LENGTH_SIZE = 4
"""The padded content begins with its length."""
CHUNK = 16 << 10
"""Content sealed at a time."""
_GCM = 16
_WRAPPED = 96  # session key, its commitment, and what the recipient acknowledges with

P256, P384, P521, MLKEM768_X25519, MLKEM1024_P384 = 1, 2, 3, 4, 5
"""Kinds of KEM, as headers and bundles name them."""
ENCAPSULATED = {P256: 65, P384: 97, P521: 133, MLKEM768_X25519: 1_120, MLKEM1024_P384: 1_665}
"""Bytes that each puts before what it seals."""


class MessageError(ValueError):
    """A message that can never be right; `code` names the rule."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Recipient(NamedTuple):
    """For whom a wrap is: a tag that he knows again, the kind of KEM, the version of his bundle, and the lock that
    only he and the sender can open."""

    tag: bytes
    kem: int
    bundle: int
    lock: bytes


class MessageHeader(NamedTuple):
    """`orbit` is the class of the content as it is priced (0 text, 1 link, 2 image, 3 video or file), `wavelength` in
    pm, `key_commitment` that of the session key, `parents` are the commitments of earlier messages it follows."""

    orbit: int
    wavelength: int
    quanta: int
    key_commitment: bytes
    recipients: tuple[Recipient, ...]
    parents: tuple[bytes, ...]

    @property
    def content_size(self) -> int:
        """Bytes of the padded content: each recipient after the first costs a quantum, and brings no content."""
        return (self.quanta - (len(self.recipients) - 1)) * QUANTUM

    @property
    def envelope_size(self) -> int:
        """The exact length of the envelope."""
        chunks = -(-self.content_size // CHUNK)
        wraps = [ENCAPSULATED[item.kem] + _WRAPPED + _GCM for item in self.recipients]
        lengths = (*wraps, self.content_size + chunks * _GCM)
        heads = 1 + (1 if len(wraps) < 16 else 3)  # of the pair, and of the list of wraps
        return heads + sum(size + _head_of(size) for size in lengths)

    def bound_hash(self, genesis: bytes, sender: bytes) -> bytes:
        """What the wraps and the content are bound to: this header, its sender (raw address) and its network. So
        nobody can send somebody else's envelope as his own."""
        return tagged_hash(b"nexus/message", genesis, pack((sender, self.value())))

    def value(self) -> Value:
        """The header as it stands in a transaction."""
        recipients: tuple[Value, ...] = tuple(tuple(item) for item in self.recipients)
        return (self.orbit, self.wavelength, self.quanta, self.key_commitment, recipients, self.parents)

    @classmethod
    def from_value(cls, value: Value) -> MessageHeader:
        """A header from a decoded value. Raises MessageError."""
        shape = (int, int, int, bytes, tuple, tuple)
        if type(value) is not tuple or tuple(map(type, value)) != shape:
            raise _form("its header has other fields")
        orbit, wavelength, quanta, key, rows, parents = cast(
            "tuple[int, int, int, bytes, tuple[Value, ...], tuple[bytes, ...]]", value
        )
        if not 0 < len(rows) <= MAX_RECIPIENTS:
            raise _form(f"it is for 1 to {MAX_RECIPIENTS} recipients")
        if len(key) != 32 or len(parents) > MAX_PARENTS or any(_is_no_hash(item) for item in parents):
            raise _form("a hash in it has a wrong length, or it follows too many others")
        if len(set(parents)) != len(parents):
            raise _form("it follows a message twice")
        header = cls(orbit, wavelength, quanta, key, tuple(map(_recipient, rows)), parents)
        if len({item.tag for item in header.recipients}) != len(header.recipients):
            raise _form("it names a recipient twice")
        # Before any product of it: an integer from outside may have 64 bits.
        if not len(rows) <= quanta <= MAX_ENVELOPE // QUANTUM + MAX_RECIPIENTS or header.envelope_size > MAX_ENVELOPE:
            raise MessageError("too_large", f"A message's envelope has at most {MAX_ENVELOPE} bytes.")
        return header


def quanta_of(content: int, recipients: int) -> int:
    """The quanta of so many bytes of content for so many recipients."""
    return -(-(content + LENGTH_SIZE) // QUANTUM) + recipients - 1


def delivered_key(read_key: bytes) -> bytes:
    """What says that a message was delivered; what it comes from says that it was read."""
    return tagged_hash(b"nexus/delivered", read_key)


def lock_of(delivered: bytes) -> bytes:
    """The lock that a receipt opens. Relays check it without learning anything: only whoever opened the envelope, and
    its sender, can know what opens it; so the sender can rely on a receipt and prove nothing by it."""
    return tagged_hash(b"nexus/receipt", delivered, size=LOCK_SIZE)


def envelope_hash(envelope: bytes) -> bytes:
    """The commitment to an envelope: what its transaction names, and later messages as their parent."""
    return tagged_hash(b"nexus/envelope", envelope)


def _recipient(row: Value) -> Recipient:
    if type(row) is not tuple or tuple(map(type, row)) != (bytes, int, int, bytes):
        raise _form("a recipient is a tag, a kind of key, a version and a lock")
    found = Recipient._make(cast("tuple[bytes, int, int, bytes]", row))
    if len(found.tag) != TAG_SIZE or len(found.lock) != LOCK_SIZE:
        raise _form(f"a recipient's tag has {TAG_SIZE} bytes, his lock {LOCK_SIZE}")
    if found.kem not in ENCAPSULATED:
        raise MessageError("unknown_suite", f"Keys of kind {found.kem} are not known here; is this program too old?")
    return found


def _is_no_hash(item: object) -> bool:
    return type(item) is not bytes or len(item) != 32


def _head_of(size: int) -> int:
    """Bytes of MessagePack's head before so many bytes."""
    return 2 if size < 1 << 8 else 3 if size < 1 << 16 else 5


def _form(what: str) -> MessageError:
    return MessageError("bad_form", f"The message is malformed: {what}.")
