"""Frames on a link (protocol section 10): four bytes of length, big-endian, of what follows: a type byte and a body.

The length is held against the type's limit as soon as both are there, before anything of the body is kept. What comes
out does not depend on how the bytes were cut on their way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

HEAD_SIZE = 5
Frame = tuple[int, bytes]
"""A type and a body."""
FrameLimit = Callable[[int], int | None]
"""The largest body of a type; None for a type that does not exist."""


class FrameError(ValueError):
    """Bytes that are no frame of this protocol: the link cannot go on. `code` names the fault."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def frame_head(kind: int, size: int) -> bytes:
    """What goes before a body of `size` bytes."""
    return (size + 1).to_bytes(4) + kind.to_bytes()


class FrameDecoder:
    """Cuts a stream into frames. `limit` may be replaced between frames.

    It keeps at most one unfinished frame, which is never longer than its limit.
    """

    def __init__(self, limit: FrameLimit) -> None:
        self.limit = limit
        self._rest = bytearray()
        self._missing = HEAD_SIZE  # bytes until the rest can be looked at again

    @property
    def unfinished(self) -> bool:
        """Whether the stream stands in the middle of a frame."""
        return bool(self._rest)

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that `data` completes, in order; run it to its end before the next call.

        Raises FrameError after the last good frame; the decoder is of no use then.
        """
        start = 0
        while self._rest:
            part = data[start : start + self._missing]
            start += len(part)
            self._missing -= len(part)
            self._rest += part
            if self._missing:
                return
            end = HEAD_SIZE + self._body_size(self._rest, 0)
            if len(self._rest) < end:
                self._missing = end - len(self._rest)
                continue
            frame = self._rest[4], bytes(memoryview(self._rest)[HEAD_SIZE:])
            self._rest = bytearray()
            yield frame
        end = len(data)
        while end - start >= HEAD_SIZE:
            stop = start + HEAD_SIZE + self._body_size(data, start)
            if stop > end:
                self._missing = stop - end
                break
            yield data[start + 4], data[start + HEAD_SIZE : stop]
            start = stop
        else:
            self._missing = HEAD_SIZE - (end - start)
        self._rest += data[start:]

    def _body_size(self, data: bytes | bytearray, start: int) -> int:
        size = int.from_bytes(data[start : start + 4]) - 1
        kind = data[start + 4]
        if size < 0:
            raise FrameError("empty_frame", "A frame without a type.")
        limit = self.limit(kind)
        if limit is None:
            raise FrameError("unknown_type", f"A frame of type {kind}, which does not exist here.")
        if size > limit:
            raise FrameError("oversize", f"A frame of type {kind} with {size:,} bytes; at most {limit:,} are allowed.")
        return size
