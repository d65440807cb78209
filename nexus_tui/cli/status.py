"""`nexus status`: one look at the node; `watching` goes on looking."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nexus_tui.cli.output import amount, fields, foreign, nxt
from nexus_tui.cli.session import session_of

if TYPE_CHECKING:
    from nexus_tui.cli.session import Session
    from nexus_tui.cli.watching import Look
    from node.api.records import Status, SyncView


def status(
    context: typer.Context,
    watch: Annotated[
        bool,
        typer.Option(
            "--watch", help="Go on until the node stops: at most a change a second (with --json, one a line)."
        ),
    ] = False,
) -> None:
    """Show the node's state: chain, mempool, alerts. Without a running node, what the profile's files say."""
    session = session_of(context)
    if watch:
        from nexus_tui.cli.watching import watch as go_on

        try:
            asyncio.run(go_on(session))
        except KeyboardInterrupt:  # how one leaves: nothing more is to be said
            raise typer.Exit(130) from None
        return
    seen, look = asyncio.run(_look(session))
    session.done(document(session, seen, look), _lines(session, seen, look))


async def _look(session: Session) -> tuple[Status, Look | None]:
    """The state, and what only a running node knows."""
    from nexus_tui.cli.connection import attach, connect
    from nexus_tui.cli.watching import look_at

    paths = session.paths
    running = await attach(paths)
    if running is not None:
        async with running as api:
            look = await look_at(api)
            return look.status, look
    async with connect(paths, session.config, "read") as api:
        return await api.status(), None


def document(session: Session, seen: Status, look: Look | None) -> dict[str, Any]:
    """The state as a document; `look` is there where a node runs."""
    network = seen.network
    return {
        "profile": session.profile_name,
        "running": look is not None,
        "mode": seen.mode,
        "kind": seen.kind if look is not None else None,
        "pid": seen.pid if look is not None else None,
        "network": {
            "name": network.name,
            "preset": network.preset,
            "genesis": network.genesis.hex(),
            "slot_ms": network.slot_ms,
        },
        "height": seen.height,
        "tip": seen.tip.hex(),
        "tip_slot": seen.tip_slot,
        "current_slot": seen.current_slot,
        "final_height": seen.final_height,
        "final_lag_slots": None if look is None else look.lag_slots,
        "epoch": seen.epoch,
        "accounts": seen.accounts,
        "mempool": {"transactions": seen.mempool_transactions, "bytes": seen.mempool_bytes},
        "peers": seen.peers,
        "mesh": None if look is None or look.mesh is None else _mesh_document(look),
        "total": amount(seen.total_units),
        "started_ms": seen.started_ms,
        "now_ms": seen.now_ms,
        "database_bytes": seen.database_bytes,
        "began_ms": seen.began_ms,
        "alerts": [
            {
                "code": alert.code,
                "about": alert.about,
                "level": alert.level,
                "message": alert.message,
                "hint": alert.hint,
                "since_ms": alert.since_ms,
            }
            for alert in seen.alerts
        ],
    }


def _mesh_document(look: Look) -> dict[str, Any]:
    mesh = look.mesh
    assert mesh is not None
    inbound = sum(peer.inbound for peer in mesh.peers)
    return {
        "inbound": inbound,
        "outbound": len(mesh.peers) - inbound,
        "known": mesh.known,
        "banned": len(mesh.bans),
        "bytes_in": mesh.bytes_in,
        "bytes_out": mesh.bytes_out,
        "syncing": mesh.syncing,
        "sync": sync_document(mesh.sync),
    }


def sync_document(sync: SyncView | None) -> dict[str, Any] | None:
    """How far fetching missed blocks has come."""
    return None if sync is None else {"score": sync.score, "target": sync.target, "left_ms": sync.left_ms}


def _lines(session: Session, seen: Status, look: Look | None) -> list[str]:
    from nexus_tui.cli.watching import final_words, mesh_words
    from nexus_tui.format import exactly_when, finality, size

    network = seen.network
    node = f"{seen.kind}, {seen.mode}, process {seen.pid}" if look is not None else "not running (nexus node start)"
    if any(alert.code == "fetching" for alert in seen.alerts):
        node = "starting"
    lines = fields(
        (
            ("Profile", session.profile_name),
            ("Network", f"{network.name} (preset {network.preset}), genesis {network.genesis.hex()[:16]}"),
            ("Node", node),
            ("Block", f"{seen.height}, epoch {seen.epoch}"),
            ("Final", finality(seen) if look is None else final_words(look)),
            *(
                ()
                if seen.began_ms is None
                else [("Began", f"from the checkpoint of {exactly_when(seen.began_ms)}; earlier payments are not here")]
            ),
            ("Slot", f"{seen.current_slot} now, {seen.tip_slot} in the newest block"),
            ("Waiting", f"{seen.mempool_transactions} transactions"),
            *((name.capitalize(), words) for name, words in (mesh_words(look) if look is not None else ())),
            ("Accounts", str(seen.accounts)),
            ("Total", nxt(seen.total_units)),
            ("Database", size(seen.database_bytes)),
        )
    )
    for alert in seen.alerts:
        lines.append(f"{alert.level.upper()} since {exactly_when(alert.since_ms)}: {foreign(alert.message)}")
        if alert.hint:
            lines.append(f"  {foreign(alert.hint)}")
    return lines
