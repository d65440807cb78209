"""`nexus status --watch`: the node's state as it changes, at most once a second, until the node stops or Ctrl-C.

At a terminal it is a few lines that stay in place, of which only what changed is sent again (a slow line over SSH must
not fill up); elsewhere a line a change; with `--json` an object a line.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
import textwrap
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from nexus_tui.cli.output import foreign, write_json, write_text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from nexus_tui.cli.session import Session
    from node.api.interface import NodeApi
    from node.api.records import Alert, Event, MeshView, Status

EVERY_S = 1.0
LATEST_S = 15.0
"""It is read again after so long though nothing was told: traffic and delays are no events."""
_TOPICS = ("block", "alert", "transaction", "dag", "mesh")
_GATHER_S = 0.1  # what belongs to one block comes together
_NARROWEST = 20


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a running node. `lag_slots`: how far finality lies behind the tip; `mesh` only where there are links;
    `rates` are bytes a second in and out since the look before."""

    status: Status
    lag_slots: int
    mesh: MeshView | None
    rates: tuple[int, int] | None = None


class Output(Protocol):
    """Where looks go."""

    def show(self, look: Look) -> None:
        """Show the newest one."""

    def end(self) -> None:
        """The node has stopped."""


async def look_at(api: NodeApi, before: Look | None = None) -> Look:
    """Ask a running node for all that is watched."""
    status = await api.status()
    lag = (await api.finality()).lag_slots if status.height > status.final_height else 0
    mesh = await api.mesh() if status.peers is not None else None
    rates = None
    if mesh is not None and before is not None and before.mesh is not None:
        passed = status.now_ms - before.status.now_ms
        if passed > 0:
            received, sent = mesh.bytes_in - before.mesh.bytes_in, mesh.bytes_out - before.mesh.bytes_out
            rates = received * 1_000 // passed, sent * 1_000 // passed
    return Look(status, lag, mesh, rates)


async def watch(session: Session) -> None:
    """See the module. Raises NoNode where none runs, or where the connection breaks."""
    from nexus_tui.cli.connection import connect

    async with connect(session.paths, session.config, "node") as api, api.subscribe(_TOPICS) as events:
        output = _output(session)
        changed = asyncio.Event()
        listener = asyncio.create_task(_listen(events, changed), name="status-events")
        look: Look | None = None
        try:
            while not listener.done():
                changed.clear()
                look = await look_at(api, look)
                read_at = time.monotonic()
                output.show(look)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LATEST_S):
                        await changed.wait()
                pause = max(read_at + EVERY_S - time.monotonic(), _GATHER_S)
                await asyncio.wait((listener,), timeout=pause)
            listener.result()
            output.end()
        finally:
            listener.cancel()


async def _listen(events: AsyncIterator[Event], changed: asyncio.Event) -> None:
    try:
        async for _ in events:
            changed.set()
    finally:
        changed.set()


def _output(session: Session) -> Output:
    if session.json:
        return Documents(session)
    if sys.stdout.isatty() and os.environ.get("TERM", "dumb") not in ("", "dumb"):
        return Panel(session.profile_name)
    return Lines()


class Documents:
    """An object a line: for every change, and every `LATEST_S` as a sign of life."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def show(self, look: Look) -> None:
        """See Output."""
        from nexus_tui.cli.status import document

        write_json(document(self._session, look.status, look))

    def end(self) -> None:
        """See Output."""
        write_json({"profile": self._session.profile_name, "running": False})


class Lines:
    """A line a change, and every alert once."""

    def __init__(self) -> None:
        self._line = ""
        self._told: dict[tuple[str, str], Alert] = {}

    def show(self, look: Look) -> None:
        """See Output."""
        line, news = summary(look), self._news(look.status)
        if line != self._line or news:
            self._line = line
            write_text([f"{_clock(look.status)}  {text}" for text in (line, *news)])

    def end(self) -> None:
        """See Output."""
        write_text("The node has stopped.")

    def _news(self, seen: Status) -> list[str]:
        """Alerts that are new or say something else, and those that are over."""
        now = {(alert.code, alert.about): alert for alert in seen.alerts}
        told, self._told = self._told, now
        return [
            *(alert_text(alert) for name, alert in now.items() if told.get(name) != alert),
            *(
                f"over: {foreign(alert.message.split('. ')[0].rstrip('.'))}."
                for name, alert in told.items()
                if name not in now
            ),
        ]


class Panel:
    """Lines that stay in place on a terminal; what has not changed is not sent again."""

    def __init__(self, profile: str) -> None:
        self._profile = profile
        self._shown: list[str] = []
        self._facts: list[str] = []

    def show(self, look: Look) -> None:
        """See Output."""
        facts = self._lines(look)
        if facts != self._facts:
            self._facts = facts
            self._draw([f"{foreign(self._profile)}  {_clock(look.status)}", *facts])

    def end(self) -> None:
        """See Output."""
        write_text("The node has stopped.")

    def _lines(self, look: Look) -> list[str]:
        from nexus_tui.format import size, when

        status = look.status
        pairs = [
            ("network", foreign(status.network.name)),
            ("block", f"{status.height:,}, epoch {status.epoch:,}"),
            ("final", final_words(look)),
            ("waiting", f"{status.mempool_transactions:,} transactions, {size(status.mempool_bytes)}"),
            *mesh_words(look),
            ("database", size(status.database_bytes)),
            ("node", f"{status.mode}, process {status.pid}, since {when(status.started_ms, status.now_ms)}"),
            *(("alert", alert_text(alert)) for alert in status.alerts),
        ]
        if not status.alerts:
            pairs.append(("alerts", "none"))
        return [f"{name:<10}{value}" for name, value in pairs]

    def _draw(self, lines: list[str]) -> None:
        columns, rows = shutil.get_terminal_size()
        room = max(columns - 1, _NARROWEST)
        fitted = [part for line in lines for part in textwrap.wrap(line, room, subsequent_indent=" " * 10)]
        fitted = fitted[: max(rows - 1, 1)]
        out = f"\x1b[{len(self._shown)}A" if self._shown else ""
        for place, line in enumerate(fitted):
            same = place < len(self._shown) and self._shown[place] == line
            out += "\n" if same else f"\r{line}\x1b[K\n"
        if len(fitted) < len(self._shown):
            out += "\x1b[J"
        self._shown = fitted
        sys.stdout.write(out)
        sys.stdout.flush()


def summary(look: Look) -> str:
    """All that is watched in one line."""
    from nexus_tui.format import size

    status, mesh = look.status, look.mesh
    parts = [f"block {status.height}", f"final {status.final_height}"]
    if look.lag_slots:
        parts.append(f"lag {_lag(look)}")
    parts.append(f"mempool {status.mempool_transactions}")
    if mesh is not None:
        parts += [f"peers {len(mesh.peers)}", f"in {size(mesh.bytes_in)}", f"out {size(mesh.bytes_out)}"]
        if mesh.syncing:
            parts.append(sync_words(mesh))
    if count := len(status.alerts):
        parts.append(f"{count} alert{'s' if count > 1 else ''}")
    return "  ".join(parts)


def final_words(look: Look) -> str:
    """How far the chain is final, and how far that lies behind in blocks and time."""
    from nexus_tui.format import finality

    return finality(look.status) + (f", {_lag(look)}" if look.lag_slots else "")


def mesh_words(look: Look) -> list[tuple[str, str]]:
    """Peers, traffic and sync; nothing where there are no links."""
    from nexus_tui.format import size, volume

    mesh = look.mesh
    if mesh is None:
        return []
    inbound = sum(peer.inbound for peer in mesh.peers)
    rate_in, rate_out = (
        ("", "") if look.rates is None else (f" ({size(rate)}/s)" if rate >= 100 else "" for rate in look.rates)
    )
    return [
        ("peers", f"{inbound} in, {len(mesh.peers) - inbound} out; {mesh.known:,} known, {len(mesh.bans)} banned"),
        ("traffic", f"in {volume(mesh.bytes_in)}{rate_in}, out {volume(mesh.bytes_out)}{rate_out}"),
        ("sync", sync_words(mesh)),
    ]


def sync_words(mesh: MeshView) -> str:
    """How far fetching has come, or that nothing is missing."""
    from nexus_tui.format import progress

    return progress(mesh)


def alert_text(alert: Alert) -> str:
    """An alert in one line."""
    return f"{alert.level.upper()}: {foreign(alert.message)} {foreign(alert.hint)}".rstrip()


def _lag(look: Look) -> str:
    from nexus_tui.format import span

    return span(look.lag_slots * look.status.network.slot_ms)


def _clock(seen: Status) -> str:
    return time.strftime("%H:%M:%S", time.localtime(seen.now_ms // 1000))
