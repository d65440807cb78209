"""Made-up blocks for the storage tests; also imported by the processes those tests kill."""

from __future__ import annotations

from hashlib import blake2b

from node.storage.records import DONE, FAILED, BlockBatch, Receipt


def digest(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=32).digest()


def address(name: str) -> bytes:
    return b"\x00" + blake2b(name.encode(), digest_size=20).digest()


def make_block(height: int, payments: tuple[tuple[str, str], ...] = (), in_body: bool = True) -> BlockBatch:
    """A block whose accounts' values are just the height that wrote them last."""
    receipts = tuple(
        Receipt(
            txid=digest(f"tx {height} {position}"),
            wid=digest(f"wid {height} {position}"),
            raw=f"<{height}:{position}:{sender}>{recipient}".encode() * 4,
            status=FAILED if sender == recipient else DONE,
            reason="self_payment" if sender == recipient else "",
            fee=1_000 + position,
            touched=(address(sender), address(recipient)),
        )
        for position, (sender, recipient) in enumerate(payments)
    )
    accounts = sorted({raw for receipt in receipts for raw in receipt.touched})
    return BlockBatch(
        height=height,
        block_id=digest(f"block {height}"),
        parent_id=digest(f"block {height - 1}"),
        slot=height * 3,
        time_ms=1_000 * height,
        header=b"header %d" % height,
        body=b"body" + (b"|".join(receipt.raw for receipt in receipts) if in_body else b""),
        fees=sum(receipt.fee for receipt in receipts),
        receipts=receipts,
        changes=tuple(("accounts", raw, None, b"%d" % height) for raw in accounts),
        buckets=((height % 256, bytes([height % 256]) * 2_048),),
        epoch=height // 10,
    )
