"""The DAG screen: what it draws, how one moves in it, how it follows, finds and looks into blocks."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from dag_blocks import FIRST_HEIGHT, Dag  # type: ignore[import-not-found]
from rich.segment import Segment
from rich.style import Style

from nexus_tui.widgets.dag_rows import add
from node.api.errors import NoNode
from node.api.records import Event

SIZES = [(44, 28), (80, 24), (120, 36)]
EVIL = "\x1b]52;c;aGk=\x07\u202e[@click=app.exit]x[/]"


def canvas(app: Any) -> Any:
    return app.screen.query_one("#drawing")


def drawn(app: Any) -> str:
    """What the drawing shows now."""
    widget = canvas(app)
    return "\n".join(widget.render_line(y).text for y in range(widget.size.height))


def facts(app: Any) -> str:
    return str(app.screen.query_one("#dag-facts").shown)


async def opened(pilot: Any, until: Any) -> None:
    app = pilot.app
    await until(pilot, lambda: app.view.read)
    await pilot.press("6")
    await until(pilot, lambda: app.view.dag is not None and app.screen.place == "dag" and canvas(app).picture.places)


@pytest.fixture
def quick_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty views a second instead of two, where a test needs many."""
    monkeypatch.setattr("nexus_tui.live.UPDATE_SECONDS", 0.05)


async def pressed_until(pilot: Any, key: str, so: Any) -> None:
    """Press a key again and again until something is so, giving what is read meanwhile time to come."""
    loop = asyncio.get_running_loop()
    end = loop.time() + 120
    while not so():
        assert loop.time() < end, f"{key} did not bring it about"
        await pilot.press(key)
        await pilot.pause(0.02)
    await pilot.pause()


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_the_tip_is_in_sight_and_marked(world: Any, until: Any, size: tuple[int, int]) -> None:
    app = world.app()
    async with app.run_test(size=size) as pilot:
        await opened(pilot, until)
        tip = world.node.growing.tips[0]
        assert app.screen.chosen == tip
        shown = drawn(app)
        assert tip.hex()[:4] in shown
        assert "›" in shown if size[0] < 100 else "[" in shown
        assert "final 1," in shown
        assert "final 1,196, 8 behind" in facts(app)
        assert "following" in facts(app)
        assert canvas(app).picture.upright == (size[0] < 100)
        assert canvas(app).has_focus


async def test_without_utf8_everything_is_ascii(world: Any, until: Any) -> None:
    app = world.app(glyphs="ascii")
    for size in SIZES:
        async with app.run_test(size=size) as pilot:
            await opened(pilot, until)
            assert drawn(app).isascii()
            assert str(app.screen.query_one("#legend").shown).isascii()
        app = world.app(glyphs="ascii")


@pytest.mark.parametrize(
    ("size", "older", "newer"), [((44, 28), "down", "up"), ((140, 45), "left", "right")], ids=["phone", "wide"]
)
async def test_moving_stops_following_and_f_takes_it_up(
    world: Any, until: Any, size: tuple[int, int], older: str, newer: str
) -> None:
    app = world.app()
    async with app.run_test(size=size) as pilot:
        await opened(pilot, until)
        tip = world.node.growing.tips[0]
        await pilot.press(older, older, older)
        await pilot.pause()
        chosen = app.screen.chosen
        assert chosen != tip
        assert ("stopped (f follows)" if size[0] > 60 else "stopped") in facts(app)
        assert chosen.hex()[:4] in drawn(app)
        world.node.grow()
        await until(pilot, lambda: app.view.dag.tip == world.node.growing.tips[0])
        assert app.screen.chosen == chosen, "the cursor stays while blocks arrive"
        await pilot.press("f")
        await until(pilot, lambda: app.screen.chosen == world.node.growing.tips[0])
        assert "following" in facts(app)
        await pilot.press(older, newer, newer)
        await pilot.pause()
        assert app.screen.following, "moving beyond the newest follows it"


async def test_the_cursor_stays_on_its_row_while_blocks_arrive(world: Any, until: Any) -> None:
    app = world.app()
    async with app.run_test(size=(44, 28)) as pilot:
        await opened(pilot, until)
        await pilot.press(*["down"] * 9)
        await pilot.pause()
        row = next(y for y, line in enumerate(drawn(app).splitlines()) if "›" in line)
        for _ in range(3):
            before = len(app.view.dag.blocks)
            world.node.grow()
            await until(pilot, lambda before=before: len(app.view.dag.blocks) > before)
            await pilot.pause()
        assert "›" in drawn(app).splitlines()[row]


async def test_following_goes_with_the_tip(world: Any, until: Any) -> None:
    app = world.app()
    async with app.run_test(size=(44, 28)) as pilot:
        await opened(pilot, until)
        for _ in range(3):
            world.node.grow()
            tip = world.node.growing.tips[0]
            await until(pilot, lambda tip=tip: app.screen.chosen == tip)
            await pilot.pause()
            assert tip.hex()[:4] in drawn(app).splitlines()[0] + drawn(app).splitlines()[1]


@pytest.mark.usefixtures("quick_reads")
@pytest.mark.parametrize("size", [(44, 28), (140, 45)], ids=["phone", "wide"])
async def test_walking_back_reads_older_blocks_to_the_very_first(world: Any, until: Any, size: tuple[int, int]) -> None:
    world.node.growing = Dag(200)
    app = world.app()
    async with app.run_test(size=size) as pilot:
        await opened(pilot, until)
        first = world.node.growing.blocks()[0]
        assert first.id not in {block.id for block in app.view.dag.blocks}
        oldest = "G" if size[0] < 60 else "g"  # the end of the screen where the oldest is
        await pressed_until(pilot, oldest, lambda: app.screen.chosen == first.id)
        await until(pilot, lambda: first.id in {block.id for block in app.view.dag.blocks})
        assert app.live.dag_window.before_slot is not None
        newer = "pageup" if size[0] < 60 else "pagedown"
        await pressed_until(pilot, newer, lambda: app.screen.following)
        await until(pilot, lambda: app.screen.chosen == world.node.growing.tips[0])


@pytest.mark.usefixtures("quick_reads")
async def test_newer_blocks_are_found_behind_a_long_silence(world: Any, until: Any) -> None:
    dag = world.node.growing = Dag(150)
    old = dag.chain[20]  # far enough from the newest before the silence that nothing newer is read on its account
    late = [replace(block, slot=block.slot + 10**6) for block in dag._made[100:]]
    dag._made[100:] = late
    app = world.app()
    async with app.run_test(size=(44, 28)) as pilot:
        await opened(pilot, until)
        await app.screen._go_to(old)
        await until(pilot, lambda: app.view.dag.blocks[-1].slot < 10**6)
        await pressed_until(pilot, "pageup", lambda: app.screen.following)
        await until(pilot, lambda: app.screen.chosen == dag.tips[0])


@pytest.mark.parametrize("size", [(44, 28), (140, 45)], ids=["phone", "wide"])
async def test_no_key_of_a_quick_hand_is_lost(world: Any, until: Any, size: tuple[int, int]) -> None:
    app = world.app()
    older = (0, 1) if size[0] < 60 else (-1, 0)
    async with app.run_test(size=size) as pilot:
        await opened(pilot, until)
        widget, wanted = canvas(app), app.screen.chosen
        for _ in range(5):
            wanted = widget.picture.neighbour(wanted, *older)
            widget.action_move(*older)  # nothing else runs in between
        assert (app.screen.chosen, widget.chosen) == (wanted, wanted)


def test_blanks_take_the_style_before_them_where_that_does_not_show() -> None:
    base, bold = Style(color="white", bgcolor="black"), Style(color="red", bgcolor="black", bold=True)
    marked, struck = Style(color="red", bgcolor="blue"), Style(color="red", bgcolor="black", strike=True)
    segments: list[Segment] = []
    for words, style in (("a", bold), ("  ", base), ("b", base), (" ", base), ("c", struck), (" ", base), ("", marked)):
        add(segments, words, style)
    assert [(text, style) for text, style, _ in segments] == [
        ("a  ", bold), ("b ", base), ("c", struck), (" ", base), ("", marked),
    ]  # fmt: skip


async def test_a_cursor_that_moves_draws_only_what_changed(world: Any, until: Any) -> None:
    """On a slow line every row counts."""
    app = world.app()
    async with app.run_test(size=(44, 28)) as pilot:
        await opened(pilot, until)
        widget = canvas(app)
        await pilot.press("down")
        await pilot.pause(0.1)
        rows: list[int] = []
        draw = widget.render_line

        def count(y: int) -> Any:
            rows.append(y)
            return draw(y)

        widget.render_line = count
        at = widget.on_screen(app.screen.chosen)[1]
        await pilot.press("down")
        await pilot.pause(0.1)
        assert set(rows) == {at, at + 1}


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_a_finality_line_out_of_sight_is_named_at_the_edge(world: Any, until: Any, size: tuple[int, int]) -> None:
    dag = world.node.growing = Dag(60)
    height = FIRST_HEIGHT + 2
    dag.view = lambda before=None, limit=60, view=dag.view: replace(
        view(before, limit), final=dag.checkpoint(57, height, "final")
    )
    app = world.app()
    async with app.run_test(size=size) as pilot:
        await opened(pilot, until)
        wide = size[0] >= 100
        words = f"‹ final {height:,}" if wide else f"final {height:,} ↓"
        assert words in drawn(app)
        assert "┊" not in drawn(app)
        await pilot.press("g" if wide else "G")
        await pilot.pause()
        assert "↓" not in drawn(app)
        assert wide == ("┊" in drawn(app))
        assert f"final {height:,}" in drawn(app)


async def test_a_bare_chain_is_rows_at_any_width_until_a_block_stands_beside_it(world: Any, until: Any) -> None:
    dag, view = world.node.growing, world.node.growing.view

    def bare(before: int | None = None, limit: int = 60) -> Any:
        whole = view(before, limit)
        return replace(whole, blocks=tuple(block for block in whole.blocks if block.chain))

    dag.view = bare
    app = world.app()
    async with app.run_test(size=(140, 45)) as pilot:
        await opened(pilot, until)
        assert canvas(app).picture.upright
        assert dag.tips[0].hex()[:8] in drawn(app)
        dag.view = view
        world.node.tell(Event("dag"))
        await until(pilot, lambda: not canvas(app).picture.upright)
        dag.view = bare
        world.node.tell(Event("dag"))
        await until(pilot, lambda: all(block.chain for block in app.view.dag.blocks))
        await pilot.pause()
        assert not canvas(app).picture.upright, "it does not turn back and forth"


@pytest.mark.parametrize("width", [44, 60, 77, 78, 99, 113, 114, 140])
async def test_a_row_says_id_and_region_at_every_width(world: Any, until: Any, width: int) -> None:
    """The pane beside the drawing never takes the room that this needs, and nothing is cut to dots."""
    app = world.app()
    async with app.run_test(size=(width, 30)) as pilot:
        await opened(pilot, until)
        tip = world.node.growing.blocks()[-1] if width >= 114 else app.view.dag.blocks[-1]
        assert tip.id.hex()[:4] in drawn(app)
        if canvas(app).picture.upright:
            assert f"{tip.region} " in drawn(app)
            assert "…" not in drawn(app)
        assert canvas(app).picture.upright == (width < 114)
        assert app.screen.query_one("#inspector-pane").display == (width >= 78)


async def test_stopping_does_not_push_the_drawing_down(world: Any, until: Any) -> None:
    app = world.app()
    async with app.run_test(size=(44, 28)) as pilot:
        await opened(pilot, until)
        region = canvas(app).region
        await pilot.press("down")
        await pilot.pause()
        assert "stopped" in facts(app)
        assert canvas(app).region == region


@pytest.mark.parametrize("theme", ["dark", "light", "high-contrast", "ansi-dark", "ansi-light"])
async def test_the_row_under_the_cursor_is_readable_in_every_theme(world: Any, until: Any, theme: str) -> None:
    from textual.color import Color

    app = world.app(theme=theme)
    async with app.run_test(size=(44, 28)) as pilot:
        await opened(pilot, until)
        widget = canvas(app)
        strip = widget.render_line(widget.on_screen(app.screen.chosen)[1])
        for segment in strip:
            style = segment.style
            assert style.bgcolor is not None
            assert not style.reverse
            if segment.text.strip():
                assert style.color != style.bgcolor, segment
                if not theme.startswith("ansi"):
                    ink, paper = Color.from_rich_color(style.color), Color.from_rich_color(style.bgcolor)
                    assert abs(ink.brightness - paper.brightness) > 0.25, segment


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_a_tap_chooses_and_a_second_one_looks_inside(world: Any, until: Any, size: tuple[int, int]) -> None:
    app = world.app()
    async with app.run_test(size=size) as pilot:
        await opened(pilot, until)
        widget = canvas(app)
        wanted = world.node.growing.chain[-3]
        await pilot.click(widget, offset=widget.on_screen(wanted))
        await until(pilot, lambda: app.screen.chosen == wanted)
        await pilot.pause()
        await pilot.click(widget, offset=widget.on_screen(wanted))
        await until(pilot, lambda: type(app.screen).__name__ == "BlockDialog")
        said = app.screen.query_one("Facts").shown.replace("\n", "").replace(" ", "")
        assert wanted.hex() in said if size[0] >= 60 else f"{wanted.hex()[:12]}…" in said


async def test_on_a_phone_the_gist_of_a_block_comes_first_and_all_digits_by_a_tap(world: Any, until: Any) -> None:
    app = world.app()
    async with app.run_test(size=(44, 28)) as pilot:
        await opened(pilot, until)
        wanted = next(block for block in world.node.growing.blocks() if block.colour == "red" and block.votes)
        await app.screen._go_to(wanted.id)
        await pilot.press("i")
        await until(pilot, lambda: type(app.screen).__name__ == "BlockDialog")
        gist = app.screen.query_one("Facts")
        assert all(button.region.width >= 9 for button in app.screen.query("Button")), "four fit side by side"
        assert app.screen.query("Button").last().region.right <= 44
        assert len(gist.shown.splitlines()) <= 40
        for words in ("red, merged by", " nm,", "Votes" if wanted.votes > 1 else "Vote", "Signature"):
            assert words in gist.shown, words
        await pilot.click("#digits")
        await pilot.pause()
        assert wanted.id.hex() in gist.shown.replace("\n", "").replace(" ", "")
        await pilot.click("#digits")
        await pilot.pause()
        assert f"{wanted.id.hex()[:12]}…" in gist.shown


async def test_a_swipe_walks_through_time(world: Any, until: Any) -> None:
    from textual import events

    for size in ((44, 28), (140, 45)):
        app = world.app()
        async with app.run_test(size=size) as pilot:
            await opened(pilot, until)
            widget, tip = canvas(app), app.screen.chosen
            where = (widget, 5, 5, 0, 1, 0, False, False, False)
            widget.post_message(events.MouseScrollDown(*where))
            await until(pilot, lambda app=app, tip=tip: app.screen.chosen != tip)
            slots = {block.id: block.slot for block in app.view.dag.blocks}
            assert slots[app.screen.chosen] <= slots[tip]
            widget.post_message(events.MouseScrollUp(*where))
            await until(pilot, lambda app=app, tip=tip: app.screen.chosen == tip)


async def test_the_inspector_shows_header_wave_votes_and_what_became_of_it(world: Any, until: Any) -> None:
    app = world.app()
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, until)
        await until(pilot, lambda: app.screen.inspected is not None)
        red = next(block for block in world.node.growing.blocks() if block.colour == "red")
        await app.screen._go_to(red.id)
        await until(pilot, lambda: app.screen.inspected.summary == red)
        said = " ".join(app.screen.query_one("#inspector").shown.split())
        for words in ("red, merged by", "Wave", " nm,", "Phase", "Signature", "Reveal", "none (off the"):
            assert words in said, words
        await pilot.press("enter")
        await until(pilot, lambda: type(app.screen).__name__ == "BlockDialog")
        await pilot.click("#parent")
        await until(pilot, lambda: getattr(app.screen, "chosen", None) == red.parents[0])


async def test_the_inspector_reads_a_block_once(world: Any, until: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(what: str) -> list[Any]:
        return [call for call in world.node.growing.calls if call[0] == what]

    app = world.app()
    async with app.run_test(size=(120, 36)) as pilot:
        await opened(pilot, until)
        await until(pilot, lambda: app.screen.inspected is not None)
        before = asked("dag_block")
        monkeypatch.setattr("nexus_tui.screens.dag.INSPECT_SECONDS", 600)  # however slowly the keys come here
        await pilot.press(*["left"] * 12)
        assert asked("dag_block") == before, "a cursor that runs is not followed block by block"
        monkeypatch.setattr("nexus_tui.screens.dag.INSPECT_SECONDS", 0.15)
        await pilot.press("left")
        await until(pilot, lambda: app.screen.inspected.summary.id == app.screen.chosen)
        assert len(asked("dag_block")) == len(before) + 1
        reads = len(asked("dag"))
        world.node.tell(Event("dag"))
        await until(pilot, lambda: len(asked("dag")) > reads)
        await pilot.pause(0.3)
        assert len(asked("dag_block")) == len(before) + 1


async def test_search_by_the_first_digits(world: Any, until: Any) -> None:
    world.node.growing = Dag(200)
    app = world.app()
    async with app.run_test(size=(44, 28), notifications=True) as pilot:
        await opened(pilot, until)
        old = world.node.growing.blocks()[30]
        await pilot.press("slash")
        app.screen.query_one("#dag-search").value = old.id.hex()[:12].upper()
        await pilot.press("enter")
        await until(pilot, lambda: app.screen.chosen == old.id and old.id in {b.id for b in app.view.dag.blocks})
        await until(pilot, lambda: old.id.hex()[:4] in drawn(app))
        assert not app.screen.has_class("-searching")
        assert canvas(app).has_focus
        for wrong, words in (
            ("0" * 20, "keeps no block"),
            ("xyz", "hexadecimal"),
            (EVIL, "hexadecimal"),
            ("a", "digits"),
        ):
            before = len(app._notifications)
            await pilot.press("slash")
            app.screen.query_one("#dag-search").value = wrong
            await pilot.press("enter")
            await until(pilot, lambda before=before: len(app._notifications) > before)
            assert any(words in str(toast.message) for toast in app._notifications), words
            assert app.screen.chosen == old.id
        await pilot.press(*old.id.hex()[:12], "enter")  # over the last try, which failed
        await until(pilot, lambda: not app.screen.has_class("-searching"))
        await pilot.press("slash", "escape")
        await pilot.pause()
        assert not app.screen.has_class("-searching")


async def test_a_search_is_left_by_touch_and_without_escape(world: Any, until: Any) -> None:
    app = world.app()
    async with app.run_test(size=(44, 28)) as pilot:
        await opened(pilot, until)
        await pilot.press("slash", "enter")
        await pilot.pause()
        assert not app.screen.has_class("-searching")
        assert canvas(app).has_focus
        app.screen.open_search()
        await pilot.pause()
        assert app.screen.query_one("#dag-search").has_focus
        app.screen.open_search()
        await pilot.pause()
        assert not app.screen.has_class("-searching")
        assert canvas(app).has_focus


async def test_finality_names_checkpoints_regions_and_validators(world: Any, until: Any) -> None:
    app = world.app()
    async with app.run_test(size=(44, 28)) as pilot:
        await opened(pilot, until)
        await pilot.press("v")
        await until(pilot, lambda: type(app.screen).__name__ == "FinalityDialog")
        said = "\n".join(str(box.shown) for box in app.screen.query("Facts"))
        for words in ("checkpoint 57", "justified:", "Violet", "100 %", "30 %", "excluded for good", "1,000.00"):
            assert words in said, words


async def test_finality_names_the_later_checkpoint_and_who_does_not_count(world: Any, until: Any) -> None:
    finality = world.node.growing.finality()
    final = finality.checkpoints[-1]
    below = replace(final, number=final.number - 1, final_by=final.number, stake_voted=final.stake_total // 4)
    silent = replace(finality.validators[0], absent=True)
    shown = replace(finality, checkpoints=(final, below), validators=(silent, *finality.validators[1:]))
    world.node.growing.finality = lambda: shown
    app = world.app()
    async with app.run_test(size=(44, 28)) as pilot:
        await opened(pilot, until)
        await pilot.press("v")
        await until(pilot, lambda: type(app.screen).__name__ == "FinalityDialog")
        said = " ".join(word for box in app.screen.query("Facts") for word in str(box.shown).split())
        assert said.count(f"final, by checkpoint {final.number}:") == 1
        assert said.count("25 % of stake") == 1
        assert said.count("does not count") == 1


async def test_finality_by_stake_alone_says_why(world: Any, until: Any) -> None:
    finality = world.node.growing.finality()
    checkpoints = tuple(replace(each, rule="few_regions", absent=1) for each in finality.checkpoints)
    world.node.growing.finality = lambda: replace(finality, checkpoints=checkpoints)
    app = world.app()
    async with app.run_test(size=(44, 28)) as pilot:
        await opened(pilot, until)
        await pilot.press("v")
        await until(pilot, lambda: type(app.screen).__name__ == "FinalityDialog")
        said = " ".join(str(line.shown) for line in app.screen.query("Line"))
        for words in ("by stake alone", "four of them hold four validators", "1 validator does not count"):
            assert words in said, words


async def test_an_empty_dag_says_what_to_do(world: Any, until: Any) -> None:
    world.node.growing = None
    app = world.app()
    async with app.run_test(size=(44, 28)) as pilot:
        await until(pilot, lambda: app.view.read)
        await pilot.press("6")
        await until(pilot, lambda: app.view.dag is not None)
        await pilot.pause()
        said = " ".join(str(app.screen.query_one("#dag-empty").shown).split())
        assert "There is no block yet" in said
        assert "In the wallet (3), make a payment (s)" in said
        await pilot.press("down", "up", "g", "G", "enter", "f", "pagedown")
        await pilot.pause()
        world.node.growing = Dag(4)
        world.node.grow()
        await until(pilot, lambda: canvas(app).picture.places)
        assert app.return_code is None


async def test_turning_the_phone_turns_the_drawing(world: Any, until: Any) -> None:
    app = world.app()
    async with app.run_test(size=(44, 28)) as pilot:
        await opened(pilot, until)
        chosen = app.screen.chosen
        for size in ((140, 45), (80, 24), (44, 14), (20, 5), (120, 36), (44, 28)):
            await pilot.resize_terminal(*size)
            await pilot.pause(0.1)
            assert canvas(app).picture.upright == (size[0] < 100)
            assert app.screen.chosen == chosen
            if size[1] > 5:
                assert chosen.hex()[:4] in drawn(app)
            assert all(len(line) == canvas(app).size.width for line in drawn(app).splitlines())
        assert app.return_code is None


async def test_a_storm_of_blocks_costs_two_reads_a_second_and_silence_none(world: Any, until: Any) -> None:
    app = world.app()
    async with app.run_test(size=(44, 28)) as pilot:
        await opened(pilot, until)
        await asyncio.sleep(0.6)
        calls = world.node.growing.calls
        del calls[:]
        begun = asyncio.get_running_loop().time()
        for _ in range(60):
            world.node.grow()
            await asyncio.sleep(0.02)
        await until(pilot, lambda: app.view.dag.tip == world.node.growing.tips[0])
        assert 2 <= len(calls) <= 2 * (asyncio.get_running_loop().time() - begun) + 2
        await asyncio.sleep(0.6)
        await pilot.pause()
        del calls[:]
        redrawn = 0
        widget = canvas(app)
        before = widget.render_line

        def count(y: int) -> Any:
            nonlocal redrawn
            redrawn += 1
            return before(y)

        widget.render_line = count
        world.node.tell(Event("dag"))
        await until(pilot, lambda: calls)
        await pilot.pause(0.1)
        assert redrawn == 0, "the same DAG is not drawn again"


async def test_the_dag_is_read_only_while_it_is_looked_at(world: Any, until: Any) -> None:
    app = world.app()
    async with app.run_test(size=(44, 28)) as pilot:
        await until(pilot, lambda: app.view.read)
        world.node.grow()
        await asyncio.sleep(0.7)
        assert not world.node.growing.calls
        await opened(pilot, until)
        await pilot.press("1")
        await pilot.pause()
        await asyncio.sleep(0.6)
        del world.node.growing.calls[:]
        world.node.grow()
        await asyncio.sleep(0.7)
        assert not world.node.growing.calls
        await pilot.press("6")
        tip = world.node.growing.tips[0]
        await until(pilot, lambda: app.screen.chosen == tip)


async def test_a_fault_of_the_node_is_told_and_the_drawing_stays(world: Any, until: Any) -> None:
    app = world.app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await opened(pilot, until)
        before = drawn(app)

        async def gone(*_arguments: object) -> Any:
            raise NoNode("connection_lost", "The node has gone away.", "Start it.")

        world.node.dag = world.node.dag_block = gone
        world.node.grow()
        await until(pilot, lambda: app.view.fault is not None)
        await pilot.pause()
        assert drawn(app) == before
        await pilot.press("i")
        await until(pilot, lambda: app._notifications)
        assert app.return_code is None


async def test_what_others_wrote_is_shown_as_text(world: Any, until: Any) -> None:
    dag = world.node.growing
    blocks = tuple(replace(block, region=EVIL, colour=EVIL) for block in dag.blocks())
    dag.blocks = lambda: blocks
    for size in SIZES:
        app = world.app()
        async with app.run_test(size=size) as pilot:
            await opened(pilot, until)
            assert not any(character < " " for character in drawn(app).replace("\n", ""))
            assert "\u202e" not in drawn(app)
            await pilot.press("i")
            await until(pilot, lambda app=app: type(app.screen).__name__ == "BlockDialog")
            assert "\x1b" not in app.screen.query_one("Facts").shown
            assert app.return_code is None


async def test_home_and_payments_say_what_is_final(world: Any, until: Any) -> None:
    world.node.transactions = [
        replace(view, height=1_196 if place == 1 else 1_200 if place == 2 else view.height)
        for place, view in enumerate(world.node.transactions)
    ]
    app = world.app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.view.read)
        await pilot.pause()
        assert "1,196, 8 behind" in str(app.screen.query_one("#facts").shown)
        await pilot.press("3", "h", "down")
        for words in ("1,196, final", "1,200, not final yet"):
            await pilot.press("enter")
            await until(pilot, lambda: type(app.screen).__name__ == "PaymentDialog")
            assert words in app.screen.query_one("Facts").shown
            await pilot.press("escape", "down")
    assert FIRST_HEIGHT < 1_196
