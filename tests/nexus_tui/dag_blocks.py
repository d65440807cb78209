"""A made-up DAG: six regions, two seats a slot, blocks that came late and are red, a fork, a finality line."""

from __future__ import annotations

import hashlib
import random
from dataclasses import replace

from node.api.records import (
    AcceptedView,
    CheckpointView,
    DagBlockSummary,
    DagBlockView,
    DagView,
    FinalityView,
    RegionShare,
    ValidatorView,
    VoteView,
    WaveView,
)

REGIONS = ("Violet", "Blue", "Green", "Yellow", "Orange", "Red")
START_MS = 1_763_118_000_000  # 2025-11-14 11:00:00 UTC
SLOT_MS = 200
FIRST_SLOT, FIRST_HEIGHT = 17_000, 1_179
GAPS = (1, 1, 1, 2, 1, 4)


def block_id(number: int) -> bytes:
    return hashlib.sha256(b"block %d" % number).digest()


def creator(number: int) -> bytes:
    return bytes([0]) + bytes([0xA0 + number]) * 20


class Dag:
    """Grows block by block from a seed; `late` blocks know only what was there three blocks before."""

    def __init__(self, count: int = 60, seed: int = 21, late: float = 0.2) -> None:
        self._random = random.Random(seed)
        self._late = late
        self._slot = FIRST_SLOT
        self._parents: dict[bytes, tuple[bytes, ...]] = {}
        self._made: list[DagBlockSummary] = []
        self.final_number = 57
        self.calls: list[tuple[object, ...]] = []
        while len(self._made) < count:
            self.grow()

    def grow(self) -> list[DagBlockSummary]:
        """The blocks of the next slot."""
        self._slot += self._random.choice(GAPS)
        tips = self.tips
        fresh: list[DagBlockSummary] = []
        for seat in range(self._random.choice((1, 2, 2, 2))):
            number = len(self._made) + len(fresh)
            parents = tips
            if seat and len(self._made) > 8 and self._random.random() < self._late:
                parents = (self._random.choice(self._made[-6:-3]).id,)
            fresh.append(self._block(number, self._slot, seat, parents[:10]))
        self._made += fresh
        self._parents |= {block.id: block.parents for block in fresh}
        return fresh

    def _block(self, number: int, slot: int, seat: int, parents: tuple[bytes, ...]) -> DagBlockSummary:
        maker = self._random.randrange(12)
        return DagBlockSummary(
            id=block_id(number),
            parents=parents,
            slot=slot,
            seat=seat,
            creator=creator(maker),
            region=REGIONS[maker % 6],
            blue_score=number,
            height=None,
            colour="pending",
            chain=False,
            final=False,
            transactions=self._random.choice((0, 0, 1, 2, 5, 14)),
            votes=self._random.choice((0, 1, 2)),
            disqualified=False,
            time_ms=START_MS + slot * SLOT_MS,
        )

    @property
    def tips(self) -> tuple[bytes, ...]:
        """Blocks without a child, newest first: the selected one first."""
        inner = {parent for block in self._made for parent in block.parents}
        return tuple(block.id for block in reversed(self._made) if block.id not in inner)

    @property
    def chain(self) -> list[bytes]:
        """The selected chain, oldest first."""
        chain = [self.tips[0]]
        while self._parents[chain[-1]]:
            chain.append(self._parents[chain[-1]][0])
        return chain[::-1]

    def blocks(self) -> tuple[DagBlockSummary, ...]:
        """All blocks as the chain sees them now."""
        chain = {each: FIRST_HEIGHT + place for place, each in enumerate(self.chain)}
        merged: dict[bytes, bytes] = {}
        for each in chain:
            stack = [each]
            while stack:
                one = stack.pop()
                if one not in merged:
                    merged[one] = each
                    stack += self._parents[one]
        final = self.final_height
        seen = []
        for block in self._made:
            by = merged.get(block.id)
            late = len(block.parents) == 1 and block.seat == 1
            colour = "blue" if block.id in chain else "pending" if by is None else "red" if late else "blue"
            seen.append(
                replace(
                    block,
                    height=chain.get(block.id),
                    chain=block.id in chain,
                    colour=colour,
                    final=by is not None and chain[by] <= final,
                )
            )
        return tuple(seen)

    @property
    def final_height(self) -> int:
        return FIRST_HEIGHT + len(self.chain) * 2 // 3

    def checkpoint(self, number: int, height: int, status: str) -> CheckpointView:
        chain = self.chain
        place = min(max(height - FIRST_HEIGHT, 0), len(chain) - 1)
        block = next(block for block in self._made if block.id == chain[place])
        voted = 90 if status != "waiting" else 40
        return CheckpointView(
            number=number,
            block=block.id,
            slot=block.slot,
            height=height,
            hash=hashlib.sha256(b"checkpoint %d" % number).digest(),
            status=status,
            final_by=number if status == "final" else None,
            stake_voted=voted * 12 * 10**9,
            stake_total=1_200 * 10**9,
            voters=voted // 10,
            spectral=tuple(
                RegionShare(region, 200 * 10**9, (200 if place < 5 else 60) * 10**9)
                for place, region in enumerate(REGIONS)
            ),
            rule="regions",
            absent=0,
            pattern=hashlib.sha256(b"pattern %d" % number).digest() if status != "waiting" else b"",
        )

    def view(self, before_slot: int | None = None, limit: int = 60) -> DagView:
        self.calls.append(("dag", before_slot, limit))
        blocks = [block for block in self.blocks() if before_slot is None or block.slot < before_slot]
        return DagView(
            tip=self.tips[0],
            tips=self.tips,
            blocks=tuple(blocks[-limit:]),
            final=self.checkpoint(self.final_number, self.final_height, "final"),
            justified=self.checkpoint(self.final_number + 1, self.final_height + 3, "justified"),
            oldest_slot=self._made[0].slot,
        )

    def block(self, wanted: bytes) -> DagBlockView | None:
        self.calls.append(("dag_block", wanted))
        summary = next((block for block in self.blocks() if block.id == wanted), None)
        if summary is None:
            return None
        digest = hashlib.sha512(wanted).digest()
        txids = tuple(hashlib.sha256(wanted + bytes([place])).digest() for place in range(summary.transactions))
        return DagBlockView(
            summary=summary,
            version=2,
            epoch=summary.slot // 1_800,
            reveal=digest[:32],
            body_root=digest[1:33],
            state_commitment=digest[2:34],
            signature=digest,
            wave=WaveView(521_300 + summary.slot, 11, digest[0] * 256, digest[1] * 256 + 128, summary.slot, digest),
            votes=tuple(
                VoteView(creator(place), REGIONS[place], 56, digest[:32], 58, digest[1:33], summary.slot - 40)
                for place in range(summary.votes)
            ),
            txids=txids,
            merged_by=summary.id if summary.chain else self.tips[0] if summary.colour != "pending" else None,
            blues=summary.parents,
            reds=(),
            accepted=tuple(
                AcceptedView(txid, wanted, "failed" if place == 3 else "done", 1_000)
                for place, txid in enumerate(txids)
            )
            if summary.chain
            else (),
            blue_work=summary.blue_score + 1,
        )

    def find(self, prefix: str) -> tuple[bytes, ...]:
        return tuple(sorted(block.id for block in self._made if block.id.hex().startswith(prefix)))[:16]

    def finality(self) -> FinalityView:
        final = self.checkpoint(self.final_number, self.final_height, "final")
        justified = self.checkpoint(self.final_number + 1, self.final_height + 3, "justified")
        waiting = self.checkpoint(self.final_number + 2, self.final_height + 7, "waiting")
        return FinalityView(
            final=final,
            justified=justified,
            checkpoints=(waiting, justified, final),
            validators=tuple(
                ValidatorView(
                    creator(place), "", REGIONS[place % 6], 100 * 10**9, 58 - place % 3, 5, place == 11, False
                )
                for place in range(12)
            ),
            table_hash=hashlib.sha256(b"table").digest(),
            next_table_hash=hashlib.sha256(b"next").digest(),
            lag_slots=self._made[-1].slot - final.slot,
        )
