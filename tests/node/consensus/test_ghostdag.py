"""GHOSTDAG against its definition, on random DAGs; what pruning and restoring keep; what must be refused."""

from __future__ import annotations

import copy
from collections.abc import Hashable, Iterable, Sequence
from itertools import pairwise
from random import Random
from typing import NamedTuple

import pytest

from node.consensus import reachability
from node.consensus.ghostdag import Colour, Coloured, Ghostdag, MergesetError, PrunedError, colour


@pytest.fixture(autouse=True, params=[8, reachability.CHUNK], ids=["small chunks", "real chunks"])
def _chunk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything holds wherever the missing sets are cut."""
    monkeypatch.setattr(reachability, "CHUNK", request.param)


class Made(NamedTuple):
    """A block of a random DAG: its parents are places in the list, the first block has none."""

    id: bytes
    parents: tuple[int, ...]
    weight: int = 1
    twin: Hashable = None


class Seen(NamedTuple):
    """What the definition says of a block, by places in the list."""

    selected: int
    blues: list[int]
    reds: list[int]
    order: list[int]
    score: int
    work: int


def antichain(blocks: Iterable[int], pasts: Sequence[set[int]]) -> tuple[int, ...]:
    """The blocks that lie in no other one's past."""
    blocks = set(blocks)
    return tuple(sorted(block for block in blocks if not any(block in pasts[other] for other in blocks)))


def random_dag(random: Random, blocks: int, width: int, weights: Sequence[int] = (1,), twins: int = 0) -> list[Made]:
    """Each block names up to `width` of the newest blocks, sometimes an old one; of `twins` in 100 a key is shared."""
    made, pasts = [Made(random.randbytes(32), (), random.choice(weights), 0)], [set[int]()]
    for place in range(1, blocks):
        newest = range(max(0, place - 2 * width), place)
        chosen = {random.choice(newest) for _ in range(random.randint(1, width))}
        if random.random() < 0.05:
            chosen.add(random.randrange(place))
        parents = antichain(chosen, pasts)
        past = set(parents).union(*(pasts[parent] for parent in parents))
        twin: Hashable = place
        if random.randrange(100) < twins:
            strangers = [other for other in range(1, place) if other not in past]
            twin = made[random.choice(strangers)].twin if strangers else twin
        made.append(
            Made(random.randbytes(32), tuple(random.sample(parents, len(parents))), random.choice(weights), twin)
        )
        pasts.append(past)
    return made


def define(made: Sequence[Made], k: int) -> list[Seen]:
    """Every block's colouring straight from the definition, with sets; nothing is carried from block to block but
    which blocks its selected parent has as blue."""
    pasts: list[set[int]] = [set()]
    blue_pasts: list[set[int]] = [set()]
    seen = [Seen(-1, [], [], [], 0, 0)]
    for block in made[1:]:
        past = set(block.parents).union(*(pasts[parent] for parent in block.parents))

        def key(place: int) -> tuple[int, bytes]:
            return seen[place].work, made[place].id

        def blue_anticone(place: int, blue: set[int]) -> set[int]:
            return {other for other in blue - pasts[place] - {place} if place not in pasts[other]}

        selected = max(block.parents, key=key)
        blue, blues, reds = blue_pasts[selected] | {selected}, [selected], list[int]()
        order = sorted(past - pasts[selected] - {selected}, key=key)
        ordered = {made[place].twin for place in pasts[selected] | {selected}}
        for candidate in order:
            around = blue_anticone(candidate, blue)
            first = made[candidate].twin is None or made[candidate].twin not in ordered
            ordered.add(made[candidate].twin)
            if first and len(around) <= k and all(len(blue_anticone(other, blue)) < k for other in around):
                blue = blue | {candidate}
                blues.append(candidate)
            else:
                reds.append(candidate)
        work = sum(made[place].weight for place in blue)
        seen.append(Seen(selected, blues, reds, [selected, *order], len(blue), work))
        pasts.append(past)
        blue_pasts.append(blue)
    return seen


def put(dag: Ghostdag, made: Sequence[Made], block: Made, limit: int | None = None) -> Coloured:
    coloured = dag.judge([dag.index[made[parent].id] for parent in block.parents], limit)
    dag.add(block.id, coloured, block.twin, block.weight)
    return coloured


def build(made: Sequence[Made], k: int) -> Ghostdag:
    dag = Ghostdag(k, made[0].id, twin=made[0].twin, weight=made[0].weight)
    for block in made[1:]:
        put(dag, made, block)
    return dag


def pasts_of(made: Sequence[Made]) -> list[set[int]]:
    pasts: list[set[int]] = []
    for block in made:
        pasts.append(set(block.parents).union(*(pasts[parent] for parent in block.parents)))
    return pasts


def shuffled(random: Random, made: Sequence[Made]) -> list[Made]:
    """The same DAG in another order in which parents come first."""
    places, waiting = {0: 0}, list(range(1, len(made)))
    while waiting:
        ready = [place for place in waiting if all(parent in places for parent in made[place].parents)]
        place = random.choice(ready)
        waiting.remove(place)
        places[place] = len(places)
    order = sorted(places, key=places.__getitem__)
    return [made[place]._replace(parents=tuple(places[parent] for parent in made[place].parents)) for place in order]


KINDS = {
    "equal weights": (40, 4, (1,), 0, range(120)),
    "unequal weights": (40, 4, (1, 1, 2, 7), 0, range(120)),
    "twins": (40, 4, (1, 3), 30, range(120)),
    "wide": (60, 10, (1, 1, 5), 10, range(30)),
    "long": (180, 5, (1, 2), 10, range(4)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_is_what_the_definition_says(kind: str) -> None:
    blocks, width, weights, twins, seeds = KINDS[kind]
    reds = 0
    for seed in seeds:
        random = Random(f"{kind} {seed}")
        made, k = random_dag(random, blocks, width, weights, twins), random.choice((0, 1, 2, 3, 5, 18))
        dag, seen = build(made, k), define(made, k)
        for place, expected in enumerate(seen[1:], 1):
            found = dag.coloured[place]
            where = f"{kind}, seed {seed}, k {k}, block {place}"
            assert found.selected == expected.selected, where
            assert list(found.blues) == expected.blues, where
            assert list(found.reds) == expected.reds, where
            assert (found.score, found.work) == (expected.score, expected.work), where
            assert dag.mergeset(found) == expected.order, where
            assert dag.key(place) == (expected.work, made[place].id)
            reds += len(expected.reds)
    assert reds > 100, "these DAGs test no reds"


def test_twins_change_the_colours() -> None:
    """The seeds above must hold cases in which the twin rule alone decides."""
    differing = 0
    for seed in range(30):
        made = random_dag(Random(f"twins {seed}"), 40, 4, (1, 3), 30)
        alone = [block._replace(twin=None) for block in made]
        differing += define(made, 3) != define(alone, 3)
    assert differing > 20


@pytest.mark.parametrize("seed", range(20))
def test_past_tips_and_chain(seed: int) -> None:
    made = random_dag(Random(seed), 60, 4)
    dag, pasts = build(made, 3), pasts_of(made)
    for b, past in enumerate(pasts):
        assert {a for a in range(60) if dag.is_ancestor(a, b)} == past
    assert dag.tips() == set(antichain(range(60), pasts))
    for tip in dag.tips():
        chain = list(dag.chain(tip))
        assert chain[0] == tip
        assert chain[-1] == 0
        assert all(dag.coloured[upper].selected == lower for upper, lower in pairwise(chain))


def test_says_nothing_of_what_it_does_not_hold() -> None:
    dag = Ghostdag(3, bytes(32))
    with pytest.raises(KeyError):
        dag.is_ancestor(7, 0)
    with pytest.raises(KeyError):
        dag.judge([7])


def test_does_not_depend_on_the_order_of_arrival() -> None:
    for seed in range(40):
        random = Random(f"order {seed}")
        made = random_dag(random, 50, 5, (1, 1, 4))
        k = random.choice((1, 2, 3))

        def answers(blocks: Sequence[Made], k: int = k) -> dict[bytes, Colour]:
            named = [(block.id, [blocks[parent].id for parent in block.parents], block.weight) for block in blocks]
            return colour(named, k)

        expected = answers(made)
        seen = define(made, k)
        for block, definition in zip(made[1:], seen[1:], strict=True):
            assert expected[block.id] == Colour(
                made[definition.selected].id,
                tuple(made[blue].id for blue in definition.blues),
                tuple(made[red].id for red in definition.reds),
                definition.score,
                definition.work,
            )
        for _ in range(3):
            assert answers(shuffled(random, made)) == expected, seed


def test_twins_do_not_depend_on_the_order_of_arrival() -> None:
    for seed in range(30):
        random = Random(f"twins in order {seed}")
        made = random_dag(random, 40, 4, (1, 3), 30)
        first, again = build(made, 2), build(shuffled(random, made), 2)
        for block in made[1:]:
            left, right = first.coloured[first.index[block.id]], again.coloured[again.index[block.id]]
            assert [first.ids[blue] for blue in left.blues] == [again.ids[blue] for blue in right.blues]
            assert [first.ids[red] for red in left.reds] == [again.ids[red] for red in right.reds]
            assert left.work == right.work


def test_judging_changes_nothing() -> None:
    made = random_dag(Random("virtual"), 60, 5, (1, 2), 20)
    dag = build(made, 2)
    before = copy.deepcopy({name: value for name, value in vars(dag).items() if name != "_holes"})
    tips = sorted(dag.tips())
    virtual = dag.judge(tips)
    assert virtual == dag.judge(tips)
    assert {name: value for name, value in vars(dag).items() if name != "_holes"} == before
    assert virtual.at == 60
    assert set(dag.mergeset(virtual)) == set(range(60)) - pasts_of(made)[virtual.selected]


def test_a_second_block_of_a_slot_is_red_for_everybody() -> None:
    """Three twins side by side: the first in the order counts, the others do not, and leave k to honest blocks."""
    dag = Ghostdag(2, b"\0")
    for name, twin in ((b"\1", "a"), (b"\2", "a"), (b"\3", "a"), (b"\4", "b"), (b"\5", "c")):
        dag.add(name, dag.judge([0]), twin)
    virtual = dag.judge([1, 2, 3, 4, 5])
    assert virtual.blues == (5, 1, 4)
    assert virtual.reds == (2, 3)
    assert virtual.score == virtual.work == 4
    # A twin in the past of the selected parent counts as earlier, whatever its colour there.
    dag.add(b"\6", virtual, "d")
    dag.add(b"\7", dag.judge([5]), "a")
    later = dag.judge([6, 7])
    assert later.selected == 6
    assert later.reds == (7,)


def test_refuses_to_merge_too_many_before_colouring() -> None:
    dag = Ghostdag(18, b"\0")
    for name in range(1, 11):
        dag.add(bytes([name]), dag.judge([0]))
    parents = range(1, 11)
    assert len(dag.mergeset(dag.judge(parents, limit=10))) == 10
    with pytest.raises(MergesetError, match="10 blocks, more than 9"):
        dag.judge(parents, limit=9)


def test_refuses_what_was_judged_for_another_place() -> None:
    dag = Ghostdag(18, b"\0")
    early = dag.judge([0])
    dag.add(b"\1", dag.judge([0]))
    with pytest.raises(ValueError, match="before another one came"):
        dag.add(b"\2", early)
    with pytest.raises(ValueError, match="in the DAG already"):
        dag.add(b"\1", dag.judge([0]))


def stored(coloured: Coloured) -> Coloured:
    """What storage brings back: reachability is not written."""
    return Coloured(
        at=coloured.at,
        parents=coloured.parents,
        selected=coloured.selected,
        blues=coloured.blues,
        reds=coloured.reds,
        sizes=dict(coloured.sizes),
        score=coloured.score,
        work=coloured.work,
    )


def restored(dag: Ghostdag, made: Sequence[Made]) -> Ghostdag:
    by_id = {block.id: block for block in made}
    root = by_id[dag.ids[dag.root]]
    again = Ghostdag(dag.k, root.id, stored(dag.coloured[dag.root]), root.twin, root.weight)
    for at in sorted(dag.coloured):
        if at != dag.root:
            block = by_id[dag.ids[at]]
            again.restore(block.id, stored(dag.coloured[at]), block.twin, block.weight)
    return again


def deep_dag(random: Random, blocks: int, twins: int) -> list[Made]:
    """A DAG that keeps a merge depth of 24 blocks: nothing older than that is named, unless it is merged already."""
    made, pasts = [Made(random.randbytes(32), (), 1, 0)], [set[int]()]
    for place in range(1, blocks):
        newest = range(max(0, place - 8), place)
        chosen = {place - 1 - int(random.random() < 0.5) * random.randrange(len(newest))}
        chosen.update(random.choice(newest) for _ in range(random.randint(0, 3)))
        parents = antichain(chosen, pasts)
        past = set(parents).union(*(pasts[parent] for parent in parents))
        twin: Hashable = place
        strangers = [other for other in range(max(1, place - 8), place) if other not in past]
        if strangers and random.randrange(100) < twins:
            twin = made[random.choice(strangers)].twin
        made.append(Made(random.randbytes(32), parents, random.choice((1, 1, 2)), twin))
        pasts.append(past)
    return made


@pytest.mark.parametrize("seed", range(40))
def test_a_pruned_and_a_restored_dag_answer_like_the_whole_one(seed: int) -> None:
    random = Random(f"prune {seed}")
    made, k = deep_dag(random, 260, twins=10), random.choice((1, 2, 4))
    pasts = pasts_of(made)
    whole = build(made, k)
    pruned = Ghostdag(k, made[0].id, twin=made[0].twin, weight=made[0].weight)
    places: dict[int, int] = {0: 0}  # place → index in the pruned DAG
    refused: set[int] = set()
    compared = cuts = 0
    for place, block in enumerate(made[1:], 1):
        root = next(at for at, index in places.items() if index == pruned.root)
        if any(parent in refused or parent not in places for parent in block.parents):
            refused.add(place)
            continue
        order = whole.mergeset(whole.coloured[place])
        if place > 60 and any(other != root and root not in pasts[other] for other in order):
            refused.add(place)  # it breaks the merge depth; so do its descendants
            continue
        coloured = put(pruned, made, block)
        places[place] = coloured.at
        expected = whole.coloured[place]
        assert coloured.selected == places[expected.selected]
        assert [made[blue].id for blue in expected.blues] == [pruned.ids[blue] for blue in coloured.blues]
        assert [made[red].id for red in expected.reds] == [pruned.ids[red] for red in coloured.reds]
        assert (coloured.score, coloured.work) == (expected.score, expected.work)
        assert [pruned.ids[other] for other in pruned.mergeset(coloured)] == [made[other].id for other in order]
        compared += place > 60
        if place % 20 == 0 and place >= 60:
            chain = list(pruned.chain(coloured.at))
            if len(chain) > 40:
                dropped = pruned.prune(chain[40])
                cuts += bool(dropped)
                kept = pruned.coloured.keys()
                assert not kept & set(dropped)
                assert kept == pruned.ids.keys() == set(pruned.index.values())
                new_root = next(at for at, index in places.items() if index == chain[40])
                places = {at: index for at, index in places.items() if index in kept}
                assert set(places) == {at for at in places if at == new_root or new_root in pasts[at]}
                for a, left in places.items():
                    for b, right in places.items():
                        assert pruned.is_ancestor(left, right) == (a in pasts[b])
                assert pruned.tips() == {places[tip] for tip in antichain(places, pasts)}
                assert list(pruned.chain(coloured.at))[-1] == pruned.root
                assert len(pruned._holes) <= pruned.next - pruned.root  # else they would pile up for ever
                again = restored(pruned, made)
                assert {at: again.coloured[at].missing for at in kept} == {
                    at: pruned.coloured[at].missing for at in kept
                }
                assert again.tips() == pruned.tips()
                if random.random() < 0.5:
                    pruned = again
    assert cuts >= 3
    assert compared > 80


def lingering(blocks: int) -> Ghostdag:
    """A chain beside one block that nobody ever merges."""
    dag = Ghostdag(18, bytes(32))
    dag.add(b"lingers", dag.judge([0]))
    dag.add(b"\0\0", dag.judge([0]))
    for number in range(blocks):
        dag.add(number.to_bytes(2) + b"next", dag.judge([dag.next - 1]))
    return dag


def test_a_block_that_lingers_is_one_object_for_a_chunk_of_blocks() -> None:
    dag = lingering(5_000)
    sets = [coloured.reach for coloured in dag.coloured.values()]
    assert all(missing.at < 2 or 1 in missing for missing in sets)
    assert len({id(missing.far) for missing in sets}) <= 5_000 // reachability.CHUNK + 2
    assert max(missing.near.bit_length() for missing in sets) <= 2 * reachability.CHUNK


def test_two_branches_side_by_side_share_what_they_miss() -> None:
    dag = Ghostdag(18, bytes(32))
    tips = [0, 0]
    for number in range(5_000):
        side = number % 2
        tips[side] = dag.add(number.to_bytes(2), dag.judge([tips[side]]))
    sets = [coloured.reach for coloured in dag.coloured.values()]
    assert all(place == 1 or place - 1 in sets[place] for place in range(2, 5_000))
    assert len({id(missing.far) for missing in sets}) <= 2 * 5_000 // reachability.CHUNK + 4
    dag.prune(1_001)
    sets = [coloured.reach for coloured in dag.coloured.values()]
    assert not any(missing.whole() for missing in sets)


def test_pruning_keeps_shared_what_was_shared() -> None:
    dag = Ghostdag(18, bytes(32))
    root = dag.add(b"root", dag.judge([0]))
    dag.add(b"lingers", dag.judge([root]))
    newest = dag.add(b"first", dag.judge([root]))
    for number in range(5_000):
        newest = dag.add(number.to_bytes(2), dag.judge([newest]))
    assert dag.prune(root) == [0]
    sets = [coloured.reach for coloured in dag.coloured.values()]
    assert all(root + 1 in missing for missing in sets if missing.at > root + 1)
    assert len({id(missing.far) for missing in sets}) <= 5_000 // reachability.CHUNK + 2


def test_pruning_forgets_a_block_that_lingers() -> None:
    dag = lingering(1_000)
    newest = dag.next - 1
    assert len(dag.prune(newest - 100)) == newest - 100
    assert all(coloured.missing == 0 for coloured in dag.coloured.values())
    assert dag.tips() == {newest}
    assert b"lingers" not in dag.index


def test_a_hole_between_kept_blocks_is_never_merged() -> None:
    """Index 3 is dropped. A new block on 2 comes after it by index and must not carry it into the next mergeset."""
    dag = Ghostdag(18, b"\0")
    dag.add(b"\1", dag.judge([0]))  # 1, the root to be
    dag.add(b"\2", dag.judge([1]))
    dag.add(b"\3", dag.judge([0]))
    dag.add(b"\4", dag.judge([2]))
    assert dag.prune(1) == [0, 3]
    dag.add(b"\5", dag.judge([2]))
    merging = dag.judge([4, 5])
    assert sorted(dag.mergeset(merging)) == [4, 5]
    assert merging.missing == 0
    again = Ghostdag(18, b"\1", stored(dag.coloured[1]))
    for at in (2, 4, 5):
        again.restore(dag.ids[at], stored(dag.coloured[at]))
    assert again.judge([4, 5]) == merging


def test_judging_from_under_the_root_is_refused_by_name() -> None:
    """A chain block above the root merged a dropped block: nobody can tell any more whether that is in a candidate's
    anticone."""
    dag = Ghostdag(3, b"\0")
    dag.add(b"\1", dag.judge([0]))
    dag.add(b"\2", dag.judge([0]))  # the root to be: its id is the larger
    dag.add(b"\3", dag.judge([1, 2]))
    dag.add(b"\4", dag.judge([2]))
    assert dag.coloured[3].blues == (2, 1)
    assert dag.prune(2) == [0, 1]
    with pytest.raises(PrunedError, match="Block 4"):
        dag.judge([3, 4])
    again = Ghostdag(3, b"\2", stored(dag.coloured[2]))
    for at in (3, 4):
        again.restore(dag.ids[at], stored(dag.coloured[at]))
    with pytest.raises(PrunedError, match="Block 4"):
        again.judge([3, 4])


def test_restoring_keeps_to_the_order_and_to_known_parents() -> None:
    root = Coloured(at=5, parents=(3, 4), selected=4, blues=(4, 3), score=7, work=7)
    dag = Ghostdag(18, b"root", root)
    with pytest.raises(ValueError, match="ascending order"):
        dag.restore(b"early", Coloured(at=5, parents=(4,), selected=4, blues=(4,)))
    with pytest.raises(ValueError, match="no parent"):
        dag.restore(b"stray", Coloured(at=9, parents=(4,), selected=4, blues=(4,)))
    dag.restore(b"good", Coloured(at=9, parents=(5,), selected=5, blues=(5,), score=8, work=8))
    assert dag.add(b"next", dag.judge([9])) == 10
    assert dag.coloured[10].score == 9
    assert list(dag.chain(10)) == [10, 9, 5]
