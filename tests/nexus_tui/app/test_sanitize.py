"""Foreign text: what `sanitize` takes out, what it keeps, and that `text` knows no markup."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.segment import Segment
from rich.style import Style
from textual.color import Color

from nexus_tui.sanitize import REMOVED, Scrub, sanitize, text

HOSTILE = st.text(
    st.one_of(
        st.characters(max_codepoint=0x1F),
        st.characters(min_codepoint=0x7F, max_codepoint=0x9F),
        st.sampled_from("\u061c\u200b\u200d\u200e\u200f\u202a\u202e\u2066\u2069\ufeff\U000e0041\u2028[]/@b=x\u0301"),
        st.characters(),
    ),
    max_size=60,
)


@pytest.mark.parametrize(
    ("given_text", "shown"),
    [
        ("a\x1b]52;c;QQ==\x1b\\b", f"a{REMOVED}]52;c;QQ=={REMOVED}\\b"),
        ("\x9b31mred", f"{REMOVED}31mred"),
        ("pay\u202etxn", f"pay{REMOVED}txn"),
        ("Ada\u200b\u200b\u200b", f"Ada{REMOVED}"),
        ("one\ntwo\tthree", "one two three"),
        ("[b]not bold[/]", "[b]not bold[/]"),
        ("Zoë · 東京 · Привет", "Zoë · 東京 · Привет"),
        ("👨‍👩‍👧", "👨‍👩‍👧"),
        ("x\u200dy", f"x{REMOVED}y"),
        ("e" + "\u0301" * 9, "e" + "\u0301" * 3),
    ],
)
def test_what_is_taken_out_and_what_stays(given_text: str, shown: str) -> None:
    assert sanitize(given_text) == shown


def test_lines_stay_where_they_are_wanted() -> None:
    assert sanitize("a\r\nb\nc", lines=True) == "a\nb\nc"


def test_length_is_bounded() -> None:
    assert sanitize("x" * 9999, limit=10) == "x" * 9 + "…"


@given(HOSTILE)
def test_nothing_that_a_terminal_acts_on_is_left(hostile: str) -> None:
    for character in sanitize(hostile):
        assert unicodedata.category(character) not in ("Cc", "Cs", "Zl", "Zp")
        assert unicodedata.bidirectional(character) not in (
            "LRE",
            "RLE",
            "LRO",
            "RLO",
            "PDF",
            "LRI",
            "RLI",
            "FSI",
            "PDI",
        )


@given(HOSTILE)
def test_sanitizing_twice_changes_nothing(hostile: str) -> None:
    assert sanitize(sanitize(hostile)) == sanitize(hostile)


def test_text_knows_no_markup() -> None:
    content = text("[@click=app.quit]x[/] [/b] [link=y]", "bold")
    assert content.plain == "[@click=app.quit]x[/] [/b] [link=y]"
    assert [str(span.style) for span in content.spans] == ["bold"]


@given(HOSTILE)
def test_the_backstop_lets_no_control_through(hostile: str) -> None:
    style = Style(bold=True)
    segments = Scrub().apply([Segment(hostile, style), Segment("\x1b[H", None, [])], Color.parse("black"))
    assert not any(ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 for character in segments[0].text)
    assert segments[0].style is style
