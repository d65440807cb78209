"""Made-up blocks for the storage tests; also imported by the processes those tests kill."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

from node.light.waves import SILENCE, bucket_of, superpose, wave
from node.storage.records import DONE, FAILED, Batch, ChainBlock, Change, Colouring, NewBlock, NewVote, Receipt

RULES = 2


def digest(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=32).digest()


def address(name: str) -> bytes:
    return b"\x00" + blake2b(name.encode(), digest_size=20).digest()


def receipt(carrier: int, position: int, sender: str, recipient: str) -> Receipt:
    """A payment that fails when somebody pays himself."""
    return Receipt(
        txid=digest(f"tx {carrier} {position}"),
        wid=digest(f"wid {carrier} {position}"),
        raw=f"<{carrier}:{position}:{sender}>{recipient}".encode() * 4,
        carrier=carrier,
        status=FAILED if sender == recipient else DONE,
        reason="self_payment" if sender == recipient else "",
        fee=1_000 + position,
        touched=(address(sender), address(recipient)),
    )


@dataclass
class Made:
    """A block of a made-up DAG."""

    index: int
    parents: tuple[int, ...]
    reds: tuple[int, ...]
    receipts: tuple[Receipt, ...]
    in_body: bool = True

    @property
    def id(self) -> bytes:
        return digest(f"block {self.index}")

    def new(self) -> NewBlock:
        merged = tuple(sorted(self.parents[1:]))
        return NewBlock(
            index=self.index,
            block_id=self.id,
            slot=self.index * 3,
            height=self.index,
            header=b"header %d" % self.index,
            body=b"body" + (b"|".join(item.raw for item in self.receipts) if self.in_body else b""),
            colouring=Colouring(
                parents=self.parents,
                blues=(self.parents[0], *(item for item in merged if item not in self.reds)),
                reds=self.reds,
                sizes=tuple((item, 1) for item in merged if item not in self.reds),
                score=self.index,
                work=self.index,
            ),
            transactions=len(self.receipts),
            votes=self.index % 3,
            late=0 if self.index % 5 else 16,
        )


State = dict[tuple[str, bytes], bytes]


@dataclass
class Story:
    """A DAG whose blocks are made up, with the state after any of them. An account's value is who touched it last.

    Every block's first parent is its selected one; the others it merges.
    """

    blocks: dict[int, Made] = field(default_factory=dict)

    def add(
        self,
        parents: Sequence[int] = (),
        payments: Iterable[tuple[str, str]] = (),
        reds: tuple[int, ...] = (),
        in_body: bool = True,
    ) -> Made:
        index = len(self.blocks) + 1
        receipts = tuple(receipt(index, place, *pair) for place, pair in enumerate(payments))
        made = Made(index, tuple(parents) or (index - 1,), reds, receipts, in_body)
        self.blocks[index] = made
        return made

    def chain(self, index: int) -> list[int]:
        """The selected chain up to a block, oldest first, without the genesis."""
        found: list[int] = []
        while index:
            found.append(index)
            index = self.blocks[index].parents[0]
        return found[::-1]

    def accepted(self, index: int) -> tuple[Receipt, ...]:
        """What a chain block executes: what those it merges carry, then its own."""
        block = self.blocks[index]
        return tuple(item for other in (*sorted(block.parents[1:]), index) for item in self.blocks[other].receipts)

    def state(self, chain: Iterable[int]) -> State:
        state: State = {}
        for index in chain:
            for item in self.accepted(index):
                for raw in item.touched:
                    state["accounts", raw] = b"%d" % index
            state["count", b"last"] = b"%d" % index
            if index % 4 == 0:
                state.pop(("accounts", address("a")), None)
        return state

    def chain_block(self, height: int, index: int) -> ChainBlock:
        chain = self.chain(index)
        before, after = self.state(chain[:-1]), self.state(chain)
        changes: list[Change] = [
            (*name, before.get(name), after.get(name))
            for name in dict.fromkeys((*before, *after))
            if before.get(name) != after.get(name)
        ]
        receipts = self.accepted(index)
        return ChainBlock(height, index, height // 10, sum(item.fee for item in receipts), receipts, tuple(changes))

    def switch(self, before: int, after: int, added: Sequence[Made] = (), votes: Sequence[int] = ()) -> Batch:
        """The step by which the chain's tip `before` gives way to `after`."""
        old, new = self.chain(before), self.chain(after)
        shared = 0
        while shared < min(len(old), len(new)) and old[shared] == new[shared]:
            shared += 1
        state, previous = self.state(new), self.state(old)
        touched = {name for name in (*state, *previous) if state.get(name) != previous.get(name)}
        for index in (*old[shared:], *new[shared:]):
            touched.update(("accounts", raw) for item in self.accepted(index) for raw in item.touched)
        buckets = sorted({bucket_of(*name) for name in touched})
        return Batch(
            added=tuple(made.new() for made in added),
            undone=tuple(self.blocks[index].id for index in reversed(old[shared:])),
            applied=tuple(self.chain_block(shared + place, index) for place, index in enumerate(new[shared:], 1)),
            buckets=tuple((bucket, waves_of(state, bucket)) for bucket in buckets),
            votes=tuple(NewVote(digest(f"vote {number}"), number, b"vote %d" % number) for number in votes),
            meta={"final_height": 0, "tip_note": after},
        )


def waves_of(state: State, bucket: int) -> bytes:
    """A bucket's wave of a made-up state."""
    rows = [key + value for (table, key), value in state.items() if bucket_of(table, key) == bucket]
    return superpose(SILENCE, [wave(row) for row in rows])


def line(payments: Iterable[Iterable[tuple[str, str]]]) -> tuple[Story, list[Batch]]:
    """A chain without branches: one block for each list of payments, and the steps that write it."""
    story = Story()
    steps = []
    for number, pairs in enumerate(payments):
        made = story.add((), pairs)
        steps.append(story.switch(number, number + 1, (made,)))
    return story, steps
