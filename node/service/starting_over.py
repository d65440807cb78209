"""A node that was away for longer than its peers keep whole blocks: its chain begins anew from its own last final
checkpoint, by the phase before the chain is opened (`node.service.bootstrap`)."""

from __future__ import annotations

import asyncio

from node.profile.modes import ARCHIVE
from node.profile.paths import ProfilePaths
from node.service.beginning import Beginning, keep_beginning, read_beginning
from node.service.follower import TOO_FAR_BEHIND
from node.service.node import Node

AGAIN_S = 600.0
"""After a try in vain the next one comes so much later."""


class StartingOver:
    """Made for each time the node is open; `node.cut_off` is its `begin`."""

    def __init__(self, paths: ProfilePaths, node: Node) -> None:
        self._paths = paths
        self._node = node
        self._tried = paths.beginning.exists()  # and nobody gave it
        self._timer: asyncio.TimerHandle | None = None
        self._begun = False

    def begin(self) -> None:
        """Tell the owner, and have the node opened again."""
        if self._begun:
            return
        if self._node.kind == ARCHIVE:
            self._node.alerts.put(
                TOO_FAR_BEHIND,
                "error",
                "No peer here keeps the blocks that this archive lacks. It does not begin anew from a checkpoint: that "
                "would lose the history before; what is here was kept.",
                "Connect it with another archive: nexus mesh connect NODE@HOST:PORT. To follow the chain without the "
                "gap: nexus config set node.mode full, and start it again.",
            )
            return
        final, kept = self._node.engine.final, read_beginning(self._paths)
        if kept is None and final.height:
            keep_beginning(self._paths, Beginning(final.hash, over=True))
        elif kept is None:
            self._node.alerts.put(
                TOO_FAR_BEHIND,
                "error",
                "Peers keep no longer the blocks that this node lacks, and it knows no final checkpoint to begin from. "
                "What is here was kept.",
                "Stop the node, and give it a fresh invitation: nexus mesh join URI",
            )
            return
        self._begun = True
        when = f"in {AGAIN_S / 60:.0f} minutes, since nobody could give it just now" if self._tried else "now"
        self._node.alerts.put(
            TOO_FAR_BEHIND,
            "warning",
            f"Peers keep no longer the blocks that this node lacks: it was away for too long. It begins anew {when}: "
            "the state at a newer checkpoint is fetched and checked, by its own last final one or an invitation. "
            "Wallets, keys and waiting payments stay; the history before is not kept.",
            "If its own checkpoint is too old by now, stop the node and give it a fresh invitation: "
            "nexus mesh join URI",
        )
        if self._tried:
            self._timer = asyncio.get_running_loop().call_later(AGAIN_S, self._again)
        else:
            self._node.again_requested.set()

    def _again(self) -> None:
        """Unless it caught up by itself meanwhile."""
        self._begun = False
        if self._node.alerts.stands(TOO_FAR_BEHIND):
            self._node.again_requested.set()

    def close(self) -> None:
        """The node is closed."""
        if self._timer is not None:
            self._timer.cancel()
