"""The registry of attacks."""

from __future__ import annotations

from node.lab.attacks.attack import Attack

ATTACKS: dict[str, type[Attack]] = {kind.name: kind for kind in (Attack,)}
