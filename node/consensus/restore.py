"""An engine from what was stored: nothing is judged or coloured again (protocol section 4).

What is stored is trusted as far as `nexus node verify` recounts it. Kept are the blocks in the future of the pruning
root with their colouring, the view at the base, and the state after the tip with its undo records.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, cast

from node.consensus.blocks import Block, Header, header_id
from node.consensus.dagblocks import DagBlock
from node.consensus.engine import Engine
from node.consensus.finality import Checkpoint, Link, Target
from node.consensus.forkchoice import mark_late
from node.consensus.ghostdag import Coloured, Ghostdag
from node.consensus.tables import Table
from node.consensus.view import Fresh, View
from node.consensus.views import StateMissing
from node.consensus.votes import Vote, VoteVerdicts
from node.encoding.canonical import Value, big_uint, decode, pack, read_big_uint
from node.ledger.genesis import Genesis
from node.ledger.signatures import Verdicts
from node.ledger.staking import Validator
from node.ledger.state import Change, State
from node.light.waves import StateWaves

_MAX_VIEW = 64 << 20


class KeptBlock(NamedTuple):
    """A block as it was stored, at its place in the order of the DAG.

    `header` is None for the genesis alone; `block` holds the body where it must be in memory.
    """

    at: int
    id: bytes
    header: Header | None
    votes: tuple[Vote, ...]
    block: Block | None
    coloured: bytes
    height: int
    disqualified: bool
    late: int


class Kept(NamedTuple):
    """Everything that a stop leaves. `blocks` ascend by index and begin with the root; `base` is an index, `base_view`
    what `encode_base` says of it; `undo` the changes of chain blocks by height, as far down as the final block;
    `executing` the heights of those that executed a transaction, ascending, and of the final ones the newest."""

    blocks: Iterable[KeptBlock]
    base: int
    base_view: bytes
    tip: bytes
    undo: Mapping[int, list[Change]]
    active_sets: Mapping[bytes, tuple[Validator, ...]]
    links: Iterable[Link]
    executing: Sequence[int]


def encode_coloured(coloured: Coloured) -> bytes:
    """What must be stored of a block's colouring: parents, selected, blues, reds, sizes, score, work."""
    sizes = tuple(sorted(coloured.sizes.items()))
    fields = (coloured.parents, coloured.selected + 1, coloured.blues, coloured.reds, sizes, coloured.score)
    return pack((*fields, big_uint(coloured.work)))


def decode_coloured(index: int, data: bytes) -> Coloured:
    """The other way round. Raises ValueError or TypeError for bytes that are none."""
    parents, selected, blues, reds, sizes, score, work = cast("tuple[Value, ...]", decode(data, 1 << 20))
    return Coloured(
        index,
        cast("tuple[int, ...]", parents),
        cast(int, selected) - 1,
        cast("tuple[int, ...]", blues),
        cast("tuple[int, ...]", reds),
        dict(cast("tuple[tuple[int, int], ...]", sizes)),
        cast(int, score),
        read_big_uint(work),
    )


def restore(
    genesis: Genesis,
    state: State,
    waves: StateWaves,
    kept: Kept,
    *,
    verdicts: Verdicts | None = None,
    vote_verdicts: VoteVerdicts | None = None,
) -> Engine:
    """The engine as it was. Raises ValueError, KeyError or TypeError where what is stored contradicts itself."""
    blocks = iter(kept.blocks)
    first = next(blocks)
    root = _dag_block(first, genesis.hash)
    dag = Ghostdag(genesis.parameters.ghostdag_k, root.id, root.coloured, _twin(root))
    engine = Engine(genesis, dag, verdicts, vote_verdicts)
    engine.active_sets.update(kept.active_sets)
    engine.know(root)
    if first.at == kept.base:
        _decode_base(engine, root, kept.base_view)
    for item in blocks:
        block = _dag_block(item, genesis.hash)
        engine.dag.restore(block.id, block.coloured, _twin(block))
        engine.know(block)
        if item.at == kept.base:
            _decode_base(engine, block, kept.base_view)
            continue
        selected = engine.by_index.get(block.coloured.selected)
        if selected is not None and selected.view is not None:
            block.view = _view_after(engine, selected.view, block)
            mark_late(block, selected, item.late)
    tip = engine.blocks[kept.tip]
    engine.stand_at(tip, state, waves)
    undo = {}
    for block_ in engine.selected(tip):
        if block_.height not in kept.undo:
            break
        undo[block_.height] = (block_, engine.by_index[block_.coloured.selected], kept.undo[block_.height])
    engine.chain.remember(undo)
    engine.chain.at.update((block.height, block) for block in engine.selected(tip))
    engine.take_up(kept.links, kept.executing)
    return engine


def _view_after(engine: Engine, view: View, block: DagBlock) -> View:
    assert block.header is not None
    members = [engine.by_index[index] for index in engine.dag.mergeset(block.coloured)[1:]]
    accepted = [(member.id, member.header, member.votes) for member in (*members, block) if member.header is not None]
    try:
        return engine.views.advance(view, block.header, block.id, block.coloured.score, accepted)
    except StateMissing as missing:
        raise ValueError(f"the validators after block {missing} are missing") from None


def _dag_block(item: KeptBlock, genesis: bytes) -> DagBlock:
    header_bytes = genesis if item.header is None else item.header.encoded()
    coloured = decode_coloured(item.at, item.coloured)
    block = DagBlock(item.at, item.id, item.header, header_bytes, coloured, item.height, None, item.votes)
    block.block = item.block
    block.disqualified = item.disqualified
    return block


def _twin(block: DagBlock) -> tuple[bytes, int] | None:
    return None if block.header is None else (block.header.creator, block.header.slot)


def encode_base(engine: Engine, base: DagBlock) -> bytes:
    """The view at the base, with the active sets that it may ask for though their blocks are pruned."""
    view = base.known_view
    blocks = {target.checkpoint.block for target in view.known.values()}
    found = sorted((name, engine.active_sets[name]) for name in blocks - engine.blocks.keys())
    sets: tuple[Value, ...] = tuple((name, tuple(tuple(item) for item in active)) for name, active in found)
    return pack((encode_view(view), sets))


def _decode_base(engine: Engine, base: DagBlock, data: bytes) -> None:
    view, sets = cast("tuple[bytes, tuple[tuple[bytes, tuple[tuple[Value, ...], ...]], ...]]", decode(data, _MAX_VIEW))
    base.view = found = decode_view(view)
    for target in found.known.values():
        block = target.checkpoint.block
        # Votes sign the headers, of blocks that may be pruned.
        if target.header != block if block == engine.genesis_hash else header_id(target.header) != block:
            raise ValueError(f"the header of checkpoint {target.number} is another block's")
    if found.proofs.keys() != {name for name, number in found.justified.items() if number > found.final.number}:
        raise ValueError("what justified its checkpoints is missing")
    engine.active_sets.update((name, tuple(Validator._make(row) for row in rows)) for name, rows in sets)


def encode_view(view: View) -> bytes:
    """A view as bytes; tables stand in it once each."""
    tables: dict[bytes, Table] = {}
    for target in view.known.values():
        tables.update({target.table.hash: target.table, target.next_table.hash: target.next_table})
    tables.update({view.table.hash: view.table, view.next_table.hash: view.next_table})
    votes: tuple[Value, ...] = tuple(
        tuple(vote) for _, cast_ in sorted(view.links.items()) for _, vote in sorted(cast_.items())
    )
    targets: tuple[Value, ...] = tuple(
        (
            tuple(target.checkpoint),
            target.table.hash,
            target.next_table.hash,
            tuple(target.source),
            int(target.stake_alone),
            tuple(sorted(target.absent)),
            target.score,
            target.height,
            target.header,
        )
        for target in view.known.values()
    )
    return pack(
        (
            (view.height, view.epoch, view.rotation, view.number),
            view.order,
            tuple((table.seed, tuple(tuple(item) for item in table.validators)) for table in tables.values()),
            (view.table.hash, view.next_table.hash, view.best.hash, view.final.hash),
            tuple(sorted(view.reveals)),
            targets,
            None if view.fresh is None else tuple(view.fresh),
            tuple(sorted(view.justified.items())),
            votes,
            tuple(sorted(view.seen.items())),
            tuple(sorted(view.absent)),
            tuple(decode(link.encoded(), _MAX_VIEW) for link in view.certificate),
            tuple(decode(link.encoded(), _MAX_VIEW) for link in view.proofs.values()),
        )
    )


def decode_view(data: bytes) -> View:
    """The other way round. Raises ValueError, KeyError or TypeError for bytes that are none."""
    numbers, order, rows, names, reveals, targets, fresh, justified, votes, seen, gone, certificate, proofs = cast(
        "tuple[tuple[Value, ...], ...]", decode(data, _MAX_VIEW)
    )
    tables = {table.hash: table for table in map(Table.from_value, rows)}
    view = View()
    view.order = cast(bytes, order)
    view.height, view.epoch, view.rotation, view.number = cast("tuple[int, ...]", numbers)
    known: dict[bytes, Target] = {}
    for row in cast("tuple[tuple[Value, ...], ...]", targets):
        checkpoint, table, following, source, alone, absent, score, height, header = row
        target = Target(
            Checkpoint.from_value(checkpoint),
            tables[cast(bytes, table)],
            tables[cast(bytes, following)],
            Checkpoint.from_value(source),
            bool(alone),
            frozenset(cast("tuple[bytes, ...]", absent)),
            cast(int, score),
            cast(int, height),
            cast(bytes, header),
        )
        known[target.hash] = target
    table, following, best, final = cast("tuple[bytes, ...]", names)
    view.table, view.next_table = tables[table], tables[following]
    view.best, view.final = known[best], known[final]
    view.known = known
    view.reveals = frozenset(cast("tuple[tuple[bytes, int, bytes], ...]", reveals))
    view.fresh = None if fresh is None else Fresh._make(cast("tuple[tuple[int, ...], bytes, int, int]", fresh))
    view.justified = dict(cast("tuple[tuple[bytes, int], ...]", justified))
    links: dict[tuple[bytes, bytes], dict[bytes, Vote]] = {}
    for item in votes:
        vote = Vote.from_value(item)
        links.setdefault(vote.link, {})[vote.voter] = vote
    view.links = links
    view.seen = dict(cast("tuple[tuple[bytes, int], ...]", seen))
    view.absent = frozenset(cast("tuple[bytes, ...]", gone))
    view.finals = view.new_links = ()
    view.certificate = tuple(Link.from_value(item) for item in certificate)
    view.proofs = {link.target.hash: link for link in map(Link.from_value, proofs)}
    return view
