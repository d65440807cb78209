"""The spectral line: visible light from violet to red with the Balmer lines of hydrogen, the mark of Nexus.

It carries one fact: the region of the newest block shines. It is drawn only when that or the width changes.
"""

from __future__ import annotations

from functools import lru_cache

from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from nexus_tui.glyphs import UNICODE, Glyphs
from nexus_tui.themes import REGIONS
from node.light.spectrum import VISIBLE

BALMER_PM = (410_170, 434_050, 486_130, 656_280)
_LOW, _HIGH = VISIBLE[0].low_pm, VISIBLE[-1].high_pm
_DIM = 45


class SpectralLine(Widget):
    """One row."""

    ALLOW_SELECT = False
    DEFAULT_CSS = "SpectralLine { height: 1; width: 1fr; }"

    lit = reactive("")
    """Name of the region that shines, as blocks give it ("Green"), or ""."""

    def __init__(self, glyphs: Glyphs = UNICODE, *, done: int | None = None, id: str | None = None) -> None:  # noqa: A002
        """`done`: percent of the line, from violet on, that is drawn bright: a wizard's progress."""
        super().__init__(id=id)
        self._glyphs = glyphs
        self._done = done

    def progress(self, done: int) -> None:
        """Brighten the first `done` percent."""
        if done != self._done:
            self._done = done
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """See `Widget.render_line`."""
        variables = self.app.theme_variables
        colours = tuple(variables.get(f"spectrum-{region}", "ansi_default") for region in REGIONS)
        background = "" if self.app.native_ansi_color else variables.get("background", "#000000")
        return _strip(self.size.width, colours, background, self.lit, self._done, self._glyphs)


@lru_cache(64)
def _strip(width: int, names: tuple[str, ...], background: str, region: str, done: int | None, glyphs: Glyphs) -> Strip:
    colours = tuple(Color.parse(name) for name in names)
    lines = {(pm - _LOW) * width // (_HIGH - _LOW) for pm in BALMER_PM}
    paper = Color.parse(background).rich_color if background else None
    segments = []
    for column in range(width):
        wavelength = _LOW + (2 * column + 1) * (_HIGH - _LOW) // (2 * max(width, 1))
        index = next(place for place, known in enumerate(VISIBLE) if wavelength < known.high_pm)
        bright = column in lines or VISIBLE[index].name == region
        reached = done is None or column * 100 < done * width
        colour = _colour(wavelength, index, colours, bool(background))
        if background and not (bright and reached):
            colour = colour.blend(Color.parse(background), (100 - _DIM) / 100 if reached else 0.8)
        glyph = glyphs.line_bright if (bright and reached) or (done is not None and reached) else glyphs.line
        segments.append(Segment(glyph, Style.from_color(colour.rich_color, paper)))
    return Strip(segments, width)


def _colour(wavelength: int, index: int, colours: tuple[Color, ...], smooth: bool) -> Color:
    """The region's colour, blending into its neighbour's beyond the middle of the band."""
    own = VISIBLE[index]
    middle = (own.low_pm + own.high_pm) // 2
    other = index + 1 if wavelength > middle else index - 1
    if not smooth or not 0 <= other < len(colours):
        return colours[index]
    neighbour = VISIBLE[other]
    distance = abs((neighbour.low_pm + neighbour.high_pm) // 2 - middle)
    return colours[index].blend(colours[other], abs(wavelength - middle) / distance)
