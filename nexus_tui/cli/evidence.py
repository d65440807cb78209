"""`nexus dag evidence`: proofs of offences that the node holds, and sending one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nexus_tui.cli.accounts import AccountName
from nexus_tui.cli.asking import PassphraseCommand, PassphraseFd, Timeout, Yes, confirm, unlocking
from nexus_tui.cli.keys import WalletName
from nexus_tui.cli.output import amount, foreign, nxt, table
from nexus_tui.cli.payments import NoWait
from nexus_tui.cli.session import session_of
from node.api.bounds import check_arguments
from node.api.errors import Refused

if TYPE_CHECKING:
    from nexus_tui.cli.session import Session
    from node.api.records import EvidenceView
    from wallet.accusations import EvidencePlan

_NONE = "This node holds no proof of an offence."


def list_evidence(context: typer.Context) -> None:
    """List the proofs of offences that this node holds: who did what, and what it would cost them."""
    session = session_of(context)
    found, prefix = asyncio.run(_look(session))
    session.done(
        {"evidence": [evidence_document(each, prefix) for each in found]},
        table((_row(each, prefix) for each in found), right=frozenset({3})) if found else _NONE,
    )


def send(
    context: typer.Context,
    identity: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="The proof's id or its first digits; the open one if only one.")
    ] = None,
    account: AccountName = None,
    wallet: WalletName = None,
    no_wait: NoWait = False,
    timeout: Timeout = 60.0,
    passphrase_fd: PassphraseFd = None,
    passphrase_command: PassphraseCommand = None,
    yes: Yes = False,
) -> None:
    """Send a proof to the network from an account of yours. The offender loses stake; it is free if it counts."""
    from nexus_tui.cli import paying
    from nexus_tui.drawing.words import accusation

    session = session_of(context)
    opened = session.wallets().open(wallet)
    chosen = opened.account(account)
    opened.signer(chosen)  # a watched account is refused before a passphrase is asked for
    found, prefix = asyncio.run(_look(session))
    evidence = _choose(found, identity)

    def planned() -> EvidencePlan:
        return asyncio.run(_plan(session, chosen, evidence))

    plan = planned()
    said = [*accusation(evidence, prefix), f"Fee {nxt(plan.fee)} from {foreign(chosen.label)}, {_GIVEN_BACK}"]
    confirm(said, yes, "Sending evidence")
    opened.unlock(unlocking(passphrase_fd, passphrase_command))
    try:
        patience = paying.Patience(not no_wait, timeout)
        plan, sent = paying.pay(session, plan, opened.signer(chosen), planned, patience)
    finally:
        opened.lock()
    document = {"evidence": evidence_document(evidence, prefix), **paying.sent_document(sent)}
    document["from"] = opened.address_text(chosen)
    done = f"Accepted as {sent.txid.hex()}; a block will take it while a node runs."
    if sent.view is not None:
        done = f"It counted: {sent.txid.hex()} is in block {sent.view.height}, fee {nxt(sent.view.fee)}."
    session.done(document, [*said[:2], done])


_GIVEN_BACK = "given back if the proof counts; not if somebody else's comes first."


async def _look(session: Session) -> tuple[tuple[EvidenceView, ...], str]:
    from nexus_tui.cli.connection import connect

    async with connect(session.paths, session.config, "read") as api:
        return await api.evidence(), (await api.network()).hrp


async def _plan(session: Session, account: Any, evidence: EvidenceView) -> EvidencePlan:
    from nexus_tui.cli.connection import connect
    from wallet.accusations import prepare_evidence

    async with connect(session.paths, session.config, "read") as api:
        return await prepare_evidence(api, account, evidence)


def _choose(found: tuple[EvidenceView, ...], identity: str | None) -> EvidenceView:
    """The proof whose id begins so, else the only open one. Raises Refused, UsageError."""
    if identity is None:
        wanted = [each for each in found if each.status == "open"]
    else:
        prefix = identity.strip().lower()
        check_arguments({"prefix": prefix})
        wanted = [each for each in found if each.id.hex().startswith(prefix)]
    if len(wanted) > 1:
        names = ", ".join(each.id.hex()[:16] for each in wanted[:4])
        raise Refused("ambiguous_id", f"{len(wanted)} proofs could be meant: {names}. Nothing was sent.", "Name one.")
    if not wanted:
        said = f"This node holds no proof whose id begins with {identity.strip().lower()}." if identity else _NONE
        if not identity and found:
            said = "None of the proofs that this node holds can cost anybody anything any more."
        raise Refused("no_evidence", f"{said} Nothing was sent.", "nexus dag evidence list")
    return wanted[0]


def evidence_document(view: EvidenceView, prefix: str) -> dict[str, Any]:
    """A proof of an offence."""
    from nexus_tui.format import address_text

    return {
        "id": view.id.hex(),
        "kind": view.kind_name,
        "validator": address_text(view.validator, prefix),
        "own": view.own,
        "slot": view.slot,
        "checkpoint": view.checkpoint,
        "what": view.what,
        "status": view.status,
        "stake": amount(view.stake),
        "loss": amount(view.loss),
        "proof": [part.hex() for part in view.proof],
    }


def _row(view: EvidenceView, prefix: str) -> tuple[str, ...]:
    from nexus_tui.drawing.words import evidence_standing
    from nexus_tui.format import address_text

    loss = f"would lose {nxt(view.loss)}" if view.status == "open" else ""
    who = address_text(view.validator, prefix) + (" (this node's own)" if view.own else "")
    return view.id.hex()[:16], evidence_standing(view), who, loss, foreign(view.what)
