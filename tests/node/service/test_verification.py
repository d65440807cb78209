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
from node.light.waves import bucket_of
from node.service.verify import verify_file
from tests.node.service.service_world import STAKER, Place, confirmed
from tests.node.world import NXT, key, stranger

CHECKS = ["database", "invariants", "total", "waves", "blocks", "undo records"]


async def fill(place: Place) -> None:
    """Three blocks of one payment each."""
    async with place.node() as node:
        for nonce in range(3):
            payment = place.payer().pay(nonce, stranger(1), NXT)
            await node.submit(payment.raw)
            await confirmed(node, payment.txid)


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
    assert (report.height, report.total_units) == (3, SUPPLY)
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


TAMPERING: dict[str, tuple[list[str], set[str]]] = {
    "a richer account": ([set_account(STRANGER, (4 * NXT, 0))], {"total", "waves"}),
    "money moved between accounts": (
        [set_account(STRANGER, (2 * NXT, 0)), set_account(ALICE, (998 * NXT - 53_000, 3))],
        {"waves"},
    ),
    "money moved between others": (
        [set_account(key(2).address.hex(), (999 * NXT, 0)), set_account(key(3).address.hex(), (1_001 * NXT, 0))],
        {"waves", "undo records"},
    ),
    "a nonce set back": ([set_account(ALICE, (997 * NXT - 53_000, 2))], {"waves"}),
    "a record of a wrong shape": ([set_account(ALICE, (1, 2, 3))], {"invariants"}),
    "a record that is no list": ([f"UPDATE state SET value = X'07' WHERE key = X'{ALICE}'"], {"invariants"}),
    "a record that is no encoding": ([f"UPDATE state SET value = X'c1' WHERE key = X'{ALICE}'"], {"invariants"}),
    "a record that is text": ([f"UPDATE state SET value = 'rich' WHERE key = X'{ALICE}'"], {"invariants"}),
    "an unknown table": (["INSERT INTO state (tbl, key, value) VALUES ('gold', X'00', X'9101')"], {"invariants"}),
    "an account removed": ([f"DELETE FROM state WHERE key = X'{STRANGER}'"], {"total", "waves"}),
    "a stake of a wrong shape": (
        [f"UPDATE state SET value = {value((1,))} WHERE tbl = 'stakes'"],
        {"invariants"},
    ),
    "a wave changed": ([f"UPDATE waves SET wave = zeroblob(2048) WHERE bucket = {BUCKET}"], {"waves"}),
    "all waves gone": (["DELETE FROM waves"], {"waves"}),
    "a block removed": (
        ["PRAGMA foreign_keys = OFF", "DELETE FROM blocks WHERE height = 2"],
        {"database", "blocks"},
    ),
    "a header cut": (["UPDATE blocks SET header = X'90' WHERE height = 2"], {"blocks", "undo records"}),
    "a body cut": (["UPDATE blocks SET body = X'90' WHERE height = 2"], {"blocks"}),
    "a body emptied": (["UPDATE blocks SET body = X'929090' WHERE height = 2"], {"blocks"}),
    "a body of garbage": (["UPDATE blocks SET body = X'c1' WHERE height = 3"], {"blocks"}),
    "another block's body": (
        ["UPDATE blocks SET body = (SELECT body FROM blocks WHERE height = 1) WHERE height = 2"],
        {"blocks"},
    ),
    "another id": (["UPDATE blocks SET id = zeroblob(32) WHERE height = 2"], {"blocks"}),
    "another epoch": (["UPDATE blocks SET epoch = 99 WHERE height = 2"], {"blocks"}),
    "a transaction removed from the index": (["DELETE FROM transactions WHERE height = 2"], {"blocks"}),
    "an undo record of garbage": (["UPDATE undo SET rows = X'c1' WHERE height = 2"], {"undo records"}),
    "an undo record of another shape": (["UPDATE undo SET rows = X'07' WHERE height = 2"], {"undo records"}),
    "an undo record of other rows": (["UPDATE undo SET rows = X'930090919307c403' WHERE height = 2"], {"undo records"}),
    "another block's undo record": (
        ["UPDATE undo SET rows = (SELECT rows FROM undo WHERE height = 3) WHERE height = 2"],
        {"undo records"},
    ),
}


@pytest.mark.parametrize("name", TAMPERING)
async def test_tampering_is_found(filled: Place, name: str) -> None:
    statements, expected = TAMPERING[name]
    filled.edit(*statements)
    assert wrong(filled) == expected


async def test_a_pruned_undo_record_is_no_damage(filled: Place) -> None:
    filled.edit("DELETE FROM undo WHERE height < 3")
    report = verified(filled)
    assert report.ok
    assert "1 newest blocks" in report.checks[-1].detail
    async with filled.node() as node:
        assert node.engine.tip.height == 3


@pytest.mark.parametrize(
    "name",
    [
        "a richer account",
        "money moved between accounts",
        "a nonce set back",
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
    """The last block says what the state before it was: what it touched cannot even be forged in balance."""
    filled.edit(*TAMPERING[name][0])
    with pytest.raises(Damaged, match="left as it is") as caught:
        async with filled.opened(check="none"):
            raise AssertionError("it started")
    assert caught.value.code == "damaged_state"
    assert "nexus node verify" in caught.value.hint


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE blocks SET header = X'90' WHERE height = 3",
        "UPDATE undo SET rows = X'c1' WHERE height = 3",
        "UPDATE undo SET rows = X'07' WHERE height = 3",
        "UPDATE undo SET rows = X'9300909193a161c40100c403ffffff' WHERE height = 3",
    ],
)
async def test_a_start_refuses_a_last_block_that_cannot_be_read(filled: Place, statement: str) -> None:
    filled.edit(statement)
    with pytest.raises(Damaged, match="Block 3 and the state after it") as caught:
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
    """Store block 3 with another header that its creator signed, under its own id."""
    from node.service.validator_key import load_validator_key

    validator = load_validator_key(place.paths.validator_key)
    assert validator is not None
    with closing(sqlite3.connect(place.paths.chain_db)) as connection, connection:
        header = Header.decode(connection.execute("SELECT header FROM blocks WHERE height = 3").fetchone()[0])
        forged = change(header)
        forged = forged._replace(signature=validator.sign(forged.signing_hash()))
        connection.execute("UPDATE blocks SET header = ?, id = ? WHERE height = 3", (forged.encoded(), forged.id))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda header: header._replace(seat=1), "not by the leader"),
        (lambda header: header._replace(seat=1 << 40), "not by the leader"),
        (lambda header: header._replace(slot=1), "does not follow"),
        (lambda header: header._replace(parents=(bytes(32),)), "does not follow"),
        (lambda header: header._replace(creator=key(STAKER + 1).address), "not by the leader"),
        (lambda header: header._replace(body_root=bytes(32)), "another body"),
        (lambda header: header._replace(region=(header.region + 1) % 6), "region"),
        (lambda header: header._replace(reveal=bytes(32)), "reveal"),
        (lambda header: header._replace(genesis=bytes(32)), "network"),
    ],
    ids=["seat", "seat beyond a byte", "slot", "parent", "creator", "body root", "region", "reveal", "genesis"],
)
async def test_a_lie_that_the_validator_signed_is_found(
    filled: Place, change: Callable[[Header], Header], said: str
) -> None:
    forge(filled, change)
    report = verified(filled)
    (detail,) = [check.detail for check in report.checks if check.name == "blocks"]
    assert said in detail
    assert not report.ok


async def test_a_stored_transaction_with_a_bad_signature_is_found(filled: Place) -> None:
    with closing(sqlite3.connect(filled.paths.chain_db)) as connection, connection:
        header, body = connection.execute("SELECT header, body FROM blocks WHERE height = 2").fetchone()
        block = Block.decode(header, body, 1 << 20)
        broken = block.transactions[0].body.signed(bytes(64))
        body = block._replace(transactions=(broken,)).body()
        connection.execute("UPDATE blocks SET body = ? WHERE height = 2", (body,))
    (detail,) = [check.detail for check in verified(filled).checks if check.name == "blocks"]
    assert "bad signature" in detail


async def test_a_damaged_file_is_an_error_a_person_understands(filled: Place) -> None:
    path: Path = filled.paths.chain_db
    data = bytearray(path.read_bytes())
    for at in range(4_096, len(data), 4_096):
        data[at : at + 600] = bytes(600)
    path.write_bytes(data)
    with pytest.raises(Damaged, match="left as it is"):
        verified(filled)
