"""`nexus dag`: the block DAG, its tips and how far it is final; as text, as a document, as a drawing for others."""

from __future__ import annotations

import asyncio
import shutil
import sys
from contextlib import asynccontextmanager
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nexus_tui.cli.dag_documents import block_document, dag_document, finality_document, summary_document
from nexus_tui.cli.ids import whole_id
from nexus_tui.cli.output import fields, foreign, nxt, table, write_text
from nexus_tui.cli.session import session_of
from node.api.errors import Damaged, Refused
from node.api.interface import MAX_PAGE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from nexus_tui.cli.session import Session
    from node.api.interface import NodeApi
    from node.api.records import (
        CheckpointView,
        DagBlockSummary,
        DagBlockView,
        DagView,
        FinalityView,
        NetworkInfo,
        ValidatorView,
    )

WIDTH, MOST_WIDTH = 78, 110
"""Columns of the drawing in a file or a pipe, and at most in a terminal."""
_TABLE_WIDTH = 100
"""In a terminal narrower than that, addresses and ids in tables are shortened."""
_EMPTY = "There is no block yet. A block is made as soon as there is something to put into it."


class Format(StrEnum):
    """What `export` writes."""

    DOT = "dot"
    JSON = "json"
    SVG = "svg"


def show(
    context: typer.Context,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=MAX_PAGE, help="How many blocks.")] = 30,
    before_slot: Annotated[
        int | None, typer.Option("--before-slot", min=0, metavar="SLOT", help="Only blocks of slots below.")
    ] = None,
) -> None:
    """Draw the newest blocks of the DAG, newest first. Thick lines lead to the selected parent."""
    session = session_of(context)

    async def look() -> DagView:
        async with _node(session) as api:
            return await api.dag(before_slot, limit)

    view = asyncio.run(look())
    nothing = _EMPTY
    if before_slot is not None and view.oldest_slot:
        nothing = f"This node keeps no block below slot {before_slot:,}: its oldest is of slot {view.oldest_slot:,}."
    session.done(dag_document(view), _drawing(view) if view.blocks else nothing)


def block(
    context: typer.Context,
    prefix: Annotated[
        str, typer.Argument(metavar="[ID]", help="The block's id or its first digits; the tip if not given.")
    ] = "tip",
) -> None:
    """Show a block of the DAG: header, wave signature, votes, transactions, and what the chain made of it."""
    session = session_of(context)

    async def look() -> tuple[DagBlockView, NetworkInfo]:
        async with _node(session) as api:
            return await _find(api, prefix), await api.network()

    view, network = asyncio.run(look())
    session.done(block_document(view, network.hrp), _block_lines(view, network.hrp))


def tips(context: typer.Context) -> None:
    """List the blocks without a successor; the first is the end of the selected chain."""
    session = session_of(context)

    async def look() -> list[DagBlockSummary]:
        async with _node(session) as api:
            view = await api.dag(None, 60)
            known = {block.id: block for block in view.blocks}
            found = []
            for tip in sorted(view.tips, key=lambda tip: (tip != view.tip, tip)):
                if tip not in known and (whole := await api.dag_block(tip)) is not None:
                    known[tip] = whole.summary
                if tip in known:
                    found.append(known[tip])
            return found

    found = asyncio.run(look())
    session.done(
        {"tips": [summary_document(block) for block in found]},
        table((_row(block) for block in found), right=frozenset({1, 4})) if found else _EMPTY,
    )


def finality(context: typer.Context) -> None:
    """Show how far the chain is final: checkpoints, who voted, and in which regions."""
    session = session_of(context)

    async def look() -> tuple[FinalityView, NetworkInfo]:
        async with _node(session) as api:
            return await api.finality(), await api.network()

    view, network = asyncio.run(look())
    session.done(finality_document(view, network.hrp), _finality_lines(view, network))


def export(
    context: typer.Context,
    form: Annotated[Format, typer.Option("--format", "-f", help="Graphviz text, a document, or a picture.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write here; the file must not exist.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=100_000, help="How many blocks.")] = 500,
) -> None:
    """Write the newest blocks of the DAG for other programs, to standard output or to a file."""
    session = session_of(context)

    async def look() -> tuple[DagView, NetworkInfo]:
        async with _node(session) as api:
            return await _collect(api, limit), await api.network()

    view, network = asyncio.run(look())
    final = view.final.block if view.final is not None else None
    if form is Format.JSON:
        import json

        content = json.dumps(dag_document(view), ensure_ascii=True, separators=(", ", ": ")) + "\n"
    else:
        from nexus_tui.drawing.files import dot, svg

        content = dot(view.blocks, final) if form is Format.DOT else svg(view.blocks, final, network.name)
    if output is not None:
        path = _write(output, content)
        document = {"path": str(path), "format": form.value, "blocks": len(view.blocks)}
        session.done(document, f"{len(view.blocks)} blocks are in {foreign(str(path))}.")
    elif session.json:
        session.done(dag_document(view) if form is Format.JSON else {"format": form.value, "content": content}, ())
    else:
        write_text(content.rstrip("\n"))


@asynccontextmanager
async def _node(session: Session) -> AsyncIterator[NodeApi]:
    from nexus_tui.cli.connection import connect

    async with connect(session.paths, session.config, "read") as api:
        yield api


async def _find(api: NodeApi, prefix: str) -> DagBlockView:
    """The one block whose id begins so. Raises Refused (unknown_block, ambiguous_id), UsageError."""
    if prefix == "tip":
        found: bytes | None = (await api.dag(None, 1)).tip
    else:
        found = await whole_id(prefix, api.find_blocks)
    view = None if found is None else await api.dag_block(found)
    if view is None:
        raise Refused(
            "unknown_block",
            _EMPTY if prefix == "tip" else f"This node keeps no block whose id begins with {prefix.strip().lower()}.",
            hint="`nexus dag show` lists blocks; what is long final was pruned.",
        )
    return view


async def _collect(api: NodeApi, limit: int) -> DagView:
    """The newest `limit` blocks, page by page."""
    view = await api.dag(None, min(limit, MAX_PAGE))
    known = {block.id: block for block in view.blocks}
    before = min((block.slot for block in view.blocks), default=0) + 1
    while len(known) < limit and before > view.oldest_slot:
        page = await api.dag(before, MAX_PAGE)
        fresh = {block.id: block for block in page.blocks if block.id not in known}
        known |= fresh
        # a page may end inside a slot, so the next one begins there again; with nothing new it begins below
        before = min((block.slot for block in fresh.values()), default=before - 2) + 1
    ordered = sorted(known.values(), key=lambda block: (block.slot, block.seat, block.id))
    return replace(view, blocks=tuple(ordered[-limit:]))


def _write(output: Path, content: str) -> Path:
    from nexus_tui.cli.files import new_file

    path = new_file(output)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(content)
    except OSError as error:
        raise Damaged(
            "not_writable", f"{foreign(str(path))} cannot be written: {error.strerror}.", hint="Choose another place."
        ) from None
    return path


def _drawing(view: DagView) -> list[str]:
    import time

    from nexus_tui.cli.colour import coloured
    from nexus_tui.drawing.marks import choose
    from nexus_tui.drawing.picture import rule, upright
    from nexus_tui.drawing.words import final_words, legend, row_words
    from nexus_tui.terminal import detect

    terminal, shown = detect(encoding=sys.stdout.encoding), _is_terminal()
    marks = choose(not terminal.unicode)
    width = min(shutil.get_terminal_size((WIDTH, 24)).columns, MOST_WIDTH) if shown else WIDTH

    def clock(block: DagBlockSummary) -> str:
        return time.strftime("%H:%M:%S", time.localtime(block.time_ms // 1000))

    picture = upright(
        view.blocks,
        width,
        marks,
        lambda block, room: row_words(block, room, clock(block)),
        final=view.final.block if view.final is not None else None,
        final_words=final_words(view.final),
        most_lanes=12 if width >= WIDTH else 8,
    )
    lines = coloured(picture) if shown and terminal.color else picture.text()
    if view.final is not None and view.final.slot < min(block.slot for block in view.blocks):
        lines.append(rule(f"{final_words(view.final)} {marks.below}", width, marks))
    return [*lines, "", *_wrapped([f"{sign} {words}" for sign, words in legend(marks)], width)]


def _is_terminal() -> bool:
    return sys.stdout.isatty()


def _wrapped(pieces: list[str], width: int, gap: str = "   ") -> list[str]:
    lines = [""]
    for piece in pieces:
        if lines[-1] and len(lines[-1]) + len(gap) + len(piece) > width:
            lines.append("")
        lines[-1] += f"{gap if lines[-1] else ''}{piece}"
    return lines


def _row(block: DagBlockSummary) -> tuple[str, ...]:
    from nexus_tui.drawing.words import standing
    from nexus_tui.format import exactly_when

    height = "" if block.height is None else str(block.height)
    state = "selected chain" if block.chain else standing(block)
    count = f"{block.transactions} tx"
    return (block.id.hex()[:16], height, state, foreign(block.region), count, exactly_when(block.time_ms))


def _block_lines(view: DagBlockView, prefix: str) -> list[str]:
    from nexus_tui.drawing.facts import block_facts

    return fields((name, foreign(value)) for name, value in block_facts(view, prefix))


def _finality_lines(view: FinalityView, network: NetworkInfo) -> list[str]:
    from nexus_tui.drawing.facts import lag_words, percent
    from nexus_tui.drawing.words import rule_reason

    narrow = _is_terminal() and shutil.get_terminal_size().columns < _TABLE_WIDTH
    if not view.checkpoints and view.final is None:
        return ["Nothing is final yet: the first checkpoint comes after some blocks."]
    lines = fields(
        (
            ("Final", _position(view.final)),
            ("Its hash", "none yet" if view.final is None else view.final.hash.hex()),
            ("Justified", _position(view.justified)),
            ("Behind the tip", lag_words(view.lag_slots, network.slot_ms)),
        )
    )
    if view.checkpoints:
        rows = [_checkpoint_row(each, narrow) for each in view.checkpoints]
        lines += ["", *table(rows, right=frozenset({0, 1, 3}))]
        newest = view.checkpoints[0]
        if reason := rule_reason(newest):
            lines += ["", *_wrapped(reason.split(), WIDTH, " ")]
        regions = [share for share in newest.spectral if share.stake]
        if regions:
            lines += ["", f"Votes for checkpoint {newest.number} by region:"]
            lines += table(
                ((f"  {foreign(share.region)}", percent(share.voted, share.stake)) for share in regions),
                right=frozenset({1}),
            )
    if view.validators:
        names = [_name_of(each, network.hrp, narrow) for each in view.validators]
        rows = [(name, *_validator_row(each)) for name, each in zip(names, view.validators, strict=True)]
        lines += ["", *table(rows, right=frozenset({2, 3}))]
    return lines


def _position(view: CheckpointView | None) -> str:
    if view is None:
        return "nothing yet"
    height = "" if view.height is None else f"block {view.height}, "
    return f"{height}checkpoint {view.number}, {view.block.hex()[:16]}"


def _checkpoint_row(view: CheckpointView, narrow: bool) -> tuple[str, ...]:
    from nexus_tui.drawing.facts import counted, percent
    from nexus_tui.drawing.words import rule_words, status_words, votes_are_gone

    height, block = "" if view.height is None else str(view.height), view.block.hex()[: 8 if narrow else 16]
    if not view.number:
        return ("0", height, "final", "", "", "genesis", block)
    how = rule_words(view)
    voted, voters = f"{percent(view.stake_voted, view.stake_total)} of stake", counted(view.voters, "voter")
    if votes_are_gone(view):
        voted, voters = "votes not kept", ""
    return (str(view.number), height, status_words(view, narrow), voted, voters, how, block)


def _name_of(view: ValidatorView, prefix: str, narrow: bool) -> str:
    from nexus_tui.format import address_text, short

    address = address_text(view.id, prefix)
    return foreign(view.name) or (short(address) if narrow else address)


def _validator_row(view: ValidatorView) -> tuple[str, ...]:
    from nexus_tui.drawing.words import vote_words

    return (
        foreign(view.region),
        nxt(view.stake),
        f"{view.blocks} blocks",
        vote_words(view),
    )
