"""Makes a history of blocks and votes for golden.py: a small network that lives through what can happen.

    python history.py FILE [BLOCKS]

Payments of all kinds, good and bad; partitions that end in reorganisations; a sleeping validator; one that makes two
blocks in a slot, and the evidence that punishes it; blocks with a wrong state, a wrong wave, a broken signature. The
signatures are fresh in each history, so a history is made once and then heard by every machine.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import msgpack

from node.consensus.blocks import Block, BlockError
from node.consensus.votes import Vote
from node.encoding.canonical import encode
from node.ledger import bank, staking
from node.ledger.types import EVIDENCE, SignedTransaction
from node.light.signature import wave_signature
from tests.node.world import NXT, Network, Payer, Validator, key, quantum_key, small_genesis, stranger

STAKES = tuple(units * NXT for units in (3_000, 2_500, 2_000, 1_500, 1_000))
CHEAT = 4  # the validator with the least stake
Heard = tuple[int, bytes, bytes, bytes]


class Historian(Network):
    """A network whose every block and vote is written down, in the order in which they came about."""

    def __init__(self, seed: int) -> None:
        super().__init__(small_genesis(funds=(1_000 * NXT,) * 8, stakes=STAKES))
        self.random = Random(seed)
        self.heard: list[Heard] = []
        self.made = self.forged = 0
        self._known: set[bytes] = set()
        self.payers = [Payer(self.genesis.hash, key(number)) for number in range(1, 9)]
        self.payers.append(Payer(self.genesis.hash, quantum_key(1)))

    def tell(self, group: Iterable[Validator], items: Iterable[Block | Vote]) -> None:
        """Write down and let everybody of a group hear."""
        items = list(items)
        for item in items:
            if item.id not in self._known:
                self._known.add(item.id)
                self.made += isinstance(item, Block)
                self.heard.append((self.slot, *written(item)))
        super().tell(group, items)

    def nonce(self, payer: Payer) -> int:
        """The next number of an account by the first node's state."""
        record = self.nodes[0].engine.state.get(bank.ACCOUNTS, payer.address)
        return 0 if record is None else int(record[1])  # type: ignore[arg-type]

    def payment(self) -> SignedTransaction:
        """A payment as people make them, mistakes included."""
        draw = self.random
        payer, other = draw.sample(self.payers, 2)
        nonce = self.nonce(payer) + draw.choice((0,) * 10 + (1, -1 if self.nonce(payer) else 0))
        units = draw.choice((1, 10_000, NXT, NXT // 3, 50 * NXT, 2_000 * NXT))
        recipient = draw.choice((other.address, other.address, stranger(draw.randrange(1, 300))))
        if draw.random() < 0.2:
            outputs = ((recipient, units), (stranger(draw.randrange(300, 400)), draw.randrange(1, NXT)))
            return payer.pay_all(nonce, *outputs, memo="several", tip=draw.choice((0, 5)))
        expiry = self.slot + draw.choice((-2, 3) + (1 << 30,) * 8)
        return payer.pay(
            nonce, recipient, units, draw.choice(("", "für dich ✓")), tip=draw.choice((0, 77)), expiry=expiry
        )

    def live(self, blocks: int) -> None:
        """Slots pass until so many blocks were made."""
        while self.made < blocks:
            phase = self.slot % 150
            if phase == 60:
                self.groups = [self.nodes[:2], self.nodes[2:]]
            elif phase == 85:
                self.heal()
            silent = {3} if 100 <= phase < 120 else set()
            payments = [self.payment() for _ in range(self.random.choice((0, 0, 1, 2, 3)))]
            self.pass_slot(*payments, *self.accusations(), silent=silent)
            if phase % 25 == 20 and len(self.groups) == 1:
                self.forge()
        self.heal()

    def accusations(self) -> list[SignedTransaction]:
        """Evidence that the first node found and its state does not know."""
        node, payer = self.nodes[0].engine, self.payers[0]
        found = [item for item in node.evidence if not staking.tombstoned_at(node.state, item.validator)]
        return [payer.transaction(self.nonce(payer), EVIDENCE, (item.kind, item.proof)) for item in found[:1]]

    def forge(self) -> None:
        """In the next slot, before anybody else, a leader makes a block that is wrong in one of five ways."""
        self.slot += 1
        leaders = [node for node in self.nodes if node.leads(self.slot)]
        if any(node.number == CHEAT for node in leaders):
            cheat = self.nodes[CHEAT]
            self.tell(self.nodes, [cheat.block(self.slot, self.payment()), cheat.block(self.slot)])
            return
        node = leaders[0]
        block = node.block(self.slot, self.payment())
        header, wrong = block.header, ("state", "wave", "reveal", "signature")[self.forged % 4]
        self.forged += 1
        if wrong == "state":
            header = header._replace(state_commitment=bytes(32))
            header = header._replace(
                wave=wave_signature(header.unwaved(), header.region, header.wave.amplitude, self.slot)
            )
        elif wrong == "wave":
            header = header._replace(wave=header.wave._replace(amplitude=header.wave.amplitude ^ 1))
        elif wrong == "reveal":
            header = header._replace(reveal=bytes(32))
        signed = header.signing_hash() if wrong != "signature" else bytes(32)
        header = header._replace(signature=node.key.sign(signed))
        forged = Block(header, block.transactions, block.votes)
        self.heard.append((self.slot, *written(forged)))
        for other in self.nodes:
            # A wrong state is found out when it is executed, and is no error.
            with suppress(BlockError):
                other.engine.add(forged, self.slot)


def written(item: Block | Vote) -> tuple[bytes, bytes, bytes]:
    """A block's header and body, or a vote, as bytes."""
    if isinstance(item, Block):
        return item.header_bytes, item.body(), b""
    return b"", b"", encode(tuple(item))


def main(file: str, blocks: str = "1000") -> None:
    """Write a history."""
    network = Historian(seed=4)
    network.live(int(blocks))
    Path(file).write_bytes(msgpack.packb((network.genesis.encode(), network.heard)))


if __name__ == "__main__":
    main(*sys.argv[1:])
