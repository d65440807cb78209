"""Payments validated and applied a second, against raw P-256 verifications a second on the same core.

Run by hand: python tests/benchmarks/payments.py. Bars: ≥ 0.75 with 400 active accounts, ≥ 0.55 when every account
differs; an entry of the state's wave ≤ 1.5 × one SHAKE-128 of 2,048 bytes.
"""

from __future__ import annotations

import gc
import tempfile
import time
from collections.abc import Callable
from hashlib import shake_128
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from node.consensus import duties
from node.consensus.blocks import Block
from node.consensus.engine import Engine
from node.consensus.reveals import RevealChain
from node.encoding.address import raw_address
from node.encoding.amounts import UNITS_PER_NXT
from node.ledger.genesis import RULE_VERSION, Allocation, Founder, Genesis, make_genesis
from node.ledger.signatures import low_s
from node.ledger.state import Change, apply_to_waves
from node.ledger.types import TRANSFER, SignedTransaction, Transaction, transfer_payload
from node.light.waves import StateWaves
from node.service.core import batch_of
from node.storage.chain import ChainDatabase
from node.storage.records import Batch

ALGORITHM = ec.ECDSA(hashes.SHA256())
ROUNDS = 15


class Payer:
    """A key that signs payments."""

    def __init__(self, number: int) -> None:
        self.private = ec.derive_private_key(number + 1, ec.SECP256R1())
        self.key = self.private.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
        self.address = raw_address(0, self.key)
        self.nonce = 0

    def sign(self, message: bytes) -> bytes:
        r, s = utils.decode_dss_signature(self.private.sign(message, ALGORITHM))
        return low_s(r.to_bytes(32) + s.to_bytes(32))

    def pay(self, genesis: bytes, recipient: bytes) -> bytes:
        """A payment's raw bytes."""
        body = Transaction(genesis, TRANSFER, 0, self.key, self.nonce, 1 << 40, 0, transfer_payload(recipient, 1000))
        self.nonce += 1
        return body.signed(self.sign(body.signing_hash())).raw


def timed(work: Callable[[], object]) -> float:
    """Processor seconds of one call."""
    start = time.process_time()
    work()
    return time.process_time() - start


def network(payers: list[Payer], others: list[bytes]) -> tuple[Genesis, Payer, RevealChain]:
    """A network that funds everybody."""
    validator = Payer(10**6)
    reveals = RevealChain(bytes(32))
    accounts = [payer.address for payer in payers] + others
    allocations = tuple(Allocation(address, 10 * UNITS_PER_NXT, "") for address in accounts)
    founder = Founder(validator.address, validator.key, 1000 * UNITS_PER_NXT, reveals.commitment)
    return make_genesis("create", 1_000, allocations, (founder,)), validator, reveals


def raw_verifications(payers: list[Payer], transactions: list[SignedTransaction]) -> float:
    """Seconds of one P-256 verification of these payments' signatures with parsed keys and DER signatures at hand."""
    keys = {payer.key: payer.private.public_key() for payer in payers}
    signed = []
    for item in transactions:
        r, s = int.from_bytes(item.signature[:32]), int.from_bytes(item.signature[32:])
        signed.append((keys[item.body.key], utils.encode_dss_signature(r, s), item.signing_hash()))

    def work() -> None:
        for key, signature, message in signed:
            key.verify(signature, message, ALGORITHM)

    return timed(work) / len(signed)


def applied(active: int, distinct: bool, blocks: int = 3) -> tuple[float, float, list[Batch]]:
    """(seconds a payment, seconds a raw verification beside it, what must be written of its blocks).

    A payment is counted from the bytes of its block to the state, waves and commitment after it: parsing, the block's
    own checks, colouring, signatures, execution.
    """
    payers = [Payer(number) for number in range(active)]
    others = [raw_address(0, number.to_bytes(33)) for number in range(active if distinct else 0)]
    genesis, validator, reveals = network(payers, others)
    engine = Engine.begin(genesis)
    raws = []
    for number in range(blocks):
        count = 700 if not distinct else active // blocks
        chosen = payers[number * count : (number + 1) * count] if distinct else payers * 2
        targets = others[number * count :] if distinct else [payer.address for payer in reversed(payers * 2)]
        batch = [payer.pay(genesis.hash, target) for payer, target in zip(chosen[:count], targets, strict=False)]
        transactions = tuple(map(SignedTransaction.from_raw, batch))
        block = duties.make_block(engine, validator.address, number + 1, transactions, reveals.preimage, validator.sign)
        (step,) = engine.add(block, number + 1).applied
        assert len(step.receipts) == count
        raws.append((block.header_bytes, block.body(), count))
    best, raw_best = 1e9, 1e9
    max_body = genesis.parameters.max_body_bytes
    signed = [item for header, body, _ in raws for item in Block.decode(header, body, max_body).transactions]
    for _ in range(ROUNDS):
        engine = Engine.begin(genesis)
        seconds, count = 0.0, 0
        raw_best = min(raw_best, raw_verifications(payers, signed))
        batches = []
        for header, body, size in raws:
            start = time.process_time()
            progress = engine.add(Block.decode(header, body, max_body), 1 << 40)
            seconds += time.process_time() - start
            batches.append(batch_of(progress, engine))
            count += size
        best = min(best, seconds / count)
    return best, raw_best, batches


def wave_entry(numpy: bool, entries: int = 2000) -> tuple[float, float]:
    """(seconds an entry added or removed, seconds of a SHAKE-128 of 2,048 bytes)."""
    changes = [Change("accounts", number.to_bytes(21), (number, 1), (number + 1, 2)) for number in range(entries // 2)]
    waves = StateWaves(numpy=numpy)
    apply_to_waves(waves, changes)
    shake = min(timed(lambda: [shake_128(bytes(60)).digest(2048) for _ in range(1000)]) for _ in range(ROUNDS)) / 1000
    entry = min(timed(lambda: apply_to_waves(waves, changes)) for _ in range(ROUNDS)) / entries
    return entry, shake


def commit(batches: list[Batch]) -> float:
    """Seconds of writing the last of some full blocks to a database on disk."""
    with tempfile.TemporaryDirectory() as folder:
        database = ChainDatabase.open(Path(folder) / "chain.db")
        database.write_genesis(bytes(32), RULE_VERSION, (), ())
        for batch in batches:
            start = time.perf_counter()
            database.advance(batch)
            seconds = time.perf_counter() - start
        database.close()
    return seconds


def main() -> None:
    """Print all ratios."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)  # as a running node does
    for name, active, distinct, bar in (
        ("400 active accounts", 400, False, 0.75),
        ("all accounts differ", 2100, True, 0.55),
    ):
        payment, raw, batches = applied(active, distinct)
        print(f"payments, {name}: {1 / payment:,.0f}/s ÷ {1 / raw:,.0f}/s raw = {raw / payment:.2f} (bar ≥ {bar})")
        payments = len(batches[-1].applied[0].receipts)
        print(f"  commit of a block ({payments} payments): {commit(batches) * 1000:.1f} ms")
    for label, numpy in (("NumPy lanes", True), ("big integers", False)):
        entry, shake = wave_entry(numpy)
        print(
            f"wave entry, {label}: {entry * 1e6:.1f} µs ÷ {shake * 1e6:.1f} µs SHAKE = {entry / shake:.2f} (bar ≤ 1.5)"
        )


if __name__ == "__main__":
    main()
