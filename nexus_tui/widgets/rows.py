"""Rows of buttons for keys and thumbs: the footer of this screen's commands, and the bar that changes screens.

Each is one widget that draws itself and knows which column belongs to which button, so that it costs one repaint when
something changes and none otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.screen import Screen
from textual.strip import Strip
from textual.widget import Widget

from nexus_tui.bindings import key_of
from nexus_tui.commands import BY_ID

if TYPE_CHECKING:
    from nexus_tui.app import NexusApp


MOST_ON_A_PHONE = 5


@dataclass(frozen=True, slots=True)
class Item:
    """A button: the command's id, its key and its word."""

    command: str
    key: str
    label: str
    active: bool = False
    end: bool = False

    @property
    def width(self) -> int:
        """Cells for key and word."""
        return cell_len(self.key) + 1 + cell_len(self.label)


class ButtonRow(Widget):
    """Draws items; a tap runs the command. `spread` gives every button the same share of the width."""

    ALLOW_SELECT = False
    gap: ClassVar[int] = 3
    COMPONENT_CLASSES: ClassVar[set[str]] = {"row--key", "row--label", "row--active", "row--gap"}

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self.items: tuple[Item, ...] = ()

    @property
    def nexus(self) -> NexusApp:
        """The app, by its type."""
        from nexus_tui.app import NexusApp

        app = self.app
        assert isinstance(app, NexusApp)
        return app

    @property
    def spread(self) -> bool:
        """Equal shares on narrow screens, as a thumb likes it."""
        return self.screen.has_class("-narrow")

    def show(self, items: tuple[Item, ...]) -> None:
        """Draw `items` if they are others."""
        if items != self.items:
            self.items = items
            self.refresh()

    def placed(self) -> list[tuple[Item, int, int]]:
        """Items that fit, with the first column and the width of each; those marked `end` always fit first."""
        width = self.size.width
        gap = 1 if self.spread else self.gap
        last = [item for item in self.items if item.end]
        room = width - sum(item.width + gap for item in last)
        most = MOST_ON_A_PHONE - len(last) if self.spread else len(self.items)
        fitting: list[Item] = []
        for item in (item for item in self.items if not item.end):
            room -= item.width + gap
            if room < 0 or len(fitting) == most:
                break
            fitting.append(item)
        fitting += last
        if not fitting:
            return []
        if self.spread:
            spare = max(width - sum(item.width for item in fitting) - gap * (len(fitting) - 1), 0)
            each, odd = divmod(spare, len(fitting))
            widths = [item.width + each + (place < odd) for place, item in enumerate(fitting)]
        else:
            widths = [item.width for item in fitting]
        placed, column = [], 0 if self.spread else 1
        for item, cells in zip(fitting, widths, strict=True):
            placed.append((item, column, min(cells, max(width - column, 0))))
            column += cells + gap
        return placed

    def render_line(self, y: int) -> Strip:
        """See `Widget.render_line`."""
        base = self.rich_style
        key_style = self.get_component_rich_style("row--key")
        label_style = self.get_component_rich_style("row--label")
        active_style = self.get_component_rich_style("row--active")
        gap_style = self.get_component_rich_style("row--gap")
        middle = y == (self.size.height - 1) // 2
        segments: list[Segment] = []
        column = 0
        for item, start, width in self.placed():
            segments.append(Segment(" " * (start - column), gap_style))
            key, label = (active_style, active_style) if item.active else (key_style, label_style)
            if not middle:
                segments.append(Segment(" " * width, label))
            else:
                left = (width - item.width) // 2
                segments += [
                    Segment(" " * left, label),
                    Segment(item.key, key),
                    Segment(f" {item.label}" + " " * (width - item.width - left), label),
                ]
            column = start + width
        segments.append(Segment(" " * max(self.size.width - column, 0), gap_style))
        return Strip(segments).crop_extend(0, self.size.width, base or Style())

    async def on_click(self, event: events.Click) -> None:
        """Run the command under the finger."""
        event.stop()
        for item, start, width in self.placed():
            if start <= event.x < start + width:
                await self.app.run_action(f"app.command('{item.command}')")
                return


class KeyBar(ButtonRow):
    """The footer: what can be done here, most used first; Help and More stay when room is short."""

    DEFAULT_CSS = """
    KeyBar {
        height: 1; width: 100%;
        & > .row--key { color: $primary; text-style: bold; }
        & > .row--label { color: $muted; }
        & > .row--active { color: $text; }
    }
    """

    def on_mount(self) -> None:
        """Follow the screen's bindings."""
        self.screen.bindings_updated_signal.subscribe(self, self._changed)
        self.call_after_refresh(self._changed, self.screen)

    def _changed(self, screen: Screen[object]) -> None:
        if screen is not self.screen or not self.is_attached:
            return
        rebound = self.nexus.rebound
        items: dict[str, Item] = {}
        for active in screen.active_bindings.values():
            command = BY_ID.get(active.binding.id or "")
            if command is not None and active.binding.show and active.enabled and command.shown(self.nexus):
                end = command.id in ("app.help", "app.palette")
                items[command.id] = Item(command.id, key_of(command.id, rebound), command.label, end=end)
        self.show(tuple(sorted(items.values(), key=lambda item: BY_ID[item.command].order)))


class NavBar(ButtonRow):
    """The screens. At the bottom where a thumb is, in the masthead where there is room."""

    gap = 2
    DEFAULT_CSS = """
    NavBar {
        height: 1; width: 1fr;
        & > .row--key { color: $muted; }
        & > .row--label { color: $muted; }
        & > .row--active { color: $primary; text-style: bold; }
    }
    """

    def fill(self) -> None:
        """Show the screens there are."""
        rebound = self.nexus.rebound
        place = getattr(self.screen, "place", "")
        self.show(
            tuple(
                Item(command, key_of(command, rebound), BY_ID[command].title, active=command == f"go.{place}")
                for command in ("go.home", "go.wallet", "go.dag", "go.network", "go.settings")
                if BY_ID[command].shown(self.nexus)
            )
        )

    @property
    def needed(self) -> int:
        """Cells for all screens side by side."""
        return 1 + sum(item.width + self.gap for item in self.items)
