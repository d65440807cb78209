"""What takes several dialogs: sending, accounts, contacts, export. Each is a job beside the screens."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from nexus_tui.dialogs.confirm import ConfirmPayment, Question
from nexus_tui.dialogs.prompt import Ask, Check, Prompt
from nexus_tui.format import groups, short
from nexus_tui.sanitize import sanitize
from nexus_tui.widgets.payments import full_amount
from node.api.errors import Damaged, Locked, NoNode, Refused
from node.encoding.address import Address, AddressError
from node.encoding.amounts import AmountError, format_amount, parse_amount
from node.encoding.node_id import node_text

if TYPE_CHECKING:
    from nexus_tui.app import NexusApp
    from nexus_tui.live import Live
    from node.api.interface import NodeApi
    from node.ledger.types import SignedTransaction
    from wallet.contacts import Contacts
    from wallet.keystore import Account
    from wallet.payments import PaymentPlan
    from wallet.wallet import Wallet


def _live(app: NexusApp) -> Live:
    if app.live is None or app.live.view.network is None:
        raise NoNode("no_node", "The node is not ready yet.", "Try again in a moment.")
    return app.live


def _wallet(app: NexusApp) -> Wallet:
    wallet = _live(app).wallet
    if wallet is None:
        fault = app.view.wallet_fault
        raise fault if fault is not None else Refused("no_wallet", "There is no wallet in this profile.")
    return wallet


def _contacts(app: NexusApp) -> Contacts:
    contacts = _live(app).contacts
    if contacts is None:
        raise Refused("no_contacts", "The contacts cannot be read without a wallet.")
    return contacts


async def unlocked(app: NexusApp, why: str) -> bool:
    """Ask for the passphrase if the wallet is locked. False when the owner thinks better of it."""
    wallet = _wallet(app)
    if not wallet.locked:
        wallet.touch()
        return True
    from nexus_tui.dialogs.unlock import UnlockDialog

    answer: bool | None = await app.push_screen_wait(UnlockDialog(wallet, why))
    return bool(answer)


# Sending


def send(app: NexusApp, recipient: str = "") -> None:
    """Form, confirmation, passphrase, signature, node."""
    app.start(_send(app, recipient), "send")


def _sending_account(app: NexusApp) -> Account:
    """The chosen account, else the first that can sign."""
    account = app.selected_account()
    if account is None or not account.can_sign:
        account = next((line.account for line in app.view.lines if line.account.can_sign), None)
    if account is None:
        raise Refused("watch_only", "This wallet only watches: it has no key to send with.")
    return account


async def _send(app: NexusApp, recipient: str) -> None:
    from nexus_tui.dialogs.send import Draft, SendDialog

    account = _sending_account(app)
    draft = Draft(account, recipient)
    while True:
        order = await app.push_screen_wait(SendDialog(draft))
        if order is None:
            return
        draft = order.draft
        if not await app.push_screen_wait(ConfirmPayment(order.plan, draft.account, _live(app).prefix)):
            continue
        if await unlocked(app, "Sending") and await _submit(app, order.plan, draft.account):
            return


async def _submit(app: NexusApp, plan: PaymentPlan, account: Account) -> bool:
    """Sign and hand over. False when the form should come back with what was typed."""
    from wallet.payments import build

    api = app.node_api()
    try:
        await _hand_over(api, build(plan, _wallet(app).signer(account)))
    except Locked:
        return False
    except Refused as error:
        app.fail(error)
        return False
    to = plan.outputs[0].recipient
    name = app.names().name(to) or short(Address.from_raw(to).text(_live(app).prefix))
    app.say(f"Accepted: {full_amount(plan.amount)} to {sanitize(name, 64)}. It is kept and goes into the next block.")
    _live(app).mark("status", "accounts", "history")
    return True


async def _hand_over(api: NodeApi, signed: SignedTransaction) -> None:
    """Submit what was signed just now. If the node knows it, a command made the very same payment at this moment."""
    if (await api.submit(signed.raw)).known:
        raise Refused("nonce_waiting", "The same payment was made elsewhere at the same moment; this one was not made.")


def faucet(app: NexusApp) -> None:
    """Take play money from the network's own faucet."""
    app.start(_faucet(app), "faucet")


async def _faucet(app: NexusApp) -> None:
    from node.api.records import Output
    from wallet.faucet import open_faucet
    from wallet.keystore import DERIVED
    from wallet.keystore import Account as WalletAccount
    from wallet.payments import build, prepare

    account = app.selected_account()
    if account is None or app.household is None or app.household.faucet_key is None:
        return
    answer = await app.push_screen_wait(
        Prompt(
            "Play money",
            f"This network has a faucet. How much shall it send to “{account.label}”?",
            (Ask("amount", "Amount in NXT", "100", check=_amount_note),),
            "Get",
        )
    )
    if answer is None:
        return
    signer = open_faucet(app.household.faucet_key)
    source = WalletAccount("Faucet", DERIVED, signer.address.raw, 0, signer.public_key)
    units = _amount(answer["amount"])
    plan = await prepare(app.node_api(), source, (Output(account.address, units),))
    await _hand_over(app.node_api(), build(plan, signer))
    app.say(f"The faucet sends {format_amount(units)} NXT to {account.label}.")
    _live(app).mark("status", "accounts", "history")


def _amount(typed: str) -> int:
    try:
        return parse_amount(typed)
    except AmountError as error:
        raise Refused(error.code, str(error)) from None


def _amount_note(typed: str) -> tuple[bool, str]:
    try:
        units = parse_amount(typed)
    except AmountError as error:
        return False, str(error)
    return (True, "") if units else (False, "more than nothing, please")


# Evidence


def evidence(app: NexusApp) -> None:
    """Offences that were seen; send the proof of one."""
    app.start(_evidence(app), "evidence")


async def _evidence(app: NexusApp) -> None:
    from nexus_tui.dialogs.evidence import ConfirmEvidence, EvidenceDialog
    from wallet.accusations import prepare_evidence
    from wallet.payments import build

    proofs, prefix = await app.node_api().evidence(), _live(app).prefix
    chosen = await app.push_screen_wait(EvidenceDialog(proofs, prefix))
    proof = next((proof for proof in proofs if proof.id == chosen), None)
    if proof is None:
        return
    account = _sending_account(app)
    plan = await prepare_evidence(app.node_api(), account, proof)
    if not await app.push_screen_wait(ConfirmEvidence(plan, account, prefix)):
        return
    if await unlocked(app, "Sending evidence"):
        await _hand_over(app.node_api(), build(plan, _wallet(app).signer(account)))
        app.say(
            f"Accepted: the proof against {short(Address.from_raw(proof.validator).text(prefix))} goes into a block."
        )
        _live(app).mark("status", "accounts", "history")


# Network

BAN_HOURS = 24


def connect(app: NexusApp) -> None:
    """Call a node that the owner names."""
    app.start(_connect(app), "connect")


async def _connect(app: NexusApp) -> None:
    typed = ""
    while True:
        answer = await app.push_screen_wait(
            Prompt(
                "Connect to a node",
                "It is called now, and remembered.",
                (Ask("place", "Node or invitation", typed, "NODE@HOST:PORT or nexus://join?…", limit=2_000),),
                "Connect",
            )
        )
        if answer is None:
            return
        typed = answer["place"]
        try:
            node = await app.node_api().introduce(typed)
        except Refused as error:
            app.fail(error)  # and the form comes back with what was typed
            continue
        app.say(f"{short(node_text(node))} is called; it is among the peers once it has answered.")
        _live(app).mark("status", "mesh")
        return


def ban(app: NexusApp, node: bytes) -> None:
    """Keep a node out for a day."""
    app.start(_ban(app, node), "ban")


async def _ban(app: NexusApp, node: bytes) -> None:
    question = Question(
        "Ban this peer?",
        f"{node_text(node)}\n\nThe link to it ends, and it is not let in for {BAN_HOURS} hours. You can lift it here.",
        yes="Ban",
    )
    if await app.push_screen_wait(question):
        await app.node_api().ban(node, BAN_HOURS * 3_600)
        app.say(f"{short(node_text(node))} is not let in for {BAN_HOURS} hours.")
        _live(app).mark("status", "mesh")


def unban(app: NexusApp, node: bytes) -> None:
    """Let a node in again."""
    app.start(_unban(app, node), "unban")


async def _unban(app: NexusApp, node: bytes) -> None:
    question = Question("Lift the ban?", f"{node_text(node)}\n\nIt may link with this node again.", yes="Unban")
    if await app.push_screen_wait(question):
        await app.node_api().ban(node, 0)
        app.say(f"{short(node_text(node))} may link again.")
        _live(app).mark("status", "mesh")


# Accounts


def add_account(app: NexusApp) -> None:
    """Another account from the same words."""
    app.start(_add_account(app), "add-account")


async def _add_account(app: NexusApp) -> None:
    wallet = _wallet(app)
    answer = await app.push_screen_wait(
        Prompt(
            "New account",
            "It comes from the same recovery words; there is nothing new to write down.",
            (Ask("label", "Name", f"Account {len(wallet.accounts) + 1}"),),
            "Create",
        )
    )
    if answer is None or not await unlocked(app, "A new account"):
        return
    account = wallet.add_account(answer["label"])
    app.chosen = account.address
    _live(app).reload_wallet()
    app.say(f"The account {account.label} is ready.")


def label_account(app: NexusApp, account: Account | None) -> None:
    """Another name for an account."""
    if account is not None:
        app.start(_label_account(app, account), "label")


async def _label_account(app: NexusApp, account: Account) -> None:
    answer = await app.push_screen_wait(Prompt("Rename account", "", (Ask("label", "Name", account.label),), "Rename"))
    if answer is not None:
        _wallet(app).set_label(account, answer["label"])
        _live(app).reload_wallet()


def watch_address(app: NexusApp) -> None:
    """Follow an address without its key."""
    app.start(_watch_address(app), "watch")


async def _watch_address(app: NexusApp) -> None:
    answer = await app.push_screen_wait(
        Prompt(
            "Watch an address",
            "Its balance and history are shown; spending needs its key, which stays elsewhere.",
            (
                Ask("label", "Name"),
                Ask("address", "Address or public key", "", f"{_live(app).prefix}1…", _watchable_note(app)),
            ),
            "Watch",
        )
    )
    if answer is not None:
        account = _wallet(app).add_watch(answer["address"], answer["label"])
        app.chosen = account.address
        _live(app).reload_wallet()


def _address_note(app: NexusApp) -> Check:
    prefix = _live(app).prefix

    def check(typed: str) -> tuple[bool, str]:
        try:
            return True, f"{app.glyphs.good} {groups(Address.parse(typed, prefix).text(prefix))}"
        except AddressError as error:
            return False, str(error) if len(typed) > 30 else "an address, not complete yet"

    return check


def _watchable_note(app: NexusApp) -> Check:
    address = _address_note(app)

    def check(typed: str) -> tuple[bool, str]:
        if re.fullmatch("0[23][0-9a-f]{64}", typed.strip().lower()):
            return True, f"{app.glyphs.good} a public key: payments can be made here and signed where its key is"
        return address(typed)

    return check


# Contacts


def add_contact(app: NexusApp, address: str = "") -> None:
    """A name for an address."""
    app.start(_add_contact(app, address), "add-contact")


async def _add_contact(app: NexusApp, address: str) -> None:
    contacts = _contacts(app)
    answer = await app.push_screen_wait(
        Prompt(
            "New contact",
            "",
            (
                Ask("name", "Name"),
                Ask("address", "Address", address, f"{_live(app).prefix}1…", _address_note(app)),
            ),
            "Keep",
        )
    )
    if answer is None:
        return
    try:
        raw = Address.parse(answer["address"], _live(app).prefix).raw
    except AddressError as error:
        raise Refused(error.code, str(error)) from None
    warnings = contacts.warnings(answer["name"], raw, app.names().known())
    if warnings and not await app.push_screen_wait(
        Question("Are these the same?", "\n\n".join(warnings), yes="Keep anyway")
    ):
        return
    contact = contacts.add(answer["name"], answer["address"])
    app.say(f"{contact.name} is in your contacts.")
    _live(app).reload_wallet()


def remove_contact(app: NexusApp) -> None:
    """Forget the chosen contact."""
    app.start(_remove_contact(app), "remove-contact")


async def _remove_contact(app: NexusApp) -> None:
    name = (await app.wallet_screen()).chosen_contact()
    if name is None:
        return
    if await app.push_screen_wait(
        Question("Remove contact?", f"“{name}” is forgotten; payments stay in the history.", yes="Remove")
    ):
        _contacts(app).remove(name)
        _live(app).reload_wallet()


# Export


def export(app: NexusApp) -> None:
    """The whole history into a file that only its owner can read."""
    app.start(_export(app), "export")


async def _export(app: NexusApp) -> None:
    from wallet import history

    folder = app.household.export_folder if app.household is not None else None
    default = str((folder or Path.home()) / "nexus-history.csv")
    answer = await app.push_screen_wait(
        Prompt(
            "Export the history",
            "A name that ends in .json makes JSON, any other a table (CSV). Nothing is overwritten.",
            (Ask("path", "File", default),),
            "Write",
        )
    )
    if answer is None:
        return
    addresses = [line.account.address for line in app.view.lines]
    found = await history.load(app.node_api(), addresses)
    rows = history.rows(found, app.names(), _live(app).prefix)
    content = history.to_json(rows) if answer["path"].endswith(".json") else history.to_csv(rows)
    path = await asyncio.to_thread(_write_new, answer["path"], content)
    app.say(f"{len(rows)} payments are in {path}.")


def _write_new(path: str, content: str) -> str:
    path = os.path.abspath(os.path.expanduser(path))
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise Refused(
            "file_exists", f"There is already a file {path}; it was left as it is.", "Choose another name."
        ) from None
    except OSError as error:
        raise Damaged("not_writable", f"{path} cannot be written: {error.strerror}.", "Choose another place.") from None
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
        file.write(content)
    return path
