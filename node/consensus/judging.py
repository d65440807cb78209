"""Judging a block in stages, from cheap to dear (protocol section 4): form, signature, seat, reveal, parents, body,
wave signature, the signatures of its transactions. What is found here is invalid for ever, unlike a wrong state.

The signature comes before the seat, so that a wrong seat is evidence against who signed for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from node.consensus.blocks import Block, BlockError, Header, body_root
from node.consensus.dagblocks import DagBlock
from node.consensus.ghostdag import Coloured
from node.consensus.merging import Merging
from node.consensus.reveals import RevealChecker
from node.consensus.slots import SlotClock
from node.consensus.tables import Table
from node.consensus.view import View
from node.encoding.address import P256
from node.ledger import registry
from node.ledger.parameters import Parameters
from node.ledger.quotes import static_fee
from node.ledger.signatures import Verdicts, verify
from node.ledger.staking import Validator
from node.ledger.types import SignedTransaction, TransactionError
from node.light.signature import wave_signature

OTHER_BODY = "bad_body_root"
_INVALID_KEPT = 4_096


class WrongHeader(BlockError):
    """A signed header that its own bytes show to be wrong (section 5, "Slashable"); with `by_table`, its bytes and the
    table of its chain."""

    def __init__(self, code: str, message: str, by_table: bool = False) -> None:
        super().__init__(code, message)
        self.by_table = by_table


class Judging:
    """The rules of one network, and the memory of what broke them."""

    def __init__(
        self, genesis: bytes, parameters: Parameters, slots: SlotClock, merging: Merging, verdicts: Verdicts
    ) -> None:
        """`genesis` is the network's hash."""
        self._genesis = genesis
        self._parameters = parameters
        self._slots = slots
        self._merging = merging
        self._verdicts = verdicts
        self._reveals = RevealChecker()
        self._invalid: dict[bytes, str] = {}  # and the rule that each breaks
        self._signed = (b"", b"")  # the last block whose signature was found good, and by which key

    def remember_invalid(self, block: bytes, rule: str) -> None:
        """A block that broke a rule is refused at once when it comes again, and so is what names it."""
        self._invalid[block] = rule
        if len(self._invalid) > _INVALID_KEPT:
            del self._invalid[next(iter(self._invalid))]

    def is_invalid(self, block: bytes) -> bool:
        """Whether a block is remembered as invalid."""
        return block in self._invalid

    def check_form(self, block: Block, now: int) -> None:
        """What the header alone shows in slot `now`. Raises BlockError, "early" for one that may come again."""
        header = block.header
        if block.id in self._invalid:
            raise BlockError(self._invalid[block.id], "The block was refused before.")
        if header.genesis != self._genesis:
            raise BlockError("other_network", "The block belongs to another network.")
        if header.slot > now + 1:
            raise BlockError("future_slot", f"The slot {header.slot} has not begun; it is slot {now} now.")
        if header.slot == now + 1:
            raise BlockError("early", f"The slot {header.slot} begins next; the block may come again then.")
        if any(parent in self._invalid for parent in header.parents):
            raise BlockError("bad_parents", "The block names an invalid block as its parent.")

    def check_orphan(self, block: Block, view: View) -> bytes:
        """An orphan costs memory, so it must be signed by somebody whom the tip's tables know; returns his key.

        Its body must be its own: another one would keep the right one out.
        """
        header = block.header
        validator = view.table.validator(header.creator) or view.next_table.validator(header.creator)
        if validator is None:
            raise BlockError("unknown_creator", "The block's parents are not here, and its creator is no validator.")
        self._check_signature(block, validator)
        _check_body_root(block)
        return validator.consensus_key

    def judge(self, block: Block, parents: Sequence[DagBlock], table: Table, signed: bytes) -> Coloured:
        """Everything about a block that its past decides; returns its colouring. Raises BlockError, TransactionError.

        `table` is the one of its chain for its slot; `signed` the key by which its signature was found good before.
        """
        header = block.header
        validator = table.validator(header.creator)
        if validator is None:
            raise BlockError("unknown_creator", "The block's creator is no validator.")
        if signed != validator.consensus_key:
            self._check_signature(block, validator)
        self._check_seat(header, table)
        number = self._slots.epoch_of(header.slot) - validator.first_epoch
        if not self._reveals.check(validator.reveal_commitment, number, header.reveal):
            raise WrongHeader("bad_reveal", "The block does not carry its epoch's reveal.")
        coloured = self._merging.judge(header, parents)
        _check_body_root(block)
        offered = 0
        for transaction in block.transactions:
            registry.check_payload(transaction.body)  # before anything is counted from it
            offered += static_fee(self._parameters, transaction.body)
        wave = wave_signature(header.unwaved(), header.region, offered.bit_length(), header.slot)
        if header.wave._replace(amplitude=wave.amplitude) != wave:
            raise WrongHeader("bad_wave", "The wave signature is not the one of this header.")
        if header.wave != wave:  # the amplitude speaks of the body, so the header alone does not show it wrong
            raise BlockError("bad_wave", "The wave signature is not the one of this body.")
        for transaction in block.transactions:
            self._check_signed(transaction)
        return coloured

    def unchecked(self, block: Block, table: Table) -> tuple[SignedTransaction, ...]:
        """The transactions whose signatures `judge` would have to check. Raises BlockError for a block that the leader
        of its seat did not make: nobody else can ask for that work."""
        validator = table.validator(block.header.creator)
        if validator is None:
            return ()
        self._check_signature(block, validator)
        self._check_seat(block.header, table)
        _check_body_root(block)
        own = (item for item in block.transactions if item.body.genesis == self._genesis)
        return tuple(item for item in own if item.wid not in self._verdicts)

    def note_signed(self, transactions: Iterable[SignedTransaction]) -> None:
        """Their signatures were found good."""
        for transaction in transactions:
            self._verdicts.add(transaction.wid)

    def check_transaction(self, transaction: SignedTransaction) -> None:
        """Everything about a transaction that needs no state. Raises TransactionError."""
        registry.check_payload(transaction.body)
        self._check_signed(transaction)

    def _check_signed(self, transaction: SignedTransaction) -> None:
        if transaction.body.genesis != self._genesis:
            raise TransactionError("other_network", "The transaction was signed for another network.")
        if not self._verdicts.good(transaction):
            raise TransactionError("bad_signature", "The transaction's signature is not its key's.")

    def _check_seat(self, header: Header, table: Table) -> None:
        """Seat and region of a signed header by the table of its chain."""
        if header.seat >= self._parameters.seats or table.leader(header.slot, header.seat) != header.creator:
            raise WrongHeader("bad_seat", "The block's creator does not lead that seat.", by_table=True)
        if header.region != table.regions[header.creator]:
            raise WrongHeader("bad_region", "The block does not shine in its creator's region.", by_table=True)

    def _check_signature(self, block: Block, validator: Validator) -> None:
        signed, header = (block.id, validator.consensus_key), block.header
        if signed == self._signed:
            return
        if not verify(P256, validator.consensus_key, header.signing_hash(), header.signature):
            raise BlockError("bad_signature", "The block is not signed by its creator.")
        self._signed = signed


def _check_body_root(block: Block) -> None:
    if block.header.body_root != body_root(block.transactions, block.votes):
        raise BlockError(OTHER_BODY, "The body is not the one that the header commits to.")
