"""The node's log: where it goes, how it is rotated, how it is read. Mode 0600, one line an entry."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from node.profile.config import Config

_TAIL_BYTES = 1 << 20
_LOOK_EVERY_S = 0.3
_SYSLOG = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))


class _PrivateFile(RotatingFileHandler):
    """A log whose files, rotated ones too, can be read by their owner alone."""

    def _open(self) -> TextIOWrapper:
        stream = super()._open()
        os.fchmod(stream.fileno(), 0o600)
        return stream


class _ForJournal(logging.Formatter):
    """For systemd's journal, which has its own clock: every line begins with its level (sd-daemon(3))."""

    def __init__(self) -> None:
        super().__init__("%(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        level = next((number for least, number in _SYSLOG if record.levelno >= least), 7)
        return "\n".join(f"<{level}>{line}" for line in super().format(record).splitlines())


def _goes_to_journal() -> bool:
    """Whether stderr is the journal's stream (systemd.exec(5), JOURNAL_STREAM)."""
    device, _, inode = os.environ.get("JOURNAL_STREAM", "").partition(":")
    try:
        found = os.fstat(2)
    except OSError:
        return False
    return (device, inode) == (str(found.st_dev), str(found.st_ino))


def start_logging(path: Path, config: Config, also_stderr: bool) -> None:
    """Send the node's log to `path`, rotated as the configuration says, and to stderr if asked."""
    from node.profile.paths import folder_error, make_private_folder

    form = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    form.converter = time.gmtime
    make_private_folder(path.parent)
    try:
        # Made first, so that the file never exists with a wider mode.
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
        to_file = _PrivateFile(
            path,
            maxBytes=config.number("node.log_kilobytes") * 1024,
            backupCount=config.number("node.log_files"),
            encoding="utf-8",
            errors="backslashreplace",
        )
    except OSError as error:
        raise folder_error(error, path.parent) from None
    handlers: list[logging.Handler] = [to_file]
    to_file.setFormatter(form)
    if also_stderr:
        handlers.append(logging.StreamHandler())
        handlers[-1].setFormatter(_ForJournal() if _goes_to_journal() else form)
    logging.basicConfig(level=config.text("node.log_level").upper(), handlers=handlers, force=True)
    logging.raiseExceptions = False  # a full disk must not fill stderr


def last_lines(path: Path, count: int) -> list[str]:
    """The last `count` lines, out of at most the last megabyte; none where there is no log yet."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            start = max(0, size - _TAIL_BYTES)
            file.seek(start)
            text = file.read(_TAIL_BYTES)
    except FileNotFoundError:
        return []
    lines = text.decode("utf-8", "replace").splitlines()
    return lines[1 if start else 0 :][-count:] if count else []


def follow(path: Path) -> Iterator[str]:
    """Lines as they are written, from now on, across rotations. Never ends."""
    file: BinaryIO | None = None
    rest = b""
    seek_end = True
    while True:
        if file is None:
            try:
                file = path.open("rb")
                if seek_end:
                    file.seek(0, os.SEEK_END)
            except FileNotFoundError:
                file = None
            seek_end = False
        if file is not None:
            while chunk := file.read(65_536):
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    yield line.decode("utf-8", "replace")
                rest = rest[-65_536:]
            if _replaced(file, path):
                file.close()
                file, rest = None, b""
                continue
        time.sleep(_LOOK_EVERY_S)


def _replaced(file: BinaryIO, path: Path) -> bool:
    """Whether another file has taken the log's place."""
    try:
        now = path.stat()
    except FileNotFoundError:
        return True
    return now.st_ino != os.fstat(file.fileno()).st_ino or now.st_size < file.tell()
