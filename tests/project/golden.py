"""Golden digests: what every machine must compute to the bit (protocol section 0, law 1). Prints one JSON document.

    python golden.py [HISTORY]

HISTORY is a file of blocks and votes that history.py made; with it the state after all of them is digested too.
Beside the standard library this needs `msgpack`, NumPy, and `cryptography` for HISTORY: nothing that a bare Python of
another machine lacks. test_bit_exact.py runs it under several. To renew golden.json after a rule has changed:

    python tests/project/golden.py > tests/project/golden.json
"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import msgpack

from node.consensus.blocks import Block, BlockError
from node.consensus.engine import Engine
from node.consensus.ghostdag import colour
from node.consensus.votes import Vote
from node.encoding.address import ML_DSA_65
from node.encoding.canonical import decode, encode
from node.ledger.genesis import Genesis
from node.ledger.signatures import Verdicts, supports_ml_dsa
from node.ledger.state import waves_of
from node.ledger.types import SignedTransaction, TransactionError
from node.light.maxwell import CELLS, MASK, at_rest, mix, unmix
from node.light.orbits import MESSAGES, ORBITS, air_line, message_price, orbit_price, vacuum_line
from node.light.signature import wave_signature
from node.light.waves import BUCKETS, StateWaves, superpose, wave


class Digest:
    """SHA-256 over values as text: integers, bytes, strings and tuples of them, each ended by a line feed."""

    def __init__(self) -> None:
        self._hash = sha256()

    def add(self, *values: Any) -> None:
        for value in values:
            assert type(value) in (int, bytes, str, tuple, bool), type(value)
            self._hash.update(repr(value).encode() + b"\n")

    def __str__(self) -> str:
        return self._hash.hexdigest()


def draws(seed: str) -> Iterator[int]:
    """An endless row of numbers of 64 bits: the same in every Python, which `random` does not promise."""
    count = 0
    while True:
        block = sha256(f"{seed}/{count}".encode()).digest()
        yield from (int.from_bytes(block[at : at + 8], "little") for at in range(0, 32, 8))
        count += 1


def waves() -> dict[str, str]:
    """A state that grows and shrinks, by big integers and by NumPy, which must agree."""
    import numpy

    assert numpy.__version__, "the second way must not be the first in disguise"
    found = {}
    for name, by_numpy in (("integers", False), ("numpy", True)):
        state, numbers, digest = StateWaves(numpy=by_numpy), draws("waves"), Digest()
        entries = [(next(numbers) % BUCKETS, next(numbers).to_bytes(8)) for _ in range(1_200)]
        for start in range(0, 1_200, 400):
            state.update(entries[start : start + 400], entries[max(0, start - 300) : start])
            digest.add(state.commitment, state.state_wave)
        digest.add(*(state[bucket] for bucket in range(BUCKETS)))
        found[f"waves by {name}"] = str(digest)
    digest = Digest()
    several = [wave(bytes([number])) for number in range(50)]
    digest.add(superpose(several[0], several[1:30], several[20:]))
    return {**found, "superposition": str(digest)}


def maxwell() -> dict[str, str]:
    """The mix forwards and backwards in every region."""
    digest, numbers = Digest(), draws("maxwell")
    for region in range(6):
        start = at_rest([0, *(next(numbers) for _ in range(CELLS - 2)), 0])
        end = mix(start, region)
        assert unmix(end, region) == start
        assert all(0 <= word <= MASK for part in end for word in part)
        digest.add(*map(tuple, end))
    return {"maxwell": str(digest)}


def signatures() -> dict[str, str]:
    """Wave signatures of headers of all lengths in every region."""
    digest = Digest()
    for length in range(0, 600, 23):
        for region in range(6):
            digest.add(tuple(wave_signature(bytes(range(256)) * 2 + bytes(length), region, length % 60, length)))
    return {"signatures": str(digest)}


def prices() -> dict[str, str]:
    """Prices of messages and events, and hydrogen's lines in whole picometres."""
    digest, numbers = Digest(), draws("prices")
    digest.add(*(orbit_price(orbit) for orbit in ORBITS))
    for _ in range(500):
        orbit = MESSAGES[next(numbers) % 4]
        digest.add(message_price(orbit, 100_000 + next(numbers) % 1_000_000, 1 + next(numbers) % 5_000))
    lines = Digest()
    for upper in range(3, 20):
        lines.add(int(vacuum_line(upper, 2)), int(air_line(upper, 2)))
    return {"prices": str(digest), "lines": str(lines)}


def ghostdag() -> dict[str, str]:
    """The colouring of a DAG of 1,200 blocks of unequal weight, by a narrow and by a wide k."""
    numbers, children = draws("ghostdag"), dict[int, list[int]]()
    dag: list[tuple[bytes, list[bytes], int]] = [(sha256(b"root").digest(), [], 1)]
    for number in range(1, 1_200):
        seen = max(1, number - next(numbers) % 14)  # a maker has not heard the newest blocks yet
        tips = [at for at in range(seen) if not any(child < seen for child in children.get(at, ()))]
        parents = tips[-1 - next(numbers) % 8 :]
        for parent in parents:
            children.setdefault(parent, []).append(number)
        name = sha256(b"block" + number.to_bytes(2)).digest()
        dag.append((name, [dag[parent][0] for parent in parents], 1 + next(numbers) % 5))
    found = {}
    for k in (3, 18):
        digest = Digest()
        for name, answer in colour(dag, k).items():
            digest.add(name, tuple(answer))
        found[f"ghostdag k={k}"] = str(digest)
    return found


class Told(Verdicts):
    """Where the library cannot check ML-DSA, the history is believed that its signatures of this kind are good.

    Not what they are worth is compared here, but what follows from them.
    """

    def good(self, transaction: SignedTransaction) -> bool:
        return transaction.body.scheme == ML_DSA_65 or super().good(transaction)


def states(history: Path) -> dict[str, Any]:
    """An engine that hears a history: what it made of each block, and its whole state in the end."""
    genesis, heard = msgpack.unpackb(history.read_bytes(), use_list=False)
    engine = Engine.begin(Genesis.decode(genesis), verdicts=None if supports_ml_dsa() else Told(), numpy=False)
    chain, receipts, finals, events = Digest(), Digest(), Digest(), Counter[str]()
    for slot, header, body, vote in heard:
        try:
            if vote:
                progress = engine.add_vote(Vote.from_value(decode(vote, len(vote))))
            else:
                progress = engine.add(Block.decode(header, body, engine.parameters.max_body_bytes), slot)
        except (BlockError, TransactionError) as error:
            chain.add(error.code)
            events[error.code] += 1
            continue
        for item in progress.added:
            coloured = item.coloured
            chain.add("added", item.id, coloured.score, coloured.work, coloured.blues, coloured.reds)
        for item in progress.disqualified:
            chain.add("disqualified", item.id)
        for undone in progress.undone:
            chain.add("undone", undone.block.id)
        for step in progress.applied:
            chain.add("applied", step.block.id, tuple(sorted(step.buckets)), step.fees)
            for accepted in (*step.receipts, *step.skipped):
                receipt = accepted.receipt
                receipts.add(accepted.carrier, receipt.transaction.txid, receipt.status, receipt.reason, receipt.fee)
        events["blocks"] += len(progress.added)
        events["reds"] += sum(len(item.coloured.reds) for item in progress.added)
        events["undone"] += len(progress.undone)
        events["disqualified"] += len(progress.disqualified)
        events.update(item.receipt.status for step in progress.applied for item in (*step.receipts, *step.skipped))
        if progress.final is not None:
            events["final"] += 1
            finals.add(tuple(progress.final.checkpoint), progress.final.hash)
    rows = Digest()
    for table in sorted(engine.state.tables):
        for key, record in sorted(engine.state.tables[table].items()):
            rows.add(table, key, encode(record))
    by_numpy = waves_of(engine.state, numpy=True)
    assert by_numpy.commitment == engine.waves.commitment, "the waves kept up with the state"
    return {
        "events": dict(sorted(events.items())),
        "chain": str(chain),
        "receipts": str(receipts),
        "final": str(finals),
        "state": str(rows),
        "commitment": engine.waves.commitment.hex(),
        "tip": f"{engine.tip.height} {engine.tip.id.hex()}",
    }


def main(arguments: list[str]) -> None:
    """Print the digests, and where they were made, which is not compared."""
    rules: dict[str, str] = {}
    for part in (waves, maxwell, signatures, prices, ghostdag):
        rules.update(part())
    document: dict[str, Any] = {"rules": rules}
    if arguments:
        document["states"] = states(Path(arguments[0]))
        document["where"] = {
            "machine": platform.machine(),
            "python": platform.python_version(),
            "hash seed": os.environ.get("PYTHONHASHSEED", ""),
        }
    print(json.dumps(document, indent=2))


if __name__ == "__main__":
    main(sys.argv[1:])
