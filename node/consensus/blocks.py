"""Blocks: header and body (protocol section 4).

Header = [version, genesis hash, parents, slot, seat, creator, region, reveal, body root, state commitment of the
selected parent, signature]; body = [transactions, votes]. Version 1 has one parent, no votes and no wave signature.
"""

from __future__ import annotations

from typing import NamedTuple

from node.encoding.canonical import EncodingError, Value, decode, pack
from node.encoding.hashing import tagged_hash
from node.ledger.types import SignedTransaction, TransactionError
from node.light.spectrum import VISIBLE

BLOCK_VERSION = 1
MAX_PARENTS = 10
MAX_HEADER = 1024


class BlockError(ValueError):
    """A block that breaks a rule; `code` names the rule."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Header(NamedTuple):
    """A block's header; `creator` is the validator's id, `region` an index of the visible regions."""

    version: int
    genesis: bytes
    parents: tuple[bytes, ...]
    slot: int
    seat: int
    creator: bytes
    region: int
    reveal: bytes
    body_root: bytes
    state_commitment: bytes
    signature: bytes

    def encoded(self) -> bytes:
        """Canonical bytes of the whole header."""
        return pack(tuple(self))

    @property
    def id(self) -> bytes:
        """The block's id: the tagged hash of the whole header."""
        return tagged_hash(b"nexus/block", self.encoded())

    def signing_hash(self) -> bytes:
        """The 32 bytes that the creator's consensus key signs."""
        return tagged_hash(b"nexus/header", self.genesis, pack(tuple(self[:-1])))

    @classmethod
    def decode(cls, data: bytes) -> Header:
        """Parse a header from outside. Raises BlockError, naming what is wrong."""
        try:
            value = decode(data, MAX_HEADER)
        except EncodingError as error:
            raise BlockError("bad_header", f"The header's bytes are not canonical: {error}") from None
        if type(value) is not tuple or not value or type(value[0]) is not int:
            raise BlockError("bad_header", "The header is malformed.")
        if value[0] != BLOCK_VERSION:
            raise BlockError(
                "other_version",
                f"The block follows rule version {value[0]}, this program version {BLOCK_VERSION}.",
            )
        if len(value) != len(_SHAPE) or any(type(item) is not kind for item, kind in zip(value, _SHAPE, strict=True)):
            raise BlockError("bad_header", "The header does not have the fields of its version.")
        header = cls._make(value)
        sizes = ((header.genesis, 32), (header.reveal, 32), (header.body_root, 32), (header.state_commitment, 32))
        if any(len(item) != size for item, size in (*sizes, (header.signature, 64))):
            raise BlockError("bad_header", "A hash or the signature in the header has a wrong length.")
        if not 1 <= len(header.parents) <= MAX_PARENTS or any(
            type(parent) is not bytes or len(parent) != 32 for parent in header.parents
        ):
            raise BlockError("bad_parents", f"A block names 1 to {MAX_PARENTS} parents by their ids.")
        if header.region >= len(VISIBLE):
            raise BlockError("bad_region", "The header names a region that does not exist.")
        return header


_SHAPE = (int, bytes, tuple, int, int, bytes, int, bytes, bytes, bytes, bytes)


class Block(NamedTuple):
    """A header and the transactions of its body."""

    header: Header
    transactions: tuple[SignedTransaction, ...]

    def body(self) -> bytes:
        """Canonical bytes of the body."""
        return pack((tuple(item.raw for item in self.transactions), ()))

    @classmethod
    def decode(cls, header: bytes, body: bytes, max_body: int) -> Block:
        """Parse a block from outside: form only. Raises BlockError or TransactionError."""
        try:
            value = decode(body, max_body)
        except EncodingError as error:
            raise BlockError("bad_body", f"The body's bytes are not canonical: {error}") from None
        if type(value) is not tuple or len(value) != 2 or type(value[0]) is not tuple or value[1] != ():
            raise BlockError("bad_body", "A body is a list of transactions and an empty list of votes.")
        return cls(Header.decode(header), tuple(_transaction(item) for item in value[0]))


def _transaction(raw: Value) -> SignedTransaction:
    if type(raw) is not bytes:
        raise TransactionError("bad_form", "A transaction in a body is not bytes.")
    return SignedTransaction.from_raw(raw)


def body_root(transactions: tuple[SignedTransaction, ...]) -> bytes:
    """What a header commits to: the hash of the transactions' wids, in order, and of the votes."""
    return tagged_hash(b"nexus/body", pack((tuple(item.wid for item in transactions), ())))
