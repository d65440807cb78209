"""Who is asked for which part of a snapshot, as a state machine (protocol section 10).

A snapshot at a checkpoint comes in sections: the 256 buckets of the state, the same bytes from everybody, and the front
(the blocks around the checkpoint), of which each peer has its own. A section comes from one peer in parts, so that a
lie has a giver: he is sent away, and another is asked. Several peers are asked at once. Who sleeps is passed over, and
what a slow one holds is taken from him by one who is much faster and has nothing else to do.

Whether a checkpoint is to be believed and a section is true its host finds out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from node.mesh.protocol.effects import Close, Send
from node.mesh.protocol.limits import BAN_MS, MAX_SLEEPS, OFFER_MS, PART_MS, PARTS_IN_FLIGHT
from node.mesh.protocol.messages import FRONT, PART_SIZE, AskPart, AskSnapshot, Offer, Part

_FASTER = 4
_ASKING = 16 << 10
"""Bytes that come in about the time that a question takes."""


class Offered(NamedTuple):
    """A peer has this snapshot. The host calls `use` or `pass_over`, and `begin` before for a first or another one."""

    peer: int
    offer: Offer


class Came(NamedTuple):
    """The next bytes of a section. After the `last` ones the host calls `checked`."""

    peer: int
    section: int
    data: bytes
    last: bool


class Dropped(NamedTuple):
    """What came of a section from this peer is of no use any more: another is asked for the whole of it."""

    peer: int
    section: int


class Progress(NamedTuple):
    """What is done of all work, in bytes, each section counting `_ASKING` more than it has; and how long the rest takes
    at the rate so far (None: not known yet)."""

    done: int
    total: int
    left_ms: int | None


FetchEffect = Send | Close | Offered | Came | Dropped


class _Peer:
    def __init__(self, now_ms: int) -> None:
        self.sizes: tuple[int, ...] | None = None  # of the sections that it offers, if it may be asked for them
        self.waits_for_offer = False
        self.due_ms = now_ms  # when it is asked for an offer, or one is waited for no longer
        self.asked: deque[tuple[int, int]] = deque()  # section and part; those of sections it holds no more as well
        self.holds: dict[int, int] = {}  # section → the part of it that is asked for next
        self.gave_ms = now_ms
        self.began_ms = now_ms
        self.given = 0  # parts
        self.sleeps = 0
        self.asleep = False

    def is_faster(self, other: _Peer, now_ms: int) -> bool:
        mine, theirs = max(1, now_ms - self.began_ms), max(1, now_ms - other.began_ms)
        return self.given * theirs > _FASTER * other.given * mine


class Fetching:
    """See the module. Every call may add to `effects`, which the owner takes and carries out."""

    def __init__(self, trusted: bytes = b"") -> None:
        """`trusted` is the hash, or the beginning of it, of the checkpoint that peers are asked for first."""
        self.checkpoint: bytes | None = None
        """The hash of that whose snapshot is fetched."""
        self._trusted = trusted
        self.effects: list[FetchEffect] = []
        self._peers: dict[int, _Peer] = {}
        self._lacking: list[int] = []  # sections that nobody is asked for
        self._holders: dict[int, tuple[int, int]] = {}  # section → peer, and since when
        self._taken: dict[int, int] = {}  # section → how often it was taken from somebody slow
        self._arrived: dict[int, int] = {}  # section → bytes that came from its holder
        self._judging: set[int] = set()
        self._done: set[int] = set()
        self._sizes: tuple[int, ...] = ()
        self._began_ms, self._had = 0, 0

    def take_effects(self) -> list[FetchEffect]:
        """The effects since the last call."""
        taken, self.effects = self.effects, []
        return taken

    # -- what is wanted -------------------------------------------------------------------------------------------

    def begin(self, checkpoint: bytes, sizes: tuple[int, ...], lacking: Iterable[int], now_ms: int) -> None:
        """Fetch the snapshot at a checkpoint from now on: these sections of it are not here. `sizes` are for
        `progress` alone."""
        for number in list(self._peers):
            self._release(number)
            self._peers[number].sizes = None
        self.checkpoint = checkpoint
        wanted = sorted(set(lacking), key=lambda section: (section != FRONT, section))
        self._lacking, self._sizes = wanted, sizes
        self._done = set(range(len(sizes))) - set(wanted)
        self._judging.clear()
        self._taken.clear()
        self._began_ms, self._had = now_ms, self._work(self._done)
        for peer in self._peers.values():
            if not peer.waits_for_offer:
                peer.due_ms = now_ms

    def use(self, number: int, sizes: tuple[int, ...], now_ms: int) -> None:
        """What a peer offers is of the checkpoint that is fetched: ask him too."""
        if (peer := self._peers.get(number)) is not None:
            peer.sizes, peer.began_ms, peer.given = sizes, now_ms, 0
            self._assign(now_ms)

    def pass_over(self, number: int, now_ms: int) -> None:
        """What a peer offers cannot be used: he is asked again later."""
        if (peer := self._peers.get(number)) is not None:
            peer.due_ms = now_ms + OFFER_MS

    def checked(self, number: int, section: int, good: bool, now_ms: int) -> None:
        """The host looked at a whole section. A bad one sends its giver away; one that was good may turn out bad."""
        self._judging.discard(section)
        if good:
            self._done.add(section)
        else:
            self._done.discard(section)
            if section not in self._holders and section not in self._lacking:
                self._lacking.insert(0, section)
            self._close(number, "false_part", "It gave a false part of a snapshot.", BAN_MS)
        self._assign(now_ms)

    @property
    def complete(self) -> bool:
        """Whether all sections are here and checked."""
        return self.checkpoint is not None and not (self._lacking or self._holders or self._judging)

    @property
    def sources(self) -> int:
        """How many peers can be asked for what is fetched."""
        return sum(peer.sizes is not None for peer in self._peers.values())

    def progress(self, now_ms: int) -> Progress:
        """How far it is."""
        done = self._work((*self._done, *self._judging))
        done += sum(min(self._arrived.get(section, 0), self._sizes[section]) for section in self._holders)
        total, fresh, passed = self._work(range(len(self._sizes))), done - self._had, now_ms - self._began_ms
        return Progress(done, total, (total - done) * passed // fresh if fresh > 0 and passed > 0 else None)

    def _work(self, sections: Iterable[int]) -> int:
        return sum(self._sizes[section] + _ASKING for section in sections)

    # -- links ----------------------------------------------------------------------------------------------------

    def connected(self, number: int, now_ms: int) -> None:
        """A link is up: what does he have?"""
        self._peers[number] = peer = _Peer(now_ms)
        self._ask_for_offer(number, peer, now_ms)

    def disconnected(self, number: int, now_ms: int) -> None:
        """A link is gone."""
        if number in self._peers:
            self._release(number)
            del self._peers[number]
            self._assign(now_ms)

    def received(self, number: int, message: Offer | Part, now_ms: int) -> None:
        """An answer came from a peer."""
        peer = self._peers.get(number)
        if peer is None:
            return
        if isinstance(message, Offer):
            self._take_offer(number, peer, message, now_ms)
        else:
            self._take_part(number, peer, message, now_ms)
        self._assign(now_ms)

    def _ask_for_offer(self, number: int, peer: _Peer, now_ms: int) -> None:
        peer.waits_for_offer, peer.due_ms = True, now_ms + PART_MS
        self.effects.append(Send(number, AskSnapshot(self.checkpoint or self._trusted)))

    def _take_offer(self, number: int, peer: _Peer, offer: Offer, now_ms: int) -> None:
        if not peer.waits_for_offer:
            self._close(number, "unasked", "It offered what it was not asked for.", BAN_MS)
            return
        peer.waits_for_offer, peer.due_ms = False, now_ms + OFFER_MS
        if offer.checkpoint:
            self.effects.append(Offered(number, offer))

    def _take_part(self, number: int, peer: _Peer, part: Part, now_ms: int) -> None:
        if not peer.asked or peer.asked[0] != (part.section, part.part):
            self._close(number, "unasked", "It gave what it was not asked for.", BAN_MS)
            return
        peer.asked.popleft()
        if part.data:
            peer.gave_ms, peer.asleep = now_ms, False
            peer.given += 1
        holder = self._holders.get(part.section)
        if holder is None or holder[0] != number or part.checkpoint != self.checkpoint or peer.sizes is None:
            return  # it is late: another is asked, or another snapshot is fetched
        if not part.data:  # it has the snapshot no longer
            self._release(number)
            peer.sizes, peer.due_ms = None, now_ms
            return
        size, before = peer.sizes[part.section], part.part * PART_SIZE
        if len(part.data) != min(PART_SIZE, size - before):
            self._close(number, "false_part", "A part of a snapshot has another size than was offered.", BAN_MS)
            return
        last = before + len(part.data) == size
        self._arrived[part.section] = before + len(part.data)
        self.effects.append(Came(number, part.section, part.data, last))
        if last:
            del self._holders[part.section], peer.holds[part.section], self._arrived[part.section]
            self._judging.add(part.section)
            peer.sleeps = 0

    def _release(self, number: int) -> None:
        """A peer holds nothing any more; whoever is free is asked."""
        peer = self._peers[number]
        for section in peer.holds:
            del self._holders[section]
            self._arrived.pop(section, None)
            self._lacking.append(section)
            self.effects.append(Dropped(number, section))
        self._lacking.sort(key=lambda section: (section != FRONT, section))
        peer.holds.clear()

    def _close(self, number: int, code: str, text: str, ban_ms: int) -> None:
        if number in self._peers:
            self._release(number)
            del self._peers[number]
        self.effects.append(Close(number, code, text, ban_ms))

    # -- whom to ask ----------------------------------------------------------------------------------------------

    def _assign(self, now_ms: int) -> None:
        """Give everybody who can work something to do; the fewer parts somebody was asked for, the earlier his turn."""
        able = [number for number, peer in self._peers.items() if peer.sizes is not None and not peer.asleep]
        while able:
            number = min(able, key=lambda one: len(self._peers[one].asked))
            if len(self._peers[number].asked) >= PARTS_IN_FLIGHT or not self._ask(number, now_ms):
                able.remove(number)

    def _ask(self, number: int, now_ms: int) -> bool:
        """Ask a peer for one more part; whether there was one."""
        peer = self._peers[number]
        assert peer.sizes is not None
        assert self.checkpoint is not None
        going = next((one for one, part in peer.holds.items() if part * PART_SIZE < peer.sizes[one]), None)
        if going is None and self._lacking:
            going = self._lacking.pop(0)
        if going is None:
            going = self._take_from_slow(peer, now_ms)
        if going is None:
            return False
        if going not in peer.holds:
            peer.holds[going], self._holders[going] = 0, (number, now_ms)
        if not peer.asked:
            peer.gave_ms = now_ms
        part = peer.holds[going]
        peer.holds[going] = part + 1
        peer.asked.append((going, part))
        self.effects.append(Send(number, AskPart(self.checkpoint, going, part)))
        return True

    def _take_from_slow(self, peer: _Peer, now_ms: int) -> int | None:
        """What somebody much slower holds for long. The more often that happened to a section, the longer."""
        for section, (holder, since_ms) in self._holders.items():
            other, times = self._peers[holder], self._taken.get(section, 0)
            if other is not peer and now_ms - since_ms >= PART_MS << times and peer.is_faster(other, now_ms):
                self._taken[section] = times + 1
                del other.holds[section], self._holders[section]
                self._arrived.pop(section, None)
                self.effects.append(Dropped(holder, section))
                return section
        return None

    # -- time -----------------------------------------------------------------------------------------------------

    def tick(self, now_ms: int) -> None:
        """Do what is due. To be called at `next_ms`, later is harmless."""
        for number, peer in list(self._peers.items()):
            if peer.asked and not peer.asleep and now_ms - peer.gave_ms >= PART_MS:
                peer.asleep = True
                self._release(number)
                self._passed_over(number, peer)
            elif peer.asked and peer.asleep and now_ms - peer.gave_ms >= PART_MS * (peer.sleeps + 1):
                self._passed_over(number, peer)
            elif peer.waits_for_offer and peer.due_ms <= now_ms:
                peer.due_ms = now_ms + PART_MS
                self._passed_over(number, peer)
            elif peer.sizes is None and not peer.waits_for_offer and peer.due_ms <= now_ms:
                self._ask_for_offer(number, peer, now_ms)
        self._assign(now_ms)

    def _passed_over(self, number: int, peer: _Peer) -> None:
        peer.sleeps += 1
        if peer.sleeps > MAX_SLEEPS:
            self._close(number, "silent", "It did not answer for too long.", 0)

    def next_ms(self, now_ms: int) -> int:
        """When `tick` is due."""
        due = [now_ms + PART_MS // 4]  # somebody may have become slow
        for peer in self._peers.values():
            if peer.asked:
                due.append(peer.gave_ms + PART_MS * (peer.sleeps + 1 if peer.asleep else 1))
            if peer.sizes is None:
                due.append(peer.due_ms)
        return max(min(due), now_ms + 1)
