"""One class a command is the source of key, palette, help, footer and configuration."""

from __future__ import annotations

import string
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nexus_tui.bindings import keymap
from nexus_tui.commands import BY_ID, COMMANDS, commands_at
from nexus_tui.screens.help import PAGES, keys_page, page
from nexus_tui.settings import APP, KEYS, SECTIONS, read_preferences
from node.profile.config import load
from tests.nexus_tui.app.conftest import meshed, peer


def test_ids_are_stable_and_dotted() -> None:
    assert len(BY_ID) == len(COMMANDS)
    assert all(part.isidentifier() for command in COMMANDS for part in command.id.split("."))
    assert all(len(command.id.split(".")) == 2 for command in COMMANDS)


def test_every_command_has_a_plain_key_and_says_what_it_does() -> None:
    plain = set(string.ascii_lowercase + string.digits + "/?:")
    for command in COMMANDS:
        assert set(command.keys.split(",")) & plain, command.id
        assert command.help().endswith("."), command.id
        assert command.title


def test_no_two_commands_share_a_key_where_they_meet() -> None:
    assert keymap({command.id: command.keys for command in COMMANDS})[1] == []


def test_nothing_depends_on_keys_that_terminals_take() -> None:
    taken = {"ctrl+a", "ctrl+b", "ctrl+s", "ctrl+q", "ctrl+m", "ctrl+i", "ctrl+h", "ctrl+j"}
    assert not any(taken & set(command.keys.split(",")) for command in COMMANDS)


@pytest.mark.parametrize("place", PAGES)
def test_help_lists_every_key_of_the_screen(place: str) -> None:
    assert page(place).startswith("# ")
    listed = keys_page(place, {})
    assert all(command.title in listed for command in commands_at(place))


def test_a_clash_is_told_and_the_default_stays() -> None:
    used, clashes = keymap({"wallet.send": "u,f2", "wallet.receive": "q", "go.home": "g"})
    assert used == {"wallet.send": "u,f2", "go.home": "g"}
    assert len(clashes) == 1
    assert "Receive NXT" in clashes[0]
    assert "Quit" in clashes[0]


def test_keys_come_from_the_configuration(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('[app]\ntheme = "light"\nmouse = false\n[keys]\nwallet_send = "u"\n')
    preferences = read_preferences(load(path, SECTIONS, environment={}))
    assert preferences.keymap == {"wallet.send": "u"}
    assert (preferences.theme, preferences.mouse, preferences.glyphs) == ("light", False, "auto")
    assert len(KEYS.settings) == len(COMMANDS)
    assert {setting.key for setting in APP.settings} == {"theme", "mouse", "glyphs", "hide_amounts"}


def test_settings_and_commands_load_no_textual() -> None:
    code = "import sys, nexus_tui.settings, nexus_tui.factory, nexus_tui.household; print('textual' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


async def test_palette_lists_every_command_that_is_possible(world: Any, until: Any) -> None:
    app = world.app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.view.read)
        await pilot.press("3")
        for opener in ("colon", "ctrl+p"):
            await pilot.press(opener)
            await until(
                pilot, lambda: app.screen.query("CommandList") and app.screen.query_one("CommandList").option_count
            )
            options = app.screen.query_one("CommandList")
            listed = "\n".join(str(options.get_option_at_index(n).prompt) for n in range(options.option_count))
            for command in COMMANDS:
                expected = command.available(app) or command.id == "history.more"
                if command.id not in ("app.palette", "account.label", "contact.remove", "history.more"):
                    assert (command.title in listed) == expected, command.id
            assert "creenshot" not in listed
            await pilot.press("escape")
            await pilot.pause()


@pytest.mark.parametrize(("place", "titles"), [("8", ("Invite somebody", "Ban the peer")), ("6", ("Find a block",))])
async def test_palette_offers_what_the_screen_below_it_can_do(
    world: Any, until: Any, place: str, titles: tuple[str, ...]
) -> None:
    world.node.link(meshed(peer(1)))
    app = world.app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.view.read)
        await pilot.press(place)
        await until(pilot, lambda: all(command.available(app) for command in COMMANDS if command.title in titles))
        for title in titles:
            await pilot.press("colon", *title.split()[0].lower())
            await until(pilot, lambda title=title: first_of_palette(app).startswith(title))
            await pilot.press("escape")
            await until(pilot, lambda: not app.screen.query("CommandList"))


def first_of_palette(app: Any) -> str:
    found = app.screen.query("CommandList")
    return str(found.first().get_option_at_index(0).prompt) if found and found.first().option_count else ""


async def test_palette_runs_a_command(world: Any, until: Any) -> None:
    app = world.app()
    async with app.run_test(size=(44, 28)) as pilot:
        await until(pilot, lambda: app.view.read)
        await pilot.press("colon", *"receive")
        await until(pilot, lambda: app.screen.query_one("CommandList").option_count == 1)
        await pilot.press("enter")
        await until(pilot, lambda: app.screen.query("#qr"))


async def test_footer_is_made_of_commands_and_can_be_tapped(world: Any, until: Any) -> None:
    from nexus_tui.widgets.rows import KeyBar, NavBar

    app = world.app()
    async with app.run_test(size=(44, 28)) as pilot:
        await until(pilot, lambda: app.view.read)
        await pilot.pause(0.1)
        bar = app.screen.query_one(KeyBar)
        assert [item.command for item, _, _ in bar.placed()] == [
            "wallet.send",
            "wallet.receive",
            "app.hide_amounts",
            "app.help",
            "app.palette",
        ]
        assert all(width >= 3 for _, _, width in bar.placed())
        nav = app.screen.query_one("NavBar.bottom", NavBar)
        assert nav.size.height == 3
        item, column, _ = nav.placed()[1]
        assert item.command == "go.wallet"
        await pilot.click(nav, offset=(column + 1, 2))
        await pilot.pause()
        assert app.current_mode == "wallet"
        await pilot.pause(0.1)
        assert "account.add" in [item.command for item, _, _ in app.screen.query_one(KeyBar).placed()]
        await pilot.click(app.screen.query_one(KeyBar), offset=(1, 0))
        await until(pilot, lambda: app.screen.query("#to"))


async def test_a_rebound_key_works_and_is_shown(world: Any, until: Any) -> None:
    from nexus_tui.widgets.rows import KeyBar

    app = world.app(keymap={"wallet.receive": "u"})
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.view.read)
        await pilot.pause(0.1)
        assert "u" in [item.key for item in app.screen.query_one(KeyBar).items]
        await pilot.press("r")
        await pilot.pause()
        assert not app.screen.query("#qr")
        await pilot.press("u")
        await until(pilot, lambda: app.screen.query("#qr"))
