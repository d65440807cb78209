"""A real one-validator chain in a profile's folder, for tests that read what real blocks write."""

from __future__ import annotations

from pathlib import Path

from node.consensus.chain import Applied
from node.encoding.address import P256, raw_address
from node.encoding.amounts import UNITS_PER_NXT
from node.ledger.genesis import Allocation
from node.ledger.types import (
    MULTI_TRANSFER,
    TRANSFER,
    SignedTransaction,
    Transaction,
    multi_transfer_payload,
    transfer_payload,
)
from node.profile.paths import ProfilePaths
from node.service.core import batch_of, load_chain
from node.service.founding import found_network, read_genesis
from node.service.validator_key import ValidatorKey, load_validator_key
from node.storage.chain import ChainDatabase

START_MS = 1_700_000_000_000


class Person:
    """An account with its key."""

    def __init__(self, number: int) -> None:
        self._key = ValidatorKey(number, b"\0" * 32)  # any P-256 key signs in the same way
        self.public_key = self._key.public_key
        self.address = raw_address(P256, self.public_key)

    def pays(
        self,
        genesis: bytes,
        nonce: int,
        outputs: tuple[tuple[bytes, int], ...],
        memo: str = "",
        expiry: int = 10_000,
    ) -> SignedTransaction:
        """A payment to one or several."""
        kind = TRANSFER if len(outputs) == 1 else MULTI_TRANSFER
        payload = transfer_payload(*outputs[0], memo) if kind == TRANSFER else multi_transfer_payload(outputs, memo)
        body = Transaction(genesis, kind, P256, self.public_key, nonce, expiry, 0, payload)
        return body.signed(self._key.sign(body.signing_hash()))


ALICE, BOB, CAROL, VALIDATOR = (Person(number) for number in (11, 22, 33, 44))


class Network:
    """A profile whose chain grows by hand."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True)
        self.paths = ProfilePaths("test", folder)
        found_network(
            self.paths,
            "solo",
            START_MS,
            (
                Allocation(ALICE.address, 1_000 * UNITS_PER_NXT, "Alice"),
                Allocation(VALIDATOR.address, UNITS_PER_NXT, "V"),
            ),
            VALIDATOR.address,
            1_000 * UNITS_PER_NXT,
        )
        self.genesis = read_genesis(self.paths)
        self.database = ChainDatabase.open(self.paths.chain_db)
        self.chain = load_chain(self.genesis, self.database, numpy=False)
        key = load_validator_key(self.paths.validator_key)
        assert key is not None
        self._key = key

    def block(self, *transactions: SignedTransaction, slot: int | None = None) -> Applied:
        """Make and write a block; an empty one needs a heartbeat slot."""
        applied, _ = self.chain.produce(
            self.chain.tip.slot + 1 if slot is None else slot,
            VALIDATOR.address,
            self._key.reveals.preimage,
            self._key.sign,
            transactions,
        )
        assert applied is not None
        self.database.apply_block(batch_of(applied, self.chain))
        return applied
