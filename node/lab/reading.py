"""Decodes for all simulated nodes together: what bytes say follows from the bytes alone, so it is found out once."""

from __future__ import annotations

from node.consensus.blocks import Block, Header
from node.consensus.votes import Vote
from node.gossip.host import Reading
from node.ledger.types import SignedTransaction


class SharedReading(Reading):
    """Remembers everything that it has read. A simulation ends; a node does not, and forgets."""

    def __init__(self, max_body: int) -> None:
        super().__init__(max_body)
        self._known: dict[bytes, tuple[bytes, Header]] = {}
        self._names: dict[tuple[int, bytes], bytes] = {}
        self._blocks: dict[tuple[bytes, bytes], Block] = {}
        self._bodies: dict[bytes, bytes] = {}
        self._votes: dict[bytes, Vote] = {}
        self._transactions: dict[bytes, SignedTransaction] = {}

    def body(self, block: Block) -> bytes:
        """A block's encoded body."""
        found = self._bodies.get(block.id)
        if found is None:
            found = self._bodies[block.id] = block.body()
            self._blocks[block.header_bytes, found] = block
        return found

    def header(self, encoded: bytes) -> tuple[bytes, Header]:
        """See Reading."""
        found = self._known.get(encoded)
        if found is None:
            found = self._known[encoded] = super().header(encoded)
        return found

    def name(self, kind: int, encoded: bytes) -> bytes:
        """See Reading."""
        found = self._names.get((kind, encoded))
        if found is None:
            found = self._names[kind, encoded] = super().name(kind, encoded)
        return found

    def block(self, header: bytes, body: bytes) -> Block:
        """See Reading."""
        found = self._blocks.get((header, body))
        if found is None:
            found = self._blocks[header, body] = super().block(header, body)
        return found

    def vote(self, encoded: bytes) -> Vote:
        """See Reading."""
        found = self._votes.get(encoded)
        if found is None:
            found = self._votes[encoded] = super().vote(encoded)
        return found

    def transaction(self, encoded: bytes) -> SignedTransaction:
        """See Reading."""
        found = self._transactions.get(encoded)
        if found is None:
            found = self._transactions[encoded] = super().transaction(encoded)
        return found
