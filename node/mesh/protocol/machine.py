"""Gossip and sync as a state machine: messages and the time go in, effects come out (protocol section 10).

It knows things by kind and id and leaves what they say to its host, who judges them one after another and tells the
outcome: only what was found good is told on. Blocks are announced by their headers at once; transactions and votes by
inventories, gathered for a moment, votes for a short one, since finality waits for them. Whoever lacks something asks
one peer at a time. What a peer has that was made while one was away is named by its history, parents first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from itertools import chain, repeat
from operator import itemgetter

from node.mesh.protocol import forms
from node.mesh.protocol.effects import Close, Effect, GiveBlocks, Heard, Host, Judge, Parted, Send, TellHistory
from node.mesh.protocol.hello import SPARING, Hello
from node.mesh.protocol.limits import (
    ANNOUNCE_MS,
    BAN_MS,
    FAULTY_MS,
    HELD_MS,
    HISTORY_MS,
    MAX_CHASED,
    MAX_GIVEN_BYTES,
    MAX_HELD,
    MAX_HELD_BYTES,
    MAX_OVERDUE,
    MEASURE_MS,
    PAGE_END,
    PING_MS,
    REQUEST_MS,
    SILENCE_MS,
    SPARED_PING_MS,
    SPARED_SILENCE_MS,
)
from node.mesh.protocol.messages import (
    BEYOND,
    BLOCK,
    KINDS,
    MAX_HISTORY,
    MAX_LOCATOR,
    MAX_NAMES,
    TRANSACTION,
    VOTE,
    Absent,
    AnyMessage,
    AskGenesis,
    AskHistory,
    AskPart,
    AskProof,
    AskSnapshot,
    Bye,
    GenesisFile,
    Get,
    Given,
    History,
    Inventory,
    NewBlock,
    Offer,
    Part,
    Ping,
    Pong,
    Proof,
    WholeBlock,
    WireError,
)
from node.mesh.protocol.peer import Peer
from node.mesh.protocol.requests import NEVER, Requests

_LATE, _ABSENT, _UNASKED, _TOO_MUCH = 1, 1, 5, 10


class Machine:
    """One node's side of all its links. Every call may add to `effects`, which the owner takes and carries out."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self.wanted = frozenset(KINDS)
        """Kinds of things that are asked for. A node whose data is nearly used up asks for less; it still gives what it
        has itself."""
        self.sparing = False
        """Whether links are kept alive rarely; peers that said so of themselves are spared anyhow."""
        self.peers: dict[int, Peer] = {}
        self.requests = Requests()
        self.effects: list[Effect] = []
        self._announce_ms = [NEVER for _ in KINDS]
        self._put_off_ms = NEVER
        self._due_ms = NEVER

    @property
    def due_ms(self) -> int:
        """When `tick` is to be called; it changes with every call. A tick too early or too late does no harm."""
        return min(self._due_ms, self.requests.due_ms)

    def _by(self, moment_ms: int) -> None:
        """Let `tick` be called by then."""
        if moment_ms < self._due_ms:
            self._due_ms = moment_ms

    def take_effects(self) -> list[Effect]:
        """The effects since the last call."""
        taken, self.effects = self.effects, []
        return taken

    # -- links ----------------------------------------------------------------------------------------------------

    def connected(self, number: int, hello: Hello, inbound: bool, now_ms: int) -> None:
        """A link is up, and the peer's hello was found good."""
        self.peers[number] = peer = Peer(number, hello, inbound, now_ms)
        for tip in hello.tips:
            peer.known[BLOCK].add(tip)
        for kind in (TRANSACTION, VOTE):
            # Those most wanted, and of these the newest: sorting keeps the order of what is worth the same.
            held = sorted(self._host.held(kind), key=itemgetter(1))
            peer.announce[kind] = dict(held[-MAX_NAMES:])
            self._announce_by(kind, now_ms)
        peer.behind = not all(map(self._is_taken, hello.tips))
        self._go_on(peer, now_ms)

    def disconnected(self, number: int, now_ms: int) -> None:
        """A link is gone."""
        if self.peers.pop(number, None) is not None:
            self.requests.gone(number)
            self._ask(now_ms)

    def received(self, number: int, kind: int, body: bytes, now_ms: int) -> None:
        """A frame came from a peer."""
        peer = self.peers.get(number)
        if peer is None:
            return
        try:
            message = forms.decode(kind, body)
        except WireError as error:
            self._close(peer, error.code, str(error), BAN_MS)
        else:
            self.take(number, message, now_ms)

    def take(self, number: int, message: AnyMessage, now_ms: int) -> None:
        """A message of good form came from a peer."""
        peer = self.peers.get(number)
        if peer is None:
            return
        peer.heard_ms = max(peer.heard_ms, now_ms)
        if not peer.incoming.allows(message, now_ms):
            self._fault(peer, _TOO_MUCH, now_ms)
            return
        try:
            self._take(peer, message, now_ms)
        except WireError as error:
            self._close(peer, error.code, str(error), BAN_MS)

    def _take(self, peer: Peer, message: AnyMessage, now_ms: int) -> None:
        match message:
            case Inventory(kind, names, worths):
                self._heard_of(peer, kind, zip(names, chain(worths, repeat(worths[-1])), strict=False), now_ms)
            case Get(kind, names):
                self._give(peer, kind, names, now_ms)
            case Given(kind, things):
                for thing in things:
                    self._came(peer, kind, self._host.name_of(kind, thing), (thing,), now_ms)
            case NewBlock(header):
                self._heard_of(peer, BLOCK, ((self._host.name_of(BLOCK, header), 0),), now_ms)
            case WholeBlock(header, body):
                self._came(peer, BLOCK, self._host.name_of(BLOCK, header), (header, body), now_ms)
            case Ping(token):
                self._send(peer, Pong(token), now_ms)
            case Pong(token):
                if token == peer.token and peer.pinged_ms is not None:
                    peer.delay_ms, peer.pinged_ms = max(0, now_ms - peer.pinged_ms), None
            case Bye(code, text):
                self._close(peer, code, text, 0)
            case Absent(kind, names):
                for name in names:
                    if self.requests.is_asked(kind, name, peer.number):
                        self.requests.absent(kind, name, peer.number)
                        self._name_again(peer, kind, name)
                        self._fault(peer, _ABSENT, now_ms)
                self._ask(now_ms)
            case AskHistory(locator, limit):
                self.effects.append(TellHistory(peer.number, locator, min(limit, MAX_HISTORY)))
            case History(names, more):
                self._learn_history(peer, names, more, now_ms)
            case AskGenesis() | GenesisFile() | AskProof() | Proof() | AskSnapshot() | Offer() | AskPart() | Part():
                self._fault(peer, _UNASKED, now_ms)  # a guest's link is not this machine's
            case _:
                self.effects.append(Heard(peer.number, message))

    # -- things that come -----------------------------------------------------------------------------------------

    def _heard_of(self, peer: Peer, kind: int, things: Iterable[tuple[bytes, int]], now_ms: int) -> None:
        known, announce, has, is_wanted = peer.known[kind], peer.announce[kind], self._host.has, False
        if kind not in self.wanted:
            for name, _ in things:
                known.add(name)
            return
        for name, worth in things:
            known.add(name)
            announce.pop(name, None)
            if not has(kind, name):
                is_wanted = True
                self.requests.want(kind, name, peer.number, worth)
            elif kind == BLOCK:
                # It may wait here for others that were lost on their way: who has it has them too.
                for below in self._host.missing(name):
                    is_wanted = True
                    self.requests.want(BLOCK, below, peer.number)
        if is_wanted:
            self._ask(now_ms)

    def _came(self, peer: Peer, kind: int, name: bytes, parts: tuple[bytes, ...], now_ms: int) -> None:
        peer.known[kind].add(name)
        overdue = name in peer.overdue
        peer.overdue.pop(name, None)
        if (kind, name) in self.requests:
            self.requests.gave(kind, name, peer.number, now_ms)
        elif self._host.has(kind, name):
            return
        elif not overdue:
            self._fault(peer, _UNASKED, now_ms)
            return
        peer.judging += 1
        self.effects.append(Judge(peer.number, kind, name, parts))
        self._ask(now_ms)

    def _ask(self, now_ms: int) -> None:
        for number, kind, names in self.requests.ask(now_ms):
            if (peer := self.peers.get(number)) is not None:
                self._send(peer, Get(kind, names), now_ms)

    def _name_again(self, peer: Peer, kind: int, name: bytes) -> None:
        """A peer did not give what it has: if it was a block and nobody else is left to ask, its history has to name it
        again, or all that builds on it would wait for ever."""
        if kind == BLOCK and (kind, name) not in self.requests:
            peer.behind = True

    # -- what the host found --------------------------------------------------------------------------------------

    def accepted(
        self, kind: int, name: bytes, worth: int = 0, header: bytes = b"", *, fresh: bool = True, now_ms: int
    ) -> None:
        """A thing was found good, whoever made it: tell those who do not have it. What is worth most is told first; a
        block comes with its header. One that is not `fresh` was made while this node was away: peers are told the tips
        once it has caught up, and ask for the rest."""
        self.requests.came(kind, name)
        news = NewBlock(header)
        for peer in self.peers.values():
            if name in peer.known[kind]:
                peer.chased = 0
                continue
            if kind != BLOCK:
                peer.announce[kind][name] = worth
                self._announce_by(kind, now_ms + ANNOUNCE_MS[kind])
            elif not fresh or not self._push(peer, name, news, now_ms):
                peer.untold = True
                self._put_off(now_ms)

    def _announce_by(self, kind: int, moment_ms: int) -> None:
        if moment_ms < self._announce_ms[kind]:
            self._announce_ms[kind] = moment_ms
            self._by(moment_ms)

    def _push(self, peer: Peer, name: bytes, message: NewBlock, now_ms: int) -> bool:
        """Tell a peer of a block at once, if the rates allow it."""
        if not peer.outgoing.allows(message, now_ms):
            return False
        peer.known[BLOCK].add(name)
        self.effects.append(Send(peer.number, message))
        return True

    def _tell_tips(self, now_ms: int) -> None:
        """Tell of the tips those who were not told of every block."""
        syncing = self.syncing
        for peer in self.peers.values():
            if not peer.untold:
                continue
            if not syncing:
                news = [tip for tip in self._host.tips() if tip[0] not in peer.known[BLOCK]]
                peer.untold = not all(self._push(peer, name, NewBlock(header), now_ms) for name, header in news)
            if peer.untold:
                self._put_off(now_ms)

    def refused(self, peer: int, code: str, *, hostile: bool, now_ms: int) -> None:
        """A thing was bad. `hostile`: no honest node would have told it on."""
        found = self.peers.get(peer)
        if found is None:
            return
        if hostile:
            self._close(found, code, "It sent something that no honest node tells on.", BAN_MS)

    def lacking(self, peer: int, names: Iterable[bytes], now_ms: int) -> None:
        """A block came whose parents are not here. Whoever sent it has them: they are asked for, and where theirs are
        missing again and again, for its history."""
        found = self.peers.get(peer)
        if found is None:
            self._ask_everybody(now_ms)
            return
        wanted = [name for name in names if not self._host.has(BLOCK, name)]
        found.chased += any((BLOCK, name) not in self.requests for name in wanted)
        if found.chased > MAX_CHASED:
            found.behind = found.behind or bool(wanted)
            return
        for name in wanted:
            self.requests.want(BLOCK, name, peer)
        self._ask(now_ms)

    def judged(self, peer: int, now_ms: int, *, lost: bool = False) -> None:
        """The host is done with a thing that came from a peer. `lost`: it was a block that could not be taken, through
        no fault of its own, so that history has to name it again."""
        if (found := self.peers.get(peer)) is not None:
            found.judging -= 1
            found.behind = found.behind or lost
        elif lost:
            self._ask_everybody(now_ms)
        for each in self.peers.values():
            self._go_on(each, now_ms)

    def _ask_everybody(self, now_ms: int) -> None:
        """Who sent a block is gone, and what it needs may be with any other peer: let history tell."""
        for peer in self.peers.values():
            peer.behind = True
            self._go_on(peer, now_ms)

    # -- things that go -------------------------------------------------------------------------------------------

    def _give(self, peer: Peer, kind: int, names: tuple[bytes, ...], now_ms: int) -> None:
        if kind == BLOCK:
            self.effects.append(GiveBlocks(peer.number, names))
            return
        given: list[bytes] = []
        absent: list[bytes] = []
        size = 0
        for name in names:
            thing = self._host.give(kind, name)
            if thing is None:
                absent.append(name)
                continue
            peer.known[kind].add(name)
            if given and size + len(thing) > MAX_GIVEN_BYTES:
                self._send(peer, Given(kind, tuple(given)), now_ms)
                given, size = [], 0
            given.append(thing)
            size += len(thing)
        if given:
            self._send(peer, Given(kind, tuple(given)), now_ms)
        if absent:
            self._send(peer, Absent(kind, tuple(absent)), now_ms)

    def give_block(self, peer: int, header: bytes, body: bytes, now_ms: int) -> None:
        """A block that a peer asked for."""
        if (found := self.peers.get(peer)) is not None:
            self._send(found, WholeBlock(header, body), now_ms)

    def absent(self, peer: int, names: tuple[bytes, ...], now_ms: int) -> None:
        """Blocks that a peer asked for and that are not here."""
        if (found := self.peers.get(peer)) is not None:
            self._send(found, Absent(BLOCK, names), now_ms)

    def tell_parted(self, peer: int, now_ms: int) -> None:
        """What is kept here begins above all that a peer named in its question about history."""
        if (found := self.peers.get(peer)) is not None:
            self._send(found, History((), BEYOND), now_ms)

    def tell_history(self, peer: int, names: tuple[bytes, ...], more: bool, now_ms: int) -> None:
        """What a peer asked about."""
        if (found := self.peers.get(peer)) is not None:
            self._send(found, History(names, int(more)), now_ms)

    def _announce(self, kind: int, now_ms: int) -> None:
        self._announce_ms[kind] = NEVER
        for peer in list(self.peers.values()):
            waiting = peer.announce[kind]
            if not waiting:
                continue
            known = peer.known[kind]
            names = [name for name in sorted(waiting, key=waiting.__getitem__, reverse=True) if known.add(name)]
            for start in range(0, len(names), MAX_NAMES):
                some = names[start : start + MAX_NAMES]
                self._send(peer, Inventory(kind, tuple(some), _worths(waiting, some)), now_ms)
            waiting.clear()

    # -- history --------------------------------------------------------------------------------------------------

    def _go_on(self, peer: Peer, now_ms: int) -> None:
        """Ask what comes next, once all that was named before is here and judged."""
        if not peer.behind or peer.asked_history_ms is not None or peer.judging or BLOCK not in self.wanted:
            return
        if self.requests.under_way(peer.number, BLOCK) == 0:
            peer.asked_history_ms = now_ms
            self._by(now_ms + HISTORY_MS)
            peer.locator = self._locator(peer)
            self._send(peer, AskHistory(peer.locator, MAX_HISTORY), now_ms)

    def _learn_history(self, peer: Peer, names: tuple[bytes, ...], more: int, now_ms: int) -> None:
        if peer.asked_history_ms is None and not peer.overdue_pages:
            self._fault(peer, _UNASKED, now_ms)
            return
        if peer.asked_history_ms is None:
            peer.overdue_pages -= 1
        peer.asked_history_ms = None
        peer.chased = 0
        peer.parted = more == BEYOND and not names
        if peer.parted:
            peer.behind = False
            self.effects.append(Parted(peer.number))
            return
        for name in names:
            peer.known[BLOCK].add(name)
        lacking = [name for name in names if not self._host.has(BLOCK, name)]
        for name in lacking:
            self.requests.want(BLOCK, name, peer.number)
        # A page of what is here already leads on to the next one, but not to itself.
        peer.page = names[-PAGE_END:]
        peer.behind = bool(lacking) or (more > 0 and self._locator(peer) != peer.locator)
        self._ask(now_ms)
        self._go_on(peer, now_ms)

    def _locator(self, peer: Peer) -> tuple[bytes, ...]:
        taken = filter(self._is_taken, peer.page)  # what was named may not have come, or not be kept
        return tuple(dict.fromkeys((*taken, *self._host.locator())))[:MAX_LOCATOR]

    def _is_taken(self, block: bytes) -> bool:
        """Whether a block is here and waits for nothing."""
        return self._host.has(BLOCK, block) and not self._host.missing(block)

    @property
    def syncing(self) -> bool:
        """Whether some peer has what is not here yet."""
        return any(peer.behind or peer.asked_history_ms is not None for peer in self.peers.values())

    # -- time -----------------------------------------------------------------------------------------------------

    def tick(self, now_ms: int) -> None:
        """Do what is due. To be called at `due_ms`."""
        for kind, moment in enumerate(self._announce_ms):
            if moment <= now_ms:
                self._announce(kind, now_ms)
        for number, (kind, name) in self.requests.late(now_ms):
            if number in self.peers:
                self._name_again(self.peers[number], kind, name)
                self._late(self.peers[number], name, now_ms)
        for peer in list(self.peers.values()):
            self._look_after(peer, now_ms)
        if self._put_off_ms <= now_ms:
            self._put_off_ms = NEVER
            self._send_held(now_ms)
            self._tell_tips(now_ms)
        self._ask(now_ms)
        self._due_ms = min(*self._announce_ms, self._put_off_ms, *map(self._due_of, self.peers.values()), NEVER)

    def _look_after(self, peer: Peer, now_ms: int) -> None:
        silent = now_ms - peer.heard_ms
        spared = self._spares(peer)
        if silent >= (SPARED_SILENCE_MS if spared else SILENCE_MS):
            self._close(peer, "silent", "It was not heard for too long.", 0)
            return
        if peer.asked_history_ms is not None and now_ms - peer.asked_history_ms >= HISTORY_MS:
            peer.asked_history_ms = None
            peer.overdue_pages += 1
            self._late(peer, None, now_ms)
        due = silent >= (SPARED_PING_MS if spared else PING_MS) or now_ms >= peer.measure_ms
        if due and peer.pinged_ms is None:
            peer.pinged_ms = now_ms
            peer.measure_ms = now_ms + (SPARED_PING_MS if spared else MEASURE_MS)
            peer.token += 1
            self._send(peer, Ping(peer.token), now_ms)
        self._go_on(peer, now_ms)

    def _spares(self, peer: Peer) -> bool:
        """Whether a link is kept alive rarely: each ping wakes a phone's radio."""
        return self.sparing or bool(peer.hello.services & SPARING)

    def _due_of(self, peer: Peer) -> int:
        ping, silence = (SPARED_PING_MS, SPARED_SILENCE_MS) if self._spares(peer) else (PING_MS, SILENCE_MS)
        due = peer.heard_ms + silence if peer.pinged_ms is not None else min(peer.heard_ms + ping, peer.measure_ms)
        if peer.asked_history_ms is not None:
            return min(due, peer.asked_history_ms + HISTORY_MS)
        return due

    def say(self, number: int, message: AnyMessage, now_ms: int) -> None:
        """Send what the owner has to say, within the rates."""
        if (peer := self.peers.get(number)) is not None:
            self._send(peer, message, now_ms)

    # -- what leaves ----------------------------------------------------------------------------------------------

    def _send(self, peer: Peer, message: AnyMessage, now_ms: int) -> None:
        """Send within the rates that hold for everybody; what would pass them waits, in order of its type."""
        kind = type(message)
        if kind in peer.held or not peer.outgoing.allows(message, now_ms):
            waiting = peer.held.setdefault(kind, deque())
            waiting.append(message)
            peer.held_bytes += forms.weight(message)
            self._put_off(now_ms)
            if len(waiting) > MAX_HELD or peer.held_bytes > MAX_HELD_BYTES:
                self._close(peer, "too_slow", "More was to be said to it than the rates allow.", 0)
            return
        self.effects.append(Send(peer.number, message))

    def _put_off(self, now_ms: int) -> None:
        if self._put_off_ms == NEVER:
            self._put_off_ms = now_ms + HELD_MS
            self._by(self._put_off_ms)

    def _send_held(self, now_ms: int) -> None:
        for peer in self.peers.values():
            for kind, waiting in list(peer.held.items()):
                while waiting and peer.outgoing.allows(waiting[0], now_ms):
                    message = waiting.popleft()
                    peer.held_bytes -= forms.weight(message)
                    self.effects.append(Send(peer.number, message))
                if waiting:
                    self._put_off(now_ms)
                else:
                    del peer.held[kind]

    def _late(self, peer: Peer, name: bytes | None, now_ms: int) -> None:
        """What was asked of a peer did not come in time; it may come yet. All that a bad link holds up at a time is one
        fault, and none while nothing at all comes: that is the link's."""
        if name is not None:
            peer.overdue[name] = None
            if len(peer.overdue) > MAX_OVERDUE:
                del peer.overdue[next(iter(peer.overdue))]
        if now_ms - peer.late_ms >= REQUEST_MS > now_ms - peer.heard_ms:
            peer.late_ms = now_ms
            self._fault(peer, _LATE, now_ms)

    def _fault(self, peer: Peer, points: int, now_ms: int) -> None:
        if peer.fault(points, now_ms):
            self._close(peer, "too_many_faults", "It was late, absent or talkative too often.", FAULTY_MS)

    def _close(self, peer: Peer, code: str, text: str, ban_ms: int) -> None:
        if self.peers.pop(peer.number, None) is not None:
            self.effects.append(Close(peer.number, code, text, ban_ms))
            self.requests.gone(peer.number)


def _worths(waiting: Mapping[bytes, int], names: list[bytes]) -> tuple[int, ...]:
    """What an inventory says of its names' worth: one number for all at the end that are worth the same."""
    worths = [waiting[name] for name in names]
    while len(worths) > 1 and worths[-1] == worths[-2]:
        worths.pop()
    return tuple(worths)
