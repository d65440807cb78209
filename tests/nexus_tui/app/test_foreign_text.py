"""Foreign text through every widget to a fake terminal: only Textual's own sequences may arrive there."""

from __future__ import annotations

import asyncio
import re
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from textual.drivers.headless_driver import HeadlessDriver
from textual.screen import Screen
from textual.widgets import (
    Button,
    DataTable,
    Input,
    Label,
    Log,
    Markdown,
    OptionList,
    RichLog,
    Static,
    TextArea,
    Tree,
)

from nexus_tui.sanitize import text
from node.api.records import Alert

# Select Graphic Rendition, cursor position, modes, synchronized update and the shape of
# the pointer: what Textual's own renderer sends.
_OWN = re.compile(r"\x1b\[[0-9;]*[mH]|\x1b\[\?(?:2026|25|1004|7)[hl]|\r?\n|\x1b\]22;[a-z-]*\x07")
ATTACKS = (
    "\x1b]52;c;QVRUQUNLRVI=\x1b\\",
    "\x1b[2J\x1b[H",
    "\x9d52;c;QQ\x9c",
    "\x07\x08\x0b\x0c\x0e\x7f",
    "\u202egnp.exe\u202c",
    "[@click=app.exit]press[/]",
    "unbalanced [/b] and [red",
    "\x1bP1$r\x1b\\",
)
HOSTILE = st.one_of(
    st.sampled_from(ATTACKS),
    st.text(st.one_of(st.characters(max_codepoint=0x9F), st.characters(codec="utf-8")), min_size=1, max_size=40),
)


class FakeTerminal(HeadlessDriver):
    """Keeps what would have gone to the terminal."""

    written: list[str] = []  # noqa: RUF012

    @property
    def is_headless(self) -> bool:
        return False

    def write(self, data: str) -> None:
        self.written.append(data)


def assert_clean(written: list[str]) -> None:
    sent = "".join(written)
    assert len(sent) > 1000, "nothing was drawn"
    rest = _OWN.sub("", sent)
    found = {character for character in rest if ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0}
    assert not found, f"reached the terminal: {found}"
    assert not set(rest) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")


class EveryWidget(Screen[None]):
    """Textual's widgets, fed as a careless screen would feed them (but for markup, which `text` keeps away)."""

    def __init__(self, hostile: list[str]) -> None:
        super().__init__()
        self.hostile = hostile

    def compose(self) -> Any:
        together = "\n".join(self.hostile)
        yield Static(together, markup=False)
        yield Label(text(together))
        yield Input("".join(self.hostile))
        yield TextArea(together)
        yield Button(text(together))
        yield OptionList(*self.hostile, markup=False)
        yield DataTable()
        yield Tree("root")
        yield Log()
        yield RichLog()
        yield Markdown("\n\n".join(self.hostile))

    def on_mount(self) -> None:
        from rich.text import Text

        table = self.query_one(DataTable)
        table.add_column("c")
        for item in self.hostile:
            table.add_row(Text(item))
            self.query_one(Tree).root.add_leaf(Text(item))
            self.query_one(Log).write_line(item)
            self.query_one(RichLog).write(item)
            self.app.notify(item, markup=False)


async def show_everywhere(world: Any, hostile: list[str]) -> list[str]:
    node = world.node
    node.info = replace(node.info, name=hostile[0], preset=hostile[-1])
    node.alerts = tuple(Alert("x", "warning", item, item, 0) for item in hostile)
    node.transactions = [
        replace(view, memo=hostile[place % len(hostile)], reason=hostile[0])
        for place, view in enumerate(node.transactions)
    ]
    app = world.app()
    app.driver_class = FakeTerminal
    FakeTerminal.written = []
    async with app.run_test(headless=False, size=(100, 40), notifications=True) as pilot:
        while not app.view.read:
            await pilot.pause(0.01)
        for key in ("3", "h", "enter", "escape", "0", "down", "down", "down", "1"):
            await pilot.press(key)
        app.say(hostile[0], "error")
        await app.push_screen(EveryWidget(hostile))
        await pilot.pause(0.05)
        for widget in app.screen.query(
            "Static, Input, TextArea, Button, OptionList, DataTable, Tree, Log, RichLog, Markdown"
        ):
            widget.scroll_visible(animate=False)
            await asyncio.sleep(0)
        await pilot.pause()
        assert app.return_code is None
    return FakeTerminal.written


async def test_known_attacks_reach_no_terminal(world: Any) -> None:
    assert_clean(await show_everywhere(world, list(ATTACKS)))


@settings(max_examples=2, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(HOSTILE, min_size=6, max_size=12))
def test_foreign_text_reaches_no_terminal(make_world: Any, hostile: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        assert_clean(asyncio.run(show_everywhere(make_world(Path(folder)).furnish(), hostile)))


@pytest.mark.slow
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(HOSTILE, min_size=6, max_size=12))
def test_much_foreign_text_reaches_no_terminal(make_world: Any, hostile: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        assert_clean(asyncio.run(show_everywhere(make_world(Path(folder)).furnish(), hostile)))


async def test_markup_in_foreign_text_runs_nothing(world: Any, until: Any) -> None:
    """Textual runs `[@click=…]` out of plain strings; every text of others is content here."""
    world.node.transactions = [replace(view, memo="[@click=app.exit]press[/]") for view in world.node.transactions]
    app = world.app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.view.read)
        for y in range(4, 12):
            await pilot.click(offset=(50, y))
        await pilot.pause()
        assert app.return_code is None
