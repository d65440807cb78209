"""Peers and bans as text: cards of two lines on a phone, a row of a table from 60 columns on.

Hosts and programs' names come from others and are sanitized here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.content import Content

from nexus_tui.format import reached_at, short, size, span
from nexus_tui.sanitize import sanitize
from nexus_tui.widgets.payments import fit
from node.encoding.node_id import node_text

if TYPE_CHECKING:
    from nexus_tui.glyphs import Glyphs
    from node.api.records import BanView, PeerView

HOST_WIDTH = 15
"""The address keeps so many cells; columns go for it from the right end of `_OPTIONAL` on."""


@dataclass(frozen=True, slots=True)
class _Column:
    title: str
    width: int
    right: bool = True


_NODE = _Column("node", 12, right=False)
_WAY, _DELAY, _TRAFFIC = _Column("way", 3, right=False), _Column("delay", 6), _Column("traffic", 9)
_LINKED, _BEHIND, _FAULTS = _Column("linked", 6), _Column("behind", 6), _Column("faults", 6)
_OPTIONAL = (_WAY, _DELAY, _BEHIND, _FAULTS, _TRAFFIC, _LINKED)
_ORDER = (_WAY, _DELAY, _TRAFFIC, _LINKED, _BEHIND, _FAULTS)


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


def peer_row(peer: PeerView, width: int) -> Content:
    """One line of the table."""
    columns, room = _columns(width)
    values = {
        _WAY: "in" if peer.inbound else "out",
        _DELAY: delay(peer.delay_ms),
        _TRAFFIC: size(peer.bytes_in + peer.bytes_out),
        _LINKED: span(peer.linked_ms),
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


def peer_card(peer: PeerView, width: int) -> Content:
    """Two lines: who and where, and how the link does."""
    node = short(node_text(peer.node), 7, 4)
    about = [
        "in" if peer.inbound else "out",
        delay(peer.delay_ms),
        size(peer.bytes_in + peer.bytes_out),
        span(peer.linked_ms),
        "behind" if peer.behind else "",
        f"{peer.faults} faults" if peer.faults else "",
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


def _columns(width: int) -> tuple[list[_Column], int]:
    """The columns there is room for, and the cells of the address."""
    room = width - _NODE.width - 1
    kept: list[_Column] = []
    for column in _OPTIONAL:
        if room - column.width - 1 < HOST_WIDTH:
            break
        room -= column.width + 1
        kept.append(column)
    return [column for column in _ORDER if column in kept], max(room, 4)
