"""Blocks and votes of several validators that part and meet again, and a process that lets a node hear them.

`prepare` makes them by the real duties with known keys. Run as a script, this file opens the node of a folder and feeds
it from where it stopped, the lighter branch of each parting first: `python branches.py FOLDER ITEMS`. The node prunes
at every turn, so that a kill falls into that as well.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import msgpack

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from node.consensus.blocks import Block
from node.consensus.votes import Vote
from node.encoding.canonical import decode
from node.profile.paths import ProfilePaths
from node.service import retention
from node.service.node import Node
from node.service.opening import ServiceSettings, open_service
from node.service.retention import Keep
from node.storage.queries import read_genesis
from node.storage.reader import reading
from tests.node.service.dag_world import START_MS, Town

MERGE_DEPTH = 40
_MAX_BODY = 1 << 20

Item = tuple[bytes, bytes]
"""Header and body of a block, or an empty header and a vote."""


def prepare(town: Town, rounds: int) -> list[Item]:
    """What a node hears of so many partings, in an order in which the branch that loses comes first."""
    network, items = town.network, list[Item]()
    for number in range(rounds):
        town.part((0, 1), (2, 3))
        start = len(network.blocks)
        for _ in range(8):
            network.slot += 1
            for place, group in enumerate(network.groups):
                made: list[Block] = []
                for maker in (item for item in group if item.leads(network.slot)):
                    made.append(maker.block(network.slot, *([] if made else [town.payment(place)])))
                network.tell(group, made)
        sides = [{block.id for block in group[0].engine.blocks.values() if block.block} for group in network.groups]
        parted = network.blocks[start:]
        network.heal()
        engine = network.nodes[0].engine
        chain = {block.id for block in engine.selected(engine.chain.tip)}
        wins = next((place for place, side in enumerate(sides) if chain & (side - sides[1 - place])), 0)
        items += [_block(block) for block in parted if block.id not in sides[wins]]
        items += [_block(block) for block in parted if block.id in sides[wins]]
        for _ in range(14):
            network.blocks, network.votes = [], []
            network.pass_slot(town.payment(2 + number % 2))
            items += [_block(block) for block in network.blocks] + [_vote(vote) for vote in network.votes]
        network.blocks, network.votes = [], []
    return items


def _block(block: Block) -> Item:
    return block.header_bytes, block.body()


def _vote(vote: Vote) -> Item:
    return b"", vote.encoded()


async def feed(node: Node, items: list[Item], first: int) -> None:
    for header, body in items[first:]:
        if header:
            await node.receive(Block.decode(header, body, _MAX_BODY))
        else:
            await node.receive_vote(Vote.from_value(decode(body)))


def heard(path: Path, items: list[Item]) -> int:
    """How many items a stopped node had heard: up to its newest block."""
    if not path.exists():
        return 0
    with reading(path) as database:
        blocks = {row.header for row in database.dag()}
    return max((number for number, (header, _) in enumerate(items, 1) if header in blocks), default=0)


async def main(folder: Path, prepared: Path) -> None:
    paths = ProfilePaths(folder.name, folder)
    items: list[Item] = msgpack.unpackb(prepared.read_bytes(), use_list=False)
    slot = max(Block.decode(header, body, _MAX_BODY).header.slot for header, body in items if header)
    now = START_MS + slot * read_genesis(paths.genesis).parameters.slot_ms
    first = heard(paths.chain_db, items)
    retention.PRUNE_EVERY = 8
    async with open_service(paths, ServiceSettings(produce=False, serve=False), lambda: now) as service:
        node = service.node
        node.engine.awake_since = slot  # what was prepared is no late block
        # Seconds behind the newest slot of all, which is the present here: everything final may go at once.
        node.retention.keep = Keep(bodies_ms=1, history_ms=60_000)
        await feed(node, items, first)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
