"""`nexus wallet …` and `nexus contact …`: what they show, keep and refuse."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
WORDS = "legal winner thank year wave sausage worth useful legal winner thank yellow"


def test_wallets_are_made_listed_and_shown(nexus: Run, solo: Path) -> None:
    made = nexus("wallet", "create", "second", "--show-words", "--json").document
    assert len(made["words"].split()) == 12
    assert nexus("wallet", "create", "second", "--json").error["code"] == "wallet_exists"
    listed = nexus("wallet", "list", "--json").document["wallets"]
    assert [item["name"] for item in listed] == ["main", "second"]
    assert nexus("wallet", "show", "-w", "second", "--json").document["accounts"][0]["address"] == made["address"]
    assert nexus("wallet", "show", "-w", "none", "--json").error["code"] == "no_wallet"
    (solo / "profiles/default/wallets/second.wallet").write_text("{}")
    listed = nexus("wallet", "list", "--json").document["wallets"]
    assert listed[1]["problem"]
    result = nexus("wallet", "show", "-w", "second", "--json")
    assert result.status == 6
    assert (solo / "profiles/default/wallets/second.wallet").read_text() == "{}"


def test_a_wallet_comes_back_from_words_and_from_a_copy(nexus: Run, solo: Path, tmp_path: Path) -> None:
    made = nexus("wallet", "restore", "old", "--accounts", "3", "--json", stdin=WORDS).document
    assert made["accounts"] == 3
    copy = tmp_path / "copy.wallet"
    assert nexus("wallet", "backup", copy, "-w", "old", "--json").document["file"] == str(copy)
    assert nexus("wallet", "backup", copy, "-w", "old", "--json").error["code"] == "file_exists"
    again = nexus("wallet", "restore", "new", "--file", copy, "--json").document
    assert again["address"] == made["address"]
    assert nexus("wallet", "backup", "-w", "new", "--show-words", "--json").document["words"] == WORDS
    assert nexus("wallet", "backup", "--json").error["code"] == "usage"


def test_a_restored_wallet_finds_the_accounts_that_were_in_use(nexus: Run, solo: Path, savings: str) -> None:
    nexus("wallet", "account", "add", "Third")
    third = nexus("wallet", "address", "-a", "Third", "--json").document["address"]
    nexus("wallet", "send", third, "1", "--yes")
    words = nexus("wallet", "backup", "--show-words", "--json").document["words"]
    result = nexus("wallet", "restore", "again", "--json", stdin=words)
    assert result.document["accounts"] == 3
    assert "2 more accounts" in result.err
    assert nexus("wallet", "balance", "-w", "again", "-a", third, "--json").document["total"]["nxt"] == "1"
    assert nexus("wallet", "restore", "few", "--accounts", "1", "--json", stdin=words).document["accounts"] == 1


def test_a_bip39_passphrase_makes_another_wallet(nexus: Run, solo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = nexus("wallet", "restore", "plain", "--json", stdin=WORDS).document
    monkeypatch.setenv("NEXUS_BIP39_PASSPHRASE", "extra")
    other = nexus("wallet", "restore", "other", "--bip39-passphrase", "--json", stdin=WORDS).document
    assert other["address"] != plain["address"]
    assert nexus("wallet", "backup", "-w", "other", "--show-words", "--json").document["bip39_passphrase"] is True


def test_the_passphrase_can_be_changed(nexus: Run, solo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = nexus("wallet", "passphrase", "--json")
    assert (result.status, result.error["code"]) == (2, "no_passphrase")
    monkeypatch.setenv("NEXUS_NEW_PASSPHRASE", "second one")
    assert nexus("wallet", "passphrase", "--json").status == 0
    assert nexus("wallet", "backup", "--show-words", "--json").error["code"] == "wrong_passphrase"
    monkeypatch.setenv("NEXUS_PASSPHRASE", "second one")
    assert nexus("wallet", "backup", "--show-words", "--json").status == 0
    both = tmp_path / "both"
    both.write_text("second one\nthird one\n")
    with both.open() as file:
        assert nexus("wallet", "passphrase", "--passphrase-fd", file.fileno(), "--json").status == 0
    monkeypatch.setenv("NEXUS_PASSPHRASE", "third one")
    assert nexus("wallet", "backup", "--show-words", "--json").status == 0
    both.write_text("third one")
    with both.open() as file:
        result = nexus("wallet", "passphrase", "--passphrase-fd", file.fileno(), "--json")
    assert result.error["code"] == "bad_passphrase_fd"


def test_accounts_are_added_and_labelled(nexus: Run, solo: Path) -> None:
    added = nexus("wallet", "account", "add", "Rent", "--json").document
    assert added["number"] == 3
    assert nexus("wallet", "account", "label", "Rent", "Home", "--json").document["label"] == "Home"
    assert nexus("wallet", "account", "label", "3", "Main", "--json").error["code"] == "label_taken"
    assert nexus("wallet", "account", "label", "9", "x", "--json").error["code"] == "unknown_account"
    assert nexus("wallet", "account", "add", "a\x1b[2Jb", "--json").error["code"] == "bad_name"


def test_watched_accounts_come_and_go(nexus: Run, solo: Path) -> None:
    other = nexus("wallet", "create", "other", "--json").document["address"]
    watched = nexus("wallet", "watch", other, "--label", "Theirs", "--json").document
    assert watched["can_sign"] is False
    nexus("wallet", "send", other, "7", "--yes")
    balance = nexus("wallet", "balance", "--json").document
    *own, theirs = (int(each["balance"]["units"]) for each in balance["accounts"])
    assert (theirs, int(balance["total"]["units"])) == (700_000_000, sum(own))
    assert "watched" in nexus("wallet", "balance").out
    assert nexus("wallet", "balance", "-a", "Theirs", "--json").document["total"]["nxt"] == "7"
    assert nexus("wallet", "sign", "x", "-a", "Theirs", "--json").error["code"] == "watch_only"
    assert nexus("wallet", "watch", other, "--remove", "--json").document["removed"] == other
    assert nexus("wallet", "watch", "Main", "--remove", "--json").error["code"] == "own_account"


@pytest.mark.parametrize("text", ["hello", "-5", "--json ", "ünïcode …", "two\nlines", ""])
def test_texts_are_signed_and_checked(nexus: Run, solo: Path, text: str) -> None:
    signed = nexus("wallet", "sign", "--json", "--", text).document
    assert signed["text"] == text
    check = ("wallet", "verify", "--json", "--", signed["address"])
    assert nexus(*check, text, signed["signature"]).document["valid"] is True
    result = nexus(*check, text + "x", signed["signature"])
    assert (result.status, result.error["code"]) == (1, "bad_signature")
    assert nexus(*check, text, "no signature").error["code"] == "bad_signature"


def test_a_text_comes_from_standard_input(nexus: Run, solo: Path) -> None:
    assert nexus("wallet", "sign", "-", "--json", stdin="two\nlines\n").document["text"] == "two\nlines\n"
    assert nexus("wallet", "sign", "-", "--json", stdin="x" * 70_000).error["code"] == "bad_text"


def test_a_negative_number_is_signed_as_it_was_given(nexus: Run, solo: Path) -> None:
    assert nexus("wallet", "sign", "-5", "--json").document["text"] == "-5"


def test_addresses_are_shown_as_requests_and_codes(nexus: Run, solo: Path) -> None:
    plain = nexus("wallet", "address")
    assert plain.out.startswith("tnxt1q")
    assert plain.out.count("\n") == 1
    request = nexus("wallet", "address", "--amount", "1.5", "--label", "Shop", "--json").document["request"]
    assert request.endswith("?amount=1.5&label=Shop")
    assert len(nexus("wallet", "address", "--qr").out.splitlines()) > 15


def test_locking_reaches_other_programs(nexus: Run, solo: Path) -> None:
    from wallet.secret import Secret
    from wallet.store import WalletStore

    wallet = WalletStore(solo / "profiles/default/wallets", "tnxt").open("main")
    wallet.unlock(Secret.of("correct horse battery"))
    assert not wallet.locked
    assert nexus("wallet", "lock", "--json").document["locked"] is True
    assert wallet.locked


def test_contacts_are_kept_and_look_alikes_pointed_out(nexus: Run, solo: Path, savings: str) -> None:
    other = nexus("wallet", "create", "other", "--json").document["address"]
    assert nexus("contact", "add", "Alice", other, "--note", "from work", "--json").status == 0
    assert nexus("contact", "add", "alice", savings, "--json").error["code"] == "contact_exists"
    result = nexus("contact", "add", "A1ice", savings, "--json")
    assert (result.status, result.error["code"]) == (2, "needs_yes")
    assert "Alice" in result.err
    assert nexus("contact", "add", "A1ice", savings, "--yes", "--json").document["warnings"]
    assert nexus("contact", "add", "Bad", other[:-1], "--json").error["code"] == "bad_address"
    names = [item["name"] for item in nexus("contact", "list", "--json").document["contacts"]]
    assert names == ["A1ice", "Alice"]
    assert nexus("contact", "remove", "Alice", "--json").document["address"] == other
    assert nexus("contact", "remove", "Alice", "--json").error["code"] == "unknown_contact"
    (solo / "profiles/default/contacts.json").write_text("[")
    assert nexus("contact", "list", "--json").status == 6


def test_history_is_searched_and_exported(nexus: Run, solo: Path, savings: str, tmp_path: Path) -> None:
    nexus("wallet", "send", savings, "1", "--memo", "=cmd()", "--yes")
    nexus("wallet", "faucet", "2")
    rows = nexus("wallet", "history", "--json").document["transactions"]
    assert [row["direction"] for row in rows] == ["in", "self"]
    assert nexus("wallet", "history", "-n", "1", "--json").document["transactions"] == rows[:1]
    assert nexus("wallet", "history", "--search", "cmd savings", "--json").document["transactions"] == rows[1:]
    assert "=cmd()" in nexus("wallet", "history").out
    table = tmp_path / "out.csv"
    assert nexus("wallet", "export", table, "--json").document["rows"] == 2
    assert table.stat().st_mode & 0o777 == 0o600
    with table.open(newline="") as file:
        assert [row["memo"] for row in csv.DictReader(file)] == ["", "'=cmd()"]
    assert nexus("wallet", "export", table, "--json").error["code"] == "file_exists"
    listed = tmp_path / "out"
    nexus("wallet", "export", listed, "--format", "json")
    assert len(json.loads(listed.read_text())) == 2
    assert nexus("wallet", "export", tmp_path / "out.pdf", "--json").error["code"] == "usage"
    assert nexus("wallet", "export", tmp_path / "no/such.csv", "--json").error["code"] == "missing_folder"


def test_a_payment_travels_as_files(
    nexus: Run, solo: Path, savings: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    built = nexus("tx", "build", savings, "3", "--memo", "by hand", "--json").document
    assert built["file"] == str(tmp_path / "unsigned.json")
    assert nexus("tx", "build", savings, "3", "--json").error["code"] == "file_exists"
    signed = nexus("tx", "sign", "unsigned.json", "--yes", "--json").document
    assert signed["txid"] == built["txid"]
    assert signed["memo"] == "by hand"
    assert nexus("tx", "submit", "unsigned.json", "--yes", "--json").error["code"] == "wrong_file"
    sent = nexus("tx", "submit", "signed.json", "--yes", "--json").document
    assert (sent["status"], sent["txid"]) == ("done", built["txid"])
    # Submitting again is harmless: it is known, and done.
    assert nexus("tx", "submit", "signed.json", "--yes", "--json").document["height"] == sent["height"]
    text = Path("signed.json").read_text()
    Path("cut.json").write_text(text[: len(text) // 2])
    assert nexus("tx", "submit", "cut.json", "--yes", "--json").status in (1, 6)
    nexus("wallet", "create", "other")
    assert (
        nexus("tx", "sign", "unsigned.json", "-w", "other", "-o", "x", "--yes", "--json").error["code"]
        == "other_account"
    )
    nexus("init", "--network", "solo", "--yes", "--profile", "elsewhere")
    for command in (("tx", "sign", "unsigned.json", "-o", "x"), ("tx", "submit", "signed.json")):
        result = nexus(*command, "--yes", "--profile", "elsewhere", "--json")
        assert result.error["code"] == "other_network"


def test_a_device_without_the_key_builds_and_submits(
    nexus: Run, solo: Path, savings: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    key = nexus("wallet", "address", "--public-key").out.strip()
    assert len(key) == 66
    nexus("wallet", "create", "online")
    assert nexus("wallet", "watch", key, "--label", "Cold", "-w", "online", "--json").document["public_key"] == key
    built = nexus("tx", "build", savings, "2", "-w", "online", "-a", "Cold", "--json").document
    nexus("tx", "sign", "unsigned.json", "-w", "main", "--yes")
    assert nexus("tx", "submit", "signed.json", "--yes", "--json").document["txid"] == built["txid"]
    other = nexus("wallet", "create", "third", "--json").document["address"]
    nexus("wallet", "watch", other, "-w", "online", "--label", "Bare")
    assert nexus("wallet", "address", "-w", "online", "-a", "Bare", "--public-key").status == 1


@pytest.mark.parametrize("which", ["zz", "ab" * 33, "x" * 500, "-1", ""])
def test_ids_are_checked(nexus: Run, solo: Path, which: str) -> None:
    assert nexus("tx", "show", which, "--json").error["code"] == "bad_prefix"
    assert nexus("block", "show", which, "--json").error["code"] == "bad_prefix"


def test_the_digits_that_lists_show_are_enough(nexus: Run, solo: Path) -> None:
    txid = nexus("wallet", "faucet", "1", "--json").document["txid"]
    history = nexus("wallet", "history").out.split()
    assert "Faucet" in history
    listed = history[-1]
    assert len(listed) < 64
    assert txid.startswith(listed)
    assert nexus("tx", "show", listed, "--json").document["txid"] == txid
    assert nexus("tx", "show", txid.upper(), "--json").document["txid"] == txid
    block = nexus("block", "list", "-n", "1").out.split()[-1]
    assert len(block) < 64
    assert nexus("block", "show", block, "--json").document["id"].startswith(block)


def test_unknown_ids_are_refused(nexus: Run, solo: Path) -> None:
    assert nexus("tx", "show", "ab" * 32, "--json").error["code"] == "unknown_transaction"
    assert nexus("block", "show", "ab" * 32, "--json").error["code"] == "unknown_block"
    assert nexus("block", "show", "7", "--json").error["code"] == "unknown_block"
    assert nexus("block", "show", "--json").error["code"] == "unknown_block"
    assert nexus("block", "list", "--json").document == {"blocks": []}


@pytest.mark.parametrize(
    "command",
    [
        ("wallet", "restore", "x", "--file"),
        ("wallet", "send", "--yes", "--to-file"),
        ("tx", "sign"),
        ("tx", "submit"),
        ("node", "restore", "--profile", "x"),
    ],
)
@pytest.mark.parametrize("kind", ["missing", "folder", "noise", "empty"])
def test_files_that_cannot_be_read_are_named(
    nexus: Run, solo: Path, tmp_path: Path, command: tuple[str, ...], kind: str
) -> None:
    path = tmp_path / kind
    if kind == "folder":
        path.mkdir()
    elif kind != "missing":
        path.write_bytes(b"\xff\x00\x1b[31m" * 50 if kind == "noise" else b"")
    result = nexus(*command, path, "--json")
    assert result.status in (1, 6)
    assert result.error["code"] != "internal"
    assert kind in result.error["message"] or result.error["code"] == "bad_payments"
    assert sorted(path.name for path in (solo / "profiles").iterdir()) == ["default"]
