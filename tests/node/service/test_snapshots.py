"""Snapshots: one pass proves a state, every falsification is refused, and a node goes on from one like any other."""

from __future__ import annotations

import asyncio
import contextlib
import errno
from collections.abc import Callable
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from random import Random
from typing import cast

import pytest

from node.api.errors import Damaged, NexusError, Refused
from node.consensus.adopting import proven
from node.consensus.blocks import Block, Header
from node.consensus.dagblocks import DagBlock
from node.consensus.engine import Engine
from node.consensus.finality import Checkpoint
from node.consensus.lightclient import Certificate
from node.consensus.restore import decode_view, encode_base, encode_view
from node.consensus.view import View
from node.encoding.amounts import SUPPLY
from node.encoding.canonical import Value, decode, pack
from node.light.waves import BUCKETS, StateWaves
from node.profile.paths import ProfilePaths
from node.service.restoring import read_engine
from node.service.snapshots import adopt_snapshot, begin_from_snapshot, check_snapshot, make_snapshot
from node.service.verify import verify_file
from node.storage.reader import reading
from node.storage.snapshot import SnapshotFile
from tests.node.service.dag_world import Town, hear
from tests.node.world import VALIDATORS, contents, key

MAGIC = len(b"nexus state snapshot 1\n")


class Made:
    """A town with blocks that are final, pruned and not final yet, and a snapshot of it."""

    def __init__(self, folder: Path) -> None:
        self.town = Town(folder / "town", validators=3, merge_depth_slots=20)
        self.path = folder / "snapshot"
        asyncio.run(self._fill())
        self.checkpoint: Checkpoint = make_snapshot(self.town.paths.chain_db, self.town.genesis, self.path)
        self.content = self.path.read_bytes()

    async def _fill(self) -> None:
        town = self.town
        async with town.node() as node:
            for round_ in range(60):
                await hear(node, town.pass_slots(4, town.payment(round_ % 4)))
                for vote in town.network.votes[-12:]:
                    await node.receive_vote(vote)
            assert min(block.index for block in node.engine.blocks.values()) > 0, "its beginning is pruned"
            assert node.engine.tip.height > node.engine.final.height


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("made"))


def frames(content: bytes) -> list[bytes]:
    found, at = [], MAGIC
    while at < len(content) - 32:
        size = int.from_bytes(content[at : at + 4])
        found.append(content[at + 4 : at + 4 + size])
        at += 4 + size
    return found


def joined(content: bytes, parts: list[bytes]) -> bytes:
    body = content[:MAGIC] + b"".join(len(part).to_bytes(4) + part for part in parts)
    return body + blake2b(body, digest_size=32).digest()


def adopt(made: Made, folder: Path, content: bytes, trusted: bytes | None = None) -> Path:
    folder.mkdir()
    (folder / "given").write_bytes(content)
    target = folder / "chain.db"
    with contextlib.suppress(Damaged):  # a check alone never fails in another way
        check_snapshot(folder / "given")
    try:
        adopt_snapshot(target, made.town.genesis, folder / "given", trusted or made.checkpoint.hash)
    except NexusError:
        assert [file.name for file in folder.iterdir()] == ["given"], "nothing was left behind"
        raise
    return target


def test_one_pass_proves_the_state(made: Made) -> None:
    with made.path.open("rb") as file:
        snapshot = SnapshotFile(made.path, file)
        assert len(list(snapshot.blocks())) == snapshot.head.blocks
        seen = [bucket for bucket, _ in snapshot.buckets()]
    assert seen == list(range(BUCKETS))
    assert snapshot.total == SUPPLY
    assert StateWaves(snapshot.waves).commitment == made.checkpoint.state
    assert made.path.stat().st_mode & 0o077 == 0
    with pytest.raises(NexusError):
        make_snapshot(made.town.paths.chain_db, made.town.genesis, made.path)


def test_it_says_how_high_the_newest_block_lies_that_executed_anything(tmp_path: Path) -> None:
    """Of those up to its checkpoint, not of later ones, and not the checkpoint's own block that executed nothing."""
    town = Town(tmp_path / "town", heartbeat_slots=100)
    payments = [town.payment(), town.payment()]

    async def live() -> list[int]:
        async with town.node() as node:
            for payment, slots in zip(payments, (14, 3), strict=True):
                await hear(node, town.pass_slots(slots, payment))
            views = [await node.transaction(payment.txid) for payment in payments]
            return [view.height or 0 for view in views if view is not None]

    first, second = asyncio.run(live())
    make_snapshot(town.paths.chain_db, town.genesis, tmp_path / "snapshot")
    with (tmp_path / "snapshot").open("rb") as file:
        head = SnapshotFile(tmp_path / "snapshot", file).head
    assert 0 < first == head.busy < head.height < second


def test_whom_a_long_silence_left_out_is_left_out_after_a_snapshot_too(tmp_path: Path) -> None:
    town = Town(tmp_path / "town", merge_depth_slots=20)

    async def live() -> bytes:
        async with town.node() as node:
            while not node.engine.view.absent or node.engine.view.final.height < 200:
                blocks, votes = len(town.network.blocks), len(town.network.votes)
                town.network.pass_slot(silent=(2, 3) if town.network.slot > 12 else ())
                await hear(node, town.network.blocks[blocks:])
                for vote in town.network.votes[votes:]:
                    await node.receive_vote(vote)
                assert town.network.slot < 600
            _, base = node.engine.pruning_points()
            assert base.known_view.absent == {key(VALIDATORS + number).address for number in (2, 3)}
            return encode_view(node.engine.blocks[node.engine.final.checkpoint.block].known_view)

    view = asyncio.run(live())
    checkpoint = make_snapshot(town.paths.chain_db, town.genesis, tmp_path / "snapshot")
    adopt_snapshot(tmp_path / "chain.db", town.genesis, tmp_path / "snapshot", checkpoint.hash)
    engine = read_engine(tmp_path / "chain.db", town.genesis)
    assert len(engine.view.absent) == 2
    assert encode_view(engine.view) == view


def rewritten(made: Made, number: int, change: Callable[[Value], Value]) -> bytes:
    """The snapshot with one frame changed and a digest that fits; frame -256 is bucket 0, frame 0 the head."""
    parts = frames(made.content)
    parts[number] = pack(change(decode(parts[number], 1 << 30)))
    return joined(made.content, parts)


def changed_view(made: Made, change: Callable[[View], None]) -> bytes:
    """The snapshot with another view at its base."""

    def of(head: Value) -> Value:
        fields = list(cast("tuple[Value, ...]", head))
        packed, sets = cast("tuple[bytes, Value]", decode(cast(bytes, fields[7]), 1 << 30))
        view = decode_view(packed)
        change(view)
        fields[7] = pack((encode_view(view), sets))
        return tuple(fields)

    return rewritten(made, 0, of)


def be_seen_later(view: View) -> None:
    view.seen = {**view.seen, next(iter(view.seen)): 1 << 20}


def forget_who_was_seen(view: View) -> None:
    view.seen = {}


def call_somebody_absent(view: View) -> None:
    view.absent = frozenset([key(VALIDATORS).address])


def invent_a_reveal(view: View) -> None:
    view.reveals = view.reveals | {(key(VALIDATORS).address, 0, bytes(32))}


def count_checkpoints_otherwise(view: View) -> None:
    view.number += 1


def forget_votes(view: View) -> None:
    view.links = {}


def merge_otherwise(view: View) -> None:
    view.order = bytes(32)


def name_another_header(view: View) -> None:
    """No hash of a view covers it, and votes that sign it would count here no more."""
    view.final.header = view.final.header[:-1] + bytes([view.final.header[-1] ^ 1])


def forget_what_justified(view: View) -> None:
    assert view.proofs
    view.proofs = {}


@pytest.mark.parametrize(
    "change",
    [
        merge_otherwise,
        name_another_header,
        forget_what_justified,
        be_seen_later,
        forget_who_was_seen,
        call_somebody_absent,
        invent_a_reveal,
        count_checkpoints_otherwise,
        forget_votes,
    ],
)
def test_a_false_view_is_not_what_the_checkpoint_commits_to(
    made: Made, tmp_path: Path, change: Callable[[View], None]
) -> None:
    """Nothing in the file shows it to be false, but the checkpoint that follows from it is another one."""
    assert changed_view(made, lambda view: None) == made.content
    with pytest.raises(Damaged) as refused:
        adopt(made, tmp_path / "x", changed_view(made, change))
    assert refused.value.code == "bad_snapshot"


def test_each_checkpoint_down_to_the_base_is_compared(made: Made, tmp_path: Path) -> None:
    """Also where all is the same again at the trusted one: blocks beside the chain would be judged otherwise."""
    path = adopt(made, tmp_path / "x", made.content)

    def engine() -> Engine:
        return read_engine(path, made.town.genesis)

    assert proven(engine(), made.checkpoint).checkpoint == made.checkpoint
    heights = [item.height for item in engine().selected(engine().chain.tip) if item.view and item.view.fresh]
    assert len(heights) > 3
    for height in heights[1:]:
        changed = engine()
        block = next(item for item in changed.selected(changed.chain.tip) if item.height == height)
        block.view = block.known_view.copy()
        block.view.seen = {**block.view.seen, key(VALIDATORS).address: 0}
        with pytest.raises(ValueError, match=f"votes at block {height} is not what followed"):
            proven(changed, made.checkpoint)


def test_it_must_reach_back_as_far_as_new_blocks_may(made: Made, tmp_path: Path) -> None:
    """A true view of a later block as its base: it shows nothing wrong, but no branch from below could be judged."""
    engine = read_engine(made.town.paths.chain_db, made.town.genesis)
    rows = [cast("tuple[Value, ...]", decode(part, 1 << 30)) for part in frames(made.content)[1:-BUCKETS]]
    number = {Header.decode(cast(bytes, row[6])).id: cast(int, row[0]) for row in rows}
    chain = [block for block in engine.selected(engine.blocks[made.checkpoint.block]) if block.view is not None]

    def of(base: DagBlock) -> bytes:
        return rewritten(
            made,
            0,
            lambda head: (*head[:6], number[base.id], encode_base(engine, base), *head[8:]),  # type: ignore[index, misc]
        )

    for base, said in (
        (chain[0], "reach back"),
        (next(block for block in chain[1:] if block.known_view.fresh is not None), "reach back"),
        (next(block for block in chain if block.known_view.fresh is None), "not what followed"),
    ):
        with pytest.raises(Damaged, match=said):
            adopt(made, tmp_path / str(base.height), of(base))
    adopt(made, tmp_path / "whole", of(chain[-1]))


def test_false_validators_are_not_taken_for_those_of_its_state(made: Made, tmp_path: Path) -> None:
    def of(head: Value) -> Value:
        assert isinstance(head, tuple)
        *older, newest = cast("tuple[tuple[Value, ...], ...]", head[10])
        return (*head[:10], (*older, (*newest[:3], older[0][3])), *head[11:])

    with pytest.raises(Damaged, match="other validators than its state"):
        adopt(made, tmp_path / "x", rewritten(made, 0, of))


def test_gaps_do_not_keep_its_blocks_from_being_coloured_again(made: Made, tmp_path: Path) -> None:
    last = len(frames(made.content)) - BUCKETS - 1
    with pytest.raises(Damaged, match="another number"):
        adopt(made, tmp_path / "x", rewritten(made, last, lambda row: (row[0] + 1, *row[1:])))  # type: ignore[index, misc, operator]


def test_it_is_known_by_half_its_hash_and_keeps_the_way_there(made: Made, tmp_path: Path) -> None:
    with reading(made.town.paths.chain_db) as source:
        certificates = [Certificate.decode(item) for item in source.certificates(0, 100)]
        assert source.checkpoint(made.checkpoint.hash[:16]) == pack(tuple(made.checkpoint))
        assert source.checkpoint(b"") is None, "more than one begins so"
        assert source.checkpoint(bytes(16)) is None
        number, height, _ = source.newest_checkpoint() or (0, 0, b"")
    assert 0 < len(certificates) < number
    target = adopt_snapshot(
        tmp_path / "chain.db", made.town.genesis, made.path, made.checkpoint.hash[:16], certificates
    )
    assert target == made.checkpoint
    with reading(tmp_path / "chain.db") as source:
        assert len(source.certificates(0, 100)) == len(certificates)
        assert source.certificates(certificates[-1].checkpoint.number, 100) == []
        assert source.newest_checkpoint() == (number, height, pack(tuple(made.checkpoint)))
        assert len(source.tables((target.table, target.next_table))) == len({target.table, target.next_table})
    again = make_snapshot(tmp_path / "chain.db", made.town.genesis, tmp_path / "passed on")
    assert again == made.checkpoint
    with pytest.raises(Damaged):
        adopt_snapshot(tmp_path / "other.db", made.town.genesis, made.path, made.checkpoint.hash[:15])


def full_bucket(made: Made) -> int:
    """The frame of a bucket with at least two rows."""
    parts = frames(made.content)
    rows = [len(cast("tuple[tuple[Value, ...], ...]", decode(part, 1 << 30))[1]) for part in parts[-BUCKETS:]]
    return rows.index(max(rows)) - BUCKETS


def test_rows_out_of_order_or_repeated_are_refused(made: Made, tmp_path: Path) -> None:
    frame = full_bucket(made)

    def rows(change: Callable[[tuple[Value, ...]], tuple[Value, ...]]) -> bytes:
        return rewritten(made, frame, lambda value: (value[0], change(value[1])))  # type: ignore[index, arg-type]

    assert joined(made.content, frames(made.content)) == made.content
    for name, content, said in (
        ("swapped", rows(lambda found: (found[1], found[0], *found[2:])), "strictly ascending"),
        ("twice", rows(lambda found: (found[0], *found)), "strictly ascending"),
        ("dropped", rows(lambda found: found[1:]), "instead of|waves"),
        ("moved", rows(lambda found: (("accounts", b"\x00" * 21, pack((1, 1))), *found)), "does not belong|ascending"),
        ("no record", rows(lambda found: ((*found[0][:2], b"\x07"), *found[1:])), "does not belong"),  # type: ignore[index]
        ("unknown", rows(lambda found: (("gold", b"x", pack((1,))), *found)), "does not belong"),
    ):
        with pytest.raises(Damaged, match=said):
            adopt(made, tmp_path / name.replace(" ", ""), content)


def test_another_network_or_version_inside_is_refused(made: Made, tmp_path: Path) -> None:
    """Whole, with a digest that fits: and yet its blocks are not of its genesis, or its rules are others."""
    other = replace(made.town.genesis, start_ms=made.town.genesis.start_ms + 1).encode()
    head = decode(frames(made.content)[0], 1 << 30)
    assert isinstance(head, tuple)
    for name, content, said in (
        ("network", rewritten(made, 0, lambda value: (other, *head[1:])), "another network"),
        ("genesis", rewritten(made, 0, lambda value: (b"\x90", *head[1:])), "its genesis cannot be used"),
        ("version", rewritten(made, 0, lambda value: (head[0], 77, *head[2:])), "rule version 77"),
        ("state", rewritten(made, 0, lambda value: (*head[:3], bytes(32), *head[4:])), "names another state"),
        ("checkpoint", rewritten(made, 0, lambda value: (*head[:2], b"\x90", *head[3:])), "cannot be read"),
        ("kind", b"nexus state snapshot 9\n" + made.content[MAGIC:], "another kind or version"),
    ):
        given = tmp_path / name
        given.write_bytes(content)
        with pytest.raises(Damaged, match=said) as caught:
            check_snapshot(given)
        assert caught.value.code == "bad_snapshot"
        assert "Nothing was changed" in caught.value.message
        paths = ProfilePaths("new", tmp_path / f"{name}.new")
        paths.root.mkdir()
        with pytest.raises(Damaged):
            begin_from_snapshot(paths, given, made.checkpoint.hash)
        assert list(paths.root.iterdir()) == [], "nothing was left behind"


def test_what_a_check_says(made: Made, tmp_path: Path) -> None:
    report = check_snapshot(made.path)
    assert (report.checkpoint, report.genesis.hash) == (made.checkpoint, made.town.genesis.hash)
    assert (report.total_units, report.bytes) == (SUPPLY, len(made.content))
    assert report.records > 20
    assert report.is_old, "the town's clock stood still long ago"
    with pytest.raises(Refused, match="There is no file"):
        check_snapshot(tmp_path / "nowhere")


def test_a_new_profile_begins_from_it(made: Made, tmp_path: Path) -> None:
    paths = ProfilePaths("new", tmp_path / "new")
    paths.root.mkdir()
    assert begin_from_snapshot(paths, made.path, made.checkpoint.hash) == made.checkpoint
    assert paths.genesis.read_bytes() == made.town.paths.genesis.read_bytes()
    assert verify_file(paths.chain_db, made.town.genesis).state_commitment == made.checkpoint.state
    with pytest.raises(Refused, match="exists already"):
        begin_from_snapshot(paths, made.path, made.checkpoint.hash)


def test_a_snapshot_is_written_whole_or_not_at_all(made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(number: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr("node.storage.snapshot.os.fsync", full)
    with pytest.raises(Damaged, match="disk is full"):
        make_snapshot(made.town.paths.chain_db, made.town.genesis, tmp_path / "snapshot")
    assert list(tmp_path.iterdir()) == []


def test_every_cut_and_every_changed_byte_is_refused(made: Made, tmp_path: Path) -> None:
    size = len(made.content)
    for number, length in enumerate((0, 10, MAGIC, MAGIC + 40, size // 2, size - 33, size - 1)):
        with pytest.raises(Damaged):
            adopt(made, tmp_path / f"cut{number}", made.content[:length])
    with pytest.raises(Damaged):
        adopt(made, tmp_path / "more", made.content + b"\0")
    for number in range(20):
        at = size * number // 20
        changed = made.content[:at] + bytes([made.content[at] ^ 1]) + made.content[at + 1 :]
        with pytest.raises(Damaged):
            adopt(made, tmp_path / f"changed{number}", changed)


@pytest.mark.slow
def test_whatever_a_snapshot_says_it_is_refused_or_a_node_starts_from_it(made: Made, tmp_path: Path) -> None:
    """Any field of any part replaced by anything, with a digest that fits: never another error than a refusal."""
    parts = frames(made.content)
    random = Random(5)
    others: tuple[Value, ...] = (0, 1, 2**40, 2**63, 2**64 - 1, b"", bytes(32), "x", (), (1, 2), (b"a", 1, b"c"))

    def mutated(value: Value) -> Value:
        if isinstance(value, bytes) and len(value) > 200 and random.random() < 0.85:
            with contextlib.suppress(ValueError):  # the view at the base is packed twice
                return pack(mutated(decode(value, 1 << 30)))
        if isinstance(value, tuple) and value and random.random() < 0.85:
            place = random.randrange(len(value))
            return (*value[:place], mutated(value[place]), *value[place + 1 :])
        return random.choice(others)

    refused = 0
    for number in range(120):
        changed, place = list(parts), random.choice((0, 0, random.randrange(1, 20), random.randrange(1, len(parts))))
        changed[place] = pack(mutated(decode(changed[place], 1 << 30)))
        try:
            path = adopt(made, tmp_path / str(number), joined(made.content, changed))
        except Damaged:
            refused += 1
        else:
            read_engine(path, made.town.genesis)
    assert 60 < refused < 120, "most is refused, and what says nothing of weight is not"


def test_another_checkpoint_or_network_is_refused(made: Made, tmp_path: Path) -> None:
    with pytest.raises(Damaged, match="trusted"):
        adopt(made, tmp_path / "untrusted", made.content, bytes(32))
    other = Town(tmp_path / "other", validators=2)
    with pytest.raises(Damaged) as caught:
        adopt_snapshot(tmp_path / "x.db", other.genesis, made.path, made.checkpoint.hash)
    assert caught.value.code == "other_network"
    with pytest.raises(Refused, match="exists already"):
        adopt_snapshot(made.town.paths.chain_db, made.town.genesis, made.path, made.checkpoint.hash)


def test_a_forged_block_is_refused(made: Made, tmp_path: Path) -> None:
    """The digest fits, the state is right, and yet a block was made up, or its colours were."""
    with pytest.raises(Damaged):
        adopt(made, tmp_path / "header", rewritten(made, 5, lambda value: (*value[:6], b"\x90", *value[7:])))  # type: ignore[index, misc]
    with pytest.raises(Damaged, match="colours"):
        adopt(made, tmp_path / "score", rewritten(made, 9, lambda value: (*value[:12], 1, value[13])))  # type: ignore[index, misc]


def test_nothing_final_makes_no_snapshot(tmp_path: Path) -> None:
    town = Town(tmp_path / "town")

    async def begin() -> None:
        async with town.node():
            pass

    asyncio.run(begin())
    with pytest.raises(Refused, match="final yet"):
        make_snapshot(town.paths.chain_db, town.genesis, tmp_path / "snapshot")


async def test_a_node_goes_on_from_a_snapshot(made: Made, tmp_path: Path) -> None:
    path = adopt(made, tmp_path / "adopted", made.content)
    report = verify_file(path, made.town.genesis)
    assert report.ok
    assert (report.total_units, report.state_commitment) == (SUPPLY, made.checkpoint.state)
    (tmp_path / "adopted" / "genesis.nexus").write_bytes(made.town.paths.genesis.read_bytes())
    town = Town.__new__(Town)
    town.__dict__.update(made.town.__dict__)
    town.paths = ProfilePaths("adopted", tmp_path / "adopted")
    town.nonces = list(made.town.nonces)

    async with town.node() as node:
        assert node.engine.tip.id == made.checkpoint.block
        status = await node.status()
        assert (status.final_height, status.alerts) == (node.engine.tip.height, ())
        known = set(node.engine.blocks)
        later: list[Block] = [block for block in town.network.blocks if block.id not in known]
        await hear(node, [block for block in later if block.header.slot > made.checkpoint.slot - 40])
        for vote in town.network.votes[-40:]:
            await node.receive_vote(vote)
        there = town.network.nodes[0].engine
        assert node.engine.tip == there.tip
        assert contents(node.engine.state) == contents(there.state)
        await hear(node, town.pass_slots(12, town.payment(1)))
        for vote in town.network.votes[-20:]:
            await node.receive_vote(vote)
        assert node.engine.tip == there.tip
        assert node.engine.final.number > made.checkpoint.number
        assert (await node.verify()).ok
    async with town.node() as node:
        assert node.engine.tip == there.tip
    passed_on = make_snapshot(path, town.genesis, tmp_path / "passed-on")
    assert passed_on.number > made.checkpoint.number, "who began from a snapshot gives one in his turn"
    assert check_snapshot(tmp_path / "passed-on").checkpoint == passed_on


def test_validators_that_a_rotation_asks_for_and_nobody_gave_are_missed(made: Made, tmp_path: Path) -> None:
    """The view at the base turned its tables later than it says: then they would be turned with what is not there."""

    def of(head: Value) -> Value:
        fields = list(cast("tuple[Value, ...]", head))
        packed, _ = cast("tuple[bytes, Value]", decode(cast(bytes, fields[7]), 1 << 30))
        view = decode_view(packed)
        view.rotation = view.epoch = 0
        fields[7] = pack((encode_view(view), ()))
        fields[10] = tuple((*row[:3], b"") for row in cast("tuple[tuple[Value, ...], ...]", fields[10]))
        return tuple(fields)

    with pytest.raises(Damaged, match="the validators after block"):
        adopt(made, tmp_path / "x", rewritten(made, 0, of))
