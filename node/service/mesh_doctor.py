"""What is well and what is not with a node's links, as somebody would look who came to help (`nexus mesh doctor`).

Nothing is changed. A running node is asked for what it knows; of one that does not run, its files and this device are
looked at.
"""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import closing
from random import Random
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from node.api.records import FindingView
from node.encoding.hosts import is_public, prefix_of
from node.encoding.node_id import node_text
from node.mesh.discovery import ask, can_hear_multicast, own_addresses
from node.mesh.protocol.addresses import AddressBook
from node.mesh.protocol.hello import skew_of_most
from node.service.mesh_settings import MeshSettings
from node.service.peer_file import PeerFile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from node.service.mesh import Mesh

OK, NOTE, PROBLEM = "ok", "note", "problem"
MAX_ERRORS = 5
_PROXY_S = 3.0
_DAY_MS = 86_400_000
_SETTLED_MS = 30_000
"""Whoever has no peer for so long after his links were wanted has a problem."""


async def examine(mesh: Mesh) -> tuple[FindingView, ...]:
    """A running node."""
    settings = mesh.settings
    return (
        _network(mesh.recovery.addresses),
        _listening(mesh),
        *_reachable(mesh),
        *_peers(mesh),
        *_nearby(mesh),
        _clock(mesh),
        *await _proxy(settings.proxy),
        *_bans(len(mesh.bans)),
        *_errors(mesh),
        *_data(mesh),
        _checkpoint(mesh),
    )


async def examine_files(peers: Path, settings: MeshSettings, now_ms: int) -> tuple[FindingView, ...]:
    """A node that does not run: what it remembers, and what this device lets it do."""
    file = PeerFile(peers)
    book = AddressBook(b"", Random(0))
    book.restore(file.rows)
    found = [_network(frozenset(own_addresses())), _port(settings, file.port or settings.port)]
    if len(book):
        days = max(0, now_ms - book.newest_ms) // _DAY_MS
        heard = f"{days} days ago" if days > 1 else "less than two days ago"
        found.append(FindingView("addresses", OK, f"{len(book):,} known, the newest heard of {heard}", ""))
    else:
        found.append(FindingView("addresses", NOTE, "no other node is known", _HOW_TO_MEET))
    if settings.discovery:
        answers = await ask()
        said = f"{len(answers)} nodes answered" if answers else "no node answered"
        found.append(FindingView("local network", OK if answers else NOTE, said, ""))
    found += await _proxy(settings.proxy)
    found += _bans(sum(until > now_ms for until in file.bans.values()))
    return tuple(found)


_HOW_TO_MEET = "Join by an invitation (nexus mesh join URI), or call a node: nexus mesh connect NODE@HOST:PORT"


def _network(addresses: frozenset[str]) -> FindingView:
    if addresses:
        return FindingView("network", OK, f"this device has {' '.join(sorted(addresses))}", "")
    return FindingView("network", PROBLEM, "this device is in no network", "Switch on Wi-Fi or mobile data.")


def _listening(mesh: Mesh) -> FindingView:
    if mesh.port:
        return FindingView("listening", OK, f"on {' and '.join(mesh.settings.hosts)}, port {mesh.port}", "")
    if not mesh.settings.hosts:
        return FindingView("listening", NOTE, "nowhere, as the settings want it: it only calls others", "")
    return FindingView(
        "listening",
        PROBLEM,
        f"not on {' and '.join(mesh.settings.hosts)}",
        "See mesh.listen and mesh.port: nexus status",
    )


def _reachable(mesh: Mesh) -> Iterator[FindingView]:
    """Peers show it: whoever was called can be called."""
    if not mesh.port or not mesh.peers:
        return
    if not mesh.routing.unreachable:
        yield FindingView("reachable", OK, "others call this node", "")
        return
    relays = len(mesh.routing.own_routes())
    outside = any(is_public(peer.link.host) for peer in mesh.peers.values())
    yield FindingView(
        "reachable",
        NOTE,
        f"nobody has called this node{' from the internet' if outside else ''}"
        + (f"; it is reached through {relays} relays" if relays else ", and no relay is linked"),
        f"If others shall call it, forward port {mesh.port} in the router to this device; links are made without, too.",
    )


def _peers(mesh: Mesh) -> Iterator[FindingView]:
    peers = list(mesh.peers.values())
    if not peers:
        if mesh.thrift.asleep:
            yield FindingView("peers", OK, "none: the node sleeps to spare data", "To look now: nexus mesh wake")
        else:
            advice = _HOW_TO_MEET if len(mesh.book) == 0 else "See “last error” below; are the others online?"
            yield FindingView("peers", PROBLEM, f"none is linked; known addresses: {len(mesh.book)}", advice)
        return
    called = sum(not peer.link.inbound for peer in peers)
    prefixes = {prefix_of(peer.link.host) for peer in peers}
    many = len(prefixes) > 1 or prefixes == {"local"} or len(peers) == 1
    yield FindingView(
        "peers",
        OK if called and many else NOTE,
        f"{len(peers)} linked, {called} of them called by this node, in {len(prefixes)} networks",
        "" if many else "All are in one network of the internet, whose owner could deceive this node: add others.",
    )


def _nearby(mesh: Mesh) -> Iterator[FindingView]:
    found = len(mesh.neighbourhood.places)
    if not mesh.settings.discovery:
        yield FindingView("local network", NOTE, "nodes nearby are not looked for", "mesh.discovery is off.")
    elif mesh.neighbourhood.listens:
        yield FindingView("local network", OK, f"answers and listens by multicast; {found} places heard of", "")
    elif not can_hear_multicast():
        yield FindingView("local network", OK, f"asks, as Android hears no multicast; {found} places found", "")
    else:
        yield FindingView("local network", NOTE, f"only asks now and then; {found} places found", "")


def _clock(mesh: Mesh) -> FindingView:
    count, ahead = skew_of_most([peer.ahead_ms for peer in mesh.peers.values()])
    if not mesh.peers:
        return FindingView("clock", NOTE, "no peer to compare it with", "")
    if not count:
        return FindingView("clock", OK, f"agrees with most of {len(mesh.peers)} peers", "")
    side = "behind" if ahead > 0 else "ahead of"
    return FindingView(
        "clock",
        PROBLEM,
        f"{abs(ahead) // 1_000} s {side} those of {count} of {len(mesh.peers)} peers",
        "Set the date and time of this device.",
    )


async def _proxy(url: str | None) -> list[FindingView]:
    if url is None:
        return []
    parts = urlsplit(url)
    place = f"{parts.hostname} port {parts.port}"
    try:
        async with asyncio.timeout(_PROXY_S):
            _, writer = await asyncio.open_connection(parts.hostname, parts.port)
        writer.close()
    except OSError as error:  # a TimeoutError is one
        why = error.strerror or "it does not answer"
        return [FindingView("proxy", PROBLEM, f"{place} cannot be reached: {why}", "Start it, or change mesh.proxy.")]
    return [FindingView("proxy", OK, f"{place} answers", "")]


def _bans(count: int) -> list[FindingView]:
    if not count:
        return [FindingView("bans", OK, "nobody is kept out", "")]
    return [
        FindingView("bans", NOTE, f"{count} nodes are kept out", "nexus mesh peers names them; nexus mesh unban NODE")
    ]


def _errors(mesh: Mesh) -> Iterator[FindingView]:
    """Why others were not reached last."""
    for address, why in list(mesh.recovery.errors.items())[-MAX_ERRORS:]:
        yield FindingView("last error", NOTE, f"{node_text(address.node)[:16]}…: {why}", "")


def _data(mesh: Mesh) -> Iterator[FindingView]:
    sparing = mesh.thrift.view()
    if sparing is None:
        return
    metered = {True: "metered", False: "not metered", None: "not known to be metered"}[sparing.metered]
    used = f"; {sparing.used // 1_000_000} of {sparing.limit // 1_000_000} MB used today" if sparing.limit else ""
    asleep = "; the node sleeps between looks" if sparing.asleep else ""
    advice = ""
    if sparing.metered is None and mesh.settings.phone:
        advice = "Say so yourself (nexus config set mesh.metered yes), or: pkg install termux-api, and its app"
    state = {"plenty": NOTE if advice else OK, "near": NOTE, "spent": PROBLEM}[sparing.state]
    if sparing.state == "spent":
        advice = "To allow more: nexus config set mesh.day_megabytes NUMBER, and start the node again."
    yield FindingView("data", state, f"{metered}{used}{asleep}", advice)


def _checkpoint(mesh: Mesh) -> FindingView:
    """How old the newest final checkpoint is, and how long one may be away before it is too old to trust."""
    engine = mesh.node.engine
    begun = engine.slots.begins_ms(engine.final.checkpoint.slot) if engine.final.height else mesh.node.genesis.start_ms
    hours = max(0, mesh.clock() - begun) // 3_600_000
    what = f"block {engine.final.height} is final" if engine.final.height else "only the genesis is final"
    busy = engine.busy_height > engine.final.height
    late = busy and hours >= 1
    return FindingView(
        "checkpoint",
        PROBLEM if late else OK,
        f"{what}, made {f'{hours} h' if hours else 'less than an hour'} ago"
        + (" by this device's clock; newer blocks wait for finality" if late else ""),
        "nexus dag finality names the validators that are missing." if late else "",
    )


def _port(settings: MeshSettings, port: int) -> FindingView:
    """Whether the node could listen where it would."""
    if not settings.hosts:
        return FindingView("listening", NOTE, "nowhere, as the settings want it: it only calls others", "")
    host = settings.hosts[0]
    with closing(socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            why = os.strerror(error.errno or 0)
            return FindingView(
                "listening", NOTE, f"port {port} is not free: {why}", "The node takes the next free one."
            )
    return FindingView("listening", OK, f"port {port} is free", "")
