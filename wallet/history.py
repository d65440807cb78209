"""What happened on the owner's accounts, as rows that can be searched and exported.

CSV is read by spreadsheets, which run cells as formulas: what others wrote is cleaned and defused first (OWASP,
"CSV Injection").
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from node.api.interface import MAX_PAGE, NodeApi
from node.api.records import TransactionView
from node.encoding.address import Address
from node.encoding.amounts import exact_amount
from wallet.contacts import Contact
from wallet.keystore import Account
from wallet.text import cleaned

IN, OUT, SELF = "in", "out", "self"
MAX_ADDRESSES = 100  # a query's limit (`NodeApi.history`)
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "|", "%")
_COLUMNS = (
    "time_utc",
    "status",
    "direction",
    "account",
    "counterparty",
    "counterparty_address",
    "amount_nxt",
    "amount_units",
    "fee_nxt",
    "fee_units",
    "memo",
    "height",
    "txid",
    "reason",
    "kind",
)


@dataclass(frozen=True, slots=True)
class AddressNames:
    """Names for raw addresses: own accounts by label, others by contact."""

    own: Mapping[bytes, str] = field(default_factory=dict)
    contacts: Mapping[bytes, str] = field(default_factory=dict)

    @classmethod
    def of(cls, accounts: Iterable[Account], contacts: Iterable[Contact]) -> AddressNames:
        """From a wallet's accounts and the profile's contacts."""
        return cls(
            {account.address: account.label for account in accounts},
            {contact.address: contact.name for contact in contacts},
        )

    def name(self, raw: bytes) -> str:
        """The name of an address, empty when it has none."""
        return self.own.get(raw) or self.contacts.get(raw, "")

    def known(self) -> tuple[tuple[str, bytes], ...]:
        """(name, raw address) of all, for the look-alike checks."""
        return tuple((name, raw) for names in (self.own, self.contacts) for raw, name in names.items())


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """One transaction seen from the owner's side: a payment, or another `kind`, which moves nothing of his.

    `amount` is what it moves (units, never negative), `fee` what the owner pays for it, `change` what it did to the
    owner's accounts together (for a pending one: will do). Text is as it came; screens sanitise it.
    """

    txid: bytes
    time_ms: int | None
    height: int | None
    status: str
    reason: str
    direction: str
    account: str
    counterparties: tuple[tuple[str, str], ...]  # (name or "", address)
    amount: int
    fee: int
    change: int
    memo: str
    kind: str


def rows(transactions: Iterable[TransactionView], names: AddressNames, prefix: str) -> tuple[HistoryRow, ...]:
    """Rows of the transactions that touch an own account, in their order."""
    touched = (
        view
        for view in transactions
        if view.sender in names.own or any(output.recipient in names.own for output in view.outputs)
    )
    return tuple(_row(view, names, prefix) for view in touched)


def _row(view: TransactionView, names: AddressNames, prefix: str) -> HistoryRow:
    sent = view.sender in names.own
    received = sum(output.amount for output in view.outputs if output.recipient in names.own)
    elsewhere = [output for output in view.outputs if output.recipient not in names.own]
    direction = IN if not sent else OUT if elsewhere else SELF
    if direction == OUT:
        amount, others = sum(output.amount for output in elsewhere), [o.recipient for o in elsewhere]
    elif direction == IN:
        amount, others = received, [view.sender]
    else:
        amount, others = received, [output.recipient for output in view.outputs]
    charged = sent and view.status != "expired"
    fee = view.fee if charged else 0
    moved = view.status in ("done", "pending")
    change = -fee + ((received if direction == IN else -amount if direction == OUT else 0) if moved else 0)
    mine = view.sender if sent else next(o.recipient for o in view.outputs if o.recipient in names.own)
    return HistoryRow(
        view.txid,
        view.time_ms,
        view.height,
        view.status,
        view.reason,
        direction,
        names.own[mine],
        tuple((names.name(raw), Address.from_raw(raw).text(prefix)) for raw in dict.fromkeys(others)),
        amount,
        fee,
        change,
        view.memo,
        view.kind_name,
    )


def search(found: Iterable[HistoryRow], query: str) -> tuple[HistoryRow, ...]:
    """Rows in which every word of `query` occurs: names, addresses, memo, amount, status, id, day."""
    words = query.casefold().split()
    return tuple(row for row in found if all(word in _haystack(row) for word in words))


def _haystack(row: HistoryRow) -> str:
    people = [part for counterparty in row.counterparties for part in counterparty]
    parts = [row.account, row.memo, row.status, row.direction, row.kind, row.reason, row.txid.hex(), *people]
    parts += [exact_amount(row.amount), _time(row.time_ms)]
    return "\n".join(parts).casefold()


async def load(api: NodeApi, addresses: Iterable[bytes], limit: int = 10_000) -> tuple[TransactionView, ...]:
    """At most `limit` transactions of any number of accounts, pending ones first, then newest first."""
    wanted = tuple(dict.fromkeys(addresses))
    found: dict[bytes, TransactionView] = {}
    for start in range(0, len(wanted), MAX_ADDRESSES):
        group, before, count = wanted[start : start + MAX_ADDRESSES], None, 0
        while count < limit:
            page = await api.history(group, before, min(limit - count, MAX_PAGE))
            found |= {view.txid: view for view in page.transactions}
            count += len(page.transactions)
            before = page.next_before
            if before is None or not page.transactions:
                break
    everything = list(found.values())
    if len(wanted) > MAX_ADDRESSES:  # stable: within a block the node's order stays
        everything.sort(key=lambda view: (view.height is not None, -(view.height or 0)))
    return tuple(everything[:limit])


def to_csv(found: Iterable[HistoryRow]) -> str:
    """CSV (RFC 4180) with a header line; times in UTC, amounts exact and without signs, foreign text defused."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(_COLUMNS)
    for row in found:
        writer.writerow([_defused(value) for value in _values(row)])
    return out.getvalue()


def to_json(found: Iterable[HistoryRow]) -> str:
    """A JSON array of objects with the fields of the CSV; amounts are text, text is escaped as JSON has it."""
    return json.dumps([dict(zip(_COLUMNS, _values(row), strict=True)) for row in found], indent=1)


def _values(row: HistoryRow) -> tuple[str, ...]:
    return (
        _time(row.time_ms),
        row.status,
        row.direction,
        row.account,
        "; ".join(name for name, _ in row.counterparties if name),
        "; ".join(address for _, address in row.counterparties),
        exact_amount(row.amount),
        str(row.amount),
        exact_amount(row.fee),
        str(row.fee),
        row.memo,
        "" if row.height is None else str(row.height),
        row.txid.hex(),
        row.reason,
        row.kind,
    )


def _defused(value: str) -> str:
    text = cleaned(value)
    return "'" + text if text.lstrip().startswith(_FORMULA) else text


def _time(time_ms: int | None) -> str:
    if time_ms is None:
        return ""
    return datetime.fromtimestamp(time_ms // 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
