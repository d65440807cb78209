"""Fetching a snapshot over links, before there is a chain: the host of `node.mesh.protocol.fetching`.

A guest with a key of the moment calls peers, asks what they offer, and keeps what was checked (`fetch_folder`), so that
a node that is killed goes on where it was.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from node.consensus.finality import Checkpoint
from node.consensus.lightclient import Certificate
from node.encoding.canonical import decode
from node.encoding.hosts import Address, is_public
from node.ledger.genesis import RULE_VERSION, Genesis
from node.light.waves import commitment_of
from node.mesh.certificate import make_credentials
from node.mesh.discovery import ask
from node.mesh.identity import NodeKey
from node.mesh.link import Link, LinkError
from node.mesh.protocol import forms, messages
from node.mesh.protocol import hello as greetings
from node.mesh.protocol.addresses import AddressBook
from node.mesh.protocol.effects import Close, Send
from node.mesh.protocol.fetching import Came, Dropped, Fetching, Offered
from node.mesh.protocol.hello import GUEST, PROTOCOL, Hello
from node.mesh.protocol.limits import BAN_MS, PART_MS, sizes_in
from node.mesh.protocol.messages import (
    FRONT,
    SECTIONS,
    Addresses,
    AnyMessage,
    AskAddresses,
    AskProof,
    Bye,
    Offer,
    Part,
    Proof,
    WireError,
)
from node.mesh.transport import Transport
from node.service.fetch_folder import FetchFolder
from node.service.fetch_progress import FetchView
from node.service.mesh_settings import MeshSettings
from node.service.peer_file import PeerFile
from node.service.saying import say
from node.service.shelf import NO_PROOF

_LINKS = 6
_DIALS = 3
_WAITING = 32
"""Sections that wait to be checked before nothing more is read from links."""
_LOOK_S = 0.5

_log = logging.getLogger("nexus.fetching")


AskForProof = Callable[[int], Awaitable[Proof]]
"""Asks the peer who offers a checkpoint for a page of what proves it, above a number."""


Way = tuple[Certificate, ...]
"""From what is trusted to a checkpoint."""


class FalseProof(Exception):
    """A peer gave a proof that proves nothing, as no honest one does."""


class SnapshotFetch:
    """One try. `believes` gives the way to a checkpoint that a peer offers, None where it is not to be believed, and
    raises FalseProof."""

    def __init__(
        self,
        folder: Path,
        genesis: Genesis,
        trusted: bytes,
        file: PeerFile,
        settings: MeshSettings,
        clock: Callable[[], int],
        believes: Callable[[Checkpoint, AskForProof], Awaitable[Way | None]],
        numpy: bool = True,
    ) -> None:
        self.machine = Fetching(trusted)
        self.links: dict[int, Link] = {}
        self.checkpoint: Checkpoint | None = None
        self.certificates: Way = ()
        self._choosing = asyncio.Lock()
        self.file = file
        self.folder = FetchFolder(folder, numpy)
        self._genesis = genesis
        self._settings = settings
        self._clock = clock
        self._believes = believes
        self._trusted = trusted
        self._pages: dict[int, asyncio.Future[Proof]] = {}  # of proofs, by who was asked
        key = NodeKey(os.urandom(32))  # of the moment: who only asks need not be known again
        self._nonce = os.urandom(16)
        self.book = AddressBook(key.id, Random(os.urandom(16)))
        self.book.restore(file.rows)
        self._places: list[tuple[str, int]] = []  # of the local network, whose node ids are not known
        self._dialling: set[bytes] = set()
        self._numbers = 0
        self._buffers: dict[tuple[int, int], bytearray] = {}
        self._to_check: asyncio.Queue[tuple[bytes | None, int, int, bytes]] = asyncio.Queue()
        self._front_giver: tuple[int, bytes] = (-1, b"")
        self._changed, self._timing = asyncio.Event(), asyncio.Event()
        self._tasks: asyncio.TaskGroup | None = None
        self._transport = Transport(
            make_credentials(key),
            lambda: self._hello().encoded(),
            sizes_in(genesis.parameters.max_body_bytes, len(genesis.encode())),
            proxy=settings.proxy,
        )

    def view(self) -> FetchView:
        """How far it is."""
        if self.machine.checkpoint is None:
            return FetchView("looking", len(self.links))
        return FetchView("fetching", len(self.links), *self.machine.progress(self._now_ms()))

    # -- life -----------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> SnapshotFetch:
        self._tasks = await asyncio.TaskGroup().__aenter__()
        work = [self._call_on(), self._check_on(), self._keep_time()]
        if self._settings.discovery:
            work.append(self._ask_local())
        self._running = [self._tasks.create_task(item) for item in work]
        return self

    async def __aexit__(self, *error: object) -> None:
        assert self._tasks is not None
        tasks, self._tasks = self._tasks, None
        for task in self._running:
            task.cancel()
        for link in self.links.values():
            say(link, Bye("done", "Thank you."))
        await self._transport.close()
        await tasks.__aexit__(None, None, None)
        self.file.save(self.file.port, self.book.rows(), self.file.bans, self.file.routes)

    async def changed(self, seconds: float) -> None:
        """Wait until something came, at most so long."""
        self._changed.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()

    def front_is_false(self) -> None:
        """What is in the front contradicts itself or the checkpoint: who gave it is not asked again."""
        number, node = self._front_giver
        self.folder.forget_front()
        if node:
            self.file.bans[node] = self._clock() + BAN_MS
        self.machine.checked(number, FRONT, False, self._now_ms())
        self._front_giver = (-1, b"")
        self._do()

    @staticmethod
    def _now_ms() -> int:
        return int(asyncio.get_running_loop().time() * 1000)

    def _hello(self) -> Hello:
        return Hello(
            protocol=PROTOCOL,
            rules=RULE_VERSION,
            genesis=self._genesis.hash,
            services=GUEST,
            port=0,
            clock_ms=self._clock(),
            nonce=self._nonce,
            tips=(),
            score=0,
            final=0,
            final_hash=bytes(32),
            agent="nexus",
        )

    # -- links ----------------------------------------------------------------------------------------------------

    def _start(self, work: Coroutine[Any, Any, object]) -> None:
        if self._tasks is None:
            work.close()
        else:
            self._tasks.create_task(work)

    async def _call_on(self) -> None:
        while True:
            self._call()
            await asyncio.sleep(_LOOK_S)

    def _call(self) -> None:
        now = self._clock()
        linked = {link.peer for link in self.links.values()}
        banned = {node for node, until in self.file.bans.items() if until > now}
        while len(self._dialling) < _DIALS and len(self.links) + len(self._dialling) < _LINKS:
            address = self.book.candidate(now, linked | banned | self._dialling, ())
            if address is None:
                break
            self._dialling.add(address.node)
            self._start(self._dial(address))
        while self._places and len(self.links) < _LINKS:
            self._start(self._talk(*self._places.pop(), None))

    async def _ask_local(self) -> None:
        self._places += await ask()

    async def _dial(self, address: Address) -> None:
        try:
            reached = await self._talk(address.host, address.port, address.node)
        finally:
            self._dialling.discard(address.node)
        if not reached:
            self.book.failed(address.node, self._clock())

    async def _talk(self, host: str, port: int, node: bytes | None) -> bool:
        """Link with a node and talk until the link ends; whether it was one to talk to."""
        try:
            link = await self._transport.connect(host, port, node)
        except LinkError as error:
            _log.debug("%s port %d was not reached: %s", host, port, error.message)
            return False
        known = any(other.peer == link.peer for other in self.links.values())
        try:
            greetings.judge(self._hello(), Hello.decode(link.hello))
        except WireError as error:
            _log.debug("%r is of no use: %s", link, error)
            known = True
        if known or self.file.bans.get(link.peer, 0) > self._clock():
            await link.close()
            return False
        self._numbers += 1
        number = self._numbers
        self.links[number] = link
        self._dialling.discard(link.peer)
        self.book.add(Address(host, port, link.peer), b"", self._clock())
        self.book.reached(link.peer, self._clock())
        say(link, AskAddresses())
        self.machine.connected(number, self._now_ms())
        self._do()
        try:
            await self._listen(number, link)
        except LinkError as error:
            _log.info("%r ended: %s", link, error.message)
        finally:
            if self.links.pop(number, None) is not None:
                self.machine.disconnected(number, self._now_ms())
                self._do()
        return True

    async def _listen(self, number: int, link: Link) -> None:
        while number in self.links:
            for kind, body in await link.receive():
                try:
                    message = forms.decode(kind, body)
                    self._hear(number, link, message)
                except WireError as error:
                    self._end(Close(number, error.code, str(error), BAN_MS))
                    return
            while self._to_check.qsize() > _WAITING:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    def _hear(self, number: int, link: Link, message: AnyMessage) -> None:
        match message:
            case Offer() | Part():
                self.machine.received(number, message, self._now_ms())
                self._do()
            case Addresses(entries):
                for host, port, node in entries:
                    if is_public(host) or not is_public(link.host):
                        self.book.add(Address(host, port, node), link.peer, self._clock())
                self._call()
            case Proof() if number in self._pages and not self._pages[number].done():
                self._pages[number].set_result(message)
            case Bye(_, text):
                _log.info("%r says: %s", link, text)
            case _:
                raise WireError("unasked", "A guest was told what it did not ask for.")

    def _end(self, close: Close) -> None:
        link = self.links.pop(close.peer, None)
        if link is None:
            return
        if close.ban_ms:
            _log.warning("%r is not asked any more: %s (%s)", link, close.text, close.code)
            self.file.bans[link.peer] = self._clock() + close.ban_ms
        self.book.failed(link.peer, self._clock())
        self.machine.disconnected(close.peer, self._now_ms())
        say(link, Bye(close.code[:32], close.text[:200]))
        link.abort(close.code, close.text)

    # -- what the machine wants -----------------------------------------------------------------------------------

    def _do(self) -> None:
        while effects := self.machine.take_effects():
            for effect in effects:
                match effect:
                    case Send(number, message):
                        if (link := self.links.get(number)) is not None:
                            say(link, message)
                    case Close():
                        self._end(effect)
                    case Offered(number, offer):
                        self._start(self._look_at(number, offer))
                    case Came(number, section, data, last):
                        self._take(number, section, data, last)
                    case Dropped(number, section):
                        self._drop(number, section)
        self._timing.set()
        self._changed.set()

    def _take(self, number: int, section: int, data: bytes, last: bool) -> None:
        if section == FRONT:
            self.folder.add_to_front(number, data)
            if last:
                self._to_check.put_nowait((self.machine.checkpoint, number, section, b""))
            return
        buffer = self._buffers.setdefault((number, section), bytearray())
        buffer += data
        if last:
            whole = bytes(self._buffers.pop((number, section)))
            self._to_check.put_nowait((self.machine.checkpoint, number, section, whole))

    def _drop(self, number: int, section: int) -> None:
        self._buffers.pop((number, section), None)
        if section == FRONT:
            self.folder.drop_front(number)

    async def _keep_time(self) -> None:
        while True:
            self._timing.clear()
            now = self._now_ms()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout((self.machine.next_ms(now) - now) / 1000):
                    await self._timing.wait()
                    continue
            self.machine.tick(self._now_ms())
            self._do()

    # -- what is kept ---------------------------------------------------------------------------------------------

    async def _check_on(self) -> None:
        """Look at whole sections, one after the other."""
        while True:
            checkpoint, number, section, data = await self._to_check.get()
            if checkpoint == self.machine.checkpoint:
                good = await self._is_good(number, section, data)
                if checkpoint == self.machine.checkpoint:  # still
                    self.machine.checked(number, section, good, self._now_ms())
                    self._do()

    async def _is_good(self, number: int, section: int, data: bytes) -> bool:
        if section == FRONT:  # whether it is true the whole will show
            link = self.links.get(number)
            self._front_giver = (number, b"" if link is None else link.peer)
            self.folder.keep_front(number)
            return True
        return await self.folder.keep_bucket(section, data)

    async def _look_at(self, number: int, offer: Offer) -> None:
        try:
            checkpoint = Checkpoint.from_value(decode(offer.checkpoint, messages.MAX_CHECKPOINT))
            false = commitment_of(offer.buckets) != checkpoint.state
        except ValueError:
            false = True
        if false:
            self._end(Close(number, "false_offer", "It offered a snapshot that contradicts itself.", BAN_MS))
            return
        if checkpoint.hash != self.machine.checkpoint and not self.machine.sources:
            try:
                way = await self._believes(checkpoint, partial(self._ask_for_proof, number, checkpoint))
            except FalseProof as error:
                self._end(Close(number, "false_proof", str(error), BAN_MS))
                return
            async with self._choosing:
                if way is not None and checkpoint.hash != self.machine.checkpoint and not self.machine.sources:
                    await self._begin(checkpoint, offer)
                    self.certificates = way
        if checkpoint.hash == self.machine.checkpoint:
            self.machine.use(number, offer.sizes, self._now_ms())
        else:
            self.machine.pass_over(number, self._now_ms())
        self._do()

    async def _ask_for_proof(self, number: int, checkpoint: Checkpoint, after: int) -> Proof:
        """A page of a proof; an empty one where the peer does not give it in time."""
        link = self.links.get(number)
        if link is None:
            return NO_PROOF
        page: asyncio.Future[Proof] = asyncio.get_running_loop().create_future()
        self._pages[number] = page
        say(link, AskProof(self._trusted, checkpoint.hash, after))
        try:
            async with asyncio.timeout(PART_MS / 1000):
                return await page
        except TimeoutError:
            return NO_PROOF
        finally:
            del self._pages[number]

    async def _begin(self, checkpoint: Checkpoint, offer: Offer) -> None:
        """Fetch this one; what came in an earlier run, or of another snapshot, serves where it is the same."""
        self.checkpoint = checkpoint
        self._buffers.clear()
        lacking = await self.folder.begin(checkpoint.hash, offer.buckets)
        _log.info("fetching the state at checkpoint %d: %d of %d parts", checkpoint.number, len(lacking), SECTIONS)
        self.machine.begin(checkpoint.hash, offer.sizes, lacking, self._now_ms())
