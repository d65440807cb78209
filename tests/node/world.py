"""A small network to test with: keys that sign, payments, and a chain whose validator everybody knows."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, mldsa, utils
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from node.consensus import duties
from node.consensus.blocks import Block
from node.consensus.engine import Engine
from node.consensus.reveals import RevealChain
from node.consensus.votes import Vote, VoteVerdicts
from node.encoding.address import raw_address
from node.encoding.amounts import UNITS_PER_NXT
from node.ledger.genesis import Allocation, Founder, Genesis, make_genesis
from node.ledger.signatures import Verdicts, low_s
from node.ledger.state import State, Tables
from node.ledger.types import (
    MULTI_TRANSFER,
    SIGNATURE_SIZES,
    TRANSFER,
    SignedTransaction,
    Transaction,
    multi_transfer_payload,
    transfer_payload,
)
from node.light.signature import wave_signature

NEVER = 1 << 40
NXT = UNITS_PER_NXT
# RFC 6979: the same test makes the same blocks every time.
_ECDSA = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
_PREHASHED = ec.ECDSA(utils.Prehashed(hashes.SHA256()), deterministic_signing=True)
_ANEW = ec.ECDSA(hashes.SHA256())


class Key:
    """A P-256 key and its account."""

    scheme = 0

    def __init__(self, number: int) -> None:
        self.private = ec.derive_private_key(number, ec.SECP256R1())
        self.key = self.private.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
        self.address = raw_address(self.scheme, self.key)

    def sign(self, message: bytes, anew: bool = False) -> bytes:
        """`anew` gives another good signature each time."""
        r, s = utils.decode_dss_signature(self.private.sign(message, _ANEW if anew else _ECDSA))
        return low_s(r.to_bytes(32) + s.to_bytes(32))

    def sign_digest(self, digest: bytes) -> bytes:
        """As a vote is signed: the 32 bytes themselves."""
        r, s = utils.decode_dss_signature(self.private.sign(digest, _PREHASHED))
        return low_s(r.to_bytes(32) + s.to_bytes(32))


class QuantumKey:
    """An ML-DSA-65 key and its account."""

    scheme = 1

    def __init__(self, number: int) -> None:
        self.private = mldsa.MLDSA65PrivateKey.from_seed_bytes(number.to_bytes(32))
        self.key = self.private.public_key().public_bytes_raw()
        self.address = raw_address(self.scheme, self.key)

    def sign(self, message: bytes) -> bytes:
        return self.private.sign(message)


@cache
def key(number: int) -> Key:
    """The key with a number from 1 on."""
    return Key(number)


@cache
def quantum_key(number: int) -> QuantumKey:
    """The quantum-safe key with a number."""
    return QuantumKey(number)


@cache
def reveals(number: int) -> RevealChain:
    """The reveal chain of a validator."""
    return RevealChain(number.to_bytes(32))


def stranger(number: int) -> bytes:
    """An address that nobody has a key for and no genesis funds."""
    return b"\x00" + number.to_bytes(20)


@dataclass(frozen=True)
class Payer:
    """Somebody's key on one network. `signed=False` leaves the signature empty: the ledger does not look at it."""

    genesis: bytes
    key: Key | QuantumKey
    signed: bool = True

    @property
    def address(self) -> bytes:
        return self.key.address

    def transaction(
        self, nonce: int, kind: int, payload: tuple, *, tip: int = 0, expiry: int = NEVER
    ) -> SignedTransaction:
        scheme = self.key.scheme
        body = Transaction(self.genesis, kind, scheme, self.key.key, nonce, expiry, tip, payload)
        if not self.signed:
            return body.signed(bytes(SIGNATURE_SIZES[scheme]))
        return body.signed(self.key.sign(body.signing_hash()))

    def pay(
        self, nonce: int, recipient: bytes, amount: int, memo: str = "", *, tip: int = 0, expiry: int = NEVER
    ) -> SignedTransaction:
        return self.transaction(nonce, TRANSFER, transfer_payload(recipient, amount, memo), tip=tip, expiry=expiry)

    def pay_all(self, nonce: int, *outputs: tuple[bytes, int], memo: str = "", tip: int = 0) -> SignedTransaction:
        return self.transaction(nonce, MULTI_TRANSFER, multi_transfer_payload(outputs, memo), tip=tip)


VALIDATORS = 900  # the numbers of validators' keys begin here


def founder(number: int, stake: int = 1_000 * NXT) -> Founder:
    """A validator whose account and consensus key are the key `VALIDATORS + number`."""
    owner = key(VALIDATORS + number)
    return Founder(owner.address, owner.key, stake, reveals(number).commitment)


@cache
def small_genesis(
    funds: tuple[int, ...] = (1_000 * NXT,) * 5, stakes: tuple[int, ...] = (1_000 * NXT,), **changed: int
) -> Genesis:
    """A network of preset minimal that funds keys 1, 2, …; `changed` are its parameters that differ."""
    allocations = tuple(Allocation(key(number).address, units, "") for number, units in enumerate(funds, 1))
    genesis = make_genesis(
        "minimal", 1_000_000, allocations, tuple(founder(number, stake) for number, stake in enumerate(stakes))
    )
    return replace(genesis, parameters=replace(genesis.parameters, **changed))


class Validator:
    """A node with the key of validator `number`: an engine, and what its key has signed."""

    def __init__(self, genesis: Genesis, number: int, **settings: Any) -> None:
        self.engine = Engine.begin(genesis, numpy=False, **settings)
        self.number = number
        self.key = key(VALIDATORS + number)
        self.voted = (0, 0)

    @property
    def id(self) -> bytes:
        return self.key.address

    def leads(self, slot: int) -> bool:
        return duties.seat_of(self.engine, self.id, slot) is not None

    def block(self, slot: int, *transactions: SignedTransaction) -> Block:
        """Its block of a slot that it leads; not added to its own engine."""
        return duties.make_block(self.engine, self.id, slot, transactions, reveals(self.number).preimage, self.key.sign)

    def vote(self) -> Vote | None:
        """Its vote, if one is due; not added to its own engine."""
        target = duties.target_to_vote(self.engine, *self.voted)
        if target is None:
            return None
        self.voted = target.source.number, target.number
        return duties.make_vote(self.engine, self.id, target, self.key.sign_digest)


class Network:
    """Validators that hear each other at once, in slots that pass as the test says."""

    def __init__(self, genesis: Genesis, **settings: Any) -> None:
        shared = {"verdicts": Verdicts(), "vote_verdicts": VoteVerdicts(), **settings}
        self.genesis = genesis
        self.nodes = [Validator(genesis, number, **shared) for number in range(len(genesis.validators))]
        self.slot = 0
        self.groups: list[list[Validator]] = [self.nodes]
        self.blocks: list[Block] = []
        self.votes: list[Vote] = []

    def pass_slot(self, *transactions: SignedTransaction, silent: Container[int] = ()) -> None:
        """One slot: its leaders make blocks that everybody of their group hears, then all vote."""
        self.slot += 1
        for group in self.groups:
            awake = [node for node in group if node.number not in silent]
            made = [node.block(self.slot, *transactions) for node in awake if node.leads(self.slot)]
            self.tell(group, made)
            self.tell(group, [vote for node in awake if (vote := node.vote()) is not None])

    def tell(self, group: Iterable[Validator], items: Iterable[Block | Vote]) -> None:
        """Everybody of a group hears blocks or votes."""
        for item in items:
            (self.blocks if isinstance(item, Block) else self.votes).append(item)  # type: ignore[arg-type]
            for node in group:
                if isinstance(item, Block):
                    node.engine.add(item, self.slot)
                else:
                    node.engine.add_vote(item)

    def heal(self) -> None:
        """Everybody hears everything."""
        self.groups = [self.nodes]
        blocks, votes, self.blocks, self.votes = self.blocks, self.votes, [], []
        self.tell(self.nodes, blocks)
        self.tell(self.nodes, votes)


def forge(block: Block, number: int, *, anew: bool = False, **changed: Any) -> Block:
    """A block with other header fields, and all that follows from them done anew, signed by validator `number`.

    `anew` gives another signature even over the same content.
    """
    header = block.header._replace(**changed)
    if "wave" not in changed:
        wave = wave_signature(header.unwaved(), header.region, header.wave.amplitude, header.slot)
        header = header._replace(wave=wave)
    signature = key(VALIDATORS + number).sign(header.signing_hash(), anew)
    return Block(header._replace(signature=signature), block.transactions, block.votes)


def through_the_wire(block: Block, max_body: int = 1 << 20) -> Block:
    """A block as another node reads it."""
    return Block.decode(block.header_bytes, block.body(), max_body)


def contents(state: State) -> Tables:
    """All records, copied; tables without any are left out."""
    return {name: dict(rows) for name, rows in state.tables.items() if rows}
