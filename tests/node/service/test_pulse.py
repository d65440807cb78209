"""A node that was killed says so at its next start; one that stopped says nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from node.service import pulse
from node.storage.lock import FolderLock
from tests.node.service.service_world import Place, alert

MINUTE_MS = 60_000


async def test_a_clean_stop_says_nothing(place: Place) -> None:
    for _ in range(2):
        async with place.node() as node:
            assert alert(node, "was_killed") is None


@pytest.mark.parametrize(
    ("minutes", "said"), [(0, "less than a minute"), (95, "for 1 h 35 min"), (26 * 60, "for 1 day and 2 h")]
)
async def test_a_killed_node_says_when_and_for_how_long(
    place: Place, tmp_path: Path, minutes: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulse, "is_android", lambda: False)
    async with place.node():
        dead = place.image(tmp_path / "dead")
    last = dead.clock() - minutes * MINUTE_MS
    os.utime(dead.paths.lock, ns=(last * 1_000_000, last * 1_000_000))
    async with dead.node() as node:
        raised = alert(node, "was_killed")
        assert raised is not None
        assert raised.level == "info"
        assert said in raised.message
        assert "wake-lock" not in raised.hint
    async with dead.node() as node:
        assert alert(node, "was_killed") is None


async def test_android_is_told_what_to_do(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulse, "is_android", lambda: True)
    async with place.node():
        dead = place.image(tmp_path / "dead")
    async with dead.node() as node:
        raised = alert(node, "was_killed")
        assert raised is not None
        assert "termux-wake-lock" in raised.hint


def test_the_lock_remembers_the_last_beat(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with FolderLock.acquire(path) as lock:
        lock.beat(1_700_000_000_123)
        left = path.read_bytes()
    assert path.read_bytes() == b""
    path.write_bytes(left)
    os.utime(path, ns=(1_700_000_000_123_000_000,) * 2)
    with FolderLock.acquire(path) as lock:
        assert lock.killed_ms == 1_700_000_000_123
    with FolderLock.acquire(path) as lock:
        assert lock.killed_ms is None
