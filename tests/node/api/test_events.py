"""Events: in order, bounded, the oldest dropped and counted, an end for everybody."""

from __future__ import annotations

import asyncio

import pytest

from node.api.errors import NoNode, UsageError
from node.api.events import QUEUE_LENGTH, EventHub, EventQueue
from node.api.interface import TOPICS
from node.api.records import Event


def event(number: int, topic: str = "transaction") -> Event:
    return Event(topic, units=number)


async def test_topics_are_kept_apart() -> None:
    hub = EventHub()
    async with hub.subscribe(("block",)) as blocks, hub.subscribe() as everything:
        hub.publish(event(1, "balance"))
        hub.publish(event(2, "block"))
        assert (await anext(blocks)).units == 2
        assert [(await anext(everything)).units for _ in range(2)] == [1, 2]
        assert hub.subscribers == 2
    assert hub.subscribers == 0
    for topics in ((), ("weather",), ("block",) * (len(TOPICS) + 1)):
        with pytest.raises(UsageError):
            async with hub.subscribe(topics):
                pass


async def test_a_slow_reader_loses_the_oldest_and_is_told() -> None:
    hub = EventHub()
    async with hub.subscribe() as events:
        for number in range(QUEUE_LENGTH + 100):
            hub.publish(event(number))
        first = await anext(events)
        assert (first.units, first.missed) == (100, 100)
        second = await anext(events)
        assert (second.units, second.missed) == (101, 0)


async def test_missed_counts_add_up_along_a_chain() -> None:
    queue = EventQueue(2)
    for number in range(4):
        queue.put(Event("block", units=number, missed=10))
    found = await queue.get()
    assert found is not None
    assert found.missed == 2 + 2 * 10 + 10


async def test_closing_ends_readers_after_what_is_left() -> None:
    hub = EventHub()
    async with hub.subscribe() as events:
        hub.publish(event(1))
        waiting = asyncio.create_task(collect(events))
        await asyncio.sleep(0)
        hub.publish(event(2))
        hub.close()
        assert await asyncio.wait_for(waiting, 60) == [1, 2]
    async with hub.subscribe() as late:
        assert await collect(late) == []


async def test_a_queue_can_end_in_an_error() -> None:
    queue = EventQueue()
    queue.put(event(1))
    queue.close(NoNode("connection_lost", "gone"))
    assert (await anext(queue)).units == 1
    with pytest.raises(NoNode):
        await anext(queue)


async def collect(events: object) -> list[int | None]:
    return [found.units async for found in events]  # type: ignore[attr-defined]
