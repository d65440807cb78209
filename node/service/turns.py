"""Whose turn it is: what peers say is heard a little at a time, and who says very much waits (protocol section 10).

All links are heard in one loop, so that a flood of one would make the others wait. Each may take some processor time at
once; who took more is in debt, and all debtors together get a share of the processor, so that who owes nothing finds
the loop free most of the time. What is not heard yet is not read from the network either.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

SLICE_S = 0.001
"""After so much in one go the others come first."""
AT_ONCE_S = 0.05
"""So much a link may take at once; an honest one that fetches a thousand blocks a second stays below the share."""
SHARE = 0.3
"""Of one processor, for each link that owes nothing, and for all debtors together."""


class Turns:
    """What all links share."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` tells seconds, as the loop does."""
        self.clock = clock
        self.paying = asyncio.Lock()
        """One debtor pays back at a time: if all came back at once, whoever owes nothing would wait for all of them."""


class Turn:
    """One link's account. Tell it what was `spent`, then `give_way`."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._left = AT_ONCE_S
        self._at = turns.clock()
        self._in_one_go = 0.0

    def spent(self, seconds: float) -> bool:
        """Note processor time that was taken; whether it is somebody else's turn."""
        now = self._turns.clock()
        self._left = min(AT_ONCE_S, self._left + (now - self._at) * SHARE) - seconds
        self._at = now
        self._in_one_go += seconds
        return self._left < 0 or self._in_one_go > SLICE_S

    async def give_way(self) -> None:
        """Let others have their turn; in debt wait until it is paid back."""
        self._in_one_go = 0.0
        if self._left >= 0:
            await asyncio.sleep(0)
            return
        async with self._turns.paying:
            await asyncio.sleep(-self._left / SHARE)
        self._left, self._at = 0.0, self._turns.clock()
