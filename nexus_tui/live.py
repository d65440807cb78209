"""The app's one live view of node and wallet: events in, at most two fresh views a second out, nothing when idle.

One task opens the node (which may be slow), keeps it open, and closes it in the same task whatever ends the app. A
second one listens for events and only marks what is stale; the first reads it afresh and hands a `View` to the app.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from node.api.errors import NexusError, NoNode, Refused, TimedOut

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from nexus_tui.household import Household
    from node.api.interface import NodeApi
    from node.api.records import AccountView, DagView, Event, MeshView, NetworkInfo, Status, TransactionView
    from wallet.contacts import Contacts
    from wallet.keystore import Account
    from wallet.wallet import Wallet

UPDATE_SECONDS = 0.5
MESH_SECONDS = 5.0
"""While the network is looked at it is read this often: delays and traffic change without an event."""
_LOOK_SECONDS = 1.0
_GATHER_SECONDS = 0.05  # events of one block come together
PAGE = 50
MAX_LOADED = 2_000
_FIRST_RETRY, _LAST_RETRY = 1.0, 30.0
_HISTORY_ADDRESSES = 100


@dataclass(frozen=True, slots=True)
class Line:
    """One account of the wallet with what the node says about it; `view` is None until it was read."""

    account: Account
    address: str
    view: AccountView | None


@dataclass(frozen=True, slots=True)
class DagWindow:
    """The part of the DAG that is looked at: the newest `limit` blocks below `before_slot` (None: of all)."""

    before_slot: int | None
    limit: int


@dataclass(frozen=True, slots=True)
class View:
    """What the screens show. `fault` says why the node does not answer; what was known stays.

    `dag` is the part of the DAG that `dag_window` names. `mesh_fault` says why there are no links to show.
    """

    network: NetworkInfo | None = None
    status: Status | None = None
    lines: tuple[Line, ...] = ()
    history: tuple[TransactionView, ...] = ()
    next_before: int | None = None
    region: str = ""
    dag: DagView | None = None
    dag_window: DagWindow | None = None
    mesh: MeshView | None = None
    mesh_fault: NexusError | None = None
    fault: NexusError | None = None
    wallet_fault: NexusError | None = None
    read: bool = False
    opening: str = ""
    """How far the node is with what it does before it answers."""

    @property
    def total(self) -> int:
        """Units of the `counted` accounts."""
        return sum(line.view.balance for line in self.counted if line.view is not None)

    @property
    def counted(self) -> tuple[Line, ...]:
        """The accounts that have their key in the wallet; all of a wallet that only watches."""
        return tuple(line for line in self.lines if line.account.can_sign) or self.lines

    @property
    def pending(self) -> int:
        """Units on their way in, less those on their way out."""
        views = [line.view for line in self.counted if line.view is not None]
        return sum(view.pending_in - view.pending_out for view in views)


class Live:
    """`publish` is called in the loop with every new view, at most every `UPDATE_SECONDS`."""

    def __init__(self, household: Household, publish: Callable[[View], None]) -> None:
        self.household = household
        self.view = View()
        self.api: NodeApi | None = None
        self.wallet: Wallet | None = None
        self.contacts: Contacts | None = None
        self._publish = publish
        self._stale: set[str] = set()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._delay = _FIRST_RETRY
        self.faucet: bytes | None = None
        self.dag_window: DagWindow | None = None
        self.mesh_watched = False

    @property
    def unlocked(self) -> bool:
        """Whether signing needs no passphrase now."""
        return self.wallet is not None and not self.wallet.locked

    @property
    def prefix(self) -> str:
        """The network's address prefix; only after the node has answered."""
        assert self.view.network is not None
        return self.view.network.hrp

    def start(self) -> None:
        """Open the node in the background."""
        self._task = asyncio.create_task(self._run(), name="nexus-live")

    async def close(self, seconds: float = 5.0) -> None:
        """Close the node; a node of this process has `seconds` to flush."""
        task, self._task = self._task, None
        if self.wallet is not None:
            self.wallet.lock()
        if task is None or task.done():
            return
        task.cancel()
        await asyncio.wait({task}, timeout=seconds)

    def look_at_dag(self, window: DagWindow | None) -> None:
        """Read this part of the DAG, now and whenever it changes; None when nobody looks any more."""
        if window != self.dag_window:
            self.dag_window = window
            if window is not None:
                self.mark("dag")

    def look_at_mesh(self, watched: bool) -> None:
        """Read the node's links now and every `MESH_SECONDS`, until nobody looks any more."""
        if watched != self.mesh_watched:
            self.mesh_watched = watched
            if watched:
                self.mark("mesh")

    def mark(self, *what: str) -> None:
        """Say that "status", "accounts", "history", "dag" or "mesh" may have changed."""
        self._stale.update(what)
        self._wake.set()

    def come_to_front(self) -> None:
        """Somebody looks at the app: a node that sleeps between looks makes its links."""
        self.mark("front")

    def retry(self) -> None:
        """Try to open the node now."""
        self._wake.set()

    def reload_wallet(self) -> None:
        """After accounts or labels changed: show them, and read their balances."""
        self._show_accounts()
        self.mark("accounts", "history")

    async def load_more(self) -> bool:
        """Read an older page of the history. False when there is none."""
        before = self.view.next_before
        if self.api is None or before is None or len(self.view.history) >= MAX_LOADED:
            return False
        page = await self.api.history(self._addresses(), before, PAGE)
        known = {item.txid for item in self.view.history}
        older = tuple(item for item in page.transactions if item.txid not in known)
        self._set(replace(self.view, history=self.view.history + older, next_before=page.next_before))
        return bool(older)

    async def _run(self) -> None:
        while True:
            patience: float | None = None
            opening = asyncio.create_task(self._watch_opening(), name="nexus-opening")
            try:
                async with self.household.open_node() as api:
                    opening.cancel()
                    self.api = api
                    try:
                        await self._follow(api)
                    finally:
                        self.api = None
            except NexusError as error:
                # A node may come back by itself; a damaged database or a full disk waits for its owner.
                if isinstance(error, (NoNode, TimedOut)):
                    patience = self._delay
                    self._delay = min(self._delay * 2, _LAST_RETRY)
                self._set(replace(self.view, fault=error))
            finally:
                opening.cancel()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._asked_again(), patience)

    async def _watch_opening(self) -> None:
        """Show how far it is until the node is there, which may take minutes where it fetches what it begins from."""
        while True:
            text = self.household.opening()
            if text != self.view.opening:
                self._set(replace(self.view, opening=text))
            await asyncio.sleep(_LOOK_SECONDS)

    async def _asked_again(self) -> None:
        self._wake.clear()
        await self._wake.wait()

    async def _follow(self, api: NodeApi) -> None:
        async with api.subscribe() as events:
            if self.view.network is None:
                self._set(replace(self.view, network=await api.network()))
                self._open_wallet()
                self.view = replace(self.view, region=await _newest_region(api))
            self._stale = {"status", "accounts", "history", "dag", "mesh", "front"}
            loop = asyncio.get_running_loop()
            listener = asyncio.create_task(self._listen(events), name="nexus-events")
            try:
                while True:
                    await self._refresh(api)
                    read_at = loop.time()
                    waiting = asyncio.create_task(self._wake.wait())
                    patience = MESH_SECONDS if self.mesh_watched else None
                    try:
                        done, _ = await asyncio.wait(
                            {waiting, listener}, timeout=patience, return_when=asyncio.FIRST_COMPLETED
                        )
                    finally:
                        waiting.cancel()
                    if not done and self.mesh_watched:
                        self._stale |= {"status", "mesh"}
                    if listener.done():
                        listener.result()
                        raise NoNode(
                            "node_gone", "The node closed the connection.", "What you see was true until then."
                        )
                    self._wake.clear()
                    await asyncio.sleep(max(read_at + UPDATE_SECONDS - loop.time(), _GATHER_SECONDS))
            finally:
                listener.cancel()
                await asyncio.wait({listener})

    async def _listen(self, events: AsyncIterator[Event]) -> None:
        async for event in events:
            if event.block is not None:
                self.view = replace(self.view, region=event.block.region)
            looked_at = (*(("dag",) if self.dag_window else ()), *(("mesh",) if self.mesh_watched else ()))
            if event.missed:
                self.mark("status", "accounts", "history", *looked_at)
            elif event.topic in ("balance", "transaction"):
                self.mark("status", "accounts", "history")
            elif event.topic == "block":
                self.mark("status", "accounts", *looked_at)
            elif event.topic == "mesh":
                self.mark("status", *(("mesh",) if self.mesh_watched else ()))
            elif event.topic != "dag":
                self.mark("status")
            elif event.block_id is None:
                self.mark("status", *looked_at)
            elif looked_at:
                self.mark(*looked_at)

    async def _refresh(self, api: NodeApi) -> None:
        stale, self._stale = self._stale, set()
        view = self.view
        if "front" in stale:
            await api.wake()
        if "status" in stale:
            view = replace(view, status=await api.status())
        if "accounts" in stale:
            lines = [replace(line, view=await api.account(line.account.address)) for line in view.lines]
            view = replace(view, lines=tuple(lines))
        if "history" in stale and view.lines:
            page = await api.history(self._addresses(), None, PAGE)
            fresh = {item.txid for item in page.transactions}
            older = tuple(item for item in view.history if item.txid not in fresh and item.status != "pending")
            meets = len(older) < len(view.history)
            if not meets or page.next_before is None:
                older = ()
            view = replace(
                view,
                history=page.transactions + older,
                next_before=view.next_before if older else page.next_before,
            )
        window = self.dag_window
        if "dag" in stale and window is not None:
            view = replace(view, dag=await api.dag(window.before_slot, window.limit), dag_window=window)
        if "mesh" in stale and self.mesh_watched:
            try:
                view = replace(view, mesh=await api.mesh(), mesh_fault=None)
            except (Refused, NoNode) as error:  # no links here: all else can be read all the same
                view = replace(view, mesh=None, mesh_fault=error)
        self._delay = _FIRST_RETRY
        self._set(replace(view, region=self.view.region, fault=None, opening="", read=True))
        if self.faucet is None and self.household.has_faucet:
            await self._find_faucet()

    def _open_wallet(self) -> None:
        try:
            self.wallet = self.household.wallets(self.prefix).open()
            self.contacts = self.household.contacts(self.prefix)
        except NexusError as error:
            self._set(replace(self.view, wallet_fault=error))
            return
        self._show_accounts()

    async def _find_faucet(self) -> None:
        """The faucet's address, so that its payments have a name; its key takes a while to read the first time."""
        from wallet.faucet import open_faucet

        assert self.household.faucet_key is not None
        try:
            signer = await asyncio.to_thread(open_faucet, self.household.faucet_key)
        except NexusError:
            self.faucet = b""
            return
        self.faucet = signer.address.raw
        self._publish(self.view)

    def _show_accounts(self) -> None:
        assert self.wallet is not None
        known = {line.account.address: line.view for line in self.view.lines}
        lines = tuple(
            Line(account, self.wallet.address_text(account), known.get(account.address))
            for account in self.wallet.accounts
        )
        self._set(replace(self.view, lines=lines))

    def _addresses(self) -> tuple[bytes, ...]:
        return tuple(line.account.address for line in self.view.lines)[:_HISTORY_ADDRESSES]

    def _set(self, view: View) -> None:
        self.view = view
        self._publish(view)


async def _newest_region(api: NodeApi) -> str:
    """The region of the tip; "" where there is no block yet."""
    newest = await api.blocks(limit=1)
    return newest[0].region if newest else ""
