"""Reading the DAG for people: the blocks of a picture, one block in full, ids by their first digits.

Colours are those that the chain block gave which merged a block; before that a block is pending. All functions take a
connection that holds one snapshot.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path

from node.api.records import (
    AcceptedView,
    DagBlockSummary,
    DagBlockView,
    DagView,
    VoteView,
    WaveView,
)
from node.consensus.blocks import BlockError, Header, decode_body
from node.consensus.slots import SlotClock
from node.ledger.types import TransactionError
from node.light.spectrum import VISIBLE
from node.storage import database
from node.storage.faults import damaged
from node.storage.records import DONE, Colouring
from node.storage.rows import read_accepted

_SUMMARY = """SELECT b.idx, b.id, b.slot, b.merged, b.blue, b.disqualified, b.transactions, b.votes, b.colouring,
    b.header, c.block FROM blocks b LEFT JOIN chain c ON c.height = b.merged """
_MAX_BODY = 1 << 20  # the largest that a genesis may allow
_DIGITS = 64

_Row = tuple[int, bytes, int, int | None, int | None, int, int, int, bytes, bytes, int | None]


def id_range(prefix: str) -> tuple[bytes, bytes]:
    """The smallest and the largest id that begin with these hexadecimal digits."""
    return bytes.fromhex(prefix.ljust(_DIGITS, "0")), bytes.fromhex(prefix.ljust(_DIGITS, "f"))


class DagReader:
    """Views of the stored DAG."""

    def __init__(self, path: Path, slots: SlotClock) -> None:
        self._path = path
        self._slots = slots

    def view(self, connection: sqlite3.Connection, before_slot: int | None, limit: int) -> DagView:
        """The newest blocks below a slot. Without checkpoints, which only the engine can tell."""
        bound = (1 << 63) - 1 if before_slot is None else before_slot
        rows: list[_Row] = connection.execute(
            _SUMMARY + "WHERE b.dag = 1 AND b.slot < ? ORDER BY b.slot DESC, b.idx DESC LIMIT ?", (bound, limit)
        ).fetchall()
        final = self._final_height(connection)
        blocks = [self._summary(row, Header.decode(row[9]), final) for row in self._readable(rows)]
        blocks.sort(key=lambda block: (block.slot, block.seat))
        tip = connection.execute(
            "SELECT b.id FROM chain c JOIN blocks b ON b.idx = c.block ORDER BY c.height DESC LIMIT 1"
        ).fetchone()
        oldest = connection.execute("SELECT min(slot) FROM blocks WHERE dag = 1").fetchone()[0]
        return DagView(
            tip=self._genesis(connection) if tip is None else tip[0],
            tips=self._tips(connection),
            blocks=tuple(blocks),
            final=None,
            justified=None,
            oldest_slot=oldest or 0,
        )

    def block(self, connection: sqlite3.Connection, block_id: bytes) -> DagBlockView | None:
        """A kept block in full."""
        row: _Row | None = connection.execute(_SUMMARY + "WHERE b.id = ?", (block_id,)).fetchone()
        if row is None:
            return None
        try:
            return self._full(connection, row)
        except (ValueError, TypeError) as error:
            raise damaged(self._path, f"the block {block_id.hex()} cannot be read: {error}") from None

    def _full(self, connection: sqlite3.Connection, row: _Row) -> DagBlockView:
        header = Header.decode(row[9])
        summary = self._summary(row, header, self._final_height(connection))
        colouring = Colouring.decode(row[8], row[0])
        body = connection.execute("SELECT body FROM bodies WHERE idx = ?", (row[0],)).fetchone()
        transactions, votes = ((), ()) if body is None else decode_body(body[0], _MAX_BODY)
        ids = self._ids(connection, (*colouring.blues, *colouring.reds))
        accepted = () if summary.height is None else read_accepted(connection, summary.height)
        carriers = self._ids(connection, {item.carrier for item in accepted})
        wave = header.wave
        return DagBlockView(
            summary=summary,
            version=header.version,
            epoch=self._slots.epoch_of(header.slot),
            reveal=header.reveal,
            body_root=header.body_root,
            state_commitment=header.state_commitment,
            signature=header.signature,
            wave=WaveView(*wave),
            votes=tuple(
                VoteView(
                    voter=vote.voter,
                    region=VISIBLE[vote.region].name,
                    source=vote.source,
                    source_hash=vote.source_hash,
                    target=vote.target,
                    target_hash=vote.target_hash,
                    target_slot=vote.target_slot,
                )
                for vote in votes
            ),
            txids=tuple(item.txid for item in transactions),
            merged_by=None if row[10] is None else self._ids(connection, (row[10],))[row[10]],
            blues=tuple(ids[index] for index in colouring.blues if index in ids),
            reds=tuple(ids[index] for index in colouring.reds if index in ids),
            accepted=tuple(
                AcceptedView(item.txid, carriers[item.carrier], "done" if item.status == DONE else "failed", item.fee)
                for item in accepted
            ),
            blue_work=colouring.work,
        )

    def _readable(self, rows: list[_Row]) -> Iterable[_Row]:
        for row in rows:
            try:
                Header.decode(row[9])
                Colouring.decode(row[8], row[0])
            except (BlockError, TransactionError, ValueError, TypeError) as error:
                raise damaged(self._path, f"the block {row[1].hex()} cannot be read: {error}") from None
            yield row

    def _summary(self, row: _Row, header: Header, final: int) -> DagBlockSummary:
        index, block_id, slot, merged, blue, disqualified, transactions, votes, colouring, _, chain = row
        on_chain = chain == index
        return DagBlockSummary(
            id=block_id,
            parents=header.parents,
            slot=slot,
            seat=header.seat,
            creator=header.creator,
            region=VISIBLE[header.region].name,
            blue_score=Colouring.decode(colouring, index).score,
            height=merged if on_chain else None,
            colour="pending" if merged is None else "blue" if blue else "red",
            chain=on_chain,
            final=merged is not None and merged <= final,
            transactions=transactions,
            votes=votes,
            disqualified=bool(disqualified),
            time_ms=self._slots.begins_ms(slot),
        )

    def _ids(self, connection: sqlite3.Connection, indices: Iterable[int]) -> dict[int, bytes]:
        """Ids of kept blocks by index; the genesis is block 0 of the DAG."""
        wanted = tuple(indices)
        marks = ",".join("?" * len(wanted))
        found = dict(connection.execute(f"SELECT idx, id FROM blocks WHERE idx IN ({marks})", wanted).fetchall())
        if 0 in wanted:
            found[0] = self._genesis(connection)
        return found

    def _tips(self, connection: sqlite3.Connection) -> tuple[bytes, ...]:
        """Blocks that are nobody's parent, by id."""
        parents: set[int] = set()
        tips: list[bytes] = []
        for index, block_id, colouring in connection.execute(
            "SELECT idx, id, colouring FROM blocks WHERE dag = 1 ORDER BY idx DESC"
        ):
            if index not in parents:
                tips.append(block_id)
            parents.update(Colouring.decode(colouring, index).parents)
        return tuple(sorted(tips))

    def _genesis(self, connection: sqlite3.Connection) -> bytes:
        stored = database.read_meta(connection, "genesis")
        assert isinstance(stored, bytes)
        return stored

    @staticmethod
    def _final_height(connection: sqlite3.Connection) -> int:
        stored = database.read_meta(connection, "final_height")
        return stored if isinstance(stored, int) else 0
