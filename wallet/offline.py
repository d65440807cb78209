"""Transactions as files: built here, signed on a device without a network, submitted here.

Both files are JSON with the transaction's bytes in hexadecimal. Everything that is shown comes from those bytes, never
from what else a file may say; a checksum (the txid) finds a file that was cut or mistyped.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from node.api.errors import Damaged, Refused
from node.api.records import NetworkInfo, Output
from node.encoding.address import P256, Address
from node.encoding.canonical import EncodingError, Value, decode, encode
from node.ledger.quotes import static_fee
from node.ledger.types import (
    MAX_TRANSACTION,
    SIGNATURE_SIZES,
    SignedTransaction,
    Transaction,
    TransactionError,
)
from wallet.files import folder_lock, parse_object, read_bounded, write_atomic
from wallet.payments import PaymentPlan, outputs_of, sign
from wallet.signing import Signer, verify_p256

UNSIGNED, SIGNED, VERSION = "nexus-unsigned-transaction", "nexus-signed-transaction", 1
MAX_FILE = 4 * MAX_TRANSACTION
_WHAT = {UNSIGNED: "an unsigned Nexus transaction", SIGNED: "a signed Nexus transaction"}


@dataclass(frozen=True, slots=True)
class TransactionSummary:
    """What a signature would do, read from the bytes to be signed. `fee` is None where the prices are not known."""

    txid: bytes
    genesis: bytes
    sender: bytes
    outputs: tuple[Output, ...]
    memo: str
    amount: int
    tip: int
    fee: int | None
    nonce: int
    expiry: int


def summary(transaction: Transaction, info: NetworkInfo | None = None) -> TransactionSummary:
    """What to show before signing or submitting. Raises `Refused` for what is no payment."""
    outputs, memo = outputs_of(transaction)
    return TransactionSummary(
        transaction.txid,
        transaction.genesis,
        transaction.sender,
        outputs,
        memo,
        sum(output.amount for output in outputs),
        transaction.tip,
        None if info is None else static_fee(info, transaction),
        transaction.nonce,
        transaction.expiry,
    )


def unsigned_file(plan: PaymentPlan) -> bytes:
    """The file of a plan, to be signed elsewhere."""
    return _file(UNSIGNED, plan.transaction.encoded(), plan.transaction.txid)


def signed_file(transaction: SignedTransaction) -> bytes:
    """The file of a signed transaction, to be submitted."""
    return _file(SIGNED, transaction.raw, transaction.txid)


def read_unsigned(path: Path, info: NetworkInfo | None = None) -> Transaction:
    """The body in a file. `info` is the network it must belong to, where that is known on this device.

    Raises `Refused` (not_found, wrong_file, other_network, bad_…) or `Damaged`.
    """
    data, txid = _read(path, UNSIGNED)
    try:
        body = decode(data, MAX_TRANSACTION)
    except EncodingError as error:
        raise _broken(path, str(error)) from None
    # The parser of signed transactions checks every field; the signature's place is filled for it.
    transaction = _parse(path, encode((body, bytes(_signature_size(body))))).body
    _check(path, transaction, txid, info)
    return transaction


def sign_file(path: Path, signer: Signer, info: NetworkInfo | None = None) -> SignedTransaction:
    """Sign the body in a file; show `summary` of `read_unsigned` first. Raises as these and `Locked`."""
    return sign(read_unsigned(path, info), signer)


def read_signed(path: Path, info: NetworkInfo | None = None) -> SignedTransaction:
    """The signed transaction in a file, its signature checked. Raises as `read_unsigned`, and (bad_signature)."""
    data, txid = _read(path, SIGNED)
    signed = _parse(path, data)
    _check(path, signed.body, txid, info)
    if signed.body.scheme == P256 and not verify_p256(signed.body.key, signed.signing_hash(), signed.signature):
        raise Refused("bad_signature", f"The signature in {path} does not fit the transaction.", hint="Sign it again.")
    return signed


def write_file(path: Path, data: bytes) -> None:
    """Write one of the files, 0600. Raises `Refused` (file_exists), `Damaged` (disk_full, not_writable)."""
    with folder_lock(path.parent):
        if path.exists() or path.is_symlink():
            raise Refused("file_exists", f"There is already a file {path}; it was left as it is.")
        write_atomic(path, data)


def _file(kind: str, data: bytes, txid: bytes) -> bytes:
    document = {"format": kind, "version": VERSION, "txid": txid.hex(), "transaction": data.hex()}
    return json.dumps(document, indent=1).encode() + b"\n"


def _read(path: Path, kind: str) -> tuple[bytes, bytes]:
    """(transaction's bytes, txid as the file has it)."""
    document = parse_object(read_bounded(path, MAX_FILE, _WHAT[kind]), path, _WHAT[kind])
    found = document.get("format")
    if found != kind:
        other = next((what for name, what in _WHAT.items() if name == found), "something else")
        raise Refused("wrong_file", f"{path} is {other}, not {_WHAT[kind]}.")
    if document.get("version") != VERSION:
        raise Refused("newer_version", f"{path} was written by another version of Nexus.")
    try:
        return bytes.fromhex(str(document["transaction"])), bytes.fromhex(str(document["txid"]))
    except (KeyError, ValueError):
        raise _broken(path, "its bytes are not hexadecimal") from None


def _signature_size(body: Value) -> int:
    scheme = body[2] if isinstance(body, tuple) and len(body) > 2 else None
    return SIGNATURE_SIZES.get(scheme, 64) if isinstance(scheme, int) else 64


def _parse(path: Path, raw: bytes) -> SignedTransaction:
    try:
        return SignedTransaction.from_raw(raw)
    except TransactionError as error:
        raise _broken(path, str(error)) from None


def _check(path: Path, transaction: Transaction, txid: bytes, info: NetworkInfo | None) -> None:
    if transaction.txid != txid:
        raise _broken(path, "its checksum does not fit")
    if info is not None and transaction.genesis != info.genesis:
        raise Refused(
            "other_network",
            f"The transaction in {path} belongs to another network than this profile ({info.name}).",
            hint="Choose the profile of its network.",
        )
    outputs_of(transaction)


def _broken(path: Path, reason: str) -> Damaged:
    return Damaged(
        "damaged_transaction",
        f"{path} cannot be used: {reason}. Nothing was signed or sent.",
        hint="Copy the file again, or build it anew.",
    )


def sender_text(transaction: Transaction, prefix: str) -> str:
    """The sender's address as people write it."""
    return Address.from_raw(transaction.sender).text(prefix)
