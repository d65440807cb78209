"""`nexus mesh doctor`: what is well and what is not with this node's links, and what to do."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import typer

from nexus_tui.cli.output import foreign
from nexus_tui.cli.session import session_of

if TYPE_CHECKING:
    from nexus_tui.cli.session import Session
    from node.api.records import FindingView

_MARKS = {"ok": "ok      ", "note": "note    ", "problem": "PROBLEM "}


def doctor(context: typer.Context) -> None:
    """Check this node's links: network, port, peers, clock, proxy, bans, data, finality. Exit 1 on a problem."""
    session = session_of(context)
    running, found = asyncio.run(_look(session))
    problems = sum(item.state == "problem" for item in found)
    lines = [] if running else ["No node runs on this profile; this is what can be told without it."]
    for item in found:
        lines.append(f"{_MARKS[item.state]}{item.name}: {foreign(item.detail)}")
        if item.advice:
            lines.append(f"        {foreign(item.advice)}")
    lines.append("Nothing is wrong." if not problems else f"{problems} problem{'s' * (problems > 1)} to look at.")
    session.done(
        {
            "ok": not problems,
            "running": running,
            "findings": [
                {"name": item.name, "state": item.state, "detail": item.detail, "advice": item.advice} for item in found
            ],
        },
        lines,
    )
    if problems:
        raise typer.Exit(1)


async def _look(session: Session) -> tuple[bool, tuple[FindingView, ...]]:
    from nexus_tui.cli.connection import attach, service_settings

    paths = session.paths
    running = await attach(paths)
    if running is not None:
        async with running as api:
            return True, await api.diagnose()
    from node.service.clock import system_clock
    from node.service.mesh_doctor import examine_files
    from node.service.mesh_settings import MeshSettings

    settings = service_settings(session.config).mesh or MeshSettings(hosts=(), discovery=False)
    return False, await examine_files(paths.peers, settings, system_clock())
