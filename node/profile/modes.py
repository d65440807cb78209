"""What kind of node runs here (protocol section 10): `full`, `archive` that forgets nothing, `phone` that is sparing.

One setting chooses it. The others (links, what is kept) are bounds within which a mode does as its kind wants.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

FULL, ARCHIVE, PHONE = "full", "archive", "phone"
MODES = (FULL, ARCHIVE, PHONE)
AUTO = "auto"

PHONE_OUTBOUND = 4
"""Links of a phone: enough that no two peers together can deceive it, few enough to be quiet."""
PHONE_INBOUND = 8
"""Links that a phone takes where its owner lets it listen."""


def is_android(environment: Mapping[str, str] | None = None) -> bool:
    """Whether this is a phone or tablet with Android, in Termux or in a Debian inside it."""
    environment = os.environ if environment is None else environment
    return sys.platform == "android" or "ANDROID_ROOT" in environment or "TERMUX_VERSION" in environment


def chosen_mode(text: str) -> str:
    """The mode that the setting `node.mode` names; `auto` is `phone` on Android, else `full`."""
    if text == AUTO:
        return PHONE if is_android() else FULL
    return text
