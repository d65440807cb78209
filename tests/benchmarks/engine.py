"""Blocks through the engine, against raw P-256 verifications on the same core; memory a block; a month with pruning.

Run by hand: python tests/benchmarks/engine.py [--days 30]. Bars: blocks a second ÷ raw verifications a second ≥ 0.5 for
blocks without transactions; memory and disk flat over a month of virtual time.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from node.consensus import duties, judging
from node.consensus.blocks import Block
from node.consensus.engine import Engine
from node.consensus.merging import Merging
from node.consensus.moving import Moving
from node.consensus.reveals import RevealChain
from node.consensus.views import Views
from node.consensus.votes import Vote
from node.encoding.address import raw_address
from node.encoding.amounts import UNITS_PER_NXT
from node.ledger.genesis import Allocation, Founder, Genesis, make_genesis
from node.ledger.signatures import Verdicts, low_s
from node.ledger.types import TRANSFER, SignedTransaction, Transaction, transfer_payload
from node.service.core import batch_of
from node.service.restoring import begin_engine
from node.service.retention import Keep, Retention
from node.service.verify import verify_file
from node.storage.writer import ChainWriter

ALGORITHM = ec.ECDSA(hashes.SHA256())
VALIDATORS = 30
SLOTS = 900
ROUNDS = 5
DAY_MS = 86_400_000


class Key:
    """A P-256 key with its account."""

    def __init__(self, number: int) -> None:
        self.private = ec.derive_private_key(number + 1, ec.SECP256R1())
        self.key = self.private.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
        self.address = raw_address(0, self.key)
        self.reveals = RevealChain(number.to_bytes(32))
        self.voted = (0, 0)
        self.nonce = 0

    def sign(self, message: bytes) -> bytes:
        return self._sign(message, ALGORITHM)

    def sign_digest(self, digest: bytes) -> bytes:
        return self._sign(digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))

    def _sign(self, message: bytes, algorithm: ec.ECDSA) -> bytes:
        r, s = utils.decode_dss_signature(self.private.sign(message, algorithm))
        return low_s(r.to_bytes(32) + s.to_bytes(32))

    def vote(self, at: Engine) -> Vote | None:
        """The vote that is due, if any."""
        target = duties.target_to_vote(at, *self.voted)
        if target is None:
            return None
        self.voted = target.source.number, target.number
        return duties.make_vote(at, self.address, target, self.sign_digest)

    def pay(self, genesis: bytes, recipient: bytes) -> SignedTransaction:
        """The next payment of one unit."""
        body = Transaction(genesis, TRANSFER, 0, self.key, self.nonce, 1 << 40, 0, transfer_payload(recipient, 1))
        self.nonce += 1
        return body.signed(self.sign(body.signing_hash()))


def network(validators: int) -> tuple[Genesis, list[Key]]:
    """A network of preset main's numbers."""
    keys = [Key(number) for number in range(validators)]
    founders = tuple(Founder(key.address, key.key, 1_000 * UNITS_PER_NXT, key.reveals.commitment) for key in keys)
    allocations = tuple(Allocation(key.address, 100 * UNITS_PER_NXT, "") for key in keys)
    genesis = make_genesis("create", 1_000, allocations, founders)
    return genesis, keys


def filled(
    genesis: Genesis, keys: list[Key], slots: int, votes: bool, payments: int = 0
) -> tuple[list[tuple[bytes, bytes]], int]:
    """Every seat of so many slots filled: blocks (header, body), and the number of votes in them.

    Each block carries so many payments of its creator.
    """
    for key in keys:
        key.voted, key.nonce = (0, 0), 0
    maker = Engine.begin(genesis)
    heard: list[tuple[bytes, bytes]] = []
    cast = 0
    for slot in range(1, slots + 1):
        made = [
            duties.make_block(
                maker,
                key.address,
                slot,
                tuple(key.pay(genesis.hash, keys[0].address) for _ in range(payments)),
                key.reveals.preimage,
                key.sign,
            )
            for key in keys
            if duties.seat_of(maker, key.address, slot) is not None
        ]
        for block in made:
            maker.add(block, slot)
            heard.append((block.header_bytes, block.body()))
            cast += len(block.votes)
        if votes:
            for vote in filter(None, [key.vote(maker) for key in keys]):
                maker.add_vote(vote)
    return heard, cast


def play(genesis: Genesis, heard: list[tuple[bytes, bytes]]) -> Engine:
    """A fresh engine hears everything."""
    fresh = Engine.begin(genesis)
    fresh.awake_since = 1 << 40
    limit = genesis.parameters.max_body_bytes
    for header, body in heard:
        own = bytes(bytearray(header))  # as from a wire: the engine keeps it
        fresh.add(Block.decode(own, body, limit), 1 << 30)
    return fresh


def raw_check(key: Key) -> float:
    """Seconds of one P-256 verification with a parsed key and a DER signature at hand."""
    public, message = key.private.public_key(), bytes(32)
    signature = key.private.sign(message, ALGORITHM)
    best = 1e9
    for _ in range(ROUNDS):
        start = time.process_time()
        for _ in range(500):
            public.verify(signature, message, ALGORITHM)
        best = min(best, (time.process_time() - start) / 500)
    return best


@contextmanager
def watched(parts: Iterable[tuple[str, Any, str]]) -> Iterator[dict[str, float]]:
    """Seconds spent in functions (name, owner, attribute) inside the block; inner ones are not taken off the outer."""
    seconds = dict.fromkeys((name for name, _, _ in parts), 0.0)

    def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def inner(*arguments: Any, **named: Any) -> Any:
            start = time.process_time()
            try:
                return function(*arguments, **named)
            finally:
                seconds[name] += time.process_time() - start

        return inner

    undo = []
    for name, owner, attribute in parts:
        function = getattr(owner, attribute)
        undo.append((owner, attribute, function))
        setattr(owner, attribute, timed(name, function))
    try:
        yield seconds
    finally:
        for owner, attribute, function in undo:
            setattr(owner, attribute, function)


def speed() -> None:
    """Blocks a second, their parts, and bytes a block."""
    genesis, keys = network(VALIDATORS)
    for votes, payments in ((False, 0), (True, 0), (True, 5)):
        heard, cast = filled(genesis, keys, SLOTS, votes, payments)
        raw = best = 1e9
        for _ in range(ROUNDS):
            raw = min(raw, raw_check(keys[0]))
            start = time.process_time()
            play(genesis, heard)
            best = min(best, (time.process_time() - start) / len(heard))
        checks = 1 + cast / len(heard) + payments
        print(
            f"{len(heard)} blocks, {cast} votes, {payments} payments a block: {1 / best:,.0f}/s ÷ {1 / raw:,.0f}/s raw "
            f"= {raw / best:.2f}; signatures checked a second ÷ raw = {raw * checks / best:.2f}"
        )
        show_parts(genesis, heard)
    heard, _ = filled(genesis, keys, SLOTS, votes=True)
    gc.collect()
    tracemalloc.start()
    kept = play(genesis, heard)
    gc.collect()
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    print(f"memory: {used / len(kept.blocks):,.0f} bytes a block that is not pruned")


PARTS = (
    ("parsing", Block, "decode"),
    ("the block's own signature", judging, "verify"),
    ("wave signature", judging, "wave_signature"),
    ("parents and colouring", Merging, "judge"),
    ("signatures of transactions", Verdicts, "good"),
    ("tables and votes", Views, "advance"),
    ("fork choice", Engine, "_choose"),
    ("execution and commitment", Moving, "move"),
)


def show_parts(genesis: Genesis, heard: list[tuple[bytes, bytes]]) -> None:
    """Where the time of a block goes: each part's least of some runs."""
    least: dict[str, float] = {}
    for _ in range(ROUNDS):
        with watched(PARTS) as seconds:
            start = time.process_time()
            play(genesis, heard)
            whole = time.process_time() - start
        for name, spent in {**seconds, "the rest": whole - sum(seconds.values())}.items():
            least[name] = min(spent, least.get(name, spent))
    for name, spent in least.items():
        print(f"  {name:<28} {spent / len(heard) * 1e6:6.1f} µs")


def resident() -> int:
    """Bytes of this process in memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def month(days: int) -> None:
    """A quiet network with a payment every twenty minutes: heartbeats, and blocks until each payment is final."""
    genesis, (key,) = network(1)
    keep = Keep(bodies_ms=DAY_MS, history_ms=2 * DAY_MS)
    with tempfile.TemporaryDirectory() as folder:
        writer = await ChainWriter.open(Path(folder) / "chain.db")
        at = begin_engine(genesis, writer.database)
        retention = Retention(writer, keep, 0)
        slots_a_day = DAY_MS // genesis.parameters.slot_ms
        blocks = peak = 0
        begun = time.monotonic()
        for day in range(1, days + 1):
            for slot in range((day - 1) * slots_a_day + 1, day * slots_a_day + 1):
                due = slot % 600 == 0
                if not duties.wants_block(at, slot, due):
                    continue
                payments = (key.pay(genesis.hash, bytes(1) + key.nonce.to_bytes(20)),) if due else ()
                block = duties.make_block(at, key.address, slot, payments, key.reveals.preimage, key.sign)
                progress = [at.add(block, slot)]
                await writer.advance(batch_of(progress[0], at, retention.final_height))
                while (vote := key.vote(at)) is not None:
                    progress.append(at.add_vote(vote))
                    await writer.advance(batch_of(progress[-1], at, retention.final_height))
                for step in progress:
                    if step.final is not None:
                        await retention.finalised(at, step.final, slot)
                blocks += 1
                peak = max(peak, len(at.blocks))
            if day % max(1, days // 10) == 0:
                print(
                    f"  day {day:>3}: {resident() / 1e6:6.1f} MB in memory, "
                    f"{writer.database.size_bytes() / 1e6:6.1f} MB on disk, {len(at.blocks):>5} blocks unpruned, "
                    f"{blocks:,} made, {time.monotonic() - begun:.0f} s"
                )
        await writer.close()
        report = await asyncio.to_thread(verify_file, Path(folder) / "chain.db", genesis)
        print(f"  {blocks:,} blocks, {key.nonce:,} payments, at most {peak:,} unpruned; verifies: {report.ok}")


def main() -> None:
    """Print everything."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--days", type=int, default=30)
    days: int = arguments.parse_args().days
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)  # as a running node does
    speed()
    print(f"{days} days of virtual time, bodies kept for one day and history for two:")
    asyncio.run(month(days))


if __name__ == "__main__":
    main()
