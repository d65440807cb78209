"""The interface to a node that screens, commands and the wallet see.

Implementations: the running node in this process (`node.service`), a read-only look at a node's files
(`node.storage`), and a node behind a Unix socket (`node.api.client`). They share methods, records and errors, so that
nobody above can tell which one answers.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from node.api.records import (
    AccountView,
    BlockSummary,
    BlockView,
    DagBlockView,
    DagView,
    Event,
    EvidenceView,
    FinalityView,
    FindingView,
    HistoryPage,
    InvitationView,
    MeshView,
    NetworkInfo,
    Place,
    Status,
    Submission,
    TransactionView,
    VerifyReport,
)

TOPICS = ("block", "transaction", "balance", "alert", "dag", "mesh")
MAX_PAGE = 500
MAX_FOUND = 16


class NodeApi(Protocol):
    """Every method may raise the errors of `node.api.errors`; `Refused` where nothing else is said."""

    async def network(self) -> NetworkInfo:
        """Constants of the network."""
        ...

    async def status(self) -> Status:
        """The node's state now."""
        ...

    async def account(self, address: bytes) -> AccountView:
        """One account by raw address; an account that does not exist yet has balance and nonce 0."""
        ...

    async def submit(self, raw: bytes) -> Submission:
        """Check a signed transaction, keep it on disk and offer it to the next block.

        Raises `Refused` with the reason's code when the transaction cannot be valid; nothing is kept then.
        """
        ...

    async def transaction(self, txid: bytes) -> TransactionView | None:
        """A transaction by id, or None."""
        ...

    async def history(self, addresses: tuple[bytes, ...], before: int | None = None, limit: int = 50) -> HistoryPage:
        """Transactions that touch any of these accounts (at most 100), newest first, pending ones on the first page.

        `before` is `next_before` of the page before; `limit` at most `MAX_PAGE`.
        """
        ...

    async def block(self, height: int | None = None, block_id: bytes | None = None) -> BlockView | None:
        """A block by height on the chain or by id; the tip when neither is given."""
        ...

    async def blocks(self, before: int | None = None, limit: int = 20) -> tuple[BlockSummary, ...]:
        """Blocks of the chain below height `before` (the newest when None), newest first."""
        ...

    async def dag(self, before_slot: int | None = None, limit: int = 60) -> DagView:
        """The newest `limit` blocks of the DAG with a slot below `before_slot` (the newest of all when None).

        To read on, ask with the oldest slot so far plus one: a page may end inside a slot.
        """
        ...

    async def dag_block(self, block_id: bytes) -> DagBlockView | None:
        """A block of the DAG in full, on or off the selected chain; None when this node does not keep it."""
        ...

    async def find_blocks(self, prefix: str) -> tuple[bytes, ...]:
        """Ids of the DAG's blocks that begin with these hexadecimal digits, ascending, at most `MAX_FOUND`."""
        ...

    async def find_transactions(self, prefix: str) -> tuple[bytes, ...]:
        """Ids of transactions that begin with these hexadecimal digits, ascending, at most `MAX_FOUND`."""
        ...

    async def finality(self) -> FinalityView:
        """How far the chain is final, its newest checkpoints and its validators."""
        ...

    async def evidence(self) -> tuple[EvidenceView, ...]:
        """Proofs of offences that this node has seen, the newest offence first. Anyone may send them."""
        ...

    async def mesh(self) -> MeshView:
        """The node's links. Raises NoNode where no node runs, `Refused` ("no_mesh") for one without links."""
        ...

    async def invitation(self, host: str | None = None) -> InvitationView:
        """An invitation to this network by this node; `host` where others reach it, its own addresses if None."""
        ...

    async def introduce(self, place: str) -> bytes:
        """Call a node: NODE@HOST:PORT, or an invitation to this network. Returns the node's id; it is called then."""
        ...

    async def ban(self, node: bytes, seconds: int) -> bool:
        """Do not talk to a node for so long (0: talk to it again). Whether that changed anything."""
        ...

    async def diagnose(self) -> tuple[FindingView, ...]:
        """What is well and what is not with the node's links. Raises as `mesh` does."""
        ...

    async def wake(self) -> None:
        """Somebody looks: a node that sleeps between looks makes its links now. Others do nothing."""
        ...

    async def places(self) -> tuple[Place, ...]:
        """All named places; their sum is the supply."""
        ...

    async def verify(self) -> VerifyReport:
        """Recount everything from what is stored: database, blocks, total, state commitment. Takes a while."""
        ...

    def subscribe(self, topics: tuple[str, ...] = TOPICS) -> AbstractAsyncContextManager[AsyncIterator[Event]]:
        """Events from now on, through a bounded queue; a slow reader loses the oldest and is told how many."""
        ...

    async def stop(self) -> None:
        """Ask the node behind this interface to stop; a node in this process refuses (its owner stops it)."""
        ...
