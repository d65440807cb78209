"""Memory that was freed goes back to the system, where the C library keeps it: a node that was flooded for a minute
would look large for days."""

from __future__ import annotations


def give_back() -> bool:
    """Whether the C library has a way to; glibc has (malloc_trim(3)). It takes some milliseconds."""
    import ctypes

    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return False
    trim(0)
    return True
