"""Frames of the socket: four bytes of length, then a canonical MessagePack array (MessagePack-RPC's three shapes).

request [0, id, method, params], response [1, id, error, result], notification [2, method, params]; an error is
[kind, code, message, hint]. The first notification on a connection is the greeting ["hello", [version]].
https://github.com/msgpack-rpc/msgpack-rpc/blob/master/spec.md
"""

from __future__ import annotations

import asyncio
import socket
import struct

from node.api.errors import ERROR_KINDS, Internal, NexusError
from node.encoding.canonical import EncodingError, Value, decode, pack

VERSION = 3
REQUEST, RESPONSE, NOTIFICATION = 0, 1, 2
MAX_REQUEST = 64 * 1024
MAX_RESPONSE = 32 * 1024 * 1024
MAX_ID = (1 << 32) - 1
_HEAD = struct.Struct(">I")


class FrameError(ValueError):
    """Bytes on the socket that are no frame of the protocol: the connection cannot go on."""


def frame(value: Value, limit: int) -> bytes:
    """A value as a frame. Raises FrameError when it is larger than `limit` bytes."""
    body = pack(value)
    if len(body) > limit:
        raise FrameError(f"{len(body):,} bytes; a frame has at most {limit:,}")
    return _HEAD.pack(len(body)) + body


async def read_frame(reader: asyncio.StreamReader, limit: int, timeout_s: float) -> tuple[Value, ...] | None:
    """The next frame's array, None when the other side closed between frames.

    Waits without end for a frame to begin, and `timeout_s` for the rest of it. Raises FrameError for anything that is
    no frame, and TimeoutError.
    """
    first = await reader.read(1)
    if not first:
        return None
    try:
        async with asyncio.timeout(timeout_s):
            (length,) = _HEAD.unpack(first + await reader.readexactly(_HEAD.size - 1))
            if not 0 < length <= limit:
                raise FrameError(f"a frame of {length:,} bytes; at most {limit:,} are allowed")
            body = await reader.readexactly(length)
    except asyncio.IncompleteReadError:
        raise FrameError("the connection ended inside a frame") from None
    try:
        value = decode(body, limit)
    except EncodingError as error:
        raise FrameError(f"a frame that is not canonical: {error}") from None
    if type(value) is not tuple or not value:
        raise FrameError("a frame that is no array")
    return value


def error_value(error: NexusError) -> Value:
    """An error as it crosses the socket."""
    kind = next((name for name, kind in ERROR_KINDS.items() if isinstance(error, kind)), "Internal")
    texts = (kind, error.code, error.message, error.hint)
    return tuple(text.encode("utf-8", "replace").decode() for text in texts)


def read_error(value: Value) -> NexusError:
    """The error that the other side raised, of the same class."""
    if type(value) is tuple and len(value) == 4:
        kind, code, message, hint = value
        if isinstance(kind, str) and isinstance(code, str) and isinstance(message, str) and isinstance(hint, str):
            return ERROR_KINDS.get(kind, Internal)(code, message, hint)
    return Internal("bad_response", "The node answered with an error that makes no sense.")


def peer_uid(connection: socket.socket) -> int | None:
    """The user id of the process at the other end of a Unix socket, None where the platform does not tell."""
    if hasattr(socket, "SO_PEERCRED"):
        layout = struct.Struct("3i")  # struct ucred: pid, uid, gid
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, layout.size)
        return int(layout.unpack(credentials)[1])
    if hasattr(socket, "LOCAL_PEERCRED"):
        layout = struct.Struct("Ii")  # the head of struct xucred: version, uid
        credentials = connection.getsockopt(0, socket.LOCAL_PEERCRED, 76)
        return int(layout.unpack(credentials[: layout.size])[1])
    return None
