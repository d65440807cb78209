"""Answers what the mesh's machine asks of its node, from an engine and a mempool (protocol section 10).

It moves no bytes and judges nothing: whoever owns engine and mempool does, and says here what came of it. So the node
of a profile and the nodes of a simulation tell and ask alike.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from node.consensus import history
from node.consensus.blocks import Block, BlockError, Header, header_id
from node.consensus.dagblocks import Progress
from node.consensus.engine import Engine
from node.consensus.votes import Vote, VoteError
from node.encoding.canonical import EncodingError, decode
from node.encoding.hashing import tagged_hash
from node.ledger.genesis import RULE_VERSION
from node.ledger.types import SignedTransaction, TransactionError
from node.mempool.pool import Mempool
from node.mesh.protocol.effects import Judge
from node.mesh.protocol.hello import MAX_TIPS, PROTOCOL, Hello
from node.mesh.protocol.machine import Machine
from node.mesh.protocol.messages import BLOCK, TRANSACTION, VOTE, WireError
from node.mesh.protocol.peer import Known

FRESH_SLOTS = 30
"""Blocks older than that were made while this node, or whoever tells of them, was away."""
_SEEN_MS = 60_000
"""A transaction or vote that was of no use is not asked for again so soon."""
_MAX_REMEMBERED = 20_000
_MAX_RECENT = 1 << 20
"""Bytes of transactions told of last. Who is asked for one that is in a block since then still gives it."""
_MAX_HEADERS = 256
_MAX_VOTE = 512
_MAX_HEADER = 1_024
# Of these an honest node may be the messenger: clocks differ, and what one knows of the past decides.
_HARMLESS = {"early", "future_slot", "third_twin", "unknown_creator", "unknown_tables"}
# These show in a transaction's bytes alone.
_HOSTILE_TRANSACTION = {"bad_amount", "bad_encoding", "bad_form", "bad_memo", "bad_recipient", "bad_signature"}
_HOSTILE_TRANSACTION |= {"other_network", "unknown_kind", "unknown_scheme"}

Refusal = BlockError | TransactionError | VoteError | EncodingError
"""How things show themselves bad, as they are decoded or judged."""


class Remembered:
    """Names of things that were looked at, each for a while; the oldest are forgotten first."""

    def __init__(self) -> None:
        self._until: OrderedDict[bytes, int] = OrderedDict()

    def add(self, name: bytes, until_ms: int) -> None:
        """Remember a name until a time."""
        self._until[name] = until_ms
        self._until.move_to_end(name)
        if len(self._until) > _MAX_REMEMBERED:
            self._until.popitem(last=False)

    def has(self, name: bytes, now_ms: int) -> bool:
        """Whether it is remembered."""
        return self._until.get(name, now_ms) > now_ms


class Reading:
    """Decodes what comes. Headers are read once, though each comes alone first and with its block then."""

    def __init__(self, max_body: int, max_headers: int = _MAX_HEADERS) -> None:
        self._max_body = max_body
        self._max_headers = max_headers
        self._headers: OrderedDict[bytes, tuple[bytes, Header]] = OrderedDict()

    def header(self, encoded: bytes) -> tuple[bytes, Header]:
        """Id and header. Raises BlockError."""
        found = self._headers.get(encoded)
        if found is None:
            found = self._headers[encoded] = header_id(encoded), Header.decode(encoded)
            if len(self._headers) > self._max_headers:
                self._headers.popitem(last=False)
        return found

    def name(self, kind: int, encoded: bytes) -> bytes:
        """The id of an encoded transaction or vote, or of the block with this encoded header. Raises WireError."""
        if kind != BLOCK:
            return tagged_hash(b"nexus/wid" if kind == TRANSACTION else b"nexus/vote/id", encoded)
        if len(encoded) > _MAX_HEADER:
            raise WireError("bad_header", "A header is longer than any can be.")
        try:
            return self.header(encoded)[0]
        except BlockError as error:
            raise WireError(error.code, str(error)) from None

    def block(self, header: bytes, body: bytes) -> Block:
        """Raises BlockError or TransactionError."""
        return Block.decode(header, body, self._max_body, self.header(header)[1])

    def vote(self, encoded: bytes) -> Vote:
        """Raises VoteError or EncodingError."""
        return Vote.from_value(decode(encoded, _MAX_VOTE))

    def transaction(self, encoded: bytes) -> SignedTransaction:
        """Raises TransactionError."""
        return SignedTransaction.from_raw(encoded)


class EngineHost:
    """See the module. `now_ms` is a clock that never goes back."""

    def __init__(self, engine: Engine, mempool: Mempool, reading: Reading, now_ms: Callable[[], int]) -> None:
        self.reading = reading
        self.judging: set[bytes] = set()
        """Names of what came and is not judged yet."""
        self.given = Known()
        """Transactions and votes that a peer asked for and got."""
        self._engine = engine
        self._mempool = mempool
        self._now_ms = now_ms
        self._seen = Remembered()
        self._wids: OrderedDict[bytes, tuple[bytes, int]] = OrderedDict()  # of what waits → txid, urgency
        self._recent: OrderedDict[bytes, bytes] = OrderedDict()  # wid → encoded, though it may be in a block by now
        self._recent_bytes = 0
        self._votes: OrderedDict[bytes, bytes] = OrderedDict()  # id → encoded
        for transaction in mempool.transactions():
            self.hold(transaction)
        for votes in engine.ballots.links.values():
            for vote in votes.values():
                self.hold_vote(vote)

    def hello(self, *, services: int, port: int, clock_ms: int, nonce: bytes) -> Hello:
        """The node's greeting."""
        engine = self._engine
        final = engine.final
        return Hello(
            protocol=PROTOCOL,
            rules=RULE_VERSION,
            genesis=engine.genesis_hash,
            services=services,
            port=port,
            clock_ms=clock_ms,
            nonce=nonce,
            tips=tuple(name for name, _ in self.tips())[:MAX_TIPS],
            score=engine.chain.tip.coloured.score,
            final=final.number,
            final_hash=final.hash,
            agent="nexus",
        )

    # -- what the machine asks (see effects.Host) -----------------------------------------------------------------

    def has(self, kind: int, name: bytes) -> bool:
        """See Host."""
        if name in self.judging:
            return True
        if kind == BLOCK:
            return self._engine.heard_of(name)
        kept = self._wids if kind == TRANSACTION else self._votes
        return name in kept or self._seen.has(name, self._now_ms())

    def missing(self, block: bytes) -> list[bytes]:
        """See Host."""
        return self._engine.missing(block)

    def name_of(self, kind: int, head: bytes) -> bytes:
        """See Host."""
        return self.reading.name(kind, head)

    def give(self, kind: int, name: bytes) -> bytes | None:
        """See Host."""
        self.given.add(name)
        if kind == VOTE:
            return self._votes.get(name)
        waiting = self._waiting(name)
        return self._recent.get(name) if waiting is None else waiting.raw

    def _waiting(self, wid: bytes) -> SignedTransaction | None:
        txid, _ = self._wids.get(wid, (b"", 0))
        found = self._mempool.get(txid)
        return found if found is not None and found.wid == wid else None

    def held(self, kind: int) -> list[tuple[bytes, int]]:
        """See Host."""
        if kind == VOTE:
            return [(name, 0) for name in self._votes]
        return [(name, urgency) for name, (_, urgency) in self._wids.items() if self._waiting(name) is not None]

    def locator(self) -> tuple[bytes, ...]:
        """See Host."""
        return history.locator(self._engine)

    def tips(self) -> tuple[tuple[bytes, bytes], ...]:
        """See Host."""
        engine = self._engine
        tip = engine.chain.tip
        blocks = [engine.by_index[index] for index in engine.dag.tips()]
        blocks.sort(key=lambda block: (block is tip, block.slot, block.id), reverse=True)
        return tuple((block.id, block.header_bytes) for block in blocks if block.header is not None)

    # -- what is new ----------------------------------------------------------------------------------------------

    def tell_step(self, machine: Machine, progress: Progress, slot: int) -> None:
        """The engine took a step in a slot: tell of its blocks and votes."""
        now = self._now_ms()
        for block in progress.added:
            fresh = block.slot + FRESH_SLOTS >= slot
            machine.accepted(BLOCK, block.id, 0, block.header_bytes, fresh=fresh, now_ms=now)
        for vote in progress.votes:
            self.hold_vote(vote)
            machine.accepted(VOTE, vote.id, now_ms=now)

    def tell_transaction(self, machine: Machine, transaction: SignedTransaction) -> None:
        """A transaction waits now: tell of it."""
        self.hold(transaction)
        urgency = self.hold(transaction)
        machine.accepted(TRANSACTION, transaction.wid, urgency, now_ms=self._now_ms())

    def hold(self, transaction: SignedTransaction) -> int:
        """A transaction may be given to others for as long as it waits. Returns how urgent it is."""
        urgency = self._mempool.urgency(transaction.txid)
        self._wids[transaction.wid] = transaction.txid, urgency
        if transaction.wid not in self._recent:
            self._recent[transaction.wid] = transaction.raw
            self._recent_bytes += len(transaction.raw)
        while self._recent_bytes > _MAX_RECENT:
            self._recent_bytes -= len(self._recent.popitem(last=False)[1])
        if len(self._wids) > 2 * _MAX_REMEMBERED:
            self._wids.popitem(last=False)
        return urgency

    def hold_vote(self, vote: Vote) -> None:
        """A vote may be given to others."""
        self._votes[vote.id] = vote.encoded()
        if len(self._votes) > _MAX_REMEMBERED:
            self._votes.popitem(last=False)

    # -- what came ------------------------------------------------------------------------------------------------

    def refused(self, machine: Machine, effect: Judge, error: Refusal) -> None:
        """Something that came was bad."""
        now = self._now_ms()
        if effect.kind == BLOCK:
            code = error.code if isinstance(error, BlockError | TransactionError) else "bad_vote"
            hostile = code not in _HARMLESS
        else:
            self.useless(effect.name)
            code = error.code if isinstance(error, TransactionError) else "bad_vote"
            hostile = effect.kind == VOTE or code in _HOSTILE_TRANSACTION
        machine.refused(effect.peer, code, hostile=hostile, now_ms=now)

    def useless(self, name: bytes) -> None:
        """A transaction or vote need not come again soon."""
        self._seen.add(name, self._now_ms() + _SEEN_MS)
