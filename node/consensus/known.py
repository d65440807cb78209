"""The blocks of the DAG that this node keeps, and the ways through them (protocol section 4).

Blocks are found by id and by index, down a selected chain, through a mergeset, and by the seat that they fill: two of
one creator and slot are evidence.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from node.consensus.ballots import Evidence
from node.consensus.blocks import Header
from node.consensus.dagblocks import DagBlock
from node.consensus.finality import Checkpoint
from node.consensus.ghostdag import Ghostdag
from node.ledger import staking


class KnownBlocks:
    """See the module. `main` are the blocks of this node's selected chain by height; `SelectedChain` writes it."""

    def __init__(self, dag: Ghostdag) -> None:
        self.dag = dag
        self.by_id: dict[bytes, DagBlock] = {}
        self.by_index: dict[int, DagBlock] = {}
        self.main: dict[int, DagBlock] = {}
        self.doubles: list[Evidence] = []
        """Two blocks of one creator and slot, once for each creator."""
        self.wrong_headers: dict[bytes, Evidence] = {}
        """Refused headers that show themselves wrong, one for each creator."""
        self._seats: dict[tuple[bytes, int], list[DagBlock]] = {}

    def add(self, block: DagBlock) -> None:
        """Register a block that is in the DAG."""
        self.by_id[block.id] = block
        self.by_index[block.index] = block
        if block.header is not None:
            self._watch_seat(block, block.header)

    def drop(self, indices: Iterable[int]) -> list[DagBlock]:
        """Forget blocks that are not in the DAG any more, and return them."""
        gone = [self.by_index.pop(index) for index in indices]
        for block in gone:
            del self.by_id[block.id]
            if self.main.get(block.height) is block:
                del self.main[block.height]
            if block.header is not None:
                place = (block.header.creator, block.slot)
                self._seats[place].remove(block)
                if not self._seats[place]:
                    del self._seats[place]
        return gone

    def release(self, final: DagBlock) -> None:
        """Let go of transactions that lie in the past of the final block: nothing executes them again."""
        for block in self.selected(final):
            if block.block is None:
                break
            # Where many blocks became final at once, some of these may be pruned already.
            for index in (*block.coloured.blues[1:], *block.coloured.reds):
                if (member := self.by_index.get(index)) is not None:
                    member.block = None
            block.block = None

    def filled(self, creator: bytes, slot: int) -> int:
        """How many blocks of this creator and slot are here."""
        return len(self._seats.get((creator, slot), ()))

    def _watch_seat(self, block: DagBlock, header: Header) -> None:
        seat = self._seats.setdefault((header.creator, header.slot), [])
        for other in seat:
            assert other.header is not None
            if other.header[:-1] == header[:-1] or any(item.validator == header.creator for item in self.doubles):
                continue  # two signatures over one content are no offence
            proof = other.header_bytes, block.header_bytes
            self.doubles.append(Evidence(staking.DOUBLE_BLOCK, header.creator, proof))
        seat.append(block)

    def header_of(self, block: bytes) -> bytes:
        """A known block's encoded header; for the genesis its hash."""
        return self.by_id[block].header_bytes

    def tips(self) -> list[DagBlock]:
        """The blocks that no other names as parent."""
        return [self.by_index[index] for index in self.dag.tips()]

    def key(self, block: DagBlock) -> tuple[int, bytes]:
        """What fork choice and parents are compared by: blue work, then the raw id."""
        return self.dag.key(block.index)

    def selected(self, block: DagBlock) -> Iterator[DagBlock]:
        """The block, its selected parent, and so on down to the root that is kept."""
        item: DagBlock | None = block
        while item is not None:
            yield item
            item = self.by_index.get(item.coloured.selected)

    def on_chain(self, block: DagBlock, tip: DagBlock) -> bool:
        """Whether the selected chain of `tip` passes through `block`."""
        main = self.main
        for item in self.selected(tip):
            if item.height <= block.height:
                return item is block
            if main.get(item.height) is item:
                return main.get(block.height) is block
        return False

    def extends(self, one: Checkpoint, other: Checkpoint) -> bool:
        """Whether the chain of the other checkpoint passes through the block of the first.

        What was pruned and is still spoken of lies on the chain of all that is kept.
        """
        low, high = self.by_id.get(one.block), self.by_id.get(other.block)
        if low is None:
            return high is not None or one.number <= other.number
        return high is not None and self.on_chain(low, high)

    def merged(self, block: DagBlock) -> list[tuple[DagBlock, bool]]:
        """The mergeset of a block without its selected parent, in order, each with whether it is blue."""
        blues = set(block.coloured.blues)
        members = self.dag.mergeset(block.coloured)[1:]
        return [(self.by_index[index], index in blues) for index in members]
