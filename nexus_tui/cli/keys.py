"""`nexus wallet create | restore | lock | backup | passphrase`: the wallet's file and its secret."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nexus_tui.cli.asking import PassphraseCommand, PassphraseFd, choosing, interactive, two_from, unlocking
from nexus_tui.cli.asking import words as ask_words
from nexus_tui.cli.files import new_file
from nexus_tui.cli.output import foreign, note
from nexus_tui.cli.session import session_of
from node.api.errors import NexusError, UsageError

if TYPE_CHECKING:
    from nexus_tui.cli.session import Session
    from wallet.wallet import Wallet

WalletName = Annotated[str | None, typer.Option("--wallet", "-w", metavar="NAME", help="Which wallet.")]
ShowWords = Annotated[
    bool, typer.Option("--show-words", help="Print the recovery words: whoever sees them owns it all.")
]
WordCount = Annotated[int, typer.Option("--words", help="12 or 24 recovery words.")]

_NOT_SHOWN = "Write down its recovery words now: nexus wallet backup --show-words --wallet {}"


def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="The wallet's name.")] = "main",
    word_count: WordCount = 12,
    show_words: ShowWords = False,
    passphrase_fd: PassphraseFd = None,
    passphrase_command: PassphraseCommand = None,
) -> None:
    """Make a wallet with fresh recovery words, sealed by a passphrase."""
    session = session_of(context)
    store = session.wallets()
    made = store.create(name, choosing(passphrase_fd, passphrase_command), word_count=word_count)
    _made(session, made, show_words)
    made.lock()


def restore(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="The wallet's name here.")] = "main",
    file: Annotated[Path | None, typer.Option("--file", help="Take in a copy made by `nexus wallet backup`.")] = None,
    accounts: Annotated[
        int | None, typer.Option("--accounts", help="How many accounts to derive; else those found in use.")
    ] = None,
    bip39: Annotated[
        bool, typer.Option("--bip39-passphrase", help="The words have a BIP-39 passphrase; ask for it.")
    ] = False,
    passphrase_fd: PassphraseFd = None,
    passphrase_command: PassphraseCommand = None,
) -> None:
    """Restore a wallet from recovery words (asked for, or from standard input) or from a copy of its file.

    The BIP-39 passphrase, if there is one, comes from the keyboard or from NEXUS_BIP39_PASSPHRASE.
    """
    session = session_of(context)
    store = session.wallets()
    if file is not None:
        taken = store.restore_file(file, name)
        _made(session, taken, False, remark="It opens with the passphrase it had.")
        return
    recovery = ask_words("Recovery words: ")
    extra = choosing(None, None, "NEXUS_BIP39_PASSPHRASE") if bip39 else None
    made = store.restore(
        name, choosing(passphrase_fd, passphrase_command), recovery, bip39_passphrase=extra, accounts=accounts or 1
    )
    try:
        if accounts is None:
            _find_accounts(session, made)
    finally:
        made.lock()
    _made(session, made, False, remark="")


def _find_accounts(session: Session, made: Wallet) -> None:
    """Add the accounts of these words that the chain knows; the wallet is good without them, so this never fails."""
    import asyncio

    from nexus_tui.cli.connection import connect
    from wallet.discovery import find_accounts

    async def look() -> int:
        async with connect(session.paths, session.config, "read") as api:
            return len(await find_accounts(made, api))

    try:
        found = asyncio.run(look())
    except NexusError as error:
        note(f"Further accounts could not be looked for: {foreign(error.message)}")
        return
    if found:
        note(f"{found} more account{'s' * (found > 1)} of these words had been in use.")


def _made(session: Session, made: Wallet, show_words: bool, remark: str = _NOT_SHOWN) -> None:
    first = made.account()
    document: dict[str, object] = {
        "wallet": made.name,
        "profile": session.profile_name,
        "address": made.address_text(first),
        "accounts": len(made.accounts),
    }
    lines = [f"The wallet {made.name} is ready.", f"Its first address is {made.address_text(first)}"]
    if show_words:
        document["words"] = made.words().text()
        lines += ["", "Recovery words, in this order:", *numbered(made.words().text())]
        lines += ["", "Write them on paper. Whoever has them has your money; without them it cannot be recovered."]
    elif remark:
        lines.append(remark.format(made.name))
    session.done(document, lines)


def numbered(text: str) -> list[str]:
    """Recovery words, four a line, each with its number."""
    listed = text.split()
    cells = [f"{place:>2} {word:<9}" for place, word in enumerate(listed, 1)]
    return ["  ".join(cells[start : start + 4]).rstrip() for start in range(0, len(cells), 4)]


def lock(context: typer.Context, wallet: WalletName = None) -> None:
    """Lock the wallet in every program that has it open."""
    session = session_of(context)
    opened = session.wallets().open(wallet)
    opened.lock_everywhere()
    session.done({"wallet": opened.name, "locked": True}, f"The wallet {opened.name} is locked everywhere.")


def backup(
    context: typer.Context,
    target: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="Where to put a copy of the sealed file.")
    ] = None,
    wallet: WalletName = None,
    show_words: ShowWords = False,
    passphrase_fd: PassphraseFd = None,
    passphrase_command: PassphraseCommand = None,
) -> None:
    """Copy the sealed wallet file, or show the recovery words with --show-words."""
    session = session_of(context)
    store = session.wallets()
    opened = store.open(wallet)
    if target is None and not show_words:
        raise UsageError("usage", "Say where to put the copy, or --show-words.", "nexus wallet backup FILE")
    place = None if target is None else new_file(target)
    document: dict[str, object] = {"wallet": opened.name}
    lines: list[str] = []
    if show_words:
        opened.unlock(unlocking(passphrase_fd, passphrase_command))
        document["words"] = opened.words().text()
        document["bip39_passphrase"] = opened.has_bip39_passphrase
        lines += ["Recovery words, in this order:", *numbered(opened.words().text())]
        if opened.has_bip39_passphrase:
            lines.append("This wallet needs its BIP-39 passphrase besides; it is not shown here.")
        opened.lock()
    if place is not None:
        store.backup(opened.name, place)
        document["file"] = str(place)
        lines.append(f"Copied to {foreign(str(target))}. It opens with the wallet's passphrase.")
    session.done(document, lines)


def passphrase(
    context: typer.Context,
    wallet: WalletName = None,
    passphrase_fd: PassphraseFd = None,
    passphrase_command: PassphraseCommand = None,
) -> None:
    """Change the passphrase.

    Without a terminal: the old and the new one as two lines of --passphrase-fd, or NEXUS_PASSPHRASE and
    NEXUS_NEW_PASSPHRASE.
    """
    session = session_of(context)
    opened = session.wallets().open(wallet)
    if passphrase_fd is not None:
        old, new = two_from(passphrase_fd)
    else:
        old = unlocking(None, passphrase_command, "Old passphrase: ")
        new = choosing(None, None, "NEXUS_NEW_PASSPHRASE")
    opened.change_passphrase(old, new)
    if interactive():
        note("Copies of the file that were made before still open with the old passphrase.")
    session.done({"wallet": opened.name, "changed": True}, f"The wallet {opened.name} has a new passphrase.")
