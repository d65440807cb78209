"""One linked peer in full, as it was when this was opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import ComposeResult

from nexus_tui.dialogs.base import Dialog
from nexus_tui.dialogs.confirm import Facts
from nexus_tui.format import groups, size, span
from nexus_tui.sanitize import sanitize
from nexus_tui.widgets.peers import address, delay
from node.encoding.node_id import node_text

if TYPE_CHECKING:
    from node.api.records import PeerView


class PeerDialog(Dialog[None]):
    """Closes without a result."""

    title_text = "Peer"
    scrolls = True

    def __init__(self, peer: PeerView) -> None:
        super().__init__()
        self._peer = peer

    def body(self) -> ComposeResult:
        """See `Dialog.body`."""
        peer = self._peer
        yield Facts(
            [
                ("Node", groups(node_text(peer.node))),
                ("Address", address(peer)),
                ("Program", sanitize(peer.agent, 64) or "unnamed"),
                ("Link", "it called this node" if peer.inbound else "this node called it"),
                ("Linked for", span(peer.linked_ms)),
                ("Delay", delay(peer.delay_ms) or "not measured yet"),
                ("Received", size(peer.bytes_in)),
                ("Sent", size(peer.bytes_out)),
                ("Score", f"{peer.score:,} blue blocks when the link was made"),
                ("Blocks", "this node still fetches what the peer has" if peer.behind else "nothing to fetch from it"),
                ("Faults", f"{peer.faults} of 100; at 100 the link ends"),
            ]
        )
