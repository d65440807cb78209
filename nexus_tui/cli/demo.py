"""`nexus demo`: the story so far without a question: a network, a wallet, a payment in a block, nothing lost.

It has a profile of its own, `demo`, on the preset `minimal`; a later run goes on where the last one ended. Every line
is printed when its step is done, with what it cost and how long it took.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nexus_tui.cli.output import amount, nxt
from nexus_tui.cli.session import session_of
from node.api.errors import Internal, Refused, TimedOut

if TYPE_CHECKING:
    from nexus_tui.cli.session import Session
    from nexus_tui.onboarding import NetworkChoice, NetworkMade
    from node.api.interface import NodeApi
    from node.api.records import CheckpointView, TransactionView
    from node.profile.paths import ProfilePaths
    from wallet.keystore import Account
    from wallet.wallet import Wallet

PROFILE = "demo"
_PASSPHRASE = "demo.passphrase"
_SAVINGS = "Savings"
_PAYMENT = 12_50000000  # 12.5 NXT
_WAIT_S = 30.0


@dataclass(slots=True)
class _Story:
    """The steps so far; each is told when it is done."""

    session: Session
    began: float = field(default_factory=time.monotonic)
    mark: float = field(default_factory=time.monotonic)
    steps: list[dict[str, Any]] = field(default_factory=list)

    def tell(self, title: str, *details: str, cost: int = 0) -> None:
        now = time.monotonic()
        took, self.mark = now - self.mark, now
        self.steps.append(
            {"step": title, "details": list(details), "cost": amount(cost), "milliseconds": round(took * 1000)}
        )
        paid = f", cost {nxt(cost)}" if cost else ""
        self.session.say(f"{len(self.steps)}. {title}  ({took:.1f} s{paid})")
        for line in details:
            self.session.say(f"   {line}")


def demo(
    context: typer.Context,
    no_tui: Annotated[bool, typer.Option("--no-tui", help="End after the story instead of opening the app.")] = False,
) -> None:
    """Show the whole story in under a minute, without questions; then the app opens on it.

    It makes the profile `demo` with a network of its own (preset minimal) and play money. Its wallet's passphrase is
    made up and kept beside it in a file, which no real wallet ever does.
    """
    from nexus_tui.terminal import require_terminal
    from node.profile.config import create
    from node.profile.paths import config_file, profile_paths

    session = session_of(context)
    if session.profile not in (None, PROFILE):
        raise Refused("demo_profile", f"The demo always uses its own profile {PROFILE!r}. Nothing was changed.")
    no_tui = no_tui or session.json
    if not no_tui:
        require_terminal()
    session.profile = PROFILE
    create(config_file(), session.config.known)
    story = _Story(session)
    session.say(f"The Nexus demo: its own profile {PROFILE!r}, preset minimal (half-second slots), play money only.")
    paths = profile_paths(PROFILE)
    if paths.exists:
        story.tell("The network of the last demo is still here", f"in {paths.root}")
    else:
        _found(story)
    passphrase = _kept_passphrase(paths)
    result = _pay(session, story, passphrase)
    seconds = time.monotonic() - story.began
    session.done(
        {
            "profile": PROFILE,
            "folder": str(paths.root),
            "preset": "minimal",
            "steps": story.steps,
            "seconds": f"{seconds:.1f}",
            **result,
        },
        [
            f"Done in {seconds:.1f} s. Look around: nexus --profile {PROFILE} (the app), "
            f"nexus --profile {PROFILE} wallet history",
            f"The demo wallet's passphrase is {passphrase} (kept in {paths.root / _PASSPHRASE}).",
        ],
    )
    if not no_tui:
        from nexus_tui.cli.launch import open_app

        open_app(session, notice=f"Demo with play money. The wallet's passphrase is {passphrase}")


def _kept_passphrase(paths: ProfilePaths) -> str:
    try:
        return (paths.root / _PASSPHRASE).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        raise Refused(
            "demo_profile",
            f"The profile {PROFILE!r} was not made by the demo, or its file {_PASSPHRASE} is gone. It was left alone.",
            hint=f"Move {paths.root} away to begin the demo anew.",
        ) from None


def _found(story: _Story) -> None:
    from nexus_tui.cli.networks import make_network
    from nexus_tui.onboarding import DEMO_PRESET, NetworkChoice, create_profile_and_wallet
    from wallet.secret import Secret

    passphrase = secrets.token_hex(6)

    def make(paths: ProfilePaths, choice: NetworkChoice, owner: bytes) -> NetworkMade:
        kept = os.open(paths.root / _PASSPHRASE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(kept, "w", encoding="ascii") as file:
            file.write(passphrase + "\n")
        return make_network(paths, choice, owner)

    made = create_profile_and_wallet(NetworkChoice(DEMO_PRESET, "demo"), PROFILE, Secret.of(passphrase), make)
    story.tell(
        "A network and a wallet were made",
        f"genesis {made.network.genesis.hex()[:16]}…, one validator with {nxt(made.network.stake)} at stake",
        f"the wallet's first account is {made.address}",
        f"its passphrase is made up and kept in {made.paths.root / _PASSPHRASE} (a real wallet's never is)",
    )


def _pay(session: Session, story: _Story, passphrase: str) -> dict[str, Any]:
    from wallet.secret import Secret

    opened = session.wallets().open("main")
    opened.unlock(Secret.of(passphrase))
    try:
        if len(opened.accounts) == 1:
            opened.add_account(_SAVINGS)
        main, savings = opened.accounts[:2]
        story.tell("The wallet is unlocked", f"its accounts are {main.label} and {savings.label}")
        return asyncio.run(_live(session, story, opened, main, savings))
    finally:
        opened.lock()


async def _live(session: Session, story: _Story, opened: Wallet, main: Account, savings: Account) -> dict[str, Any]:
    from nexus_tui.cli.connection import connect
    from nexus_tui.cli.paying import Patience, submit_to
    from node.api.records import Output
    from wallet.payments import build, prepare

    async with connect(session.paths, session.config, "write") as api:
        before = await _balances(api, main, savings)
        if before[0] < before[1]:  # after many demos the money has moved: let it come back
            main, savings, before = savings, main, before[::-1]
        status = await api.status()
        where = "in this program" if status.pid == os.getpid() else f"as process {status.pid}"
        story.tell(
            f"A node runs {where} ({status.mode}, block {status.height})",
            f"{main.label} owns {nxt(before[0])}, {savings.label} owns {nxt(before[1])}",
        )
        plan = await prepare(api, main, (Output(savings.address, _PAYMENT),), memo="My first payment")
        signed = build(plan, opened.signer(main))
        sent = await submit_to(api, signed, Patience(seconds=_WAIT_S), tell=lambda text: None)
        assert sent.view is not None
        story.tell(
            f"{nxt(_PAYMENT)} were paid: in block {sent.view.height}, slot {sent.view.slot}",
            f"transaction {sent.txid.hex()}",
            f"{main.label} -> {savings.label}, memo 'My first payment'",
            cost=sent.view.fee,
        )
        after = await _balances(api, main, savings)
        rewards = after[0] - (before[0] - _PAYMENT - sent.view.fee), after[1] - (before[1] + _PAYMENT)
        if min(rewards) != 0:  # one of the two is the validator's account
            raise Internal("demo_mismatch", "The balances after the payment are not what they must be.")
        story.tell(
            "The balances moved by exactly that",
            f"{main.label}: {nxt(before[0])} -> {nxt(after[0])} (payment and fee)",
            f"{savings.label}: {nxt(before[1])} -> {nxt(after[1])}",
            *([f"and {nxt(max(rewards))} of it is the validator's reward for blocks"] if max(rewards) else []),
        )
        final = await _finality(api, sent.view)
        story.tell(
            f"The payment is final: checkpoint {final.number} in block {final.height}, "
            f"voted for with {100 * final.stake_voted // max(1, final.stake_total)} % of stake",
            "no later block can undo it while two thirds of the stake are honest",
        )
        total = await _recount(api)
        story.tell("Everything was recounted from the disk and nothing was lost", f"all named places hold {nxt(total)}")
    return {
        "txid": sent.txid.hex(),
        "height": sent.view.height,
        "checkpoint": final.number,
        "amount": amount(_PAYMENT),
        "fee": amount(sent.view.fee),
        "balance_before": amount(before[0]),
        "balance_after": amount(after[0]),
        "total": amount(total),
    }


async def _balances(api: NodeApi, *accounts: Account) -> list[int]:
    return [(await api.account(account.address)).balance for account in accounts]


async def _finality(api: NodeApi, payment: TransactionView) -> CheckpointView:
    """The first final checkpoint that stands above a payment."""
    try:
        async with api.subscribe(("dag",)) as events, asyncio.timeout(_WAIT_S):
            while True:
                final = (await api.finality()).final
                if final is not None and (final.height or 0) >= (payment.height or 0):
                    return final
                await anext(events)
    except TimeoutError:
        raise TimedOut("not_final", f"No checkpoint above the payment was final in {_WAIT_S:g} seconds.") from None


async def _recount(api: NodeApi) -> int:
    """The sum of all named places, which must be the supply and what verification counts."""
    from node.encoding.amounts import SUPPLY

    report = await api.verify()
    total = sum(place.units for place in await api.places())
    if not report.ok or total != SUPPLY or report.total_units != SUPPLY:
        raise Internal("demo_mismatch", "The recount after the payment does not give the supply.")
    return total
