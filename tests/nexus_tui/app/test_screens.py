"""Home, Wallet, Settings, help: what they show, how they answer, and what they look like when something is missing."""

from __future__ import annotations

import asyncio
import stat
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from node.api.errors import Damaged, NoNode
from node.api.records import Alert, Event, SyncView
from node.encoding.amounts import UNITS_PER_NXT as NXT


def shown(app: Any, selector: str) -> str:
    return str(app.screen.query_one(selector).shown)


def prompts(app: Any, selector: str) -> list[str]:
    box = app.screen.query_one(selector)
    return [box.get_option_at_index(place).prompt.plain for place in range(box.option_count)]


@pytest.fixture
async def home(world: Any, until: Any) -> Any:
    app = world.app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until(pilot, lambda: app.view.read)
        await pilot.pause()
        yield app, pilot


async def test_home_counts_peers_where_there_can_be_any(world: Any, until: Any) -> None:
    for peers, said in ((None, ""), (0, "none yet"), (3, "3")):
        world.node.peers = peers
        app = world.app()
        async with app.run_test(size=(80, 40)) as pilot:
            await until(pilot, lambda app=app: app.view.read)
            await pilot.pause()
            lines = [line for line in shown(app, "#facts").splitlines() if "peers" in line]
            assert [line.split(maxsplit=1)[1] for line in lines] == ([said] if said else [])


async def test_home_tells_how_far_catching_up_has_come(world: Any, until: Any) -> None:
    sync = SyncView(1_240, 8_300, 20_000)
    for found, said in (
        (sync, "1,240 of 8,300, 20 s left"),
        (replace(sync, left_ms=None), "1,240 of 8,300"),
        (None, ""),
    ):
        world.node.sync = found
        app = world.app()
        async with app.run_test(size=(80, 40)) as pilot:
            await until(pilot, lambda app=app: app.view.read)
            await pilot.pause()
            lines = [line for line in shown(app, "#facts").splitlines() if "fetches" in line]
            assert [line.split(maxsplit=1)[1] for line in lines] == ([said] if said else [])


async def test_home_shows_money_and_health(home: Any) -> None:
    app, _ = home
    assert app.screen.query_one("#balance").value == "13,250.50"
    assert "2 accounts" in shown(app, "#balance-unit")
    assert "+2.0000 on the way" in shown(app, "#balance-note")
    assert "healthy" in shown(app, "#state")
    recent = prompts(app, "#recent")
    assert "Ada" in recent[1]
    assert "−12.5000" in recent[1]
    assert "lunch" in recent[1]
    assert "failed" in recent[5]


async def test_amounts_hide(home: Any) -> None:
    app, pilot = home
    await pilot.press("z")
    await pilot.pause()
    everything = "".join(prompts(app, "#recent")) + app.screen.query_one("#balance").value
    assert not any(digit in everything for digit in ("12.5", "13,250"))
    await pilot.press("z")
    await pilot.pause()
    assert app.screen.query_one("#balance").value == "13,250.50"


async def test_alerts_say_what_to_do(world: Any, home: Any, until: Any) -> None:
    app, pilot = home
    world.node.alerts = (Alert("clock", "warning", "The clock is off by 40 s.", "Set it.", 0),)
    world.node.tell(Event("alert", alert=world.node.alerts[0]))
    await until(pilot, lambda: "The clock is off" in shown(app, "#alerts"))
    assert "Set it." in shown(app, "#alerts")
    assert "attention" in shown(app, "#state")


async def test_a_burst_of_blocks_costs_two_updates_a_second(world: Any, home: Any, until: Any) -> None:
    app, pilot = home
    await asyncio.sleep(0.6)
    before = world.node.calls
    drawn = 0

    def count(view: Any) -> None:
        nonlocal drawn
        drawn += 1

    app.view_changed.subscribe(app.screen, count, immediate=True)
    begun = asyncio.get_running_loop().time()
    for _ in range(200):
        world.node.new_block()
        await asyncio.sleep(0.005)
    await until(pilot, lambda: "1,404" in shown(app, "#state"))
    allowed = 2 * (asyncio.get_running_loop().time() - begun) + 2
    assert world.node.calls - before <= allowed
    assert drawn <= allowed
    from nexus_tui.widgets.spectrum import SpectralLine

    assert app.screen.query_one(SpectralLine).lit == "Red"


async def test_wallet_search(home: Any, until: Any) -> None:
    app, pilot = home
    await pilot.press("3", "slash", *"lunch")
    await pilot.pause()
    assert len(prompts(app, "#history")) == 1
    await pilot.press("enter", "enter")
    await until(pilot, lambda: type(app.screen).__name__ == "PaymentDialog")
    assert "tnxt 1qqg 3zyg" in app.screen.query_one("Facts").shown
    await pilot.press("escape", "escape")
    await pilot.pause()
    assert len(prompts(app, "#history")) == 6
    await pilot.press("slash", *"zzz")
    await pilot.pause()
    assert "Nothing in the 6 payments" in shown(app, "#history-empty")


async def test_a_history_that_begins_at_a_checkpoint_says_so(home: Any, world: Any, until: Any) -> None:
    """What is older must not look as if it never was."""
    app, pilot = home
    await pilot.press("3")
    end = app.screen.query_one("#history-end")
    assert not end.display
    world.node.began_ms = 1_700_000_000_000
    world.node.new_block()
    await until(pilot, lambda: end.display)
    assert "are not kept here" in shown(app, "#history-end")


async def test_older_payments_are_read_when_asked(world: Any, until: Any) -> None:
    main = world.store.open().accounts[0].address
    for number in range(70):
        world.node.paid(bytes([0]) + bytes([0x33]) * 20, main, NXT, minutes=5000 + number)
    world.node.transactions = [
        replace(view, txid=number.to_bytes(32)) for number, view in enumerate(world.node.transactions)
    ]
    app = world.app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.view.read)
        await pilot.press("3", "h")
        await pilot.pause()
        assert app.screen.query_one("#history").option_count == 50
        await pilot.press("m")
        await until(pilot, lambda: app.screen.query_one("#history").option_count == 76)


async def test_panes_follow_keys_and_focus(home: Any) -> None:
    app, pilot = home
    await pilot.press("3")
    await pilot.pause()
    for key, pane in (("a", "accounts"), ("b", "contacts"), ("h", "history")):
        await pilot.press(key)
        await pilot.pause()
        assert app.screen.pane == pane
        assert app.focused.id == pane
    assert prompts(app, "#contacts")[0].startswith("Ada")


async def test_receive_makes_a_request(home: Any, until: Any) -> None:
    app, pilot = home
    await pilot.press("r")
    await until(pilot, lambda: app.screen.query("#qr"))
    first = app.screen.query_one("#qr").lines
    assert len(first) > 10
    assert shown(app, "#address").startswith("tnxt 1qq")
    app.screen.query_one("#amount").value = "1.5"
    await pilot.pause()
    assert app.screen.query_one("#qr").lines != first
    app.screen.query_one("#amount").value = "x"
    await pilot.pause()
    assert "not an amount" in shown(app, "#amount-note")
    await pilot.click("#next")
    assert shown(app, "#who") == "Savings"


async def test_accounts_are_named_and_added(world: Any, home: Any, until: Any) -> None:
    app, pilot = home
    await pilot.press("3", "a", "l")
    await until(pilot, lambda: app.screen.query("#label"))
    app.screen.query_one("#label").value = "Everyday"
    await pilot.press("enter")
    await until(pilot, lambda: app.view.lines[0].account.label == "Everyday")
    await pilot.press("n")
    await until(pilot, lambda: app.screen.query("#label"))
    await pilot.press("enter")
    await until(pilot, lambda: app.screen.query("#passphrase"))
    await pilot.press(*"correct", "space", *"horse", "enter")
    await until(pilot, lambda: len(app.view.lines) == 4)


async def test_contacts_warn_of_look_alikes(world: Any, home: Any, until: Any) -> None:
    app, pilot = home
    await pilot.press("3", "b", "c")
    await until(pilot, lambda: app.screen.query("#name"))
    app.screen.query_one("#name").value = "Adа"  # the last letter is Cyrillic
    app.screen.query_one("#address").value = world.contacts.address_text(world.contacts.find("Treasury"))[:-1] + "q"
    await pilot.pause()
    assert "not an address" in shown(app, "#address-note")
    await pilot.click("#yes")
    await until(pilot, lambda: app.focused is not None and app.focused.id == "address")
    assert app.screen.query_one("#name").value
    from node.encoding.address import Address

    app.screen.query_one("#address").value = Address.from_raw(bytes([0]) + bytes([0x99]) * 20).text("tnxt")
    await pilot.click("#yes")
    await until(pilot, lambda: type(app.screen).__name__ == "Question")
    await until(pilot, lambda: app.focused is not None and app.focused.id == "cancel")
    await pilot.click("#yes")
    await until(pilot, lambda: len(world.contacts.list()) == 4)


async def test_export_writes_once_and_privately(world: Any, home: Any, until: Any) -> None:
    app, pilot = home
    for attempt in range(2):
        await pilot.press("3", "e")
        await until(pilot, lambda: app.screen.query("#path"))
        await pilot.press("enter")
        await until(pilot, lambda attempt=attempt: len(app._notifications) > attempt)
    path = world.folder / "nexus-history.csv"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text().count("\n") == 7
    assert any("already a file" in str(toast.message) for toast in app._notifications)


async def test_settings_sections(home: Any) -> None:
    app, pilot = home
    await pilot.press("0")
    await pilot.pause()
    for said in ("solo-home", "Theme", "wallet_send", "process 4242", "No configuration file"):
        assert said in shown(app, "#facts"), said
        await pilot.press("down")
        await pilot.pause()


async def test_a_long_section_scrolls_by_keys(home: Any, until: Any) -> None:
    app, pilot = home
    await pilot.resize_terminal(80, 24)
    await pilot.press("0", "down", "down", "enter")
    pane = app.screen.query_one("#content-pane")
    await until(pilot, lambda: app.focused is pane and pane.max_scroll_y > 0)
    await pilot.press("end")
    await until(pilot, lambda: pane.scroll_y == pane.max_scroll_y)
    await pilot.press("escape")
    assert app.focused is app.screen.query_one("#sections")


async def test_the_mouse_is_switched_and_kept(world: Any, until: Any) -> None:
    app = world.app(shown=(("app.mouse", True, "default"),))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.press("0", "m")
        await pilot.pause()
        assert world.saved == [("app.mouse", "false")]
        assert not app.preferences.mouse
        assert app.preferences.shown == (("app.mouse", "false", "file"),)
        await pilot.press("down")
        await pilot.click("#mouse")
        await until(pilot, lambda: world.saved[1:] == [("app.mouse", "true")])


async def test_a_dialog_scrolls_by_keys(home: Any, until: Any) -> None:
    app, pilot = home
    await pilot.resize_terminal(44, 8)
    await pilot.press("s")
    await until(pilot, lambda: app.screen.query("#scroll"))
    scroll = app.screen.query_one("#scroll")
    await until(pilot, lambda: scroll.max_scroll_y > 0)
    await pilot.press("pagedown")
    await until(pilot, lambda: scroll.scroll_y > 0)
    await pilot.press("pageup")
    await until(pilot, lambda: scroll.scroll_y == 0)


async def test_help_is_for_the_screen(home: Any, until: Any) -> None:
    app, pilot = home
    for key, title in (("1", "Home"), ("3", "Wallet"), ("0", "Settings")):
        await pilot.press(key, "question_mark")
        await until(pilot, lambda: app.screen.query("Markdown"))
        assert app.screen.query_one("Markdown").source.startswith(f"# {title}")
        assert "**q** · Quit" in app.screen.query_one("Markdown").source
        await pilot.press("escape")


async def test_a_list_that_was_hidden_is_filled_when_the_terminal_grows(world: Any, until: Any) -> None:
    app = world.app()
    async with app.run_test(size=(45, 30)) as pilot:
        await until(pilot, lambda: app.view.read and prompts(app, "#recent"))
        assert not app.screen.query_one("#accounts").display or not prompts(app, "#accounts")
        await pilot.resize_terminal(140, 45)
        await until(pilot, lambda: len(prompts(app, "#accounts")) == 3)
        await until(pilot, lambda: app.screen.query_one("#accounts").size.height == 6)


async def test_the_protocol_can_be_read(home: Any, until: Any) -> None:
    app, pilot = home
    await pilot.press("p")
    await until(pilot, lambda: app.screen.query("Markdown"))
    assert app.screen.query_one("Markdown").source.startswith("# Protocol")
    await pilot.press("escape")


async def test_quitting_asks_when_the_node_is_inside(world: Any, home: Any, until: Any) -> None:
    import os

    app, pilot = home
    world.node.pid = os.getpid()
    world.node.new_block()
    await until(pilot, lambda: app.view.status.pid == os.getpid())
    await pilot.press("q")
    await until(pilot, lambda: type(app.screen).__name__ == "Question")
    await pilot.press("escape")
    await pilot.pause()
    assert app.return_code is None
    await pilot.press("q")
    await until(pilot, lambda: app.screen.query("#yes"))
    await pilot.press("enter")
    await pilot.pause()
    assert app.return_code == 0


async def test_an_empty_wallet_says_what_to_do(bare: Any, until: Any) -> None:
    bare.store.restore("main", bare.secret.of("p"), bare.secret.of("abandon " * 11 + "about")).lock()
    app = bare.app()
    async with app.run_test(size=(44, 28)) as pilot:
        await until(pilot, lambda: app.view.read)
        await pilot.pause()
        assert "Press r to show" in shown(app, "#nothing")


async def test_no_wallet_is_said_and_nothing_crashes(bare: Any, until: Any) -> None:
    app = bare.app()
    async with app.run_test(size=(44, 28)) as pilot:
        await until(pilot, lambda: app.view.wallet_fault is not None)
        await pilot.press("s", "r", "3", "0", "1")
        await pilot.pause()
        assert "no wallet" in shown(app, "#balance-note")


async def test_a_node_that_does_not_open_is_told(world: Any, until: Any) -> None:
    @asynccontextmanager
    async def broken() -> Any:
        raise Damaged("newer", "The database is of a newer version; it was left as it is.", "Update Nexus.")
        yield

    app = world.app()
    app.household = replace(app.household, open_node=broken)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.view.fault is not None)
        await pilot.pause()
        assert "newer version" in shown(app, "#facts")
        assert "no node" in shown(app, "#state")
        app.live.household = replace(app.household, open_node=world.node.opened)
        await pilot.press("x")
        await until(pilot, lambda: app.view.read)
        await pilot.pause()
        assert "healthy" in shown(app, "#state")


async def test_a_node_that_comes_late_is_found(world: Any, until: Any) -> None:
    tries = 0

    @asynccontextmanager
    async def late() -> Any:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise NoNode("no_node", "No node answers.", "Start one.")
        async with world.node.opened() as node:
            yield node

    app = world.app()
    app.household = replace(app.household, open_node=late)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.view.read)
        assert app.view.fault is None


async def test_a_node_that_begins_anew_says_how_far_it_is(
    world: Any, until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = asyncio.Event()
    there.set()

    @asynccontextmanager
    async def once_there() -> Any:
        await there.wait()
        async with world.node.opened() as node:
            yield node

    async def gone() -> None:
        raise NoNode("node_gone", "The node closed the connection.", "")

    app = world.app()
    words = "Fetching the network's state: 40 % of 0.1 MB from 1 peer."
    app.household = replace(app.household, open_node=once_there, opening=lambda: "" if there.is_set() else words)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.view.read)
        there.clear()
        with monkeypatch.context() as patched:
            patched.setattr(world.node, "status", gone)
            world.node.new_block()
            await until(pilot, lambda: words in shown(app, "#alerts"))
            assert "begins anew" in shown(app, "#alerts")
        there.set()
        await until(pilot, lambda: app.view.fault is None)
        await until(pilot, lambda: "begins anew" not in shown(app, "#alerts"))
        assert not app.view.opening


async def test_a_fault_in_a_job_is_told_and_logged_without_values(world: Any, home: Any, until: Any) -> None:
    app, pilot = home

    async def job() -> None:
        raise ValueError("legal winner thank year")

    app.start(job())
    await until(pilot, lambda: app._notifications)
    log = world.folder / "home" / "logs" / "app-faults.log"
    assert "builtins.ValueError" in log.read_text()
    assert "winner" not in log.read_text()
    assert app.return_code is None


async def test_turning_the_phone_changes_the_layout(home: Any) -> None:
    app, pilot = home
    for size, classes in (
        ((44, 28), {"-narrow", "-tall"}),
        ((44, 14), {"-narrow", "-short"}),
        ((120, 36), {"-wide", "-tall"}),
        ((20, 5), {"-narrow", "-short"}),
        ((80, 24), {"-medium", "-tall"}),
    ):
        await pilot.resize_terminal(*size)
        await pilot.pause(0.05)
        assert classes <= app.screen.classes
        for key in ("3", "0", "1"):
            await pilot.press(key)
    assert app.return_code is None


async def test_locking_is_offered_only_when_open(world: Any, home: Any) -> None:
    app, pilot = home
    assert app.check_action("command", ("wallet.lock",)) is False
    app.live.wallet.unlock(world.secret.of("correct horse"))
    await pilot.press("k")
    await pilot.pause()
    assert not app.live.unlocked


async def test_another_program_locks_an_open_wallet(world: Any, home: Any) -> None:
    app, _ = home
    app.live.wallet.unlock(world.secret.of("correct horse"))
    world.store.open().lock_everywhere()
    assert not app.live.unlocked


async def test_passwords_are_not_copied(home: Any, until: Any) -> None:
    app, pilot = home
    from nexus_tui.dialogs.unlock import UnlockDialog

    app.push_screen(UnlockDialog(app.live.wallet, "A test"))
    await until(pilot, lambda: app.screen.query("#passphrase"))
    await pilot.press(*"secret", "shift+home", "ctrl+c", "ctrl+x")
    assert app.clipboard == ""
    assert app.screen.query_one("#passphrase").value == "secret"
    app.hide_secrets()
    assert app.screen.query_one("#passphrase").value == ""
