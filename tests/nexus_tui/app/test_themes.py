"""Colours: built-in themes, a person's own, NO_COLOR, and choosing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nexus_tui.glyphs import ASCII, UNICODE, choose
from nexus_tui.terminal import Terminal, detect
from nexus_tui.themes import BUILT_IN, ThemeError, load_themes, parse_theme


def test_a_theme_of_ones_own() -> None:
    theme = parse_theme('name = "dusk"\nprimary = "#c0a0ff"\n[variables]\nspectrum-red = "#ff0044"\n')
    assert (theme.name, theme.primary, theme.dark) == ("dusk", "#c0a0ff", True)
    assert theme.variables["spectrum-red"] == "#ff0044"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "needs a name"),
        ('name = "dark"', "built-in"),
        ('name = "x"\nprimary = "bleu"', "no colour"),
        ('name = "x"\nprimry = "red"', "no colour 'primry'"),
        ('name = "x"\n[variables]\n"a b" = "red"', "cannot be set"),
        ("name = ", "not valid TOML"),
    ],
)
def test_bad_themes_say_what_is_wrong(content: str, reason: str) -> None:
    with pytest.raises(ThemeError, match=reason):
        parse_theme(content)


def test_bad_files_are_told_and_the_rest_is_used(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('name = "a"\n')
    (tmp_path / "b.toml").write_bytes(b"\xff")
    (tmp_path / "c.toml").write_text("x" * 70_000)
    themes, faults = load_themes(tmp_path)
    assert [theme.name for theme in themes] == ["a"]
    assert len(faults) == 2
    assert load_themes(tmp_path / "missing") == ([], [])


def test_what_the_environment_says() -> None:
    assert detect({"NO_COLOR": ""}, "utf-8").auto_theme == "ansi-dark"
    assert detect({"COLORFGBG": "0;15"}, "UTF-8").auto_theme == "light"
    assert detect({}, "ANSI_X3.4-1968").unicode is False
    assert detect({"TERMUX_VERSION": "0.118"}, "utf-8").termux
    for locale in ({"LC_ALL": "C", "LANG": "en_US.UTF-8"}, {"LANG": "POSIX"}, {"LC_CTYPE": "de_DE.ISO-8859-1@euro"}):
        assert detect(locale, "utf-8").unicode is False  # Python writes UTF-8 there all the same
    for locale in ({}, {"LANG": "C.utf8"}, {"LC_ALL": "", "LC_CTYPE": "UTF-8"}, {"LANG": "sr_RS.UTF-8@latin"}):
        assert detect(locale, "utf-8").unicode is True
    assert choose("auto", unicode=False) is ASCII
    assert choose("unicode", unicode=False) is UNICODE


async def test_choosing_shows_keeps_or_brings_back(world: Any, until: Any) -> None:
    app = world.app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.view.read)
        await pilot.press("t", "down")
        await pilot.pause()
        assert app.theme == "light"
        await pilot.press("escape")
        assert app.theme == "dark"
        assert world.saved == []
        await pilot.press("t", "down", "down", "enter")
        await pilot.pause()
        assert app.theme == "high-contrast"
        assert world.saved == [("app.theme", "high-contrast")]


async def test_every_theme_draws_every_screen(world: Any, until: Any) -> None:
    (world.folder / "home" / "themes").mkdir(parents=True)
    (world.folder / "home" / "themes" / "dusk.toml").write_text('name = "dusk"\ndark = false\n')
    app = world.app(theme="dusk")
    async with app.run_test(size=(44, 28)) as pilot:
        await until(pilot, lambda: app.view.read)
        assert app.theme == "dusk"
        for theme in BUILT_IN:
            app.theme = theme.name
            for key in ("3", "0", "1"):
                await pilot.press(key)
        assert app.return_code is None


async def test_termux_scrolls_a_row_a_swipe(world: Any) -> None:
    app = world.app(terminal=Terminal(termux=True))
    assert app.scroll_sensitivity_y == 1.0


async def test_an_unknown_theme_is_told(world: Any, until: Any) -> None:
    app = world.app(theme="nope")
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until(pilot, lambda: app._notifications)
        assert app.theme == "dark"
