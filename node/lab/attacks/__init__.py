"""The registry of attacks, by name."""

from __future__ import annotations

from node.lab.attacks.attack import Attack
from node.lab.attacks.linking import Bodiless, Eclipse, InventorySpam
from node.lab.attacks.making import Equivocate, Spam, StaleParents, Withhold, WrongRegion
from node.lab.attacks.plotting import LateFill, SelfishMining, WithheldReveals
from node.lab.attacks.voting import DoubleVote, Silent, SplitVotes, Surround, Whale

_ALL: tuple[type[Attack], ...] = (
    Attack,
    Withhold,
    Equivocate,
    DoubleVote,
    Surround,
    Spam,
    StaleParents,
    WrongRegion,
    SelfishMining,
    LateFill,
    SplitVotes,
    Whale,
    WithheldReveals,
    Silent,
    Bodiless,
    InventorySpam,
    Eclipse,
)
ATTACKS: dict[str, type[Attack]] = {kind.name: kind for kind in _ALL}
