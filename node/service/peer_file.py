"""What a node remembers of others between its runs: its port, the address book, bans, routes through relays, whom to
call first, and how much of the day's data is used. All of it can be learned again."""

from __future__ import annotations

import logging
from pathlib import Path

from node.api.errors import NexusError
from node.encoding.canonical import EncodingError, Value, decode, pack
from node.storage.files import write_durably

_FORMAT = "nexus peers 1"
_MAX = 4 << 20

_log = logging.getLogger("nexus.mesh")


class PeerFile:
    """`peers.nexus` in the profile's folder. One that cannot be read is begun anew, and the log says so."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.port = 0
        self.rows: tuple[Value, ...] = ()
        self.routes: tuple[Value, ...] = ()
        self.anchors: tuple[bytes, ...] = ()
        self.familiar: tuple[Value, ...] = ()
        self.data = (0, 0)
        """A day, and the bytes used on it."""
        self.bans: dict[bytes, int] = {}
        self._written = b""
        self._read()

    def _read(self) -> None:
        try:
            data = self._path.read_bytes()
            value = decode(data, _MAX)
        except FileNotFoundError:
            return
        except (OSError, EncodingError) as error:
            _log.warning("%s cannot be read (%s): peers are learned anew", self._path.name, error)
            return
        shape = tuple(map(type, value)) if type(value) is tuple else ()
        if type(value) is not tuple or shape != (str, int, *(tuple,) * 6) or value[0] != _FORMAT:
            _log.warning("%s is of another kind: peers are learned anew", self._path.name)
            return
        _, port, rows, bans, routes, anchors, familiar, counted = value
        if type(anchors) is tuple:
            self.anchors = tuple(node for node in anchors if isinstance(node, bytes) and len(node) == 32)
        if type(familiar) is tuple:
            self.familiar = familiar
        match counted:
            case (int(day), int(used)):
                self.data = day, used
            case _:
                pass
        if type(port) is int and port < 1 << 16:
            self.port = port
        if type(rows) is tuple:
            self.rows = rows
        if type(routes) is tuple:
            self.routes = routes
        for row in bans if type(bans) is tuple else ():
            if type(row) is tuple and tuple(map(type, row)) == (bytes, int):
                self.bans[row[0]] = row[1]  # type: ignore[index,assignment]

    def save(
        self,
        port: int,
        rows: tuple[Value, ...],
        bans: dict[bytes, int],
        routes: tuple[Value, ...] = (),
        anchors: tuple[bytes, ...] = (),
        familiar: tuple[Value, ...] = (),
        data: tuple[int, int] = (0, 0),
    ) -> None:
        """Write it if anything changed. A disk that is full is no reason to stop."""
        content = pack((_FORMAT, port, rows, tuple(sorted(bans.items())), routes, anchors, familiar, data))
        if content == self._written:
            return
        try:
            write_durably(self._path, content)
        except NexusError as error:
            _log.warning("peers are not remembered now: %s", error.message)
        else:
            self._written = content
