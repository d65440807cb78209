"""`nexus wallet history` and `nexus wallet export`: what happened on the accounts."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nexus_tui.cli.accounts import AccountName
from nexus_tui.cli.files import new_file
from nexus_tui.cli.keys import WalletName
from nexus_tui.cli.output import amount, foreign, note, nxt, table
from nexus_tui.cli.session import session_of
from node.api.errors import UsageError

if TYPE_CHECKING:
    from nexus_tui.cli.session import Session
    from wallet.contacts import Contact
    from wallet.history import HistoryRow

_SIGNS = {"in": "+", "out": "-", "self": "="}


def history(
    context: typer.Context,
    search: Annotated[str, typer.Option("--search", "-s", metavar="TEXT", help="Only rows with all these words.")] = "",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=100_000, help="At most so many rows.")] = 20,
    account: AccountName = None,
    wallet: WalletName = None,
) -> None:
    """List payments, newest first, those that wait for a block on top."""
    session = session_of(context)
    rows, began_ms = _rows(session, wallet, account, search, limit)
    if len(rows) < limit:
        _note_beginning(began_ms)
    session.done(
        {
            "profile": session.profile_name,
            "transactions": [_document(row) for row in rows],
            "began_ms": began_ms,
        },
        table((_line(row) for row in rows), right=frozenset({2}))
        if rows
        else "Nothing found."
        if search
        else "Nothing has happened on these accounts yet.",
    )


def _rows(
    session: Session, wallet: str | None, account: str | None, search: str, limit: int
) -> tuple[tuple[HistoryRow, ...], int | None]:
    """The rows, and when the checkpoint was that the chain here began from, if it was one."""
    from wallet import history as owner_history

    opened = session.wallets().open(wallet)
    chosen = opened.accounts if account is None else (opened.account(account),)
    names = owner_history.AddressNames.of(chosen, (*_faucet(session), *session.contacts().list()))

    async def load() -> tuple[tuple[HistoryRow, ...], int | None]:
        from nexus_tui.cli.connection import connect

        async with connect(session.paths, session.config, "read") as api:
            # A search must see what lies further back than the rows that are shown.
            found = await owner_history.load(api, names.own, 100_000 if search else limit)
            return owner_history.rows(found, names, opened.prefix), (await api.status()).began_ms

    rows, began_ms = asyncio.run(load())
    return (owner_history.search(rows, search) if search else rows)[:limit], began_ms


def _note_beginning(began_ms: int | None) -> None:
    """What is older than the checkpoint that the chain began from must not look as if it never was."""
    from nexus_tui.format import exactly_when

    if began_ms is not None:
        note(f"Payments before {exactly_when(began_ms)} are not kept on this device; balances are whole.")


def _faucet(session: Session) -> tuple[Contact, ...]:
    """The network's own faucet under its name, as in the app. A contact of that address wins."""
    from node.profile.network import named_accounts
    from wallet.contacts import Contact

    if not session.paths.faucet_key.exists():
        return ()
    paid = named_accounts(session.paths)
    return tuple(Contact("Faucet", address) for address, label in paid.items() if label == "faucet")


def _line(row: HistoryRow) -> tuple[str, ...]:
    from nexus_tui.format import exactly_when

    who = "; ".join(foreign(name) or address for name, address in row.counterparties) or row.kind
    status = row.status + (f" ({foreign(row.reason)})" if row.reason else "")
    return (
        "waiting" if row.time_ms is None else exactly_when(row.time_ms),
        status,
        f"{_SIGNS[row.direction]}{nxt(row.amount)}",
        who,
        foreign(row.memo),
        row.txid.hex()[:16],
    )


def _document(row: HistoryRow) -> dict[str, object]:
    return {
        "txid": row.txid.hex(),
        "status": row.status,
        "reason": row.reason,
        "kind": row.kind,
        "direction": row.direction,
        "account": row.account,
        "counterparties": [{"name": name, "address": address} for name, address in row.counterparties],
        "amount": amount(row.amount),
        "fee": amount(row.fee),
        "change": amount(row.change),
        "memo": row.memo,
        "height": row.height,
        "time_ms": row.time_ms,
    }


def export(
    context: typer.Context,
    target: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write; it must not exist.")],
    form: Annotated[str | None, typer.Option("--format", metavar="csv|json", help="Else by the file's ending.")] = None,
    search: Annotated[str, typer.Option("--search", "-s", metavar="TEXT", help="Only rows with all these words.")] = "",
    account: AccountName = None,
    wallet: WalletName = None,
) -> None:
    """Write the whole history to a CSV or JSON file (mode 0600)."""
    from wallet.files import folder_lock, write_atomic
    from wallet.history import to_csv, to_json

    session = session_of(context)
    form = form or target.suffix.lower().removeprefix(".")
    if form not in ("csv", "json"):
        raise UsageError("usage", "Say --format csv or --format json, or let the file's name end so.")
    place = new_file(target)
    rows, began_ms = _rows(session, wallet, account, search, 100_000)
    _note_beginning(began_ms)
    with folder_lock(place.parent):
        new_file(target)  # somebody may have been faster
        write_atomic(place, (to_csv(rows) if form == "csv" else to_json(rows)).encode())
    session.done({"file": str(place), "format": form, "rows": len(rows)}, f"{len(rows)} rows in {foreign(str(target))}")
