"""The selected chain: state and waves after its tip, moved forth by executing blocks and back by undoing them.

state(B) = state(selected parent), then the transactions of the rest of B's mergeset in order, red ones too, then B's
own (protocol section 4, "Execution"). B's header commits to the state of its selected parent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from node.consensus.dagblocks import Accepted, DagBlock, Step, Tip, Undone
from node.consensus.evidence import Judge
from node.consensus.reveals import RevealChecker
from node.consensus.slots import SlotClock
from node.consensus.tables import Table
from node.ledger import epochs, registry, rewards, staking
from node.ledger.execution import SKIPPED, execute
from node.ledger.module import Context
from node.ledger.parameters import Parameters
from node.ledger.rewards import Earner
from node.ledger.state import Change, State, apply_to_waves
from node.light.waves import StateWaves

TableOf = Callable[[bytes, int], Table | None]


class SelectedChain:
    """State, waves and the steps that can still be undone."""

    def __init__(
        self,
        genesis: bytes,
        parameters: Parameters,
        slots: SlotClock,
        state: State,
        waves: StateWaves,
        tip: DagBlock,
        at: dict[int, DagBlock],
    ) -> None:
        """`state` and `waves` are those after `tip`; `genesis` is the network's hash."""
        self.state = state
        self.waves = waves
        self.tip = tip
        self.at = at
        self.at[tip.height] = tip
        """The blocks of the chain by height, as far as it is kept."""
        self._genesis = genesis
        self._parameters = parameters
        self._slots = slots
        self._reveals = RevealChecker()
        self._undo: dict[int, tuple[DagBlock, DagBlock, list[Change]]] = {}  # height: block, its parent, its changes

    def commits(self, block: DagBlock) -> bool:
        """Whether a child of the tip commits to the state that is here."""
        assert block.header is not None
        return block.header.state_commitment == self.waves.commitment

    def apply(self, block: DagBlock, merged: Sequence[tuple[DagBlock, bool]], table_of: TableOf) -> Step:
        """Execute a child of the tip. `merged` is the rest of its mergeset in order, each with whether it is blue."""
        parent, header = self.tip, block.header
        assert header is not None
        parameters = self._parameters
        oldest = header.slot - parameters.unbonding_slots
        judge = Judge(self._genesis, parameters.seats, self._slots, self.state, table_of, self._reveals, oldest)
        context = Context(self.state, parameters, header.slot, judge)
        epoch, parents = self._slots.epoch_of(header.slot), self._slots.epoch_of(parent.slot)
        if epoch > parents:
            registry.close_epoch(context, parents)
        if epoch > parents or not parent.height:
            rewards.begin_epoch(context, epoch)
        done: list[Accepted] = []
        skipped: list[Accepted] = []
        earners: list[Earner] = []
        for carrier, blue in (*merged, (block, True)):
            assert carrier.block is not None
            assert carrier.header is not None
            receipts = execute(context, carrier.block.transactions)
            fees = 0
            for receipt in receipts:
                (skipped if receipt.status == SKIPPED else done).append(Accepted(receipt, carrier.id))
                fees += receipt.fee
            if blue:
                earners.append(Earner(carrier.header.creator, self._slots.is_heartbeat(carrier.slot), fees))
        if block.known_view.finals:
            rewards.count_final(self.state, (voters for _, voters in block.known_view.finals))
        rewards.pay_blocks(context, earners)
        fees = sum(item.receipt.fee for item in done)
        if done:
            epochs.count_block(self.state, epoch, len(done), fees)
        changes = self.state.changes()
        if moved := registry.moved_units(changes):
            self.state.roll_back(0)
            raise AssertionError(f"The block would make {moved} units from nothing.")
        self.state.settle()
        buckets = apply_to_waves(self.waves, changes)
        self.tip = self.at[block.height] = block
        self._undo[block.height] = (block, parent, changes)
        active = staking.active_set(self.state) if block.known_view.fresh is not None else None
        return Step(block.height, block, parent.id, epoch, tuple(done), tuple(skipped), changes, buckets, fees, active)

    def undo(self) -> Undone:
        """Take the newest block back. KeyError below what is kept."""
        block, parent, changes = self._undo.pop(self.tip.height)
        self.state.restore(changes)
        buckets = apply_to_waves(self.waves, [Change(table, key, new, old) for table, key, old, new in changes])
        self.tip = parent
        del self.at[block.height]
        return Undone(block.height, block, parent.id, changes, buckets)

    def can_undo_to(self, height: int) -> bool:
        """Whether every block above `height` can be taken back."""
        return height >= self.tip.height or height + 1 in self._undo  # they are kept from the tip down without a gap

    def forget(self, below: int) -> None:
        """Blocks up to height `below` are final and never taken back."""
        for height in [height for height in self._undo if height <= below]:
            del self._undo[height]

    def remember(self, undo: Mapping[int, tuple[DagBlock, DagBlock, list[Change]]]) -> None:
        """Undo records read from storage."""
        self._undo.update(undo)

    @property
    def place(self) -> Tip:
        """The tip in short."""
        return Tip(self.tip.height, self.tip.id, self.tip.slot)
