"""Two nodes never share a folder; a killed one leaves it free."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from node.api.errors import Damaged, Refused
from node.storage.lock import FolderLock, holder

_HOLD = """
import sys, time
from pathlib import Path
from node.storage.lock import FolderLock
lock = FolderLock.acquire(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


def test_second_node_is_told_who_runs(tmp_path: Path) -> None:
    path = tmp_path / "node.lock"
    assert holder(path) is None
    process = subprocess.Popen([sys.executable, "-c", _HOLD, str(path)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert holder(path) == process.pid
        with pytest.raises(Refused) as caught:
            FolderLock.acquire(path)
        assert caught.value.code == "node_running"
        assert str(process.pid) in caught.value.message
        assert holder(path) == process.pid
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert path.read_text() == f"{process.pid}\n"  # stale
    assert holder(path) is None
    with FolderLock.acquire(path):
        assert path.read_text() == f"{os.getpid()}\n"
        assert holder(path) == os.getpid()
    assert holder(path) is None


def test_garbage_in_the_file_is_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "node.lock"
    path.write_bytes(b"\xff\xfe not a number")
    with FolderLock.acquire(path):
        path.write_bytes(b"\xff" * 100)
        assert holder(path) == -1
        with pytest.raises(Refused, match="another process"):
            FolderLock.acquire(path)


def test_read_only_folder(read_only_view: Callable[[Path], Path], tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    view = read_only_view(tmp_path / "real")
    with pytest.raises(Damaged) as caught:
        FolderLock.acquire(view / "node.lock")
    assert caught.value.code == "read_only"
    assert holder(view / "node.lock") is None
