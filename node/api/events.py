"""Events to many readers through bounded queues: a slow reader never holds anybody up and never fills the memory.

A full queue drops its oldest event; the next one read says in `missed` how many were lost.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from node.api.bounds import check_topics
from node.api.errors import NexusError
from node.api.interface import TOPICS
from node.api.records import Event

QUEUE_LENGTH = 256


class EventQueue:
    """Events for one reader, in order, at most `length` at a time. For one event loop."""

    def __init__(self, length: int = QUEUE_LENGTH) -> None:
        self._events: deque[Event] = deque()
        self._length = length
        self._missed = 0
        self._ready = asyncio.Event()
        self._closed = False
        self._error: NexusError | None = None

    def __len__(self) -> int:
        return len(self._events)

    def put(self, event: Event) -> None:
        """Add an event; drops the oldest when full. Never waits."""
        if self._closed:
            return
        if len(self._events) >= self._length:
            self._missed += 1 + self._events.popleft().missed
        self._events.append(event)
        self._ready.set()

    def close(self, error: NexusError | None = None) -> None:
        """No more events: the reader gets what is left, then its end or `error`."""
        self._closed = True
        self._error = error
        self._ready.set()

    async def get(self) -> Event | None:
        """The next event, None at the end."""
        while not self._events:
            if self._closed:
                if self._error is not None:
                    raise self._error
                return None
            self._ready.clear()
            await self._ready.wait()
        event = self._events.popleft()
        if self._missed:
            event = replace(event, missed=event.missed + self._missed)
            self._missed = 0
        return event

    def __aiter__(self) -> EventQueue:
        return self

    async def __anext__(self) -> Event:
        event = await self.get()
        if event is None:
            raise StopAsyncIteration
        return event


class EventHub:
    """Hands each published event to every subscriber of its topic."""

    def __init__(self) -> None:
        self._readers: dict[EventQueue, frozenset[str]] = {}
        self._closed = False

    @property
    def subscribers(self) -> int:
        """How many subscriptions there are now."""
        return len(self._readers)

    def publish(self, event: Event) -> None:
        """Give an event to its readers. Never waits; call it from the hub's event loop."""
        for queue, topics in self._readers.items():
            if event.topic in topics:
                queue.put(event)

    @asynccontextmanager
    async def subscribe(self, topics: tuple[str, ...] = TOPICS) -> AsyncIterator[AsyncIterator[Event]]:
        """Events of these topics from now on. Raises UsageError for an unknown topic."""
        check_topics(topics)
        queue = EventQueue()
        if self._closed:
            queue.close()
        else:
            self._readers[queue] = frozenset(topics)
        try:
            yield queue
        finally:
            self._readers.pop(queue, None)

    def close(self) -> None:
        """End all subscriptions."""
        self._closed = True
        for queue in self._readers:
            queue.close()
