"""Founding a network on this machine: validator key, signing record, genesis file, first state.

The genesis file is written last, because a profile counts as made when it is there (`node.profile.paths`).
"""

from __future__ import annotations

from pathlib import Path

from node.api.errors import NexusError, Refused
from node.ledger.genesis import Allocation, Founder, Genesis, GenesisError, make_genesis
from node.ledger.parameters import ParameterError
from node.profile.paths import ProfilePaths
from node.service.validator_key import create_validator_key
from node.storage import queries
from node.storage.faults import translated
from node.storage.files import write_durably
from node.storage.signing_record import SigningRecord

__all__ = ["Allocation", "found_network", "read_genesis", "write_genesis"]


def found_network(
    paths: ProfilePaths,
    preset: str,
    now_ms: int,
    allocations: tuple[Allocation, ...],
    validator_account: bytes,
    stake: int,
    name: str | None = None,
    others: tuple[Founder, ...] = (),
) -> Genesis:
    """Make this profile the first node of a new network whose validator here stakes for `validator_account`.

    Raises Refused for choices that make no lawful genesis; what was written before that is removed again.
    """
    _check_new(paths)
    written = [path for path in (paths.validator_key, paths.signing_record) if not path.exists()]
    try:
        key = create_validator_key(paths.validator_key)
        SigningRecord.create(paths.signing_record, key.public_key)
        founder = Founder(validator_account, key.public_key, stake, key.reveals.commitment)
        genesis = make_genesis(preset, now_ms, allocations, (founder, *others), name)
    except (GenesisError, ParameterError) as error:
        _remove(written)
        raise Refused(error.code, str(error)) from None
    except NexusError:
        _remove(written)
        raise
    write_genesis(paths, genesis)
    return genesis


def _check_new(paths: ProfilePaths) -> None:
    if paths.exists:
        raise Refused("profile_exists", f"The profile {paths.name!r} has a network already; nothing was changed.")


def _remove(written: list[Path]) -> None:
    for path in written:
        path.unlink(missing_ok=True)


def write_genesis(paths: ProfilePaths, genesis: Genesis) -> None:
    """Put a checked genesis into a profile that has none."""
    _check_new(paths)
    with translated(paths.genesis):
        write_durably(paths.genesis, genesis.encode())


def read_genesis(paths: ProfilePaths) -> Genesis:
    """The network of a profile. Raises Damaged where the file is missing or wrong."""
    return queries.read_genesis(paths.genesis)
