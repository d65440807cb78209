"""What is wanted and of whom it was asked: one request at a time for each thing, the next source when one fails.

A thing is wanted because a peer said that it has it. Each peer has a line of its own, so that one who announces what
does not exist, or praises it, is only asked in vain himself; what is worth most by his own word is asked first. What
does not come in time, or is absent, is asked of the next source; without any left the wish is forgotten: whoever really
has the thing announces it again, or history names it.
"""

from __future__ import annotations

from node.mesh.protocol.limits import (
    MAX_BLOCKS_IN_FLIGHT,
    MAX_IN_FLIGHT,
    MAX_QUEUED,
    MAX_SOURCES,
    MAX_WISHES,
    PATIENCE,
    REQUEST_MS,
)
from node.mesh.protocol.line import Line
from node.mesh.protocol.messages import BLOCK, KINDS, MAX_ASKED

NEVER = 1 << 62
_MOST_SLOW = 16
Thing = tuple[int, bytes]
"""Kind and id."""


class _Wish:
    __slots__ = ("asked", "asked_ms", "sources")

    def __init__(self) -> None:
        self.sources: dict[int, int] = {}  # peer → what it says that the thing is worth
        self.asked: int | None = None
        self.asked_ms = 0


class _Source:
    """One peer's line of things to be asked of it, what was asked, by kind, and when it gave something last. `slow` are
    points, by kind: two for what it was asked for in vain, and one less for what came."""

    __slots__ = ("gave_ms", "queue", "slow", "under_way")

    def __init__(self) -> None:
        self.gave_ms = 0
        self.slow = [0 for _ in KINDS]
        self.queue = [Line() for _ in KINDS]
        self.under_way: list[dict[bytes, None]] = [{} for _ in KINDS]

    def room(self, kind: int) -> bool:
        return len(self.under_way[kind]) < (MAX_BLOCKS_IN_FLIGHT if kind == BLOCK else MAX_IN_FLIGHT)


class Requests:
    """All wishes of a node."""

    def __init__(self) -> None:
        self._wishes: dict[Thing, _Wish] = {}
        self._sources: dict[int, _Source] = {}
        self._lined: list[dict[int, None]] = [{} for _ in KINDS]  # sources in whose lines something may stand
        self.due_ms = NEVER
        """Not after the moment when the next answer is late."""

    def __len__(self) -> int:
        return len(self._wishes)

    def __contains__(self, thing: Thing) -> bool:
        return thing in self._wishes

    def want(self, kind: int, name: bytes, source: int, worth: int = 0) -> None:
        """A peer has a thing that is not here. The least wanted of a full line goes."""
        wish = self._wishes.get((kind, name))
        if wish is not None and (source in wish.sources or len(wish.sources) >= MAX_SOURCES):
            return
        found = self._sources.get(source)
        if found is None:
            found = self._sources[source] = _Source()
        queue = found.queue[kind]
        few = len(self._wishes) <= MAX_WISHES
        most = MAX_QUEUED if few else MAX_WISHES // len(KINDS) // len(self._sources)
        while len(queue) > most:
            self._pass_over(kind, queue.last, source)
        if len(queue) == most and worth <= queue.least:
            return
        if wish is None:
            wish = self._wishes[kind, name] = _Wish()
        wish.sources[source] = worth
        if wish.asked is not None:
            self.due_ms = min(self.due_ms, wish.asked_ms + REQUEST_MS)
            if self._sources[wish.asked].slow[kind] > found.slow[kind]:
                # Who announces first and gives late, or never, does not keep it from coming.
                self._pass_over(kind, name, wish.asked)
        if len(queue) == most:
            self._pass_over(kind, queue.last, source)
        queue.add(name, worth)
        self._lined[kind][source] = None

    def gave(self, kind: int, name: bytes, peer: int, now_ms: int) -> None:
        """A peer gave a wanted thing. Whoever is slow and gives one thing after the other keeps its turn."""
        if (source := self._sources.get(peer)) is not None:
            source.gave_ms = now_ms
            source.slow[kind] = max(0, source.slow[kind] - 1)
        self.came(kind, name)

    def came(self, kind: int, name: bytes) -> None:
        """The thing is here, or is wanted no more."""
        wish = self._wishes.pop((kind, name), None)
        if wish is not None:
            for source in wish.sources:
                self._sources[source].queue[kind].remove(name)
            if wish.asked is not None:
                self._sources[wish.asked].under_way[kind].pop(name, None)

    def is_asked(self, kind: int, name: bytes, peer: int) -> bool:
        """Whether the thing was asked of this peer and is still waited for."""
        source = self._sources.get(peer)
        return source is not None and name in source.under_way[kind]

    def under_way(self, peer: int, kind: int) -> int:
        """How many things of a kind a peer owes or is to be asked for."""
        source = self._sources.get(peer)
        return 0 if source is None else len(source.under_way[kind]) + len(source.queue[kind])

    def absent(self, kind: int, name: bytes, peer: int) -> None:
        """A peer does not have it after all."""
        if (kind, name) in self._wishes:
            self._note_vain(kind, peer)
            self._pass_over(kind, name, peer)

    def gone(self, peer: int) -> None:
        """A peer is gone: others are asked for what it owed."""
        source = self._sources.get(peer)
        if source is None:
            return
        for (kind, name), wish in list(self._wishes.items()):
            if peer in wish.sources:
                self._pass_over(kind, name, peer)
        del self._sources[peer]
        for lined in self._lined:
            lined.pop(peer, None)

    def late(self, now_ms: int) -> list[tuple[int, Thing]]:
        """What did not come in time, and who owed it; others are asked next."""
        if now_ms < self.due_ms:
            return []
        found: list[tuple[int, Thing]] = []
        for peer, source in self._sources.items():
            for kind, names in enumerate(source.under_way):
                found += [(peer, (kind, name)) for name in names if self._due_ms(source, kind, name) <= now_ms]
        for peer, (kind, name) in found:
            self._note_vain(kind, peer)
            self._pass_over(kind, name, peer)
        self.due_ms = self._next_ms()
        return found

    def _note_vain(self, kind: int, peer: int) -> None:
        slow = self._sources[peer].slow
        slow[kind] = min(_MOST_SLOW, slow[kind] + 2)

    def _due_ms(self, source: _Source, kind: int, name: bytes) -> int:
        wish = self._wishes[kind, name]
        patience = REQUEST_MS if len(wish.sources) > 1 else PATIENCE * REQUEST_MS
        return max(wish.asked_ms, source.gave_ms) + patience

    def ask(self, now_ms: int) -> list[tuple[int, int, tuple[bytes, ...]]]:
        """Requests to be sent now: peer, kind and ids of each. Sources take turns, so that all share the work."""
        found: list[tuple[int, int, tuple[bytes, ...]]] = []
        for kind in KINDS:
            turns = list(self._lined[kind])
            batches: dict[int, list[bytes]] = {}
            while turns:
                turns = [peer for peer in turns if self._take(peer, kind, now_ms, batches)]
            for peer, names in batches.items():
                for start in range(0, len(names), MAX_ASKED):
                    found.append((peer, kind, tuple(names[start : start + MAX_ASKED])))
        return found

    def _next_ms(self) -> int:
        return min(
            (
                self._due_ms(source, kind, name)
                for source in self._sources.values()
                for kind, names in enumerate(source.under_way)
                for name in names
            ),
            default=NEVER,
        )

    def _take(self, peer: int, kind: int, now_ms: int, batches: dict[int, list[bytes]]) -> bool:
        """Ask a peer for the next thing of its queue, or another that gave less in vain; False where there is nothing
        to ask for, or it owes enough already."""
        source = self._sources[peer]
        queue = source.queue[kind]
        while queue and source.room(kind):
            name = queue.pop()
            wish = self._wishes[kind, name]
            if wish.asked is not None:
                continue
            asked = self._best(kind, wish) if source.slow[kind] else peer
            best = self._sources[asked]
            if not best.room(kind):
                best.queue[kind].add(name, wish.sources[asked])
                self._lined[kind][asked] = None
                continue
            best.queue[kind].remove(name)
            wish.asked, wish.asked_ms = asked, now_ms
            self.due_ms = min(self.due_ms, now_ms + REQUEST_MS)
            best.under_way[kind][name] = None
            batches.setdefault(asked, []).append(name)
            return True
        if not queue:
            del self._lined[kind][peer]
        return False

    def _best(self, kind: int, wish: _Wish) -> int:
        """The source of a thing that gave least in vain."""
        return min(wish.sources, key=lambda peer: self._sources[peer].slow[kind])

    def _pass_over(self, kind: int, name: bytes, peer: int) -> None:
        """A source does not serve: it is struck from the wish, and the others stand in line again."""
        wish = self._wishes[kind, name]
        if peer not in wish.sources:
            return
        del wish.sources[peer]
        self._sources[peer].queue[kind].remove(name)
        if wish.asked == peer:
            self._sources[peer].under_way[kind].pop(name, None)
            wish.asked = None
        if wish.asked is None:
            for other, worth in wish.sources.items():
                self._sources[other].queue[kind].add(name, worth)
                self._lined[kind][other] = None
        if not wish.sources:
            del self._wishes[kind, name]
