"""What a command prints: one result on stdout, everything else on stderr (experience.md, "A script").

Text is for people and may change; with `--json` a command prints exactly one document, whose keys are kept. The
same bytes go to a pipe and to a terminal: no colours, no cursor movements (but for what `watching` keeps in place).
"""

from __future__ import annotations

import codecs
import os
import sys
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

Document: TypeAlias = Mapping[str, Any]

_PLAIN = {"…": "...", "·": "-", "–": "-", "—": "-", "→": "->", "×": "x", "−": "-", "≥": ">=", "≤": "<=", "✓": "ok"}


def _plain_form(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(_PLAIN.get(character, "?") for character in text), error.end


def prepare_streams() -> None:
    """Make printing safe where the locale has no UTF-8: signs it lacks become plain ones instead of a crash."""
    codecs.register_error("nexus_plain", _plain_form)
    if sys.stdout is None or sys.stderr is None:  # started with a closed descriptor
        nowhere = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - lives as long as the process
        sys.stdout = sys.stdout or nowhere
        sys.stderr = sys.stderr or nowhere
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="nexus_plain")


def amount(units: int) -> dict[str, str]:
    """An amount in a document: whole units and NXT, both exact text."""
    from node.encoding.amounts import exact_amount

    return {"units": str(units), "nxt": exact_amount(units)}


def nxt(units: int) -> str:
    """An amount for people, every unit of it."""
    from node.encoding.amounts import exact_amount

    return f"{exact_amount(units)} NXT"


def foreign(text: str) -> str:
    """Text that others wrote, made safe for a terminal."""
    from nexus_tui.foreign import sanitize

    return sanitize(text)


def write_json(document: Document) -> None:
    """One document on one line of stdout, ASCII only: any locale can carry it."""
    import json

    sys.stdout.write(json.dumps(document, ensure_ascii=True, separators=(", ", ": ")) + "\n")
    sys.stdout.flush()


def write_text(lines: str | Iterable[str]) -> None:
    """Text for people on stdout."""
    text = lines if isinstance(lines, str) else "\n".join(lines)
    if text:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


def note(text: str) -> None:
    """A remark on stderr: progress, warnings, prompts."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def table(rows: Iterable[tuple[str, ...]], right: frozenset[int] = frozenset()) -> list[str]:
    """Rows as lines of aligned columns; the columns in `right` are aligned to the right."""
    listed = list(rows)
    widths = [max(len(cell) for cell in column) for column in zip(*listed, strict=True)]
    lines = []
    for row in listed:
        cells = [
            cell.rjust(width) if place in right else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines


def fields(pairs: Iterable[tuple[str, str]]) -> list[str]:
    """Named values below each other."""
    return table(pairs)
