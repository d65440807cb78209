"""The first minute by Pilot: four steps, words confirmed, nothing made before the end."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

from node.api.errors import Damaged

PASSPHRASE = "four words that fit"


class Maker:
    """An onboarding that makes the world's wallet and remembers what it was asked."""

    def __init__(self, world: Any) -> None:
        self.world = world
        self.made: list[tuple[Any, str]] = []
        self.fault: Exception | None = None

    def create(self, choice: Any, words: Any, passphrase: Any, report: Any) -> Any:
        report("Making the wallet")
        if self.fault is not None:
            fault, self.fault = self.fault, None
            raise fault
        wallet = self.world.store.restore("main", passphrase, words)
        wallet.lock()
        self.made.append((choice, words.text()))
        time.sleep(0.01)
        return self.world.household()


@pytest.fixture
async def wizard(bare: Any) -> Any:
    maker = Maker(bare)
    app = bare.app(empty=True, onboarding=maker)
    async with app.run_test(size=(44, 28), notifications=True) as pilot:
        await pilot.pause()
        yield app, pilot, maker


def said(app: Any) -> str:
    return str(app.screen.query_one("#said").shown)


def words_on_screen(app: Any) -> list[str]:
    grid = str(app.screen.query_one("#word-grid").visual)
    pairs = dict(re.findall(r"(\d+) ([a-z]+)", grid))
    return [pairs[str(place + 1)] for place in range(len(pairs))]


async def go_on(app: Any, pilot: Any) -> None:
    """Press Next, as soon as it takes presses again: a button ignores a second tap for a fifth of a second."""
    while app.screen.query_one("#next").has_class("-active"):
        await pilot.pause(0.02)
    await pilot.click("#next")
    await pilot.pause()


async def answer(app: Any, pilot: Any, words: list[str]) -> None:
    for place in range(3):
        number = int(str(app.screen.query_one(f"#asked-{place}").shown).split()[-1])
        app.screen.query_one(f"#answer-{place}").value = f" {words[number - 1].upper()} "
    await go_on(app, pilot)


async def give(app: Any, pilot: Any, first: str, again: str) -> None:
    app.screen.query_one("#passphrase").value = first
    app.screen.query_one("#again").value = again
    await go_on(app, pilot)


async def test_new_wallet_on_a_solo_network(wizard: Any, until: Any) -> None:
    app, pilot, maker = wizard
    assert "step 1 of 4" in app.screen.query_one("#step").shown
    await pilot.press("enter")
    assert "step 2 of 4" in app.screen.query_one("#step").shown
    await pilot.press("enter")
    await pilot.pause()
    words = words_on_screen(app)
    assert len(words) == 12
    await pilot.press("enter")
    await pilot.pause()
    await answer(app, pilot, ["wrong"] * 12)
    assert "is another one" in said(app)
    assert not maker.made
    await answer(app, pilot, words)
    assert "step 4 of 4" in app.screen.query_one("#step").shown
    await give(app, pilot, "one", "two")
    assert "differ" in said(app)
    await give(app, pilot, "", "")
    assert "empty" in said(app)
    await give(app, pilot, PASSPHRASE, PASSPHRASE)
    await until(pilot, lambda: app.current_mode == "home" and app.view.read)
    ((choice, used),) = maker.made
    assert choice.preset == "solo"
    assert used.split() == words
    assert app.view.lines[0].account.label == "Main"


async def test_twenty_four_words_going_back_shows_the_same(wizard: Any) -> None:
    app, pilot, _ = wizard
    await pilot.press("enter", "down", "enter")
    await pilot.pause()
    words = words_on_screen(app)
    assert len(words) == 24
    await pilot.click("#back")
    await pilot.press("enter")
    await pilot.pause()
    assert words_on_screen(app) == words


async def test_words_cannot_be_copied_and_leave_with_the_app(wizard: Any) -> None:
    app, pilot, _ = wizard
    await pilot.press("enter", "enter")
    await pilot.pause()
    words = words_on_screen(app)
    app.screen.text_select_all()
    copied = (app.screen.get_selected_text() or "").split()
    assert sum(word in copied for word in words) < 4, "some of 2,048 words may be in the text around them, not most"
    app.hide_secrets()
    await pilot.pause()
    assert "hidden" in str(app.screen.query_one("#word-grid").visual)
    await pilot.resize_terminal(80, 24)
    await pilot.pause(0.05)
    assert "hidden" in str(app.screen.query_one("#word-grid").visual)


async def test_restore_names_the_wrong_word(wizard: Any, until: Any) -> None:
    app, pilot, maker = wizard
    await pilot.press("enter", "down", "down", "enter")
    field = app.screen.query_one("#old-words")
    assert app.focused is field
    for typed, reason in (
        ("abandon " * 5, "5 words"),
        ("abandon " * 11 + "abuot", "Did you mean: about"),
        ("abandon " * 12, "do not fit"),
    ):
        field.value = typed.strip()
        await pilot.press("enter")
        assert reason in said(app)
    field.value = "abandon " * 11 + "about"
    await pilot.press("enter")
    assert field.value == ""
    await give(app, pilot, PASSPHRASE, PASSPHRASE)
    await until(pilot, lambda: app.current_mode == "home")
    assert maker.made[0][1].endswith("about")


async def test_create_gives_the_network_a_name(wizard: Any, until: Any) -> None:
    app, pilot, maker = wizard
    await pilot.press("down", "enter", *"Our", "enter")
    assert "a-z" in said(app)  # at once, not after words and passphrase
    await pilot.press(*["backspace"] * 3, *"family", "enter", "down", "down", "enter")
    app.screen.query_one("#old-words").value = "abandon " * 11 + "about"
    await pilot.press("enter")
    await give(app, pilot, PASSPHRASE, PASSPHRASE)
    await until(pilot, lambda: maker.made and app.current_mode == "home")
    assert (maker.made[0][0].preset, maker.made[0][0].name) == ("create", "family")
    await until(pilot, lambda: app.current_mode == "home")


async def test_an_invitation_is_read_before_anything_is_made(wizard: Any, until: Any) -> None:
    app, pilot, maker = wizard
    await pilot.press("down", "down", "enter")
    app.screen.query_one("#invitation").value = "https://example.org"
    await pilot.press("enter")
    await until(pilot, lambda: "no invitation" in said(app))
    uri = f"nexus://join?genesis={'ab' * 32}&node={'6e' * 32}@10.0.0.5:4242&name=home"
    app.screen.query_one("#invitation").value = uri
    await pilot.press("enter", "down", "down", "enter")
    await until(pilot, lambda: "step 2" in app.screen.query_one("#step").shown)
    app.screen.query_one("#old-words").value = "abandon " * 11 + "about"
    await pilot.press("enter")
    await give(app, pilot, PASSPHRASE, PASSPHRASE)
    await until(pilot, lambda: maker.made)
    choice = maker.made[0][0]
    assert (choice.preset, choice.invitation.name) == ("join", "home")
    await until(pilot, lambda: app.current_mode == "home")


async def test_a_full_disk_keeps_the_wizard_open(wizard: Any, until: Any) -> None:
    app, pilot, maker = wizard
    maker.fault = Damaged("disk_full", "The disk is full. Nothing was made.", "Free some space.")
    await pilot.press("enter", "down", "down", "enter")
    app.screen.query_one("#old-words").value = "abandon " * 11 + "about"
    await pilot.press("enter")
    await give(app, pilot, PASSPHRASE, PASSPHRASE)
    await until(pilot, lambda: "disk is full" in said(app))
    await give(app, pilot, PASSPHRASE, PASSPHRASE)
    await until(pilot, lambda: app.current_mode == "home")


async def test_money_commands_are_not_offered_before_there_is_money(wizard: Any) -> None:
    app, pilot, _ = wizard
    await pilot.press("tab", "tab", "1", "3", "0", "s")
    assert app.current_mode == "wizard"


async def test_what_is_wrong_is_in_sight_on_a_small_screen(wizard: Any, until: Any) -> None:
    app, pilot, _ = wizard
    await pilot.resize_terminal(80, 24)
    await pilot.press("enter", "down", "down", "enter")
    app.screen.query_one("#old-words").value = "abandon " * 12
    await pilot.press("enter")
    line = app.screen.query_one("#said")
    await until(pilot, lambda: line.region.height and app.screen.query_one("#body").region.contains_region(line.region))
    await pilot.press("x")
    await until(pilot, lambda: not said(app))


async def test_each_page_begins_at_its_top_and_enter_does_not_run_on(wizard: Any, until: Any) -> None:
    app, pilot, _ = wizard
    await pilot.resize_terminal(80, 24)
    await pilot.press("enter", "enter")
    await pilot.pause()
    words = words_on_screen(app)
    await pilot.press("enter")
    await pilot.pause()
    await pilot.press("x", "enter", "enter", "enter")
    await until(pilot, lambda: "another one" in said(app))
    await answer(app, pilot, words)
    body, question = app.screen.query_one("#body"), app.screen.query_one("#question")
    await until(pilot, lambda: body.region.contains_region(question.region))
