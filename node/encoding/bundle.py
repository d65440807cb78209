"""Key bundles: the keys with which others seal messages for an account (protocol section 9).

An account publishes one at least weekly, on chain and in its contact card. Versions only rise. What a bundle says
is signed by the account; whose it is follows from the key that signed.
"""

from __future__ import annotations

from typing import NamedTuple, cast

from node.encoding.address import KEY_SIZES, Address
from node.encoding.canonical import EncodingError, Value, decode, pack
from node.encoding.hashing import tagged_hash
from node.encoding.message import MLKEM768_X25519, MLKEM1024_P384, P256, P384, P521

PUBLIC_SIZES = {P256: 65, P384: 97, P521: 133, MLKEM768_X25519: 1_184 + 32, MLKEM1024_P384: 1_568 + 97}
"""Bytes of a public key of each kind: points uncompressed, ML-KEM before its partner."""
MAX_BUNDLE = 8 << 10
INBOX_SIZE = 32
MAX_SECONDS = 400 * 86_400
"""The longest time that a bundle may be good for."""
_MAX_TIME = 1 << 40  # Unix seconds
_MAX_VERSION = 1 << 32
_MAX_SIGNATURE = 4_096


class BundleError(ValueError):
    """Bytes that are no bundle; `code` names the rule."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Bundle(NamedTuple):
    """`inbox` is an Ed25519 key that signs receipts; `keys` are (kind of KEM, public key), the kinds ascending; it is
    good from `not_before` to `not_after`, in Unix seconds."""

    version: int
    inbox: bytes
    keys: tuple[tuple[int, bytes], ...]
    not_before: int
    not_after: int

    def value(self) -> Value:
        """The bundle as it stands in a transaction and under its signature."""
        return tuple(self)

    def signing_hash(self, genesis: bytes) -> bytes:
        """What the account signs: good on its own network alone."""
        return tagged_hash(b"nexus/bundle", genesis, pack(self.value()))

    def key(self, kem: int) -> bytes | None:
        """The public key of a kind, where there is one."""
        return dict(self.keys).get(kem)

    @classmethod
    def from_value(cls, value: Value) -> Bundle:
        """A bundle from a decoded value. Raises BundleError; whether its keys are points, only their use shows."""
        if type(value) is not tuple or tuple(map(type, value)) != (int, bytes, tuple, int, int):
            raise _form("it has other fields")
        found = cls._make(cast("tuple[int, bytes, tuple[tuple[int, bytes], ...], int, int]", value))
        if not 0 < found.version < _MAX_VERSION or len(found.inbox) != INBOX_SIZE:
            raise _form("its version or its inbox key cannot be")
        if not found.keys or any(not _is_key(item) for item in found.keys):
            raise _form("a key in it is of no known kind, or of a wrong length")
        kinds = [kind for kind, _ in found.keys]
        if kinds != sorted(set(kinds)):
            raise _form("its keys are not in order, one of a kind")
        if not found.not_before < found.not_after <= min(found.not_before + MAX_SECONDS, _MAX_TIME):
            raise _form("the time it is good for is none, or too long")
        return found


class SignedBundle(NamedTuple):
    """A bundle with the account's key and signature, not yet verified (`wallet.bundles`)."""

    bundle: Bundle
    scheme: int
    key: bytes
    signature: bytes

    @property
    def address(self) -> Address:
        """Whose it is, if the signature is good."""
        return Address.from_key(self.scheme, self.key)

    def encoded(self) -> bytes:
        """The bytes of a contact card and of a transaction."""
        return pack((self.bundle.value(), self.scheme, self.key, self.signature))

    @property
    def hash(self) -> bytes:
        """What the state keeps of it, without the signature: there are many good ones of one bundle."""
        return tagged_hash(b"nexus/bundle-id", pack((self.bundle.value(), self.scheme, self.key)))

    @classmethod
    def decode(cls, data: bytes) -> SignedBundle:
        """A signed bundle from outside. Raises BundleError."""
        try:
            value = decode(data, MAX_BUNDLE)
        except EncodingError as error:
            raise _form(str(error)) from None
        if type(value) is not tuple or tuple(map(type, value)) != (tuple, int, bytes, bytes):
            raise _form("it is not a bundle with a key and a signature")
        fields, scheme, key, signature = cast("tuple[Value, int, bytes, bytes]", value)
        if KEY_SIZES.get(scheme) != len(key) or len(signature) > _MAX_SIGNATURE:
            raise BundleError("unknown_scheme", "The key bundle is signed in a way that is not known here.")
        return cls(Bundle.from_value(fields), scheme, key, signature)


def _is_key(item: object) -> bool:
    if type(item) is not tuple or tuple(map(type, item)) != (int, bytes):
        return False
    kind, key = item
    return PUBLIC_SIZES.get(kind) == len(key)


def _form(what: str) -> BundleError:
    return BundleError("bad_form", f"The key bundle is malformed: {what}.")
