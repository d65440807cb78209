"""Links take turns: who says very much waits, whoever owes nothing does not wait for all debtors."""

from __future__ import annotations

import asyncio

import pytest

from node.service.turns import AT_ONCE_S, SHARE, SLICE_S, Turn, Turns


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr("node.service.turns.asyncio.sleep", self.sleep)
        self._real = asyncio.tasks.sleep

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await self._real(0)


def test_a_slice_then_the_others() -> None:
    turn = Turn(Turns(lambda: 0.0))
    assert not turn.spent(SLICE_S / 2)
    assert turn.spent(SLICE_S)


async def test_who_owes_waits_until_it_is_paid_back(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    turn = Turn(Turns(lambda: clock.now))
    turn.spent(AT_ONCE_S)
    await turn.give_way()
    assert clock.now == 0, "so much is free"
    turn.spent(0.03)
    await turn.give_way()
    assert clock.now == pytest.approx(0.03 / SHARE)
    clock.now += 10
    assert turn.spent(AT_ONCE_S)
    await turn.give_way()
    assert clock.now == pytest.approx(0.03 / SHARE + 10), "and is free again after a while"


async def test_all_debtors_together_have_one_share(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    shared = Turns(lambda: clock.now)
    used = 0.0

    async def greedy() -> None:
        nonlocal used
        turn = Turn(shared)
        turn.spent(AT_ONCE_S)
        for _ in range(20):
            used += 0.01
            if turn.spent(0.01):
                await turn.give_way()

    await asyncio.gather(*(greedy() for _ in range(8)))
    assert used == pytest.approx(1.6)
    assert clock.now == pytest.approx(used / SHARE, rel=0.1)
