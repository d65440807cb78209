"""One node in full, linked or only known, as it was when this was opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import ComposeResult

from nexus_tui.dialogs.base import Dialog
from nexus_tui.dialogs.confirm import Facts
from nexus_tui.format import exactly_when, group, groups, place, size, span, when
from nexus_tui.sanitize import sanitize
from nexus_tui.widgets.peers import address, delay, told_words
from node.encoding.node_id import node_text

if TYPE_CHECKING:
    from node.api.records import KnownView, PeerView


class PeerDialog(Dialog[None]):
    """Closes without a result."""

    title_text = "Peer"
    scrolls = True

    def __init__(self, peer: PeerView, rates: tuple[int, int] | None = None) -> None:
        super().__init__()
        self._peer = peer
        self._rates = rates

    def body(self) -> ComposeResult:
        """See `Dialog.body`."""
        peer = self._peer
        received, sent = ("", "") if self._rates is None else (f", {size(count)} a second" for count in self._rates)
        yield Facts(
            [
                ("Node", groups(node_text(peer.node))),
                ("Address", address(peer)),
                ("Program", sanitize(peer.agent, 64) or "unnamed"),
                ("Link", "it called this node" if peer.inbound else "this node called it"),
                ("Linked", f"for {span(peer.linked_ms)}, since {exactly_when(peer.since_ms)}"),
                ("Delay", delay(peer.delay_ms) or "not measured yet"),
                ("Received", size(peer.bytes_in) + received),
                ("Sent", size(peer.bytes_out) + sent),
                ("Brought", f"{peer.brought:,} fresh blocks before any other peer"),
                (
                    "Light",
                    f"most of the last ones are {sanitize(peer.region, 12)}" if peer.region else "none stands out",
                ),
                ("Score", f"{peer.score:,} blue blocks when the link was made"),
                ("Blocks", "this node still fetches what the peer has" if peer.behind else "nothing to fetch from it"),
                ("Faults", f"{peer.faults} of 100; at 100 the link ends"),
            ]
        )


class KnownDialog(Dialog[None]):
    """A node of the address book. Closes without a result."""

    title_text = "Known node"
    scrolls = True

    def __init__(self, known: KnownView, now_ms: int) -> None:
        super().__init__()
        self._known = known
        self._now_ms = now_ms

    def body(self) -> ComposeResult:
        """See `Dialog.body`."""
        known = self._known
        teller = known.told_by if known.told_by not in (b"", known.node) else None
        yield Facts(
            [
                ("Node", groups(node_text(known.node))),
                ("Address", place(sanitize(known.host, 80), known.port)),
                ("Group", group(sanitize(known.group, 80))),
                ("Told by", groups(node_text(teller)) if teller is not None else told_words(known)),
                ("Linked last", "never" if known.reached_ms is None else when(known.reached_ms, self._now_ms)),
                ("Failures", f"{known.failures} since"),
            ]
        )
