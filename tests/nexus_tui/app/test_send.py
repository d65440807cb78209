"""Sending: the form checks while one types, the confirmation repeats, the passphrase comes last, nothing is lost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from node.api.errors import Refused
from node.encoding.address import Address
from node.encoding.amounts import UNITS_PER_NXT as NXT

ADA = bytes([0]) + bytes([0x11]) * 20
STRANGER = bytes([0]) + bytes([0x77]) * 20


async def fill(pilot: Any, to: str, amount: str, memo: str = "") -> None:
    from nexus_tui.widgets.fields import Field

    screen = pilot.app.screen
    screen.query_one("#to", Field).value = to
    screen.query_one("#amount", Field).value = amount
    screen.query_one("#memo", Field).value = memo
    await pilot.pause(0.05)


def shown(app: Any, selector: str) -> str:
    return str(app.screen.query_one(selector).shown)


@pytest.fixture
async def sending(world: Any, until: Any) -> Any:
    app = world.app()
    async with app.run_test(size=(80, 30), notifications=True) as pilot:
        await until(pilot, lambda: app.view.read)
        await pilot.press("s")
        await until(pilot, lambda: app.screen.query("#to"))
        yield app, pilot


async def test_whole_payment(world: Any, sending: Any, until: Any) -> None:
    app, pilot = sending
    await pilot.press(*"ada", "tab")
    await pilot.press(*"12", "full_stop", "5")
    await until(pilot, lambda: "12.50001 NXT" in shown(app, "#summary"))
    assert "Ada: tnxt 1qqg" in shown(app, "#to-note")
    assert "Remains     1237.99999 NXT" in shown(app, "#summary")
    await pilot.press("enter")
    await until(pilot, lambda: type(app.screen).__name__ == "ConfirmPayment")
    assert app.focused.id == "cancel"
    said = "\n".join(line.shown for line in app.screen.query("Line").results() if hasattr(line, "shown"))
    assert "12.5 NXT" in said
    assert "tnxt 1qqg 3zyg" in said
    assert "0.00001 NXT" in said
    await pilot.press("tab", "enter")
    await until(pilot, lambda: app.screen.query("#passphrase"))
    assert not world.node.submitted
    await pilot.press(*"wrong", "enter")
    await until(pilot, lambda: "does not open" in shown(app, "#answer"))
    await pilot.press(*"correct", "space", *"horse", "enter")
    await until(pilot, lambda: world.node.submitted)
    (signed,) = world.node.submitted
    assert signed.body.payload == (ADA, 12 * NXT + 50_000_000, "")
    await until(pilot, lambda: app.view.history[0].txid == signed.txid or app.view.history[0].status == "pending")
    assert any("Accepted: 12.5 NXT to Ada" in str(toast.message) for toast in app._notifications)


async def test_second_payment_needs_no_passphrase(world: Any, sending: Any, until: Any) -> None:
    app, pilot = sending
    app.live.wallet.unlock(world.secret.of("correct horse"))
    await fill(pilot, "Ada", "1")
    await until(pilot, lambda: not app.screen.query_one("#review").disabled)
    await pilot.click("#review")
    await until(pilot, lambda: app.screen.query("#yes"))
    await pilot.click("#yes")
    await until(pilot, lambda: world.node.submitted)


async def test_enter_in_the_confirmation_cancels_and_keeps_what_was_typed(sending: Any, world: Any, until: Any) -> None:
    app, pilot = sending
    await fill(pilot, "Ada", "3", "for you")
    await until(pilot, lambda: not app.screen.query_one("#review").disabled)
    await pilot.click("#review")
    await until(pilot, lambda: app.screen.query("#yes"))
    await pilot.press("enter")
    await until(pilot, lambda: app.screen.query("#to"))
    assert [app.screen.query_one(f"#{name}").value for name in ("to", "amount", "memo")] == ["Ada", "3", "for you"]
    await pilot.press("escape")
    await pilot.pause()
    assert type(app.screen).__name__ == "HomeScreen"
    assert not world.node.submitted


async def test_a_refusal_brings_the_form_back(sending: Any, world: Any, until: Any) -> None:
    app, pilot = sending
    app.live.wallet.unlock(world.secret.of("correct horse"))
    world.node.refusal = Refused(
        "mempool_full", "The node holds too many payments. Nothing was sent.", "Wait a little."
    )
    await fill(pilot, "Ada", "3")
    await until(pilot, lambda: not app.screen.query_one("#review").disabled)
    await pilot.click("#review")
    await until(pilot, lambda: app.screen.query("#yes"))
    await pilot.click("#yes")
    await until(pilot, lambda: app.screen.query("#to"))
    assert app.screen.query_one("#amount").value == "3"
    assert any("too many payments" in str(toast.message) for toast in app._notifications)


async def test_everything_leaves_nothing(sending: Any, until: Any) -> None:
    app, pilot = sending
    await fill(pilot, "Ada", "")
    await pilot.click("#max")
    await until(pilot, lambda: "Remains     0 NXT" in shown(app, "#summary"))
    assert "1250.5 NXT" in shown(app, "#summary")


async def test_a_new_account_costs_its_record(sending: Any, until: Any) -> None:
    app, pilot = sending
    await fill(pilot, Address.from_raw(STRANGER).text("tnxt"), "1")
    await until(pilot, lambda: "0.00051 NXT with the new account" in shown(app, "#summary"))


async def test_a_request_fills_in_amount_and_memo(sending: Any, until: Any) -> None:
    app, pilot = sending
    uri = f"nexus:{Address.from_raw(ADA).text('tnxt')}?amount=7.25&label=Shop&memo=Order%207"
    await fill(pilot, uri, "")
    await until(pilot, lambda: app.screen.query_one("#amount").value == "7.25")
    assert app.screen.query_one("#memo").value == "Order 7"


async def test_bad_recipients_are_told_while_typing(sending: Any, until: Any) -> None:
    app, pilot = sending
    for to, note in (
        ("tnxt1", "not complete yet"),
        ("Bob", "no contact of that name"),
        ("nxt1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq", "not an address"),
        (Address.from_raw(ADA).text("nxt"), "main network"),
        (Address.from_raw(ADA).text("tnxt")[:-1] + "q", "not an address"),
    ):
        await fill(pilot, to, "1")
        await until(pilot, lambda note=note: note in shown(app, "#to-note"))
        assert app.screen.query_one("#review").disabled


async def test_bad_amounts_are_told_while_typing(sending: Any, until: Any) -> None:
    app, pilot = sending
    for amount, note in (
        ("-5", "negative"),
        ("1e3", "not an amount"),
        ("0.123456789", "eight"),
        ("0", "more than nothing"),
        ("99999999", "all NXT"),
        ("5000", "can spend 1250.5 NXT"),
    ):
        await fill(pilot, "Ada", amount)
        await until(pilot, lambda note=note: note in shown(app, "#amount-note"))
        assert app.screen.query_one("#review").disabled


async def test_contacts_are_suggested(sending: Any, until: Any) -> None:
    app, pilot = sending
    await pilot.press(*"caf")
    await until(pilot, lambda: not app.screen.query_one("#contacts").has_class("hidden"))
    assert app.screen.query_one("#contacts").get_option_at_index(0).id == "Café Noir"


async def test_the_wallet_locks_itself(world: Any, sending: Any, until: Any) -> None:
    app, pilot = sending
    await pilot.press("escape")
    app.live.wallet.unlock(world.secret.of("correct horse"))
    assert app.live.unlocked
    world.clock.gone += 301
    assert not app.live.unlocked


async def test_a_watched_account_does_not_send(world: Any, until: Any) -> None:
    app = world.app()
    async with app.run_test(size=(80, 30)) as pilot:
        await until(pilot, lambda: app.view.read)
        watched = next(line.account for line in app.view.lines if not line.account.can_sign)
        app.chosen = watched.address
        await pilot.press("s")
        await until(pilot, lambda: app.screen.query("#to"))
        assert "From  Main" in str(app.screen.query_one("#from").label)


async def test_amounts_on_screen_are_exact_in_the_confirmation(world: Any, until: Any) -> None:
    """One unit must not disappear in a rounded figure."""
    main = world.store.open().accounts[0].address
    world.node.accounts[main] = replace(world.node.accounts[main], spendable=10 * NXT + 1, balance=10 * NXT + 1)
    app = world.app()
    async with app.run_test(size=(80, 30)) as pilot:
        await until(pilot, lambda: app.view.read)
        await pilot.press("s")
        await until(pilot, lambda: app.screen.query("#to"))
        await fill(pilot, "Ada", "1.00000001")
        await until(pilot, lambda: "1.00001001 NXT" in shown(app, "#summary"))
