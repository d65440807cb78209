"""One simulated node's talk with its peers: the mesh's machine, and what it wants done, in virtual time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from node.consensus import history
from node.consensus.blocks import Block, BlockError
from node.consensus.dagblocks import Progress
from node.consensus.votes import Vote, VoteError
from node.encoding.canonical import EncodingError
from node.gossip.host import EngineHost, Refusal
from node.ledger.types import SignedTransaction, TransactionError
from node.mesh.protocol.effects import Close, GiveBlocks, Judge, Send, TellHistory
from node.mesh.protocol.hello import RELAY, Hello
from node.mesh.protocol.machine import Machine
from node.mesh.protocol.messages import BLOCK, VOTE, AnyMessage, Inventory, NewBlock
from node.mesh.protocol.requests import NEVER

if TYPE_CHECKING:
    from node.lab.node import Node
    from node.lab.wires import Link


class Talk:
    """Lives as long as the node's memory."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._network = node.network
        self._agenda = node.network.agenda
        self.host = EngineHost(node.engine, node.pool, node.network.reading, lambda: self._agenda.now)
        self.machine = Machine(self.host)
        self._links: dict[int, Link] = {}  # by number
        self._wakes = NEVER
        self._is_busy = False
        self._offered: dict[bytes, Block] = {}  # not in the engine, but told of

    @property
    def now(self) -> int:
        """Virtual milliseconds: a clock that never goes back."""
        return self._agenda.now

    # -- links ----------------------------------------------------------------------------------------------------

    def hello(self) -> Hello:
        """The node's greeting."""
        node = self._node
        clock = self._network.time_ms + node.skew_ms
        return self.host.hello(services=RELAY, port=0, clock_ms=clock, nonce=node.index.to_bytes(16))

    def connected(self, link: Link, hello: Hello, inbound: bool) -> None:
        """A link is up."""
        self._links[link.number] = link
        self.machine.connected(link.number, hello, inbound, self.now)
        self.go_on()

    def disconnected(self, link: Link) -> None:
        """A link is gone."""
        self._links.pop(link.number, None)
        self.machine.disconnected(link.number, self.now)
        self.go_on()

    def take(self, link: Link, message: AnyMessage) -> None:
        """A message came."""
        self.machine.take(link.number, message, self.now)
        self.go_on()

    def say(self, neighbours: Iterable[int], message: AnyMessage) -> None:
        """Send the same to some neighbours, within the rates."""
        for neighbour in neighbours:
            if (link := self._network.wires.link(self._node.index, neighbour)) is not None:
                self.machine.say(link.number, message, self.now)
        self.go_on()

    def _tick(self, when: int) -> None:
        if when == self._wakes and self._node.talk is self and self._node.is_up:
            self._wakes = NEVER
            self.machine.tick(when)
            self.go_on()

    def go_on(self) -> None:
        """Do what the machine wants, and let it be waked when it is due."""
        machine = self.machine
        if not self._is_busy:
            self._is_busy = True
            while effects := machine.take_effects():
                for effect in effects:
                    self._do(effect)
            self._is_busy = False
        due = machine.due_ms
        if due < self._wakes:
            self._wakes = max(due, self.now)
            self._agenda.at(self._wakes, self._tick, self._wakes)

    def _do(self, effect: object) -> None:
        node = self._node
        match effect:
            case Send(peer, message):
                link = self._links[peer]
                if node.behaviour.lets(node, link, message):
                    self._network.wires.send(link, node.index, message)
            case Judge():
                self._network.measures.judged[effect.kind] += 1
                self._judge(effect)
            case GiveBlocks(peer, names):
                node.behaviour.give(node, peer, names)
            case TellHistory(peer, locator, limit):
                page, more = history.after(node.engine, locator, limit)
                self.machine.tell_history(peer, tuple(block.id for block in page), more, self.now)
            case Close():
                self._network.hang_up(node, self._links.pop(effect.peer), effect)

    # -- judging --------------------------------------------------------------------------------------------------

    def _judge(self, effect: Judge) -> None:
        node, host, refusal = self._node, self.host, None
        host.judging.add(effect.name)
        try:
            if effect.kind == BLOCK:
                self._judge_block(effect)
            elif effect.kind == VOTE:
                host.useless(effect.name)  # unless it is told on, and kept
                node.take_vote(host.reading.vote(effect.parts[0]))
            else:
                node.take_transaction(host.reading.transaction(effect.parts[0]))
        except (BlockError, TransactionError, VoteError, EncodingError) as error:
            if isinstance(error, BlockError) and error.code == "early":
                begins = node.engine.slots.begins_ms(host.reading.header(effect.parts[0])[1].slot) - node.skew_ms
                self._agenda.at(self._network.moment(begins), self._judge_again, effect)
                return
            refusal = error
        host.judging.discard(effect.name)
        if refusal is not None:
            self._refuse(effect, refusal)
        self.machine.judged(effect.peer, self.now)

    def _judge_again(self, effect: Judge) -> None:
        if self._node.talk is self and self._node.is_up:
            self._judge(effect)
            self.go_on()

    def _judge_block(self, effect: Judge) -> None:
        block = self.host.reading.block(*effect.parts)
        progress = self._node.take_block(block)
        if progress.missing:
            self.host.judging.discard(effect.name)
            self.machine.lacking(effect.peer, progress.missing, self.now)
        for name, error in progress.rejected:
            if name == block.id:
                raise error

    def _refuse(self, effect: Judge, error: Refusal) -> None:
        if effect.kind == BLOCK:
            self._network.refused_block(self._node, getattr(error, "code", "bad_vote"))
        self.host.refused(self.machine, effect, error)

    # -- telling --------------------------------------------------------------------------------------------------

    def tell(self, progress: Progress) -> None:
        """Tell everybody of a step."""
        self.host.tell_step(self.machine, progress, self._node.slot)
        self.go_on()

    def tell_transaction(self, transaction: SignedTransaction) -> None:
        """Tell everybody of a transaction that waits now."""
        self.host.tell_transaction(self.machine, transaction)
        self.go_on()

    def give(self, peer: int, names: Iterable[bytes]) -> None:
        """Give a peer the blocks that it asked for."""
        body, absent = self._network.reading.body, []
        for name in names:
            block = self._node.disk.blocks.get(name) or self._offered.get(name)
            if block is None:
                absent.append(name)
            else:
                self.machine.give_block(peer, block.header_bytes, body(block), self.now)
        if absent:
            self.machine.absent(peer, tuple(absent), self.now)

    # -- what only attackers do -----------------------------------------------------------------------------------

    def offer_block(self, block: Block, neighbours: Iterable[int]) -> None:
        """Announce a block that the own engine need not know to some neighbours."""
        self._offered[block.id] = block
        self.say(neighbours, NewBlock(block.header_bytes))

    def offer_vote(self, vote: Vote, neighbours: Iterable[int]) -> None:
        """Announce a vote to some neighbours."""
        self.host.hold_vote(vote)
        self.say(neighbours, Inventory(VOTE, (vote.id,)))
