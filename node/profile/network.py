"""A glance at a profile's genesis: the address prefix of its network, for commands that need nothing else of it.

The whole file is checked where a node opens it (`node.ledger.genesis`); loading the rules for a prefix would double
the time of a small command.
"""

from __future__ import annotations

from node.api.errors import Damaged
from node.encoding.address import MAIN_PREFIX, TEST_PREFIX
from node.encoding.canonical import EncodingError, decode
from node.profile.paths import ProfilePaths

_MAX_GENESIS = 1 << 20
_PREFIX_FIELD = 3


def address_prefix(paths: ProfilePaths) -> str:
    """The prefix, "nxt" or "tnxt". Raises Damaged when the genesis file cannot be read or is none."""
    try:
        with paths.genesis.open("rb") as file:
            value = decode(file.read(_MAX_GENESIS + 1), _MAX_GENESIS)
    except OSError as error:
        raise Damaged("not_readable", f"{paths.genesis} cannot be read: {error.strerror}.", "Is it yours?") from None
    except EncodingError:
        value = None
    prefix = value[_PREFIX_FIELD] if type(value) is tuple and len(value) > _PREFIX_FIELD else None
    if prefix in (MAIN_PREFIX, TEST_PREFIX):
        return str(prefix)
    raise Damaged(
        "bad_genesis",
        f"{paths.genesis} is no genesis file. It was left as it is.",
        "Restore it from a backup or from another member of the network.",
    )
