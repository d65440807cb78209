"""A newcomer begins from a checkpoint over real links: from honest peers, among liars, and after a kill."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from node.api.errors import Refused
from node.encoding.hosts import Address
from node.mesh.identity import NodeKey
from node.mesh.protocol.messages import BUCKETS, FRONT, AnyMessage, AskPart, Offer, Part
from node.profile.invitation import Invitation
from node.service import bootstrap
from node.service.beginning import Beginning, forget_beginning, keep_beginning, read_beginning
from node.service.fetch_progress import FetchView, read_progress, write_progress
from node.service.follower import TOO_FAR_BEHIND
from node.service.joining import take_invitation
from node.service.opening import ServiceSettings, open_service
from node.service.peer_file import PeerFile
from node.service.shelf import KeptSnapshot, Shelf
from node.storage.reader import reading
from tests.node.service.fetch_world import (
    Country,
    Host,
    Twist,
    bad_signature,
    broken_proof,
    false_waves,
    farewell,
    full_bucket,
    hosts,
    in_bucket,
    no_proof,
    other_state,
    sections,
    with_front,
)
from tests.node.service.service_world import confirmed, until
from tests.node.service.test_mesh import HERE, LONG, Street, mesh_of
from tests.node.world import key

SETTINGS = ServiceSettings(serve=False, mesh=HERE)


@pytest.fixture(scope="module")
def country(tmp_path_factory: pytest.TempPathFactory) -> Country:
    return Country(tmp_path_factory.mktemp("country"))


async def test_a_newcomer_begins_from_what_several_peers_give(country: Country) -> None:
    async with hosts(*(Host(country) for _ in range(3))) as given:
        given[0].others, given[0].delay_s = given, 0.1
        given[1].delay_s = given[2].delay_s = 0.02  # neither is done before the other is linked
        newcomer = country.newcomer("plain", given[:1], country.trusted[:16])
        line = await newcomer.begin()
    assert "checkpoint" in line
    newcomer.stands_right()
    assert all(host.given for host in given), "those who are told of are asked as well"
    assert sum(host.given for host in given) == BUCKETS + 1
    assert [view.stage for view in newcomer.said][-1] == "checking"
    assert not newcomer.bans


LIES: dict[str, Twist] = {
    "a row is missing": in_bucket(lambda rows: rows[1:]),
    "a row stands twice": in_bucket(lambda rows: (*rows, rows[-1])),
    "rows stand in another order": in_bucket(lambda rows: tuple(reversed(rows)) if len(rows) > 1 else rows[1:]),
    "a balance is another": in_bucket(lambda rows: ((*rows[0][:2], rows[0][2][:-1] + b"\x01"), *rows[1:])),  # type: ignore[index]
    "a bucket is no bucket": sections(lambda section, data: b"\xc0" * len(data)),
    "a byte more": sections(lambda section, data: data + b"\x00"),
    "other waves": false_waves,
}


@pytest.mark.parametrize("lie", LIES)
async def test_a_liar_is_found_at_once_and_the_truth_comes_from_another(country: Country, lie: str) -> None:
    liar, honest = Host(country, LIES[lie]), Host(country)
    honest.delay_s = 0.003  # so that the liar is asked for much
    async with hosts(liar, honest) as given:
        newcomer = country.newcomer(f"liar-{list(LIES).index(lie)}", given)
        await newcomer.begin()
    newcomer.stands_right()
    assert newcomer.bans == {liar.key.id}


async def test_a_history_that_nobody_trusts_is_passed_over(country: Country) -> None:
    async with hosts(Host(country, other_state), Host(country)) as given:
        newcomer = country.newcomer("passed", given)
        await newcomer.begin()
    newcomer.stands_right()
    assert given[0].asked == 0


async def test_who_trusts_an_earlier_checkpoint_walks_to_the_offered_one(country: Country) -> None:
    async with hosts(Host(country, no_proof), Host(country)) as given:
        newcomer = country.newcomer("walker", given, country.oldest.hash[:16])
        await newcomer.begin()
    newcomer.stands_right()
    assert not newcomer.bans
    with reading(newcomer.paths.chain_db) as chain:
        proof = chain.certificates(country.oldest.number, 100)
    assert proof, "it can prove to others how one gets there"


@pytest.mark.parametrize("lie", [bad_signature, broken_proof])
async def test_a_false_proof_convinces_nobody(country: Country, lie: Twist) -> None:
    liar, honest = Host(country, lie), Host(country)
    async with hosts(liar, honest) as given:
        liar.others = [honest]
        newcomer = country.newcomer(f"proof-{lie.__name__}", given[:1], country.oldest.hash)  # type: ignore[attr-defined]
        await newcomer.begin()
    newcomer.stands_right()
    assert newcomer.bans <= {liar.key.id}
    assert honest.given > 0


def flipped(front: bytes) -> bytes:
    """A bit of the last block's body is another."""
    return front[:-40] + bytes((front[-40] ^ 1,)) + front[-39:]


async def test_a_false_front_bans_its_giver_and_another_one_is_taken(country: Country) -> None:
    liar = Host(country, kept=with_front(country, flipped, "false-front"))
    honest = Host(country)
    async with hosts(liar, honest) as given:
        newcomer = country.newcomer("front", given[:1])  # so the front is the liar's
        beginning = asyncio.create_task(newcomer.begin())
        await until(lambda: liar.given > BUCKETS, LONG)
        await until(lambda: not liar.transport.links, LONG)  # it was sent away
        beginning.cancel()
        await asyncio.wait({beginning})
        assert newcomer.bans == {liar.key.id}
        assert not newcomer.paths.chain_db.exists()
        newcomer.know([honest])
        await newcomer.begin()
    newcomer.stands_right()
    assert honest.given == 1, "the buckets had come"


class Lasting:
    """True answers to so many questions for parts; then something else."""

    def __init__(self, parts: int, then: str) -> None:
        self.left = parts
        self.then = then

    def __call__(self, question: AnyMessage, answer: AnyMessage) -> AnyMessage | None:
        if not isinstance(answer, Part):
            return answer
        self.left -= 1
        if self.left >= 0:
            return answer
        return None if self.then == "silence" else answer._replace(data=b"")


@pytest.mark.parametrize("then", ["silence", "nothing"])
async def test_who_falls_silent_or_has_it_no_more_is_passed_over(
    country: Country, then: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.mesh.protocol.fetching.PART_MS", 300)
    async with hosts(Host(country, Lasting(20, then)), Host(country)) as given:
        newcomer = country.newcomer(f"then-{then}", given)
        await newcomer.begin()
    newcomer.stands_right()
    assert not newcomer.bans, "that is no crime"
    assert given[0].given == 20


async def test_what_came_before_a_kill_is_not_fetched_again(country: Country) -> None:
    first, second = Host(country, Lasting(100, "silence")), Host(country)
    newcomer = country.newcomer("killed", [])
    async with hosts(first) as given:
        newcomer.know(given)
        beginning = asyncio.create_task(newcomer.begin())
        await until(lambda: len(list(newcomer.paths.fetching.glob("bucket-*"))) >= 80, LONG)
        beginning.cancel()
        await asyncio.wait({beginning})
    kept = list(newcomer.paths.fetching.glob("bucket-*"))
    torn = max(kept, key=lambda file: file.stat().st_size)
    torn.write_bytes(torn.read_bytes()[:-1])  # what a power cut may leave
    async with hosts(second) as given:
        newcomer.know(given)
        await newcomer.begin()
    newcomer.stands_right()
    assert 0 <= second.given - (BUCKETS - len(kept)) <= 2, "the rest, the torn one, and perhaps the front"


async def test_an_old_checkpoint_is_refused_with_what_to_do(country: Country) -> None:
    parameters = country.genesis.parameters
    later = country.clock() + parameters.unbonding_slots * parameters.slot_ms // 2
    async with hosts(Host(country)) as given:
        newcomer = country.newcomer("old", given)
        with pytest.raises(Refused, match="half the unbonding period") as caught:
            await newcomer.begin(lambda: later)
        assert caught.value.code == "old_checkpoint"
        assert "nexus mesh join" in caught.value.hint
        assert read_beginning(newcomer.paths) == Beginning(country.trusted, False)
        assert not newcomer.paths.chain_db.exists()


async def test_where_nobody_has_it_the_whole_history_is_the_way(
    country: Country, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bootstrap, "PATIENCE_S", 0.5)
    monkeypatch.setattr(bootstrap, "NOBODY_HAS_S", 0.5)
    nobody = country.newcomer("nobody", [])
    assert "as it is here" in await nobody.begin()
    empty = Host(country, lambda question, answer: Offer(b"", b"", ()) if isinstance(answer, Offer) else answer)
    async with hosts(empty, Host(country, farewell)) as given:
        newcomer = country.newcomer("empty", given)
        assert "as it is here" in await newcomer.begin()
        assert read_beginning(newcomer.paths) is not None


async def test_a_chain_that_went_on_needs_no_beginning(country: Country) -> None:
    newcomer = country.newcomer("went-on", [])
    newcomer.paths.chain_db.write_bytes(country.town.paths.chain_db.read_bytes())
    assert await newcomer.begin() == ""
    assert read_beginning(newcomer.paths) is None


def test_progress_is_told_to_other_processes(country: Country) -> None:
    paths = country.newcomer("progress", []).paths
    assert read_progress(paths) is None
    for view in (
        FetchView("looking", 1),
        FetchView("fetching", 2, 5, 10, 0),
        FetchView("fetching", 2, 5, 10),
    ):
        write_progress(paths, view)
        assert read_progress(paths) == view
    paths.progress.write_bytes(b"\xc0")
    assert read_progress(paths) is None


async def test_the_shelf_keeps_two_of_different_epochs_and_clears_what_is_of_no_use(country: Country) -> None:
    place = country.folder / "shelf"
    place.mkdir()
    for name in ("junk", "9.index", "8.snapshot"):
        (place / name).write_bytes(b"\xc0")
    shelf = Shelf(place, country.chain_db, country.genesis, country.clock)
    assert not shelf.kept
    assert not list(place.iterdir())
    assert shelf.newest is shelf.find(b"") is None

    shelf.finalised(country.final)
    shelf.finalised(country.final)
    await shelf.close()
    assert [one.checkpoint for one in shelf.kept] == [country.final.checkpoint]
    again = Shelf(place, country.chain_db, country.genesis, country.clock)
    assert again.kept == shelf.kept, "a restart finds it"
    assert again.find(country.trusted[:16]) == again.find(b"other") == again.newest

    shelf.finalised(country.final)
    await shelf.close()
    assert len(shelf.kept) == 1, "one an epoch is enough"
    shelf.kept = [replace(shelf.kept[0], checkpoint=shelf.kept[0].checkpoint._replace(slot=slot)) for slot in (1, 25)]
    shelf.finalised(country.final)
    await shelf.close()
    assert [one.checkpoint.slot for one in shelf.kept] == [25, country.final.checkpoint.slot]

    parameters = country.genesis.parameters
    late = country.clock() + parameters.unbonding_slots * parameters.slot_ms // 2
    old = Shelf(country.folder / "old-shelf", country.chain_db, country.genesis, lambda: late)
    old.finalised(country.final)
    await old.close()
    assert not old.kept, "nobody may begin from one so old"


async def kept(street: Street) -> KeptSnapshot:
    """Payments until every node keeps a snapshot of one checkpoint."""
    paid, payer = 0, street.payer(1)
    shelves = [mesh_of(node).shelf for node in street.nodes]

    def newest() -> set[bytes]:
        return {b"" if shelf is None or shelf.newest is None else shelf.newest.checkpoint.hash for shelf in shelves}

    async with asyncio.timeout(LONG):
        while len(newest()) > 1 or b"" in newest():
            await street.nodes[0].submit(payer.pay(paid, key(60).address, 1_000).raw)
            paid += 1
            await asyncio.sleep(0.1)
    assert shelves[0] is not None
    assert shelves[0].newest is not None
    return shelves[0].newest


async def test_real_nodes_keep_the_same_snapshot_and_a_newcomer_pays(tmp_path: Path) -> None:
    street = Street(tmp_path, validators=2, others=1)
    newcomer = street.profiles.pop()
    async with street:
        street.meet(1, 0)
        await until(lambda: len(mesh_of(street.nodes[0]).peers) == 1, LONG)
        snapshot = await kept(street)
        rows = tuple(("127.0.0.1", mesh_of(node).port, mesh_of(node).key.id, b"", 0, 0, 0) for node in street.nodes)
        PeerFile(newcomer.peers).save(0, rows, {})
        keep_beginning(newcomer, Beginning(snapshot.checkpoint.hash[:16], over=False))
        async with open_service(newcomer, SETTINGS) as service:
            assert "Began from checkpoint" in service.report[-1]
            assert read_beginning(newcomer) is None
            payment = street.payer(2).pay(0, key(61).address, 5_000)
            await service.node.submit(payment.raw)
            for node in (service.node, *street.nodes):
                await confirmed(node, payment.txid)
            assert (await service.node.verify()).ok


def test_the_country_has_something_to_lie_about(country: Country) -> None:
    assert country.kept.layout.sizes[full_bucket(country)] > 10
    assert country.kept.layout.sizes[FRONT] > 1_000
    assert AskPart(bytes(32), FRONT, 0)


def test_an_invitation_may_be_renewed_while_no_node_runs(country: Country) -> None:
    newcomer = country.newcomer("renewed", [], country.oldest.hash[:16])
    fresh = Invitation(country.genesis.hash, (Address("127.0.0.1", 7_400, NodeKey(bytes(32)).id),), country.trusted)
    assert take_invitation(newcomer.paths, country.genesis, fresh)
    assert read_beginning(newcomer.paths) == Beginning(country.trusted, False)
    assert any(row[1] == 7_400 for row in PeerFile(newcomer.paths.peers).rows)  # type: ignore[index]
    with pytest.raises(Refused) as caught:
        take_invitation(newcomer.paths, country.genesis, fresh._replace(genesis=bytes(32)))
    assert caught.value.code == "other_network"

    forget_beginning(newcomer.paths)
    newcomer.paths.chain_db.write_bytes(country.town.paths.chain_db.read_bytes())
    assert not take_invitation(newcomer.paths, country.genesis, fresh), "a chain with final blocks goes on"
    assert read_beginning(newcomer.paths) is None


async def test_a_node_that_is_cut_off_says_so_and_is_opened_anew(tmp_path: Path) -> None:
    country = await asyncio.to_thread(Country, tmp_path)
    town = country.town
    async with town.node(mesh=HERE) as node:
        events = node.subscribe(("alert",))
        async with events as heard:
            node.cut_off()
            await asyncio.wait_for(node.again_requested.wait(), LONG)
            told = [event async for event in heard]
        assert [alert.code for alert in node.alerts.standing() if alert.code == TOO_FAR_BEHIND]
        assert any(event.text == TOO_FAR_BEHIND for event in told), "and who listens hears the end"
        final = node.engine.final
    assert read_beginning(town.paths) == Beginning(final.hash, over=True)


async def test_a_chain_is_replaced_only_when_the_other_is_whole(
    country: Country, monkeypatch: pytest.MonkeyPatch
) -> None:
    newcomer = country.newcomer("over", [])
    forget_beginning(newcomer.paths)
    async with open_service(newcomer.paths, ServiceSettings(serve=False), country.clock):
        pass
    before = newcomer.paths.chain_db.read_bytes()
    keep_beginning(newcomer.paths, Beginning(country.oldest.hash, over=True))
    monkeypatch.setattr(bootstrap, "PATIENCE_S", 0.5)
    assert "as it is here" in await newcomer.begin()
    assert newcomer.paths.chain_db.read_bytes() == before
    monkeypatch.undo()

    parameters = country.genesis.parameters
    late = country.clock() + parameters.unbonding_slots * parameters.slot_ms // 2
    async with hosts(Host(country)) as given:
        newcomer.know(given)
        assert "half the unbonding period" in await newcomer.begin(lambda: late), (
            "told, and the node opens all the same"
        )
        assert newcomer.paths.chain_db.read_bytes() == before
        await newcomer.begin()
    newcomer.stands_right()
