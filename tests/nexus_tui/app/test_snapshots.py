"""What every screen looks like at the three sizes. Drawn on one Python version only: others may differ in a pixel."""

from __future__ import annotations

import sys
from typing import Any

import pytest

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


async def settle(pilot: Any, keys: tuple[str, ...] = ()) -> None:
    app = pilot.app
    while not app.view.read and app.household is not None:
        await pilot.pause(0.01)
    await pilot.pause(0.1)
    for key in keys:
        await pilot.press(key)
        await pilot.pause(0.03)
        while getattr(app.screen, "place", "") == "dag" and app.view.dag is None:
            await pilot.pause(0.01)
    await pilot.pause(0.5 if "6" in keys else 0.15)


@pytest.mark.parametrize(("keys", "size"), looks())
def test_look(world: Any, snap_compare: Any, keys: tuple[str, ...], size: tuple[int, int]) -> None:
    async def drive(pilot: Any) -> None:
        await settle(pilot, keys)

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
