"""`nexus wallet send` and `nexus wallet faucet`: money moves exactly, or nothing does."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
FEE, RECORD = 1_000, 50_000


@pytest.fixture
def units(nexus: Run) -> Callable[[str], int]:
    """What an account owns."""
    return lambda label: int(nexus("wallet", "balance", "-a", label, "--json").document["total"]["units"])


Units = Callable[[str], int]


def assert_owns(owned: int, expected: int, fees: int) -> None:
    """The first account of a solo network is its validator's too: 60 % of a block's reward, never above the fees."""
    assert 0 < owned - expected <= fees * 60 // 100


def test_a_payment_is_in_a_block_when_the_command_ends(nexus: Run, savings: str, units: Units) -> None:
    before = units("Main")
    sent = nexus("wallet", "send", savings, "1.5", "--yes", "--json").document
    assert sent["status"] == "done"
    assert sent["height"] == 1
    assert sent["amount"] == {"units": "150000000", "nxt": "1.5"}
    assert sent["fee"] == {"units": "51000", "nxt": "0.00051"}
    assert units("Savings") == 150_000_000
    assert_owns(units("Main"), before - 150_000_000 - FEE - RECORD, FEE + RECORD)
    shown = nexus("tx", "show", sent["txid"], "--json").document
    assert (shown["status"], shown["height"], shown["block"]) == ("done", 1, sent["block"])
    assert nexus("block", "show", sent["block"], "--json").document["txids"] == [sent["txid"]]


def test_people_see_amount_recipient_and_fee_before_money_moves(nexus: Run, savings: str, units: Units) -> None:
    result = nexus("wallet", "send", savings, "2", typed="n\n")
    assert result.status == 1
    for part in (savings, "Pay 2 NXT", "Fee 0.00051 NXT", "Savings"):
        assert part in result.err
    assert units("Savings") == 0
    agreed = nexus("wallet", "send", savings, "2", typed="y\n")
    assert agreed.status == 0
    assert "Pay 2 NXT" in agreed.err
    assert "Pay 2 NXT" not in agreed.out  # once is enough
    assert units("Savings") == 200_000_000


@pytest.mark.parametrize(
    ("amount", "code"),
    [
        ("-5", "bad_amount"),
        ("-0.5", "bad_amount"),
        ("-.5", "bad_amount"),
        ("−5", "bad_amount"),
        ("1.123456789", "bad_amount"),
        ("1e3", "bad_amount"),
        ("0", "bad_amount"),
        ("0u", "bad_amount"),
        ("1.5u", "bad_amount"),
        ("1,5", "bad_amount"),
        ("1 000", "bad_amount"),
        ("٣", "bad_amount"),
        ("nan", "bad_amount"),
        ("", "bad_amount"),
        ("1000000.00000001", "bad_amount"),
        ("9" * 40, "bad_amount"),
        ("9" * 4000, "bad_amount"),
        ("1000", "insufficient_funds"),
        ("999999", "insufficient_funds"),
    ],
)
def test_bad_amounts_are_refused_as_amounts(nexus: Run, savings: str, units: Units, amount: str, code: str) -> None:
    before = units("Main")
    result = nexus("wallet", "send", savings, amount, "--yes", "--json")
    assert result.status == 1
    assert result.error["code"] == code
    assert units("Main") == before
    result = nexus("wallet", "send", "--yes", savings, amount)
    assert result.status == 1
    assert "No such option" not in result.err


@pytest.mark.parametrize("option", ["--tip", "--amount"])
def test_negative_values_of_options_are_amounts_too(nexus: Run, savings: str, option: str) -> None:
    command = ("wallet", "send", savings, "1", "--yes") if option == "--tip" else ("wallet", "address")
    for form in ((option, "-1"), (f"{option}=-1",)):
        result = nexus(*command, *form, "--json")
        assert (result.status, result.error["code"]) == (1, "bad_amount")
    assert nexus("wallet", "faucet", "-1", "--json").error["code"] == "bad_amount"


def test_bad_addresses_are_refused(nexus: Run, solo: Path, savings: str, units: Units) -> None:
    from node.encoding.address import Address

    raw = Address.parse(savings, "tnxt")
    wrong = {
        savings[:-1] + ("q" if savings[-1] != "q" else "p"): "checksum",
        raw.text("nxt"): "main network",
        savings[:20] + savings[20:].upper(): "capital",
        savings[:30]: "checksum",
        "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4": "",
        "nobody": "",
        "": "",
    }
    for address, reason in wrong.items():
        result = nexus("wallet", "send", address, "1", "--yes", "--json")
        assert result.status == 1, address
        assert result.error["code"] == "bad_address"
        assert reason in result.error["message"]
    assert units("Savings") == 0


def test_everything_can_be_sent(nexus: Run, savings: str, units: Units) -> None:
    before = units("Main")
    sent = nexus("wallet", "send", savings, "--max", "--yes", "--json").document
    assert int(sent["total"]["units"]) == before
    assert_owns(units("Main"), 0, FEE + RECORD)
    assert units("Savings") == before - FEE - RECORD
    assert nexus("wallet", "send", savings, "--max", "--yes", "--json").error["code"] == "insufficient_funds"


def test_a_list_is_paid_in_one_transaction_or_not_at_all(
    nexus: Run, savings: str, units: Units, tmp_path: Path
) -> None:
    nexus("contact", "add", "Savings too", savings, "--yes")
    own = nexus("wallet", "address", "--json").document["address"]
    good = tmp_path / "good.csv"
    good.write_text(f"address,amount\n{savings},1.5\nSavings too,100u\n{own},2\n")
    sent = nexus("wallet", "send", "--to-file", good, "--yes", "--json").document
    assert len(sent["outputs"]) == 3
    assert units("Savings") == 150_000_100
    bad = tmp_path / "bad.csv"
    bad.write_text(f"{savings},1\n{savings},-1\n{savings}x,1\nnobody,1\n")
    before = units("Main")
    result = nexus("wallet", "send", "--to-file", bad, "--yes", "--json")
    assert result.error["code"] == "bad_payments"
    for line in ("Line 2", "Line 3", "Line 4"):
        assert line in result.error["message"]
    assert units("Main") == before
    assert nexus("wallet", "send", "--to-file", tmp_path / "none.csv", "--yes", "--json").status == 1
    assert nexus("wallet", "send", savings, "--to-file", good, "--yes", "--json").error["code"] == "usage"


def test_contacts_and_requests_name_recipients(nexus: Run, savings: str, units: Units) -> None:
    nexus("contact", "add", "Bob", savings, "--yes")
    assert nexus("wallet", "send", "bob", "1", "--yes").status == 0
    request = nexus("wallet", "address", "-a", "Savings", "--amount", "2", "--memo", "Order 7", "--json").document[
        "request"
    ]
    sent = nexus("wallet", "send", request, "--yes", "--json").document
    assert (sent["amount"]["nxt"], sent["memo"]) == ("2", "Order 7")
    assert units("Savings") == 300_000_000
    assert nexus("wallet", "send", request, "3", "--yes", "--json").error["code"] == "other_amount"
    assert nexus("wallet", "send", request + "&x=1", "--yes", "--json").error["code"] == "bad_request"
    assert units("Savings") == 300_000_000


def test_a_script_without_yes_moves_nothing(nexus: Run, savings: str, units: Units) -> None:
    result = nexus("wallet", "send", savings, "1", "--json")
    assert (result.status, result.error["code"]) == (2, "needs_yes")
    assert units("Savings") == 0


def test_the_passphrase_comes_from_elsewhere_than_argv(
    nexus: Run, savings: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passphrase = os.environ["NEXUS_PASSPHRASE"]
    monkeypatch.delenv("NEXUS_PASSPHRASE")
    pay = ("wallet", "send", savings, "1", "--yes", "--json")
    assert (nexus(*pay).status, nexus(*pay).error["code"]) == (5, "no_passphrase")
    secret = tmp_path / "secret"
    secret.write_text(passphrase + "\n")
    with secret.open() as file:
        assert nexus(*pay, "--passphrase-fd", file.fileno()).status == 0
    assert nexus(*pay, "--passphrase-command", f"cat {secret}").status == 0
    assert nexus(*pay, "--passphrase-command", "false").error["code"] == "bad_passphrase_command"
    assert nexus(*pay, "--passphrase-command", "/no/such/program").error["code"] == "bad_passphrase_command"
    assert nexus(*pay, "--passphrase-fd", "77").error["code"] == "bad_passphrase_fd"
    with secret.open() as file:
        file.read()
        assert nexus(*pay, "--passphrase-fd", file.fileno()).error["code"] == "bad_passphrase_fd"
    secret.write_text("wrong")
    result = nexus(*pay, "--passphrase-command", f"cat {secret}")
    assert (result.status, result.error["code"]) == (5, "wrong_passphrase")
    assert passphrase not in result.out + result.err


def test_a_payment_that_finds_no_block_in_time_is_kept(nexus: Run, savings: str, units: Units) -> None:
    quiet = ("--set", "node.produce=false")
    result = nexus("wallet", "send", savings, "1", "--yes", "--timeout", "0.3", *quiet, "--json")
    assert result.status == 4
    assert "It is kept" in result.error["message"]
    waiting = nexus("wallet", "history", "--json").document["transactions"]
    assert [row["status"] for row in waiting] == ["pending"]
    # The next node that makes blocks takes it up.
    nexus("wallet", "faucet", "1", "--json")
    assert nexus("tx", "show", waiting[0]["txid"], "--json").document["status"] == "done"
    assert units("Savings") == 100_000_000


def test_no_wait_returns_at_once(nexus: Run, savings: str) -> None:
    sent = nexus("wallet", "send", savings, "1", "--yes", "--no-wait", "--json").document
    assert sent["status"] == "accepted"
    assert nexus("tx", "show", sent["txid"], "--json").document["status"] in ("pending", "done")


def test_a_watched_account_cannot_pay(nexus: Run, savings: str, solo: Path) -> None:
    nexus("wallet", "create", "other")
    nexus("wallet", "watch", savings, "-w", "other")
    result = nexus("wallet", "send", savings, "1", "-w", "other", "-a", "Watched", "--yes", "--json")
    assert (result.status, result.error["code"]) == (1, "watch_only")


def test_the_faucet_pays_on_solo_alone(nexus: Run, solo: Path, units: Units, monkeypatch: pytest.MonkeyPatch) -> None:
    before = units("Main")
    monkeypatch.delenv("NEXUS_PASSPHRASE")  # its money is play money: nothing is unlocked
    given = nexus("wallet", "faucet", "7", "--json").document
    assert given["status"] == "done"
    assert_owns(units("Main"), before + 700_000_000, FEE)
    assert nexus("wallet", "faucet", "200000", "--json").error["code"] == "insufficient_funds"
    monkeypatch.setenv("NEXUS_PASSPHRASE", "x")
    nexus("init", "--network", "create", "--yes", "--profile", "town")
    result = nexus("wallet", "faucet", "--profile", "town", "--json")
    assert (result.status, result.error["code"]) == (1, "no_faucet")


def test_warnings_reach_people_and_scripts(nexus: Run, savings: str) -> None:
    result = nexus("wallet", "send", savings, "1", "--memo", "hello", "--yes", "--json")
    assert "public" in result.err
    assert any("public" in warning for warning in result.document["warnings"])


def test_a_network_of_several_validators_needs_a_running_node(
    nexus: Run, savings: str, solo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (solo / "profiles" / "default" / "validator.key").unlink()
    result = nexus("wallet", "send", savings, "1", "--yes", "--json")
    assert (result.status, result.error["code"]) == (3, "no_node")
    assert "nexus node start" in result.error["hint"]


def test_a_name_that_nobody_has_is_told_where_names_are(nexus: Run, solo: Path) -> None:
    refused = nexus("wallet", "send", "Grandma", "1", "--yes", "--json").error
    assert refused["code"] == "bad_address"
    assert "nexus contact list" in refused["hint"]
