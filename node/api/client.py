"""A node behind a Unix socket, with the same methods, records and errors as one in this process.

A lost connection raises NoNode in every call that waits and in every subscription; connecting again is the caller's
business.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, cast

from node.api.bounds import check_topics
from node.api.codec import CodecError, from_value, to_value
from node.api.dispatch import methods
from node.api.errors import Internal, NexusError, NoNode, Refused, TimedOut
from node.api.events import EventQueue
from node.api.framing import (
    MAX_ID,
    MAX_REQUEST,
    MAX_RESPONSE,
    NOTIFICATION,
    REQUEST,
    RESPONSE,
    VERSION,
    FrameError,
    frame,
    peer_uid,
    read_error,
    read_frame,
)
from node.api.interface import TOPICS
from node.api.records import (
    AccountView,
    BlockSummary,
    BlockView,
    DagBlockView,
    DagView,
    Event,
    EvidenceView,
    FinalityView,
    FindingView,
    HistoryPage,
    InvitationView,
    MeshView,
    NetworkInfo,
    Place,
    Status,
    Submission,
    TransactionView,
    VerifyReport,
)
from node.encoding.canonical import Value

CONNECT_TIMEOUT_S = 5.0
CALL_TIMEOUT_S = 30.0
VERIFY_TIMEOUT_S = 3_600.0
_FRAME_TIMEOUT_S = 30.0
_START_HINT = "Start a node with `nexus node start`."


class RemoteNode:
    """`NodeApi` over a socket. Made by `connect`; close it with `close()` or by leaving `async with`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._waiting: dict[int, asyncio.Future[Value]] = {}
        self._queues: dict[int, EventQueue] = {}
        self._number = 0
        self._lost: NexusError | None = None
        self._task = asyncio.create_task(self._read())

    @classmethod
    async def connect(cls, path: Path) -> RemoteNode:
        """Attach to the node that listens on `path`.

        Raises NoNode when nobody listens, Refused when it is another user's, TimedOut when it does not answer.
        """
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                reader, writer = await asyncio.open_unix_connection(os.fspath(path), limit=1 << 20)
                try:
                    await cls._check_peer(reader, writer)
                except BaseException:
                    writer.transport.abort()
                    raise
        except TimeoutError:
            raise TimedOut(
                "no_answer", "The node does not answer on its socket.", "Look at `nexus node logs`."
            ) from None
        except PermissionError:
            raise Refused("other_user", f"The socket {path} belongs to another user.") from None
        except (FrameError, OSError) as error:
            raise NoNode("no_node", f"No node answers on {path}.", _START_HINT) from error
        return cls(reader, writer)

    @staticmethod
    async def _check_peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raw_socket: socket.socket = writer.get_extra_info("socket")
        uid = peer_uid(raw_socket)
        if uid is not None and uid not in (os.getuid(), 0):
            raise Refused("other_user", f"The node on this socket belongs to another user (id {uid}).")
        greeting = await read_frame(reader, MAX_RESPONSE, CONNECT_TIMEOUT_S)
        if greeting is None or len(greeting) != 3 or greeting[0] != NOTIFICATION:
            raise FrameError("no greeting")
        if greeting[1] == "goodbye" and type(greeting[2]) is tuple and greeting[2]:
            raise read_error(greeting[2][0])
        if greeting[1:] != ("hello", (VERSION,)):
            raise Refused(
                "other_version",
                "The running node and this program are of different versions.",
                "Restart the node: `nexus node stop`, then `nexus node start`.",
            )

    async def __aenter__(self) -> RemoteNode:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of the node; it goes on."""
        self._lose(NoNode("closed", "The connection to the node was closed."))
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def network(self) -> NetworkInfo:
        """Constants of the network."""
        return cast(NetworkInfo, await self._call("network"))

    async def status(self) -> Status:
        """The node's state now."""
        return cast(Status, await self._call("status"))

    async def account(self, address: bytes) -> AccountView:
        """One account by raw address."""
        return cast(AccountView, await self._call("account", address))

    async def submit(self, raw: bytes) -> Submission:
        """Hand over a signed transaction; on return it is on the node's disk."""
        return cast(Submission, await self._call("submit", raw))

    async def transaction(self, txid: bytes) -> TransactionView | None:
        """A transaction by id, or None."""
        return cast("TransactionView | None", await self._call("transaction", txid))

    async def history(self, addresses: tuple[bytes, ...], before: int | None = None, limit: int = 50) -> HistoryPage:
        """Transactions that touch any of these accounts, newest first."""
        return cast(HistoryPage, await self._call("history", addresses, before, limit))

    async def block(self, height: int | None = None, block_id: bytes | None = None) -> BlockView | None:
        """A block by height or id; the tip when neither is given."""
        return cast("BlockView | None", await self._call("block", height, block_id))

    async def blocks(self, before: int | None = None, limit: int = 20) -> tuple[BlockSummary, ...]:
        """Blocks below a height, newest first."""
        return cast("tuple[BlockSummary, ...]", await self._call("blocks", before, limit))

    async def dag(self, before_slot: int | None = None, limit: int = 60) -> DagView:
        """The newest blocks of the DAG below a slot."""
        return cast(DagView, await self._call("dag", before_slot, limit))

    async def dag_block(self, block_id: bytes) -> DagBlockView | None:
        """A block of the DAG in full."""
        return cast("DagBlockView | None", await self._call("dag_block", block_id))

    async def find_blocks(self, prefix: str) -> tuple[bytes, ...]:
        """Ids that begin with these digits."""
        return cast("tuple[bytes, ...]", await self._call("find_blocks", prefix))

    async def find_transactions(self, prefix: str) -> tuple[bytes, ...]:
        """Ids that begin with these digits."""
        return cast("tuple[bytes, ...]", await self._call("find_transactions", prefix))

    async def finality(self) -> FinalityView:
        """How far the chain is final."""
        return cast(FinalityView, await self._call("finality"))

    async def evidence(self) -> tuple[EvidenceView, ...]:
        """Proofs of offences that the node has seen."""
        return cast("tuple[EvidenceView, ...]", await self._call("evidence"))

    async def mesh(self) -> MeshView:
        """The node's links."""
        return cast(MeshView, await self._call("mesh"))

    async def invitation(self, host: str | None = None) -> InvitationView:
        """An invitation by this node."""
        return cast(InvitationView, await self._call("invitation", host))

    async def introduce(self, place: str) -> bytes:
        """Call a node."""
        return cast(bytes, await self._call("introduce", place))

    async def ban(self, node: bytes, seconds: int) -> bool:
        """Keep a node out, or let it in again."""
        return cast(bool, await self._call("ban", node, seconds))

    async def diagnose(self) -> tuple[FindingView, ...]:
        """What is well with the node's links, and what is not."""
        return cast(tuple[FindingView, ...], await self._call("diagnose"))

    async def wake(self) -> None:
        """Let a sleeping node make its links."""
        await self._call("wake")

    async def places(self) -> tuple[Place, ...]:
        """All named places of the sum."""
        return cast("tuple[Place, ...]", await self._call("places"))

    async def verify(self) -> VerifyReport:
        """Recount everything; takes a while."""
        return cast(VerifyReport, await self._call("verify", timeout_s=VERIFY_TIMEOUT_S))

    async def stop(self) -> None:
        """Ask the node to stop."""
        try:
            await self._call("stop")
        except NoNode:
            if self._lost is None or self._lost.code != "connection_lost":
                raise  # else it went before its answer

    @asynccontextmanager
    async def subscribe(self, topics: tuple[str, ...] = TOPICS) -> AsyncIterator[AsyncIterator[Event]]:
        """Events from now on, through a bounded queue on either side."""
        check_topics(topics)
        queue = EventQueue()
        number = self._next_number()
        self._queues[number] = queue
        try:
            await self._request("subscribe", (topics,), CALL_TIMEOUT_S, number)
            yield queue
        finally:
            self._queues.pop(number, None)
            if self._lost is None:
                # not awaited: leaving a subscription never fails and never waits
                self._post(self._next_number(), "unsubscribe", (number,))

    async def _call(self, name: str, *arguments: object, timeout_s: float = CALL_TIMEOUT_S) -> Any:
        result = await self._request(name, to_value(arguments), timeout_s)
        try:
            return from_value(methods()[name].result, result, name)
        except CodecError as error:
            raise Internal(
                "bad_response", f"The node's answer makes no sense: {error}", "Restart the node; versions may differ."
            ) from None

    def _next_number(self) -> int:
        self._number = self._number % MAX_ID + 1
        return self._number

    def _post(self, number: int, name: str, params: Value) -> None:
        try:
            data = frame((REQUEST, number, name, params), MAX_REQUEST)
        except FrameError as error:
            raise Refused("too_large", f"The request is too large: {error}.") from None
        self._writer.write(data)

    async def _request(self, name: str, params: Value, timeout_s: float, number: int | None = None) -> Value:
        if self._lost is not None:
            raise self._lost
        if number is None:
            number = self._next_number()
        future: asyncio.Future[Value] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            self._post(number, name, params)
            async with asyncio.timeout(timeout_s):
                return await future
        except TimeoutError:
            raise TimedOut(
                "no_answer",
                f"The node did not answer in {timeout_s:.0f} seconds; what it accepted is kept.",
                "Try again, or look at `nexus node logs`.",
            ) from None
        finally:
            self._waiting.pop(number, None)

    async def _read(self) -> None:
        reason = NoNode("connection_lost", "The node has gone away; what it accepted is kept.", _START_HINT)
        try:
            while (message := await read_frame(self._reader, MAX_RESPONSE, _FRAME_TIMEOUT_S)) is not None:
                if len(message) == 4 and message[0] == RESPONSE:
                    self._settle(message)
                elif len(message) == 3 and message[0] == NOTIFICATION:
                    self._note(message[1], message[2])
                else:
                    raise FrameError("a frame of no known shape")
        except (FrameError, CodecError, OSError, TimeoutError) as error:
            reason.__cause__ = error
        except NexusError as error:
            reason = NoNode(error.code, error.message, error.hint)
        self._lose(reason)

    def _settle(self, message: tuple[Value, ...]) -> None:
        number, error, result = message[1:]
        future = self._waiting.get(number) if type(number) is int else None
        if future is None or future.done():
            return  # its caller has given up
        if error is not None:
            future.set_exception(read_error(error))
        else:
            future.set_result(result)

    def _note(self, name: Value, params: Value) -> None:
        if name == "goodbye" and type(params) is tuple and params:
            raise read_error(params[0])
        if type(params) is not tuple or not params or type(params[0]) is not int:
            return
        queue = self._queues.get(params[0])
        if queue is None:
            return  # its reader has left
        if name == "event" and len(params) == 2:
            queue.put(from_value(Event, params[1], "event"))
        elif name == "end":
            queue.close()

    def _lose(self, reason: NexusError) -> None:
        if self._lost is not None:
            return
        self._lost = reason
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(reason)
        for queue in self._queues.values():
            queue.close(reason)
        self._writer.transport.abort()
