"""Text from others, made safe to show: what a terminal would act on or what hides from a reader is taken out.

Plain Python, so that the command line can use it without loading the app; `nexus_tui.sanitize` has the rest.
"""

from __future__ import annotations

import re
import unicodedata

MAX_TEXT = 4_096
MAX_MARKS = 3
REMOVED = "\ufffd"
"""Stands where something was taken out, so that a change is never silent."""

_JOINER = "\u200d"
_EMOJI_STYLE = "\ufe0f"
_CONTROLS = r"\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff"
BIDI = r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_HIDDEN = (
    r"\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f"  # soft hyphen, fillers, marks without a glyph
    r"\u200b\u200c\u2060-\u2065\u206a-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb"  # zero width, annotation
    r"\ufe00-\ufe0e\U000e0000-\U000e0fff"  # variation selectors but the one of emoji, tags
)
_BAD = re.compile(f"[{_CONTROLS}{BIDI}{_HIDDEN}]+")
_BREAKS = str.maketrans({"\t": " ", "\u2028": "\n", "\u2029": "\n"})


def sanitize(value: str, limit: int = MAX_TEXT, lines: bool = False) -> str:
    """`value` without anything that a terminal would act on or that hides from a reader.

    Controls (C0, DEL, C1), direction marks, zero-width and tag characters and lone surrogates become one `REMOVED`
    a run; a zero-width joiner stays inside an emoji; more than three combining marks on a letter are cut. Line breaks
    become spaces unless `lines`. The result has at most `limit` characters, the last an ellipsis if it was cut.
    """
    cut = len(value) > limit
    value = value[:limit].replace("\r\n", "\n").translate(_BREAKS)
    if not lines:
        value = value.replace("\n", " ")
    if not (value.isascii() and value.isprintable()):
        value = _limit_marks(_BAD.sub(REMOVED, _limit_joiners(value)))
    return value[: limit - 1] + "…" if cut else value


def _limit_joiners(value: str) -> str:
    """A joiner that is not between two pictographs turns into a zero-width space, which is then removed."""
    if _JOINER not in value:
        return value
    padded = f" {value} "
    return "".join(
        "\u200b" if here == _JOINER and not (_is_pictograph(before) and _is_pictograph(after)) else here
        for before, here, after in zip(padded, padded[1:], padded[2:], strict=False)
    )


def _is_pictograph(character: str) -> bool:
    return character == _EMOJI_STYLE or unicodedata.category(character) in ("So", "Sk")


def _limit_marks(value: str) -> str:
    marks = 0
    kept = []
    for character in value:
        marks = marks + 1 if unicodedata.category(character) in ("Mn", "Me") else 0
        if marks <= MAX_MARKS:
            kept.append(character)
    return "".join(kept)
