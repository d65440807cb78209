"""Joins the mesh's state machine to the node: what peers say is judged one thing after another, and what the node took
or made is told on (protocol section 10).

It is the machine's host. Links are somebody else's: they call `connected`, `received` and `disconnected`, and carry out
what `carry` is given.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable

from node.api.errors import NexusError
from node.consensus import history
from node.consensus.blocks import Block, BlockError, Header, header_id
from node.consensus.dagblocks import Progress
from node.consensus.votes import Vote, VoteError
from node.encoding.canonical import EncodingError, decode
from node.encoding.hashing import tagged_hash
from node.ledger.genesis import RULE_VERSION
from node.ledger.types import SignedTransaction, TransactionError
from node.mesh.protocol.effects import Close, GiveBlocks, Heard, Judge, Send, TellHistory
from node.mesh.protocol.hello import MAX_TIPS, PROTOCOL, Hello
from node.mesh.protocol.limits import MAX_SERVED
from node.mesh.protocol.machine import Machine
from node.mesh.protocol.messages import BLOCK, TRANSACTION, VOTE, AnyMessage, WireError
from node.service.node import Node

_log = logging.getLogger("nexus.mesh")

_FRESH_SLOTS = 30
"""Blocks older than that were made while this node, or whoever tells of them, was away."""
_SEEN_MS = 60_000
"""A transaction or vote that was of no use is not asked for again so soon."""
_MAX_REMEMBERED = 20_000
_MAX_VOTE = 512
_MAX_HEADER = 1_024
_EARLY_SLACK_MS = 5
_HELD_UP_S = 1.0
# Of these an honest node may be the messenger: clocks differ, and what one knows of the past decides.
_HARMLESS = {"early", "future_slot", "third_twin", "unknown_creator", "unknown_tables"}
# These show in a transaction's bytes alone.
_HOSTILE_TRANSACTION = {"bad_amount", "bad_encoding", "bad_form", "bad_memo", "bad_recipient", "bad_signature"}
_HOSTILE_TRANSACTION |= {"other_network", "unknown_kind", "unknown_scheme"}


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


class Gossip:
    """See the module. `now_ms` is a clock that never goes back; `carry` is given messages to send and links to end."""

    def __init__(
        self,
        node: Node,
        nonce: bytes,
        now_ms: Callable[[], int],
        carry: Callable[[Send | Heard | Close], None],
        room: Callable[[int], Awaitable[None]],
    ) -> None:
        """`room` waits until a peer's link can take another block."""
        self.machine = Machine(self)
        self.port = 0
        """Where this node can be reached, for its greeting."""
        self.services = 0
        self._node = node
        self._nonce = nonce
        self._now_ms = now_ms
        self._carry = carry
        self._room = room
        self._seen = Remembered()
        self._wids: OrderedDict[bytes, bytes] = OrderedDict()  # wid → txid of what waits
        self._votes: OrderedDict[bytes, bytes] = OrderedDict()  # id → encoded
        self._judging: set[bytes] = set()
        self._to_judge: deque[Judge] = deque()
        self._owed: dict[int, deque[bytes]] = {}  # blocks that peers wait for
        self._giving: dict[int, asyncio.Task[None]] = {}
        self._work = asyncio.Event()
        self._timing = asyncio.Event()
        self._later: set[asyncio.TimerHandle] = set()
        node.step_taken = self._tell_step
        node.admitted = self._tell_transaction
        for transaction in node.mempool.transactions():
            self._hold(transaction)
        for votes in node.engine.ballots.links.values():
            for vote in votes.values():
                self._hold_vote(vote)

    # -- links ----------------------------------------------------------------------------------------------------

    def hello(self) -> Hello:
        """This node's greeting."""
        engine = self._node.engine
        final = engine.final
        return Hello(
            protocol=PROTOCOL,
            rules=RULE_VERSION,
            genesis=engine.genesis_hash,
            services=self.services,
            port=self.port,
            clock_ms=self._node.clock_ms(),
            nonce=self._nonce,
            tips=tuple(name for name, _ in self.tips())[:MAX_TIPS],
            score=engine.chain.tip.coloured.score,
            final=final.number,
            final_hash=final.hash,
            agent="nexus",
        )

    def connected(self, peer: int, hello: Hello, inbound: bool) -> None:
        """A link is up, and the peer's greeting was found good."""
        self.machine.connected(peer, hello, inbound, self._now_ms())
        self._do()

    def disconnected(self, peer: int) -> None:
        """A link is gone."""
        self._owed.pop(peer, None)
        if (giving := self._giving.get(peer)) is not None:
            giving.cancel()
        self.machine.disconnected(peer, self._now_ms())
        self._do()

    def received(self, peer: int, kind: int, body: bytes) -> None:
        """A frame came."""
        self.machine.received(peer, kind, body, self._now_ms())
        self._do()

    def say(self, peer: int, message: AnyMessage) -> None:
        """Send what the owner of the links has to say."""
        self.machine.say(peer, message, self._now_ms())
        self._do()

    async def run(self) -> None:
        """Judge, serve and keep the time until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._judge_all(), name="mesh-judge")
                tasks.create_task(self._keep_time(), name="mesh-time")
        finally:
            for timer in self._later:
                timer.cancel()
            for giving in self._giving.values():
                giving.cancel()

    async def _keep_time(self) -> None:
        while True:
            self._timing.clear()
            now = self._now_ms()
            wait = self.machine.next_ms(now) - now
            if wait > 0:
                try:
                    async with asyncio.timeout(wait / 1000):
                        await self._timing.wait()
                except TimeoutError:
                    pass
                else:
                    continue
            self.machine.tick(self._now_ms())
            self._do()

    def _do(self) -> None:
        """Carry out what the machine wants."""
        machine = self.machine
        while effects := machine.take_effects():
            for effect in effects:
                match effect:
                    case Judge():
                        self._judging.add(effect.name)
                        self._to_judge.append(effect)
                        self._work.set()
                    case GiveBlocks(peer, names):
                        self._owe(peer, names)
                    case TellHistory(peer, locator, limit):
                        page, more = history.after(self._node.engine, locator, limit)
                        names = tuple(block.id for block in page)
                        machine.tell_history(peer, names, more, self._now_ms())
                    case _:
                        self._carry(effect)
        self._timing.set()

    # -- host of the machine --------------------------------------------------------------------------------------

    def has(self, kind: int, name: bytes) -> bool:
        """See Host."""
        if name in self._judging:
            return True
        if kind == BLOCK:
            return self._node.engine.heard_of(name)
        kept = self._wids if kind == TRANSACTION else self._votes
        return name in kept or self._seen.has(name, self._now_ms())

    def name_of(self, kind: int, head: bytes) -> bytes:
        """See Host."""
        if kind == BLOCK:
            if len(head) > _MAX_HEADER:
                raise WireError("bad_header", "A header is longer than any can be.")
            try:
                Header.decode(head)
            except BlockError as error:
                raise WireError(error.code, str(error)) from None
            return header_id(head)
        return tagged_hash(b"nexus/wid" if kind == TRANSACTION else b"nexus/vote/id", head)

    def give(self, kind: int, name: bytes) -> bytes | None:
        """See Host."""
        if kind == VOTE:
            return self._votes.get(name)
        txid = self._wids.get(name)
        waiting = None if txid is None else self._node.mempool.get(txid)
        return waiting.raw if waiting is not None and waiting.wid == name else None

    def held(self, kind: int) -> list[tuple[bytes, int]]:
        """See Host."""
        if kind == VOTE:
            return [(name, 0) for name in self._votes]
        mempool = self._node.mempool
        waiting = ((name, mempool.get(txid)) for name, txid in self._wids.items())
        return [(name, item.body.tip) for name, item in waiting if item is not None and item.wid == name]

    def locator(self) -> tuple[bytes, ...]:
        """See Host."""
        return history.locator(self._node.engine)

    def tips(self) -> tuple[tuple[bytes, bytes], ...]:
        """See Host."""
        engine = self._node.engine
        tip = engine.chain.tip
        blocks = [engine.by_index[index] for index in engine.dag.tips()]
        blocks.sort(key=lambda block: (block is tip, block.slot, block.id), reverse=True)
        return tuple((block.id, block.header_bytes) for block in blocks if block.header is not None)

    # -- judging --------------------------------------------------------------------------------------------------

    async def _judge_all(self) -> None:
        while True:
            while self._to_judge:
                effect = self._to_judge.popleft()
                await self._judge(effect)
                self._do()
            self._work.clear()
            await self._work.wait()

    async def _judge(self, effect: Judge) -> None:
        code, hostile, lost = "", False, False
        try:
            if effect.kind == BLOCK:
                await self._judge_block(effect)
            elif effect.kind == VOTE:
                await self._judge_vote(effect)
            else:
                await self._judge_transaction(effect)
        except (BlockError, TransactionError) as error:
            code = error.code
            if code == "early":
                self._judge_later(effect)
                return
            hostile = code not in _HARMLESS if effect.kind == BLOCK else code in _HOSTILE_TRANSACTION
        except (VoteError, EncodingError) as error:
            code, hostile = "bad_vote", True
            _log.debug("a vote was refused: %s", error)
        except NexusError as error:
            # The disk is full, say: nothing is wrong with the thing, and it comes again.
            _log.warning("nothing more is taken from peers now: %s", error.message)
            lost = effect.kind == BLOCK
            await asyncio.sleep(_HELD_UP_S)
        self._judging.discard(effect.name)
        now = self._now_ms()
        if code:
            if effect.kind != BLOCK:
                self._seen.add(effect.name, now + _SEEN_MS)
            self.machine.refused(effect.peer, code, hostile=hostile, now_ms=now)
        self.machine.judged(effect.peer, now, lost=lost)

    async def _judge_block(self, effect: Judge) -> None:
        header, body = effect.parts
        block = Block.decode(header, body, self._node.genesis.parameters.max_body_bytes)
        progress = await self._node.receive(block)
        if progress.missing:
            self._judging.discard(effect.name)
            self.machine.lacking(effect.peer, progress.missing, self._now_ms())
        for name, error in progress.rejected:
            if name == block.id:
                raise error

    async def _judge_vote(self, effect: Judge) -> None:
        self._seen.add(effect.name, self._now_ms() + _SEEN_MS)
        await self._node.receive_vote(Vote.from_value(decode(effect.parts[0], _MAX_VOTE)))

    async def _judge_transaction(self, effect: Judge) -> None:
        transaction = SignedTransaction.from_raw(effect.parts[0])
        await self._node.receive_transaction(transaction)

    def _judge_later(self, effect: Judge) -> None:
        """A block came before its slot: it is judged when that begins."""
        slots = self._node.engine.slots
        begins = slots.begins_ms(Header.decode(effect.parts[0]).slot)

        def again() -> None:
            self._later.discard(timer)
            self._to_judge.append(effect)
            self._work.set()

        wait = max(0, begins - self._node.clock_ms()) + _EARLY_SLACK_MS
        timer = asyncio.get_running_loop().call_later(wait / 1000, again)
        self._later.add(timer)

    # -- telling --------------------------------------------------------------------------------------------------

    def _tell_step(self, progress: Progress) -> None:
        now, slot = self._now_ms(), self._node.engine.slots.slot_at(self._node.clock_ms())
        for block in progress.added:
            fresh = block.slot + _FRESH_SLOTS >= slot
            self.machine.accepted(BLOCK, block.id, 0, block.header_bytes, fresh=fresh, now_ms=now)
        for vote in progress.votes:
            self._hold_vote(vote)
            self.machine.accepted(VOTE, vote.id, now_ms=now)
        self._do()

    def _tell_transaction(self, transaction: SignedTransaction) -> None:
        self._hold(transaction)
        self.machine.accepted(TRANSACTION, transaction.wid, transaction.body.tip, now_ms=self._now_ms())
        self._do()

    def _hold(self, transaction: SignedTransaction) -> None:
        self._wids[transaction.wid] = transaction.txid
        if len(self._wids) > 2 * _MAX_REMEMBERED:
            self._wids.popitem(last=False)

    def _hold_vote(self, vote: Vote) -> None:
        self._votes[vote.id] = vote.encoded()
        if len(self._votes) > _MAX_REMEMBERED:
            self._votes.popitem(last=False)

    # -- giving ---------------------------------------------------------------------------------------------------

    def _owe(self, peer: int, names: tuple[bytes, ...]) -> None:
        """Put blocks that a peer asks for on its list; what is too much at a time is called absent."""
        owed = self._owed.setdefault(peer, deque())
        free = MAX_SERVED - len(owed)
        owed.extend(names[:free])
        if names[free:]:
            self.machine.absent(peer, names[free:], self._now_ms())
        if peer not in self._giving:
            self._giving[peer] = task = asyncio.create_task(self._give_all(peer, owed), name="mesh-give")
            task.add_done_callback(lambda task: self._given(peer, task))

    def _given(self, peer: int, task: asyncio.Task[None]) -> None:
        del self._giving[peer]
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a peer's blocks could not be read", exc_info=error)

    async def _give_all(self, peer: int, owed: deque[bytes]) -> None:
        """One after the other, so that a slow peer only makes itself wait."""
        while owed:
            name = owed[0]
            known = self._node.engine.blocks.get(name)
            if known is not None and known.block is not None:
                found: tuple[bytes, bytes] | None = known.header_bytes, known.block.body()
            else:
                found = await self._node.whole_block(name)
            await self._room(peer)
            owed.popleft()
            if found is None:
                self.machine.absent(peer, (name,), self._now_ms())
            else:
                self.machine.give_block(peer, *found, self._now_ms())
            self._do()
