"""Many machines in one process: hosts that hold things of no meaning, links with a delay, and virtual time."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable
from hashlib import blake2b
from random import Random
from typing import Any, cast

from node.encoding.canonical import EncodingError, decode, pack
from node.mesh.protocol import forms, messages
from node.mesh.protocol.effects import Close, GiveBlocks, Judge, Send, TellHistory
from node.mesh.protocol.hello import PROTOCOL, RELAY, Hello
from node.mesh.protocol.machine import Machine
from node.mesh.protocol.messages import BLOCK, WireError

GENESIS = bytes(32)


def name_of(head: bytes) -> bytes:
    return blake2b(head, digest_size=32).digest()


def make_block(parents: tuple[bytes, ...], label: int) -> tuple[bytes, bytes]:
    """Header and body of a block that means nothing."""
    return pack((parents, label)), b"body of %d" % label


class Host:
    """Holds what it was given. Blocks wait for their parents; what begins with `bad` is bad."""

    def __init__(self) -> None:
        self.things: dict[tuple[int, bytes], bytes] = {}
        self.blocks: dict[bytes, tuple[bytes, bytes]] = {GENESIS: (b"", b"")}  # parents first
        self.orphans: dict[bytes, tuple[bytes, bytes]] = {}
        self.judging: set[bytes] = set()
        self.judged: Counter[bytes] = Counter()

    def has(self, kind: int, name: bytes) -> bool:
        if kind == BLOCK:
            return name in self.blocks or name in self.orphans or name in self.judging
        return (kind, name) in self.things or name in self.judging

    def name_of(self, kind: int, head: bytes) -> bytes:
        if kind == BLOCK:
            try:
                decode(head, 1_024)
            except EncodingError as error:
                raise WireError("bad_header", str(error)) from None
        return name_of(head)

    def give(self, kind: int, name: bytes) -> bytes | None:
        return self.things.get((kind, name))

    def held(self, kind: int) -> list[tuple[bytes, int]]:
        return [(name, 0) for of, name in self.things if of == kind]

    def top(self) -> tuple[bytes, ...]:
        inner = {parent for header, _ in self.blocks.values() for parent in parents_of(header)}
        return tuple(name for name in self.blocks if name not in inner)

    def tips(self) -> tuple[tuple[bytes, bytes], ...]:
        return tuple((name, self.blocks[name][0]) for name in self.top() if name != GENESIS)

    def locator(self) -> tuple[bytes, ...]:
        return (*self.top()[:20], GENESIS)

    def missing(self, block: bytes) -> list[bytes]:
        found: dict[bytes, None] = {}
        doing = [block]
        while doing:
            name = doing.pop()
            if name in self.orphans:
                doing += parents_of(self.orphans[name][0])
            elif name not in self.blocks and name != block:
                found[name] = None
        return list(found)

    def past_of(self, names: list[bytes]) -> set[bytes]:
        found: set[bytes] = set()
        doing = [name for name in names if name in self.blocks]
        while doing:
            name = doing.pop()
            if name not in found:
                found.add(name)
                doing += parents_of(self.blocks[name][0])
        return found

    def history(self, locator: tuple[bytes, ...], limit: int) -> tuple[tuple[bytes, ...], bool]:
        past = self.past_of(list(locator))
        after = [name for name in self.blocks if name not in past]
        return tuple(after[:limit]), len(after) > limit


def parents_of(header: bytes) -> tuple[bytes, ...]:
    return cast("tuple[tuple[bytes, ...], int]", decode(header))[0] if header else ()


class Node:
    """A machine with its host. `peers` are the nodes at the other ends of its links, by the link's number."""

    def __init__(self, network: Network, number: int) -> None:
        self.network = network
        self.number = number
        self.host = Host()
        self.machine = Machine(self.host)
        self.peers: dict[int, int] = {}
        self.closed: list[Close] = []
        self.busy = 0
        """Until when it judges what came before."""
        self.fails = 0
        """So many blocks that are judged next cannot be kept, through no fault of theirs."""

    @property
    def hello(self) -> Hello:
        tips = tuple(self.host.top()[:10])
        nonce = bytes([self.number]) * 16
        return Hello(PROTOCOL, 2, GENESIS, RELAY, 0, self.network.now, nonce, tips, 0, 0, bytes(32), "test")

    def make(self, kind: int, thing: bytes, worth: int = 0) -> bytes:
        """A transaction or vote that begins here."""
        name = name_of(thing)
        self.host.things[kind, name] = thing
        self.machine.accepted(kind, name, worth, now_ms=self.network.now)
        self.network.carry(self)
        return name

    def make_block(self, label: int, parents: tuple[bytes, ...] | None = None) -> bytes:
        """A block that begins here."""
        header, body = make_block(parents if parents is not None else self.host.top(), label)
        self.add(name_of(header), header, body)
        self.network.carry(self)
        return name_of(header)

    def add(self, name: bytes, header: bytes, body: bytes, fresh: bool = True) -> None:
        ready = [(name, header, body)]
        host = self.host
        while ready:
            name, header, body = ready.pop()
            host.blocks[name] = header, body
            self.machine.accepted(BLOCK, name, 0, header, fresh=fresh, now_ms=self.network.now)
            for orphan, (head, rest) in list(host.orphans.items()):
                if all(parent in host.blocks for parent in parents_of(head)):
                    del host.orphans[orphan]
                    ready.append((orphan, head, rest))

    def judge(self, effect: Judge) -> None:
        """What a real host does: judge, and tell the outcome."""
        host, machine, now = self.host, self.machine, self.network.now
        host.judging.discard(effect.name)
        host.judged[effect.name] += 1
        last = effect.parts[-1]
        if effect.kind == BLOCK and self.fails:
            self.fails -= 1
            machine.judged(effect.peer, now, lost=True)
            self.network.carry(self)
            return
        if last.startswith(b"bad"):
            machine.refused(effect.peer, "bad", hostile=True, now_ms=now)
        elif effect.kind != BLOCK:
            host.things[effect.kind, effect.name] = last
            machine.accepted(effect.kind, effect.name, now_ms=now)
        else:
            if any(parent not in host.blocks for parent in parents_of(effect.parts[0])):
                host.orphans[effect.name] = effect.parts[0], last
                machine.lacking(effect.peer, host.missing(effect.name), now)
            else:
                self.add(effect.name, effect.parts[0], last, fresh=not machine.syncing)
        machine.judged(effect.peer, now)
        self.network.carry(self)


class Network:
    """The nodes and what is on its way between them."""

    def __init__(
        self,
        nodes: int,
        seed: int = 0,
        delay: tuple[int, int] = (10, 80),
        loss_permille: int = 0,
        judging: tuple[int, int] = (1, 1),
    ) -> None:
        self.random = Random(seed)
        self.delay = delay
        self.judging = judging
        self.loss = loss_permille
        self.now = 0
        self.nodes = [Node(self, number) for number in range(nodes)]
        self.links: dict[frozenset[int], int] = {}  # and which link between the two it is
        self.sent: Counter[type] = Counter()
        self.bytes = 0
        self._agenda: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._count = 0
        self._links = 0
        self._ready: dict[tuple[int, int], int] = {}  # by receiver: links keep the order of what they carry

    def at(self, when: int, call: Callable[..., None], *arguments: Any) -> None:
        self._count += 1
        heapq.heappush(self._agenda, (when, self._count, call, arguments))

    def connect(self, one: int, other: int) -> None:
        self._links += 1
        link = self.links[frozenset((one, other))] = self._links
        a, b = self.nodes[one], self.nodes[other]
        a.peers[link], b.peers[link] = other, one
        hello_a, hello_b = a.hello, b.hello
        a.machine.connected(link, hello_b, False, self.now)
        b.machine.connected(link, hello_a, True, self.now)
        self.carry(a)
        self.carry(b)

    def cut(self, one: int, other: int) -> None:
        link = self.links.pop(frozenset((one, other)))
        for node in (one, other):
            self.nodes[node].machine.disconnected(link, self.now)
            self.carry(self.nodes[node])

    def carry(self, node: Node) -> None:
        """Carry out what a machine wants."""
        while effects := node.machine.take_effects():
            for effect in effects:
                self._do(node, effect)

    def _do(self, node: Node, effect: object) -> None:
        match effect:
            case Send(peer, message):
                self.sent[type(message)] += 1
                receiver = node.peers.get(peer, node.number)  # a link to nowhere, where a test plays the peer
                if self.links.get(frozenset((node.number, receiver))) != peer:
                    return
                body = forms.encode(message)
                self.bytes += len(body)
                when = max(self._ready.get((receiver, peer), 0), self.now + self.random.randint(*self.delay))
                self._ready[receiver, peer] = when
                if self.random.randrange(1000) >= self.loss:
                    number = messages.NUMBERS[type(message)]
                    self.at(when, self._arrive, peer, receiver, number, body)
            case Judge():
                node.host.judging.add(effect.name)
                node.busy = max(node.busy, self.now) + self.random.randint(*self.judging)
                self.at(node.busy, node.judge, effect)
            case GiveBlocks(peer, names):
                for name in names:
                    if name in node.host.blocks:
                        node.machine.give_block(peer, *node.host.blocks[name], self.now)
                    else:
                        node.machine.absent(peer, (name,), self.now)
            case TellHistory(peer, locator, limit):
                node.machine.tell_history(peer, *node.host.history(locator, limit), self.now)
            case Close():
                node.closed.append(effect)
                if effect.peer not in node.peers:
                    return
                other = self.nodes[node.peers[effect.peer]]
                self.links.pop(frozenset((node.number, other.number)), None)
                other.machine.disconnected(effect.peer, self.now)
                self.carry(other)

    def _arrive(self, link: int, receiver: int, number: int, body: bytes) -> None:
        node = self.nodes[receiver]
        if self.links.get(frozenset((receiver, node.peers[link]))) == link:
            node.machine.received(link, number, body, self.now)
            self.carry(node)

    def run(self, until: int) -> None:
        """Let virtual time pass up to `until`; machines are ticked when they ask for it, give or take 20 ms."""
        while self.now < until:
            moment = min(until, self.now + 20)
            while self._agenda and self._agenda[0][0] <= moment:
                when, _, call, arguments = heapq.heappop(self._agenda)
                self.now = max(self.now, when)
                call(*arguments)
            self.now = moment
            for node in self.nodes:
                if node.machine.due_ms <= self.now:
                    node.machine.tick(self.now)
                    self.carry(node)
