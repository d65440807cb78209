"""How values look on the screen: addresses, times, ages, sizes. Amounts come from `node.encoding.amounts` alone."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from node.encoding.address import Address, AddressError

if TYPE_CHECKING:
    from node.api.records import MeshView, SparingView, Status, SyncView

HIDDEN_AMOUNT = "••••"


def groups(address: str, size: int = 4) -> str:
    """An address in groups of `size`, as people compare it aloud."""
    return " ".join(address[start : start + size] for start in range(0, len(address), size))


def short(address: str, head: int = 9, tail: int = 6) -> str:
    """Beginning and end of an address, for lists; never where money is confirmed."""
    return address if len(address) <= head + tail + 1 else f"{address[:head]}…{address[-tail:]}"


def address_text(raw: bytes, prefix: str) -> str:
    """The address for people, or its bytes in hexadecimal where they are none."""
    try:
        return Address.from_raw(raw).text(prefix)
    except AddressError:
        return raw.hex()


def when(time_ms: int | None, now_ms: int) -> str:
    """Local time of day for today, the day for this year, else the date. Never an age: that would have to tick."""
    if time_ms is None:
        return "waiting"
    moment = datetime.fromtimestamp(time_ms // 1000)
    now = datetime.fromtimestamp(now_ms // 1000)
    if moment.date() == now.date():
        return f"{moment:%H:%M}"
    if moment.year == now.year:
        return f"{moment.day} {moment:%b %H:%M}"
    return f"{moment:%Y-%m-%d}"


def day(time_ms: int, now_ms: int) -> str:
    """Local time of day for today, else the day: at most six characters, and no age that would have to tick."""
    moment, now = (datetime.fromtimestamp(time / 1000) for time in (time_ms, now_ms))
    return f"{moment:%H:%M}" if moment.date() == now.date() else f"{moment.day} {moment:%b}"


def exactly_when(time_ms: int) -> str:
    """Local date and time to the second."""
    return f"{datetime.fromtimestamp(time_ms // 1000):%Y-%m-%d %H:%M:%S}"


def finality(status: Status) -> str:
    """Up to which height the chain can no longer change, and how far that is behind."""
    behind = status.height - status.final_height
    return f"{status.final_height:,}, {behind:,} behind" if behind > 0 else f"{status.final_height:,}"


def sparing_words(sparing: SparingView) -> str:
    """How a node spares data: whether it costs, how much of the day's is used, and until when the node sleeps."""
    words = {True: "metered", False: "not metered", None: "not known to be metered"}[sparing.metered]
    if sparing.limit:
        words += f"; {size(sparing.used)} of {size(sparing.limit)} used today"
    if sparing.asleep and sparing.next_look_ms is not None:
        moment = datetime.fromtimestamp(sparing.next_look_ms // 1000)
        words += f"; sleeps, looks again at {moment:%H:%M}"
    elif sparing.asleep:
        words += "; sleeps"
    return words


def progress(mesh: MeshView) -> str:
    """How far fetching missed blocks has come, and how long it takes still."""
    if not mesh.syncing:
        return "misses nothing it knows of"
    sync = mesh.sync
    if sync is None:
        return "fetches what it missed"
    return f"fetches: {sync.score:,} of {sync.target:,} blocks ({sync.score * 100 // sync.target} %){_left(sync)}"


def fetched(sync: SyncView) -> str:
    """The same where there is little room."""
    return f"{sync.score:,} of {sync.target:,}{_left(sync)}"


def _left(sync: SyncView) -> str:
    return f", {span(sync.left_ms)} left" if sync.left_ms is not None else ""


def size(count: int) -> str:
    """Bytes in kB, MB or GB (powers of ten), one decimal, cut."""
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if count >= unit:
            return f"{count // unit}.{count % unit * 10 // unit} {name}"
    return f"{count} bytes"


def volume(count: int) -> str:
    """Bytes that passed, so coarse that a sign of life now and then does not show."""
    if count < 10_000:
        return "< 10 kB"
    return size(count) if count >= 10**6 else f"{count // 1_000} kB"


def span(ms: int) -> str:
    """How long something takes or lasts: seconds, minutes, hours or days, cut."""
    minutes = ms // 60_000
    if minutes >= 2 * 1_440:
        return f"{minutes // 1_440} d"
    return f"{minutes // 60} h" if minutes >= 120 else f"{minutes} min" if minutes >= 2 else f"{ms // 1000} s"


def place(host: str, port: int) -> str:
    """Where a node is reached; an IPv6 address stands in brackets. `host` is sanitized by whoever shows it. Without a
    port the node listens nowhere: it is only seen there."""
    if not port:
        return host
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def reached_at(host: str, port: int, relay: bytes) -> str:
    """Where a peer is reached: its place, or the relay whose circuit leads to it."""
    if relay:
        from node.encoding.node_id import node_text

        return f"via {node_text(relay)[:16]}"
    return place(host, port)


def group(name: str) -> str:
    """A group of addresses for people: the local network, a domain, or what addresses have in common."""
    version, _, digits = name.partition(":")
    if name == "local":
        return "local network"
    if version == "4" and len(digits) <= 4:
        number = int(digits, 16)
        return f"{number >> 8}.{number & 255}.*"
    if version == "6" and len(digits) <= 8:
        return f"{digits.zfill(8)[:4]}:{digits.zfill(8)[4:]}::"
    return name


def cut(value: str, width: int) -> str:
    """At most `width` characters, with an ellipsis where something is missing."""
    return value if len(value) <= width else value[: max(width - 1, 0)] + "…"
