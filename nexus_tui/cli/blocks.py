"""`nexus block`: look at blocks of the selected chain; `nexus dag` has all of them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nexus_tui.cli.output import amount, fields, nxt, table
from nexus_tui.cli.session import session_of
from node.api.errors import Refused

if TYPE_CHECKING:
    from nexus_tui.cli.session import Session
    from node.api.records import BlockSummary, BlockView


def show(
    context: typer.Context,
    which: Annotated[
        str, typer.Argument(metavar="[HEIGHT|ID]", help="Height, id or its first digits; the newest if not given.")
    ] = "tip",
) -> None:
    """Show a block."""
    session = session_of(context)
    view = asyncio.run(_block(session, which))
    if view is None:
        raise Refused(
            "unknown_block",
            "There is no block yet." if which == "tip" else f"There is no block {which[:80]} on this chain.",
            hint="nexus block list",
        )
    session.done(_document(view), _lines(view))


async def _block(session: Session, which: str) -> BlockView | None:
    from nexus_tui.cli.connection import connect
    from nexus_tui.cli.ids import whole_id

    async with connect(session.paths, session.config, "read") as api:
        if which == "tip":
            return await api.block()
        if which.isascii() and which.isdecimal() and len(which) < 16:
            return await api.block(int(which))
        identity = await whole_id(which, api.find_blocks)
        return None if identity is None else await api.block(block_id=identity)


def _summary(block: BlockSummary) -> dict[str, Any]:
    return {
        "id": block.id.hex(),
        "height": block.height,
        "slot": block.slot,
        "time_ms": block.time_ms,
        "creator": block.creator.hex(),
        "region": block.region,
        "transactions": block.transactions,
        "failed": block.failed,
        "fees": amount(block.fees),
        "size": block.size,
    }


def _document(view: BlockView) -> dict[str, Any]:
    return {
        **_summary(view.summary),
        "version": view.version,
        "parents": [parent.hex() for parent in view.parents],
        "seat": view.seat,
        "epoch": view.epoch,
        "reveal": view.reveal.hex(),
        "body_root": view.body_root.hex(),
        "state_commitment": view.state_commitment.hex(),
        "signature": view.signature.hex(),
        "heartbeat": view.heartbeat,
        "txids": [txid.hex() for txid in view.txids],
    }


def _lines(view: BlockView) -> list[str]:
    from nexus_tui.format import exactly_when, size

    block = view.summary
    pairs = [
        ("Block", f"{block.height}{' (heartbeat)' if view.heartbeat else ''}"),
        ("Id", block.id.hex()),
        ("Time", f"{exactly_when(block.time_ms)}, slot {block.slot}, epoch {view.epoch}"),
        ("Region", block.region),
        ("Creator", block.creator.hex()),
        *(("Parent", parent.hex()) for parent in view.parents),
        ("State", view.state_commitment.hex()),
        ("Fees", f"{nxt(block.fees)}; transactions {block.transactions}, failed {block.failed}"),
        ("Size", size(block.size)),
    ]
    return [*fields(pairs), *(f"  {txid.hex()}" for txid in view.txids)]


def list_blocks(
    context: typer.Context,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=500, help="How many.")] = 20,
    before: Annotated[int | None, typer.Option("--before", min=0, metavar="HEIGHT", help="Only blocks below.")] = None,
) -> None:
    """List blocks, newest first."""
    session = session_of(context)

    async def listed() -> tuple[BlockSummary, ...]:
        from nexus_tui.cli.connection import connect

        async with connect(session.paths, session.config, "read") as api:
            return await api.blocks(before, limit)

    blocks = asyncio.run(listed())
    session.done(
        {"blocks": [_summary(block) for block in blocks]},
        table((_row(block) for block in blocks), right=frozenset({0, 2, 3})) if blocks else "There is no block yet.",
    )


def _row(block: BlockSummary) -> tuple[str, ...]:
    from nexus_tui.format import exactly_when

    count = f"{block.transactions} tx" + (f", {block.failed} failed" if block.failed else "")
    return (str(block.height), exactly_when(block.time_ms), count, nxt(block.fees), block.region, block.id.hex()[:16])
