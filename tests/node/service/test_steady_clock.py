"""A clock that is set is noticed at the next look; one that goes wrong slowly is not."""

from __future__ import annotations

from node.service.steady_clock import SLACK_MS, SteadyClock, boot_ms


class Hands:
    """Two clocks that a test moves by hand."""

    def __init__(self) -> None:
        self.wall, self.boot = 1_800_000_000_000, 5_000
        self.told: list[int] = []
        self.clock = SteadyClock(lambda: self.wall, lambda: self.boot, self.told.append)

    def passes(self, ms: int, by: int = 0) -> None:
        self.boot += ms
        self.wall += ms + by


def test_time_that_passes_is_no_jump_however_long_nobody_looked() -> None:
    hands = Hands()
    for ms in (1, 60_000, 12 * 3_600_000):
        hands.passes(ms)
        assert hands.clock() == hands.wall
    assert hands.told == []


def test_a_clock_that_is_set_is_told_once() -> None:
    hands = Hands()
    for by in (3_600_000, -86_400_000, 40 * 365 * 86_400_000):
        hands.passes(1_000, by)
        assert hands.clock() == hands.wall
        assert hands.clock() == hands.wall
        assert hands.told == [by]
        hands.told.clear()


def test_small_corrections_pass() -> None:
    hands = Hands()
    for _ in range(20):
        hands.passes(1_000, SLACK_MS // 2)
        hands.clock()
    assert hands.told == []


def test_the_second_clock_never_goes_back() -> None:
    assert boot_ms() <= boot_ms()
