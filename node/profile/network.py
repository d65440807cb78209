"""A glance at a profile's genesis: the address prefix of its network, and whom it pays, for commands that need no more.

The whole file is checked where a node opens it (`node.ledger.genesis`); loading the rules for a prefix would double
the time of a small command.
"""

from __future__ import annotations

from typing import cast

from node.api.errors import Damaged
from node.encoding.address import MAIN_PREFIX, TEST_PREFIX
from node.encoding.canonical import EncodingError, Value, decode
from node.profile.paths import ProfilePaths

_MAX_GENESIS = 1 << 20
_PREFIX_FIELD, _ALLOCATIONS_FIELD = 3, 6


def address_prefix(paths: ProfilePaths) -> str:
    """The prefix, "nxt" or "tnxt". Raises Damaged when the genesis file cannot be read or is none."""
    prefix = _field(paths, _PREFIX_FIELD)
    if prefix in (MAIN_PREFIX, TEST_PREFIX):
        return str(prefix)
    raise Damaged(
        "bad_genesis",
        f"{paths.genesis} is no genesis file. It was left as it is.",
        "Restore it from a backup or from another member of the network.",
    )


def named_accounts(paths: ProfilePaths) -> dict[bytes, str]:
    """The labels under which the genesis pays accounts, by raw address. Raises Damaged as `address_prefix` does."""
    found: dict[bytes, str] = {}
    rows = _field(paths, _ALLOCATIONS_FIELD)
    for row in rows if type(rows) is tuple else ():
        if type(row) is tuple and tuple(map(type, row)) == (bytes, int, str):
            address, _, label = cast("tuple[bytes, int, str]", row)
            found[address] = label
    return found


def _field(paths: ProfilePaths, place: int) -> Value:
    try:
        with paths.genesis.open("rb") as file:
            value = decode(file.read(_MAX_GENESIS + 1), _MAX_GENESIS)
    except OSError as error:
        raise Damaged("not_readable", f"{paths.genesis} cannot be read: {error.strerror}.", "Is it yours?") from None
    except EncodingError:
        return None
    return value[place] if type(value) is tuple and len(value) > place else None
