"""History: rows from the owner's side, search, and exports that no spreadsheet runs."""

from __future__ import annotations

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wallet_world import FakeNode, as_api, view  # type: ignore[import-not-found]

from node.encoding.address import Address
from wallet.contacts import Contact
from wallet.history import AddressNames, load, rows, search, to_csv, to_json
from wallet.keystore import DERIVED, WATCH, Account
from wallet.text import is_hidden

ME, MINE, BOB, EVE = (Address(0, bytes([n]) * 20).raw for n in (1, 2, 3, 4))
NAMES = AddressNames.of(
    [Account("Main", DERIVED, ME, 0, b""), Account("Savings", WATCH, MINE)], [Contact("Bob", BOB), Contact("Me?", ME)]
)


def text(raw: bytes) -> str:
    return Address.from_raw(raw).text("tnxt")


def row(*arguments: object, **changes: object) -> object:
    return rows([view(*arguments, **changes)], NAMES, "tnxt")[0]


def test_directions_amounts_and_changes() -> None:
    out = rows([view(5, ME, (BOB, 700), memo="rent")], NAMES, "tnxt")[0]
    assert (out.direction, out.account, out.amount, out.fee, out.change) == ("out", "Main", 700, 1_000, -1_700)
    assert out.counterparties == (("Bob", text(BOB)),)
    got = rows([view(5, EVE, (MINE, 700), (BOB, 1), (MINE, 5))], NAMES, "tnxt")[0]
    assert (got.direction, got.account, got.amount, got.fee, got.change) == ("in", "Savings", 705, 0, 705)
    assert got.counterparties == (("", text(EVE)),)
    moved = rows([view(5, ME, (MINE, 700))], NAMES, "tnxt")[0]
    assert (moved.direction, moved.amount, moved.fee, moved.change) == ("self", 700, 1_000, -1_000)
    mixed = rows([view(5, ME, (MINE, 700), (BOB, 30), (EVE, 2), (BOB, 1))], NAMES, "tnxt")[0]
    assert (mixed.direction, mixed.amount, mixed.change) == ("out", 33, -1_033)
    assert [name for name, _ in mixed.counterparties] == ["Bob", ""]


@pytest.mark.parametrize(
    ("status", "fee", "change"),
    [("done", 1_000, -1_700), ("pending", 1_000, -1_700), ("failed", 1_000, -1_000), ("expired", 0, 0)],
)
def test_what_a_status_means_for_the_money(status: str, fee: int, change: int) -> None:
    found = rows([view(5, ME, (BOB, 700), status=status)], NAMES, "tnxt")[0]
    assert (found.fee, found.change, found.amount) == (fee, change, 700)


def test_strangers_transactions_are_no_rows() -> None:
    assert rows([view(5, EVE, (BOB, 1))], NAMES, "tnxt") == ()


def test_known_pairs_for_the_look_alike_check() -> None:
    assert ("Bob", BOB) in NAMES.known()
    assert ("Savings", MINE) in NAMES.known()
    assert NAMES.name(ME) == "Main"


def test_search() -> None:
    found = rows(
        [
            view(1, ME, (BOB, 150_000_000), memo="Rent for MAY"),
            view(2, EVE, (ME, 5), memo="gift"),
            view(3, ME, (EVE, 7), status="failed", reason="insufficient_funds"),
            view(4, ME, (BOB, 7), height=None, time_ms=None, status="pending"),
        ],
        NAMES,
        "tnxt",
    )

    def numbers(query: str) -> list[int]:
        return [int.from_bytes(r.txid) for r in search(found, query)]

    assert numbers("") == [1, 2, 3, 4]
    assert numbers("may rent") == [1]
    assert numbers("BOB") == [1, 4]
    assert numbers("bob pending") == [4]
    assert numbers(text(EVE)) == [2, 3]
    assert numbers("1.5") == [1]
    assert numbers("insufficient") == [3]
    assert numbers("2023-11-14") == [1, 2, 3]
    assert numbers((3).to_bytes(32).hex()) == [3]
    assert numbers("nothing like this") == []


DANGEROUS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =cmd|' /C calc'!A0", "|x", "%x", "\n=1", "\u200b=1"]


@pytest.mark.parametrize("memo", DANGEROUS)
def test_formulas_are_defused(memo: str) -> None:
    names = AddressNames({ME: "=Main"}, {BOB: "@Bob"})
    table = list(csv.DictReader(io.StringIO(to_csv(rows([view(1, ME, (BOB, 5), memo=memo)], names, "tnxt")))))
    for name in ("memo", "account", "counterparty"):
        assert table[0][name].lstrip()[:1] not in {"=", "+", "-", "@", "|", "%"}, table[0]


@given(st.text(max_size=60), st.text(max_size=20), st.text(max_size=20))
def test_no_foreign_text_breaks_an_export(memo: str, label: str, contact: str) -> None:
    names = AddressNames({ME: label}, {BOB: contact})
    found = rows([view(1, ME, (BOB, 5), memo=memo), view(2, ME, (EVE, 5))], names, "tnxt")
    written = to_csv(found)
    table = list(csv.reader(io.StringIO(written, newline=""), strict=True))
    assert len(table) == 3
    assert {len(line) for line in table} == {15}
    for line in table:
        for cell in line:
            assert not any(is_hidden(c) for c in cell)
            assert not cell.lstrip().startswith(("=", "+", "-", "@"))
    data = json.loads(to_json(found))
    assert data[0]["memo"] == memo
    assert to_json(found).isascii()


def test_the_columns() -> None:
    found = rows([view(1, ME, (BOB, 150_000_000), memo='a, "b"')], NAMES, "tnxt")
    line = next(csv.DictReader(io.StringIO(to_csv(found))))
    assert line == {
        "time_utc": "2023-11-14 22:13:21",
        "status": "done",
        "direction": "out",
        "account": "Main",
        "counterparty": "Bob",
        "counterparty_address": text(BOB),
        "amount_nxt": "1.5",
        "amount_units": "150000000",
        "fee_nxt": "0.00001",
        "fee_units": "1000",
        "memo": 'a, "b"',
        "height": "1",
        "txid": (1).to_bytes(32).hex(),
        "reason": "",
        "kind": "transfer",
    }
    assert json.loads(to_json(found)) == [line]
    assert json.loads(to_json(())) == []


async def test_loading_pages_and_many_accounts(node: FakeNode) -> None:
    node.views = [view(n, ME, (BOB, n), height=None if n > 1195 else n) for n in range(1200, 0, -1)]
    got = await load(as_api(node), [ME])
    assert [int.from_bytes(v.txid) for v in got] == list(range(1200, 0, -1))
    assert len(await load(as_api(node), [ME], limit=7)) == 7
    many = [Address(0, n.to_bytes(20)).raw for n in range(150)] + [ME, BOB]
    assert [v.txid for v in await load(as_api(node), many)] == [v.txid for v in got]
    assert await load(as_api(node), []) == ()
