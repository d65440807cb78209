"""What a node warns of by itself: offences, finality that stands still, and a long silence before it begins.

A long silence trades safety for life (protocol section 5): validators who were silent all that time count nothing, so
that the others go on; if they live on elsewhere, both parts finalise, and differently. The owner is told while there is
time to choose. Sans-I/O: looks at the engine when told to, and says when it must look again.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

from node.consensus.engine import Engine
from node.consensus.finality import SILENT_BLOCKS
from node.encoding.address import Address
from node.service.alerts import Alerts
from node.service.offences import Offences

STILL_CHECKPOINTS = 5
"""Checkpoints that pass without a final one before finality is said to stand still; two are on their way always."""
_STILL_BLOCKS = SILENT_BLOCKS // 2
"""So many blocks are enough where half of a long silence is over: a quiet network makes few."""
_RECENT = 3  # checkpoints
_PARTS = 64  # of a long silence, in which `View.seen` counts
_OFFENCE, _STILL, _AHEAD, _SILENCE, _CONFLICT = (
    "offence",
    "finality_still",
    "long_silence_ahead",
    "long_silence",
    "finality_conflict",
)
_CHOICES = (
    "Find out whether they live. If they do, reach them first, or wait with this node stopped (nexus node stop); if "
    "they are gone for good, let it go on."
)


class _Base(NamedTuple):
    """A block that is final: height, slot and blue score."""

    height: int
    slot: int
    score: int


class Watch:
    """Raises and takes back the alerts of a node. `look` is cheap while all is well."""

    def __init__(self, engine: Engine, alerts: Alerts, offences: Offences, prefix: str, final_height: int = 0) -> None:
        """`final_height` is the stored one: a chain that began from a snapshot has what makes it final yet to hear."""
        self._engine = engine
        self._final_height = final_height
        self._alerts = alerts
        self._offences = offences
        self._prefix = prefix
        parameters = engine.parameters
        self._patience_score = STILL_CHECKPOINTS * parameters.checkpoint_score + parameters.vote_depth
        self._patience_slots = min(2 * self._patience_score, parameters.silence_slots // 4)
        self._final = engine.final
        self._waiting_since: int | None = None

    def look(self, slot: int, own: bytes | None = None) -> int | None:
        """Look at the engine in `slot`; `own` is this node's validator.

        Returns the slot in which to look again although nothing happens, None where that is not needed.
        """
        engine = self._engine
        if engine.final is not self._final:
            self._final, self._waiting_since = engine.final, None
        self._show_offences(own)
        self._show_conflict()
        base = self._base()
        busy = engine.busy_height > base.height
        if not busy:
            self._waiting_since = None
        elif self._waiting_since is None:
            self._waiting_since = slot
        blocks = self._has_passed_checkpoints(slot, base)
        since = self._waiting_since
        if blocks or (since is not None and slot - since >= self._patience_slots):
            self._show_still(slot, base.slot if blocks or since is None else since, base.height)
            self._show_absent("error")
            return self._show_ahead(slot)
        self._show_absent("warning")
        for code in (_STILL, _AHEAD):
            self._alerts.clear(code)
        return None if since is None else since + self._patience_slots

    def _base(self) -> _Base:
        """The newest block that is known to be final."""
        final, block = self._final, self._engine.chain.at.get(self._final_height)
        if block is not None and block.height > final.height:
            return _Base(block.height, block.slot, block.coloured.score)
        return _Base(final.height, final.checkpoint.slot, final.score)

    def _has_passed_checkpoints(self, slot: int, base: _Base) -> bool:
        """Whether blocks enough were made to make something final."""
        engine = self._engine
        if engine.chain.tip.coloured.score - base.score >= self._patience_score:
            return True
        half = base.slot + engine.parameters.silence_slots // 2
        return slot >= half and engine.tip.height - base.height >= _STILL_BLOCKS

    # -- offences -------------------------------------------------------------------------------------------------

    def _show_offences(self, own: bytes | None) -> None:
        standing = self._offences.standing()
        for validator, offence in standing.items():
            name = Address.from_raw(validator).text(self._prefix)
            if validator == own:
                self._alerts.put(
                    _OFFENCE,
                    "error",
                    f"This node's own validator {name} broke the rules: it {offence.what}. Whoever proves that takes a "
                    "part of its stake and excludes it for good.",
                    "Stop every node that signs with its key (nexus node stop), and look for a second one.",
                    about=name,
                )
            else:
                self._alerts.put(
                    _OFFENCE,
                    "warning",
                    f"The validator {name} broke the rules: it {offence.what}. This node holds the proof.",
                    "Anyone may send it, free of charge if it counts: nexus dag evidence send",
                    about=name,
                )
        names = {Address.from_raw(validator).text(self._prefix) for validator in standing}
        for name in self._alerts.about(_OFFENCE):
            if name not in names:
                self._alerts.clear(_OFFENCE, name)

    # -- finality -------------------------------------------------------------------------------------------------

    def _show_conflict(self) -> None:
        conflict = self._engine.ballots.conflict
        if conflict is not None:
            self._alerts.put(
                _CONFLICT,
                "error",
                f"Votes of two thirds of the stake stand for checkpoint {conflict.target.number} of another history "
                "than the one that is final here: a third of the stake broke the rules. Nothing more becomes final.",
                "nexus dag evidence list names who did. People must agree which history holds; until then take no "
                "payment for settled.",
            )

    def _show_still(self, slot: int, since: int, height: int) -> None:
        engine = self._engine
        last = f"block {height}" if height else "the genesis"
        if engine.tip.slot + self._patience_slots < slot:
            said = f"and no block has come after block {engine.tip.height}."
        else:
            heard, voters, known = self._heard(), self._voters(), len(engine.view.table.validators)
            whole = " of the stake that still counts" if self._absent() else ""
            said = (
                f"although blocks are made. Heard lately: {len(heard)} of {known} validators ({self._share(heard)} of "
                f"the stake); voting: {len(voters)} ({self._share(voters)}). It takes more than two thirds{whole}."
            )
        self._alerts.put(
            _STILL,
            "warning",
            f"Nothing has become final since {last}, {said}",
            "Payments are kept and go on by themselves. Bring the missing validators back, or the connection to them: "
            "nexus dag finality names them.",
            since_ms=engine.slots.begins_ms(since),
        )

    def _show_absent(self, level: str) -> None:
        """Say whom a long silence leaves out, until they vote again: finality goes on without them meanwhile."""
        absent = self._absent()
        if not absent:
            self._alerts.clear(_SILENCE)
            return
        validators = "1 silent validator" if len(absent) == 1 else f"{len(absent)} silent validators"
        self._alerts.put(
            _SILENCE,
            level,
            f"After a long silence {validators} with {self._share(absent)} of the stake no longer count, until they "
            "vote again. If they live on elsewhere, what becomes final here can contradict what becomes final there.",
            _CHOICES,
        )

    def _show_ahead(self, slot: int) -> int | None:
        """Warn of a long silence from its half on, more urgently in its last eighth."""
        engine, parameters = self._engine, self._engine.parameters
        began, length = engine.view.final.checkpoint.slot, parameters.silence_slots
        half, last, full = began + length // 2, began + length - length // 8, began + length
        silent = self._silent(slot) - self._absent()
        moment = _moment(engine.slots.begins_ms(full))
        if slot < half or not silent:
            self._alerts.clear(_AHEAD)
            return half if slot < half else None
        until = f"by {moment}" if slot < full else f"before the chain is {SILENT_BLOCKS} blocks past its last final one"
        self._alerts.put(
            _AHEAD,
            "warning" if slot < last else "error",
            f"If nothing becomes final {until}, silent validators no longer count: {len(silent)} now, with "
            f"{self._share(silent)} of the stake. If they live on in a part of the network that is not heard here, "
            "both parts can then make different histories final.",
            _CHOICES,
            since_ms=engine.slots.begins_ms(half),
        )
        return next((later for later in (last, full) if slot < later), None)

    def _silent(self, slot: int) -> frozenset[bytes]:
        """Who gave no sign of life in the chain for a quarter of a long silence, by the chain's own record of signs."""
        view, silence = self._engine.view, self._engine.parameters.silence_slots
        since = (slot - silence // 4) // max(1, silence // _PARTS)
        return frozenset(item.id for item in view.table.validators if view.seen.get(item.id, -1) < since)

    def _absent(self) -> frozenset[bytes]:
        """Validators who count nothing until they vote again."""
        view = self._engine.view
        return frozenset(item.id for item in view.table.validators if item.id in view.absent)

    def _voters(self) -> set[bytes]:
        """Whose votes came for one of the newest checkpoints. Who lives votes on while nothing becomes final."""
        engine, tip = self._engine, self._engine.chain.tip
        depth = engine.parameters.vote_depth
        ripe = [item.number for item in engine.view.known.values() if tip.coloured.score - item.score >= depth]
        newest = max(ripe, default=self._final.number)
        low = max(self._final.number + 1, newest - _RECENT)
        known = engine.view.table.validator
        return {voter for voter, number in engine.ballots.highest.items() if number >= low and known(voter)}

    def _heard(self) -> set[bytes]:
        """The validators of whom a block or a vote came lately, by the chain's own measure: it slows down with them."""
        engine, found = self._engine, self._voters()
        low = engine.chain.tip.coloured.score - self._patience_score
        for block in engine.selected(engine.chain.tip):
            if block.header is None or block.coloured.score < low:
                break
            found.update(item.header.creator for item, _ in engine.merged(block) if item.header is not None)
            found.add(block.header.creator)
        return {identity for identity in found if engine.view.table.validator(identity)}

    def _share(self, validators: Iterable[bytes]) -> str:
        table = self._engine.view.table
        stake = sum(table.stake_of(identity) for identity in validators)
        return f"{stake * 100 // table.total_stake} %"


def _moment(time_ms: int) -> str:
    return f"{datetime.fromtimestamp(time_ms // 1000, UTC):%Y-%m-%d %H:%M} UTC"
