"""What every screen looks like at the three sizes. Drawn on one Python version only: others may differ in a pixel."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import pytest

from node.api.records import Alert, BanView, KnownView, SyncView
from tests.nexus_tui.app.conftest import NOW_MS, meshed, peer, proof
from tests.nexus_tui.steady import wait_until

SIZES = [(44, 28), (80, 24), (120, 36)]
LOOKS: dict[str, tuple[str, ...]] = {
    "home": (),
    "wallet": ("3",),
    "history": ("3", "h"),
    "contacts": ("3", "b"),
    "dag": ("6",),
    "dag-moved": ("6", "right", "left", "down", "down", "left", "left"),
    "block": ("6", "i"),
    "finality": ("6", "v"),
    "settings": ("0",),
    "keys": ("0", "down", "down", "enter"),
    "help": ("question_mark",),
    "palette": ("colon",),
    "send": ("s", *"ada", "tab", *"12", "full_stop", "5"),
    "confirm": ("s", *"ada", "tab", *"12", "full_stop", "5", "tab", "tab", *"lunch", "enter"),
    "receive": ("r",),
    "payment": ("3", "h", "down", "enter"),
    "theme": ("t",),
}
QUICK = ("home", "wallet", "send", "dag")

pytestmark = pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="snapshots are drawn on Python 3.11")


def looks() -> list[Any]:
    return [
        pytest.param(
            keys,
            size,
            id=f"{name}-{size[0]}x{size[1]}",
            marks=() if name in QUICK and size == SIZES[0] else pytest.mark.slow,
        )
        for name, keys in LOOKS.items()
        for size in SIZES
    ]


OPEN_SOMETHING = {"i", "v", "r", "t", "s", "colon", "question_mark"}


def complete(app: Any) -> bool:
    """Whether all is there that is read or computed beside the screen: blocks, commands, the plan of a payment."""
    screen = app.screen
    if getattr(screen, "place", "") == "dag":
        if app.view.dag is None or not screen.query_one("#inspector-pane").display:
            return app.view.dag is not None
        return screen.inspected is not None and screen.inspected.summary.id == screen.chosen
    if screen.query("CommandList"):
        return bool(screen.query_one("CommandList").option_count)
    if screen.query("#review"):
        return not screen.query_one("#amount").value or not screen.query_one("#review").disabled
    return True


async def settle(pilot: Any, keys: tuple[str, ...] = ()) -> None:
    app = pilot.app
    await wait_until(pilot, lambda: app.view.read or app.household is None)
    await pilot.pause(0.1)
    for key in keys:
        if key == "enter" or getattr(app.screen, "place", "") == "dag":
            await wait_until(pilot, lambda: complete(app))
        stack = len(app.screen_stack)
        await pilot.press(key)
        if key in OPEN_SOMETHING and stack == 1:
            await wait_until(pilot, lambda: len(app.screen_stack) > 1)
        await pilot.pause(0.03)
    await wait_until(pilot, lambda: complete(app))
    await pilot.pause(0.15)


@pytest.mark.parametrize(("keys", "size"), looks())
def test_look(world: Any, snap_compare: Any, keys: tuple[str, ...], size: tuple[int, int]) -> None:
    async def drive(pilot: Any) -> None:
        await settle(pilot, keys)

    assert snap_compare(world.app(), terminal_size=size, run_before=drive)


ALERTS = (
    Alert(
        "offence",
        "warning",
        "The validator tnxt1qzuzap77x408jsknp4epaqmxymqpkzm57qyfd7rg broke the rules: it made two blocks for slot 5001."
        " This node holds the proof.",
        "Anyone may send it, free of charge if it counts: nexus dag evidence send",
        NOW_MS - 60_000,
        "tnxt1qzuzap77x408jsknp4epaqmxymqpkzm57qyfd7rg",
    ),
    Alert(
        "long_silence_ahead",
        "error",
        "If nothing becomes final by 2025-11-14 23:40 UTC, silent validators no longer count: 2 now, with 50 % of the "
        "stake. If they live on in a part of the network that is not heard here, both parts can then make different "
        "histories final.",
        "Find out whether they live. If they do, reach them first, or wait with this node stopped (nexus node stop); if"
        " they are gone for good, let it go on.",
        NOW_MS - 3_600_000,
    ),
)


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("keys", [(), ("o",), ("o", "down", "enter")], ids=["home", "offences", "accuse"])
def test_warned(world: Any, snap_compare: Any, keys: tuple[str, ...], size: tuple[int, int]) -> None:
    world.node.alerts, world.node.proofs = ALERTS, (proof(2, "punished"), proof(1))

    async def drive(pilot: Any) -> None:
        await settle(pilot, keys)

    assert snap_compare(world.app(), terminal_size=size, run_before=drive)


@pytest.mark.parametrize(
    ("keys", "size"),
    [
        pytest.param(
            keys,
            size,
            id=f"{name}-{size[0]}x{size[1]}",
            marks=() if name == "links" and size == SIZES[0] else pytest.mark.slow,
        )
        for name, keys in {"links": (), "map": ("m", "right"), "invite": ("i",), "peer": ("enter",)}.items()
        for size in SIZES
    ],
)
def test_network(world: Any, snap_compare: Any, keys: tuple[str, ...], size: tuple[int, int]) -> None:
    links = (peer(1), peer(2, behind=True), peer(3, host="fe80::1234:5678:9abc:def0", faults=20, delay_ms=None))
    bans = (BanView(b"\x61" * 32, NOW_MS + 5 * 3_600_000),)
    view = meshed(*links, bans=bans, syncing=True, sync=SyncView(1_200, 1_900, 12_000))
    told = tuple(
        KnownView(bytes([0x90 + one]) * 32, f"93.184.2.{one}", 7400, "4:5db8", links[one % 3].node, reached, 0)
        for one, reached in enumerate((NOW_MS, None, None, NOW_MS, NOW_MS))
    )
    world.node.link(replace(view, others=(*view.others, *told)))

    async def drive(pilot: Any) -> None:
        await settle(pilot, ("8",))
        await wait_until(pilot, lambda: pilot.app.view.mesh is not None)
        await settle(pilot, keys)

    assert snap_compare(world.app(), terminal_size=size, run_before=drive)


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("linked", [True, False], ids=["alone", "unlinked"])
def test_empty_network(world: Any, snap_compare: Any, linked: bool, size: tuple[int, int]) -> None:
    if linked:
        world.node.link(meshed())

    async def drive(pilot: Any) -> None:
        await settle(pilot, ("8",))
        await wait_until(pilot, lambda: pilot.app.view.mesh or pilot.app.view.mesh_fault)

    assert snap_compare(world.app(), terminal_size=size, run_before=drive)


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "high-contrast", "ansi-dark", "ansi-light"])
def test_themes(world: Any, snap_compare: Any, theme: str) -> None:
    assert snap_compare(world.app(theme=theme), terminal_size=SIZES[0], run_before=settle)


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "high-contrast", "ansi-dark"])
def test_dag_in_themes(world: Any, snap_compare: Any, theme: str) -> None:
    async def drive(pilot: Any) -> None:
        await settle(pilot, ("6",))

    assert snap_compare(world.app(theme=theme), terminal_size=SIZES[2], run_before=drive)


@pytest.mark.slow
@pytest.mark.parametrize("size", [(44, 28), (44, 14), (120, 36)], ids=lambda size: f"{size[0]}x{size[1]}")
def test_dag_without_utf8(world: Any, snap_compare: Any, size: tuple[int, int]) -> None:
    async def drive(pilot: Any) -> None:
        await settle(pilot, ("6",))

    assert snap_compare(world.app(glyphs="ascii"), terminal_size=size, run_before=drive)


@pytest.mark.slow
@pytest.mark.parametrize("size", [(20, 5), (44, 14)], ids=lambda size: f"{size[0]}x{size[1]}")
def test_small(world: Any, snap_compare: Any, size: tuple[int, int]) -> None:
    assert snap_compare(world.app(glyphs="ascii"), terminal_size=size, run_before=settle)


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_wizard(bare: Any, snap_compare: Any, size: tuple[int, int]) -> None:
    assert snap_compare(bare.app(empty=True), terminal_size=size, run_before=settle)
