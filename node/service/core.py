"""The chain at work: state in memory, its database, and the path from a block to both.

One owner, the event loop: everything here runs in it, only SQLite works in its own thread. A block changes the state
first and is then written; where it cannot be written, it is taken back.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from node.api.errors import Damaged
from node.consensus.blocks import Header
from node.consensus.chain import Applied, Chain, Tip
from node.encoding.canonical import EncodingError, Value, decode, pack
from node.ledger import registry
from node.ledger.execution import DONE
from node.ledger.genesis import RULE_VERSION, Genesis, initial_state
from node.ledger.signatures import Verdicts
from node.ledger.state import Change, Record, State, apply_to_waves, waves_of
from node.light.waves import BUCKETS, SILENCE, StateWaves
from node.storage import records
from node.storage.chain import ChainDatabase
from node.storage.faults import other_network
from node.storage.records import BlockBatch

UNDO_KEPT = 2_000


def load_chain(genesis: Genesis, database: ChainDatabase, *, numpy: bool = True) -> Chain:
    """The chain as it was last written; a new database gets the genesis state first.

    Raises Damaged where the database belongs to another network or contradicts itself.
    """
    if database.meta("genesis") is None:
        state = initial_state(genesis)
        waves = waves_of(state, numpy=numpy)
        database.write_genesis(
            genesis.hash,
            RULE_VERSION,
            ((table, key, pack(record)) for table, rows in state.tables.items() for key, record in rows.items()),
            ((bucket, waves[bucket]) for bucket in range(BUCKETS)),
        )
        return Chain(genesis, state, waves, Tip(0, genesis.hash, 0), Verdicts())
    if database.meta("genesis") != genesis.hash:
        raise other_network(database.path)
    version = database.meta("rule_version")
    if version != RULE_VERSION:
        raise Damaged(
            "other_rules",
            f"{database.path.name} was written under rule version {version!r}; "
            f"this program follows version {RULE_VERSION}. It was left as it is.",
            "Use the version of Nexus that wrote it, or begin anew with `nexus init`.",
        )
    state = load_state(database)
    stored_waves = database.load_waves()
    waves = StateWaves([stored_waves.get(bucket, SILENCE) for bucket in range(BUCKETS)], numpy=numpy)
    stored = database.tip()
    tip = Tip(0, genesis.hash, 0) if stored is None else Tip(stored.height, stored.block_id, stored.slot)
    if problems := registry.broken_invariants(state):
        raise _contradiction(database, problems[0])
    try:
        matching = undoes_to_commitment(database, state, waves, tip.height)
    except (ValueError, TypeError, IndexError):  # the block or its undo record cannot even be read
        matching = False
    if not matching:
        raise _contradiction(database, f"Block {tip.height} and the state after it do not belong together.")
    return Chain(genesis, state, waves, tip, Verdicts())


def load_state(database: ChainDatabase) -> State:
    """All stored records. Raises Damaged where one cannot be read."""
    try:
        return state_of(database.load_state())
    except EncodingError as error:
        raise _contradiction(database, str(error)) from None


def state_of(rows: Iterable[tuple[str, bytes, bytes]]) -> State:
    """A state from stored rows. Raises EncodingError, naming the row, for a value that is no record."""
    state = State()
    for table, key, value in rows:
        try:
            record = decode(value)
        except (EncodingError, TypeError):
            record = None
        if type(record) is not tuple or type(key) is not bytes:
            raise EncodingError(f"The entry {key!r} of the table {table!r} is no record.")
        state.tables.setdefault(table, {})[key] = record
    return state


def undoes_to_commitment(database: ChainDatabase, state: State, waves: StateWaves, height: int) -> bool:
    """Whether the state without block `height`, the newest, is the one that its header commits to.

    True where there is no block or its undo record was pruned. Leaves state and waves as they were.
    """
    block = database.block(height=height) if height else None
    changes = database.changes(height) if height else None
    if block is None or changes is None:
        return True
    trial = StateWaves([waves[bucket] for bucket in range(BUCKETS)], numpy=False)
    apply_to_waves(trial, way_back(state, changes))
    return trial.commitment == Header.decode(block.header).state_commitment


def way_back(state: State, undo: Iterable[tuple[str, bytes, bytes | None]]) -> list[Change]:
    """The changes that undo the newest block, from its stored undo record. Raises ValueError or TypeError."""
    return [
        Change(table, key, state.get(table, key), None if old is None else cast(Record, decode(old)))
        for table, key, old in undo
    ]


def batch_of(applied: Applied, chain: Chain) -> BlockBatch:
    """What the database must write for a block."""
    header = applied.block.header
    return BlockBatch(
        height=applied.tip.height,
        block_id=applied.tip.id,
        parent_id=applied.parent.id,
        slot=header.slot,
        time_ms=chain.slots.begins_ms(header.slot),
        header=header.encoded(),
        body=applied.block.body(),
        fees=applied.fees,
        receipts=tuple(
            records.Receipt(
                txid=receipt.transaction.txid,
                wid=receipt.transaction.wid,
                raw=receipt.transaction.raw,
                status=records.DONE if receipt.status == DONE else records.FAILED,
                reason=receipt.reason,
                fee=receipt.fee,
                touched=receipt.touched(),
            )
            for receipt in applied.receipts
        ),
        changes=tuple((table, key, _encoded(old), _encoded(new)) for table, key, old, new in applied.changes),
        buckets=tuple((bucket, chain.waves[bucket]) for bucket in sorted(applied.buckets)),
        epoch=applied.epoch,
    )


def _encoded(record: Record | None) -> bytes | None:
    return None if record is None else pack(record)


def changed_accounts(applied: Applied) -> dict[bytes, int]:
    """Accounts whose balance a block changed, and their balances now."""
    changed: dict[bytes, int] = {}
    for change in applied.changes:
        if change.table == "accounts" and change.new is not None:
            old: Value = change.old[0] if change.old else 0
            if old != change.new[0]:
                changed[change.key] = cast(int, change.new[0])
    return changed


def _contradiction(database: ChainDatabase, what: str) -> Damaged:
    return Damaged(
        "damaged_state",
        f"{database.path.name} contradicts itself: {what} It was left as it is.",
        "Run `nexus node verify` for details, or restore a backup with `nexus node restore`.",
    )
