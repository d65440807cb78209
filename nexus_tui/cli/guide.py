"""`nexus guide`: the packaged pages, the same that the app and the repository show."""

from __future__ import annotations

from typing import Annotated

import typer

from nexus_tui.cli.session import session_of
from node.api.errors import UsageError


def guide(
    context: typer.Context,
    page: Annotated[str | None, typer.Argument(metavar="[PAGE]", help="A page; without one, the list.")] = None,
) -> None:
    """Read the documentation: what each screen does, the protocol, the measured figures."""
    from importlib.resources import files

    session = session_of(context)
    folder = files("nexus_tui").joinpath("help")
    pages = sorted(entry.name.removesuffix(".md") for entry in folder.iterdir() if entry.name.endswith(".md"))
    if page is None:
        session.done({"pages": pages}, [*pages, "Read one with: nexus guide PAGE"])
        return
    if page not in pages:
        raise UsageError("unknown_page", f"There is no page {page[:40]!r}.", hint=f"Pages: {', '.join(pages)}")
    text = folder.joinpath(f"{page}.md").read_text(encoding="utf-8")
    session.done({"page": page, "markdown": text}, text.rstrip("\n").split("\n"))
