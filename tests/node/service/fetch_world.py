"""A town's snapshot, hosts that give it to guests over real links (some of them lie), and newcomers."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from node.consensus.finality import Checkpoint, Target
from node.consensus.lightclient import Certificate
from node.encoding.canonical import decode, pack
from node.light.waves import bucket_hash, commitment_of
from node.mesh.certificate import make_credentials
from node.mesh.identity import NodeKey
from node.mesh.link import Link
from node.mesh.protocol import messages
from node.mesh.protocol.hello import PROTOCOL, RELAY, Hello
from node.mesh.protocol.limits import size_of
from node.mesh.protocol.messages import (
    FRONT,
    Addresses,
    AnyMessage,
    AskPart,
    AskSnapshot,
    Bye,
    Offer,
    Part,
    Proof,
    WireError,
)
from node.mesh.transport import Transport
from node.profile.paths import ProfilePaths
from node.service.beginning import Beginning, keep_beginning
from node.service.bootstrap import Bootstrap
from node.service.fetch_progress import FetchView
from node.service.founding import write_genesis
from node.service.guests import Guests
from node.service.mesh_settings import MeshSettings
from node.service.peer_file import PeerFile
from node.service.restoring import read_engine
from node.service.shelf import NO_PROOF, KeptSnapshot, Shelf, keep_snapshot
from node.storage.reader import reading
from tests.node.service.dag_world import Town, hear

HERE = MeshSettings(hosts=("127.0.0.1",), port=0, discovery=False)
Twist = Callable[[AnyMessage, AnyMessage], AnyMessage | None]
"""What a host answers to a question instead of the true answer; None for nothing."""


class Country:
    """A town with final checkpoints, and the snapshot at the newest."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.town = Town(folder / "town", validators=3, merge_depth_slots=20, unbonding_slots=100_000)
        self.genesis = self.town.genesis
        self.chain_db = self.town.paths.chain_db
        asyncio.run(self._fill())
        self.final: Target = read_engine(self.town.paths.chain_db, self.genesis).view.final
        place = folder / "kept"
        place.mkdir()
        self.kept: KeptSnapshot = keep_snapshot(self.town.paths.chain_db, self.genesis, self.final, place)
        self.clock = self.town.clock
        with reading(self.town.paths.chain_db) as chain:
            found = chain.oldest_checkpoint()
        assert found is not None
        self.oldest = Checkpoint.from_value(decode(found[2], 1_024))
        assert 0 < self.oldest.number < self.final.number

    async def _fill(self) -> None:
        async with self.town.node() as node:
            for round_ in range(40):
                await hear(node, self.town.pass_slots(4, self.town.payment(round_ % 4)))
                for vote in self.town.network.votes[-12:]:
                    await node.receive_vote(vote)
            assert node.engine.tip.height > node.engine.final.height > 0

    @property
    def trusted(self) -> bytes:
        return self.final.hash

    def newcomer(self, name: str, hosts: list[Host], trusted: bytes | None = None) -> Newcomer:
        """A profile that was invited by these."""
        root = self.folder / name
        root.mkdir(mode=0o700)
        paths = ProfilePaths(name, root)
        write_genesis(paths, self.genesis)
        keep_beginning(paths, Beginning(self.trusted if trusted is None else trusted, over=False))
        made = Newcomer(self, paths)
        made.know(hosts)
        return made


class Newcomer:
    def __init__(self, country: Country, paths: ProfilePaths) -> None:
        self.country = country
        self.paths = paths
        self.said: list[FetchView] = []

    def know(self, hosts: list[Host]) -> None:
        rows = tuple(("127.0.0.1", host.port, host.key.id, b"", 0, 0, 0) for host in hosts)
        PeerFile(self.paths.peers).save(0, rows, {})

    async def begin(self, clock: Callable[[], int] | None = None) -> str:
        country = self.country
        phase = Bootstrap(self.paths, country.genesis, HERE, clock or country.clock, self.said.append)
        return await phase.run()

    @property
    def bans(self) -> set[bytes]:
        return set(PeerFile(self.paths.peers).bans)

    def stands_right(self) -> None:
        """It has the state of the trusted checkpoint, and a node can start from it."""
        engine = read_engine(self.paths.chain_db, self.country.genesis)
        checkpoint = self.country.final.checkpoint
        assert (engine.tip.id, engine.waves.commitment) == (checkpoint.block, checkpoint.state)
        assert not self.paths.fetching.exists()
        assert not self.paths.beginning.exists()
        assert not self.paths.progress.exists()


class Host(Guests):
    """Gives a kept snapshot to guests. `twist` makes it a liar, or slow; `asked` counts the questions for parts."""

    def __init__(self, country: Country, twist: Twist | None = None, kept: KeptSnapshot | None = None) -> None:
        self.key = NodeKey(os.urandom(32))
        self.country = country
        self.others: list[Host] = []
        shelf = Shelf(country.folder / f"shelf-{os.urandom(4).hex()}", country.chain_db, country.genesis, country.clock)
        shelf.kept = [kept or country.kept]
        super().__init__(country.genesis.encode(), shelf, self._known, lambda: 0)
        self.twist = twist
        self.delay_s = 0.0
        self.asked = self.given = 0
        self.port = 0
        self.transport = Transport(make_credentials(self.key), lambda: self.hello().encoded(), size_of)
        self.tasks: set[asyncio.Task[None]] = set()

    def hello(self) -> Hello:
        clock, nonce = self.country.clock(), os.urandom(16)
        return Hello(PROTOCOL, 2, self.country.genesis.hash, RELAY, self.port, clock, nonce, (), 0, 0, bytes(32), "h")

    def _known(self, link: Link) -> Addresses:
        return Addresses(tuple(("127.0.0.1", other.port, other.key.id) for other in self.others))

    async def listen(self) -> None:
        self.port = await self.transport.listen(("127.0.0.1",), 0, self._accept)

    def _accept(self, link: Link) -> None:
        task = asyncio.ensure_future(self._talk(link))
        self.tasks.add(task)

    async def _talk(self, link: Link) -> None:
        try:
            await self.serve(link)
        except WireError as error:
            if error.code != "guest":  # a farewell
                raise
        finally:
            await link.close()

    async def _answer(self, link: Link, message: AnyMessage) -> AnyMessage:
        self.asked += isinstance(message, AskPart)
        answer = await super()._answer(link, message)
        await asyncio.sleep(self.delay_s)
        twisted = answer if self.twist is None else self.twist(message, answer)
        if twisted is None:
            await asyncio.sleep(3_600)
        assert twisted is not None
        self.given += isinstance(twisted, Part) and bool(twisted.data)
        return twisted


@asynccontextmanager
async def hosts(*made: Host) -> AsyncIterator[list[Host]]:
    for host in made:
        await host.listen()
    try:
        yield list(made)
    finally:
        for host in made:
            for task in host.tasks:
                task.cancel()
            await asyncio.gather(*host.tasks, return_exceptions=True)
            await host.transport.close()


def bad_signature(question: AnyMessage, answer: AnyMessage) -> AnyMessage:
    """A way to the checkpoint by a vote that its voter did not sign."""
    if isinstance(answer, Proof) and answer.certificates:
        one = Certificate.decode(answer.certificates[-1])
        first, second = one.links
        vote = second.votes[0]._replace(signature=bytes(64))
        forged = one._replace(links=(first, second._replace(votes=(vote, *second.votes[1:]))))
        return answer._replace(certificates=(*answer.certificates[:-1], forged.encoded()))
    return answer


def no_proof(question: AnyMessage, answer: AnyMessage) -> AnyMessage:
    return NO_PROOF if isinstance(answer, Proof) else answer


def broken_proof(question: AnyMessage, answer: AnyMessage) -> AnyMessage:
    return answer._replace(certificates=(b"\x90",)) if isinstance(answer, Proof) else answer


def full_bucket(country: Country) -> int:
    """A bucket with rows."""
    return max(range(messages.BUCKETS), key=country.kept.layout.sizes.__getitem__)


def in_bucket(change: Callable[[tuple[object, ...]], tuple[object, ...]]) -> Twist:
    """A lie about the rows of every bucket that has some. Sizes are offered to fit."""

    def changed(section: int, data: bytes) -> bytes:
        value = decode(data, 1 << 30)
        assert type(value) is tuple
        rows = value[1]
        assert type(rows) is tuple
        return pack((section, change(rows))) if rows else data  # type: ignore[arg-type]

    return sections(changed)


def sections(changed: Callable[[int, bytes], bytes]) -> Twist:
    """A lie about sections, in bytes; those of this small country are one part each."""
    made: dict[int, bytes] = {}

    def twist(question: AnyMessage, answer: AnyMessage) -> AnyMessage:
        match question, answer:
            case AskSnapshot(), Offer() as offer:
                return offer
            case AskPart(_, section, _), Part() as part if section != FRONT:
                made[section] = changed(section, part.data)
                return part._replace(data=made[section])
        return answer

    return twist


def false_waves(question: AnyMessage, answer: AnyMessage) -> AnyMessage:
    """Another hash of a bucket than the commitment is made of."""
    if isinstance(answer, Offer):
        return answer._replace(buckets=bucket_hash(bytes(2_048)) + answer.buckets[32:-32] + bytes(32))
    return answer


def farewell(question: AnyMessage, answer: AnyMessage) -> AnyMessage:
    return Bye("busy", "Not now.") if isinstance(answer, Offer) else answer


def other_state(question: AnyMessage, answer: AnyMessage) -> AnyMessage:
    """A checkpoint and a state that fit each other, of a history that nobody trusts."""
    if isinstance(answer, Offer):
        buckets = bytes(32) + answer.buckets[32:]
        fields = decode(answer.checkpoint, 1_024)
        assert type(fields) is tuple
        return replace_checkpoint(answer, (*fields[:3], commitment_of(buckets), *fields[4:]))._replace(buckets=buckets)
    return answer


def replace_checkpoint(offer: Offer, fields: tuple[object, ...]) -> Offer:
    return offer._replace(checkpoint=pack(fields))  # type: ignore[arg-type]


def with_front(country: Country, change: Callable[[bytes], bytes], name: str) -> KeptSnapshot:
    """The kept snapshot with another front."""
    kept = country.kept
    content = kept.path.read_bytes()
    start, size = kept.layout.starts[FRONT], kept.layout.sizes[FRONT]
    front = change(content[start : start + size])
    assert len(front) == size, "offsets stay as they are"
    path = country.folder / name
    path.write_bytes(content[:start] + front + content[start + size :])
    return replace(kept, path=path)
