"""Transactions: what an account signs (protocol sections 1 and 2).

Body = [genesis hash, kind, scheme, key, nonce, expiry slot, tip, payload]; a signed transaction = [body, signature].
txid = tagged hash of the body, wid = tagged hash of the whole: signatures are malleable, so once-only execution goes
by txid, and the verdict on a signature by wid.
"""

from __future__ import annotations

from typing import NamedTuple

from node.encoding.address import KEY_SIZES, ML_DSA_65, P256, raw_address
from node.encoding.amounts import SUPPLY
from node.encoding.canonical import EncodingError, Value, decode, encode
from node.encoding.hashing import tagged_hash

TRANSFER, MULTI_TRANSFER = 1, 2
EVIDENCE = 16
SIGNATURE_SIZES = {P256: 64, ML_DSA_65: 3309}
MAX_TRANSACTION = 32 * 1024
MAX_MEMO_BYTES = 256
MAX_OUTPUTS = 256
_MAX_SLOT = 1 << 48
_FIELD_TYPES = (bytes, int, int, bytes, int, int, int, tuple)


class TransactionError(ValueError):
    """A transaction whose bytes alone show that it can never be valid. `code` names the rule."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Transaction(NamedTuple):
    """The unsigned body."""

    genesis: bytes
    kind: int
    scheme: int
    key: bytes
    nonce: int
    expiry: int
    tip: int
    payload: tuple[Value, ...]

    def encoded(self) -> bytes:
        """Canonical bytes; EncodingError when a field has none."""
        return encode(tuple(self))

    @property
    def sender(self) -> bytes:
        """Raw address of the account that pays and signs."""
        return raw_address(self.scheme, self.key)

    @property
    def txid(self) -> bytes:
        """Tagged hash of the body: the name under which it executes once."""
        return _txid(self.encoded())

    def signing_hash(self) -> bytes:
        """The 32 bytes that the account's key signs."""
        return signing_hash(self.genesis, self.encoded())

    def signed(self, signature: bytes) -> SignedTransaction:
        """With a signature over `signing_hash()`. Raises TransactionError as `SignedTransaction.from_raw` does."""
        return SignedTransaction.from_raw(encode((tuple(self), signature)))


def signing_hash(genesis: bytes, body: bytes) -> bytes:
    """H(tag ‖ genesis hash ‖ encoded body)."""
    return tagged_hash(b"nexus/tx/sign", genesis, body)


def _txid(body: bytes) -> bytes:
    return tagged_hash(b"nexus/txid", body)


class SignedTransaction:
    """A transaction of good form with its signature, not yet verified. Made by `from_raw` alone."""

    __slots__ = ("_sender", "_txid", "_wid", "body", "body_bytes", "raw", "signature")

    def __init__(self, raw: bytes, body: Transaction, body_bytes: bytes, signature: bytes) -> None:
        self.raw = raw
        self.body = body
        self.body_bytes = body_bytes
        self.signature = signature
        self._sender: bytes | None = None
        self._txid: bytes | None = None
        self._wid: bytes | None = None

    @property
    def txid(self) -> bytes:
        """Tagged hash of the body: the name under which it executes once."""
        if self._txid is None:
            self._txid = _txid(self.body_bytes)
        return self._txid

    @property
    def wid(self) -> bytes:
        """Tagged hash of body and signature."""
        if self._wid is None:
            self._wid = tagged_hash(b"nexus/wid", self.raw)
        return self._wid

    @property
    def sender(self) -> bytes:
        """Raw address of the account that pays and signs."""
        if self._sender is None:
            self._sender = raw_address(self.body.scheme, self.body.key)
        return self._sender

    def signing_hash(self) -> bytes:
        """The 32 bytes that `signature` must sign."""
        return signing_hash(self.body.genesis, self.body_bytes)

    @classmethod
    def from_raw(cls, raw: bytes) -> SignedTransaction:
        """Parse at most 32 KiB from outside. Raises TransactionError, naming the field that is wrong.

        The payload is checked by the module that owns the kind (`node.ledger.registry.check_payload`).
        """
        try:
            value = decode(raw, MAX_TRANSACTION)
        except EncodingError as error:
            raise TransactionError("bad_encoding", f"The transaction's bytes are not canonical: {error}") from None
        if type(value) is not tuple or len(value) != 2:
            raise _form("it is not a pair of body and signature")
        fields, signature = value
        if type(fields) is not tuple or tuple(map(type, fields)) != _FIELD_TYPES or type(signature) is not bytes:
            raise _form("the fields of its body are not those of a transaction, or its signature is not bytes")
        body = Transaction._make(fields)
        key_size = KEY_SIZES.get(body.scheme)
        if key_size is None:
            raise TransactionError("unknown_scheme", f"Signature scheme {body.scheme} is not known.")
        if len(body.genesis) != 32:
            raise _form("its genesis hash does not have 32 bytes")
        if len(body.key) != key_size or len(signature) != SIGNATURE_SIZES[body.scheme]:
            raise _form("its key or its signature has a wrong length")
        if body.expiry >= _MAX_SLOT or body.tip > SUPPLY:
            raise _form("its expiry is no slot, or its tip is no amount")
        head = 2 if len(signature) < 256 else 3  # MessagePack's head of `bin` before the signature
        return cls(raw, body, raw[1 : len(raw) - len(signature) - head], signature)


def _form(what: str) -> TransactionError:
    return TransactionError("bad_form", f"The transaction is malformed: {what}.")


def transfer_payload(recipient: bytes, amount: int, memo: str = "") -> tuple[Value, ...]:
    """Payload of a TRANSFER: raw address, units, open memo."""
    return (recipient, amount, memo)


def multi_transfer_payload(outputs: tuple[tuple[bytes, int], ...], memo: str = "") -> tuple[Value, ...]:
    """Payload of a MULTI_TRANSFER: 1 to 256 pairs of raw address and units, and an open memo."""
    return (outputs, memo)


__all__ = [
    "EVIDENCE",
    "MAX_MEMO_BYTES",
    "MAX_OUTPUTS",
    "MAX_TRANSACTION",
    "MULTI_TRANSFER",
    "SIGNATURE_SIZES",
    "TRANSFER",
    "SignedTransaction",
    "Transaction",
    "TransactionError",
    "multi_transfer_payload",
    "signing_hash",
    "transfer_payload",
]
