"""Joins the mesh's state machine to the node: what peers say is judged one thing after another, and what the node took
or made is told on (protocol section 10).

What the machine asks of its node `node.gossip` answers. Links are somebody else's: they call `connected`, `received`
and `disconnected`, and carry out what `carry` is given.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable

from node.api.errors import NexusError
from node.consensus import history
from node.consensus.blocks import BlockError
from node.consensus.dagblocks import Progress
from node.consensus.votes import VoteError
from node.encoding.canonical import EncodingError
from node.gossip.host import FRESH_SLOTS, EngineHost, Reading
from node.ledger.types import SignedTransaction, TransactionError
from node.mesh.protocol.effects import Close, GiveBlocks, Heard, Judge, Parted, Send, TellHistory
from node.mesh.protocol.hello import Hello
from node.mesh.protocol.limits import MAX_SERVED
from node.mesh.protocol.machine import Machine
from node.mesh.protocol.messages import BLOCK, VOTE, AnyMessage
from node.service.ahead import Ahead
from node.service.node import Node
from node.service.usefulness import Usefulness

_log = logging.getLogger("nexus.mesh")

_EARLY_SLACK_MS = 5
_HELD_UP_S = 1.0
_LONGEST_WAIT_MS = 60_000


class Gossip:
    """See the module. `now_ms` is a clock that never goes back; `carry` is given messages to send and links to end."""

    def __init__(
        self,
        node: Node,
        nonce: bytes,
        now_ms: Callable[[], int],
        carry: Callable[[Send | Heard | Close | Parted], None],
        room: Callable[[int], Awaitable[None]],
    ) -> None:
        """`room` waits until a peer's link can take another block."""
        self.host = EngineHost(node.engine, node.mempool, Reading(node.genesis.parameters.max_body_bytes), now_ms)
        self.machine = Machine(self.host)
        self.port = 0
        """Where this node can be reached, for its greeting."""
        self.services = 0
        self.usefulness = Usefulness()
        self._node = node
        self._nonce = nonce
        self._now_ms = now_ms
        self._carry = carry
        self._room = room
        self._to_judge: deque[Judge] = deque()
        self._ahead = Ahead()
        self._owed: dict[int, deque[bytes]] = {}  # blocks that peers wait for
        self._giving: dict[int, asyncio.Task[None]] = {}
        self._work = asyncio.Event()
        self._timing = asyncio.Event()
        self._wakes_ms = 0
        self._later: set[asyncio.TimerHandle] = set()
        node.step_taken = self._tell_step
        node.admitted = self._tell_transaction

    # -- links ----------------------------------------------------------------------------------------------------

    def hello(self) -> Hello:
        """This node's greeting."""
        return self.host.hello(
            services=self.services, port=self.port, clock_ms=self._node.clock_ms(), nonce=self._nonce
        )

    def connected(self, peer: int, hello: Hello, inbound: bool) -> None:
        """A link is up, and the peer's greeting was found good."""
        self.machine.connected(peer, hello, inbound, self._now_ms())
        self._do()

    def disconnected(self, peer: int) -> None:
        """A link is gone."""
        self._owed.pop(peer, None)
        self.usefulness.forget(peer)
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

    @property
    def busy(self) -> bool:
        """Whether something is fetched, judged, or owed to a peer."""
        machine = self.machine
        return machine.syncing or bool(self.host.judging or self._to_judge or self._giving or len(machine.requests))

    async def run(self) -> None:
        """Judge, serve and keep the time until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._judge_all(), name="mesh-judge")
                tasks.create_task(self._keep_time(), name="mesh-time")
        finally:
            self._ahead.close()
            for timer in self._later:
                timer.cancel()
            for giving in self._giving.values():
                giving.cancel()

    async def _keep_time(self) -> None:
        while True:
            self._timing.clear()
            self._wakes_ms = self.machine.due_ms
            wait = self._wakes_ms - self._now_ms()
            if wait > 0:
                try:
                    async with asyncio.timeout(min(wait, _LONGEST_WAIT_MS) / 1000):
                        await self._timing.wait()
                except TimeoutError:
                    pass
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
                        self.host.judging.add(effect.name)
                        self._to_judge.append(effect)
                        self._work.set()
                    case GiveBlocks(peer, names):
                        self._owe(peer, names)
                    case TellHistory(peer, locator, _) if not history.joins(self._node.engine, locator):
                        machine.tell_parted(peer, self._now_ms())
                    case TellHistory(peer, locator, limit):
                        page, more = history.after(self._node.engine, locator, limit)
                        names = tuple(block.id for block in page)
                        machine.tell_history(peer, names, more, self._now_ms())
                    case _:
                        self._carry(effect)
        if machine.due_ms < self._wakes_ms:
            self._timing.set()

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
        host, refusal, lost = self.host, None, False
        try:
            if effect.kind == BLOCK:
                await self._judge_block(effect)
            elif effect.kind == VOTE:
                host.useless(effect.name)  # unless it is told on, and kept
                await self._node.receive_vote(host.reading.vote(effect.parts[0]))
            else:
                await self._node.receive_transaction(host.reading.transaction(effect.parts[0]))
        except (BlockError, TransactionError, VoteError, EncodingError) as error:
            if isinstance(error, BlockError) and error.code == "early":
                self._judge_later(effect)
                return
            _log.debug("something from a peer was refused: %s", error)
            refusal = error
        except NexusError as error:
            # The disk is full, say: nothing is wrong with the thing, and it comes again.
            _log.warning("nothing more is taken from peers now: %s", error.message)
            lost = effect.kind == BLOCK
            await asyncio.sleep(_HELD_UP_S)
        host.judging.discard(effect.name)
        if refusal is not None:
            host.refused(self.machine, effect, refusal)
        self.machine.judged(effect.peer, self._now_ms(), lost=lost)

    async def _judge_block(self, effect: Judge) -> None:
        block = self.host.reading.block(*effect.parts)
        await self._ahead.check(self._node.engine, block, self._slot())
        progress = await self._node.receive(block)
        if progress.missing:
            self.host.judging.discard(effect.name)
            self.machine.lacking(effect.peer, progress.missing, self._now_ms())
        for name, error in progress.rejected:
            if name == block.id:
                raise error
        fresh = block.header.slot + FRESH_SLOTS >= self._slot()
        linked = effect.peer in self.machine.peers
        if fresh and linked and any(added.id == block.id for added in progress.added):
            self.usefulness.brought(effect.peer, block.header.region)

    def _judge_later(self, effect: Judge) -> None:
        """A block came before its slot: it is judged when that begins."""
        slots = self._node.engine.slots
        begins = slots.begins_ms(self.host.reading.header(effect.parts[0])[1].slot)

        def again() -> None:
            self._later.discard(timer)
            self._to_judge.append(effect)
            self._work.set()

        wait = max(0, begins - self._node.clock_ms()) + _EARLY_SLACK_MS
        timer = asyncio.get_running_loop().call_later(wait / 1000, again)
        self._later.add(timer)

    # -- telling --------------------------------------------------------------------------------------------------

    def _slot(self) -> int:
        return self._node.engine.slots.slot_at(self._node.clock_ms())

    def _tell_step(self, progress: Progress) -> None:
        self.host.tell_step(self.machine, progress, self._slot())
        self._do()

    def _tell_transaction(self, transaction: SignedTransaction) -> None:
        self.host.tell_transaction(self.machine, transaction)
        self._do()

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
