"""The send queue: what is urgent overtakes, and nothing grows beyond its share."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from node.mesh.sending import SendQueue, Waiting

BUDGETS = (200, 1_000, 500)


def test_urgent_frames_overtake_and_keep_their_order() -> None:
    queue = SendQueue(BUDGETS, Waiting(10_000))
    for urgency, body in ((2, b"bulk"), (1, b"one"), (1, b"two"), (0, b"first")):
        assert queue.add(urgency, b"-", body)
    assert queue.take(1 << 20) == [b"-", b"first", b"-", b"one", b"-", b"two", b"-", b"bulk"]
    assert not queue
    assert queue.size == 0
    assert queue.take(100) == []


def test_a_class_that_is_full_takes_no_more_and_leaves_others_alone() -> None:
    queue = SendQueue(BUDGETS, Waiting(10_000))
    assert queue.add(2, b"", bytes(400))
    assert not queue.add(2, b"", bytes(100))
    assert queue.add(1, b"", bytes(800))
    assert queue.add(0, b"", b"")
    queue.take(1 << 20)
    assert queue.add(2, b"", bytes(100))


def test_one_frame_larger_than_its_budget_still_goes() -> None:
    queue = SendQueue(BUDGETS, Waiting(10_000))
    assert queue.add(1, b"", bytes(5_000))
    assert not queue.add(1, b"", b"")
    assert queue.take(1) == [b"", bytes(5_000)]


def test_frames_are_taken_whole_and_at_least_one() -> None:
    queue = SendQueue(BUDGETS, Waiting(10_000))
    for _ in range(4):
        queue.add(1, b"hd", bytes(98))
    assert len(queue.take(1)) == 2
    assert len(queue.take(150)) == 4
    assert len(queue.take(1)) == 2


def test_empty_frames_are_not_free() -> None:
    queue = SendQueue(BUDGETS, Waiting(10_000))
    assert sum(queue.add(2, b"", b"") for _ in range(1_000)) < 10


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 300)) | st.integers(1, 400)))
def test_sizes_never_exceed_the_budgets_and_nothing_is_lost(steps: list[tuple[int, int] | int]) -> None:
    queue = SendQueue(BUDGETS, Waiting(10_000))
    added: list[list[bytes]] = [[], [], []]
    taken: list[list[bytes]] = [[], [], []]
    for number, step in enumerate(steps):
        if isinstance(step, int):
            pieces = queue.take(step)
            for head in pieces[::2]:
                taken[head[0]].append(head)
            continue
        urgency, size = step
        head = bytes((urgency,)) + number.to_bytes(4)
        if queue.add(urgency, head, bytes(size)):
            added[urgency].append(head)
        assert queue.size <= sum(BUDGETS) + 64
    for head in queue.take(1 << 30)[::2]:
        taken[head[0]].append(head)
    assert taken == added
    assert queue.size == 0


def test_all_links_together_hold_so_much_but_each_its_share() -> None:
    shared = Waiting(10_000)
    greedy, modest = (SendQueue((20_000,), shared) for _ in range(2))
    while greedy.add(0, b"", bytes(100)):
        pass
    assert 9_000 < greedy.size == shared.size <= 10_000
    while modest.add(0, b"", bytes(100)):
        pass
    assert 4_500 < modest.size <= 5_000
    assert not greedy.add(0, b"", bytes(100)), "it has more than its share"
    modest.take(1)
    assert modest.add(0, b"", bytes(100))
    greedy.clear()
    modest.take(1 << 20)
    assert (shared.size, shared.links) == (0, 0)
    assert greedy.add(0, b"", bytes(30_000)), "an empty one takes a frame of any size"
