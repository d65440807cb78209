"""A made-up node for the tests of the socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager

from node.api.errors import Locked, Refused
from node.api.events import EventHub
from node.api.interface import TOPICS
from node.api.records import (
    AcceptedView,
    AccountView,
    Alert,
    BanView,
    BlockSummary,
    BlockView,
    Check,
    CheckpointView,
    DagBlockSummary,
    DagBlockView,
    DagView,
    Event,
    EvidenceView,
    FinalityView,
    FindingView,
    HistoryPage,
    InvitationView,
    KnownView,
    MeshView,
    NetworkInfo,
    Output,
    PeerView,
    Place,
    RegionShare,
    Status,
    Submission,
    SyncView,
    TransactionView,
    ValidatorView,
    VerifyReport,
    VoteView,
    WaveView,
)

NETWORK = NetworkInfo("n", "solo", "tnxt", b"g" * 32, 1, 2_000, 1_800, 150, 131_072, 1_000, 50_000, 20, 1)
ALERT = Alert("disk_low", "warning", "Little space — left", "Free some", 5)
STATUS = Status(
    NETWORK, "producing", 9, b"t" * 32, 8, 7, 6, 5, 4, 3, 2, 1, 10**14, 1_700_000_000_000, 12, 34, 56, (ALERT, ALERT)
)
SUMMARY = BlockSummary(b"i" * 32, 9, 8, 7, b"c" * 21, "Violet", 6, 5, 4, 3)

CHECKPOINT = CheckpointView(
    3, b"i" * 32, 8, 9, b"h" * 32, "final", 3, 70, 100, 5, (RegionShare("Violet", 60, 50),), "regions", 0, b"p" * 32
)
WAITING = CheckpointView(4, b"j" * 32, 9, None, b"k" * 32, "waiting", None, 0, 100, 0, (), "few_regions", 2, b"")
DAG_BLOCK = DagBlockSummary(
    b"i" * 32, (b"p" * 32, b"q" * 32), 8, 1, b"c" * 21, "Violet", 7, None, "red", False, True, 2, 1, False, 5
)
EVIDENCE = EvidenceView(
    b"e" * 32, 2, "double_vote", b"c" * 21, True, 8, 3, "voted twice", 60, 3, "open", (b"v", b"h" * 300, b"i")
)
LINKED = PeerView(b"p" * 32, "192.0.2.7", 7_400, True, "nexus", 5_000, 2**40, None, 7, 8, False, 3, 99, 5, "Green")
KNOWN = KnownView(b"k" * 32, "192.0.2.8", 7_400, "local", b"p" * 32, None, 2)
MESH = MeshView(
    b"n" * 32, 7_400, ("192.0.2.1",), 12, True, (LINKED,), (BanView(b"b" * 32, 2**41),), (KNOWN,), SyncView(5, 9, None),
    70, 80, "Blue",
)  # fmt: skip
VALIDATOR = ValidatorView(b"c" * 21, "", "Violet", 60, None, 4, True, True)


def transaction(number: int, raw: bytes = b"raw") -> TransactionView:
    return TransactionView(
        number.to_bytes(32),
        b"w" * 32,
        2,
        "multi-transfer",
        b"\0" * 21,
        1,
        2,
        3,
        4,
        (Output(b"\1" * 33, 2**63), Output(b"\0" * 21, 0)),
        "memo ☀",
        len(raw),
        "done",
        "",
        None,
        None,
        3,
        None,
        raw,
    )


class FakeNode:
    """Implements `NodeApi` with fixed answers; `submit` and `account` misbehave on demand."""

    def __init__(self) -> None:
        self.hub = EventHub()
        self.calls: list[tuple[object, ...]] = []
        self.running = 0
        self.most_running = 0
        self.gate: asyncio.Event | None = None
        self.page = 3
        self.woken = 0
        self.raw = b"raw"

    async def network(self) -> NetworkInfo:
        return NETWORK

    async def status(self) -> Status:
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            if self.gate is not None:
                await self.gate.wait()
            return STATUS
        finally:
            self.running -= 1

    async def account(self, address: bytes) -> AccountView:
        self.calls.append(("account", address))
        return AccountView(address, True, 10**14, 2, 3, 4, 5, 6)

    async def submit(self, raw: bytes) -> Submission:
        if raw == b"refuse":
            raise Refused("insufficient_funds", "Not enough — sorry", "Send less")
        if raw == b"locked":
            raise Locked("locked", "Locked")
        if raw == b"crash":
            raise ZeroDivisionError("secret detail")
        if raw == b"surrogate":
            raise Refused("bad", "bad \udc80 text")
        if raw == b"cancel":
            raise asyncio.CancelledError
        return Submission(raw.ljust(32), b"w" * 32, False)

    async def transaction(self, txid: bytes) -> TransactionView | None:
        return transaction(int.from_bytes(txid)) if txid != b"?" * 32 else None

    async def history(self, addresses: tuple[bytes, ...], before: int | None = None, limit: int = 50) -> HistoryPage:
        self.calls.append(("history", addresses, before, limit))
        return HistoryPage(tuple(transaction(number, self.raw) for number in range(self.page)), before)

    async def block(self, height: int | None = None, block_id: bytes | None = None) -> BlockView | None:
        if height == 404:
            return None
        return BlockView(SUMMARY, 1, (b"p" * 32,), 0, 5, b"r", b"b", b"s", b"x", False, (b"a" * 32, b"b" * 32))

    async def blocks(self, before: int | None = None, limit: int = 20) -> tuple[BlockSummary, ...]:
        return (SUMMARY,) * limit

    async def dag(self, before_slot: int | None = None, limit: int = 60) -> DagView:
        self.calls.append(("dag", before_slot, limit))
        return DagView(b"t" * 32, (b"t" * 32, b"i" * 32), (DAG_BLOCK,) * 2, CHECKPOINT, None, 3)

    async def dag_block(self, block_id: bytes) -> DagBlockView | None:
        if block_id == b"?" * 32:
            return None
        return DagBlockView(
            DAG_BLOCK,
            2,
            1,
            b"r",
            b"b",
            b"s",
            b"x",
            WaveView(400_123, 3, 65_535, 0, 8, b"d" * 64),
            (VoteView(b"\1" * 33, "Red", 1, b"f" * 32, 3, b"g" * 32, 8),),
            (b"a" * 32,),
            None,
            (b"p" * 32,),
            (),
            (AcceptedView(b"a" * 32, b"i" * 32, "failed", 2**63),),
            8,
        )

    async def find_blocks(self, prefix: str) -> tuple[bytes, ...]:
        return (b"i" * 32,) if (b"i" * 32).hex().startswith(prefix) else ()

    async def find_transactions(self, prefix: str) -> tuple[bytes, ...]:
        return (b"t" * 32,) if (b"t" * 32).hex().startswith(prefix) else ()

    async def finality(self) -> FinalityView:
        return FinalityView(CHECKPOINT, CHECKPOINT, (WAITING, CHECKPOINT), (VALIDATOR,), b"m" * 32, b"n" * 32, 12)

    async def evidence(self) -> tuple[EvidenceView, ...]:
        return (EVIDENCE,)

    async def mesh(self) -> MeshView:
        return MESH

    async def invitation(self, host: str | None = None) -> InvitationView:
        return InvitationView(f"nexus://join?host={host}", "NEXUS:A")

    async def introduce(self, place: str) -> bytes:
        self.calls.append(("introduce", place))
        return b"p" * 32

    async def ban(self, node: bytes, seconds: int) -> bool:
        self.calls.append(("ban", node, seconds))
        return seconds > 0

    async def diagnose(self) -> tuple[FindingView, ...]:
        return (FindingView("clock", "ok", "agrees", ""),)

    async def wake(self) -> None:
        self.woken += 1

    async def places(self) -> tuple[Place, ...]:
        return (Place("accounts", "accounts", 1), Place("TREASURY", "reserve", 2))

    async def verify(self) -> VerifyReport:
        return VerifyReport(True, 9, 10**14, b"s" * 32, (Check("database", True, "fine"),))

    def subscribe(self, topics: tuple[str, ...] = TOPICS) -> AbstractAsyncContextManager[AsyncIterator[Event]]:
        return self.hub.subscribe(topics)

    async def stop(self) -> None:
        raise Refused("in_process", "stop the owner")
