"""The engine: from blocks and votes in any order to one state (protocol sections 4 and 5).

It has each block judged (`judging`), coloured (`merging`, `ghostdag`) and seen (`view`), keeps what comes too early
(`orphans`), chooses the tip (`forkchoice`), and moves the state there (`moving`, `selected`). Synchronous and without
I/O: every call returns a `Progress` of what changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import cast

from node.consensus.ballots import Ballots, Evidence
from node.consensus.blocks import Block, BlockError, Header
from node.consensus.dagblocks import DagBlock, Progress, Tip
from node.consensus.finality import Link, Target
from node.consensus.forkchoice import LATE_SLOTS, choose, mark_late
from node.consensus.ghostdag import Coloured, Ghostdag
from node.consensus.judging import OTHER_BODY, Judging, WrongHeader
from node.consensus.known import KnownBlocks
from node.consensus.lightclient import Certificate
from node.consensus.merging import Merging
from node.consensus.moving import Moving
from node.consensus.orphans import Orphans
from node.consensus.selected import SelectedChain, TableOf
from node.consensus.slots import SlotClock
from node.consensus.tables import Table
from node.consensus.view import View
from node.consensus.views import Accepted, Clauses, StateMissing, Views
from node.consensus.votes import Vote, VoteVerdicts
from node.ledger import staking
from node.ledger.genesis import Genesis, initial_state
from node.ledger.signatures import Verdicts
from node.ledger.staking import Validator
from node.ledger.state import State, waves_of
from node.ledger.types import SignedTransaction, TransactionError
from node.light.waves import StateWaves

MAX_TWINS = 2


class Engine:
    """One node's consensus. Made by `begin` at a genesis, or by `restore` from what was stored."""

    chain: SelectedChain
    ballots: Ballots

    def __init__(
        self,
        genesis: Genesis,
        dag: Ghostdag,
        verdicts: Verdicts | None = None,
        vote_verdicts: VoteVerdicts | None = None,
        clauses: Clauses | None = None,
    ) -> None:
        """Not ready before `know` was told the blocks of `dag`, and `stand_at` where the state is.

        Verdicts may be shared between engines.
        """
        self.genesis = genesis
        self.genesis_hash = genesis.hash
        self.parameters = genesis.parameters
        self.slots = SlotClock.of(genesis.start_ms, genesis.parameters)
        self.clauses = clauses or Clauses()
        self.dag = dag
        self.active_sets: dict[bytes, tuple[Validator, ...]] = {}
        """Of the states after checkpoints' blocks."""
        self.awake_since = 0
        """The slot since which this node hears the network: what is older cannot be late."""
        self._known = known = KnownBlocks(dag)
        # The ways through the DAG are part of what an engine offers.
        self.blocks, self.by_index = known.by_id, known.by_index
        self.know, self.header_of = known.add, known.header_of
        self.selected, self.on_chain, self.merged = known.selected, known.on_chain, known.merged
        self.views = Views(
            self.genesis_hash,
            self.parameters,
            self.slots,
            known.header_of,
            self.active_sets.get,
            vote_verdicts or VoteVerdicts(),
            self.clauses,
        )
        depth = self.parameters.merge_depth_slots
        self._merging = Merging(known, depth)
        self._judging = Judging(self.genesis_hash, self.parameters, self.slots, self._merging, verdicts or Verdicts())
        self._moving = Moving(known, self.views, self.active_sets, depth)
        self._orphans = Orphans()
        self._stirred = 0
        self._told: Target | None = None
        self._final_block: DagBlock | None = None

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
        dag = Ghostdag(genesis.parameters.ghostdag_k, genesis.hash)
        engine = cls(genesis, dag, verdicts, vote_verdicts, clauses)
        state = initial_state(genesis)
        waves = waves_of(state, numpy=numpy)
        view = engine.views.first(staking.active_set(state), waves.commitment)
        root = DagBlock(0, genesis.hash, None, genesis.hash, dag.coloured[0], 0, view)
        engine.know(root)
        engine.stand_at(root, state, waves)
        return engine

    def stand_at(self, tip: DagBlock, state: State, waves: StateWaves) -> None:
        """The selected chain ends in `tip`; `state` and `waves` are those after it."""
        main = self._known.main
        self.chain = SelectedChain(self.genesis_hash, self.parameters, self.slots, state, waves, tip, main)
        self.ballots = Ballots(self.views, tip.known_view.final, self._known.extends, self._may_vote)

    def take_up(self, links: Iterable[Link], executing: Iterable[int]) -> None:
        """Count the votes of stored links and of the chain again; `executing` as `Kept` has it."""
        self._moving.executing = [*executing]
        for target in self.view.known.values():
            self.ballots.add_target(target)
        self._learn_from_tip()
        for link in links:
            for vote in link.votes:
                self.ballots.add(vote, carried=True)
        for votes in self.view.links.values():
            for vote in votes.values():
                self.ballots.add(vote, carried=True)
        self.ballots.new_links.clear()
        self.ballots.heard.clear()
        self.ballots.new_voice = False
        self._told = self.ballots.final
        self._final_block = self.blocks.get(self._told.checkpoint.block)

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
        return self._moving.executing[-1]

    @property
    def settled_height(self) -> int:
        """Height of the newest final chain block that executed a transaction, of those known when it became final."""
        return self._moving.executing[0]

    @property
    def stirred(self) -> int:
        """Height of the tip when a vote came of a validator who had not voted above the final checkpoint."""
        return self._stirred

    @property
    def evidence(self) -> list[Evidence]:
        """Proofs of offences seen; a transaction with one costs its offender stake."""
        return [*self._known.doubles, *self.ballots.evidence, *self._known.wrong_headers.values()]

    def certificate(self, block: DagBlock) -> Certificate | None:
        """Why the newest checkpoint is final that this block's view made final; None where it made none.

        And where this cannot be shown: the chain began later than the links do, or who gave its beginning put other
        signatures to votes (no hash of a view covers them). Another certificate follows soon.
        """
        view = block.known_view
        if not view.finals:
            return None
        links = cast("tuple[Link, Link]", view.certificate)
        known = {**self.ballots.targets, **view.known}
        if not all(end.hash in known for link in links for end in (link.source, link.target)):
            return None
        pairs = [(link, known[link.source.hash], known[link.target.hash]) for link in links]
        if not all(self.views.is_whole(*pair) for pair in pairs):
            return None
        headers = {end.checkpoint.block: end.header for _, *ends in pairs for end in ends}
        headers.pop(self.genesis_hash, None)
        tables = {table.hash: table for end in pairs[1][1:] for table in (end.table, end.next_table)}
        return Certificate(links, tuple(header for _, header in sorted(headers.items())), tuple(tables.values()))

    def table_of(self, block: DagBlock) -> TableOf:
        """For evidence in `block`: the table for children, in a slot, of a recent block of its chain."""
        return self._moving.table_of(block)

    def heard_of(self, block: bytes) -> bool:
        """Whether a block is here, waits for its parents, or was found invalid: it need not come again."""
        return block in self.blocks or block in self._orphans or self._judging.is_invalid(block)

    def missing(self, block: bytes) -> list[bytes]:
        """What must come before a block that waits here for its parents; nothing if it does not wait."""
        return self._orphans.missing(block, self.blocks)

    # -- what comes in ------------------------------------------------------------------------------------------

    def add(self, block: Block, now: int) -> Progress:
        """Take a block that came in slot `now`.

        Raises BlockError or TransactionError for one that is invalid, or came too early ("early": it may come again);
        nothing changed then. Where the state had to move to judge it, it is in `rejected` instead. One whose parents
        are unknown is kept within bounds, and `missing` names what must come first.
        """
        progress = Progress()
        self._release()
        if block.id in self.blocks or block.id in self._orphans:
            return progress
        self._judging.check_form(block, now)
        twins = self._known.filled(block.header.creator, block.header.slot)
        if twins >= MAX_TWINS and not self._orphans.want(block.id):
            raise BlockError("third_twin", "Two other blocks of this creator and slot are here already.")
        unknown = [parent for parent in block.header.parents if parent not in self.blocks]
        if unknown:
            self._orphans.add(block, unknown, self._judging.check_orphan(block, self.view))
            progress.missing = self.missing(block.id) or unknown
            return progress
        try:
            self._connect(block, now, progress)
        except (BlockError, TransactionError) as error:
            self._forbid(block, error, progress)
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
                self._forbid(orphan, error, progress)
            else:
                ready += self._orphans.ready(orphan.id, self.blocks)
        self._resolve(progress)
        return progress

    def unchecked(self, block: Block, now: int) -> tuple[SignedTransaction, ...]:
        """The transactions whose signatures `add` would have to check now, so that others can do so first.

        None for a block that it would refuse or put aside before it comes to them.
        """
        header = block.header
        if block.id in self.blocks or any(parent not in self.blocks for parent in header.parents):
            return ()
        selected = self.blocks[header.parents[0]]
        if selected.view is None or self._known.filled(header.creator, header.slot) >= MAX_TWINS:
            return ()
        try:
            self._judging.check_form(block, now)
            return self._judging.unchecked(block, self.views.tables(selected.view, header.slot)[0])
        except (BlockError, StateMissing):
            return ()

    def note_signed(self, transactions: Iterable[SignedTransaction]) -> None:
        """The signatures of these were found good elsewhere."""
        self._judging.note_signed(transactions)

    def add_vote(self, vote: Vote) -> Progress:
        """Take a vote from gossip; one that says nothing new or is not good leaves the Progress empty."""
        progress = Progress()
        self._release()
        ballots = self.ballots
        if not self._may_vote(vote.voter):
            return progress
        before = ballots.best, ballots.final
        if ballots.add(vote):
            progress.votes.append(vote)
            self._listen()
            if (ballots.best, ballots.final) != before:
                self._resolve(progress)
        return progress

    def _may_vote(self, voter: bytes) -> bool:
        """Whether a vote of his may count here, now or when its checkpoints are known."""
        view, ballots = self.view, self.ballots
        # Where the tables turned, those who left are asked once more: by the tables of what was justified before.
        tables = view.table, view.next_table, ballots.best.table, ballots.final.table
        return any(table.validator(voter) is not None for table in tables)

    def check(self, transaction: SignedTransaction) -> None:
        """Everything about a transaction that needs no state. Raises TransactionError."""
        self._judging.check_transaction(transaction)

    def _connect(self, block: Block, now: int, progress: Progress, signed: bytes = b"") -> None:
        """Judge a block whose parents are known, and put it into the DAG.

        `signed` is the key by which its signature was found good before.
        """
        header = block.header
        parents = [self.blocks[parent] for parent in header.parents]
        if any(parent.slot >= header.slot for parent in parents):
            raise BlockError("old_slot", f"The slot {header.slot} is not after its parents'.")
        selected = parents[0]
        if selected.view is None:
            raise BlockError("unknown_tables", "The block builds on what lies far below the final checkpoint.")
        table = self._table(selected.view, header.slot, progress)
        coloured = self._judging.judge(block, parents, table, signed)
        self._insert(block, selected, coloured, now, progress)

    def _table(self, view: View, slot: int, progress: Progress) -> Table:
        """The table for a block of `slot` whose selected parent has this view."""
        try:
            return self.views.tables(view, slot)[0]
        except StateMissing as missing:
            # A side branch turned its tables by a checkpoint whose state was never looked at here: go there once.
            target = self.blocks.get(missing.block)
            if target is None or target.disqualified or not self._moving.move(self.chain, target, progress):
                raise BlockError("unknown_tables", "The block's validators follow from a state unknown here.") from None
            return self.views.tables(view, slot)[0]

    def _insert(self, block: Block, selected: DagBlock, coloured: Coloured, now: int, progress: Progress) -> None:
        header = block.header
        accepted: list[Accepted] = []
        for index in self.dag.mergeset(coloured)[1:]:
            item = self.by_index[index]
            assert item.header is not None
            accepted.append((item.id, item.header, item.votes))
        accepted.append((block.id, header, block.votes))
        view = self.views.advance(selected.known_view, header, block.id, coloured.score, accepted)
        twin = (header.creator, header.slot) if self.clauses.twins_red else None
        index = self.dag.add(block.id, coloured, twin)
        made = DagBlock(index, block.id, header, block.header_bytes, coloured, view.height, view, block.votes)
        made.block = block
        made.disqualified = selected.disqualified
        mark_late(made, selected, self._lateness(header, now))
        self.know(made)
        progress.added.append(made)
        if selected.known_view.fresh is not None:
            for target in view.known.values():
                if target.checkpoint.block == selected.id:
                    self.ballots.add_target(target)
        for vote in block.votes:
            if self.ballots.add(vote, carried=True):
                progress.votes.append(vote)

    def _lateness(self, header: Header, now: int) -> int:
        """By how many slots a block that came in slot `now` is too late for fork choice, 0 for not at all."""
        late = self.clauses.lateness and header.slot >= self.awake_since and now > header.slot + LATE_SLOTS
        return now - header.slot if late else 0

    def _forbid(self, block: Block, error: BlockError | TransactionError, progress: Progress) -> None:
        """Remember an invalid block, as evidence too if it is some; whatever waited for it is invalid too."""
        if error.code in ("unknown_tables", OTHER_BODY):
            return  # nothing is wrong with the block's header, but with what is known here or with who sent it
        if isinstance(error, WrongHeader):
            self._accuse(block, error.by_table)
        self._judging.remember_invalid(block.id, error.code)
        for orphan in self._orphans.drop_waiting(block.id):
            self._judging.remember_invalid(orphan, "bad_parents")
            progress.rejected.append((orphan, BlockError("bad_parents", "It builds on an invalid block.")))

    def _accuse(self, block: Block, by_table: bool) -> None:
        """Keep one wrong header of each creator, if a block on the tip could prove it."""
        creator, selected, slot = block.header.creator, block.header.parents[0], block.header.slot
        # A table can be shown only while the header's selected parent is a recent block of the accusing chain.
        if by_table and self.table_of(self.chain.tip)(selected, slot) is None:
            return
        self._known.wrong_headers.setdefault(creator, Evidence(staking.INVALID_HEADER, creator, (block.header_bytes,)))

    # -- what follows -------------------------------------------------------------------------------------------

    def _resolve(self, progress: Progress) -> None:
        """Choose the tip and bring the state there; then see what the tip makes known."""
        while True:
            wanted, disqualified = self._choose(), len(progress.disqualified)
            if wanted is not self.chain.tip and not self._moving.move(self.chain, wanted, progress):
                if len(progress.disqualified) == disqualified:
                    break  # it would undo final blocks
                continue
            if not self._learn_from_tip():
                break
        self._stirred = min(self._stirred, self.tip.height)  # fork choice may go to a chain of less height
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
            self._moving.settle(final.height)
            self._final_block = block

    def _choose(self) -> DagBlock:
        return choose(self._known, self.chain.tip, self.ballots.best, self.ballots.final) or self.chain.tip

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

    # -- making blocks, and forgetting them ---------------------------------------------------------------------

    def parents(self, slot: int) -> tuple[list[DagBlock], Coloured]:
        """The parents that a block of `slot` by this node names, the selected one first, and its colouring.

        The tip of fork choice, and of as many other tips as the limits allow, none greater than it, what they allow.
        """
        return self._merging.parents(self.chain.tip, slot)

    def mergeable(self) -> Iterator[DagBlock]:
        """The blocks outside the past of the tip that blocks on it can merge, at once or step by step."""
        return self._merging.mergeable(self.chain.tip)

    def pruning_points(self, final: DagBlock | None = None) -> tuple[DagBlock, DagBlock]:
        """The root of what must be kept, and the base, whose view and its future's are enough.

        For the newest final block, or an older one from which others shall be able to begin.
        """
        return self._merging.pruning_points(final or self._final_block)

    def reaches_back(self, final: DagBlock, base: DagBlock) -> bool:
        """Whether what is kept goes as far below a final block as `pruning_points` says, with `base` as the base."""
        return self._merging.reaches_back(final, base)

    def prune(self, final: DagBlock | None = None) -> list[DagBlock]:
        """Forget what no rule can ask about again (see `pruning_points`); returns the blocks that are gone."""
        root, base = self.pruning_points(final)
        for block in self.by_index.values():
            if block is not base and not self.dag.is_ancestor(base.index, block.index):
                block.view = None
        gone = self._known.drop(self.dag.prune(root.index))
        self.ballots.forget_blocks({block.id for block in gone}, base.known_view.known)
        # A table is made from a state that was final when an epoch began, however old that checkpoint may be.
        wanted = {target.checkpoint.block for target in base.known_view.known.values()}
        for name in self.active_sets.keys() - self.blocks.keys() - wanted:
            del self.active_sets[name]
        return gone

    def _release(self) -> None:
        """Not as soon as a block is final, but at the next call: whoever reads a Progress finds all bodies."""
        if self._final_block is not None:
            self._known.release(self._final_block)
