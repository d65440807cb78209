"""How far the fetching of a snapshot is, for who waits: said in words, and left in a file for other processes."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import cast

from node.encoding.canonical import EncodingError, decode, pack
from node.profile.paths import ProfilePaths

_STALE_S = 15.0
_MAX = 256
STAGES = ("looking", "fetching", "checking")


@dataclass(frozen=True, slots=True)
class FetchView:
    """`stage` is one of `STAGES`; what is done of all work, and the ms that are left if that is known."""

    stage: str
    peers: int = 0
    done: int = 0
    total: int = 0
    left_ms: int | None = None


def in_words(view: FetchView) -> str:
    """For people."""
    peers = f"{view.peers} peer{'' if view.peers == 1 else 's'}"
    if view.stage == "looking":
        return f"Looking for peers that have the network's state ({peers} linked)."
    if view.stage == "checking":
        return "The network's state is here; checking all of it."
    percent = 100 * view.done // max(1, view.total)
    left = "" if view.left_ms is None else f", about {_span(view.left_ms)} left"
    return f"Fetching the network's state: {percent} %, from {peers}{left}."


def _span(ms: int) -> str:
    seconds = -(-ms // 1_000)
    return f"{seconds} s" if seconds < 120 else f"{-(-seconds // 60)} min"


def write_progress(paths: ProfilePaths, view: FetchView) -> None:
    """Leave it for other processes; what a crash leaves is stale soon."""
    left = 0 if view.left_ms is None else view.left_ms + 1
    draft = paths.progress.with_suffix(".new")
    draft.write_bytes(pack((view.stage, view.peers, view.done, view.total, left)))
    os.replace(draft, paths.progress)


def read_progress(paths: ProfilePaths) -> FetchView | None:
    """What a process that fetches said last, if one does."""
    try:
        if time.time() - paths.progress.stat().st_mtime > _STALE_S:
            return None
        value = decode(paths.progress.read_bytes(), _MAX)
    except (OSError, EncodingError):
        return None
    if type(value) is not tuple or tuple(map(type, value)) != (str, int, int, int, int) or value[0] not in STAGES:
        return None
    stage, peers, done, total, left = cast("tuple[str, int, int, int, int]", value)
    return FetchView(stage, peers, done, total, left - 1 if left else None)


def clear_progress(paths: ProfilePaths) -> None:
    """Nothing is fetched any more."""
    paths.progress.unlink(missing_ok=True)
