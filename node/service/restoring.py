"""The engine as it was last written: from the database, without judging or colouring anything again.

A new database gets the genesis. What contradicts itself is refused by name and left as it is; what cannot be seen at
once is for `node.service.verify`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

from node.api.errors import Damaged
from node.consensus.blocks import Block, Header
from node.consensus.dagblocks import DagBlock, Progress
from node.consensus.engine import Engine
from node.consensus.finality import Checkpoint
from node.consensus.ghostdag import Coloured
from node.consensus.restore import Kept, KeptBlock, encode_base, encode_coloured, restore
from node.consensus.votes import Vote, VoteVerdicts
from node.encoding.canonical import EncodingError, Value, decode, pack
from node.ledger import registry
from node.ledger.genesis import RULE_VERSION, Genesis
from node.ledger.signatures import Verdicts
from node.ledger.staking import Validator
from node.ledger.state import Change, State, apply_to_waves
from node.light.waves import BUCKETS, SILENCE, StateWaves
from node.service.core import BUSY, FINAL_HEIGHT, OFFENCES, coloured_of, state_of, way_back
from node.service.offences import Offences
from node.storage.chain import ChainDatabase
from node.storage.faults import other_network
from node.storage.reader import ChainReader, reading
from node.storage.records import DagRow, MetaValue

ROOT, BASE, VIEW, ADOPTED = "root", "base", "base_view", "adopted_checkpoint"
"""Meta entries: indices of the DAG's root and of the block from which views are known, and the view there; the
checkpoint of the snapshot that the chain began from, if any."""

_MAX_VOTE = 512


def begin_engine(genesis: Genesis, database: ChainDatabase, *, numpy: bool = True) -> Engine:
    """An engine at its genesis, written into an empty database."""
    engine = Engine.begin(genesis, numpy=numpy)
    tables = engine.state.tables
    database.write_genesis(
        genesis.hash,
        RULE_VERSION,
        ((table, key, pack(record)) for table, rows in tables.items() for key, record in rows.items()),
        ((bucket, engine.waves[bucket]) for bucket in range(BUCKETS)),
        base_record(engine),
    )
    return engine


def base_record(engine: Engine, final: DagBlock | None = None) -> dict[str, MetaValue]:
    """What must be stored of the block from which views are known, as of `Engine.pruning_points`."""
    _, base = engine.pruning_points(final)
    return {ROOT: engine.dag.root, BASE: base.index, VIEW: encode_base(engine, base)}


def final_height_of(database: ChainReader) -> int:
    """The stored height of the newest final checkpoint's block."""
    stored = database.meta(FINAL_HEIGHT)
    return stored if type(stored) is int else 0


def open_engine(genesis: Genesis, database: ChainDatabase, *, numpy: bool = True) -> tuple[Engine, list[Progress]]:
    """The engine as it was last written, and steps that follow at once from votes heard before the stop.

    Raises Damaged where the database belongs to another network or contradicts itself.
    """
    if database.meta("genesis") is None:
        return begin_engine(genesis, database, numpy=numpy), []
    return _opened(genesis, database, numpy)


def read_engine(path: Path, genesis: Genesis) -> Engine:
    """The engine of a stored chain, to ask and not to go on with. Errors as of `open_engine`."""
    with reading(path) as database:
        return stored_engine(genesis, database)


def stored_engine(genesis: Genesis, database: ChainReader) -> Engine:
    """The same over one reader, for who needs rows of the very state that the engine was read from."""
    return _opened(genesis, database, numpy=False)[0]


def open_offences(engine: Engine, database: ChainReader) -> Offences:
    """The stored proofs of offences. Raises Damaged where they cannot be read."""
    stored = database.meta(OFFENCES)
    if stored is not None and type(stored) is not bytes:
        raise _contradiction(database, "the proofs of offences are no bytes.")
    try:
        return Offences(engine, stored)
    except ValueError as error:
        raise _contradiction(database, f"{error}.") from None


def read_offences(path: Path, genesis: Genesis) -> Offences:
    """The offences that a stored chain knows of. Errors as of `open_engine`."""
    with reading(path) as database:
        found = open_offences(stored_engine(genesis, database), database)
    found.learn()
    return found


def _opened(genesis: Genesis, database: ChainReader, numpy: bool) -> tuple[Engine, list[Progress]]:
    if database.meta("genesis") != genesis.hash:
        raise other_network(database.path)
    state = load_state(database)
    waves = database.load_waves()
    tip = database.tip()
    height = 0 if tip is None else tip.height
    if problems := registry.broken_invariants(state):
        raise _contradiction(database, problems[0])
    try:
        engine = restore_engine(
            genesis, database, state, StateWaves([waves.get(item, SILENCE) for item in range(BUCKETS)], numpy=numpy)
        )
        if not _matches(engine, database):
            raise ValueError("the state is another than the one its header commits to")
        votes = [Vote.from_value(decode(item, _MAX_VOTE)) for item in database.votes()]
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise _contradiction(
            database, f"Block {height} and the state after it do not belong together ({error})."
        ) from error
    steps = [engine.add_vote(vote) for vote in votes]
    return engine, [step for step in steps if step.applied or step.undone or step.final]


def load_state(database: ChainReader) -> State:
    """All stored records. Raises Damaged where one cannot be read."""
    try:
        return state_of(database.load_state())
    except EncodingError as error:
        raise _contradiction(database, str(error)) from None


def restore_engine(
    genesis: Genesis,
    database: ChainReader,
    state: State,
    waves: StateWaves,
    verdicts: Verdicts | None = None,
    vote_verdicts: VoteVerdicts | None = None,
) -> Engine:
    """The engine over a state and its waves. Raises ValueError, KeyError or TypeError for what contradicts itself."""
    root, base, view, busy = (database.meta(name) for name in (ROOT, BASE, VIEW, BUSY))
    tip = database.tip()
    if type(root) is not int or type(base) is not int or type(view) is not bytes:
        raise ValueError("the record of its root is missing")
    final_height, height = final_height_of(database), 0 if tip is None else tip.height
    settled = min(busy if type(busy) is int else 0, final_height)
    kept = Kept(
        blocks=_kept_blocks(genesis, database, root, final_height),
        base=base,
        base_view=view,
        tip=genesis.hash if tip is None else tip.block_id,
        undo=_undo(database, state, final_height, height),
        active_sets=_active_sets(database),
        links=(),
        executing=(settled, *database.executing(final_height, height)),
    )
    return restore(genesis, state, waves, kept, verdicts=verdicts, vote_verdicts=vote_verdicts)


def _kept_blocks(genesis: Genesis, database: ChainReader, root: int, final_height: int) -> Iterator[KeptBlock]:
    if root == 0:
        yield KeptBlock(0, genesis.hash, None, (), None, encode_coloured(Coloured(at=0)), 0, False, 0)
    for row in database.dag():
        yield _kept_block(row, genesis.parameters.max_body_bytes, final_height)


def _kept_block(row: DagRow, max_body: int, final_height: int) -> KeptBlock:
    header, block = Header.decode(row.header), None
    votes: tuple[Vote, ...] = ()
    if row.body is not None:
        if row.merged is None or row.merged > final_height:  # it may yet be executed
            block = Block.decode(row.header, row.body, max_body)
            votes = block.votes
        else:
            votes = _votes_of(row.body)
    coloured = encode_coloured(coloured_of(row.index, row.colouring))
    return KeptBlock(row.index, row.block_id, header, votes, block, coloured, row.height, row.disqualified, row.late)


def _votes_of(body: bytes) -> tuple[Vote, ...]:
    value = decode(body, 1 << 21)
    if type(value) is not tuple or len(value) != 2 or type(value[1]) is not tuple:
        raise ValueError("a body is no list of transactions and votes")
    return tuple(Vote.from_value(item) for item in value[1])


def _undo(database: ChainReader, state: State, low: int, high: int) -> dict[int, list[Change]]:
    """The changes of the chain blocks above height `low`: their stored old values, and what came after those."""
    newer: dict[tuple[str, bytes], Change] = {}
    found: dict[int, list[Change]] = {}
    for height in range(high, low, -1):
        stored = database.changes(height)
        if stored is None:
            raise ValueError(f"the undo record of block {height} is missing")
        changes = []
        for change in way_back(state, stored):
            later = newer.get((change.table, change.key))
            after = change.old if later is None else later.old
            changes.append(Change(change.table, change.key, change.new, after))
        newer.update({(change.table, change.key): change for change in changes})
        found[height] = changes
    return found


def _active_sets(database: ChainReader) -> dict[bytes, tuple[Validator, ...]]:
    found = {}
    for block_id, packed in database.active_sets():
        rows = cast("tuple[tuple[Value, ...], ...]", decode(packed, 1 << 20))
        found[block_id] = tuple(Validator._make(row) for row in rows)
    return found


def _matches(engine: Engine, database: ChainReader) -> bool:
    """Whether the state without the newest block is the one that its header commits to, or, where the chain began
    with that block, whether it is the state of the adopted checkpoint."""
    tip = engine.chain.tip
    stored = database.changes(tip.height)
    if tip.header is None:
        return True
    if stored is None:
        adopted = database.meta(ADOPTED)
        if type(adopted) is not bytes:
            return False
        checkpoint = Checkpoint.from_value(decode(adopted, 1_024))
        return (checkpoint.block, checkpoint.state) == (tip.id, engine.waves.commitment)
    trial = StateWaves([engine.waves[bucket] for bucket in range(BUCKETS)], numpy=False)
    apply_to_waves(trial, way_back(engine.state, stored))
    return trial.commitment == tip.header.state_commitment


def _contradiction(database: ChainReader, what: str) -> Damaged:
    return Damaged(
        "damaged_state",
        f"{database.path.name} contradicts itself: {what} It was left as it is.",
        "Run `nexus node verify` for details, or restore a backup with `nexus node restore`.",
    )
