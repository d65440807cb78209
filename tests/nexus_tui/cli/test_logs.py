"""The node's log: rotated, private, followed across a rotation."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from nexus_tui.cli.logs import follow, last_lines, start_logging
from node.profile.config import load


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "logs" / "node.log"
    config = load(tmp_path / "none.toml", (), ["node.log_kilobytes=16", "node.log_files=2"], {})
    start_logging(path, config, also_stderr=False)
    yield path
    root = logging.getLogger()
    for handler in list(root.handlers):
        if getattr(handler, "baseFilename", None) == str(path):
            root.removeHandler(handler)
            handler.close()
    logging.raiseExceptions = True


def test_it_is_rotated_and_stays_private(log: Path) -> None:
    for number in range(1000):
        logging.getLogger("nexus.test").info("line %d %s", number, "x" * 60)
    files = sorted(log.parent.iterdir())
    assert [file.name for file in files] == ["node.log", "node.log.1", "node.log.2"]
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in files)
    assert all(file.stat().st_size <= 16 * 1024 for file in files)
    assert last_lines(log, 2)[-1].split()[4:6] == ["line", "999"]
    assert last_lines(log, 0) == []
    assert last_lines(log.parent / "none", 5) == []


def test_following_crosses_a_rotation(log: Path) -> None:
    log.write_text("old\n")
    seen: list[str] = []
    enough = threading.Event()

    def read() -> None:
        for line in follow(log):
            seen.append(line)
            if len(seen) == 2:
                enough.set()
                return

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    enough.wait(0.5)
    with log.open("a") as file:
        file.write("first\n")
    enough.wait(0.8)
    log.rename(log.with_suffix(".1"))
    log.write_text("second\n")
    assert enough.wait(10)
    assert seen == ["first", "second"]


def test_a_huge_log_is_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "huge.log"
    path.write_bytes(b"".join(b"line %07d\n" % number for number in range(300_000)))
    lines = last_lines(path, 1_000_000)
    assert lines[-1] == "line 0299999"
    assert len(lines) < 100_000
    assert all(len(line) == 12 for line in lines)
