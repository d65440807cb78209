"""The node's Unix socket: the interface for other processes of the same user (issue bar: mode 0600, bounded in all).

Nothing a client does costs the node more than a fixed amount: frames, calls at a time, subscriptions and connections
are bounded, a client that does not read is cut off or, when it only listens, loses its oldest events. A malformed frame
ends its connection; a wrong argument is answered by name.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import socket
import stat
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from node.api.bounds import check_topics
from node.api.codec import CodecError, from_value, to_value
from node.api.dispatch import find_method
from node.api.errors import Damaged, Internal, NexusError, Refused, UsageError
from node.api.framing import (
    MAX_ID,
    MAX_REQUEST,
    MAX_RESPONSE,
    NOTIFICATION,
    REQUEST,
    RESPONSE,
    VERSION,
    FrameError,
    error_value,
    frame,
    peer_uid,
    read_frame,
)
from node.api.interface import NodeApi
from node.encoding.canonical import Value

MAX_CONNECTIONS = 64
MAX_CALLS = 8  # at a time, a connection
MAX_SUBSCRIPTIONS = 8  # a connection
FRAME_TIMEOUT_S = 10.0
SEND_TIMEOUT_S = 30.0
_WRITE_BUFFER = 64 * 1024
_PROBE_S = 2.0
_LAST_WORDS_S = 0.5
"""So long subscribers may take to hear that there is no more, when the node stops."""

log = logging.getLogger(__name__)


class ApiServer:
    """Serves `api` on a Unix socket. `stop` is called when a client asks the node to stop."""

    def __init__(self, api: NodeApi, path: Path, stop: Callable[[], None]) -> None:
        self._api = api
        self._stop = stop
        self.path = path
        self._server: asyncio.Server | None = None
        self._connections: dict[asyncio.Task[None], _Connection] = {}
        self._inode: int | None = None

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._connections)

    async def start(self) -> None:
        """Listen. Takes over a socket file that nobody answers on.

        Raises Refused when a node answers there or a file of another kind is in the way, Damaged when the folder
        cannot be written.
        """
        if await asyncio.to_thread(_answers, self.path):
            raise Refused(
                "socket_taken",
                f"Another node answers on {self.path}. Nothing was changed.",
                "Stop it with `nexus node stop`.",
            )
        listener = _listen(self.path)
        self._inode = self.path.stat().st_ino
        self._server = await asyncio.start_unix_server(self._serve, sock=listener, limit=MAX_REQUEST + 16, backlog=128)

    async def close(self) -> None:
        """Stop listening, end all connections, remove the socket file. Close the subscriptions' source before."""
        if self._server is None:
            return
        self._server.close()
        await asyncio.gather(*(connection.finish(_LAST_WORDS_S) for connection in self._connections.values()))
        for connection in self._connections.values():
            connection.abort()
        if self._connections:
            await asyncio.wait(tuple(self._connections))
        with contextlib.suppress(OSError):  # another node may have taken the place over
            if self.path.stat().st_ino == self._inode:
                self.path.unlink()
        self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raw_socket: socket.socket = writer.get_extra_info("socket")
        uid = peer_uid(raw_socket)
        connection = _Connection(self._api, self._stop, reader, writer)
        if uid is not None and uid != os.getuid():
            log.warning("refused a connection of user %d", uid)
            await connection.dismiss(
                Refused("other_user", "This node belongs to another user and answers only to them.")
            )
            return
        if len(self._connections) >= MAX_CONNECTIONS:
            await connection.dismiss(
                Refused("too_many_connections", f"{MAX_CONNECTIONS} programs are connected to this node already.")
            )
            return
        task = asyncio.current_task()
        assert task is not None
        self._connections[task] = connection
        try:
            await connection.serve()
        finally:
            del self._connections[task]


class _Connection:
    """One client."""

    def __init__(
        self,
        api: NodeApi,
        stop: Callable[[], None],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._api = api
        self._stop = stop
        self._reader = reader
        self._writer = writer
        self._sending = asyncio.Lock()
        self._slots = asyncio.Semaphore(MAX_CALLS)
        self._calls: set[asyncio.Task[None]] = set()
        self._subscriptions: dict[int, asyncio.Task[None]] = {}
        writer.transport.set_write_buffer_limits(high=_WRITE_BUFFER)

    def abort(self) -> None:
        """Cut the connection; `serve` then ends."""
        self._writer.transport.abort()

    async def finish(self, seconds: float) -> None:
        """Let the ends of subscriptions be sent, which their owner has closed."""
        if self._subscriptions:
            await asyncio.wait(tuple(self._subscriptions.values()), timeout=seconds)

    async def dismiss(self, error: NexusError) -> None:
        """Say why the client is not served and close."""
        with contextlib.suppress(OSError, TimeoutError):
            self._writer.write(frame((NOTIFICATION, "goodbye", (error_value(error),)), MAX_RESPONSE))
            async with asyncio.timeout(1.0):
                await self._writer.drain()
        self._writer.close()

    async def serve(self) -> None:
        """Answer until the client closes, breaks the protocol or is cut off."""
        try:
            await self._send((NOTIFICATION, "hello", (VERSION,)), SEND_TIMEOUT_S)
            while (message := await read_frame(self._reader, MAX_REQUEST, FRAME_TIMEOUT_S)) is not None:
                await self._slots.acquire()  # more calls than that wait unread
                self._begin(message)
        except FrameError as error:
            log.warning("closed a connection: %s", error)
            await self.dismiss(UsageError("bad_frame", f"The connection is closed: {error}."))
        except (OSError, TimeoutError):
            pass
        finally:
            tasks = (*self._calls, *self._subscriptions.values())
            for task in tasks:
                task.cancel()
            self.abort()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, message: tuple[Value, ...]) -> None:
        if len(message) != 4 or message[0] != REQUEST or type(message[1]) is not int or message[1] > MAX_ID:
            self._slots.release()
            raise FrameError("a frame that is no request")
        task = asyncio.create_task(self._call(message[1], message[2], message[3]))
        self._calls.add(task)
        task.add_done_callback(self._call_done)

    def _call_done(self, task: asyncio.Task[None]) -> None:
        self._calls.discard(task)
        self._slots.release()

    async def _call(self, number: int, name: Value, params: Value) -> None:
        work: asyncio.Task[Value] = asyncio.create_task(self._result(number, name, params))
        try:
            await asyncio.wait((work,))
        finally:
            work.cancel()
        error: Value = None
        result: Value = None
        if work.cancelled():
            error = error_value(Refused("cancelled", "The node is stopping."))
        elif (fault := work.exception()) is None:
            result = work.result()
        elif isinstance(fault, NexusError):
            error = error_value(fault)
        else:
            log.error("a fault in %s", name, exc_info=fault)
            error = error_value(Internal("internal", "A fault inside the node.", "Details are in the node's log."))
        try:
            await self._send((RESPONSE, number, error, result), SEND_TIMEOUT_S)
        except FrameError:
            too_large = error_value(Refused("too_large", "The answer is too large.", "Ask for a shorter page."))
            await self._send((RESPONSE, number, too_large, None), SEND_TIMEOUT_S)
        except (OSError, TimeoutError):
            self.abort()  # it asks but does not read

    async def _result(self, number: int, name: Value, params: Value) -> Value:
        if name == "subscribe":
            await self._subscribe(number, params)
            return None
        if name == "unsubscribe":
            self._unsubscribe(params)
            return None
        method = find_method(name)
        arguments = method.arguments(params)
        if method.name == "stop":
            self._stop()
            return None
        call: Callable[..., Coroutine[Any, Any, object]] = getattr(self._api, method.name)
        return to_value(await call(*arguments))

    async def _subscribe(self, number: int, params: Value) -> None:
        """The request's own number names the subscription, so its events can never overtake that name."""
        try:
            (topics,) = from_value(tuple[tuple[str, ...]], params, "subscribe")
        except CodecError as error:
            raise UsageError("bad_request", str(error)) from None
        check_topics(topics)
        if len(self._subscriptions) >= MAX_SUBSCRIPTIONS:
            raise Refused("too_many_subscriptions", f"A connection has at most {MAX_SUBSCRIPTIONS} subscriptions.")
        if number in self._subscriptions:
            raise UsageError("bad_request", "That subscription exists already.")
        ready = asyncio.Event()
        self._subscriptions[number] = asyncio.create_task(self._pump(number, topics, ready))
        await ready.wait()

    def _unsubscribe(self, params: Value) -> None:
        number = params[0] if type(params) is tuple and len(params) == 1 else None
        task = self._subscriptions.pop(number, None) if type(number) is int else None
        if task is None:
            raise UsageError("bad_request", "There is no such subscription.")
        task.cancel()

    async def _pump(self, number: int, topics: tuple[str, ...], ready: asyncio.Event) -> None:
        """Carry events to the client as fast as it reads; what it does not read is dropped in the queue before."""
        try:
            async with self._api.subscribe(topics) as events:
                ready.set()
                async for event in events:
                    await self._send((NOTIFICATION, "event", (number, to_value(event))), None)
            await self._send((NOTIFICATION, "end", (number,)), SEND_TIMEOUT_S)
        except (OSError, TimeoutError):
            self.abort()
        finally:
            ready.set()
            self._subscriptions.pop(number, None)

    async def _send(self, value: Value, timeout_s: float | None) -> None:
        data = frame(value, MAX_RESPONSE)
        async with asyncio.timeout(timeout_s), self._sending:
            self._writer.write(data)
            await self._writer.drain()


def _answers(path: Path) -> bool:
    """Whether a process listens on the socket file. Raises Refused when the file is no socket."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return False
    if not stat.S_ISSOCK(mode):
        raise Refused("socket_taken", f"{path} is no socket; it was left as it is.", "Move that file away.")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_PROBE_S)
        try:
            probe.connect(os.fspath(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.ETIMEDOUT):  # a full backlog: somebody is there
                return True
            raise Refused("socket_taken", f"{path} belongs to somebody else ({error.strerror}).") from error
    return True


def _listen(path: Path) -> socket.socket:
    """A listening socket of mode 0600 at `path`; it appears there by a rename, never with a wider mode."""
    draft = path.with_suffix(".s~")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        draft.unlink(missing_ok=True)
        listener.bind(os.fspath(draft))
        os.chmod(draft, 0o600)
        listener.listen(128)
        listener.setblocking(False)
        os.replace(draft, path)
    except OSError as error:
        listener.close()
        raise Damaged(
            "socket_failed",
            f"The node's socket {path} could not be made: {error.strerror or error}. Nothing else was changed.",
            "Check that the folder is yours and writable.",
        ) from error
    return listener
