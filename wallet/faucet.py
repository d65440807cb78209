"""The faucet's key of a solo or demo profile: a plain private key in a 0600 file.

Its money is play money, given out by `nexus wallet faucet` without a passphrase. Nothing else is ever kept like this.
"""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path

from node.api.errors import Damaged, Refused
from wallet.derivation import ORDER
from wallet.files import folder_lock, read_json, write_atomic
from wallet.secret import Secret
from wallet.signing import P256Signer

FORMAT, VERSION = "nexus-faucet-key", 1
_MAX_FILE = 4096


def create_faucet(path: Path) -> P256Signer:
    """Make the key. Raises `Refused` (faucet_exists), `Damaged` (disk_full, not_writable)."""
    private = Secret((secrets.randbelow(ORDER - 1) + 1).to_bytes(32))
    with folder_lock(path.parent):
        if os.path.lexists(path):
            raise Refused("faucet_exists", f"There is already a faucet key {path}; it was left as it is.")
        write_atomic(path, _document(private))
    return P256Signer(private)


def open_faucet(path: Path) -> P256Signer:
    """The faucet's signer. Raises `Refused` (no_faucet) where the profile has none, `Damaged` for a bad file."""
    if not os.path.lexists(path):
        raise Refused(
            "no_faucet",
            "This profile has no faucet: only solo and demo networks give money away.",
            hint="Ask someone on this network to send you some.",
        )
    document = read_json(path, _MAX_FILE, "a faucet key")
    private = _private(document.pop("private_key", None))
    if document != {"format": FORMAT, "version": VERSION} or private is None:
        raise Damaged("damaged_faucet", f"{path} is no faucet key. It was left as it is.")
    return P256Signer(private)


def _document(private: Secret) -> Secret:
    fields = {"format": FORMAT, "version": VERSION, "private_key": private.reveal().hex()}
    return Secret(json.dumps(fields).encode())


def _private(value: object) -> Secret | None:
    if not isinstance(value, str) or len(value) != 64 or not set(value) <= set("0123456789abcdef"):
        return None
    return Secret(bytes.fromhex(value)) if 0 < int(value, 16) < ORDER else None
