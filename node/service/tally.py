"""What a node counts of its own work since it started: for its owner's measurements, and to tell how long fetching the
rest will take."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from node.consensus.dagblocks import Progress

_WINDOW_MS = 30_000
_STEP_MS = 1_000


class Tally:
    """Counts of the engine's steps. `now_ms` is any clock in milliseconds."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self.blocks = 0
        """Taken into the DAG, own ones too."""
        self.executed = 0
        """Transactions that the selected chain executed; again after a reorganisation."""
        self.reorganisations = 0
        self.undone = 0
        """Blocks that reorganisations took off the selected chain."""
        self._lately: deque[tuple[int, int]] = deque()  # a time, and blocks of the second from there on

    def count(self, progress: Progress) -> None:
        """Take note of a step."""
        self.executed += sum(len(step.receipts) for step in progress.applied)
        if progress.undone:
            self.reorganisations += 1
            self.undone += len(progress.undone)
        if progress.added:
            self.blocks += len(progress.added)
            self._note(len(progress.added))

    def _note(self, blocks: int) -> None:
        now = self._now_ms()
        if self._lately and 0 <= now - self._lately[-1][0] < _STEP_MS:
            began, before = self._lately.pop()
            self._lately.append((began, before + blocks))
        else:
            self._lately.append((now, blocks))
        while self._lately[0][0] < now - _WINDOW_MS or self._lately[0][0] > now:
            self._lately.popleft()

    def ms_for(self, blocks: int) -> int | None:
        """How long so many more blocks take, as they came lately; None where too few came to tell."""
        now = self._now_ms()
        lately = [(began, count) for began, count in self._lately if now - _WINDOW_MS <= began <= now]
        came = sum(count for _, count in lately)
        span = now - lately[0][0] if lately else 0
        return blocks * span // came if came and span >= _STEP_MS else None
