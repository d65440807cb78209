"""A real one-validator chain in a profile's folder, for tests that read what real blocks write."""

from __future__ import annotations

from pathlib import Path

from node.consensus import duties
from node.consensus.dagblocks import Step
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
from node.service.core import batch_of
from node.service.founding import found_network, read_genesis
from node.service.restoring import open_engine
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
        self.engine, _ = open_engine(self.genesis, self.database, numpy=False)
        key = load_validator_key(self.paths.validator_key)
        assert key is not None
        self._key = key

    def block(self, *transactions: SignedTransaction, slot: int | None = None) -> Step:
        """Make and write a block on the tip."""
        slot = self.engine.tip.slot + 1 if slot is None else slot
        block = duties.make_block(
            self.engine, VALIDATOR.address, slot, transactions, self._key.reveals.preimage, self._key.sign
        )
        progress = self.engine.add(block, slot)
        self.database.advance(batch_of(progress, self.engine))
        (step,) = progress.applied
        assert not step.skipped
        return step

    def vote(self) -> None:
        """Vote for every checkpoint that is due."""
        voted = (0, 0)
        while (target := duties.target_to_vote(self.engine, *voted)) is not None:
            vote = duties.make_vote(self.engine, VALIDATOR.address, target, self._key.sign_digest)
            assert vote is not None
            voted = target.source.number, target.number
            self.database.advance(batch_of(self.engine.add_vote(vote), self.engine))
