"""The program's version, out of the installed package's metadata."""

from __future__ import annotations


def version() -> str:
    """The version, "unknown" when the program runs from a tree that was never installed."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed("nexus-os")
    except PackageNotFoundError:
        return "unknown"
