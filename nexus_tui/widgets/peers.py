"""Peers, bans and other nodes as text: cards of two lines on a phone, a row of a table from 60 columns on.

Hosts and programs' names come from others and are sanitized here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.content import Content

from nexus_tui.format import day, group, place, reached_at, short, size, span, volume, when
from nexus_tui.sanitize import sanitize
from nexus_tui.widgets.payments import fit
from node.encoding.node_id import node_text

if TYPE_CHECKING:
    from nexus_tui.glyphs import Glyphs
    from node.api.records import BanView, KnownView, MeshView, PeerView

HOST_WIDTH, ROOMY_HOST = 15, 21
"""The address keeps so many cells; columns go for it from the right end of `_OPTIONAL` on. Those of `_EXTRA` come
only where it has more room."""


@dataclass(frozen=True, slots=True)
class _Column:
    title: str
    width: int
    right: bool = True


_NODE = _Column("node", 12, right=False)
_WAY, _DELAY, _TRAFFIC = _Column("way", 3, right=False), _Column("delay", 6), _Column("traffic", 9)
_LINKED, _BEHIND, _FAULTS = _Column("since", 6), _Column("behind", 6), _Column("faults", 6)
_RATE, _FIRST, _LIGHT = _Column("a second", 9), _Column("first", 6), _Column("light", 6, right=False)
_BOTH = _Column("in, out", 18)
_OPTIONAL = (_WAY, _DELAY, _BEHIND, _FAULTS, _TRAFFIC, _LINKED)
_EXTRA = (_RATE, _FIRST, _LIGHT, _BOTH)
_ORDER = (_WAY, _DELAY, _LIGHT, _FIRST, _TRAFFIC, _BOTH, _RATE, _LINKED, _BEHIND, _FAULTS)


def delay(ms: int | None) -> str:
    """There and back; "" where no ping was answered yet."""
    return "" if ms is None else f"{ms} ms" if ms < 1000 else f"{ms // 1000}.{ms % 1000 // 100} s"


def address(peer: PeerView) -> str:
    """Host and port, or through whom."""
    return reached_at(sanitize(peer.host, 80), peer.port, peer.relay)


def header(width: int) -> str:
    """The names of the columns."""
    columns, room = _columns(width)
    titles = [fit(_NODE.title, _NODE.width), fit("address", room)]
    return " ".join(titles + [fit(column.title, column.width, column.right) for column in columns])


def rate(rates: tuple[int, int] | None) -> str:
    """Bytes a second both ways together; "" where nothing passes, or that is not known."""
    total = 0 if rates is None else rates[0] + rates[1]
    return size(total) if total else ""


def peer_row(peer: PeerView, width: int, now_ms: int, rates: tuple[int, int] | None = None) -> Content:
    """One line of the table."""
    columns, room = _columns(width)
    values = {
        _RATE: rate(rates),
        _FIRST: f"{peer.brought:,}" if peer.brought else "",
        _LIGHT: sanitize(peer.region, 6),
        _BOTH: f"{volume(peer.bytes_in)}, {volume(peer.bytes_out)}",
        _WAY: "in" if peer.inbound else "out",
        _DELAY: delay(peer.delay_ms),
        _TRAFFIC: volume(peer.bytes_in + peer.bytes_out),
        _LINKED: day(peer.since_ms, now_ms),
        _BEHIND: "behind" if peer.behind else "",
        _FAULTS: f"{peer.faults}" if peer.faults else "",
    }
    pieces: list[Content | tuple[str, str]] = [
        Content(fit(short(node_text(peer.node), 7, 4), _NODE.width)),
        Content(f" {fit(address(peer), room)}"),
    ]
    for column in columns:
        style = "$warning" if column in (_BEHIND, _FAULTS) else "$muted"
        pieces.append((" " + fit(values[column], column.width, column.right), style))
    return Content.assemble(*pieces)


def peer_card(peer: PeerView, width: int, now_ms: int, rates: tuple[int, int] | None = None) -> Content:
    """Two lines: who and where, and how the link does."""
    node = short(node_text(peer.node), 7, 4)
    about = [
        "in" if peer.inbound else "out",
        delay(peer.delay_ms),
        volume(peer.bytes_in + peer.bytes_out),
        f"{passes}/s" if (passes := rate(rates)) else "",
        "behind" if peer.behind else "",
        f"{peer.faults} faults" if peer.faults else "",
        f"since {day(peer.since_ms, now_ms)}",
    ]
    return Content.assemble(
        (fit(f"{node} {address(peer)}", width), ""),
        "\n",
        (fit("  " + "  ".join(part for part in about if part), width), "$warning" if peer.faults else "$muted"),
    )


def ban_line(ban: BanView, width: int, glyphs: Glyphs, now_ms: int) -> Content:
    """A node that is kept out, and for how long still."""
    node = short(node_text(ban.node), 7, 4)
    left = f"banned, {span(max(ban.until_ms - now_ms, 0))} left"
    return Content.assemble(
        fit(node, _NODE.width), (fit(f" {glyphs.bad} {left}", max(width - _NODE.width, 4)), "$error")
    )


def map_lines(mesh: MeshView, node: bytes | None, now_ms: int) -> list[str]:
    """What is known of a node on the map, in three lines."""
    if node is None:
        return ["", "", ""]
    name = short(node_text(node), 8, 4)
    known = next((one for one in mesh.others if one.node == node), None)
    peer = next((one for one in mesh.peers if one.node == node), None)
    where = (
        "" if known is None else f"{place(sanitize(known.host, 80), known.port)}, {group(sanitize(known.group, 80))}"
    )
    if node == mesh.node:
        listens = f"listens on port {mesh.port}" if mesh.port else "takes no links from outside"
        return [f"{name}  this node", listens, f"light {sanitize(mesh.region, 12)}" if mesh.region else ""]
    if peer is not None:
        how = ["called this node" if peer.inbound else "called by this node", delay(peer.delay_ms)]
        brought = f"{peer.brought:,} blocks first" if peer.brought else "no block first"
        light = f", mostly {sanitize(peer.region, 12)}" if peer.region else ""
        at = address(peer) if peer.relay or not where else where
        since = f"since {day(peer.since_ms, now_ms)}"
        return [f"{name}  {', '.join(part for part in how if part)}", at, f"{since}, {brought}{light}"]
    if known is None:
        return [name, "", ""]
    reached = (
        f"linked last {when(known.reached_ms, now_ms)}" if known.reached_ms is not None else "never reached from here"
    )
    failed = f", {known.failures} failure{'s' if known.failures > 1 else ''} since" if known.failures else ""
    return [f"{name}  {reached}{failed}", where, told_words(known)]


def told_words(known: KnownView) -> str:
    """Who told of a node."""
    if not known.told_by:
        return "found here, or named by you"
    if known.told_by == known.node:
        return "told by itself"
    return f"told by {short(node_text(known.told_by), 7, 4)}"


def _columns(width: int) -> tuple[list[_Column], int]:
    """The columns there is room for, and the cells of the address."""
    room = width - _NODE.width - 1
    kept: list[_Column] = []
    for column in (*_OPTIONAL, *_EXTRA):
        if room - column.width - 1 < (ROOMY_HOST if column in _EXTRA else HOST_WIDTH):
            break
        room -= column.width + 1
        kept.append(column)
    return [column for column in _ORDER if column in kept], max(room, 4)
