"""One simulated node: the real engine and mempool, a validator's duties, and what it keeps through a crash."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from node.consensus import duties
from node.consensus.blocks import Block, BlockError
from node.consensus.dagblocks import Accepted, Progress, Step, Undone
from node.consensus.finality import Target
from node.consensus.votes import Vote
from node.lab.behaviour import Behaviour
from node.lab.people import Operator, Person
from node.lab.talk import Talk
from node.ledger import staking
from node.ledger.types import SignedTransaction, TransactionError
from node.mempool.pool import Mempool

if TYPE_CHECKING:
    from node.lab.network import Network

_ACCUSE_WITHIN_MS = 10_000  # who proves an offence waits a little: perhaps another one has done so


class Disk:
    """What survives a crash: blocks, and the signing record."""

    def __init__(self) -> None:
        self.blocks: dict[bytes, Block] = {}  # parents before children
        self.slot = 0
        self.source = 0
        self.target = 0


class Node:
    """See the module. `operator` is None for a node that does not validate; `reporter` pays for evidence."""

    def __init__(
        self, network: Network, index: int, operator: Operator | None, reporter: Person | None, skew_ms: int
    ) -> None:
        self.network = network
        self.index = index
        self.operator = operator
        self.reporter = reporter
        self.skew_ms = skew_ms
        self.disk = Disk()
        self.behaviour = Behaviour()
        self.hidden: set[bytes] = set()  # own blocks and votes that not everybody is told of
        self.own: dict[bytes, int] = {}  # own payments that are not final: txid → height of their block, -1 for none
        self.final: list[Target] = []
        self.boot()

    def boot(self) -> None:
        """Start with an empty memory: read back what is on disk."""
        network = self.network
        self.engine = network.new_engine()
        self.pool = Mempool(network.genesis.parameters, self.engine.check)
        self.executed = 0  # transactions on the selected chain
        self._receipts: dict[int, tuple[Accepted, ...]] = {}  # of chain blocks that are not final, by height
        self._reported: set[tuple[bytes, int]] = set()  # offenders and kinds of which evidence was dealt with
        self.engine.awake_since = self.slot
        for txid in self.own:
            self.own[txid] = -1
        for block in self.disk.blocks.values():
            progress = self.engine.add(block, self.slot)
            self._count(progress.undone, progress.applied)
        self.talk = Talk(self)

    @property
    def identity(self) -> bytes:
        """The id of its validator."""
        assert self.operator is not None
        return self.operator.owner.address

    @property
    def is_up(self) -> bool:
        """Whether it runs."""
        return self.network.is_up[self.index]

    @property
    def slot(self) -> int:
        """The slot that runs by its own clock."""
        return self.network.slots.slot_at(self.network.time_ms + self.skew_ms)

    # -- what comes in ------------------------------------------------------------------------------------------

    def take_block(self, block: Block) -> Progress:
        """Judge a block. Raises BlockError or TransactionError where it is refused, or early."""
        try:
            progress = self.engine.add(block, self.slot)
        except (BlockError, TransactionError):
            self._report()
            raise
        self._follow(progress)
        return progress

    def take_vote(self, vote: Vote) -> None:
        """Count a vote, and tell it on if it is new and good."""
        self._follow(self.engine.add_vote(vote))

    def take_transaction(self, transaction: SignedTransaction) -> None:
        """Admit a transaction and tell it on. Raises TransactionError."""
        self.pool.admit(transaction, self.engine.state, self.slot)
        self.behaviour.tell_transaction(self, transaction)

    # -- what follows -------------------------------------------------------------------------------------------

    def _follow(self, progress: Progress) -> None:
        network = self.network
        for added in progress.added:
            assert added.block is not None
            self.disk.blocks[added.id] = added.block
            network.reached(self, added.id)
        if progress.added or progress.votes:
            self.behaviour.tell(self, self._shown(progress))
        if progress.undone or progress.applied:
            self._move(progress.undone, progress.applied)
        if progress.final is not None:
            self._finish(progress.final)
        self._report()
        if self.operator is not None and (progress.applied or progress.votes):
            self.behaviour.vote(self)

    def _shown(self, progress: Progress) -> Progress:
        """A step without what is hidden."""
        if not self.hidden:
            return progress
        shown = Progress()
        shown.added = [block for block in progress.added if block.id not in self.hidden]
        shown.votes = [vote for vote in progress.votes if vote.id not in self.hidden]
        return shown

    def _move(self, undone: list[Undone], applied: list[Step]) -> None:
        """The selected chain moved: the mempool and what this node's payers wait for move with it."""
        taken_back = self._count(undone, applied)
        state = self.engine.state
        executed: set[bytes] = set()
        for step in applied:
            self.pool.settle(tuple(accepted.receipt for accepted in step.receipts), state)
            executed.update(accepted.receipt.transaction.txid for accepted in step.receipts)
            for receipt, _ in step.skipped:
                if receipt.reason != "nonce_ahead":
                    self.pool.drop(receipt.transaction.txid)
        if undone:
            back = [accepted.receipt.transaction for accepted in taken_back]
            self.pool.readmit((item for item in back if item.txid not in executed), state, self.slot)
            self.network.reorganised(self, len(undone))

    def _count(self, undone: list[Undone], applied: list[Step]) -> list[Accepted]:
        """Keep account of what the chain has executed; returns what it took back."""
        own, taken_back = self.own, list[Accepted]()
        for gone in reversed(undone):
            for accepted in self._receipts.pop(gone.height):
                self.executed -= 1
                taken_back.append(accepted)
                if accepted.receipt.transaction.txid in own:
                    own[accepted.receipt.transaction.txid] = -1
        for step in applied:
            self.executed += len(step.receipts)
            self._receipts[step.height] = step.receipts
            for accepted in step.receipts:
                txid = accepted.receipt.transaction.txid
                if txid in own:
                    own[txid] = step.height
                    self.network.included(txid)
        return taken_back

    def _finish(self, final: Target) -> None:
        self.final.append(final)
        self._receipts = {height: kept for height, kept in self._receipts.items() if height > final.height}
        done = [txid for txid, height in self.own.items() if 0 <= height <= final.height]
        for txid in done:
            del self.own[txid]
        self.network.finalised(self, final, done)

    def _report(self) -> None:
        """Accuse of what the engine has seen, each offender once of each kind."""
        for evidence in self.engine.evidence if self.reporter is not None else ():
            name = evidence.validator, evidence.kind
            if name not in self._reported:
                self._reported.add(name)
                self._accuse_soon(evidence.kind, evidence.validator, evidence.proof)

    def _accuse_soon(self, kind: int, offender: bytes, proof: tuple[bytes, ...]) -> None:
        delay = self.network.random.randrange(_ACCUSE_WITHIN_MS)
        self.network.agenda.after(delay, self._accuse, kind, offender, proof)

    def _accuse(self, kind: int, offender: bytes, proof: tuple[bytes, ...]) -> None:
        """Send evidence, unless the offender was punished meanwhile or somebody's evidence waits already."""
        if not self.is_up or staking.tombstoned_at(self.engine.state, offender):
            return
        known = self.network.evidence.setdefault(offender, [])
        if any(txid in self.pool for txid in known):
            return
        assert self.reporter is not None
        nonce = self.pool.next_nonce(self.engine.state, self.reporter.address)
        evidence = self.reporter.accuse(self.network.genesis.hash, nonce, kind, proof)
        known.append(evidence.txid)
        self.network.submit(self.index, evidence)

    # -- duties -------------------------------------------------------------------------------------------------

    def begin_slot(self, slot: int) -> None:
        """A slot begins by this node's clock: its leader makes a block if the network wants one."""
        seat = duties.seat_of(self.engine, self.identity, slot)
        if seat is not None and slot > self.disk.slot:
            self.behaviour.lead(self, slot, seat)

    def wants_block(self, slot: int) -> bool:
        """Whether an honest leader of the slot makes a block."""
        return duties.wants_block(self.engine, slot, self.pool.has_candidates(self.engine.state))

    def make_block(self, slot: int, transactions: bool = True) -> Block:
        """The block of a slot that this validator leads: on record, signed, and not yet told anybody."""
        self.disk.slot = max(self.disk.slot, slot)
        return self.network.forge(self.engine, self, slot, self.candidates(slot) if transactions else ())

    def candidates(self, slot: int) -> Iterator[SignedTransaction]:
        """What its block may carry."""
        choice = duties.choice(self.engine, self.identity, slot)
        return self.pool.candidates(self.engine.state, choice.colour, choice.carried, choice.others_since)

    def publish(self, block: Block) -> None:
        """Take a block oneself and tell it to everybody."""
        try:
            self.take_block(block)
        except (BlockError, TransactionError) as error:
            self.network.refused_block(self, error.code)

    def cast_vote(self) -> None:
        """Vote as an honest validator does, if there is something to vote for."""
        target = duties.target_to_vote(self.engine, self.disk.source, self.disk.target)
        if target is None:
            return
        vote = self.sign_vote(target)
        self.disk.source, self.disk.target = target.source.number, target.number
        if vote is not None:
            self.send_vote(vote)

    def sign_vote(self, target: Target) -> Vote | None:
        """A vote for a checkpoint, from the source that its own past names."""
        assert self.operator is not None
        return duties.make_vote(self.engine, self.identity, target, self.operator.consensus.sign_digest)

    def send_vote(self, vote: Vote, to: Iterable[int] | None = None) -> None:
        """Count an own vote and tell it to neighbours, all of them unless `to` names some nodes."""
        if to is not None:
            self.hidden.add(vote.id)
            self.talk.offer_vote(vote, to)
        self.take_vote(vote)
