"""How far the chain is final, for people: checkpoints, their votes by region, and the validators."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from node.api.records import CheckpointView, FinalityView, RegionShare, ValidatorView
from node.consensus.engine import Engine
from node.consensus.finality import Target, pattern_digest, spectral_quorum
from node.consensus.views import link_of
from node.consensus.votes import Vote
from node.ledger import staking
from node.light.spectrum import VISIBLE

MAX_CHECKPOINTS = 20


def checkpoint_views(engine: Engine) -> tuple[CheckpointView, CheckpointView]:
    """The newest final checkpoint and the highest justified one, by all votes known."""
    proven = (engine.final.number,)
    return _checkpoint(engine, engine.final, proven), _checkpoint(engine, engine.justified, proven)


def finality_view(engine: Engine) -> FinalityView:
    """See NodeApi."""
    final, justified = checkpoint_views(engine)
    known = sorted(
        (target for target in engine.ballots.targets.values() if _on_chain(engine, target)),
        key=lambda target: -target.number,
    )
    view, proven = engine.view, _proven(engine)
    return FinalityView(
        final=final,
        justified=justified,
        checkpoints=tuple(_checkpoint(engine, target, proven) for target in known[:MAX_CHECKPOINTS]),
        validators=_validators(engine),
        table_hash=view.table.hash,
        next_table_hash=view.next_table.hash,
        lag_slots=max(0, engine.tip.slot - engine.final.checkpoint.slot),
    )


def _proven(engine: Engine) -> list[int]:
    """Which checkpoints of the chain are final by votes of their own that are kept, ascending: the newest, and those
    below it from which a justified link leads to the very next."""
    ballots, newest, found = engine.ballots, engine.final.number, {engine.final.number}
    for (source_hash, target_hash), votes in ballots.links.items():
        source, target = ballots.targets.get(source_hash), ballots.targets.get(target_hash)
        if source is None or target is None or target.number != source.number + 1:
            continue
        stands = source.number < newest and source_hash in ballots.justified and _on_chain(engine, source)
        if stands and engine.views.justifies(votes, source, target):
            found.add(source.number)
    return sorted(found)


def _on_chain(engine: Engine, target: Target) -> bool:
    block = engine.blocks.get(target.checkpoint.block)
    return block is not None and engine.on_chain(block, engine.chain.tip)


def _votes_for(engine: Engine, target: Target) -> tuple[Target, Mapping[bytes, Vote]] | None:
    """The link to a checkpoint with the most stake, and its votes."""
    best: tuple[int, Target, Mapping[bytes, Vote]] | None = None
    for (source_hash, target_hash), votes in engine.ballots.links.items():
        source = engine.ballots.targets.get(source_hash)
        if target_hash != target.hash or source is None:
            continue
        stake = sum(target.table.stake_of(voter) for voter in votes)
        if best is None or stake > best[0]:
            best = stake, source, votes
    return None if best is None else best[1:]


def _checkpoint(engine: Engine, target: Target, proven: Sequence[int]) -> CheckpointView:
    """`proven` are the numbers of checkpoints that are final by votes of their own."""
    checkpoint, table = target.checkpoint, target.table
    found = _votes_for(engine, target)
    votes: Mapping[bytes, Vote] = {} if found is None else found[1]
    justified = target.hash in engine.ballots.justified
    final = target.number <= engine.final.number and _on_chain(engine, target)
    shares = []
    for region, (_, stake) in enumerate(table.region_stakes):
        voted = sum(table.stake_of(voter) for voter in votes if table.regions.get(voter) == region)
        shares.append(RegionShare(VISIBLE[region].name, stake, voted))
    pattern = b""
    if found is not None and justified:
        pattern = pattern_digest(link_of(found[0], target, found[1]).pattern)
    return CheckpointView(
        number=checkpoint.number,
        block=checkpoint.block,
        slot=checkpoint.slot,
        height=target.height if _on_chain(engine, target) else None,
        hash=target.hash,
        status="final" if final else "justified" if justified else "waiting",
        final_by=next(number for number in proven if number >= target.number) if final else None,
        stake_voted=sum(share.voted for share in shares),
        stake_total=table.total_stake,
        voters=len(votes),
        spectral=tuple(shares),
        rule=_rule(target),
        absent=sum(item.id in target.absent and item.id not in votes for item in table.validators),
        pattern=pattern,
    )


def _rule(target: Target) -> str:
    """Who is asked for a checkpoint: where no vote at all satisfies the regions, too few of them are full."""
    if spectral_quorum(frozenset(), target.table, target.absent):
        return "few_regions"
    return "pause" if target.stake_alone else "regions"


def _validators(engine: Engine) -> tuple[ValidatorView, ...]:
    table = engine.view.table
    blocks = Counter(block.header.creator for block in engine.blocks.values() if block.header is not None)
    last: dict[bytes, int] = {}
    for votes in engine.ballots.links.values():
        for voter, vote in votes.items():
            last[voter] = max(vote.target, last.get(voter, 0))
    return tuple(
        ValidatorView(
            id=item.id,
            name="",
            region=VISIBLE[table.regions[item.id]].name,
            stake=item.stake,
            last_vote=last.get(item.id),
            blocks=blocks[item.id],
            tombstoned=bool(staking.tombstoned_at(engine.state, item.id)),
            absent=item.id in engine.view.absent,
        )
        for item in table.validators
    )
