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
    """Something the owner should know. `level` is "info", "warning" or "error"; `since_ms` is when it began.

    `about` tells alerts of one code apart, "" where there is one at a time.
    """

    code: str
    level: str
    message: str
    hint: str
    since_ms: int
    about: str = ""


@dataclass(frozen=True, slots=True)
class SyncView:
    """Fetching what was missed: the blue score of the tip here, and the highest that a peer named. `left_ms` is how
    long the rest takes at the present pace, None where that cannot be told yet."""

    score: int
    target: int
    left_ms: int | None


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
    peers: int | None  # linked nodes; None without links: a network of one device, or no node runs
    total_units: int
    started_ms: int
    now_ms: int
    pid: int
    database_bytes: int
    alerts: tuple[Alert, ...]
    sync: SyncView | None = None  # while blocks are fetched and a peer named more than there are here
    kind: str = "full"  # or "archive" or "phone"
    began_ms: int | None = None  # when the checkpoint was that the chain here began from: no payment before it is kept


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
    """A block of the selected chain in a list. `transactions`, `failed` and `fees` are of those it accepted."""

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
    """A block of the selected chain in full. `txids` are those it accepted, in order."""

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
class DagBlockSummary:
    """A block of the DAG in a picture or a list (protocol section 4).

    `colour` is "blue" or "red" as the chain block that merged it judged it, "pending" while the selected chain has
    not merged it; blocks of the selected chain (`chain`) are blue. `height` is their height, None off the chain.
    `final` means merged or stood for by a block at or below the newest final checkpoint.
    """

    id: bytes
    parents: tuple[bytes, ...]  # the selected parent first
    slot: int
    seat: int
    creator: bytes
    region: str
    blue_score: int
    height: int | None
    colour: str
    chain: bool
    final: bool
    transactions: int  # in its own body
    votes: int  # in its own body
    disqualified: bool
    time_ms: int


@dataclass(frozen=True, slots=True)
class RegionShare:
    """Stake of one region in the table that judges a checkpoint, and the part of it that voted for it. Units."""

    region: str
    stake: int
    voted: int


@dataclass(frozen=True, slots=True)
class CheckpointView:
    """A checkpoint of the selected chain (protocol section 5).

    `status` is "waiting", "justified" or "final"; `final_by` the number of the checkpoint whose own votes make this one
    final: its own number, or that of a later one above it. `rule` is who is asked for it: "regions" (two thirds of the
    stake and the regions), or stake alone because fewer than four regions hold four validators ("few_regions") or none
    of the three checkpoints before it was justified in its own past ("pause"). `absent` counts the validators that a
    long silence leaves out and who did not vote for it.
    `pattern` is the digest (32 bytes) of the superposition of the votes' waves, empty before it is justified.
    """

    number: int
    block: bytes
    slot: int
    height: int | None
    hash: bytes
    status: str
    final_by: int | None  # None before it is final
    stake_voted: int
    stake_total: int
    voters: int
    spectral: tuple[RegionShare, ...]
    rule: str
    absent: int
    pattern: bytes


@dataclass(frozen=True, slots=True)
class DagView:
    """A part of the DAG, ascending by (slot, seat, id).

    `tip` is the end of the selected chain, `tips` are all blocks without a successor. `oldest_slot` is the slot of the
    oldest block that this node still keeps; what is older was pruned.
    """

    tip: bytes
    tips: tuple[bytes, ...]
    blocks: tuple[DagBlockSummary, ...]
    final: CheckpointView | None
    justified: CheckpointView | None
    oldest_slot: int


@dataclass(frozen=True, slots=True)
class WaveView:
    """The five-dimensional wave signature of a header (protocol section 3)."""

    wavelength_pm: int
    amplitude: int  # bit length of the fees offered
    phase: int  # of 2**16 to a turn
    polarisation: int  # of 2**16 to a turn
    time: int  # slot
    digest: bytes


@dataclass(frozen=True, slots=True)
class VoteView:
    """A finality vote in the body of a block."""

    voter: bytes
    region: str
    source: int
    source_hash: bytes
    target: int
    target_hash: bytes
    target_slot: int


@dataclass(frozen=True, slots=True)
class AcceptedView:
    """A transaction that a block of the selected chain executed; `carrier` is the block whose body holds it."""

    txid: bytes
    carrier: bytes
    status: str  # "done" or "failed"
    fee: int


@dataclass(frozen=True, slots=True)
class DagBlockView:
    """A block of the DAG in full.

    `blues` and `reds` are its mergeset as it saw it, the selected parent first. `merged_by` is the block of the
    selected chain that merged it: itself on the chain, None while there is none. `votes` and `txids` are those of its
    body, empty once that was pruned; `accepted` what it executed as a block of the selected chain, in order.
    """

    summary: DagBlockSummary
    version: int
    epoch: int
    reveal: bytes
    body_root: bytes
    state_commitment: bytes
    signature: bytes
    wave: WaveView
    votes: tuple[VoteView, ...]
    txids: tuple[bytes, ...]
    merged_by: bytes | None
    blues: tuple[bytes, ...]
    reds: tuple[bytes, ...]
    accepted: tuple[AcceptedView, ...]
    blue_work: int


@dataclass(frozen=True, slots=True)
class ValidatorView:
    """A validator of the current table. `last_vote` is the number of the last checkpoint it voted for; `absent`: it
    counts nothing after a long silence, until it votes again."""

    id: bytes  # raw address
    name: str  # "" where it gave none
    region: str
    stake: int
    last_vote: int | None
    blocks: int  # made by it, of those that this node still keeps
    tombstoned: bool
    absent: bool


@dataclass(frozen=True, slots=True)
class EvidenceView:
    """Proof of an offence that this node has seen (protocol section 5, "Slashable").

    `kind_name` is "double_block", "double_vote", "surround_vote" or "invalid_header"; `what` says what `validator` did,
    to follow a name. `checkpoint` is the number that a vote was for. `status` is "open" (sent now, it costs the
    validator `loss` units of its `stake`, and its sender nothing), "punished", or "too_old" to count.
    """

    id: bytes
    kind: int
    kind_name: str
    validator: bytes  # raw address
    own: bool  # this node's own validator
    slot: int
    checkpoint: int | None
    what: str
    stake: int
    loss: int
    status: str
    proof: tuple[bytes, ...]  # headers and votes, as an evidence transaction carries them


@dataclass(frozen=True, slots=True)
class FinalityView:
    """How far the chain is final, and who votes. `checkpoints` are the newest, newest first.

    `lag_slots` is how far the newest final checkpoint's block lies behind the tip, 0 where both are one.
    """

    final: CheckpointView | None
    justified: CheckpointView | None
    checkpoints: tuple[CheckpointView, ...]
    validators: tuple[ValidatorView, ...]
    table_hash: bytes
    next_table_hash: bytes
    lag_slots: int


@dataclass(frozen=True, slots=True)
class PeerView:
    """A linked peer. `delay_ms` is that of the last ping, there and back; `behind`: this node still fetches what the
    peer has. `faults` are points that stand against it, of 100. `brought` counts the fresh blocks that it brought
    first; `region` is that of most of the last ones, "" where none stands out: whose validator a node is, nobody tells.
    """

    node: bytes  # 32 bytes
    host: str
    port: int
    inbound: bool
    agent: str
    linked_ms: int  # how long
    since_ms: int  # Unix time
    delay_ms: int | None
    bytes_in: int
    bytes_out: int
    behind: bool
    faults: int
    score: int  # blue score of its tip when the link was made
    brought: int
    region: str
    relay: bytes = b""  # the node whose circuit the link uses; `host` is where that one is


@dataclass(frozen=True, slots=True)
class BanView:
    """A node that is not let in before `until_ms`, Unix time."""

    node: bytes
    until_ms: int


@dataclass(frozen=True, slots=True)
class KnownView:
    """A node in the address book. `group` is what is likely to be one operator's or one local network: "local", a
    domain, or the number of an address's prefix. `told_by` is the node that told of it first, empty for this node's
    owner or its own finding; whoever tells of a node was linked with it once. `reached_ms` is when a link to it came
    about last (Unix time), None for never; `failures` are those since."""

    node: bytes
    host: str
    port: int
    group: str
    told_by: bytes
    reached_ms: int | None
    failures: int


@dataclass(frozen=True, slots=True)
class SparingView:
    """How a node spares data. `metered` is None where nothing tells; `next_look_ms` (Unix time) is when a node that is
    `asleep` makes links again. Of `limit` bytes a day, 0 for any number, `used` are used; `state` is "plenty", "near"
    or "spent"."""

    metered: bool | None
    asleep: bool
    next_look_ms: int | None
    used: int
    limit: int
    state: str


@dataclass(frozen=True, slots=True)
class MeshView:
    """This node in the mesh. `port` is where it listens, 0 for nowhere; `known` counts the addresses in its book, of
    which `others` are those known best, linked ones too. `bytes_in` and `bytes_out` are those of all links since the
    start. `sync` is there while blocks are fetched and a peer named more than there are here. `region` is that of this
    node's own validator, "" without one.

    `unreachable`: nobody from outside has called it, as far as it knows; others reach it through `relays`. `circuits`
    are those that it makes for others now, None where it makes none; `relayed` is what they carried since the start.
    """

    node: bytes
    port: int
    hosts: tuple[str, ...]  # of this device, where others may reach it
    known: int
    syncing: bool
    peers: tuple[PeerView, ...]
    bans: tuple[BanView, ...]
    others: tuple[KnownView, ...]
    sync: SyncView | None
    bytes_in: int
    bytes_out: int
    region: str
    unreachable: bool = False
    relays: tuple[bytes, ...] = ()
    circuits: int | None = None
    relayed: int = 0
    sparing: SparingView | None = None  # None for a node that need not spare


@dataclass(frozen=True, slots=True)
class FindingView:
    """One thing that was looked at. `state` is "ok", "note" (works, could be better) or "problem"; `advice` says what
    to do, "" where there is nothing."""

    name: str
    state: str
    detail: str
    advice: str


@dataclass(frozen=True, slots=True)
class InvitationView:
    """An invitation as text, with everything, and in the short form for a QR code."""

    uri: str
    compact: str


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
    """Something happened. `topic` is "block", "transaction", "balance", "alert", "dag" or "mesh".

    block: `block`; transaction: `txid` and `text` = its new status; balance: `address` and `units` = balance now;
    alert: `alert`, or None and `text` = its code where one is over; dag: a block came into the DAG (`block_id`), or the
    chain or its finality moved (None); mesh: links or bans are others now (several changes are told together).
    `missed` counts events dropped before this one because the reader was slow: then read afresh.
    """

    topic: str
    block: BlockSummary | None = None
    txid: bytes | None = None
    address: bytes | None = None
    units: int | None = None
    text: str = ""
    alert: Alert | None = None
    block_id: bytes | None = None
    missed: int = 0
