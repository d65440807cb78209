"""What a transaction costs, by the same functions that charge it (protocol section 1)."""

from __future__ import annotations

from typing import Protocol

from node.encoding.address import KEY_SIZES, P256
from node.ledger.types import MULTI_TRANSFER, SIGNATURE_SIZES, Transaction

_FREE_BYTES = KEY_SIZES[P256] + SIGNATURE_SIZES[P256]


class FeeSchedule(Protocol):
    """Where the prices come from: a network's parameters, or `NetworkInfo`. Units."""

    @property
    def base_fee(self) -> int: ...
    @property
    def record_fee(self) -> int: ...
    @property
    def byte_fee(self) -> int: ...


def static_fee(fees: FeeSchedule, transaction: Transaction) -> int:
    """Units charged whether the operation succeeds or fails: they follow from the transaction alone.

    A base fee (for each output of a multi-transfer), a fee for every byte of key and signature beyond a P-256 one,
    and the tip.
    """
    count = len(transaction.payload[0]) if transaction.kind == MULTI_TRANSFER else 1  # type: ignore[arg-type]
    return count * fees.base_fee + signature_fee(fees, transaction.scheme) + transaction.tip


def signature_fee(fees: FeeSchedule, scheme: int) -> int:
    """Units for the bytes of a scheme's key and signature beyond a P-256 one."""
    return fees.byte_fee * (KEY_SIZES[scheme] + SIGNATURE_SIZES[scheme] - _FREE_BYTES)


def creation_fee(fees: FeeSchedule, records: int) -> int:
    """Units for account records that an operation creates; charged only where it succeeds."""
    return fees.record_fee * records
