"""The engine: from blocks and votes in any order to one state (protocol sections 4 and 5).

It judges blocks in stages, from cheap to dear, colours them, keeps what comes too early, chooses the tip, and moves the
state there. Synchronous and without I/O: every call returns a `Progress` of what changed. A block whose state is wrong
is *disqualified*, not invalid: it is coloured and merged, but no selected chain passes through it.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence

from node.consensus.ballots import Ballots, Evidence
from node.consensus.blocks import MAX_PARENTS, Block, BlockError, Header, body_root
from node.consensus.dagblocks import DagBlock, Progress, Tip
from node.consensus.finality import Checkpoint, Link, Target
from node.consensus.ghostdag import Coloured, Ghostdag, MergesetError, PrunedError
from node.consensus.orphans import Orphans
from node.consensus.reveals import RevealChecker
from node.consensus.selected import SelectedChain, TableOf
from node.consensus.slots import SlotClock
from node.consensus.tables import Table
from node.consensus.view import Clauses, StateMissing, View, Views
from node.consensus.votes import Vote, VoteVerdicts
from node.encoding.address import P256
from node.ledger import registry, staking
from node.ledger.genesis import Genesis, initial_state
from node.ledger.quotes import static_fee
from node.ledger.signatures import Verdicts, verify
from node.ledger.staking import Validator
from node.ledger.state import State, waves_of
from node.ledger.types import SignedTransaction, TransactionError
from node.light.signature import wave_signature
from node.light.waves import StateWaves

MAX_MERGESET = 180
LATE_SLOTS = 15
MAX_TWINS = 2
_INVALID_KEPT = 4_096
_OTHER_BODY = "bad_body_root"


class Engine:
    """One node's consensus. Made by `begin` at a genesis, or by `restore` from what was stored."""

    def __init__(
        self,
        genesis: Genesis,
        state: State,
        waves: StateWaves,
        verdicts: Verdicts | None = None,
        vote_verdicts: VoteVerdicts | None = None,
        clauses: Clauses | None = None,
    ) -> None:
        """`state` and `waves` are those after the selected tip. Verdicts may be shared between engines."""
        self.genesis = genesis
        self.genesis_hash = genesis.hash
        self.parameters = genesis.parameters
        self.slots = SlotClock.of(genesis.start_ms, genesis.parameters)
        self.clauses = clauses or Clauses()
        self.verdicts = verdicts or Verdicts()
        self.blocks: dict[bytes, DagBlock] = {}
        self.by_index: dict[int, DagBlock] = {}
        self.views = Views(
            self.genesis_hash,
            self.parameters,
            self.slots,
            self.header_of,
            self._active_set,
            vote_verdicts or VoteVerdicts(),
            self.clauses,
        )
        self.awake_since = 0
        """The slot since which this node hears the network: what is older cannot be late."""
        self._state, self._waves = state, waves
        self._reveals = RevealChecker()
        self._orphans = Orphans()
        self._invalid: dict[bytes, str] = {}  # and the rule that each breaks
        self._busy = self._stirred = 0
        self._told: Target | None = None
        self._final_block: DagBlock | None = None
        self._evidence: list[Evidence] = []
        self._active_sets: dict[bytes, tuple[Validator, ...]] = {}  # of states after checkpoints' blocks
        self._seats: dict[tuple[bytes, int], list[DagBlock]] = {}
        self.dag: Ghostdag
        self.chain: SelectedChain
        self.ballots: Ballots

    @classmethod
    def begin(
        cls,
        genesis: Genesis,
        *,
        verdicts: Verdicts | None = None,
        vote_verdicts: VoteVerdicts | None = None,
        clauses: Clauses | None = None,
        numpy: bool = True,
    ) -> Engine:
        """An engine that stands at its genesis."""
        state = initial_state(genesis)
        engine = cls(genesis, state, waves_of(state, numpy=numpy), verdicts, vote_verdicts, clauses)
        view = engine.views.first(staking.active_set(state), engine._waves.commitment)
        engine.dag = Ghostdag(genesis.parameters.ghostdag_k, engine.genesis_hash)
        root = DagBlock(0, engine.genesis_hash, None, engine.genesis_hash, engine.dag.coloured[0], 0, view)
        engine.know(root)
        engine.chain = SelectedChain(engine.genesis_hash, engine.parameters, engine.slots, state, engine._waves, root)
        engine.ballots = Ballots(engine.views, view.final, engine.header_of, engine.extends)
        return engine

    # -- what is known ------------------------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """The state after the tip."""
        return self.chain.state

    @property
    def waves(self) -> StateWaves:
        """The waves of that state."""
        return self.chain.waves

    @property
    def tip(self) -> Tip:
        """The newest block of the selected chain."""
        return self.chain.place

    @property
    def view(self) -> View:
        """The view at the tip."""
        return self.chain.tip.known_view

    @property
    def final(self) -> Target:
        """The newest final checkpoint by any votes known."""
        return self.ballots.final

    @property
    def justified(self) -> Target:
        """The highest justified checkpoint by any votes known."""
        return self.ballots.best

    @property
    def busy_height(self) -> int:
        """Height of the newest chain block that executed a transaction: until it is final, blocks are made."""
        return self._busy

    @property
    def stirred(self) -> int:
        """Height of the tip when a vote came of a validator who had not voted above the final checkpoint."""
        return self._stirred

    def header_of(self, block: bytes) -> bytes:
        """A known block's encoded header; for the genesis its hash."""
        return self.blocks[block].header_bytes

    def selected(self, block: DagBlock) -> Iterable[DagBlock]:
        """The block, its selected parent, and so on down to the root that is kept."""
        while True:
            yield block
            if block.coloured.selected < 0 or block.coloured.selected not in self.by_index:
                return
            block = self.by_index[block.coloured.selected]

    def on_chain(self, block: DagBlock, tip: DagBlock) -> bool:
        """Whether the selected chain of `tip` passes through `block`."""
        at = self.chain.at
        item: DagBlock | None = tip
        while item is not None:
            if item.height <= block.height:
                return item is block
            if at.get(item.height) is item:
                return at.get(block.height) is block
            item = self.by_index.get(item.coloured.selected)
        return False

    def merged(self, block: DagBlock) -> list[tuple[DagBlock, bool]]:
        """The mergeset of a block without its selected parent, in order, each with whether it is blue."""
        blues = set(block.coloured.blues)
        members = self.dag.mergeset(block.coloured)[1:]
        return [(self.by_index[index], index in blues) for index in members]

    # -- what comes in ------------------------------------------------------------------------------------------

    def add(self, block: Block, now: int) -> Progress:
        """Take a block that came in slot `now`.

        Raises BlockError or TransactionError for one that is invalid, or came too early ("early": it may come again);
        nothing changed then. Where the state had to move to judge it, it is in `rejected` instead. One whose parents
        are unknown is kept within bounds, and `missing` names them.
        """
        progress = Progress()
        self._release()
        if block.id in self.blocks or block.id in self._orphans:
            return progress
        self._check_form(block, now)
        seat = self._seats.get((block.header.creator, block.header.slot), ())
        if len(seat) >= MAX_TWINS and not self._orphans.want(block.id):
            raise BlockError("third_twin", "Two other blocks of this creator and slot are here already.")
        unknown = [parent for parent in block.header.parents if parent not in self.blocks]
        if unknown:
            self._orphans.add(block, unknown, self._check_orphan(block))
            progress.missing = [parent for parent in unknown if parent not in self._orphans]
            return progress
        try:
            self._connect(block, now, progress)
        except (BlockError, TransactionError) as error:
            self._forbid(block.id, error, progress)
            if not (progress.undone or progress.applied):
                raise
            # To judge it the state went to its side branch: bring it back, and tell of that instead of raising.
            progress.rejected.append((block.id, error))
            self._resolve(progress)
            return progress
        ready = self._orphans.ready(block.id, self.blocks)
        while ready:
            orphan, signed = ready.pop(0)
            try:
                self._connect(orphan, now, progress, signed)
            except (BlockError, TransactionError) as error:
                progress.rejected.append((orphan.id, error))
                self._forbid(orphan.id, error, progress)
            else:
                ready += self._orphans.ready(orphan.id, self.blocks)
        self._resolve(progress)
        return progress

    def add_vote(self, vote: Vote) -> Progress:
        """Take a vote from gossip; one that says nothing new or is not good leaves the Progress empty."""
        progress = Progress()
        self._release()
        view = self.view
        if view.table.validator(vote.voter) is None and view.next_table.validator(vote.voter) is None:
            return progress
        ballots = self.ballots
        before = ballots.best, ballots.final
        if ballots.add(vote):
            progress.votes.append(vote)
            self._listen()
            if (ballots.best, ballots.final) != before:
                self._resolve(progress)
        return progress

    def check(self, transaction: SignedTransaction) -> None:
        """Everything about a transaction that needs no state. Raises TransactionError."""
        if transaction.body.genesis != self.genesis_hash:
            raise TransactionError("other_network", "The transaction was signed for another network.")
        registry.check_payload(transaction.body)
        if not self.verdicts.good(transaction):
            raise TransactionError("bad_signature", "The transaction's signature is not its key's.")

    # -- taking up what was stored (node.consensus.restore) --------------------------------------------------------

    def adopt_active_sets(self, sets: Mapping[bytes, tuple[Validator, ...]]) -> None:
        """Active sets of the states after checkpoints' blocks."""
        self._active_sets.update(sets)

    def take_up(self, links: Iterable[Link], busy: int) -> None:
        """Count the votes of stored links and of the chain again; `busy` as `busy_height`."""
        self._busy = busy
        for target in self.view.known.values():
            self.ballots.add_target(target)
        self._learn_from_tip()
        for link in links:
            for vote in link.votes:
                self.ballots.add(vote)
        for votes in self.view.links.values():
            for vote in votes.values():
                self.ballots.add(vote)
        self.ballots.new_links.clear()
        self.ballots.heard.clear()
        self.ballots.new_voice = False
        self._told = self.ballots.final
        self._final_block = self.blocks.get(self._told.checkpoint.block)

    # -- judging a block ----------------------------------------------------------------------------------------

    def _check_form(self, block: Block, now: int) -> None:
        header = block.header
        if block.id in self._invalid:
            raise BlockError(self._invalid[block.id], "The block was refused before.")
        if header.genesis != self.genesis_hash:
            raise BlockError("other_network", "The block belongs to another network.")
        if header.slot > now + 1:
            raise BlockError("future_slot", f"The slot {header.slot} has not begun; it is slot {now} now.")
        if header.slot == now + 1:
            raise BlockError("early", f"The slot {header.slot} begins next; the block may come again then.")
        if any(parent in self._invalid for parent in header.parents):
            raise BlockError("bad_parents", "The block names an invalid block as its parent.")

    def _check_orphan(self, block: Block) -> bytes:
        """An orphan costs memory, so it must be signed by somebody whom the tables here know; returns his key.

        Its body must be its own: another one would keep the right one out.
        """
        header, view = block.header, self.view
        validator = view.table.validator(header.creator) or view.next_table.validator(header.creator)
        if validator is None:
            raise BlockError("unknown_creator", "The block's parents are not here, and its creator is no validator.")
        self._check_signature(header, validator)
        self._check_body_root(block)
        return validator.consensus_key

    @staticmethod
    def _check_signature(header: Header, validator: Validator) -> None:
        if not verify(P256, validator.consensus_key, header.signing_hash(), header.signature):
            raise BlockError("bad_signature", "The block is not signed by its creator.")

    @staticmethod
    def _check_body_root(block: Block) -> None:
        if block.header.body_root != body_root(block.transactions, block.votes):
            raise BlockError(_OTHER_BODY, "The body is not the one that the header commits to.")

    def _check_seat(self, header: Header, table: Table) -> Validator:
        """Creator, seat and region by the table of the block's chain."""
        validator = table.validator(header.creator)
        if validator is None:
            raise BlockError("unknown_creator", "The block's creator is no validator.")
        if header.seat >= self.parameters.seats or table.leader(header.slot, header.seat) != header.creator:
            raise BlockError("bad_seat", "The block's creator does not lead that seat.")
        if header.region != table.regions[header.creator]:
            raise BlockError("bad_region", "The block does not shine in its creator's region.")
        return validator

    def _connect(self, block: Block, now: int, progress: Progress, signed: bytes = b"") -> None:
        """Judge a block whose parents are known, in stages, and put it into the DAG.

        `signed` is the key by which its signature was found good before.
        """
        header = block.header
        parents = [self.blocks[parent] for parent in header.parents]
        if any(parent.slot >= header.slot for parent in parents):
            raise BlockError("old_slot", f"The slot {header.slot} is not after its parents'.")
        selected = parents[0]
        if selected.view is None:
            raise BlockError("unknown_tables", "The block builds on what lies far below the final checkpoint.")
        table, _ = self._tables(selected.view, header.slot, progress)
        validator = self._check_seat(header, table)
        number = self.slots.epoch_of(header.slot) - validator.first_epoch
        if signed != validator.consensus_key:
            self._check_signature(header, validator)
        if not self._reveals.check(validator.reveal_commitment, number, header.reveal):
            raise BlockError("bad_reveal", "The block does not carry its epoch's reveal.")
        coloured = self._judge(header, parents)
        self._check_body_root(block)
        for transaction in block.transactions:
            registry.check_payload(transaction.body)  # before anything is counted from it
        offered = sum(static_fee(self.parameters, item.body) for item in block.transactions)
        if header.wave != wave_signature(header.unwaved(), header.region, offered.bit_length(), header.slot):
            raise BlockError("bad_wave", "The wave signature is not the one of this header and body.")
        for transaction in block.transactions:
            self.check(transaction)
        self._insert(block, selected, coloured, now, progress)

    def _judge(self, header: Header, parents: Sequence[DagBlock]) -> Coloured:
        """What the DAG says of a block with these parents, if it may have them."""
        try:
            coloured = self.dag.judge([parent.index for parent in parents], MAX_MERGESET)
        except MergesetError:
            raise BlockError("big_mergeset", f"A block merges at most {MAX_MERGESET} blocks.") from None
        except PrunedError:
            raise _too_deep() from None
        if coloured.selected != parents[0].index:
            raise BlockError("bad_selected_parent", "The first parent is not the one with the most blue work.")
        indices = [parent.index for parent in parents]
        for one in indices:
            if any(one != other and self.dag.is_ancestor(one, other) for other in indices):
                raise BlockError("bad_parents", "A parent lies in the past of another.")
        if not self._depth_holds(coloured, header.slot):
            raise _too_deep()
        return coloured

    def _depth_holds(self, coloured: Coloured, slot: int) -> bool:
        """Merge depth: each block merged has in its past the newest selected-chain ancestor of the merge depth's age.

        For a member, the newest chain block in its past is sought from above; the rule holds as long as the chain
        blocks passed on the way are younger than the depth.
        """
        limit = slot - self.parameters.merge_depth_slots
        if limit <= 0:
            return True
        for member in (*coloured.blues[1:], *coloured.reds):
            for item in self.selected(self.by_index[coloured.selected]):
                if self.dag.is_ancestor(item.index, member):
                    break
                if item.slot <= limit:
                    return False
        return True

    def _insert(self, block: Block, selected: DagBlock, coloured: Coloured, now: int, progress: Progress) -> None:
        header = block.header
        members = [self.by_index[index] for index in self.dag.mergeset(coloured)[1:]]
        accepted: list[tuple[Header, Sequence[Vote]]] = []
        for item in members:
            assert item.header is not None
            accepted.append((item.header, item.votes))
        accepted.append((header, block.votes))
        view = self.views.advance(selected.known_view, header, block.id, coloured.score, accepted)
        twin = (header.creator, header.slot) if self.clauses.twins_red else None
        index = self.dag.add(block.id, coloured, twin)
        made = DagBlock(index, block.id, header, block.header_bytes, coloured, view.height, view, block.votes)
        made.block = block
        made.disqualified = selected.disqualified
        self._mark_late(made, selected, now)
        self.know(made)
        progress.added.append(made)
        if selected.known_view.fresh is not None:
            for target in view.known.values():
                if target.checkpoint.block == selected.id:
                    self.ballots.add_target(target)
        for vote in block.votes:
            if self.ballots.add(vote):
                progress.votes.append(vote)

    def _watch_seat(self, block: DagBlock, header: Header) -> None:
        """Two blocks of one creator and slot are evidence."""
        seat = self._seats.setdefault((header.creator, header.slot), [])
        for other in seat:
            assert other.header is not None
            if other.header[:-1] == header[:-1] or any(item.validator == header.creator for item in self._evidence):
                continue  # two signatures over one content are no offence
            proof = other.header_bytes, block.header_bytes
            self._evidence.append(Evidence(staking.DOUBLE_BLOCK, header.creator, proof))
        seat.append(block)

    @property
    def evidence(self) -> list[Evidence]:
        """Proofs of offences seen; a transaction with one costs its offender stake."""
        return [*self._evidence, *self.ballots.evidence]

    def know(self, block: DagBlock) -> None:
        """Register a block that is in the DAG."""
        self.blocks[block.id] = block
        self.by_index[block.index] = block
        if block.header is not None:
            self._watch_seat(block, block.header)

    def _mark_late(self, block: DagBlock, selected: DagBlock, now: int) -> None:
        """Who owes an on-time block of somebody else before this chain counts (clause `lateness`)."""
        assert block.header is not None
        creator = block.header.creator
        block.late = self.clauses.lateness and block.slot >= self.awake_since and now > block.slot + LATE_SLOTS
        if block.late:
            block.debt = selected.debt | {creator}
        elif selected.debt:
            block.debt = selected.debt & {creator}

    def _tables(self, view: View, slot: int, progress: Progress) -> tuple[Table, Table]:
        try:
            return self.views.tables(view, slot)
        except StateMissing as missing:
            # A side branch turned its tables by a checkpoint whose state was never looked at here: go there once.
            target = self.blocks.get(missing.block)
            if target is None or target.disqualified or not self._move_to(target, progress):
                raise BlockError("unknown_tables", "The block's validators follow from a state unknown here.") from None
            return self.views.tables(view, slot)

    def _active_set(self, block: bytes) -> tuple[Validator, ...] | None:
        return self._active_sets.get(block)

    def extends(self, one: Checkpoint, other: Checkpoint) -> bool:
        """Whether the chain of the other checkpoint passes through the block of the first."""
        low, high = self.blocks.get(one.block), self.blocks.get(other.block)
        return low is not None and high is not None and self.on_chain(low, high)

    def _remember_invalid(self, block: bytes, rule: str) -> None:
        self._invalid[block] = rule
        if len(self._invalid) > _INVALID_KEPT:
            del self._invalid[next(iter(self._invalid))]

    def _forbid(self, block: bytes, error: BlockError | TransactionError, progress: Progress) -> None:
        """Remember an invalid block; whatever waited for it is invalid too."""
        if error.code in ("unknown_tables", _OTHER_BODY):
            return  # nothing is wrong with the block's header, but with what is known here or with who sent it
        self._remember_invalid(block, error.code)
        for orphan in self._orphans.drop_waiting(block):
            self._remember_invalid(orphan, "bad_parents")
            progress.rejected.append((orphan, BlockError("bad_parents", "It builds on an invalid block.")))

    # -- choosing and moving --------------------------------------------------------------------------------------

    def _resolve(self, progress: Progress) -> None:
        """Choose the tip and bring the state there; then see what the tip makes known."""
        while True:
            wanted, known = self._choose(), len(progress.disqualified)
            if wanted is not self.chain.tip and not self._move_to(wanted, progress):
                if len(progress.disqualified) == known:
                    break  # it would undo final blocks
                continue
            if not self._learn_from_tip():
                break
        self._listen()
        progress.votes += self.ballots.heard
        self.ballots.heard.clear()
        progress.links += self.ballots.new_links
        self.ballots.new_links.clear()
        final = self.ballots.final
        block = self.blocks.get(final.checkpoint.block)
        if block is not None and self.on_chain(block, self.chain.tip) and final is not self._told:
            self._told = final
            progress.final = final
            self.chain.forget(final.height)
            self._final_block = block

    def _listen(self) -> None:
        """The vote of a so far silent validator ends sparse production (`duties.sparse`)."""
        if self.ballots.new_voice:
            self._stirred, self.ballots.new_voice = self.tip.height, False

    def _learn_from_tip(self) -> bool:
        """The tip's own checkpoint can be voted for: the state after it is the one that is here.

        Returns whether votes that waited for it change what fork choice goes by.
        """
        view, best, final = self.view, self.ballots.best, self.ballots.final
        if view.fresh is not None:
            for target in self.views.targets(view, self.waves.commitment):
                self.ballots.add_target(target)
        return self.ballots.best is not best or self.ballots.final is not final

    def _choose(self) -> DagBlock:
        """Fork choice (protocol section 4)."""
        tips = [self.by_index[index] for index in self.dag.tips()]
        return self._heaviest([tip for tip in tips if self._paid(tip)]) or self._heaviest(tips) or self.chain.tip

    def _paid(self, tip: DagBlock) -> bool:
        """Whether no late block on this tip's chain waits for an on-time block of another creator.

        What lies below the justified checkpoint is not asked.
        """
        if not tip.debt:
            return True
        for item in self.selected(tip):
            if item.height <= self.ballots.best.height:
                break
            if item.late and item.header is not None and item.header.creator in tip.debt:
                return False
        return True

    def _heaviest(self, tips: Iterable[DagBlock]) -> DagBlock | None:
        """The block with the greatest (blue work, id) whose selected chain holds what is justified and final.

        Searched from the tips downward, since good blocks may lie below one that is disqualified, or whose selected
        chain passes by what is justified and only merges it.
        """
        heap = [_downward(self.dag.key(tip.index), tip) for tip in tips]
        heapq.heapify(heap)
        seen = {tip.index for _, _, tip in heap}
        needed = [self.blocks.get(item.checkpoint.block) for item in (self.ballots.best, self.ballots.final)]
        anchors = [item for item in needed if item is not None]
        low = min((item.coloured.work for item in anchors), default=0)
        while heap:
            _, _, block = heapq.heappop(heap)
            if block.coloured.work < low:
                return None
            if not block.disqualified and all(self.on_chain(item, block) for item in anchors):
                return block
            for index in block.coloured.parents:
                if index in seen or index not in self.by_index:
                    continue
                seen.add(index)
                parent = self.by_index[index]
                if all(item is parent or self.dag.is_ancestor(item.index, index) for item in anchors):
                    heapq.heappush(heap, _downward(self.dag.key(index), parent))
        return None

    def _move_to(self, target: DagBlock, progress: Progress) -> bool:
        """Undo and execute until the state is the one after `target`. False where a block on the way had to be
        disqualified, or final blocks would have to be undone; the state is at a lawful block then."""
        path: list[DagBlock] = []
        for item in self.selected(target):
            if item.height <= self.chain.tip.height and self.on_chain(item, self.chain.tip):
                fork = item
                break
            path.append(item)
        else:
            return False
        if not self.chain.can_undo_to(fork.height):
            return False
        while self.chain.tip is not fork:
            self._undo(progress)
        for block in reversed(path):
            if not self.chain.commits(block):
                self._disqualify(block, progress)
                return False
            self._apply(block, progress)
        return True

    def _undo(self, progress: Progress) -> None:
        undone = self.chain.undo()
        if progress.applied and progress.applied[-1].block is undone.block:
            progress.applied.pop()
        else:
            progress.undone.append(undone)
        self._busy = min(self._busy, self.chain.tip.height)

    def _apply(self, block: DagBlock, progress: Progress) -> None:
        step = self.chain.apply(block, self.merged(block), self.table_of(block))
        if step.active_set is not None:
            self._active_sets[block.id] = step.active_set
        progress.applied.append(step)
        if step.receipts:
            self._busy = step.height

    def table_of(self, block: DagBlock) -> TableOf:
        """For evidence in `block`: the table for children, in a slot, of a recent block of its chain."""

        def table_of(parent: bytes, slot: int) -> Table | None:
            known = self.blocks.get(parent)
            if known is None or known.slot < block.slot - self.parameters.merge_depth_slots:
                return None
            if not self.on_chain(known, block):
                return None
            return None if known.view is None else self.views.tables(known.view, slot)[0]

        return table_of

    def _disqualify(self, block: DagBlock, progress: Progress) -> None:
        """No selected chain passes through this block, so through no block whose chain does."""
        block.disqualified = True
        progress.disqualified.append(block)
        for index in sorted(index for index in self.by_index if index > block.index):
            item = self.by_index[index]
            parent = self.by_index.get(item.coloured.selected)
            if parent is not None and parent.disqualified and not item.disqualified:
                item.disqualified = True
                progress.disqualified.append(item)

    # -- making blocks --------------------------------------------------------------------------------------------

    def parents(self, slot: int) -> tuple[list[DagBlock], Coloured]:
        """The parents that a block of `slot` by this node names, the selected one first, and its colouring.

        The tip of fork choice, and as many other tips as the limits allow, none greater than it.
        """
        tip = self.chain.tip
        chosen = [tip]
        coloured = self.dag.judge([tip.index])
        others = [self.by_index[index] for index in self.dag.tips() if index != tip.index]
        others = [item for item in others if item.slot < slot and self.dag.key(item.index) < self.dag.key(tip.index)]
        others.sort(key=lambda item: self.dag.key(item.index), reverse=True)
        for item in others:
            if len(chosen) == MAX_PARENTS:
                break
            try:
                trial = self.dag.judge([*(block.index for block in chosen), item.index], MAX_MERGESET)
            except (MergesetError, PrunedError):
                continue
            if self._depth_holds(trial, slot):
                chosen.append(item)
                coloured = trial
        return chosen, coloured

    def may_merge(self, block: DagBlock) -> bool:
        """Whether the limits allow a block that merges this one with the tip."""
        try:
            trial = self.dag.judge([self.chain.tip.index, block.index], MAX_MERGESET)
        except (MergesetError, PrunedError):
            return False
        return self._depth_holds(trial, self.tip.slot + 1)

    def prune(self) -> list[DagBlock]:
        """Forget what no rule can ask about again (see `pruning_points`); returns the blocks that are gone."""
        root, base = self.pruning_points()
        for block in self.by_index.values():
            if block is not base and not self.dag.is_ancestor(base.index, block.index):
                block.view = None
        gone = [self.by_index.pop(index) for index in self.dag.prune(root.index)]
        self.ballots.forget_blocks({block.id for block in gone})
        for block in gone:
            del self.blocks[block.id]
            self._active_sets.pop(block.id, None)
            if self.chain.at.get(block.height) is block:
                del self.chain.at[block.height]
            if block.header is not None:
                place = (block.header.creator, block.slot)
                self._seats[place].remove(block)
                if not self._seats[place]:
                    del self._seats[place]
        return gone

    def _release(self) -> None:
        """Let go of transactions that lie in the past of the final block: nothing executes them again.

        Not as soon as it is final, but at the next call: whoever reads a Progress finds all bodies.
        """
        if self._final_block is None:
            return
        for block in self.selected(self._final_block):
            if block.block is None:
                break
            for member, _ in self.merged(block):
                member.block = None
            block.block = None

    def pruning_points(self) -> tuple[DagBlock, DagBlock]:
        """The root of what must be kept, and the base, whose view and its future's are enough.

        A new block that counts merges only what has in its past the base, the merge root of the final block; and what
        those merged in their time has in its past the merge root of the base. The root lies one merge depth deeper:
        a late block beside the final one may merge a double whose twin lies there.
        """
        final = self._final_block
        base = self._merge_root(final) if final is not None else self.by_index[self.dag.root]
        return self._merge_root(self._merge_root(base)), base

    def _merge_root(self, block: DagBlock) -> DagBlock:
        limit = block.slot - self.parameters.merge_depth_slots
        for item in self.selected(block):
            root = item
            if item is not block and item.slot <= limit:
                break
        return root


def _downward(key: tuple[int, bytes], block: DagBlock) -> tuple[int, int, DagBlock]:
    """For a heap that gives the greatest (blue work, id) first."""
    return -key[0], -int.from_bytes(key[1]), block


def _too_deep() -> BlockError:
    return BlockError("merge_depth", "The block merges blocks that left its chain too long ago.")
