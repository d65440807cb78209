"""The network's screen: what it shows, when it is read, and what can be done there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from textual.events import AppBlur, AppFocus

from nexus_tui.format import when
from node.api.errors import NoNode
from node.api.records import BanView, Event, KnownView, MeshView, SparingView
from node.encoding.node_id import node_text
from tests.nexus_tui.app.conftest import NOW_MS, meshed, peer

SIZES = [(44, 28), (80, 24), (120, 36)]
HOUR_MS = 3_600_000
EVIL = "\x1b]52;c;aGk=\x07\u202e[@click=app.exit]x[/]"


def shown(app: Any, selector: str) -> str:
    widget = app.screen.query_one(selector)
    return str(widget.shown) if widget.display else ""


def prompts(app: Any) -> list[str]:
    box = app.screen.query_one("#peers")
    return [box.get_option_at_index(place).prompt.plain for place in range(box.option_count)]


async def opened(pilot: Any, until: Any) -> None:
    await until(pilot, lambda: pilot.app.view.read)
    await pilot.press("8")
    await until(pilot, lambda: pilot.app.view.mesh or pilot.app.view.mesh_fault)


@pytest.fixture
def quick_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reads come soon after each other."""
    monkeypatch.setattr("nexus_tui.live.UPDATE_SECONDS", 0.02)
    monkeypatch.setattr("nexus_tui.live.MESH_SECONDS", 0.05)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_peers_are_cards_on_a_phone_and_a_table_elsewhere(world: Any, until: Any, size: tuple[int, int]) -> None:
    bans = (BanView(b"\x61" * 32, NOW_MS + 5 * HOUR_MS),)
    world.node.link(meshed(peer(1), peer(2, behind=True, faults=20), bans=bans, syncing=True))
    app = world.app()
    async with app.run_test(size=size) as pilot:
        await opened(pilot, until)
        facts = shown(app, "#mesh-facts")
        assert node_text(b"\x77" * 32)[:12] in facts
        assert "port 9735 at 192.168.1.20" in facts
        assert "14 addresses" in facts
        assert "fetches what it missed" in facts
        first, second, banned = prompts(app)
        phone = size[0] < 60
        assert [len(entry.splitlines()) for entry in (first, second, banned)] == ([2, 2, 1] if phone else [1, 1, 1])
        assert ("since" in shown(app, "#peers-head")) == (not phone)
        for part in ("nxn1", "192.168.1.1:9735", " in ", "12 ms", "1.2 MB", "08:56"):
            assert part in first
        assert "behind" not in first
        for part in ("192.168.1.2:9735", " out ", "24 ms", "behind", "20"):
            assert part in second
        assert "5 h left" in banned
        assert shown(app, "#peers-title") == "2 PEERS, 1 BANNED"
        assert shown(app, "#mesh-note") == ""


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_who_is_reached_through_a_relay_shows_it(world: Any, until: Any, size: tuple[int, int]) -> None:
    relay = b"\x63" * 32
    world.node.link(
        meshed(replace(peer(1), relay=relay), port=0, unreachable=True, relays=(relay,), circuits=3, relayed=1_200_000)
    )
    app = world.app()
    async with app.run_test(size=size) as pilot:
        await opened(pilot, until)
        assert f"via {node_text(relay)[:9]}" in prompts(app)[0]
        assert "192.168.1.1" not in prompts(app)[0]
        facts = shown(app, "#mesh-facts")
        assert f"through {node_text(relay)[:7]}" in facts
        assert "3 circuits for others, 1.2 MB" in facts


async def test_the_tab_is_there_where_there_can_be_links(world: Any, until: Any) -> None:
    from nexus_tui.widgets.rows import NavBar

    for peers, key in ((None, "1"), (2, "1"), (2, "8")):
        for size in SIZES:
            world.node.peers = peers
            app = world.app()
            async with app.run_test(size=size) as pilot:
                await until(pilot, lambda app=app: app.view.read)
                await pilot.press(key)
                bar = app.screen.query_one("NavBar.bottom" if size[0] < 60 else "NavBar.top", NavBar)
                tabs = [item.command for item, _, _ in bar.placed()]
                assert ("go.network" in tabs) == (peers is not None)
                assert tabs[-1] == "go.settings", "all of them have room"
                assert "healthy" in shown(app, "#state")


async def test_without_links_it_says_why(world: Any, until: Any) -> None:
    app = world.app()
    async with app.run_test(size=(44, 28)) as pilot:
        await opened(pilot, until)
        assert "no links to others" in shown(app, "#mesh-note")
        assert "that others can join" in shown(app, "#mesh-note")
        assert not app.screen.query_one("#peers").display
        assert app.view.fault is None, "all else is read all the same"
        await pilot.press("i", "c", "b", "u")
        assert len(app.screen_stack) == 1


async def test_files_without_a_node_have_no_links(world: Any, until: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refused() -> None:
        raise NoNode("no_node", "No node runs.", "Start one: nexus node start")

    monkeypatch.setattr(world.node, "mesh", refused)
    app = world.app()
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, until)
        assert "No node runs." in shown(app, "#mesh-note")
        assert app.view.fault is None


async def test_alone_it_says_what_to_do(world: Any, until: Any) -> None:
    world.node.link(meshed())
    app = world.app(keymap={"mesh.invite": "w"})
    async with app.run_test(size=(44, 28)) as pilot:
        await opened(pilot, until)
        assert "Invite somebody (w)" in shown(app, "#mesh-note")
        assert "(c)" in shown(app, "#mesh-note")


@pytest.mark.usefixtures("quick_reads")
async def test_it_is_read_only_while_it_is_looked_at(world: Any, until: Any) -> None:
    node = world.node
    node.link(meshed(peer(1)))
    app = world.app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.view.read)
        node.new_block()
        await until(pilot, lambda: app.view.status.height == node.height)
        assert node.mesh_reads == 0
        await pilot.press("8")
        await until(pilot, lambda: node.mesh_reads > 3)
        node.link(meshed(peer(1, delay_ms=77)))
        await until(pilot, lambda: "77 ms" in prompts(app)[0])
        await pilot.press("1")
        await pilot.pause(0.2)
        reads = node.mesh_reads
        node.tell(Event("dag"))
        node.new_block()
        await until(pilot, lambda: app.view.status.height == node.height)
        await pilot.pause(0.3)
        assert node.mesh_reads == reads
        await pilot.press("8")
        await until(pilot, lambda: node.mesh_reads > reads)


async def test_the_invitation_is_a_code_and_a_text_to_copy(world: Any, until: Any) -> None:
    world.node.link(meshed())
    for size, coded in (((44, 28), True), ((80, 24), True), ((40, 12), False)):
        app = world.app()
        async with app.run_test(size=size) as pilot:
            await opened(pilot, until)
            await pilot.press("i")
            await until(pilot, lambda app=app: app.screen.query("#qr"))
            code = app.screen.query_one("#qr")
            assert bool(code.lines) == coded
            if coded:
                assert code.region.height == len(code.lines)
                assert app.screen.region.contains_region(code.region)
                assert app.screen.query_one("#scroll").region.contains_region(code.region), "it can be scanned"
            else:
                assert "smaller" in shown(app, "#no-code")
            await pilot.press("tab", "enter")
            assert app.clipboard.startswith("nexus://join?")


async def test_connect_keeps_what_was_typed_until_it_will_do(world: Any, until: Any) -> None:
    world.node.link(meshed())
    app = world.app()
    async with app.run_test(size=(44, 28), notifications=True) as pilot:
        await opened(pilot, until)
        await pilot.press("c")
        await until(pilot, lambda: app.screen.query("#place"))
        await pilot.press(*"nxn1", "enter")
        await until(pilot, lambda: app.screen.query("#place") and app.screen.query_one("#place").value == "nxn1")
        long = "nxn1somebody@host:1" + "x" * 400
        app.screen.query_one("#place").value = long
        await pilot.press("enter")
        await until(pilot, lambda: world.node.introduced == [long])


@pytest.mark.usefixtures("quick_reads")
async def test_a_peer_is_banned_and_let_in_again_after_a_question(world: Any, until: Any) -> None:
    from nexus_tui.widgets.rows import KeyBar

    node = world.node
    node.link(meshed(peer(1), peer(2)))
    app = world.app()
    async with app.run_test(size=(44, 28)) as pilot:
        await opened(pilot, until)
        labels = {item.label for item in app.screen.query_one(KeyBar).items}
        assert "Ban" in labels
        assert "Unban" not in labels
        await pilot.press("down", "b")
        await until(pilot, lambda: app.screen.query("#yes"))
        await pilot.press("escape")
        await until(pilot, lambda: not app.screen.query("#yes"))
        assert node.banned == []
        await pilot.press("b")
        await until(pilot, lambda: app.screen.query("#yes"))
        await pilot.click("#yes")
        await until(pilot, lambda: app.view.mesh.bans)
        assert node.banned == [(peer(2).node, 86_400)]
        await until(pilot, lambda: len(prompts(app)) == 2 and "24 h left" in prompts(app)[1])
        await pilot.press("end", "u")
        await until(pilot, lambda: app.screen.query("#yes"))
        await pilot.click("#yes")
        await until(pilot, lambda: not app.view.mesh.bans)
        assert node.banned[-1] == (peer(2).node, 0)


async def test_what_a_peer_says_of_itself_is_foreign(world: Any, until: Any) -> None:
    world.node.link(meshed(peer(1, host=EVIL, agent=EVIL)))
    app = world.app()
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, until)
        listed = prompts(app)[0]
        await pilot.press("enter")
        await until(pilot, lambda: app.screen.query("Facts"))
        told = str(app.screen.query_one("Facts").shown)
        assert "Program" in told
        for text in (listed, told):
            assert not any(mark in text for mark in "\x1b\x07\u202e")
        assert app.return_code is None


async def test_a_node_that_goes_away_leaves_what_was_known(world: Any, until: Any) -> None:
    world.node.link(meshed(peer(1)))
    app = world.app()
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, until)
        gone = NoNode("no_node", "The node does not answer.", "Wait.")
        app.live._set(replace(app.view, fault=gone))
        await pilot.pause()
        assert "does not answer" in shown(app, "#mesh-note")
        assert "true until then" in shown(app, "#mesh-note")
        assert len(prompts(app)) == 1


def known(number: int, told_by: bytes, **changes: Any) -> KnownView:
    view = KnownView(bytes([0x90 + number]) * 32, f"93.184.2.{number}", 7400, "4:5db8", told_by, None, 0)
    return replace(view, **changes)


def with_map(*others: KnownView) -> MeshView:
    links = meshed(peer(1), peer(2))
    return replace(links, others=(*links.others, *others))


async def test_the_map_stands_beside_the_list_where_there_is_room(world: Any, until: Any) -> None:
    world.node.link(with_map())
    for size, beside in (((140, 45), True), ((120, 36), False), ((45, 30), False)):
        app = world.app()
        async with app.run_test(size=size) as pilot:
            await opened(pilot, until)
            await until(pilot, lambda app=app: app.screen.query_one("#peers").option_count)
            panes = [app.screen.query_one(pane).display for pane in ("#list-pane", "#map-pane")]
            assert panes == [True, beside]
            await pilot.press("m")
            panes = [app.screen.query_one(pane).display for pane in ("#list-pane", "#map-pane")]
            assert panes == ([True, False] if beside else [False, True])
            await pilot.press("m")
            assert app.screen.query_one("#list-pane").display


async def test_nodes_on_the_map_are_chosen_and_opened(world: Any, until: Any) -> None:
    teller = peer(1).node
    world.node.link(with_map(known(1, teller), known(2, b"", failures=2, reached_ms=NOW_MS)))
    app = world.app()
    async with app.run_test(size=(45, 30)) as pilot:
        await opened(pilot, until)
        await pilot.press("m")
        await until(pilot, lambda: app.screen.query_one("#map").has_focus and app.screen.query_one("#map").chosen)
        canvas = app.screen.query_one("#map")
        assert "this node" in shown(app, "#map-chosen")
        assert "who told of whom" in shown(app, "#map-legend")
        seen = set[str]()
        for key in ("right", "up", "left", "left", "down", "down", "right", "up"):
            await pilot.press(key)
            seen.add(shown(app, "#map-chosen"))
        assert len(seen) >= 3
        canvas.choose(known(1, b"").node)
        await pilot.pause()
        told = shown(app, "#map-chosen")
        for part in ("never reached from here", "93.184.2.1:7400, 93.184.*", f"told by {node_text(teller)[:7]}"):
            assert part in told
        await pilot.press("enter")
        await until(pilot, lambda: app.screen.query("Facts"))
        assert node_text(teller)[:4] in str(app.screen.query_one("Facts").shown)
        await pilot.press("escape")
        canvas.choose(known(2, b"").node)
        await pilot.pause()
        assert "2 failures since" in shown(app, "#map-chosen")
        assert "named by you" in shown(app, "#map-chosen")
        canvas.choose(peer(2).node)
        await pilot.pause()
        chosen = str(app.screen.query_one("#map-chosen").shown)
        assert "called by this node, 24 ms\n" in chosen
        assert "since 05:53, 60 blocks first" in chosen
        await pilot.press("b")
        await until(pilot, lambda: app.screen.query("#yes"))
        await pilot.click("#yes")
        await until(pilot, lambda: world.node.banned == [(peer(2).node, 86_400)])


async def test_the_cursors_of_list_and_map_go_together(world: Any, until: Any) -> None:
    world.node.link(with_map())
    app = world.app()
    async with app.run_test(size=(140, 45)) as pilot:
        await opened(pilot, until)
        await until(pilot, lambda: app.screen.query_one("#peers").option_count == 2)
        canvas, listed = app.screen.query_one("#map"), app.screen.query_one("#peers")
        listed.focus()
        await pilot.press("down")
        await until(pilot, lambda: canvas.chosen == peer(2).node)
        canvas.focus()
        await pilot.pause()
        canvas.choose(peer(1).node)
        await until(pilot, lambda: listed.highlighted == 0)


@pytest.mark.usefixtures("quick_reads")
async def test_a_map_that_stays_the_same_is_not_drawn_again(world: Any, until: Any) -> None:
    world.node.link(with_map(known(1, peer(1).node)))
    app = world.app()
    async with app.run_test(size=(140, 45)) as pilot:
        await opened(pilot, until)
        canvas = app.screen.query_one("#map")
        await until(pilot, lambda: canvas.map.picture.places)
        drawn: list[object] = []
        canvas.refresh = lambda *regions, **_: drawn.append(regions)
        reads = world.node.mesh_reads
        await until(pilot, lambda: world.node.mesh_reads > reads + 3)
        assert drawn == []
        world.node.link(with_map())
        await until(pilot, lambda: drawn)
        assert 0 < len(drawn[0]) < canvas.size.height, "the rows that changed"  # type: ignore[arg-type]


async def test_another_link_is_seen_without_waiting(world: Any, until: Any) -> None:
    world.node.link(meshed(peer(1)))
    app = world.app()
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, until)
        await until(pilot, lambda: len(prompts(app)) == 1)
        world.node.link(meshed(peer(1), peer(2)))
        world.node.tell(Event("mesh"))
        await until(pilot, lambda: len(prompts(app)) == 2)


async def test_rates_appear_with_the_second_look(world: Any, until: Any) -> None:
    world.node.link(meshed(peer(1)))
    app = world.app()
    async with app.run_test(size=(120, 36)) as pilot:
        await opened(pilot, until)
        await until(pilot, lambda: len(prompts(app)) == 1)
        later = peer(1, linked_ms=peer(1).linked_ms + 5_000, bytes_in=peer(1).bytes_in + 50_000)
        world.node.link(meshed(later))
        world.node.tell(Event("mesh"))
        await until(pilot, lambda: "10.0 kB" in prompts(app)[0])
        assert "a second" in shown(app, "#peers-head")
        assert "Green" in prompts(app)[0]


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_a_node_that_sleeps_says_when_it_looks_again(world: Any, until: Any, size: tuple[int, int]) -> None:
    asleep = SparingView(True, True, NOW_MS + HOUR_MS, 12_000_000, 50_000_000, "plenty")
    world.node.link(meshed(sparing=asleep))
    app = world.app()
    async with app.run_test(size=size) as pilot:
        await opened(pilot, until)
        moment = when(NOW_MS + HOUR_MS, NOW_MS + HOUR_MS)
        facts = " ".join(shown(app, "#mesh-facts").split())
        for part in ("metered", "12.0 MB of 50.0 MB used today", f"sleeps, looks again at {moment}"):
            assert part in facts
        assert "sleeps to spare data" in " ".join(shown(app, "#mesh-note").split())
        woken = world.node.woken
        assert woken, "the app came to the front when it opened"
        await pilot.press("a")
        await until(pilot, lambda: world.node.woken == woken + 1)
        app.post_message(AppBlur())
        app.post_message(AppFocus())
        await until(pilot, lambda: world.node.woken == woken + 2)
        world.node.link(meshed(peer(1), sparing=replace(asleep, asleep=False, next_look_ms=None)))
        world.node.tell(Event("mesh"))
        await until(pilot, lambda: len(prompts(app)) == 1)
        await pilot.press("a")
        await pilot.pause()
        assert world.node.woken == woken + 2, "an awake node need not be woken"


async def test_a_peer_that_listens_nowhere_has_no_port(world: Any, until: Any) -> None:
    world.node.link(meshed(replace(peer(1), port=0)))
    app = world.app()
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, until)
        (entry,) = prompts(app)
        assert "192.168.1.1 " in entry
        assert ":0" not in entry.split(" in ")[0]
