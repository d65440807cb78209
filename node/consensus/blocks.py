"""Blocks: header and body (protocol section 4).

Header = [version, genesis hash, parents, slot, seat, creator, region, reveal, body root, state commitment of the
selected parent, wave signature, signature]; body = [transactions, votes].
"""

from __future__ import annotations

from typing import NamedTuple, cast

from node.consensus.votes import MAX_VOTES, Vote, VoteError
from node.encoding.canonical import EncodingError, Value, decode, pack
from node.encoding.hashing import tagged_hash
from node.ledger.types import SignedTransaction, TransactionError
from node.light.signature import DIGEST_SIZES, WaveSignature
from node.light.spectrum import VISIBLE

BLOCK_VERSION = 2
MAX_PARENTS = 10
MAX_HEADER = 1024
_MAX_SLOT = 1 << 48


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
    wave: WaveSignature
    signature: bytes

    def encoded(self) -> bytes:
        """Canonical bytes of the whole header."""
        return pack((*self[:10], tuple(self.wave), self.signature))

    def unwaved(self) -> bytes:
        """What the wave signature is computed from: the header without it and without the signature."""
        return pack(tuple(self[:10]))

    @property
    def id(self) -> bytes:
        """The block's id: the tagged hash of the whole header."""
        return header_id(self.encoded())

    def signing_hash(self) -> bytes:
        """The 32 bytes that the creator's consensus key signs."""
        return tagged_hash(b"nexus/header", self.genesis, pack((*self[:10], tuple(self.wave))))

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
        if tuple(map(type, value)) != _SHAPE or tuple(map(type, cast("tuple[Value, ...]", value[10]))) != _WAVE_SHAPE:
            raise BlockError("bad_header", "The header does not have the fields of its version.")
        wave = WaveSignature._make(cast("tuple[Value, ...]", value[10]))
        header = cls._make((*value[:10], wave, value[11]))
        hashes, parents = (header.genesis, header.reveal, header.body_root, header.state_commitment), header.parents
        if {*map(len, hashes)} != {32} or len(header.signature) != 64:
            raise BlockError("bad_header", "A hash or the signature in the header has a wrong length.")
        if not len(parents) <= MAX_PARENTS or {*map(type, parents)} != {bytes} or {*map(len, parents)} != {32}:
            raise BlockError("bad_parents", f"A block names 1 to {MAX_PARENTS} parents by their ids.")
        if len(set(parents)) != len(parents):
            raise BlockError("bad_parents", "A block names a parent twice.")
        if header.region >= len(VISIBLE):
            raise BlockError("bad_region", "The header names a region that does not exist.")
        if len(wave.digest) != DIGEST_SIZES[header.region]:
            raise BlockError("bad_wave", "The wave signature's digest has not the length of its region's hash.")
        if header.slot >= _MAX_SLOT:
            raise BlockError("bad_header", "The header's slot is no slot.")
        return header


_SHAPE = (int, bytes, tuple, int, int, bytes, int, bytes, bytes, bytes, tuple, bytes)
_WAVE_SHAPE = (int, int, int, int, int, bytes)


def header_id(encoded: bytes) -> bytes:
    """The id of the block with this encoded header."""
    return tagged_hash(b"nexus/block", encoded)


class Block:
    """A header and its body: transactions and votes. Immutable."""

    __slots__ = ("header", "header_bytes", "id", "transactions", "votes")

    def __init__(
        self,
        header: Header,
        transactions: tuple[SignedTransaction, ...],
        votes: tuple[Vote, ...] = (),
        header_bytes: bytes | None = None,
    ) -> None:
        """`header_bytes` are the header's canonical bytes, where they are at hand."""
        self.header = header
        self.transactions = transactions
        self.votes = votes
        self.header_bytes = header_bytes or header.encoded()
        self.id = header_id(self.header_bytes)

    def body(self) -> bytes:
        """Canonical bytes of the body."""
        return encode_body(self.transactions, self.votes)

    @classmethod
    def decode(cls, header: bytes, body: bytes, max_body: int, decoded: Header | None = None) -> Block:
        """Parse a block from outside: form only. `decoded` is the header, where it was parsed before. Raises BlockError
        or TransactionError."""
        return cls(decoded or Header.decode(header), *decode_body(body, max_body), header)


def encode_body(transactions: tuple[SignedTransaction, ...], votes: tuple[Vote, ...]) -> bytes:
    """Canonical bytes of a body."""
    return pack((tuple(item.raw for item in transactions), tuple(tuple(vote) for vote in votes)))


def decode_body(body: bytes, max_body: int) -> tuple[tuple[SignedTransaction, ...], tuple[Vote, ...]]:
    """Transactions and votes of a body from outside: form only. Raises BlockError or TransactionError."""
    try:
        value = decode(body, max_body)
    except EncodingError as error:
        raise BlockError("bad_body", f"The body's bytes are not canonical: {error}") from None
    if type(value) is not tuple or len(value) != 2 or type(value[0]) is not tuple or type(value[1]) is not tuple:
        raise BlockError("bad_body", "A body is a list of transactions and a list of votes.")
    if len(value[1]) > MAX_VOTES:
        raise BlockError("bad_body", f"A body carries at most {MAX_VOTES} votes.")
    try:
        votes = tuple(Vote.from_value(item) for item in value[1])
    except VoteError as error:
        raise BlockError("bad_vote", str(error)) from None
    return tuple(_transaction(item) for item in value[0]), votes


def _transaction(raw: Value) -> SignedTransaction:
    if type(raw) is not bytes:
        raise TransactionError("bad_form", "A transaction in a body is not bytes.")
    return SignedTransaction.from_raw(raw)


def body_root(transactions: tuple[SignedTransaction, ...], votes: tuple[Vote, ...]) -> bytes:
    """What a header commits to: the hash of the transactions' wids and of the votes, in order."""
    return tagged_hash(
        b"nexus/body", pack((tuple(item.wid for item in transactions), tuple(tuple(vote) for vote in votes)))
    )
