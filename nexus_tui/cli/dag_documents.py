"""The DAG's records as documents of the command line; their keys are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nexus_tui.cli.output import amount

if TYPE_CHECKING:
    from node.api.records import CheckpointView, DagBlockSummary, DagBlockView, DagView, FinalityView


def summary_document(block: DagBlockSummary) -> dict[str, Any]:
    """A block in a list."""
    return {
        "id": block.id.hex(),
        "parents": [parent.hex() for parent in block.parents],
        "slot": block.slot,
        "seat": block.seat,
        "creator": block.creator.hex(),
        "region": block.region,
        "blue_score": block.blue_score,
        "height": block.height,
        "colour": block.colour,
        "chain": block.chain,
        "final": block.final,
        "transactions": block.transactions,
        "votes": block.votes,
        "disqualified": block.disqualified,
        "time_ms": block.time_ms,
    }


def checkpoint_document(view: CheckpointView | None) -> dict[str, Any] | None:
    """A checkpoint, or null."""
    if view is None:
        return None
    return {
        "number": view.number,
        "block": view.block.hex(),
        "slot": view.slot,
        "height": view.height,
        "hash": view.hash.hex(),
        "status": view.status,
        "final_by": view.final_by,
        "stake_voted": amount(view.stake_voted),
        "stake_total": amount(view.stake_total),
        "voters": view.voters,
        "spectral": [
            {"region": share.region, "stake": amount(share.stake), "voted": amount(share.voted)}
            for share in view.spectral
        ],
        "stake_alone": view.rule != "regions",
        "rule": view.rule,
        "absent": view.absent,
        "pattern": view.pattern.hex(),
    }


def dag_document(view: DagView) -> dict[str, Any]:
    """A part of the DAG."""
    return {
        "tip": view.tip.hex(),
        "tips": [tip.hex() for tip in view.tips],
        "final": checkpoint_document(view.final),
        "justified": checkpoint_document(view.justified),
        "oldest_slot": view.oldest_slot,
        "blocks": [summary_document(block) for block in view.blocks],
    }


def block_document(view: DagBlockView, prefix: str) -> dict[str, Any]:
    """A block in full."""
    from nexus_tui.format import address_text

    wave = view.wave
    return {
        **summary_document(view.summary),
        "creator_address": address_text(view.summary.creator, prefix),
        "version": view.version,
        "epoch": view.epoch,
        "reveal": view.reveal.hex(),
        "body_root": view.body_root.hex(),
        "state_commitment": view.state_commitment.hex(),
        "signature": view.signature.hex(),
        "wave": {
            "wavelength_pm": wave.wavelength_pm,
            "amplitude": wave.amplitude,
            "phase": wave.phase,
            "polarisation": wave.polarisation,
            "time": wave.time,
            "digest": wave.digest.hex(),
        },
        "blue_work": view.blue_work,
        "blues": [each.hex() for each in view.blues],
        "reds": [each.hex() for each in view.reds],
        "merged_by": None if view.merged_by is None else view.merged_by.hex(),
        "body_votes": [
            {
                "voter": vote.voter.hex(),
                "region": vote.region,
                "source": vote.source,
                "source_hash": vote.source_hash.hex(),
                "target": vote.target,
                "target_hash": vote.target_hash.hex(),
                "target_slot": vote.target_slot,
            }
            for vote in view.votes
        ],
        "txids": [txid.hex() for txid in view.txids],
        "accepted": [
            {
                "txid": each.txid.hex(),
                "carrier": each.carrier.hex(),
                "status": each.status,
                "fee": amount(each.fee),
            }
            for each in view.accepted
        ],
    }


def finality_document(view: FinalityView, prefix: str) -> dict[str, Any]:
    """Finality and who votes."""
    from nexus_tui.format import address_text

    return {
        "final": checkpoint_document(view.final),
        "justified": checkpoint_document(view.justified),
        "lag_slots": view.lag_slots,
        "checkpoints": [checkpoint_document(each) for each in view.checkpoints],
        "validators": [
            {
                "id": each.id.hex(),
                "address": address_text(each.id, prefix),
                "name": each.name,
                "region": each.region,
                "stake": amount(each.stake),
                "last_vote": each.last_vote,
                "blocks": each.blocks,
                "tombstoned": each.tombstoned,
                "absent": each.absent,
            }
            for each in view.validators
        ],
        "table_hash": view.table_hash.hex(),
        "next_table_hash": view.next_table_hash.hex(),
    }
