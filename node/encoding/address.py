"""Addresses: where NXT can be sent (protocol section 2).

An address is a version byte and a tagged hash of version and key, written in bech32m under the network's prefix:
version 0 is a P-256 account (BLAKE2b-160 of the 33-byte compressed key), 1 an ML-DSA-65 account (BLAKE2b-256 of the
raw 1,952-byte key), 2 a multisig policy (BLAKE2b-256 of its encoding). The ledger holds the raw form.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from node.encoding import bech32m
from node.encoding.hashing import tagged_hash

P256, ML_DSA_65, MULTISIG = 0, 1, 2
MAIN_PREFIX, TEST_PREFIX = "nxt", "tnxt"
DIGEST_SIZES = {P256: 20, ML_DSA_65: 32, MULTISIG: 32}
KEY_SIZES = {P256: 33, ML_DSA_65: 1952}
_TAG = b"nexus/address"


class AddressError(ValueError):
    """Text or bytes that are no address here; the message says what is wrong with it."""

    code = "bad_address"


@lru_cache(maxsize=4096)  # an active account's address is asked for with each of its transactions
def raw_address(version: int, key: bytes) -> bytes:
    """The ledger's form of the address of `key`: the version byte, then the digest."""
    head = bytes((version,))
    return head + tagged_hash(_TAG, head, key, size=DIGEST_SIZES[version])


@dataclass(frozen=True, slots=True, order=True)
class Address:
    """One address, free of any network's prefix."""

    version: int
    digest: bytes

    def __post_init__(self) -> None:
        if self.version not in DIGEST_SIZES:
            raise AddressError(f"Address version {self.version} is not known here; is this program too old?")
        if len(self.digest) != DIGEST_SIZES[self.version]:
            raise AddressError(
                f"An address of version {self.version} has {DIGEST_SIZES[self.version]} bytes, not {len(self.digest)}."
            )

    @property
    def raw(self) -> bytes:
        """Version byte and digest: the form in the ledger."""
        return bytes((self.version,)) + self.digest

    def text(self, prefix: str) -> str:
        """The form for people, `prefix` being the network's ("nxt" or "tnxt")."""
        return bech32m.encode(prefix, self.raw)

    @classmethod
    def from_raw(cls, raw: bytes) -> Address:
        """Raises AddressError unless `raw` is an address of a known version."""
        if not raw:
            raise AddressError("An address cannot be empty.")
        return cls(raw[0], raw[1:])

    @classmethod
    def from_key(cls, version: int, key: bytes) -> Address:
        """The address of a public key (versions 0 and 1) or of an encoded policy (version 2)."""
        if version not in DIGEST_SIZES or len(key) != KEY_SIZES.get(version, len(key)):
            raise AddressError("This is no key of an address version that is known here.")
        return cls.from_raw(raw_address(version, key))

    @classmethod
    def parse(cls, text: str, prefix: str) -> Address:
        """The address written in `text`, which must belong to the network with `prefix`."""
        text = text.strip()
        try:
            found, payload = bech32m.decode(text)
        except bech32m.Bech32Error as error:
            shown = text if len(text) <= bech32m.MAX_TEXT else text[:24] + "…"
            raise AddressError(f"{shown!r} is not an address: {error}.") from None
        if found != prefix:
            network = {MAIN_PREFIX: "the main network", TEST_PREFIX: "a test or private network"}.get(found)
            whose = f"an address of {network}" if network else f"an address of another system ({found!r})"
            raise AddressError(f"This is {whose}; here addresses begin with {prefix}1.")
        return cls.from_raw(payload)
