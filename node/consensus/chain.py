"""The engine, first form: a chain of blocks with one parent each (protocol section 4).

It judges blocks, executes them, and makes them when its owner leads a seat. State and waves are changed in memory at
once; what must be written is returned, and `revert` takes a block back when that could not be written or another block
wins. The DAG of parents, colouring and votes take this class's place, not its neighbours'.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from node.consensus.blocks import BLOCK_VERSION, Block, BlockError, Header, body_root
from node.consensus.reveals import RevealChecker
from node.consensus.slots import SlotClock
from node.consensus.tables import Table
from node.encoding.address import P256
from node.ledger import epochs, registry, stakes
from node.ledger.execution import SKIPPED, Receipt, execute
from node.ledger.genesis import Genesis
from node.ledger.module import Context
from node.ledger.signatures import Verdicts, verify
from node.ledger.state import Change, State, apply_to_waves
from node.ledger.types import SignedTransaction, TransactionError
from node.light.waves import StateWaves

_BODY_HEAD = 16  # MessagePack heads around the list of transactions
_ITEM_HEAD = 5  # and before each of them, at the most


class Tip(NamedTuple):
    """The newest block of the chain. Height 0 is the genesis, whose id is the genesis hash and whose slot is 0."""

    height: int
    id: bytes
    slot: int


class Applied(NamedTuple):
    """A block that the state now includes, and everything that must be written about it."""

    block: Block
    tip: Tip
    parent: Tip
    epoch: int
    receipts: tuple[Receipt, ...]
    changes: list[Change]
    buckets: set[int]
    fees: int


class Chain:
    """State, waves and tip of one chain."""

    def __init__(self, genesis: Genesis, state: State, waves: StateWaves, tip: Tip, verdicts: Verdicts) -> None:
        self.genesis = genesis
        self.genesis_hash = genesis.hash
        self.parameters = genesis.parameters
        self.slots = SlotClock.of(genesis.start_ms, genesis.parameters)
        self.state = state
        self.waves = waves
        self.tip = tip
        self.verdicts = verdicts
        self.table = Table(self.genesis_hash, stakes.validators(state))
        self._reveals = RevealChecker()

    def leads(self, identity: bytes, slot: int) -> int | None:
        """The seat of `slot` that this validator fills, or None."""
        for seat in range(self.parameters.seats):
            if self.table.leader(slot, seat) == identity:
                return seat
        return None

    def accept(self, block: Block, current_slot: int) -> Applied:
        """Judge a block from outside and execute it. Raises BlockError or TransactionError; nothing changed then."""
        self._check_header(block.header, current_slot)
        if block.header.body_root != body_root(block.transactions):
            raise BlockError("bad_body_root", "The body is not the one that the header commits to.")
        for transaction in block.transactions:
            self.check(transaction)
        receipts = self._execute(block.header.slot, block.transactions)
        # What was skipped counts as not seen: it has no receipt, and another block may carry it.
        return self._applied(block, tuple(receipt for receipt in receipts if receipt.status != SKIPPED))

    def check(self, transaction: SignedTransaction) -> None:
        """Everything about a transaction that needs no state. Raises TransactionError."""
        if transaction.body.genesis != self.genesis_hash:
            raise TransactionError("other_network", "The transaction was signed for another network.")
        registry.check_payload(transaction.body)
        if not self.verdicts.good(transaction):
            raise TransactionError("bad_signature", "The transaction's signature is not its key's.")

    def produce(
        self,
        slot: int,
        identity: bytes,
        reveal: Callable[[int], bytes],
        sign: Callable[[bytes], bytes],
        candidates: Iterable[SignedTransaction],
    ) -> tuple[Applied | None, tuple[Receipt, ...]]:
        """Make, execute and sign the block of `slot` from checked candidates, in their order, up to a full body.

        `reveal` gives the preimage of a number, `sign` the 64-byte low-s signature of a hash. Returns the block, or
        None where nothing could be executed in a slot that is no heartbeat, and the receipts of skipped candidates.
        """
        seat = self.leads(identity, slot)
        validator = self.table.validator(identity)
        if seat is None or validator is None:
            raise BlockError("bad_seat", f"This validator does not lead slot {slot}.")
        self._check_slot(slot, slot)
        commitment = self.waves.commitment
        receipts = self._execute(slot, self._fitting(candidates))
        included = tuple(receipt for receipt in receipts if receipt.status != SKIPPED)
        skipped = tuple(receipt for receipt in receipts if receipt.status == SKIPPED)
        if not included and not self.slots.is_heartbeat(slot):
            self.state.roll_back(0)
            return None, skipped
        transactions = tuple(receipt.transaction for receipt in included)
        try:
            header = Header(
                version=BLOCK_VERSION,
                genesis=self.genesis_hash,
                parents=(self.tip.id,),
                slot=slot,
                seat=seat,
                creator=identity,
                region=self.table.regions[identity],
                reveal=reveal(self.slots.epoch_of(slot) - validator.first_epoch),
                body_root=body_root(transactions),
                state_commitment=commitment,
                signature=b"",
            )
            signature = sign(header.signing_hash())
        except BaseException:
            self.state.roll_back(0)
            raise
        return self._applied(Block(header._replace(signature=signature), transactions), included), skipped

    def revert(self, applied: Applied) -> None:
        """Take the newest block back."""
        if applied.tip != self.tip:
            raise BlockError("not_the_tip", "Only the newest block can be taken back.")
        self.state.restore(applied.changes)
        apply_to_waves(self.waves, [Change(table, key, new, old) for table, key, old, new in applied.changes])
        self.tip = applied.parent

    def _fitting(self, candidates: Iterable[SignedTransaction]) -> Iterable[SignedTransaction]:
        room = self.parameters.max_body_bytes - _BODY_HEAD
        for transaction in candidates:
            room -= len(transaction.raw) + _ITEM_HEAD
            if room < 0:
                return
            yield transaction

    def _check_slot(self, slot: int, current_slot: int) -> None:
        if slot <= self.tip.slot:
            raise BlockError("old_slot", f"The slot {slot} is not after its parent's, {self.tip.slot}.")
        if slot > current_slot + 1:
            raise BlockError("future_slot", f"The slot {slot} has not begun; it is slot {current_slot} now.")
        if slot == current_slot + 1:
            raise BlockError("early", f"The slot {slot} begins next; the block may come again then.")

    def _check_header(self, header: Header, current_slot: int) -> None:
        if header.genesis != self.genesis_hash:
            raise BlockError("other_network", "The block belongs to another network.")
        if len(header.parents) != 1:
            raise BlockError("bad_parents", "A block of this version has one parent.")
        if header.parents[0] != self.tip.id:
            raise BlockError("unknown_parent", "The block's parent is not the newest block here.")
        self._check_slot(header.slot, current_slot)
        validator = self.table.validator(header.creator)
        if validator is None:
            raise BlockError("unknown_creator", "The block's creator is no validator.")
        if header.seat >= self.parameters.seats or self.table.leader(header.slot, header.seat) != header.creator:
            raise BlockError("bad_seat", "The block's creator does not lead that seat.")
        if header.region != self.table.regions[header.creator]:
            raise BlockError("bad_region", "The block does not shine in its creator's region.")
        if not verify(P256, validator.consensus_key, header.signing_hash(), header.signature):
            raise BlockError("bad_signature", "The block is not signed by its creator.")
        number = self.slots.epoch_of(header.slot) - validator.first_epoch
        if not self._reveals.check(validator.reveal_commitment, number, header.reveal):
            raise BlockError("bad_reveal", "The block does not carry its epoch's reveal.")
        if header.state_commitment != self.waves.commitment:
            raise BlockError("bad_state_commitment", "The block commits to another state of its parent.")

    def _execute(self, slot: int, transactions: Iterable[SignedTransaction]) -> list[Receipt]:
        """Close the epoch if this slot begins another, then execute; the journal holds what changed."""
        context = Context(self.state, self.parameters, slot)
        epoch, parents = self.slots.epoch_of(slot), self.slots.epoch_of(self.tip.slot)
        if epoch > parents:
            registry.close_epoch(context, parents)
        receipts = execute(context, transactions)
        counted = [receipt for receipt in receipts if receipt.status != SKIPPED]
        epochs.count_block(self.state, epoch, len(counted), sum(receipt.fee for receipt in counted))
        return receipts

    def _applied(self, block: Block, receipts: tuple[Receipt, ...]) -> Applied:
        changes = self.state.changes()
        moved = registry.moved_units(changes)
        if moved:
            self.state.roll_back(0)
            raise AssertionError(f"The block would make {moved} units from nothing.")
        self.state.settle()
        buckets = apply_to_waves(self.waves, changes)
        header, parent = block.header, self.tip
        self.tip = Tip(parent.height + 1, header.id, header.slot)
        return Applied(
            block=block,
            tip=self.tip,
            parent=parent,
            epoch=self.slots.epoch_of(header.slot),
            receipts=receipts,
            changes=changes,
            buckets=buckets,
            fees=sum(receipt.fee for receipt in receipts),
        )
