"""What a network may be called: it stands in file names, invitations and on screens of other people."""

from __future__ import annotations

import re

NETWORK_NAME_RULE = "A network's name is 1 to 32 of a-z, 0-9 and '-', not '-' at an end."
_NETWORK_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?", re.ASCII)


def is_network_name(name: str) -> bool:
    """Whether `name` keeps to `NETWORK_NAME_RULE`."""
    return _NETWORK_NAME.fullmatch(name) is not None
