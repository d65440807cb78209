"""Many payments from a CSV file: a recipient and an amount a line, errors by line number.

Separators are comma, semicolon or tab (the first line decides); the first line may be a header; empty lines and lines
that begin with “#” are skipped. A recipient is an address or a contact's name.
"""

from __future__ import annotations

import csv
from pathlib import Path

from node.api.errors import NexusError, Refused
from node.api.records import Output
from node.encoding.amounts import AmountError, parse_amount
from wallet.contacts import Contact
from wallet.files import read_bounded
from wallet.requests import read_recipient

MAX_BYTES = 256 * 1024
MAX_LINES = 256
_SHOWN_ERRORS = 10
_HEADERS = {"address", "recipient", "to", "name"}


def read_payments_file(path: Path, prefix: str, contacts: tuple[Contact, ...] = ()) -> tuple[Output, ...]:
    """The payments in a file. Raises as `read_payments`, and `Refused` or `Damaged` when it cannot be read."""
    data = read_bounded(path, MAX_BYTES, "a list of payments")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Refused("bad_payments", f"{path} is no text in UTF-8.", hint="Save it as CSV (UTF-8).") from None
    return read_payments(text, prefix, contacts)


def read_payments(text: str, prefix: str, contacts: tuple[Contact, ...] = ()) -> tuple[Output, ...]:
    """The payments in CSV text, 1 to 256.

    Raises `Refused` (bad_payments) that lists the first ten faulty lines; nothing of a faulty list is used.
    """
    if len(text) > MAX_BYTES:
        raise Refused("bad_payments", f"The list is longer than {MAX_BYTES} characters.")
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    lines = [(number, line) for number, line in lines if not line.lstrip().startswith("#")]
    names = {contact.name.casefold(): contact.address for contact in contacts}
    outputs: list[Output] = []
    errors: list[str] = []
    delimiter = next((d for d in ",;\t" if lines and d in lines[0][1]), ",")
    for place, (number, line) in enumerate(lines):
        try:
            reader = csv.reader([line.strip()], delimiter=delimiter, skipinitialspace=True, strict=True)
            fields = [field.strip() for field in next(reader)]
            if place == 0 and fields and fields[0].lower() in _HEADERS:
                continue
            outputs.append(_payment(fields, prefix, names))
        except (csv.Error, AmountError) as error:
            errors.append(f"Line {number}: {error}")
        except NexusError as error:
            errors.append(f"Line {number}: {error.message}")
        if len(outputs) + len(errors) > MAX_LINES:
            raise Refused("bad_payments", f"A list has at most {MAX_LINES} payments.", hint="Split it.")
    if errors:
        more = f" … and {len(errors) - _SHOWN_ERRORS} more." if len(errors) > _SHOWN_ERRORS else ""
        raise Refused(
            "bad_payments",
            "The list of payments has errors; nothing was sent. " + " ".join(errors[:_SHOWN_ERRORS]) + more,
            hint="A line is a recipient and an amount, like tnxt1…,1.5",
        )
    if not outputs:
        raise Refused("bad_payments", "The list of payments is empty.", hint="A line is like tnxt1…,1.5")
    return tuple(outputs)


def _payment(fields: list[str], prefix: str, names: dict[str, bytes]) -> Output:
    if len(fields) != 2:
        raise Refused("bad_payments", f"there are {len(fields)} fields instead of a recipient and an amount.")
    recipient, amount = fields
    units = parse_amount(amount)
    if not units:
        raise Refused("bad_amount", "the amount is zero.")
    if (address := names.get(recipient.casefold())) is None:
        address = read_recipient(recipient, prefix).address.raw
    return Output(address, units)
