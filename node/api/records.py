"""Records that cross the node's interface.

Frozen dataclasses of ints, bytes, text, bools, None, tuples and other records: `node.api.codec` carries them over
the socket. Amounts are integer units, times are slots unless a name ends in `_ms` (Unix milliseconds).
Addresses are raw (version byte and digest, see `node.encoding.address`).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NetworkInfo:
    """What never changes while a node runs."""

    name: str
    preset: str
    hrp: str
    genesis: bytes
    start_ms: int
    slot_ms: int
    epoch_slots: int
    heartbeat_slots: int
    max_body_bytes: int
    base_fee: int
    record_fee: int
    byte_fee: int
    version: int


@dataclass(frozen=True, slots=True)
class Alert:
    """Something the owner should know. `level` is "info", "warning" or "error"."""

    code: str
    level: str
    message: str
    hint: str
    since_ms: int


@dataclass(frozen=True, slots=True)
class Status:
    """One look at the node."""

    network: NetworkInfo
    mode: str  # "producing", "following" or "read-only"
    height: int
    tip: bytes
    tip_slot: int
    current_slot: int
    final_height: int
    epoch: int
    accounts: int
    mempool_transactions: int
    mempool_bytes: int
    peers: int
    total_units: int
    started_ms: int
    now_ms: int
    pid: int
    database_bytes: int
    alerts: tuple[Alert, ...]


@dataclass(frozen=True, slots=True)
class AccountView:
    """An account after the tip, and what the mempool would make of it.

    `next_nonce` and `spendable` count the transactions of this account that wait in the mempool.
    """

    address: bytes
    exists: bool
    balance: int
    nonce: int
    next_nonce: int
    spendable: int
    pending_in: int
    pending_out: int


@dataclass(frozen=True, slots=True)
class Submission:
    """A transaction was accepted: it is on disk and will be in a block or be reported expired."""

    txid: bytes
    wid: bytes
    known: bool


@dataclass(frozen=True, slots=True)
class Output:
    """One payment inside a transaction."""

    recipient: bytes
    amount: int


@dataclass(frozen=True, slots=True)
class TransactionView:
    """A transaction as the node knows it.

    `status` is "pending" (accepted, waits for a block), "done", "failed" (executed, charged, nothing else changed),
    or "expired". `reason` says why it failed. `fee` is what was or would be charged, record fees included.
    """

    txid: bytes
    wid: bytes
    kind: int
    kind_name: str
    sender: bytes
    nonce: int
    expiry: int
    tip: int
    fee: int
    outputs: tuple[Output, ...]
    memo: str
    size: int
    status: str
    reason: str
    height: int | None
    block: bytes | None
    slot: int | None
    time_ms: int | None
    raw: bytes


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Newest first. `next_before` continues the listing, None at its end."""

    transactions: tuple[TransactionView, ...]
    next_before: int | None


@dataclass(frozen=True, slots=True)
class BlockSummary:
    """A block in a list."""

    id: bytes
    height: int
    slot: int
    time_ms: int
    creator: bytes
    region: str
    transactions: int
    failed: int
    fees: int
    size: int


@dataclass(frozen=True, slots=True)
class BlockView:
    """A block in full."""

    summary: BlockSummary
    version: int
    parents: tuple[bytes, ...]
    seat: int
    epoch: int
    reveal: bytes
    body_root: bytes
    state_commitment: bytes
    signature: bytes
    heartbeat: bool
    txids: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """A named place of the sum of all units (protocol section 1)."""

    name: str
    group: str  # "accounts", "reserve", "service", "stake"
    units: int


@dataclass(frozen=True, slots=True)
class Check:
    """One line of a verification."""

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What `nexus node verify` found."""

    ok: bool
    height: int
    total_units: int
    state_commitment: bytes
    checks: tuple[Check, ...]


@dataclass(frozen=True, slots=True)
class Event:
    """Something happened. `topic` is "block", "transaction", "balance" or "alert".

    block: `block`; transaction: `txid` and `text` = its new status; balance: `address` and `units` = balance now;
    alert: `alert`. `missed` counts events dropped before this one because the reader was slow: then read afresh.
    """

    topic: str
    block: BlockSummary | None = None
    txid: bytes | None = None
    address: bytes | None = None
    units: int | None = None
    text: str = ""
    alert: Alert | None = None
    missed: int = 0
