"""Colours: the themes of the app and those that a person adds as `NEXUS_HOME/themes/*.toml`.

A user theme names colours by the keys of `COLOURS` and may set `dark` and `[variables]`:

    name = "dusk"
    dark = true
    primary = "#c0a0ff"
    background = "#101018"
    [variables]
    spectrum-red = "#ff0044"

The six `spectrum-…` variables are the visible regions of the protocol (section 3).
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from textual.color import Color, ColorParseError
from textual.theme import Theme

COLOURS = (
    "primary",
    "secondary",
    "warning",
    "error",
    "success",
    "accent",
    "foreground",
    "background",
    "surface",
    "panel",
    "boost",
)
REGIONS = ("violet", "blue", "green", "yellow", "orange", "red")
MAX_FILE = 64 * 1024
MAX_THEMES = 100
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}", re.ASCII)


def _spectrum(*colours: str) -> dict[str, str]:
    return {f"spectrum-{region}": colour for region, colour in zip(REGIONS, colours, strict=True)}


_FLAT = {
    "block-cursor-text-style": "none",
    "footer-background": "transparent",
    "link-style": "underline",
}
DARK = Theme(
    name="dark",
    primary="#8fb1ff",
    secondary="#b39dff",
    accent="#7fe0d0",
    warning="#ffc36b",
    error="#ff7f8c",
    success="#86dca0",
    foreground="#d9deea",
    background="#0c0f16",
    surface="#141925",
    panel="#1b2231",
    dark=True,
    variables={
        **_FLAT,
        "muted": "#7d89a3",
        **_spectrum("#a487ff", "#5f9bff", "#57d68d", "#f3dc6a", "#ffa656", "#ff6673"),
        "border": "#8fb1ff",
        "border-blurred": "#2a3347",
        "block-cursor-background": "#26324d",
        "block-cursor-foreground": "#ffffff",
        "block-cursor-blurred-background": "#1b2231",
        "block-cursor-blurred-foreground": "#d9deea",
        "input-cursor-background": "#d9deea",
        "input-cursor-foreground": "#0c0f16",
        "scrollbar": "#2a3347",
        "scrollbar-background": "#0c0f16",
        "scrollbar-background-hover": "#0c0f16",
        "scrollbar-background-active": "#0c0f16",
        "scrollbar-corner-color": "#0c0f16",
    },
)
LIGHT = Theme(
    name="light",
    primary="#2f5fd0",
    secondary="#6a46c8",
    accent="#0b7c72",
    warning="#9a5b00",
    error="#b3263b",
    success="#1d7a43",
    foreground="#22262f",
    background="#fbfaf7",
    surface="#f2f0ea",
    panel="#e8e5dc",
    dark=False,
    variables={
        **_FLAT,
        "muted": "#6d7079",
        **_spectrum("#7a4fe0", "#2f6fe0", "#1f9d57", "#b99400", "#d97a1a", "#d23a4a"),
        "border": "#2f5fd0",
        "border-blurred": "#d5d0c3",
        "block-cursor-background": "#dbe4fb",
        "block-cursor-foreground": "#11141a",
        "block-cursor-blurred-background": "#e8e5dc",
        "block-cursor-blurred-foreground": "#22262f",
        "input-cursor-background": "#22262f",
        "input-cursor-foreground": "#fbfaf7",
        "scrollbar": "#d5d0c3",
        "scrollbar-background": "#fbfaf7",
        "scrollbar-background-hover": "#fbfaf7",
        "scrollbar-background-active": "#fbfaf7",
        "scrollbar-corner-color": "#fbfaf7",
    },
)
HIGH_CONTRAST = Theme(
    name="high-contrast",
    primary="#ffe14d",
    secondary="#7df9ff",
    accent="#7df9ff",
    warning="#ffb000",
    error="#ff8080",
    success="#7dff9a",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#1c1c1c",
    dark=True,
    text_alpha=1.0,
    variables={
        "muted": "#e0e0e0",
        **_spectrum("#c8a8ff", "#8ab8ff", "#7dff9a", "#ffe14d", "#ffb000", "#ff8080"),
        "text-disabled": "#bdbdbd",
        "border": "#ffe14d",
        "border-blurred": "#ffffff",
        "block-cursor-background": "#ffe14d",
        "block-cursor-foreground": "#000000",
        "block-cursor-blurred-background": "#3a3a3a",
        "block-cursor-blurred-foreground": "#ffffff",
        "footer-background": "transparent",
        "scrollbar": "#ffffff",
        "scrollbar-background": "#000000",
    },
)
_ANSI_SPECTRUM = _spectrum("ansi_magenta", "ansi_blue", "ansi_green", "ansi_yellow", "ansi_bright_yellow", "ansi_red")


def _ansi(name: str, dark: bool) -> Theme:
    """The terminal's own sixteen colours and background: what the person chose there is what they get."""
    ink, paper = ("ansi_white", "ansi_black") if dark else ("ansi_black", "ansi_white")
    return Theme(
        name=name,
        ansi=True,
        primary="ansi_blue" if not dark else "ansi_bright_blue",
        secondary="ansi_magenta",
        accent="ansi_cyan",
        warning="ansi_yellow",
        error="ansi_red",
        success="ansi_green",
        foreground="ansi_default",
        background="ansi_default",
        surface="ansi_default",
        panel="ansi_default",
        boost="ansi_default",
        dark=dark,
        variables={
            **_ANSI_SPECTRUM,
            "muted": "ansi_bright_black" if dark else "ansi_black",
            "ansi-background": paper,
            "ansi-foreground": ink,
            "border": "ansi_bright_blue" if dark else "ansi_blue",
            "border-blurred": "ansi_bright_black",
            "block-cursor-background": ink,
            "block-cursor-foreground": paper,
            "block-cursor-blurred-background": "ansi_default",
            "block-cursor-blurred-foreground": "ansi_default",
            "block-cursor-blurred-text-style": "bold",
            "input-cursor-text-style": "reverse",
            "scrollbar": "ansi_bright_black",
            "scrollbar-hover": "ansi_bright_black",
            "scrollbar-active": "ansi_bright_black",
            "scrollbar-background": "ansi_default",
            "scrollbar-background-hover": "ansi_default",
            "scrollbar-background-active": "ansi_default",
            "footer-key-foreground": "ansi_default",
        },
    )


DEFAULTS = DARK.variables
"""What a theme falls back on for the variables that are this app's own."""

BUILT_IN = (DARK, LIGHT, HIGH_CONTRAST, _ansi("ansi-dark", dark=True), _ansi("ansi-light", dark=False))


class ThemeError(ValueError):
    """A theme file that cannot be used; the message says which key is wrong."""


def parse_theme(content: str) -> Theme:
    """The theme in a TOML text; what it leaves out comes from `dark` or `light`. Raises ThemeError."""
    try:
        table = tomllib.loads(content)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ThemeError(f"it is not valid TOML ({error})") from None
    name = table.pop("name", None)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ThemeError('it needs a name of a-z, 0-9, "-" and "_"')
    if name in {theme.name for theme in BUILT_IN}:
        raise ThemeError(f"the name {name!r} belongs to a built-in theme")
    dark = table.pop("dark", True)
    if not isinstance(dark, bool):
        raise ThemeError("dark must be true or false")
    variables = table.pop("variables", {})
    if not isinstance(variables, dict):
        raise ThemeError("[variables] must be a table")
    base = DARK if dark else LIGHT
    colours = {key: getattr(base, key) for key in COLOURS}
    for key, value in table.items():
        if key not in COLOURS:
            raise ThemeError(f"there is no colour {key[:40]!r}; colours are {', '.join(COLOURS)}")
        colours[key] = _colour(key, value)
    own = dict(base.variables)
    for key, value in variables.items():
        if not re.fullmatch(r"[a-z0-9-]{1,40}", key) or key.endswith("-style"):
            raise ThemeError(f"the variable {key[:40]!r} cannot be set")
        own[key] = _colour(key, value)
    return Theme(name=name, dark=dark, variables=own, **colours)


def _colour(key: str, value: object) -> str:
    if not isinstance(value, str) or len(value) > 40:
        raise ThemeError(f'{key} must be a colour like "#80a0ff"')
    try:
        Color.parse(value)
    except ColorParseError:
        raise ThemeError(f"{key}: {value!r} is no colour") from None
    return value


def load_themes(folder: Path) -> tuple[list[Theme], list[str]]:
    """User themes from `folder`, and a sentence for every file that could not be used."""
    themes: list[Theme] = []
    faults: list[str] = []
    try:
        files = sorted(path for path in folder.iterdir() if path.suffix == ".toml")[:MAX_THEMES]
    except OSError:
        return [], []
    for path in files:
        try:
            with path.open("rb") as file:
                raw = file.read(MAX_FILE + 1)
            if len(raw) > MAX_FILE:
                raise ThemeError("it is larger than 64 KiB")
            themes.append(parse_theme(raw.decode()))
        except (OSError, UnicodeDecodeError, ThemeError) as error:
            faults.append(f"{path.name}: {error}.")
    return themes, faults
