"""What the engine keeps of each block, and what it tells of a change."""

from __future__ import annotations

from typing import NamedTuple

from node.consensus.blocks import Block, BlockError, Header
from node.consensus.finality import Link, Target
from node.consensus.ghostdag import Coloured
from node.consensus.view import View
from node.consensus.votes import Vote
from node.ledger.execution import Receipt
from node.ledger.staking import Validator
from node.ledger.state import Change
from node.ledger.types import TransactionError


class Debt(NamedTuple):
    """What a chain owes for its late blocks: on-time blocks above them (protocol section 4, "Fork choice").

    The newest late block lies at `height` and came in slot `since`; `vouchers` are the creators of on-time blocks above
    it so far. `work` is the blue work of the chain where it owed nothing yet.
    """

    height: int
    work: int
    since: int
    vouchers: frozenset[bytes]


class DagBlock:
    """A block of the DAG.

    `block` is None for the genesis, and once nothing can ask for its transactions any more (below the final block).
    `view` is None far below the final block, where none is kept; `height` is that on its own selected chain. The slot
    of the genesis is 0.

    `late` and `debt` are this node's own: by how many slots the block came too late (0: on time), and what its chain
    still owes for a late block.
    """

    __slots__ = (
        "block",
        "coloured",
        "debt",
        "disqualified",
        "header",
        "header_bytes",
        "height",
        "id",
        "index",
        "late",
        "slot",
        "view",
        "votes",
    )

    def __init__(
        self,
        index: int,
        block_id: bytes,
        header: Header | None,
        header_bytes: bytes,
        coloured: Coloured,
        height: int,
        view: View | None,
        votes: tuple[Vote, ...] = (),
    ) -> None:
        self.index = index
        self.id = block_id
        self.header = header
        self.slot = 0 if header is None else header.slot
        self.header_bytes = header_bytes
        self.coloured = coloured
        self.height = height
        self.view = view
        self.votes = votes
        self.block: Block | None = None
        self.disqualified = False
        self.late = 0
        self.debt: Debt | None = None

    @property
    def known_view(self) -> View:
        """The view of a block that is not far below the final one."""
        assert self.view is not None
        return self.view


class Tip(NamedTuple):
    """The newest block of the selected chain. Height 0 is the genesis, whose id is the genesis hash and slot is 0."""

    height: int
    id: bytes
    slot: int


class Accepted(NamedTuple):
    """A transaction that a chain block executed (or skipped), and the id of the block whose body carries it."""

    receipt: Receipt
    carrier: bytes


class Step(NamedTuple):
    """A block of the selected chain with what executing it did.

    `fees` are units; `skipped` changed nothing; `active_set` is that of the state after a checkpoint's block.
    """

    height: int
    block: DagBlock
    parent: bytes
    epoch: int
    receipts: tuple[Accepted, ...]
    skipped: tuple[Accepted, ...]
    changes: list[Change]
    buckets: set[int]
    fees: int
    active_set: tuple[Validator, ...] | None

    @property
    def tip(self) -> Tip:
        """This block as a tip."""
        return Tip(self.height, self.block.id, self.block.slot)


class Undone(NamedTuple):
    """A block of the selected chain that was taken back, with the changes that it had made."""

    height: int
    block: DagBlock
    parent: bytes
    changes: list[Change]
    buckets: set[int]


class Progress:
    """What one call changed: what must be written, told and relayed.

    `undone` are chain blocks taken back, newest first, then `applied` were executed, oldest first. `missing` are ids
    of what must come before an orphan. `disqualified` are blocks found to commit to a wrong state.
    """

    def __init__(self) -> None:
        self.added: list[DagBlock] = []
        self.undone: list[Undone] = []
        self.applied: list[Step] = []
        self.rejected: list[tuple[bytes, BlockError | TransactionError]] = []
        self.missing: list[bytes] = []
        self.disqualified: list[DagBlock] = []
        self.votes: list[Vote] = []
        self.links: list[Link] = []
        self.final: Target | None = None

    def __bool__(self) -> bool:
        return bool(self.added or self.undone or self.applied or self.votes or self.final)
