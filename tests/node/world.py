"""A small network to test with: keys that sign, payments, and a chain whose validator everybody knows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, mldsa, utils
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from node.consensus.blocks import Block
from node.consensus.chain import Applied, Chain, Tip
from node.consensus.reveals import RevealChain
from node.encoding.address import raw_address
from node.encoding.amounts import UNITS_PER_NXT
from node.ledger.execution import Receipt
from node.ledger.genesis import Allocation, Founder, Genesis, initial_state, make_genesis
from node.ledger.signatures import Verdicts, low_s
from node.ledger.state import State, Tables, waves_of
from node.ledger.types import (
    MULTI_TRANSFER,
    SIGNATURE_SIZES,
    TRANSFER,
    SignedTransaction,
    Transaction,
    multi_transfer_payload,
    transfer_payload,
)

NEVER = 1 << 40
NXT = UNITS_PER_NXT
_ECDSA = ec.ECDSA(hashes.SHA256())


class Key:
    """A P-256 key and its account."""

    scheme = 0

    def __init__(self, number: int) -> None:
        self.private = ec.derive_private_key(number, ec.SECP256R1())
        self.key = self.private.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
        self.address = raw_address(self.scheme, self.key)

    def sign(self, message: bytes) -> bytes:
        r, s = utils.decode_dss_signature(self.private.sign(message, _ECDSA))
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


def new_chain(genesis: Genesis) -> Chain:
    """A chain that stands at its genesis."""
    state = initial_state(genesis)
    return Chain(genesis, state, waves_of(state), Tip(0, genesis.hash, 0), Verdicts())


def led_slot(chain: Chain, after: int) -> tuple[int, int]:
    """The first slot past `after` that somebody leads, and the number of that validator."""
    ids = {key(VALIDATORS + number).address: number for number in range(len(chain.table.validators))}
    leader = chain.table.leader(after + 1, 0)
    assert leader is not None
    return after + 1, ids[leader]


def make(
    chain: Chain, transactions: Iterable[SignedTransaction] = (), slot: int | None = None
) -> tuple[Applied | None, tuple[Receipt, ...]]:
    """The chain's next block, by whoever leads its slot (the one after the tip unless given)."""
    slot, number = led_slot(chain, chain.tip.slot if slot is None else slot - 1)
    owner = key(VALIDATORS + number)
    return chain.produce(slot, owner.address, reveals(number).preimage, owner.sign, transactions)


def made(chain: Chain, *transactions: SignedTransaction, slot: int | None = None) -> Applied:
    """As `make`, for a block that must come to be with all of its transactions."""
    applied, skipped = make(chain, transactions, slot)
    assert applied is not None
    assert not skipped
    return applied


def through_the_wire(block: Block, max_body: int = 1 << 20) -> Block:
    """A block as another node reads it."""
    return Block.decode(block.header.encoded(), block.body(), max_body)


def contents(state: State) -> Tables:
    """All records, copied; tables without any are left out."""
    return {name: dict(rows) for name, rows in state.tables.items() if rows}
