"""Payment requests: `nexus:ADDRESS?amount=1.5&label=Shop&memo=Order%207`, and their QR code.

The shape is that of RFC 3986 and BIP-21, read strictly: a request comes from someone else, and money follows it.
Every parameter is known and stands once; nothing is guessed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes

from node.api.errors import Refused
from node.encoding.address import Address, AddressError
from node.encoding.amounts import AmountError, exact_amount, parse_amount
from wallet.text import checked_name, is_hidden

SCHEME = "nexus:"
MAX_URI = 2048
MAX_MEMO_BYTES = 256
_ALLOWED = re.compile(r"[!-~]+")
_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class PaymentRequest:
    """Who asks, for how many units (None: the payer decides), under which name, with which open memo."""

    address: Address
    amount: int | None = None
    label: str = ""
    memo: str = ""

    def uri(self, prefix: str) -> str:
        """The request as text; what `parse_request` reads back."""
        parts = [("amount", exact_amount(self.amount) if self.amount is not None else ""), ("label", self.label)]
        parts.append(("memo", self.memo))
        query = "&".join(f"{name}={quote(value, safe='')}" for name, value in parts if value)
        return SCHEME + self.address.text(prefix) + ("?" + query if query else "")


def make_request(address: Address, amount: int | None = None, label: str = "", memo: str = "") -> PaymentRequest:
    """A checked request. Raises `Refused` (bad_request)."""
    if amount is not None and amount <= 0:
        raise _bad("its amount is zero")
    if label:
        label = checked_name(label, "A request's label")
    try:
        size = len(memo.encode())
    except UnicodeEncodeError:
        raise _bad("its memo is no valid text") from None
    if size > MAX_MEMO_BYTES:
        raise _bad(f"its memo is longer than {MAX_MEMO_BYTES} bytes")
    if any(is_hidden(character) for character in memo):
        raise _bad("its memo contains invisible or control characters")
    return PaymentRequest(address, amount, label, memo)


def parse_request(text: str, prefix: str) -> PaymentRequest:
    """Read a request from outside, at most 2,048 characters. Raises `Refused` (bad_request, bad_address,
    bad_amount, bad_name), saying what is wrong."""
    text = text.strip()
    if len(text) > MAX_URI:
        raise _bad(f"it is longer than {MAX_URI} characters")
    if not is_request(text):
        raise _bad(f"it does not begin with “{SCHEME}”")
    if not _ALLOWED.fullmatch(text) or "#" in text:
        raise _bad("it contains a character that cannot be part of one")
    address, mark, query = text[len(SCHEME) :].partition("?")
    fields: dict[str, str] = {}
    for part in query.split("&") if mark else []:
        name, equals, value = part.partition("=")
        name = name.lower()
        if not equals or name not in ("amount", "label", "memo"):
            raise _bad(f"its part {name[:32]!r} is not known")
        if name in fields:
            raise _bad(f"its part {name!r} occurs twice")
        fields[name] = _decoded(value)
    try:
        return make_request(
            Address.parse(address, prefix),
            parse_amount(fields["amount"]) if "amount" in fields else None,
            fields.get("label", ""),
            fields.get("memo", ""),
        )
    except (AddressError, AmountError) as error:
        raise Refused(error.code, f"The payment request cannot be used. {error}") from None


def is_request(text: str) -> bool:
    """Whether `text` claims to be a payment request."""
    return text.strip()[: len(SCHEME)].lower() == SCHEME


def read_recipient(text: str, prefix: str) -> PaymentRequest:
    """What someone typed or pasted as a recipient: a request or a bare address. Raises `Refused`."""
    if is_request(text):
        return parse_request(text, prefix)
    try:
        return PaymentRequest(Address.parse(text, prefix))
    except AddressError as error:
        raise Refused("bad_address", str(error), hint="Copy the whole address again.") from None


def qr(text: str, *, blocks: bool = True, border: int = 2, error: str = "m") -> tuple[str, ...]:
    """Lines of a QR code of `text`, dark modules drawn: show them dark on a light ground.

    With `blocks` a line is two rows in half blocks (▀▄█); without, one row of "##" and two spaces for terminals that
    know only ASCII. `border` is the quiet zone in modules, `error` the level of correction (less of it
    makes a smaller code). A request without a query is put in capitals, which QR
    codes pack more densely and `parse_request` reads alike.
    """
    import segno

    if is_request(text) and "?" not in text:
        text = text.upper()
    if len(text.encode()) > MAX_URI:
        raise _bad(f"it is longer than {MAX_URI} bytes")
    code = segno.make(text, micro=False, error=error if len(text) < 512 else "l", boost_error=False)
    rows = [[bool(module) for module in row] for row in code.matrix_iter(border=border)]
    if not blocks:
        return tuple("".join("##" if dark else "  " for dark in row) for row in rows)
    if len(rows) % 2:
        rows.append([False] * len(rows[0]))
    marks = {(False, False): " ", (True, False): "▀", (False, True): "▄", (True, True): "█"}
    return tuple(
        "".join(marks[pair] for pair in zip(upper, lower, strict=True))
        for upper, lower in zip(rows[::2], rows[1::2], strict=True)
    )


def _decoded(value: str) -> str:
    if _ESCAPE.search(value):
        raise _bad("a “%” in it is not followed by two hexadecimal digits")
    try:
        return unquote_to_bytes(value).decode()
    except UnicodeDecodeError:
        raise _bad("a part of it is no valid text") from None


def _bad(reason: str) -> Refused:
    return Refused("bad_request", f"This is no payment request that can be used: {reason}.", hint="Ask for a new one.")
