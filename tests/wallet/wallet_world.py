"""What the wallet's tests stand on: a clock to turn, a cheap key derivation, a node that answers from tables."""

from __future__ import annotations

from dataclasses import replace

from node.api.interface import NodeApi
from node.api.records import AccountView, HistoryPage, NetworkInfo, Output, Status, TransactionView
from wallet.keystore import KdfCost

CHEAP = KdfCost(operations=1, memory=8192)
WORDS = "legal winner thank year wave sausage worth useful legal winner thank yellow"
GENESIS = bytes(range(32))
INFO = NetworkInfo(
    name="test",
    preset="solo",
    hrp="tnxt",
    genesis=GENESIS,
    start_ms=1_700_000_000_000,
    slot_ms=200,
    epoch_slots=1800,
    heartbeat_slots=1500,
    max_body_bytes=128 * 1024,
    base_fee=1_000,
    record_fee=50_000,
    byte_fee=20,
    version=1,
)
STATUS = Status(
    network=INFO,
    mode="producing",
    height=7,
    tip=bytes(32),
    tip_slot=90,
    current_slot=100,
    final_height=7,
    epoch=0,
    accounts=2,
    mempool_transactions=0,
    mempool_bytes=0,
    peers=None,
    total_units=10**14,
    started_ms=0,
    now_ms=0,
    pid=1,
    database_bytes=0,
    alerts=(),
)


class FakeClock:
    """Turned by hand."""

    def __init__(self) -> None:
        self.ms = 1_700_000_000_000

    def now_ms(self) -> int:
        return self.ms

    def elapsed(self) -> float:
        return self.ms / 1000

    def forward(self, seconds: float) -> None:
        self.ms += int(seconds * 1000)


class FakeNode:
    """Accounts and history from tables; nothing else is asked of it."""

    def __init__(self) -> None:
        self.accounts: dict[bytes, AccountView] = {}
        self.views: list[TransactionView] = []

    async def network(self) -> NetworkInfo:
        return INFO

    async def status(self) -> Status:
        return STATUS

    def fund(self, address: bytes, units: int, nonce: int = 0) -> None:
        self.accounts[address] = AccountView(address, True, units, nonce, nonce, units, 0, 0)

    async def account(self, address: bytes) -> AccountView:
        return self.accounts.get(address, AccountView(address, False, 0, 0, 0, 0, 0, 0))

    async def history(self, addresses: tuple[bytes, ...], before: int | None = None, limit: int = 50) -> HistoryPage:
        assert len(addresses) <= 100
        assert limit <= 500
        mine = [
            view
            for view in self.views
            if view.sender in addresses or any(o.recipient in addresses for o in view.outputs)
        ]
        start = before or 0
        page = tuple(mine[start : start + limit])
        more = start + limit < len(mine)
        return HistoryPage(page, start + limit if more else None)


def view(number: int, sender: bytes, *outputs: tuple[bytes, int], **changes: object) -> TransactionView:
    """A transaction as a node reports it; `changes` replaces fields."""
    made = TransactionView(
        txid=number.to_bytes(32),
        wid=bytes(32),
        kind=1,
        kind_name="transfer",
        sender=sender,
        nonce=0,
        expiry=1000,
        tip=0,
        fee=1_000,
        outputs=tuple(Output(*output) for output in outputs),
        memo="",
        size=200,
        status="done",
        reason="",
        height=number,
        block=bytes(32),
        slot=number,
        time_ms=1_700_000_000_000 + number * 1000,
        raw=b"",
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def as_api(node: FakeNode) -> NodeApi:
    """The part of the interface that the wallet uses stands for the whole."""
    return node  # type: ignore[return-value]
