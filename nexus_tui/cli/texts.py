"""`nexus wallet sign` and `nexus wallet verify`: who wrote a text."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from nexus_tui.cli.accounts import AccountName
from nexus_tui.cli.asking import PassphraseCommand, PassphraseFd, unlocking
from nexus_tui.cli.keys import WalletName
from nexus_tui.cli.session import session_of
from node.api.errors import Refused, UsageError

_MAX_TEXT = 65_536
_Text = Annotated[str, typer.Argument(metavar="TEXT", help="The text; - reads standard input.")]


def sign(
    context: typer.Context,
    text: _Text,
    account: AccountName = None,
    wallet: WalletName = None,
    passphrase_fd: PassphraseFd = None,
    passphrase_command: PassphraseCommand = None,
) -> None:
    """Sign a text with an account's key. It can never be taken for a payment, and counts on this network alone."""
    from node.service.founding import read_genesis
    from wallet.textsign import sign_text

    session = session_of(context)
    opened = session.wallets().open(wallet)
    chosen = opened.account(account)
    content = _content(text)
    genesis = read_genesis(session.paths).hash
    opened.signer(chosen)  # a watched account is refused before a passphrase is asked for
    opened.unlock(unlocking(passphrase_fd, passphrase_command))
    try:
        signature = sign_text(opened.signer(chosen), genesis, content)
    finally:
        opened.lock()
    session.done({"address": opened.address_text(chosen), "text": content, "signature": signature}, signature)


def verify(
    context: typer.Context,
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="Who is said to have signed.")],
    text: _Text,
    signature: Annotated[str, typer.Argument(metavar="SIGNATURE", help="What `nexus wallet sign` printed.")],
) -> None:
    """Check a text's signature: exit 0 if it is good, 1 if not."""
    from node.service.founding import read_genesis
    from wallet.textsign import verify_text
    from wallet.wallet import read_address

    session = session_of(context)
    genesis = read_genesis(session.paths)
    signer = read_address(address, genesis.prefix)
    if not verify_text(signer, genesis.hash, _content(text), signature):
        raise Refused(
            "bad_signature",
            "The signature is not that of this address for this text on this network.",
            hint="Text and signature must be exactly as they were, spaces and line breaks too.",
        )
    session.done(
        {"address": signer.text(genesis.prefix), "valid": True}, "Good: the owner of this address signed this text."
    )


def _content(text: str) -> str:
    if text != "-":
        return text
    if sys.stdin is None:
        raise EOFError
    try:
        content = sys.stdin.buffer.read(_MAX_TEXT + 1).decode()
    except UnicodeDecodeError:
        raise UsageError("bad_text", "Standard input is no text in UTF-8.") from None
    if len(content.encode()) > _MAX_TEXT:
        raise UsageError("bad_text", f"A text to sign has at most {_MAX_TEXT} bytes.")
    return content
