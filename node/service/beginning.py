"""Where a chain shall begin: the checkpoint of an invitation, or the node's own last final one where its chain is too
far behind. Kept in the profile until the chain began there (protocol sections 5 and 10)."""

from __future__ import annotations

import logging
from typing import NamedTuple

from node.encoding.canonical import EncodingError, decode, pack
from node.profile.paths import ProfilePaths
from node.storage.files import write_durably

_FORMAT = "nexus beginning 1"
_MAX = 256

_log = logging.getLogger("nexus.fetching")


class Beginning(NamedTuple):
    """`checkpoint` is the trusted hash or its first 16 bytes; `over`: a chain is there, which shall be replaced."""

    checkpoint: bytes
    over: bool


def read_beginning(paths: ProfilePaths) -> Beginning | None:
    """What is kept, if anything is. A file that cannot be read is passed over: the whole history is the way then."""
    try:
        value = decode(paths.beginning.read_bytes(), _MAX)
    except FileNotFoundError:
        return None
    except (OSError, EncodingError) as error:
        _log.warning("%s cannot be read (%s)", paths.beginning.name, error)
        return None
    if type(value) is not tuple or tuple(map(type, value)) != (str, bytes, int) or value[0] != _FORMAT:
        _log.warning("%s is of another kind", paths.beginning.name)
        return None
    _, checkpoint, over = value
    assert type(checkpoint) is bytes
    return Beginning(checkpoint, bool(over)) if len(checkpoint) in (16, 32) else None


def keep_beginning(paths: ProfilePaths, beginning: Beginning) -> None:
    """Remember it. Raises Damaged where the disk does not take it."""
    write_durably(paths.beginning, pack((_FORMAT, beginning.checkpoint, int(beginning.over))))


def forget_beginning(paths: ProfilePaths) -> None:
    """The chain has begun."""
    paths.beginning.unlink(missing_ok=True)
