"""A day's data is counted over restarts, and begins anew with the day."""

from __future__ import annotations

from node.mesh.protocol.allowance import NEAR, PLENTY, SPENT, Allowance

DAY = 740_000


def test_the_count_goes_on_after_a_restart() -> None:
    made = Allowance(1_000)
    made.count(700, DAY)
    assert made.state == PLENTY
    again = Allowance(1_000, made.day, made.used)
    again.count(99, DAY)
    assert (again.used, again.state) == (799, PLENTY)
    again.count(100, DAY)
    assert again.state == NEAR
    again.count(300, DAY)
    assert (again.used, again.state) == (1_000, SPENT)


def test_another_day_begins_anew() -> None:
    made = Allowance(1_000, DAY, 5_000)
    assert made.state == SPENT
    made.count(10, DAY + 1)
    assert (made.used, made.state) == (10, PLENTY)
    made.count(960, DAY + 1)
    assert made.state == NEAR
    made.count(960, DAY)
    assert made.state == PLENTY, "the clock was set back: a day's name alone counts"


def test_without_a_bound_there_is_always_plenty() -> None:
    made = Allowance(0)
    made.count(1 << 50, DAY)
    assert made.state == PLENTY
