"""Beginning at a checkpoint: whoever takes up what somebody gave has what everybody has, or it is refused."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import cache
from random import Random

import pytest

from node.consensus.adopting import proven
from node.consensus.blocks import BlockError
from node.consensus.dagblocks import DagBlock
from node.consensus.engine import Engine
from node.consensus.finality import Checkpoint, Link
from node.consensus.ghostdag import Coloured
from node.consensus.restore import Kept, KeptBlock, encode_base, encode_coloured, restore
from node.consensus.view import View
from node.consensus.votes import Vote
from node.ledger.state import State, waves_of
from node.ledger.types import TransactionError
from tests.node.consensus.follower import SHARED
from tests.node.consensus.test_pruning import GENESIS, Heard, Node, life

NEAR = 2 * GENESIS.parameters.merge_depth_slots
Change = Callable[[DagBlock], Coloured | None]


def past_of(engine: Engine, top: DagBlock) -> list[DagBlock]:
    return [block for block in engine.by_index.values() if engine.dag.is_ancestor(block.index, top.index)]


def giver(
    node: Node, change: Change = lambda block: block.coloured, falsify: Callable[[View], object] = lambda view: None
) -> tuple[Engine, Checkpoint]:
    """What somebody begins with who takes the node's newest final checkpoint; `change` falsifies colours, None leaves
    the block out, and `falsify` changes the view at the base."""
    engine, final = node.engine, node.engine.final
    top = engine.blocks[final.checkpoint.block]
    _, base = engine.pruning_points(top)
    true = base.known_view
    base.view = true.copy()
    falsify(base.view)
    base_view, base.view = encode_base(engine, base), true
    state = State({name: dict(rows) for name, rows in engine.state.tables.items()})
    for height in range(engine.tip.height, final.height, -1):
        state.restore(node.undo[height])
    blocks = []
    for block in sorted([*past_of(engine, top), top], key=lambda block: block.index):
        coloured = change(block)
        if coloured is not None:
            plain = block.height, block.disqualified, 0
            blocks.append(
                KeptBlock(block.index, block.id, block.header, block.votes, None, encode_coloured(coloured), *plain)
            )
    kept = Kept(
        blocks=blocks,
        base=base.index,
        base_view=base_view,
        tip=top.id,
        undo={},
        active_sets={name: active for name, active in engine.active_sets.items() if name in engine.blocks},
        links=(),
        executing=(0,),
    )
    return restore(GENESIS, state, waves_of(state, numpy=False), kept, **SHARED), final.checkpoint  # type: ignore[arg-type]


def hear_rest(engine: Engine, items: Heard) -> None:
    """What gossip brings after a beginning: younger blocks, those beside the chain too, and votes."""
    since = engine.tip.slot - NEAR
    for slot, item in items:
        if isinstance(item, Vote):
            engine.add_vote(item)
        elif item.header.slot > since:
            with suppress(BlockError, TransactionError):  # a made up one
                engine.add(item, slot)


@cache
def lived(seed: int) -> tuple[Node, Node]:
    """Somebody who kept everything, and one who pruned in the middle."""
    whole, pruned = Node(False, False), Node(True, False)
    random = Random(seed)
    for slot, item in life(seed):
        whole.hear(slot, item)
        pruned.hear(slot, item)
        if random.random() < 0.02:
            pruned.rest()
    return whole, pruned


def equal_views(one: Engine, other: Engine) -> int:
    """How many blocks have a view in both; each is the same."""
    common = [name for name in one.blocks.keys() & other.blocks.keys() if one.blocks[name].view]
    common = [name for name in common if other.blocks[name].view]
    assert all(one.blocks[name].known_view.digest == other.blocks[name].known_view.digest for name in common)
    return len(common)


@pytest.mark.parametrize("seed", [1, 2, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(3, 5))])
def test_who_began_in_the_middle_goes_on_like_who_lived_through(seed: int) -> None:
    """Twins, sleepers, wrong states and short partitions; adopted at several checkpoints on the way."""
    whole, pruned = lived(seed)
    assert equal_views(whole.engine, pruned.engine) > 20
    giving, random, begun, numbers = Node(True, False), Random(seed), list[Engine](), set[int]()
    for slot, item in life(seed):
        giving.hear(slot, item)
        if random.random() < 0.02:
            giving.rest()
        number = giving.engine.final.number
        if number > max(numbers, default=0) + 4 and giving.engine.final.checkpoint.block in giving.engine.blocks:
            numbers.add(number)
            engine, checkpoint = giver(giving)
            assert proven(engine, checkpoint).checkpoint == checkpoint
            assert equal_views(whole.engine, engine) > 0
            hear_rest(engine, life(seed))
            begun.append(engine)
    assert len(begun) > 2
    for engine in begun:
        assert engine.tip == whole.engine.tip
        assert engine.waves.commitment == whole.engine.waves.commitment
        assert engine.view.digest == whole.engine.view.digest
        assert engine.final.hash == whole.engine.final.hash
        assert equal_views(whole.engine, engine) > 5


@pytest.mark.parametrize("seed", [1, 2])
def test_a_block_that_was_left_out_is_missed(seed: int) -> None:
    """A red one without votes by somebody seen before: nothing in the chain changed by it yet."""
    node = lived(seed)[1]
    engine, final = node.engine, node.engine.final
    top = engine.blocks[final.checkpoint.block]
    _, base = engine.pruning_points(top)
    chain = [block for block in engine.selected(top) if block.view is not None and block.height > base.height]
    past = [*past_of(engine, top), top]
    merged = {member.index: block for block in chain for member, _ in engine.merged(block)}
    tried = 0
    for index, merger in merged.items():
        if any(index in block.coloured.parents for block in past if block is not merger):
            continue

        def change(block: DagBlock, index: int = index, merger: DagBlock = merger) -> Coloured | None:
            if block.index == index:
                return None
            if block is not merger:
                return block.coloured
            without = [
                tuple(other for other in group if other != index)
                for group in (block.coloured.parents, block.coloured.blues, block.coloured.reds)
            ]
            return replace(block.coloured, parents=without[0], blues=without[1], reds=without[2])

        begun, checkpoint = giver(node, change)
        with pytest.raises(ValueError, match="not what"):
            proven(begun, checkpoint)
        tried += 1
    assert tried


def test_false_signatures_of_old_votes_get_into_no_certificate() -> None:
    """They are part of no hash; but whoever passed them on would be taken for a liar by those whom he gives them."""

    def unsign(view: View) -> None:
        view.links = {
            link: {voter: vote._replace(signature=bytes(64)) for voter, vote in votes.items()}
            for link, votes in view.links.items()
        }
        view.proofs = {name: unsigned(link) for name, link in view.proofs.items()}
        view.certificate = tuple(map(unsigned, view.certificate))

    def unsigned(link: Link) -> Link:
        return link._replace(votes=tuple(vote._replace(signature=bytes(64)) for vote in link.votes))

    node = Node(True, False)
    for slot, item in life(1):
        node.hear(slot, item)
        if node.engine.final.number > 8:
            break
    engine, checkpoint = giver(node, falsify=unsign)
    proven(engine, checkpoint)
    hear_rest(engine, life(1))
    assert engine.view.digest == lived(1)[0].engine.view.digest
    chain = [block for block in engine.selected(engine.chain.tip) if block.view is not None]
    found = [engine.certificate(block) for block in chain]
    made = [certificate for certificate in found if certificate]
    assert len(made) > 5
    assert len(made) < sum(bool(block.known_view.finals) for block in chain), "the first could not be shown"
    nothing = bytes(64)
    assert all(vote.signature != nothing for item in made for link in item.links for vote in link.votes)


def test_how_a_vote_was_signed_is_no_part_of_a_view() -> None:
    """Anybody can make another signature of a vote that is as good."""
    view = next(
        block.known_view for block in reversed(lived(1)[0].engine.blocks.values()) if block.view and block.view.links
    )
    other = view.copy()
    other.links = {
        link: {voter: vote._replace(signature=bytes(64)) for voter, vote in reversed(list(votes.items()))}
        for link, votes in reversed(list(view.links.items()))
    }
    other.known = dict(reversed(list(view.known.items())))
    assert other.digest == view.digest
    other = view.copy()
    other.links = {link: dict(list(votes.items())[1:]) for link, votes in view.links.items()}
    assert other.digest != view.digest
