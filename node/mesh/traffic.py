"""What passed over all links of a node since it started, by type of message and direction; ended links count on."""

from __future__ import annotations

from node.mesh.protocol.frames import HEAD_SIZE


class Traffic:
    """Frames and their bytes, without what TLS adds. One object serves every link of a node."""

    def __init__(self) -> None:
        self.received: dict[int, tuple[int, int]] = {}
        """Type of message → frames and bytes."""
        self.sent: dict[int, tuple[int, int]] = {}

    def count_received(self, kind: int, size: int) -> None:
        """A frame with a body of so many bytes came."""
        frames, total = self.received.get(kind, (0, 0))
        self.received[kind] = frames + 1, total + size + HEAD_SIZE

    def count_sent(self, kind: int, size: int) -> None:
        """A frame with a body of so many bytes was taken to be sent."""
        frames, total = self.sent.get(kind, (0, 0))
        self.sent[kind] = frames + 1, total + size + HEAD_SIZE

    @property
    def bytes_received(self) -> int:
        """Bytes of all frames that came."""
        return sum(total for _, total in self.received.values())

    @property
    def bytes_sent(self) -> int:
        """Bytes of all frames that were sent."""
        return sum(total for _, total in self.sent.values())
