"""Offences that this node has seen, with their proofs: kept on disk until they can cost nobody anything any more.

The engine sees them (protocol section 5, "Slashable"), but votes and blocks are pruned as finality moves on, and with
them what could prove anything after a restart. A node has no account to send evidence from: people do that.
"""

from __future__ import annotations

from typing import NamedTuple, cast

from node.api.records import EvidenceView
from node.consensus.ballots import Evidence
from node.consensus.blocks import Header
from node.consensus.engine import Engine
from node.consensus.evidence import Judge
from node.consensus.reveals import RevealChecker
from node.consensus.votes import Vote
from node.encoding.canonical import Value, decode, pack
from node.encoding.hashing import tagged_hash
from node.ledger import staking
from node.ledger.module import OperationFailed
from node.ledger.staking import DOUBLE_BLOCK, DOUBLE_VOTE, INVALID_HEADER, SURROUND_VOTE

OPEN, PUNISHED, TOO_OLD = "open", "punished", "too_old"
_NAMES = {
    DOUBLE_BLOCK: "double_block",
    DOUBLE_VOTE: "double_vote",
    SURROUND_VOTE: "surround_vote",
    INVALID_HEADER: "invalid_header",
}
_WHOLE = 10_000
_MAX_STORED = 1 << 26
_MAX_VOTE = 512


class Seen(NamedTuple):
    """An offence in words: its slot, the checkpoint that a vote was for, and what was done, to follow a name."""

    slot: int
    checkpoint: int | None
    what: str


class Offences:
    """One proof of each kind for a validator: a second one could not cost him more."""

    def __init__(self, engine: Engine, stored: bytes | None) -> None:
        """`stored` is what `learn` gave last. Raises ValueError where it cannot be read."""
        self._engine = engine
        self._known: dict[tuple[bytes, int], tuple[Evidence, Seen]] = {}
        self._gone: set[tuple[bytes, int]] = set()
        for item in _decoded(stored):
            self._take(item)

    def learn(self) -> bytes | None:
        """Take up what the engine has seen, forget what is too old; what must be stored, None where nothing changed."""
        changed = False
        for item in self._engine.evidence:
            name = item.validator, item.kind
            if name not in self._known and name not in self._gone:
                self._take(item)
                changed = True
        for name in [name for name in self._known if self._is_old(name)]:
            del self._known[name]
            self._gone.add(name)
            changed = True
        return self._encoded() if changed else None

    def _take(self, item: Evidence) -> None:
        self._known[item.validator, item.kind] = item, seen(item)

    def _is_old(self, name: tuple[bytes, int]) -> bool:
        _, offence = self._known[name]
        return offence.slot + self._engine.parameters.unbonding_slots < self._engine.tip.slot

    def _encoded(self) -> bytes:
        rows: tuple[Value, ...] = tuple(tuple(item) for item, _ in self._known.values())
        return pack(rows)

    def standing(self) -> dict[bytes, Seen]:
        """Of every offender who is not punished yet by the chain of the tip, the worst that he did."""
        state = self._engine.state
        found: dict[bytes, tuple[int, Seen]] = {}
        for (validator, kind), (_, offence) in self._known.items():
            if staking.validator(state, validator) is None or staking.tombstoned_at(state, validator):
                continue
            worst = found.get(validator)
            if worst is None or worst[0] < staking.PENALTIES[kind]:
                found[validator] = staking.PENALTIES[kind], offence
        return {validator: offence for validator, (_, offence) in found.items()}

    def views(self, own: bytes | None = None) -> tuple[EvidenceView, ...]:
        """All proofs, the newest offence first; each judged as the next block would. `own` is this node's validator."""
        judge = self._judge()
        views = [self._view(item, offence, judge, own) for item, offence in self._known.values()]
        return tuple(sorted(views, key=lambda view: (-view.slot, view.id)))

    def _view(self, item: Evidence, offence: Seen, judge: Judge, own: bytes | None) -> EvidenceView:
        validator = staking.validator(self._engine.state, item.validator)
        stake = 0 if validator is None else validator.stake
        try:
            judge(item.kind, item.proof)
            status = OPEN
        except OperationFailed as error:
            status = PUNISHED if error.code == "already_tombstoned" else TOO_OLD
        return EvidenceView(
            id=identify(item),
            kind=item.kind,
            kind_name=_NAMES[item.kind],
            validator=item.validator,
            own=item.validator == own,
            slot=offence.slot,
            checkpoint=offence.checkpoint,
            what=offence.what,
            stake=stake,
            loss=stake * staking.PENALTIES[item.kind] // _WHOLE if status == OPEN else 0,
            status=status,
            proof=item.proof,
        )

    def _judge(self) -> Judge:
        engine = self._engine
        oldest = engine.tip.slot - engine.parameters.unbonding_slots
        table_of = engine.table_of(engine.chain.tip)
        seats = engine.parameters.seats
        return Judge(engine.genesis_hash, seats, engine.slots, engine.state, table_of, RevealChecker(), oldest)


def identify(item: Evidence) -> bytes:
    """The name of a proof, for people to choose by."""
    return tagged_hash(b"nexus/evidence", pack(tuple(item)))


def seen(item: Evidence) -> Seen:
    """What a proof shows. Raises ValueError where it is none."""
    if item.kind in (DOUBLE_VOTE, SURROUND_VOTE):
        one, other = (Vote.from_value(decode(item.proof[place], _MAX_VOTE)) for place in (0, 3))
        slot, newest = max(one.target_slot, other.target_slot), max(one.target, other.target)
        if item.kind == DOUBLE_VOTE:
            return Seen(slot, newest, f"voted twice for checkpoint {newest}, differently")
        outer, inner = (one, other) if one.target > other.target else (other, one)
        what = f"voted from checkpoint {outer.source} to {outer.target}, around the vote {inner.source} to"
        return Seen(slot, newest, f"{what} {inner.target}")
    slot = Header.decode(item.proof[0]).slot
    if item.kind == DOUBLE_BLOCK:
        return Seen(slot, None, f"made two blocks for slot {slot}")
    return Seen(slot, None, f"signed a header for slot {slot} that its own bytes show to be wrong")


def _decoded(stored: bytes | None) -> list[Evidence]:
    if stored is None:
        return []
    rows = decode(stored, _MAX_STORED)
    if type(rows) is not tuple:
        raise ValueError("the proofs of offences are no list")
    found = []
    for row in rows:
        if type(row) is not tuple or tuple(map(type, row)) != (int, bytes, tuple) or row[0] not in _NAMES:
            raise ValueError("a proof of an offence is malformed")
        found.append(Evidence._make(cast("tuple[int, bytes, tuple[bytes, ...]]", row)))
    return found
