"""Starting a node: founding its network, and every reason not to start or not to make blocks."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from node.api.errors import Damaged, NexusError, Refused
from node.consensus import duties
from node.ledger.genesis import Allocation, Genesis
from node.profile.paths import ProfilePaths
from node.service import opening, production
from node.service.alerts import Alerts
from node.service.backups import make_backup, replace_data
from node.service.ending import has_ended
from node.service.founding import found_network, read_genesis
from node.service.production import Producer
from node.service.validator_key import ValidatorKey, create_validator_key, load_validator_key
from node.storage.signing_record import SigningRecord
from tests.node.service.dag_world import Town, hear
from tests.node.service.service_world import DAY_MS, Place, alert, at_rest, confirmed, until
from tests.node.world import NXT, VALIDATORS, founder, key, stranger


async def refused_to_start(place: Place, code: str) -> NexusError:
    """The error of opening; everything else is as it was before."""
    before = {file.name: file.read_bytes() for file in place.paths.root.iterdir() if file.suffix == ".nexus"}
    with pytest.raises(NexusError) as caught:
        async with place.opened():
            raise AssertionError("it started")
    assert caught.value.code == code
    assert before == {file.name: file.read_bytes() for file in place.paths.root.iterdir() if file.suffix == ".nexus"}
    return caught.value


# -- founding ---------------------------------------------------------------------------------------------------------


def found(folder: Path, **changed: Any) -> Genesis:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    choices: dict[str, Any] = {
        "preset": "solo",
        "now_ms": 1_000,
        "allocations": (Allocation(stranger(1), NXT, ""),),
        "validator_account": stranger(2),
        "stake": 1_000 * NXT,
    }
    return found_network(ProfilePaths("p", folder), **(choices | changed))


def test_founding_writes_key_record_and_genesis(tmp_path: Path) -> None:
    genesis = found(tmp_path / "p", name="home", others=(founder(1),))
    paths = ProfilePaths("p", tmp_path / "p")
    validator = load_validator_key(paths.validator_key)
    assert validator is not None
    assert read_genesis(paths) == genesis
    assert [item.consensus_key for item in genesis.validators] == [validator.public_key, founder(1).consensus_key]
    assert genesis.validators[0].reveal_commitment == validator.reveals.commitment
    assert SigningRecord.open(paths.signing_record, validator.public_key).slot == -1
    assert all(file.stat().st_mode & 0o077 == 0 for file in paths.root.iterdir())


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"stake": 999 * NXT}, "stake"),
        ({"allocations": ()}, "funds"),
        ({"preset": "maxi"}, "maxi"),
        ({"name": "Bad Name"}, "name"),
        ({"now_ms": 0}, "start time"),
        ({"validator_account": b"me"}, "account"),
    ],
)
def test_choices_that_make_no_network_leave_nothing_behind(tmp_path: Path, changed: dict[str, Any], why: str) -> None:
    with pytest.raises(Refused, match=why):
        found(tmp_path / "p", **changed)
    assert list((tmp_path / "p").iterdir()) == []


@pytest.mark.parametrize("missing", [(), ("validator.key",), ("signing-record",), ("validator.key", "signing-record")])
def test_a_profile_is_never_founded_twice(tmp_path: Path, missing: tuple[str, ...]) -> None:
    found(tmp_path / "p")
    for name in missing:
        (tmp_path / "p" / name).unlink()
    before = {file.name: file.read_bytes() for file in (tmp_path / "p").iterdir()}
    with pytest.raises(Refused, match=r"nothing was changed|never replaced"):
        found(tmp_path / "p", name="other")
    assert before == {file.name: file.read_bytes() for file in (tmp_path / "p").iterdir()}


# -- validator key ----------------------------------------------------------------------------------------------------


def test_a_validator_key_is_read_back_and_shows_nothing(tmp_path: Path) -> None:
    made = create_validator_key(tmp_path / "key")
    read = load_validator_key(tmp_path / "key")
    assert read is not None
    assert (read.public_key, read.reveals.commitment) == (made.public_key, made.reveals.commitment)
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert repr(ValidatorKey(1 << 200, bytes(32))).count("0" * 40) == 0
    assert load_validator_key(tmp_path / "none") is None
    with pytest.raises(Refused, match="never replaced"):
        create_validator_key(tmp_path / "key")


@pytest.mark.parametrize("cut", [0, 1, 40, -1])
def test_a_broken_validator_key_is_left_alone(tmp_path: Path, cut: int) -> None:
    create_validator_key(tmp_path / "key")
    broken = (tmp_path / "key").read_bytes()[:cut]
    (tmp_path / "key").write_bytes(broken)
    with pytest.raises(Damaged, match="left as it is"):
        load_validator_key(tmp_path / "key")
    assert (tmp_path / "key").read_bytes() == broken


async def test_a_key_that_others_can_read_is_not_used(place: Place) -> None:
    for mode in (0o640, 0o604, 0o620):
        place.paths.validator_key.chmod(mode)
        error = await refused_to_start(place, "validator_key_open")
        assert "chmod 600" in error.hint
    place.paths.validator_key.chmod(0o600)
    async with place.node() as node:
        assert node.producer is not None


async def test_a_node_has_ended_when_its_files_are_whole(place: Place) -> None:
    async with place.opened():
        assert not has_ended(place.paths, os.getpid())
        assert has_ended(place.paths, os.getpid() + 1), "another node took the folder"
    assert has_ended(place.paths, os.getpid())
    assert not list(place.paths.root.glob("*-wal"))


async def test_a_missing_signing_record_stops_the_start(place: Place) -> None:
    kept = place.paths.signing_record.read_bytes()
    place.paths.signing_record.unlink()
    error = await refused_to_start(place, "signing_record_missing")
    assert "loses the stake" in error.message
    place.paths.signing_record.write_bytes(kept[:-1])
    await refused_to_start(place, "signing_record_damaged")
    place.paths.signing_record.write_bytes(kept)
    async with place.node() as node:
        assert node.producer is not None


async def test_without_its_key_a_node_follows(place: Place) -> None:
    place.paths.validator_key.rename(place.paths.root / "elsewhere")
    async with place.node() as node:
        assert (await node.status()).mode == "following"
        await node.submit(place.payer().pay(0, stranger(1), NXT).raw)


async def test_a_key_of_no_validator_is_told(place: Place) -> None:
    place.paths.validator_key.unlink()
    place.paths.signing_record.unlink()
    other = create_validator_key(place.paths.validator_key)
    SigningRecord.create(place.paths.signing_record, other.public_key)
    async with place.node() as node:
        assert node.producer is None
        assert alert(node, "validator_unknown") is not None


async def test_the_signing_record_is_ahead_of_every_block(place: Place) -> None:
    validator = load_validator_key(place.paths.validator_key)
    assert validator is not None
    payment = place.payer().pay(0, stranger(1), NXT)
    async with place.node() as node:
        await node.submit(payment.raw)
        await confirmed(node, payment.txid)
        slot = node.engine.tip.slot
        assert SigningRecord.open(place.paths.signing_record, validator.public_key).slot == slot
    SigningRecord.open(place.paths.signing_record, validator.public_key).record_block(slot + 5)
    another = place.payer().pay(1, stranger(1), NXT)
    async with place.node() as node:
        await node.submit(another.raw)
        await confirmed(node, another.txid)
        assert node.engine.tip.slot > slot + 5


# -- one folder, one network ------------------------------------------------------------------------------------------


async def test_two_nodes_never_share_a_folder(place: Place) -> None:
    async with place.node() as node:
        await refused_to_start(place, "node_running")
        payment = place.payer().pay(0, stranger(1), NXT)
        await node.submit(payment.raw)
        await confirmed(node, payment.txid)
    async with place.node():
        pass


async def test_a_profile_without_a_network_does_not_start(place: Place) -> None:
    place.paths.genesis.unlink()
    with pytest.raises(NexusError) as caught:
        async with place.opened():
            pass
    assert caught.value.code == "missing_file"


async def test_a_damaged_genesis_is_named(place: Place) -> None:
    place.paths.genesis.write_bytes(place.paths.genesis.read_bytes()[:-1])
    assert "left as it is" in (await refused_to_start(place, "bad_genesis")).message


async def test_another_networks_genesis_is_refused(place: Place) -> None:
    async with place.node():
        pass
    place.paths.genesis.write_bytes(replace(place.genesis, name="other").encode())
    await refused_to_start(place, "other_network")


async def test_a_genesis_with_a_consensus_key_off_the_curve_is_refused(place: Place) -> None:
    off = replace(place.genesis.validators[0], consensus_key=b"\x02" + bytes(31) + b"\x01")
    place.paths.genesis.write_bytes(replace(place.genesis, validators=(off,)).encode())
    await refused_to_start(place, "bad_genesis")


async def test_without_ml_dsa_no_node_validates(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "supports_ml_dsa", lambda: False)
    error = await refused_to_start(place, "no_ml_dsa")
    assert "cryptography 48" in error.hint


async def test_a_database_of_other_rules_is_refused(place: Place) -> None:
    async with place.node():
        pass
    place.edit("UPDATE meta SET value = 99 WHERE name = 'rule_version'")
    await refused_to_start(place, "other_rules")


async def test_numpy_is_left_out_from_the_first_start_on(place: Place) -> None:
    for _ in range(2):
        async with place.node(numpy=False) as node:
            assert not node.engine.waves._numpy


# -- time -------------------------------------------------------------------------------------------------------------


async def test_a_network_of_the_future_says_when_it_begins(tmp_path: Path) -> None:
    place = Place(tmp_path / "later", started_ms_ago=-3 * DAY_MS)
    payment = place.payer().pay(0, stranger(1), NXT)
    async with place.node() as node:
        await until(lambda: alert(node, "not_begun") is not None)
        raised = alert(node, "not_begun")
        assert raised is not None
        assert time.strftime("%Y-%m-%d", time.gmtime(place.genesis.start_ms // 1000)) in raised.message
        await node.submit(payment.raw)
        assert node.engine.tip.height == 0
    place.offset_ms = 3 * DAY_MS + 60_000
    async with place.node() as node:
        await confirmed(node, payment.txid)
        assert alert(node, "not_begun") is None


@pytest.mark.parametrize(("days", "code"), [(365, "clock_ahead"), (-365, "clock_behind")])
async def test_a_clock_a_year_off_makes_no_blocks_and_keeps_payments(place: Place, days: int, code: str) -> None:
    first, second = (place.payer().pay(nonce, stranger(1), NXT) for nonce in (0, 1))
    async with place.node() as node:
        await node.submit(first.raw)
        await confirmed(node, first.txid)
        await at_rest(node)
        height = node.engine.tip.height
        brief = place.payer(2).pay(0, stranger(1), NXT, expiry=node._slot() + 1_000)
    async with place.node(produce=False) as node:
        await node.submit(brief.raw)
    place.offset_ms = days * DAY_MS
    async with place.node() as node:
        await until(lambda: alert(node, code) is not None)
        raised = alert(node, code)
        assert raised is not None
        assert "payments are kept" in raised.message
        assert "Set the date" in raised.hint or "accept_long_gap" in raised.hint
        await node.submit(second.raw)
        await asyncio.sleep(0.5)
        assert node.engine.tip.height == height
        status = await node.status()
        assert code in {item.code for item in status.alerts}
        assert status.mempool_transactions == 2
    place.offset_ms = 0
    async with place.node() as node:
        for item in (second, brief):
            await confirmed(node, item.txid)
        assert node.alerts.standing() == ()


async def test_a_clock_put_right_while_running_is_noticed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(production, "_RETRY_S", 0.1)
    payment = place.payer().pay(0, stranger(1), NXT)
    place.offset_ms = 365 * DAY_MS
    async with place.node() as node, node.subscribe(("alert",)) as alerts:
        await node.submit(payment.raw)
        event = await anext(alerts)
        assert event.alert is not None
        assert event.alert.code == "clock_ahead"
        place.offset_ms = 0
        await confirmed(node, payment.txid)
        assert alert(node, "clock_ahead") is None


async def test_a_long_gap_can_be_accepted(place: Place) -> None:
    payment = place.payer().pay(0, stranger(1), NXT)
    place.offset_ms = 200 * DAY_MS
    async with place.node(accept_long_gap=True) as node:
        await node.submit(payment.raw)
        await confirmed(node, payment.txid)
        assert node.engine.slots.begins_ms(node.engine.tip.slot) > place.clock() - DAY_MS


async def test_a_clock_slightly_behind_only_waits(place: Place) -> None:
    first, second = (place.payer().pay(nonce, stranger(1), NXT) for nonce in (0, 1))
    async with place.node() as node:
        await node.submit(first.raw)
        await confirmed(node, first.txid)
        await at_rest(node)
        height = node.engine.tip.height
    place.offset_ms = -2_500
    async with place.node() as node:
        await node.submit(second.raw)
        caught_up = node.engine.slots.begins_ms(node.engine.tip.slot + 1)
        while True:
            found = (node.engine.tip.height, node.alerts.standing())
            if place.clock() >= caught_up:
                break
            assert found == (height, ())
            await asyncio.sleep(0.02)
        await confirmed(node, second.txid)


async def test_a_used_up_reveal_chain_is_told_and_payments_are_kept(place: Place) -> None:
    """2¹⁶ epochs of solo's six minutes: 273 days."""
    payment = place.payer().pay(0, stranger(1), NXT)
    place.offset_ms = 280 * DAY_MS
    async with place.node(accept_long_gap=True) as node:
        await node.submit(payment.raw)
        await until(lambda: alert(node, "reveals_used_up") is not None)
        assert alert(node, "production_stopped") is None
        assert node.engine.tip.height == 0
        assert (await node.account(stranger(1))).balance == 0
        assert (await node.status()).mempool_transactions == 1


async def test_heartbeats_are_made_and_silence_kept_between_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock that the test turns: a slow machine may need longer than a slot to wake."""
    slots_to_heartbeat, slot_ms, every = 5, 200, 1_500
    place = Place(tmp_path / "p", started_ms_ago=(every - slots_to_heartbeat) * slot_ms)
    now = place.clock()
    monkeypatch.setattr(place, "clock", lambda: now)
    async with place.node() as node, node.subscribe(("block",)) as blocks:
        assert node.engine.tip.height == 0
        now = node.engine.slots.begins_ms(every)
        async with asyncio.timeout(60):
            event = await anext(blocks)
        assert event.block is not None
        assert (event.block.slot, event.block.transactions) == (every, 0)
        assert await node.block() is not None
        await asyncio.sleep(0.6)
        assert node.engine.tip.height == 1, "the next heartbeat is five minutes away"


async def test_a_fault_in_production_is_told_and_the_node_lives_on(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    payment = place.payer().pay(0, stranger(1), NXT)
    async with place.node() as node:

        def make_block(*_: object) -> None:
            raise RuntimeError("a bug")

        monkeypatch.setattr(duties, "make_block", make_block)
        await node.submit(payment.raw)
        await until(lambda: alert(node, "production_stopped") is not None)
        assert (await node.status()).mempool_transactions == 1
    monkeypatch.undo()
    async with place.node() as node:
        await confirmed(node, payment.txid)


def test_an_alert_is_told_once_while_it_stands(caplog: pytest.LogCaptureFixture) -> None:
    told: list[str] = []
    now = iter(range(7, 100))
    alerts = Alerts(lambda: next(now), lambda item, code: told.append(f"{code} over" if item is None else item.message))
    with caplog.at_level("INFO", "nexus.alerts"):
        alerts.put("a", "error", "one")
        alerts.put("a", "error", "one")
        alerts.put("a", "error", "two")
        alerts.put("b", "info", "three", about="it")
        alerts.put("b", "info", "three", about="that", since_ms=3)
        assert told == ["one", "two", "three", "three"]
        assert [(item.code, item.about) for item in alerts.standing()] == [("a", ""), ("b", "it"), ("b", "that")]
        assert [item.since_ms for item in alerts.standing()] == [7, 8, 3], "what changes its words began when it began"
        assert alerts.about("b") == ("it", "that")
        alerts.clear("a")
        alerts.clear("a")
        alerts.clear("never")
        alerts.clear("b", "it")
    assert told[4:] == ["a over", "b over"]
    assert [item.about for item in alerts.standing()] == ["that"]
    assert [record.getMessage() for record in caplog.records] == [
        "a: one", "a: two", "b: three", "b: three", "a: over", "b: over"
    ]  # fmt: skip


# -- after a backup ---------------------------------------------------------------------------------------------------


async def test_a_lone_validator_votes_on_from_a_backup(place: Place, tmp_path: Path) -> None:
    """The chain goes back, its checkpoints are numbered anew: nobody else saw what was lost."""
    first, second, third = (place.payer().pay(nonce, stranger(1), NXT) for nonce in range(3))
    async with place.node() as node:
        await node.submit(first.raw)
        await confirmed(node, first.txid)
        await at_rest(node)
        make_backup(place.paths, tmp_path / "backup.tar")
        await node.submit(second.raw)
        await confirmed(node, second.txid)
        await at_rest(node)
        before = node.engine.final.number
    replace_data(place.paths, tmp_path / "backup.tar")
    async with place.node() as node:
        assert node.engine.final.number < before
        for item in (second, third):
            if (await node.transaction(item.txid)) is None:
                await node.submit(item.raw)
            await confirmed(node, item.txid)
        await at_rest(node)
        assert node.engine.view.final.height > 0
        assert alert(node, "votes_held") is None
        assert (await node.verify()).ok


async def test_one_of_several_validators_holds_its_votes_after_a_backup(tmp_path: Path) -> None:
    town = Town(tmp_path / "town")
    record = SigningRecord.create(tmp_path / "record", key(VALIDATORS).key, restored_at=10)
    async with town.node() as node:
        producer = Producer(
            node.engine,
            node.mempool,
            key(VALIDATORS).address,
            key(VALIDATORS),  # type: ignore[arg-type]
            record,
            town.clock,
            node.alerts,
            accept_long_gap=True,
        )
        network = town.network
        while network.nodes[1].engine.final.checkpoint.slot <= 10:
            blocks, votes = town.pass_slots(1), list(network.votes)
            await hear(node, blocks)
            for vote in votes[-8:]:
                await node.receive_vote(vote)
            if node.engine.final.checkpoint.slot <= 10:
                assert producer.vote() is None
        assert alert(node, "votes_held") is not None
        await hear(node, town.pass_slots(8))
        for vote in network.votes:
            await node.receive_vote(vote)
        final = node.engine.final
        assert final.checkpoint.slot > 10
        cast = producer.vote()
        assert record.held == -1
        assert alert(node, "votes_held") is None
        assert cast is None or cast.target > final.number
