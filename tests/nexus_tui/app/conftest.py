"""A household without a node: a fake `NodeApi` with fixed data, a wallet of published words, a clock that stands."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the child of the pty tests loads this file too

from dag_blocks import Dag  # type: ignore[import-not-found]
from steady import SteadyPilot, wait_until  # type: ignore[import-not-found]

from node.api.bounds import check_arguments
from node.api.errors import Refused
from node.api.records import (
    AccountView,
    Alert,
    BanView,
    BlockSummary,
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
    Status,
    Submission,
    SyncView,
    TransactionView,
)
from node.encoding.address import Address
from node.encoding.amounts import UNITS_PER_NXT
from node.ledger.types import EVIDENCE, SignedTransaction

NOW_MS = 1_763_121_600_000  # 2025-11-14 12:00:00 UTC
PASSPHRASE = "correct horse"
WORDS = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about"
NXT = UNITS_PER_NXT


class StandingClock:
    """A wallet's clock that only tests turn."""

    def __init__(self) -> None:
        self.now = NOW_MS
        self.gone = 1000.0

    def now_ms(self) -> int:
        return self.now

    def elapsed(self) -> float:
        return self.gone


def raw_address(number: int) -> bytes:
    return bytes([0]) + bytes([number]) * 20


def proof(number: int, status: str = "open", own: bool = False) -> EvidenceView:
    """A double block of a validator, as the node shows it."""
    stake = 1_000 * NXT
    what, parts = f"made two blocks for slot {5_000 + number}", (bytes([number]) * 300, bytes([number + 1]) * 300)
    loss = stake // 20 if status == "open" else 0
    return EvidenceView(
        bytes([0xE0 + number]) * 32, 1, "double_block", raw_address(0x70 + number), own, 5_000 + number, None, what,
        stake, loss, status, parts,
    )  # fmt: skip


def peer(number: int, **changes: Any) -> PeerView:
    """A linked node in good order, but for `changes`."""
    view = PeerView(
        bytes([0x20 + number]) * 32, f"192.168.1.{number}", 9735, bool(number % 2), "nexus/0.1", 11_000_000 * number,
        NOW_MS - 11_000_000 * number, 12 * number, 1_234_567 * number, 65_432, False, 0, 1_200, 30 * number,
        "Green" if number % 2 else "",
    )  # fmt: skip
    return replace(view, **changes)


def meshed(*peers: PeerView, bans: tuple[BanView, ...] = (), **changes: Any) -> MeshView:
    """This node with such links."""
    known = tuple(KnownView(one.node, one.host, one.port, "local", b"", NOW_MS, 0) for one in peers)
    view = MeshView(
        bytes([0x77]) * 32, 9735, ("192.168.1.20",), 14, False, peers, bans, known, None, 1_234_567, 65_432, "Blue"
    )
    return replace(view, **changes)


def block(height: int, region: str = "Green", transactions: int = 1) -> BlockSummary:
    return BlockSummary(
        bytes([height % 256]) * 32, height, height * 5, NOW_MS, raw_address(1), region, transactions, 0, 1000, 900
    )


class FakeNode:
    """Keeps balances and a history in memory; `submit` takes effect at once."""

    def __init__(self) -> None:
        self.info = NetworkInfo(
            "solo-home",
            "solo",
            "tnxt",
            bytes(range(32)),
            NOW_MS - 3_600_000,
            200,
            1800,
            1500,
            131072,
            1000,
            50000,
            20,
            1,
        )
        self.accounts: dict[bytes, AccountView] = {}
        self.transactions: list[TransactionView] = []
        self.alerts: tuple[Alert, ...] = ()
        self.proofs: tuple[EvidenceView, ...] = ()
        self.height = 1204
        self.submitted: list[SignedTransaction] = []
        self.refusal: Refused | None = None
        self.calls = 0
        self.queues: list[asyncio.Queue[Event]] = []
        self.closed = False
        self.pid = 4242
        self.final_lag = 8
        self.peers: int | None = None
        self.sync: SyncView | None = None
        self.began_ms: int | None = None
        self.growing: Dag | None = Dag(60)
        self.links: MeshView | None = None
        self.mesh_reads = 0
        self.woken = 0
        self.introduced: list[str] = []
        self.banned: list[tuple[bytes, int]] = []

    def fund(self, address: bytes, units: int, pending_in: int = 0) -> None:
        self.accounts[address] = AccountView(address, True, units, 0, 0, units, pending_in, 0)

    def paid(
        self, sender: bytes, recipient: bytes, amount: int, *, memo: str = "", status: str = "done", minutes: int = 0
    ) -> TransactionView:
        number = len(self.transactions)
        done = status != "pending"
        view = TransactionView(
            txid=bytes([number + 1]) * 32,
            wid=bytes([number + 1]) * 32,
            kind=1,
            kind_name="transfer",
            sender=sender,
            nonce=number,
            expiry=100_000,
            tip=0,
            fee=1000,
            outputs=(Output(recipient, amount),),
            memo=memo,
            size=200,
            status=status,
            reason="insufficient_funds: the account held less when its turn came" if status == "failed" else "",
            height=1200 - minutes if done else None,
            block=bytes(32) if done else None,
            slot=6000 - minutes if done else None,
            time_ms=NOW_MS - minutes * 60_000 if done else None,
            raw=b"",
        )
        self.transactions.append(view)
        return view

    async def network(self) -> NetworkInfo:
        return self.info

    async def status(self) -> Status:
        self.calls += 1
        return Status(
            self.info, "producing", self.height, bytes(32), self.height * 5, self.slot, self.height - self.final_lag, 3,
            len(self.accounts), 0, 0, self.peers, 10**14, NOW_MS - 3_600_000, NOW_MS, self.pid, 1_234_567, self.alerts,
            self.sync, began_ms=self.began_ms,
        )  # fmt: skip

    async def account(self, address: bytes) -> AccountView:
        return self.accounts.get(address) or AccountView(address, False, 0, 0, 0, 0, 0, 0)

    async def submit(self, raw: bytes) -> Submission:
        if self.refusal is not None:
            raise self.refusal
        signed = SignedTransaction.from_raw(raw)
        self.submitted.append(signed)
        if signed.body.kind == EVIDENCE:
            return Submission(signed.txid, signed.wid, False)
        recipient, amount, memo = signed.body.payload
        assert isinstance(recipient, bytes)
        assert isinstance(amount, int)
        self.transactions.insert(0, self.paid(signed.sender, recipient, amount, memo=str(memo), status="pending"))
        self.transactions.pop()
        sender = self.accounts[signed.sender]
        self.accounts[signed.sender] = replace(
            sender, next_nonce=sender.next_nonce + 1, spendable=sender.spendable - amount, pending_out=amount
        )
        self.tell(Event("transaction", txid=signed.txid, text="pending"))
        return Submission(signed.txid, signed.wid, False)

    async def history(self, addresses: tuple[bytes, ...], before: int | None = None, limit: int = 50) -> HistoryPage:
        self.calls += 1
        found = [
            view
            for view in self.transactions
            if view.sender in addresses or any(output.recipient in addresses for output in view.outputs)
        ]
        start = before or 0
        page = tuple(found[start : start + limit])
        return HistoryPage(page, start + limit if len(found) > start + limit else None)

    async def blocks(self, before: int | None = None, limit: int = 20) -> tuple[BlockSummary, ...]:
        return (block(self.height, "Green"),)

    @property
    def slot(self) -> int:
        newest = self.growing.blocks()[-1].slot if self.growing is not None else 0
        return max(self.height * 5 + 3, newest)

    async def dag(self, before_slot: int | None = None, limit: int = 60) -> DagView:
        self.calls += 1
        if self.growing is None:
            return DagView(bytes(32), (), (), None, None, 0)
        return self.growing.view(before_slot, limit)

    async def dag_block(self, block_id: bytes) -> DagBlockView | None:
        self.calls += 1
        return self.growing.block(block_id) if self.growing is not None else None

    async def find_blocks(self, prefix: str) -> tuple[bytes, ...]:
        check_arguments({"prefix": prefix})
        return self.growing.find(prefix) if self.growing is not None else ()

    async def find_transactions(self, prefix: str) -> tuple[bytes, ...]:
        return tuple(sorted(each.txid for each in self.transactions if each.txid.hex().startswith(prefix)))

    async def finality(self) -> FinalityView:
        assert self.growing is not None
        return self.growing.finality()

    async def evidence(self) -> tuple[EvidenceView, ...]:
        return self.proofs

    def link(self, links: MeshView) -> None:
        """The node has these links from now on."""
        self.links, self.peers = links, len(links.peers)

    async def mesh(self) -> MeshView:
        self.mesh_reads += 1
        if self.links is None:
            raise Refused("no_mesh", "This node has no links to others.", "Make a network that others can join.")
        return self.links

    async def invitation(self, host: str | None = None) -> InvitationView:
        short = "NEXUS:JOIN" + "0123456789ABCDEFGHJKMNPQRSTVWXYZ" * 4
        return InvitationView("nexus://join?g=" + "ab" * 32 + "&n=nxn1somebody@192.168.1.20:9735", short)

    async def introduce(self, place: str) -> bytes:
        if "@" not in place:
            raise Refused("bad_invitation", "This is no node's address.", "Write NODE@HOST:PORT.")
        self.introduced.append(place)
        return bytes([0x42]) * 32

    async def diagnose(self) -> tuple[FindingView, ...]:
        return (FindingView("clock", "ok", "agrees", ""),)

    async def wake(self) -> None:
        self.woken += 1

    async def ban(self, node: bytes, seconds: int) -> bool:
        assert self.links is not None
        self.banned.append((node, seconds))
        bans = tuple(ban for ban in self.links.bans if ban.node != node)
        if seconds:
            bans += (BanView(node, NOW_MS + seconds * 1000),)
        self.link(replace(self.links, peers=tuple(each for each in self.links.peers if each.node != node), bans=bans))
        return True

    def grow(self) -> None:
        """Blocks of another slot."""
        assert self.growing is not None
        for block in self.growing.grow():
            self.tell(Event("dag", block_id=block.id))
        self.tell(Event("dag"))

    def tell(self, event: Event) -> None:
        for queue in self.queues:
            queue.put_nowait(event)

    def new_block(self, region: str = "Red") -> None:
        self.height += 1
        self.tell(Event("block", block=block(self.height, region)))

    @asynccontextmanager
    async def subscribe(self, topics: tuple[str, ...] = ()) -> AsyncIterator[AsyncIterator[Event]]:
        queue: asyncio.Queue[Event] = asyncio.Queue()
        self.queues.append(queue)

        async def events() -> AsyncIterator[Event]:
            while True:
                yield await queue.get()

        yield events()
        self.queues.remove(queue)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[FakeNode]:
        yield self
        self.closed = True


class World:
    """Node, wallet, contacts and folders of one test, and the app on them."""

    def __init__(self, folder: Path) -> None:
        from wallet.contacts import Contacts
        from wallet.keystore import KdfCost
        from wallet.secret import Secret
        from wallet.store import WalletStore

        self.folder = folder
        self.node = FakeNode()
        self.clock = StandingClock()
        self.store = WalletStore(folder / "wallets", "tnxt", clock=self.clock, cost=KdfCost(1, 8192))
        self.contacts = Contacts(folder / "contacts.json", "tnxt")
        self.secret = Secret
        self.saved: list[tuple[str, str]] = []

    def furnish(self) -> World:
        """A wallet with two accounts and a watched one, contacts, and a small history."""
        wallet = self.store.restore("main", self.secret.of(PASSPHRASE), self.secret.of(WORDS), accounts=2)
        wallet.set_label(wallet.accounts[1], "Savings")
        main, savings = (account.address for account in wallet.accounts)
        wallet.lock()
        ada, cafe, treasury = raw_address(0x11), raw_address(0x22), raw_address(0x33)
        wallet.add_watch(Address.from_raw(raw_address(0x44)).text("tnxt"), "Bakery till")
        for name, raw in (("Ada", ada), ("Café Noir", cafe), ("Treasury", treasury)):
            self.contacts.add(name, Address.from_raw(raw).text("tnxt"))
        node = self.node
        node.fund(main, 1_250 * NXT + 50_000_000, pending_in=2 * NXT)
        node.fund(savings, 12_000 * NXT)
        node.fund(raw_address(0x44), 77 * NXT)
        node.fund(ada, 5 * NXT)
        node.paid(raw_address(0x55), main, 2 * NXT, memo="for the tickets", status="pending")
        node.paid(main, ada, 12 * NXT + 50_000_000, memo="lunch", minutes=12)
        node.paid(main, cafe, 3 * NXT + 80_000_000, minutes=95)
        node.paid(treasury, main, 1_000 * NXT, memo="welcome", minutes=240)
        node.paid(main, savings, 200 * NXT, minutes=1500)
        node.paid(main, raw_address(0x66), 9_000 * NXT, status="failed", minutes=4000)
        return self

    def household(self, **changes: Any) -> Any:
        from nexus_tui.household import Household

        values: dict[str, Any] = {
            "name": "default",
            "folder": Path("/home/ada/.local/share/nexus/profiles/default"),
            "open_node": self.node.opened,
            "wallets": lambda prefix: self.store,
            "contacts": lambda prefix: self.contacts,
            "export_folder": self.folder,
        }
        return Household(**{**values, **changes})

    def app(self, *, empty: bool = False, onboarding: Any = None, terminal: Any = None, **preferences: Any) -> Any:
        from nexus_tui.factory import make_app
        from nexus_tui.settings import Preferences
        from nexus_tui.terminal import Terminal

        app = make_app(
            None if empty else self.household(),
            home=self.folder / "home",
            onboarding=onboarding,
            preferences=Preferences(save=lambda *pair: self.saved.append(pair), **preferences),
            terminal=terminal or Terminal(),
            now_ms=lambda: NOW_MS,
        )
        return app


@pytest.fixture
def bare(tmp_path: Path) -> World:
    """A world with no wallet and no history."""
    return World(tmp_path)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A world to look at."""
    return World(tmp_path).furnish()


@pytest.fixture(autouse=True)
def steady(monkeypatch: pytest.MonkeyPatch) -> None:
    """Apps are driven by a pilot that waits for them, not for an idle processor."""
    import textual.app
    import textual.pilot

    async def at_once(*_seconds: float) -> None:
        """The pilot waits after each key."""

    monkeypatch.setattr(textual.pilot, "Pilot", SteadyPilot)
    monkeypatch.setattr(textual.app, "wait_for_idle", at_once)


@pytest.fixture
def until() -> Callable[..., Any]:
    """See `wait_until`."""
    return wait_until


@pytest.fixture(scope="session")
def make_world() -> type[World]:
    """For tests that need many worlds."""
    return World
