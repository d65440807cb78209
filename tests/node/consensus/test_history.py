"""What nodes tell each other to catch up: locators, and what comes after them."""

from __future__ import annotations

from unittest.mock import patch

import pytest

from node.consensus import history
from node.consensus.blocks import Block
from node.consensus.engine import Engine
from node.mesh.protocol.limits import PAGE_END
from node.mesh.protocol.messages import MAX_LOCATOR
from tests.node.world import NXT, Network, small_genesis

GENESIS = small_genesis(stakes=(1_000 * NXT,) * 4)


def grown(slots: int) -> Network:
    network = Network(GENESIS)
    for _ in range(slots):
        network.pass_slot()
    return network


def catch_up(blocks: dict[bytes, Block], teller: Engine, hearer: Engine, limit: int) -> int:
    """Ask page after page, as the mesh does; returns how many pages there were."""
    pages = 0
    end: tuple[bytes, ...] = ()
    while True:
        page, more = history.after(teller, (*end, *history.locator(hearer)), limit)
        pages += 1
        end = tuple(item.id for item in page[-PAGE_END:])
        for item in page:
            assert not hearer.add(blocks[item.id], item.slot).missing, "parents come first"
        if not more:
            return pages


def by_id(network: Network) -> dict[bytes, Block]:
    return {block.id: block for block in network.blocks}


@pytest.mark.parametrize("limit", [1, 7, 1_000])
def test_a_newcomer_is_told_everything_in_order_and_once(limit: int) -> None:
    network = grown(30)
    old = network.nodes[0].engine
    newcomer = Engine.begin(GENESIS, numpy=False)
    pages = catch_up(by_id(network), old, newcomer, limit)
    assert newcomer.blocks.keys() == old.blocks.keys()
    assert newcomer.tip == old.tip
    assert pages == -(-(len(old.blocks) - 1) // limit)
    assert history.after(old, history.locator(newcomer), limit) == ([], False)


@pytest.mark.parametrize("near", [5_000, 8])
def test_parted_halves_are_told_just_what_the_other_made(near: int) -> None:
    network = grown(10)
    network.groups = [network.nodes[:2], network.nodes[2:]]
    for _ in range(25):
        network.pass_slot()
    one, other = network.nodes[0].engine, network.nodes[2].engine
    apart = one.blocks.keys() ^ other.blocks.keys()
    assert len(apart) > 10
    with patch.object(history, "_NEAR", near):
        told = [
            {block.id for block in history.after(a, history.locator(b), 1_000)[0]}
            for a, b in ((one, other), (other, one))
        ]
        assert told[0] | told[1] >= apart
        if near > 1_000:
            assert len(told[0] | told[1]) < 2 * len(apart), "a locator is at most twice as deep as it need be"
        catch_up(by_id(network), one, other, 5)
        catch_up(by_id(network), other, one, 5)
    assert one.blocks.keys() == other.blocks.keys()
    assert one.tip == other.tip


def test_a_locator_is_short_and_ends_where_memory_begins() -> None:
    engine = grown(60).nodes[0].engine
    names = history.locator(engine)
    assert names[0] == engine.tip.id
    assert names[-1] == engine.blocks[names[-1]].id == engine.by_index[engine.dag.root].id
    assert len(set(names)) == len(names) < 12
    assert history.MAX_TIPS + 40 + 1 + PAGE_END <= MAX_LOCATOR, "at a height of 2⁴⁰ too"


def test_who_knows_nothing_of_what_is_here_is_told_from_the_beginning() -> None:
    engine = grown(10).nodes[0].engine
    page, more = history.after(engine, (b"?" * 32,), 3)
    assert [block.index for block in page] == [1, 2, 3]
    assert more
