"""Reading the chain for people: the read part of `NodeApi` straight from `chain.db`.

Its own connection reads beside a running writer and never waits for it. One statement a question: each await costs
more than the rows it brings, and one statement sees one snapshot.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import aiosqlite

from node.api.bounds import check_address, check_arguments
from node.api.errors import Damaged
from node.api.interface import MAX_FOUND
from node.api.records import (
    AccountView,
    BlockSummary,
    BlockView,
    DagBlockView,
    DagView,
    HistoryPage,
    NetworkInfo,
    Output,
    Place,
    TransactionView,
)
from node.consensus.blocks import BlockError, Header
from node.consensus.slots import SlotClock
from node.encoding.canonical import EncodingError, decode
from node.ledger import bank, pools, registry, staking
from node.ledger.execution import REASONS
from node.ledger.genesis import RULE_VERSION, Genesis, GenesisError
from node.ledger.parameters import ParameterError
from node.ledger.state import Record
from node.ledger.types import SignedTransaction, TransactionError
from node.light.spectrum import VISIBLE
from node.light.waves import bucket_of
from node.storage import database
from node.storage.connections import Connection
from node.storage.dag_queries import DagReader, id_range
from node.storage.faults import damaged, from_sqlite, other_network, translated
from node.storage.records import DONE
from node.storage.rows import RAW

if TYPE_CHECKING:
    from node.profile.paths import ProfilePaths

_TIMEOUT_S = 5.0
_VIEW = f"""SELECT t.id, t.wid, t.status, t.reason, t.fee, t.height, b.id, b.slot, {RAW}
    FROM transactions t JOIN chain c ON c.height = t.height JOIN blocks b ON b.idx = c.block
    LEFT JOIN bodies o ON o.idx = t.carrier """
_SUMMARY = """SELECT b.id, c.height, b.slot, c.transactions, c.failed, c.fees, b.size, b.header, c.epoch,
    c.first_transaction FROM chain c JOIN blocks b ON b.idx = c.block """
_TOUCHES = """SELECT tx FROM (SELECT tx FROM touches
    WHERE address = (SELECT id FROM addresses WHERE raw = ?) AND tx < ? ORDER BY tx DESC LIMIT ?)"""
_NO_BOUND = (1 << 63) - 1
_AT_ONCE = 500  # values in one statement; SQLite's bound is higher


class Queries:
    """Answers from the chain's files. Made by `open`; close it with `close()`."""

    def __init__(self, path: Path, genesis: Genesis, connection: aiosqlite.Connection) -> None:
        self.path = path
        self.genesis = genesis
        self.slots = SlotClock.of(genesis.start_ms, genesis.parameters)
        self._connection = connection
        self._dag = DagReader(path, self.slots)

    @classmethod
    async def open(cls, paths: ProfilePaths) -> Queries:
        """Read the chain of a profile, whether a node runs on it or not.

        Raises Refused where there is no chain yet, Damaged for files that cannot be used or belong to two networks.
        """
        genesis = await asyncio.to_thread(read_genesis, paths.genesis)
        path = paths.chain_db
        uri = await asyncio.to_thread(_checked_uri, path, genesis)
        try:
            connection = await aiosqlite.connect(uri, uri=True, timeout=_TIMEOUT_S, factory=Connection)
        except sqlite3.Error as error:
            raise from_sqlite(path, error) from error
        return cls(path, genesis, connection)

    async def close(self) -> None:
        """Close the connection and end its thread."""
        await self._connection.close()

    async def _rows(self, statement: str, values: Iterable[object] = ()) -> list[tuple[Any, ...]]:
        try:
            return cast("list[tuple[Any, ...]]", await self._connection.execute_fetchall(statement, tuple(values)))
        except sqlite3.Error as error:
            raise from_sqlite(self.path, error) from error

    async def network(self) -> NetworkInfo:
        """See NodeApi."""
        return network_info(self.genesis)

    async def account(self, address: bytes) -> AccountView:
        """See NodeApi. Knows nothing of waiting transactions: the next nonce is the account's."""
        check_address(address)
        rows = await self._rows(
            "SELECT value FROM state WHERE bucket = ? AND tbl = ? AND key = ?",
            (bucket_of(bank.ACCOUNTS, address), bank.ACCOUNTS, address),
        )
        balance, nonce = cast("tuple[int, int]", self._record(rows[0][0])) if rows else bank.NO_ACCOUNT
        return AccountView(address, bool(rows), balance, nonce, nonce, balance, 0, 0)

    async def executed(self, txids: Iterable[bytes], up_to: int = _NO_BOUND) -> frozenset[bytes]:
        """Those of some transactions that the chain executed, at or below a height."""
        wanted = tuple(txids)
        found: set[bytes] = set()
        for start in range(0, len(wanted), _AT_ONCE):
            some = wanted[start : start + _AT_ONCE]
            marks = ",".join("?" * len(some))
            rows = await self._rows(
                f"SELECT txid FROM transactions WHERE txid IN ({marks}) AND height <= ?", (*some, up_to)
            )
            found.update(row[0] for row in rows)
        return frozenset(found)

    async def transaction(self, txid: bytes) -> TransactionView | None:
        """See NodeApi. Only what is in a block."""
        check_arguments({"txid": txid})
        rows = await self._rows(_VIEW + "WHERE t.txid = ?", (txid,))
        return self._view(rows[0]) if rows else None

    async def history(self, addresses: tuple[bytes, ...], before: int | None = None, limit: int = 50) -> HistoryPage:
        """See NodeApi. Only what is in a block; `before` is a place in the order of execution."""
        check_arguments({"addresses": addresses, "before": before, "limit": limit})
        bound = _NO_BOUND if before is None else before
        unique = tuple(dict.fromkeys(addresses))
        # each account's newest rows come off the index; only these few are merged
        newest = " UNION ".join([_TOUCHES] * len(unique))
        values = [value for address in unique for value in (address, bound, limit + 1)]
        rows = await self._rows(
            f"{_VIEW} WHERE t.id IN (SELECT tx FROM ({newest}) ORDER BY tx DESC LIMIT ?) ORDER BY t.id DESC",
            (*values, limit + 1),
        )
        page = rows[:limit]
        return HistoryPage(tuple(self._view(row) for row in page), page[-1][0] if len(rows) > limit else None)

    async def began_ms(self) -> int | None:
        """When the checkpoint was that the chain here began from; None where it began with the genesis."""
        rows = await self._rows("SELECT value FROM meta WHERE name = 'adopted_checkpoint'")
        if not rows:
            return None
        _, _, slot, *_ = cast(
            "tuple[int, bytes, int, bytes]", decode(rows[0][0], 1_024)
        )  # consensus made and checked it
        return self.slots.begins_ms(slot)

    async def block(self, height: int | None = None, block_id: bytes | None = None) -> BlockView | None:
        """See NodeApi."""
        check_arguments({"height": height, "block_id": block_id})
        if block_id is not None:
            rows = await self._rows(_SUMMARY + "WHERE b.id = ? AND c.height = b.merged", (block_id,))
        elif height is not None:
            rows = await self._rows(_SUMMARY + "WHERE c.height = ?", (height,))
        else:
            rows = await self._rows(_SUMMARY + "ORDER BY c.height DESC LIMIT 1")
        if not rows:
            return None
        row = rows[0]
        txids = await self._rows(
            "SELECT txid FROM transactions WHERE id >= ? AND id < ? ORDER BY id", (row[9], row[9] + row[3])
        )
        header = self._header(row[7])
        return BlockView(
            summary=self._summary(row, header),
            version=header.version,
            parents=header.parents,
            seat=header.seat,
            epoch=row[8],
            reveal=header.reveal,
            body_root=header.body_root,
            state_commitment=header.state_commitment,
            signature=header.signature,
            heartbeat=self.slots.is_heartbeat(header.slot),
            txids=tuple(txid for (txid,) in txids),
        )

    async def blocks(self, before: int | None = None, limit: int = 20) -> tuple[BlockSummary, ...]:
        """See NodeApi."""
        check_arguments({"before": before, "limit": limit})
        rows = await self._rows(
            _SUMMARY + "WHERE c.height < ? ORDER BY c.height DESC LIMIT ?",
            (_NO_BOUND if before is None else before, limit),
        )
        return tuple(self._summary(row, self._header(row[7])) for row in rows)

    async def places(self) -> tuple[Place, ...]:
        """See NodeApi. Adds up every record."""
        return await asyncio.to_thread(self._with_snapshot, self._places)

    async def dag(self, before_slot: int | None = None, limit: int = 60) -> DagView:
        """See NodeApi. Knows nothing of checkpoints: those are the engine's."""
        check_arguments({"before_slot": before_slot, "limit": limit})
        return await asyncio.to_thread(
            self._with_snapshot, lambda connection: self._dag.view(connection, before_slot, limit)
        )

    async def dag_block(self, block_id: bytes) -> DagBlockView | None:
        """See NodeApi."""
        check_arguments({"block_id": block_id})
        return await asyncio.to_thread(self._with_snapshot, lambda connection: self._dag.block(connection, block_id))

    async def whole_block(self, block_id: bytes) -> tuple[bytes, bytes] | None:
        """Encoded header and body of a block of the DAG; None where it, or its body, is not kept."""
        rows = await self._rows(
            "SELECT b.header, o.body FROM blocks b JOIN bodies o ON o.idx = b.idx WHERE b.id = ?", (block_id,)
        )
        return None if not rows else (rows[0][0], rows[0][1])

    async def find_blocks(self, prefix: str) -> tuple[bytes, ...]:
        """See NodeApi."""
        return await self._beginning("SELECT id FROM blocks WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?", prefix)

    async def find_transactions(self, prefix: str) -> tuple[bytes, ...]:
        """See NodeApi."""
        return await self._beginning(
            "SELECT txid FROM transactions WHERE txid BETWEEN ? AND ? ORDER BY txid LIMIT ?", prefix
        )

    async def _beginning(self, statement: str, prefix: str) -> tuple[bytes, ...]:
        check_arguments({"prefix": prefix})
        return tuple(found for (found,) in await self._rows(statement, (*id_range(prefix), MAX_FOUND)))

    async def counts(self) -> tuple[int, bytes, int, int, int, int]:
        """Height, id and slot of the tip, height of the newest final checkpoint's block, number of accounts and of
        validators."""
        rows = await self._rows(
            "SELECT (SELECT count(*) FROM state WHERE tbl = ?), (SELECT count(*) FROM state WHERE tbl = ?), "
            "(SELECT value FROM meta WHERE name = 'final_height'), height, id, slot FROM (SELECT 1) LEFT JOIN "
            "(SELECT c.height, b.id, b.slot FROM chain c JOIN blocks b ON b.idx = c.block "
            "ORDER BY c.height DESC LIMIT 1)",
            (bank.ACCOUNTS, staking.STAKES),
        )
        accounts, validators, final, height, tip, slot = rows[0]
        if height is None:
            return 0, self.genesis.hash, 0, 0, accounts, validators
        return height, tip, slot, final or 0, accounts, validators

    def _with_snapshot(self, action: Any) -> Any:
        """Run a long look over the rows on a connection of its own, in one read transaction."""
        connection = database.connect_reader(self.path)
        try:
            with translated(self.path):
                connection.execute("BEGIN")
                return action(connection)
        finally:
            connection.close()

    def _places(self, connection: sqlite3.Connection) -> tuple[Place, ...]:
        accounts = staked = 0
        held: dict[str, int] = {}
        for table, key, value in connection.execute("SELECT tbl, key, value FROM state"):
            units = self._holds(table, value)
            if table == bank.ACCOUNTS:
                accounts += units
            elif table == staking.STAKES:
                staked += units
            elif units:
                name = key.decode("ascii", "replace") if table == pools.POOLS else table
                held[name] = held.get(name, 0) + units
        named = (*pools.RESERVES, *pools.SERVICES)
        return (
            Place(bank.ACCOUNTS, "accounts", accounts),
            *(Place(name, "reserve", held.pop(name, 0)) for name in pools.RESERVES),
            *(Place(name, "service", held.pop(name, 0)) for name in pools.SERVICES),
            Place(staking.STAKES, "stake", staked),
            *(Place(name, "other", units) for name, units in sorted(held.items()) if name not in named),
        )

    def _holds(self, table: str, value: bytes) -> int:
        known = registry.TABLES.get(table)
        if known is None:
            raise damaged(self.path, f"it holds a table {table!r} that no module knows")
        return known.holds(self._record(value))

    def _record(self, value: bytes) -> Record:
        try:
            return cast(Record, decode(value))
        except EncodingError as error:
            raise damaged(self.path, f"a state record cannot be read: {error}") from None

    def _header(self, encoded: bytes) -> Header:
        try:
            return Header.decode(encoded)
        except BlockError as error:
            raise damaged(self.path, f"a header cannot be read: {error}") from None

    def _summary(self, row: tuple[Any, ...], header: Header) -> BlockSummary:
        block_id, height, slot, transactions, failed, fees, size = row[:7]
        return BlockSummary(
            id=block_id,
            height=height,
            slot=slot,
            time_ms=self.slots.begins_ms(slot),
            creator=header.creator,
            region=VISIBLE[header.region].name,
            transactions=transactions,
            failed=failed,
            fees=fees,
            size=size,
        )

    def _view(self, row: tuple[Any, ...]) -> TransactionView:
        _, wid, status, reason, fee, height, block, slot, raw = row
        try:
            transaction = SignedTransaction.from_raw(raw)
            view = transaction_view(transaction, "done" if status == DONE else "failed", reason, fee)
        except TransactionError as error:
            raise damaged(self.path, f"a transaction of block {height} cannot be read: {error}") from None
        if view.wid != wid:
            raise damaged(self.path, f"a transaction of block {height} is not the one it was")
        return replace(view, height=height, block=block, slot=slot, time_ms=self.slots.begins_ms(slot))


def network_info(genesis: Genesis) -> NetworkInfo:
    """The constants of a network."""
    parameters = genesis.parameters
    return NetworkInfo(
        name=genesis.name,
        preset=genesis.preset,
        hrp=genesis.prefix,
        genesis=genesis.hash,
        start_ms=genesis.start_ms,
        slot_ms=parameters.slot_ms,
        epoch_slots=parameters.epoch_slots,
        heartbeat_slots=parameters.heartbeat_slots,
        max_body_bytes=parameters.max_body_bytes,
        base_fee=parameters.base_fee,
        record_fee=parameters.record_fee,
        byte_fee=parameters.byte_fee,
        version=RULE_VERSION,
    )


def transaction_view(transaction: SignedTransaction, status: str, reason: str, fee: int) -> TransactionView:
    """A transaction for people, in no block. `reason` may be a code of the ledger. Raises TransactionError."""
    body = transaction.body
    operation = registry.operation_of(body)
    operation.check(body.payload)
    effects = operation.effects(body.payload)
    return TransactionView(
        txid=transaction.txid,
        wid=transaction.wid,
        kind=body.kind,
        kind_name=operation.name,
        sender=transaction.sender,
        nonce=body.nonce,
        expiry=body.expiry,
        tip=body.tip,
        fee=fee,
        outputs=tuple(Output(recipient, units) for recipient, units in effects.outputs),
        memo=effects.memo,
        size=len(transaction.raw),
        status=status,
        reason=REASONS.get(reason, reason),
        height=None,
        block=None,
        slot=None,
        time_ms=None,
        raw=transaction.raw,
    )


def read_genesis(path: Path) -> Genesis:
    """The network of a profile, from its genesis file. Raises Damaged where it is missing or wrong."""
    with translated(path), path.open("rb") as file:
        data = file.read((1 << 20) + 1)
    try:
        return Genesis.decode(data)
    except (GenesisError, ParameterError) as error:
        raise Damaged(
            error.code,
            f"{path} cannot be used: {error} It was left as it is.",
            "Restore it from a backup or from another member of the network.",
        ) from None


def _checked_uri(path: Path, genesis: Genesis) -> str:
    """Look at the database once, and that it belongs to the genesis."""
    connection = database.connect_reader(path)
    try:
        with translated(path):
            stored = database.read_meta(connection, "genesis")
    finally:
        connection.close()
    if stored is None:
        raise database.empty_chain(path)
    if stored != genesis.hash:
        raise other_network(path)
    return database.reader_uri(path)
