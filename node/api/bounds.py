"""Bounds on the arguments of the interface, the same for every implementation and for every caller.

Arguments are known by their names in `NodeApi`; a name means the same in every method.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from node.api.errors import UsageError
from node.api.interface import MAX_PAGE, TOPICS
from node.encoding.node_id import NodeIdError, check_node_id

MAX_ADDRESSES = 100
MAX_RAW_BYTES = 32 * 1024
_ADDRESS_SIZES = (21, 33)
_MAX_HEIGHT = (1 << 63) - 1
_MAX_PLACE, _MAX_HOST, _MAX_SECONDS = 2_048, 253, 10 * 366 * 86_400
_PREFIX = re.compile("[0-9a-f]{1,64}")


def check_arguments(arguments: Mapping[str, object]) -> None:
    """Raises UsageError for the first argument that is out of bounds."""
    for name, value in arguments.items():
        if value is not None and name in _CHECKS:
            _CHECKS[name](value)


def check_address(address: object) -> None:
    """A raw address: version byte and digest, 21 or 33 bytes."""
    if not isinstance(address, bytes) or len(address) not in _ADDRESS_SIZES:
        raise UsageError("bad_address", "A raw address has 21 or 33 bytes.")


def _addresses(value: object) -> None:
    if not isinstance(value, tuple) or not 1 <= len(value) <= MAX_ADDRESSES:
        raise UsageError("bad_request", f"Ask for 1 to {MAX_ADDRESSES} accounts at a time.")
    for address in value:
        check_address(address)


def _hash(value: object) -> None:
    if not isinstance(value, bytes) or len(value) != 32:
        raise UsageError("bad_hash", "An id has 32 bytes (64 hexadecimal digits).")


def _height(value: object) -> None:
    if not isinstance(value, int) or not 0 <= value <= _MAX_HEIGHT:
        raise UsageError("bad_height", "A height is a number from 0 on.")


def _slot(value: object) -> None:
    if not isinstance(value, int) or not 0 <= value <= _MAX_HEIGHT:
        raise UsageError("bad_slot", "A slot is a number from 0 on.")


def _prefix(value: object) -> None:
    if not isinstance(value, str) or not _PREFIX.fullmatch(value):
        raise UsageError("bad_prefix", "An id begins with 1 to 64 hexadecimal digits (0-9, a-f).")


def _limit(value: object) -> None:
    if not isinstance(value, int) or not 1 <= value <= MAX_PAGE:
        raise UsageError("bad_request", f"A page holds 1 to {MAX_PAGE} entries.")


def _raw(value: object) -> None:
    if not isinstance(value, bytes) or not 0 < len(value) <= MAX_RAW_BYTES:
        raise UsageError("bad_request", f"A transaction has at most {MAX_RAW_BYTES:,} bytes.")


def _node(value: object) -> None:
    try:
        check_node_id(value if isinstance(value, bytes) else b"")
    except NodeIdError as error:
        raise UsageError("bad_node_id", str(error)) from None


def _place(value: object) -> None:
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_PLACE:
        raise UsageError("bad_place", f"Where a node is takes 1 to {_MAX_PLACE:,} characters.")


def _host(value: object) -> None:
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_HOST:
        raise UsageError("bad_host", f"A host's name or address has 1 to {_MAX_HOST} characters.")


def _seconds(value: object) -> None:
    if not isinstance(value, int) or not 0 <= value <= _MAX_SECONDS:
        raise UsageError("bad_request", "Somebody can be kept out for ten years at most.")


def check_topics(value: object) -> None:
    """Topics to subscribe to: at least one, each known."""
    if not isinstance(value, tuple) or not 0 < len(value) <= len(TOPICS) or any(item not in TOPICS for item in value):
        raise UsageError("bad_request", f"Topics are {', '.join(TOPICS)}.")


_CHECKS = {
    "address": check_address,
    "addresses": _addresses,
    "txid": _hash,
    "block_id": _hash,
    "height": _height,
    "before": _height,
    "before_slot": _slot,
    "prefix": _prefix,
    "limit": _limit,
    "raw": _raw,
    "node": _node,
    "place": _place,
    "host": _host,
    "seconds": _seconds,
    "topics": check_topics,
}
