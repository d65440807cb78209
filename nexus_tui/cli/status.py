"""`nexus status`: one look at the node, or one line a change with --watch."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nexus_tui.cli.output import amount, fields, foreign, nxt, write_json, write_text
from nexus_tui.cli.session import session_of

if TYPE_CHECKING:
    from nexus_tui.cli.session import Session
    from node.api.records import Alert, Status

_WATCH_S = 15.0


def status(
    context: typer.Context,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on: a line for every change (with --json, a document a line).")
    ] = False,
) -> None:
    """Show the node's state: chain, mempool, alerts. Without a running node, what the profile's files say."""
    session = session_of(context)
    if watch:
        asyncio.run(_watch(session))
        return
    seen, running = asyncio.run(_look(session))
    session.done(_document(session, seen, running), _lines(session, seen, running))


async def _look(session: Session) -> tuple[Status, bool]:
    from nexus_tui.cli.connection import attach, connect

    paths = session.paths
    running = await attach(paths)
    if running is not None:
        async with running as api:
            return await api.status(), True
    async with connect(paths, session.config, "read") as api:
        return await api.status(), False


async def _watch(session: Session) -> None:
    """A line now, then one for every block, alert or waiting payment, and one every 15 seconds at least."""
    from nexus_tui.cli.connection import connect

    async with (
        connect(session.paths, session.config, "node") as api,
        api.subscribe(("block", "alert", "transaction")) as events,
    ):
        told: dict[tuple[str, str], Alert] = {}
        while True:
            seen = await api.status()
            if session.json:
                write_json(_document(session, seen, running=True))
            else:
                write_text([_line(seen), *_news(seen, told)])
            try:
                async with asyncio.timeout(_WATCH_S):
                    await anext(events)
            except TimeoutError:
                continue
            except StopAsyncIteration:
                return


def _line(seen: Status) -> str:
    count = len(seen.alerts)
    return (
        f"{_clock(seen)}  block {seen.height}  final {seen.final_height}  slot {seen.current_slot}  "
        f"mempool {seen.mempool_transactions}"
        + (f"  peers {seen.peers}" if seen.peers is not None else "")
        + (f"  {count} alert{'s' if count > 1 else ''}" if count else "")
    )


def _news(seen: Status, told: dict[tuple[str, str], Alert]) -> list[str]:
    """Alerts that are new or say something else, and those that are over, each once; `told` remembers them."""
    now = {(alert.code, alert.about): alert for alert in seen.alerts}
    lines = [
        f"{_clock(seen)}  {alert.level.upper()}: {foreign(alert.message)} {foreign(alert.hint)}".rstrip()
        for name, alert in now.items()
        if told.get(name) != alert
    ]
    lines += [
        f"{_clock(seen)}  over: {foreign(alert.message.split('. ')[0].rstrip('.'))}."
        for name, alert in told.items()
        if name not in now
    ]
    told.clear()
    told.update(now)
    return lines


def _clock(seen: Status) -> str:
    import time

    return time.strftime("%H:%M:%S", time.localtime(seen.now_ms // 1000))


def _document(session: Session, seen: Status, running: bool) -> dict[str, Any]:
    network = seen.network
    return {
        "profile": session.profile_name,
        "running": running,
        "mode": seen.mode,
        "pid": seen.pid if running else None,
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
        "epoch": seen.epoch,
        "accounts": seen.accounts,
        "mempool": {"transactions": seen.mempool_transactions, "bytes": seen.mempool_bytes},
        "peers": seen.peers,
        "total": amount(seen.total_units),
        "started_ms": seen.started_ms,
        "now_ms": seen.now_ms,
        "database_bytes": seen.database_bytes,
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


def _lines(session: Session, seen: Status, running: bool) -> list[str]:
    from nexus_tui.format import exactly_when, finality, size

    network = seen.network
    node = f"{seen.mode}, process {seen.pid}" if running else "not running (nexus node start)"
    lines = fields(
        (
            ("Profile", session.profile_name),
            ("Network", f"{network.name} (preset {network.preset}), genesis {network.genesis.hex()[:16]}"),
            ("Node", node),
            ("Block", f"{seen.height}, epoch {seen.epoch}"),
            ("Final", finality(seen)),
            ("Slot", f"{seen.current_slot} now, {seen.tip_slot} in the newest block"),
            ("Waiting", f"{seen.mempool_transactions} transactions"),
            *([("Peers", f"{seen.peers} linked")] if seen.peers is not None else []),
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
