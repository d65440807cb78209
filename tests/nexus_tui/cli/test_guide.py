"""`nexus guide`: the packaged pages."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from typing import Any

import pytest

Run = Callable[..., Any]


def test_pages_are_listed_and_printed_whole(nexus: Run) -> None:
    pages = nexus("guide", "--json").document["pages"]
    assert {"home", "wallet", "settings", "wizard", "protocol", "benchmarks"} <= set(pages)
    for page in pages:
        text = files("nexus_tui").joinpath("help", f"{page}.md").read_text(encoding="utf-8")
        assert nexus("guide", page, "--json").document == {"page": page, "markdown": text}
        assert nexus("guide", page).out == text


@pytest.mark.parametrize("page", ["nothing", "../themes", "home.md", ""])
def test_other_pages_are_refused(nexus: Run, page: str) -> None:
    result = nexus("guide", page, "--json")
    assert (result.status, result.error["code"]) == (2, "unknown_page")
    assert "protocol" in result.error["hint"]
