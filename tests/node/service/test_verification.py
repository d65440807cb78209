"""Verification finds every way to falsify what is stored, and a start refuses what it can see at once."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from node.api.errors import Damaged
from node.api.records import VerifyReport
from node.consensus.blocks import Block, Header
from node.encoding.amounts import SUPPLY
from node.encoding.canonical import pack
from node.light.signature import wave_signature
from node.light.waves import bucket_of
from node.service.validator_key import load_validator_key
from node.service.verify import verify_file
from tests.node.service.service_world import STAKER, Place, at_rest, confirmed
from tests.node.world import NXT, key, stranger

CHECKS = ["database", "invariants", "total", "waves", "dag", "colours", "chain", "undo records", "execution"]


async def fill(place: Place) -> None:
    """Three payments in three blocks, and the blocks that make them final."""
    async with place.node() as node:
        for nonce in range(3):
            payment = place.payer().pay(nonce, stranger(1), NXT)
            await node.submit(payment.raw)
            await confirmed(node, payment.txid)
        await at_rest(node)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(tmp_path_factory.mktemp("template") / "here")
    asyncio.run(fill(place))
    return place


@pytest.fixture
def filled(template: Place, tmp_path: Path) -> Place:
    """A stopped node with three blocks, to be damaged."""
    return template.image(tmp_path / "filled")


def verified(place: Place) -> VerifyReport:
    return verify_file(place.paths.chain_db, place.genesis)


def wrong(place: Place) -> set[str]:
    report = verified(place)
    bad = {check.name for check in report.checks if not check.ok}
    assert report.ok == (not bad)
    return bad


async def test_an_honest_chain_is_found_in_order(filled: Place) -> None:
    report = verified(filled)
    assert [check.name for check in report.checks] == CHECKS
    assert report.ok
    assert (report.height >= 3, report.total_units) == (True, SUPPLY)
    async with filled.node() as node:
        assert report.state_commitment == node.engine.waves.commitment
        assert await node.verify() == report


async def test_a_chain_without_blocks_is_in_order(place: Place) -> None:
    async with place.node() as node:
        report = await node.verify()
    assert report.ok
    assert report.height == 0


ALICE, STRANGER = key(1).address.hex(), stranger(1).hex()
BUCKET = bucket_of("accounts", key(1).address)


def value(record: tuple[object, ...]) -> str:
    return f"X'{pack(record).hex()}'"  # type: ignore[arg-type]


def set_account(owner: str, record: tuple[object, ...]) -> str:
    return f"UPDATE state SET value = {value(record)} WHERE tbl = 'accounts' AND key = X'{owner}'"


SECOND = "(SELECT height FROM transactions ORDER BY id LIMIT 1 OFFSET 1)"
PAID = "idx = (SELECT carrier FROM transactions ORDER BY id LIMIT 1 OFFSET 1)"

TAMPERING: dict[str, tuple[list[str], set[str]]] = {
    "a richer account": ([set_account(STRANGER, (4 * NXT, 0))], {"total", "waves", "undo records"}),
    "money moved between accounts": (
        [set_account(STRANGER, (2 * NXT, 0)), set_account(ALICE, (998 * NXT - 53_000, 3))],
        {"waves", "undo records"},
    ),
    "money moved between others": (
        [set_account(key(2).address.hex(), (999 * NXT, 0)), set_account(key(3).address.hex(), (1_001 * NXT, 0))],
        {"waves", "undo records"},
    ),
    "a nonce set back": ([set_account(ALICE, (997 * NXT - 53_000, 2))], {"waves", "undo records"}),
    "a record of a wrong shape": ([set_account(ALICE, (1, 2, 3))], {"invariants"}),
    "a record that is no list": ([f"UPDATE state SET value = X'07' WHERE key = X'{ALICE}'"], {"invariants"}),
    "a record that is no encoding": ([f"UPDATE state SET value = X'c1' WHERE key = X'{ALICE}'"], {"invariants"}),
    "a record that is text": ([f"UPDATE state SET value = 'rich' WHERE key = X'{ALICE}'"], {"invariants"}),
    "an unknown table": (
        ["INSERT INTO state (bucket, tbl, key, value) VALUES (7, 'gold', X'00', X'9101')"],
        {"invariants"},
    ),
    "an account removed": ([f"DELETE FROM state WHERE key = X'{STRANGER}'"], {"total", "waves", "undo records"}),
    "a stake of a wrong shape": (
        [f"UPDATE state SET value = {value((1,))} WHERE tbl = 'stakes'"],
        {"invariants"},
    ),
    "a wave changed": ([f"UPDATE waves SET wave = zeroblob(2048) WHERE bucket = {BUCKET}"], {"waves", "execution"}),
    "all waves gone": (["DELETE FROM waves"], {"waves", "execution"}),
    "a chain block removed": (
        ["PRAGMA foreign_keys = OFF", f"DELETE FROM chain WHERE height = {SECOND}"],
        {"database", "chain"},
    ),
    "a block of the dag removed": ([f"DELETE FROM blocks WHERE {PAID}"], {"dag", "colours", "chain"}),
    "a header cut": (
        [f"UPDATE blocks SET header = X'90' WHERE {PAID}"],
        {"dag", "colours", "chain", "undo records"},
    ),
    "a body removed": ([f"DELETE FROM bodies WHERE {PAID}"], {"dag", "chain", "execution"}),
    "a body cut": ([f"UPDATE bodies SET body = X'90' WHERE {PAID}"], {"dag", "chain"}),
    "a body emptied": ([f"UPDATE bodies SET body = X'929090' WHERE {PAID}"], {"dag", "chain", "execution"}),
    "a body of garbage": ([f"UPDATE bodies SET body = X'c1' WHERE {PAID}"], {"dag", "chain"}),
    "another block's body": (
        [f"UPDATE bodies SET body = (SELECT body FROM bodies WHERE idx = 1) WHERE {PAID}"],
        {"dag", "chain", "execution"},
    ),
    "another id": ([f"UPDATE blocks SET id = zeroblob(32) WHERE {PAID}"], {"dag", "colours", "chain", "execution"}),
    "another epoch": ([f"UPDATE chain SET epoch = 99 WHERE height = {SECOND}"], {"chain"}),
    "another colouring": (
        [f"UPDATE blocks SET colouring = (SELECT colouring FROM blocks WHERE idx = 1) WHERE {PAID}"],
        {"colours", "execution"},
    ),
    "a colouring of garbage": ([f"UPDATE blocks SET colouring = X'c1' WHERE {PAID}"], {"dag"}),
    "merged by another block": ([f"UPDATE blocks SET merged = 1 WHERE {PAID}"], {"chain"}),
    "another colour": ([f"UPDATE blocks SET blue = 0 WHERE {PAID}"], {"chain"}),
    "a transaction removed from the index": ([f"DELETE FROM transactions WHERE height = {SECOND}"], {"chain"}),
    "a fee changed": (["UPDATE transactions SET fee = fee + 1"], {"chain"}),
    "a status changed": (["UPDATE transactions SET status = 0"], {"chain"}),
    "another carrier": (["UPDATE transactions SET carrier = 1"], {"chain"}),
    "the record of the base removed": (["DELETE FROM meta WHERE name = 'base_view'"], {"dag"}),
    "the record of the base changed": (["UPDATE meta SET value = X'90' WHERE name = 'base_view'"], {"dag"}),
    "a final height too low": (["UPDATE meta SET value = 0 WHERE name = 'final_height'"], {"dag"}),
    "a final height too high": (["UPDATE meta SET value = 99 WHERE name = 'final_height'"], {"dag"}),
    "an undo record of garbage": ([f"UPDATE undo SET rows = X'c1' WHERE height = {SECOND}"], {"undo records"}),
    "an undo record of another shape": ([f"UPDATE undo SET rows = X'07' WHERE height = {SECOND}"], {"undo records"}),
    "an undo record of other rows": (
        [f"UPDATE undo SET rows = X'9193a8616363756e7473c40161c0' WHERE height = {SECOND}"],
        {"undo records"},
    ),
    "another block's undo record": (
        [f"UPDATE undo SET rows = (SELECT rows FROM undo WHERE height = 1) WHERE height = {SECOND}"],
        {"undo records"},
    ),
}


@pytest.mark.parametrize("name", TAMPERING)
async def test_tampering_is_found(filled: Place, name: str) -> None:
    statements, expected = TAMPERING[name]
    filled.edit(*statements)
    assert wrong(filled) == expected


async def test_a_pruned_undo_record_is_no_damage(filled: Place) -> None:
    filled.edit("DELETE FROM undo WHERE height < (SELECT value FROM meta WHERE name = 'final_height')")
    report = verified(filled)
    assert report.ok
    (detail,) = [check.detail for check in report.checks if check.name == "undo records"]
    assert detail.startswith("2 newest blocks")
    async with filled.node() as node:
        assert node.engine.tip.height == report.height


@pytest.mark.parametrize(
    "name",
    [
        "a richer account",
        "a record of a wrong shape",
        "a record that is no list",
        "a record that is no encoding",
        "a record that is text",
        "an unknown table",
        "an account removed",
        "a stake of a wrong shape",
    ],
)
async def test_a_start_refuses_a_state_that_is_not_the_chains(filled: Place, name: str) -> None:
    """What a start cannot see at once, a forgery in balance that the newest blocks did not touch, `verify` finds."""
    filled.edit(*TAMPERING[name][0])
    with pytest.raises(Damaged, match="left as it is") as caught:
        async with filled.opened(check="none"):
            raise AssertionError("it started")
    assert caught.value.code == "damaged_state"
    assert "nexus node verify" in caught.value.hint


TOP = "(SELECT max(height) FROM chain)"


@pytest.mark.parametrize(
    "statement",
    [
        f"UPDATE blocks SET header = X'90' WHERE merged = {TOP}",
        f"UPDATE undo SET rows = X'c1' WHERE height = {TOP}",
        f"UPDATE undo SET rows = X'07' WHERE height = {TOP}",
        f"UPDATE undo SET rows = X'9193a161c40100c403ffffff' WHERE height = {TOP}",
        f"DELETE FROM undo WHERE height = {TOP}",
        f"UPDATE blocks SET colouring = X'c1' WHERE merged = {TOP}",
        f"DELETE FROM blocks WHERE merged = {TOP} - 1",
        "DELETE FROM meta WHERE name = 'base'",
        "UPDATE meta SET value = X'c1' WHERE name = 'base_view'",
        "UPDATE votes SET vote = X'90'",
    ],
)
async def test_a_start_refuses_what_cannot_be_taken_up(filled: Place, statement: str) -> None:
    filled.edit(statement)
    with pytest.raises(Damaged, match="left as it is") as caught:
        async with filled.opened(check="none"):
            raise AssertionError("it started")
    assert caught.value.code == "damaged_state"


async def test_an_unreadable_outbox_is_named(place: Place) -> None:
    async with place.node(produce=False) as node:
        await node.submit(place.payer().pay(0, stranger(1), NXT).raw)
    place.edit("UPDATE outbox SET raw = X'c1'", file="outbox.db")
    with pytest.raises(Damaged, match="left as it is") as caught:
        async with place.opened():
            raise AssertionError("it started")
    assert caught.value.code == "damaged_outbox"


def forge(place: Place, change: Callable[[Header], Header]) -> None:
    """Store the newest block with another header that its creator signed, under its own id."""
    validator = load_validator_key(place.paths.validator_key)
    assert validator is not None
    with closing(sqlite3.connect(place.paths.chain_db)) as connection, connection:
        index, stored = connection.execute("SELECT idx, header FROM blocks ORDER BY idx DESC LIMIT 1").fetchone()
        forged = change(Header.decode(stored))
        if forged.wave == Header.decode(stored).wave:
            region, slot, amplitude = forged.region, forged.slot, forged.wave.amplitude
            forged = forged._replace(wave=wave_signature(forged.unwaved(), region, amplitude, slot))
        forged = forged._replace(signature=validator.sign(forged.signing_hash()))
        connection.execute(
            "UPDATE blocks SET header = ?, id = ?, slot = ? WHERE idx = ?",
            (forged.encoded(), forged.id, forged.slot, index),
        )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda header: header._replace(seat=1), "not by the leader"),
        (lambda header: header._replace(seat=1 << 40), "not by the leader"),
        (lambda header: header._replace(slot=1), "not later than its parents"),
        (lambda header: header._replace(creator=key(STAKER + 1).address), "not by the leader"),
        (lambda header: header._replace(body_root=bytes(32)), "another body"),
        (lambda header: header._replace(region=(header.region + 1) % 6), "region"),
        (lambda header: header._replace(reveal=bytes(32)), "reveal"),
        (lambda header: header._replace(genesis=bytes(32)), "network"),
        (lambda header: header._replace(wave=header.wave._replace(phase=header.wave.phase ^ 1)), "wave signature"),
        (lambda header: header._replace(state_commitment=bytes(32)), "commits to"),
    ],
    ids=["seat", "far seat", "slot", "creator", "body", "region", "reveal", "genesis", "wave", "commitment"],
)
async def test_a_lie_that_the_validator_signed_is_found(
    filled: Place, change: Callable[[Header], Header], said: str
) -> None:
    forge(filled, change)
    report = verified(filled)
    assert not report.ok
    assert said in " ".join(check.detail for check in report.checks if not check.ok)


async def test_a_parent_that_is_not_here_is_found(filled: Place) -> None:
    forge(filled, lambda header: header._replace(parents=(bytes(32),)))
    assert {"colours", "chain"} <= wrong(filled)


async def test_a_signature_of_nobody_is_found(filled: Place) -> None:
    with closing(sqlite3.connect(filled.paths.chain_db)) as connection, connection:
        stored = connection.execute("SELECT header FROM blocks ORDER BY idx DESC LIMIT 1").fetchone()[0]
        forged = Header.decode(stored)._replace(signature=bytes(64))
        connection.execute(
            "UPDATE blocks SET header = ?, id = ? WHERE header = ?", (forged.encoded(), forged.id, stored)
        )
    (detail,) = [check.detail for check in verified(filled).checks if check.name == "dag"]
    assert "not signed by its creator" in detail


async def test_a_stored_transaction_with_a_bad_signature_is_found(filled: Place) -> None:
    with closing(sqlite3.connect(filled.paths.chain_db)) as connection, connection:
        index, header, body = connection.execute(
            f"SELECT b.idx, header, body FROM blocks b JOIN bodies o ON o.idx = b.idx WHERE b.{PAID}"
        ).fetchone()
        block = Block.decode(header, body, 1 << 20)
        body = Block(block.header, (block.transactions[0].body.signed(bytes(64)),), block.votes).body()
        connection.execute("UPDATE bodies SET body = ? WHERE idx = ?", (body, index))
    report = verified(filled)
    found = " ".join(check.detail for check in report.checks if not check.ok)
    assert "holds a transaction with a bad signature" in found
    assert not report.ok


async def test_a_damaged_file_is_an_error_a_person_understands(filled: Place) -> None:
    path: Path = filled.paths.chain_db
    data = bytearray(path.read_bytes())
    for at in range(4_096, len(data), 4_096):
        data[at : at + 600] = bytes(600)
    path.write_bytes(data)
    with pytest.raises(Damaged, match="left as it is"):
        verified(filled)
