"""Checks the signatures of a large block before the engine looks at them (architecture.md, "Signatures are 95 %").

On several threads where that is faster, which depends on the installed `cryptography` and is measured once; else in
short slices between which the loop goes on. The engine then finds the verdicts it needs. What is wrong it still finds
itself, so nothing depends on this but the time.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import NamedTuple

from node.consensus.blocks import Block
from node.consensus.engine import Engine
from node.encoding.address import P256
from node.ledger.signatures import low_s, verify, verify_transaction
from node.ledger.types import SignedTransaction
from node.profile.modes import is_android

_log = logging.getLogger("nexus.mesh")

FEW = 16
"""So many signatures the engine may check by itself: they take it a few milliseconds at most."""
_SLICE_S = 0.003
_MAX_THREADS = 8
_GAIN_PERCENT = 130
_PROBES, _ROUNDS = 64, 4  # fewer tell more of waking a thread than of its work


class Measured(NamedTuple):
    """The speed of two threads in percent of one's, and how many to use: 1 for none beside the loop's."""

    percent: int
    threads: int


class Ahead:
    """The threads of one node, if they are of use; they end with `close`."""

    def __init__(self, threads: int | None = None) -> None:
        """`threads`: instead of as many as were measured to be of use."""
        self._threads = threads
        self._pool: ThreadPoolExecutor | None = None

    async def check(self, engine: Engine, block: Block, now: int) -> None:
        """Let the engine know which signatures of a block that came in slot `now` are good."""
        if len(block.transactions) <= FEW or len(waiting := engine.unchecked(block, now)) <= FEW:
            return
        if self._threads is None:
            found = await asyncio.to_thread(measured)
            self._threads = found.threads
            _log.info("signatures of blocks: %s", words(found))
        if self._threads > 1:
            await self._on_threads(engine, waiting, self._threads)
        else:
            await _in_slices(engine, waiting)

    def close(self) -> None:
        """What has not begun never does; nobody waits for the rest."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None

    async def _on_threads(self, engine: Engine, waiting: Sequence[SignedTransaction], threads: int) -> None:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(threads, "signatures")
        loop, size = asyncio.get_running_loop(), -(-len(waiting) // threads)
        parts = [waiting[at : at + size] for at in range(0, len(waiting), size)]
        for good in await asyncio.gather(*(loop.run_in_executor(self._pool, _good, part) for part in parts)):
            engine.note_signed(good)


def _good(transactions: Sequence[SignedTransaction]) -> Sequence[SignedTransaction]:
    """Those before the first with a bad signature: the block is refused for that one."""
    for at, transaction in enumerate(transactions):
        if not verify_transaction(transaction):
            return transactions[:at]
    return transactions


async def _in_slices(engine: Engine, waiting: Sequence[SignedTransaction]) -> None:
    ends = time.perf_counter() + _SLICE_S
    for transaction in waiting:
        if not verify_transaction(transaction):
            return
        engine.note_signed((transaction,))
        if time.perf_counter() >= ends:
            await asyncio.sleep(0)
            ends = time.perf_counter() + _SLICE_S


@lru_cache(maxsize=1)
def measured() -> Measured:
    """Whether threads check signatures faster here. Takes less than a tenth of a second the first time."""
    cores = _cores()
    if cores < 2 or is_android():  # a phone's cores sleep, and what wakes them drains it
        return Measured(100, 1)
    check = _probe()
    alone, both = [], []
    with ThreadPoolExecutor(2) as pool:

        def twice() -> None:
            for one in (pool.submit(check), pool.submit(check)):
                one.result()

        twice()  # the threads begin
        for _ in range(_ROUNDS):  # in turns, so that other load meets both
            alone.append(_taken(lambda: (check(), check())))
            both.append(_taken(twice))
    percent = min(alone) * 100 // max(min(both), 1)
    return Measured(percent, min(cores, _MAX_THREADS) if percent >= _GAIN_PERCENT else 1)


def words(found: Measured) -> str:
    """What was measured, for the log and for `nexus doctor`."""
    if found.threads > 1:
        return f"checked on {found.threads} threads (two are {found.percent} % as fast as one)"
    return f"checked on one thread, in short slices (two would be {found.percent} % as fast)"


def _cores() -> int:
    """Those that this process may use."""
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed is not None else os.cpu_count() or 1


def _probe() -> Callable[[], bool]:
    """A check of some signatures."""
    from cryptography.hazmat.primitives.asymmetric import ec, utils
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    private = ec.generate_private_key(ec.SECP256R1())
    key = private.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    message = bytes(32)
    r, s = utils.decode_dss_signature(private.sign(message, ec.ECDSA(SHA256())))
    signature = low_s(r.to_bytes(32) + s.to_bytes(32))

    def check() -> bool:
        return all(verify(P256, key, message, signature) for _ in range(_PROBES))

    check()  # the key is parsed once
    return check


def _taken(work: Callable[[], object]) -> int:
    begun = time.perf_counter_ns()
    work()
    return time.perf_counter_ns() - begun
