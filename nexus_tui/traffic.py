"""What is shown of links that never stand still: bytes a second out of totals, and delays without their jitter."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from node.api.records import MeshView, PeerView

_LEAST_MS = 4_000
"""Two looks so far apart make a rate: what is read in quick succession would only jump about."""
_LEAST = 100
"""Less than so many bytes a second is a ping now and then: nothing passes."""

_JITTER_MS = 20


class _Seen(NamedTuple):
    linked_ms: int
    received: int
    sent: int


class Rates:
    """Rates of the links that the last views showed. The time is how long a link is there, so no clock is needed."""

    def __init__(self) -> None:
        self._seen: dict[bytes, _Seen] = {}
        self._rates: dict[bytes, tuple[int, int]] = {}

    def learn(self, mesh: MeshView) -> None:
        """Take note of a view."""
        for node in self._seen.keys() - {peer.node for peer in mesh.peers}:
            del self._seen[node]
            self._rates.pop(node, None)
        for peer in mesh.peers:
            self._learn(peer)

    def _learn(self, peer: PeerView) -> None:
        now = _Seen(peer.linked_ms, peer.bytes_in, peer.bytes_out)
        before = self._seen.get(peer.node)
        if before is None or now.linked_ms < before.linked_ms or now.received < before.received:
            self._seen[peer.node] = now
            self._rates.pop(peer.node, None)
            return
        passed = now.linked_ms - before.linked_ms
        if passed >= _LEAST_MS:
            self._seen[peer.node] = now
            rates = ((now.received - before.received), (now.sent - before.sent))
            received, sent = (count * 1_000 // passed for count in rates)
            self._rates[peer.node] = received if received >= _LEAST else 0, sent if sent >= _LEAST else 0

    def of(self, node: bytes) -> tuple[int, int] | None:
        """Bytes a second in and out; None while that is not known."""
        return self._rates.get(node)


class Delays:
    """Delays as they were first seen, until they are clearly others: a ping measures another one each time, and every
    new figure would be sent to the terminal."""

    def __init__(self) -> None:
        self._shown: dict[bytes, int | None] = {}

    def steady(self, mesh: MeshView) -> MeshView:
        """The view with the delays that are shown."""
        before, self._shown = self._shown, {}
        for peer in mesh.peers:
            shown, now = before.get(peer.node), peer.delay_ms
            near = shown is not None and now is not None and abs(now - shown) <= max(_JITTER_MS, shown // 4)
            self._shown[peer.node] = shown if near else now
        return replace(mesh, peers=tuple(replace(peer, delay_ms=self._shown[peer.node]) for peer in mesh.peers))
