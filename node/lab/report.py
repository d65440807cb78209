"""The report of a simulation, as a document that is the same in every run of one seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from node.consensus.dagblocks import DagBlock
from node.consensus.engine import Engine
from node.encoding.amounts import SUPPLY
from node.lab.measures import Payment, spread, spread_of
from node.lab.wires import Label
from node.ledger import registry, staking
from node.ledger.state import waves_of
from node.mesh.protocol.messages import BLOCK, TRANSACTION, VOTE, Absent, Get, Inventory, NewBlock, WholeBlock

if TYPE_CHECKING:
    from node.lab.network import Network
    from node.lab.node import Node

_SETTLING_MS = 90_000  # payments of the last so many ms, or of the last quarter, are not asked about their finality


def report(network: Network) -> dict[str, Any]:
    """Everything measured so far. Times are ms of virtual time."""
    scenario, measures, observer = network.scenario, network.measures, network.observer
    seconds = max(1, network.seconds)
    payments = list(measures.payments.values())
    chain = list(observer.engine.selected(observer.engine.chain.tip))
    return {
        "scenario": _plain(asdict(scenario)),
        "virtual_seconds": network.seconds,
        "events": network.agenda.done,
        "throughput": {
            "blocks": len(observer.engine.blocks) - 1,
            "blocks_per_s": _ratio(len(observer.engine.blocks) - 1, seconds),
            "payments": len(payments),
            "payments_accepted": sum(payment.included >= 0 for payment in payments),
            "payments_final": sum(payment.final >= 0 for payment in payments),
            "payments_refused": dict(sorted(measures.refused_payments.items())),
            "accepted_per_s": _ratio(observer.executed, seconds),
        },
        "dag": _dag(observer.engine, chain),
        "overlap": _overlap(observer),
        "inclusion_ms": spread(payment.included - payment.submitted for payment in payments if payment.included >= 0),
        "finality_ms": _finality(network, payments),
        "finality": _progress(network),
        "traffic": _traffic(network, seconds),
        "propagation_ms": spread_of(measures.ways),
        "returns": [
            {"node": back.node, "second": back.began // 1000, "lacked": back.lacked, "took_ms": back.took_ms}
            for back in measures.returns
        ],
        "reorganisations": {
            "count": sum(measures.depths.values()),
            "deepest": max(measures.depths, default=0),
            "by_depth": {str(depth): measures.depths[depth] for depth in sorted(measures.depths)},
        },
        "refused_blocks": dict(sorted(measures.rejected.items())),
        "offences": dict(sorted(measures.offences.items())),
        "culprits": _culprits(network),
        "attackers": _attackers(network, chain),
        "findings": network.attack.findings(),
        "safety": safety(network),
        "series": [asdict(moment) for moment in measures.series],
    }


def _traffic(network: Network, seconds: int) -> dict[str, Any]:
    """What was sent, by kind; how often a thing is announced to a node, and how much of it comes again."""
    wires, measures, nodes = network.wires, network.measures, network.scenario.nodes
    labels: dict[Label, str] = {TRANSACTION: "transactions", VOTE: "votes", WholeBlock: "blocks", NewBlock: "headers"}
    labels |= {Inventory: "inventories", Get: "requests", Absent: "absences"}
    messages, sizes = Counter[str](), Counter[str]()
    for name, count in wires.messages.items():
        messages[labels.get(name, "other")] += count
        sizes[labels.get(name, "other")] += wires.bytes[name]
    total, minutes = sum(sizes.values()), seconds * nodes / 60
    blocks = wires.messages[WholeBlock]
    return {
        "messages": dict(sorted(messages.items())),
        "bytes": dict(sorted(sizes.items())),
        "total_bytes": total,
        "bytes_per_node_s": total // (seconds * nodes),
        "messages_per_node_minute": round(sum(messages.values()) / minutes, 1),
        "bytes_per_node_minute": round(total / minutes),
        "headers_per_block": _ratio(wires.messages[NewBlock], measures.judged[BLOCK]),
        "names_per_thing": _ratio(wires.things, measures.judged[TRANSACTION] + measures.judged[VOTE]),
        "blocks_again_percent": _ratio(100 * max(0, blocks - measures.judged[BLOCK]), blocks),
        "links_ended": dict(sorted(measures.closed.items())),
        "bans": {"of_attackers": measures.banned[False], "of_honest": measures.banned[True]},
    }


def _plain(value: Any) -> Any:
    """Tuples as lists, as JSON will have them anyway."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _ratio(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 0.0


def _dag(engine: Engine, chain: list[DagBlock]) -> dict[str, Any]:
    """Colours by the selected chain, and how many blocks lie side by side: a block and its anticone."""
    blues = sum(len(block.coloured.blues) for block in chain)
    reds = sum(len(block.coloured.reds) for block in chain)
    blocks = [block for block in engine.blocks.values() if block.header is not None]
    aside = {block.index: block.coloured.missing.bit_count() for block in blocks}
    for block in blocks:
        missing = block.coloured.missing
        while missing:
            top = missing.bit_length()
            aside[block.index - top] = aside.get(block.index - top, 0) + 1
            missing ^= 1 << (top - 1)
    return {
        "parallel_mean": _ratio(sum(aside.values()) + len(blocks), len(blocks)),
        "parallel_max": 1 + max(aside.values(), default=0),
        "merged": blues + reds,
        "blue": blues,
        "red": reds,
        "blue_percent": _ratio(100 * blues, blues + reds),
        "chain": len(chain) - 1,
        "tips": len(engine.dag.tips()),
        "disqualified": sum(block.disqualified for block in blocks),
    }


def _overlap(node: Node) -> dict[str, Any]:
    """Payments that more than one block carries: what parallel blocks waste."""
    carried: dict[bytes, int] = {}
    for block in node.disk.blocks.values():
        for transaction in block.transactions:
            carried[transaction.txid] = carried.get(transaction.txid, 0) + 1
    total = sum(carried.values())
    return {"carried": total, "again": total - len(carried), "percent": _ratio(100 * (total - len(carried)), total)}


def _finality(network: Network, payments: Iterable[Payment]) -> dict[str, Any]:
    """From submission to a final checkpoint above it, at the node where the payment was submitted, if that runs."""
    settling = min(_SETTLING_MS, network.agenda.now // 4)
    asked = [
        payment
        for payment in payments
        if payment.submitted <= network.agenda.now - settling and network.is_up[payment.home]
    ]
    return {
        **spread(payment.final - payment.submitted for payment in asked if payment.final >= 0),
        "asked": len(asked),
        "open": sum(payment.final < 0 for payment in asked),
    }


def _progress(network: Network) -> dict[str, Any]:
    final = network.observer.engine.final
    moments = [0, *network.measures.final_at.values(), network.agenda.now]
    lag = network.time_ms - network.slots.begins_ms(final.checkpoint.slot)
    return {
        "checkpoint": final.number,
        "height": final.height,
        "lag_ms": lag,
        "longest_gap_ms": max(later - before for before, later in pairwise(moments)),
        "least": min(node.engine.final.number for node in network.honest),
    }


def _culprits(network: Network) -> list[dict[str, Any]]:
    """Validators that evidence on the observer's chain has punished."""
    state, found = network.observer.engine.state, []
    for index, node in enumerate(network.nodes[: network.scenario.validators]):
        if slot := staking.tombstoned_at(state, node.identity):
            now = staking.validator(state, node.identity)
            assert now is not None
            before = next(item.stake for item in network.genesis.validators if item.account == node.identity)
            lost = before - now.stake
            found.append(
                {
                    "validator": index,
                    "attacker": not network.is_honest(node),
                    "slot": slot,
                    "lost_percent": _ratio(100 * lost, before),
                }
            )
    return found


def _attackers(network: Network, chain: list[DagBlock]) -> dict[str, Any]:
    """What share of blocks, blue blocks and chain blocks the attackers got, beside their share of stake."""
    ids = {node.identity for node in network.attackers}
    engine = network.observer.engine

    def share(blocks: Iterable[DagBlock]) -> float:
        headers = [block.header for block in blocks if block.header is not None]
        return _ratio(100 * sum(header.creator in ids for header in headers), len(headers))

    whole = sum(item.stake for item in network.genesis.validators)
    stake = sum(item.stake for item in network.genesis.validators if item.account in ids)
    blues = [engine.by_index[index] for block in chain for index in block.coloured.blues]
    return {
        "validators": [node.index for node in network.attackers],
        "stake_percent": _ratio(100 * stake, whole),
        "blocks_percent": share(engine.blocks.values()),
        "blue_percent": share(blues),
        "chain_percent": share(chain),
    }


def safety(network: Network) -> dict[str, Any]:
    """Whether no two honest nodes hold conflicting checkpoints final, and no unit came from nothing or went."""
    faults: list[str] = []
    newest = max(network.honest, key=lambda node: (node.engine.final.number, node.index))
    engine = newest.engine
    anchor = engine.blocks[engine.final.checkpoint.block]
    heights = {block.id: block.height for block in engine.selected(anchor)}
    hashes: dict[int, bytes] = {}
    for node in network.honest:
        for final in node.final:
            if final.checkpoint.block not in heights:
                faults.append(f"node {node.index} held checkpoint {final.number} final, which is off the final chain")
            if hashes.setdefault(final.number, final.hash) != final.hash:
                faults.append(f"two checkpoints {final.number} are final")
        if node.engine.ballots.conflict is not None:
            faults.append(f"node {node.index} knows a justified link against what is final")
        if (total := registry.total_units(node.engine.state)) != SUPPLY:
            faults.append(f"node {node.index} holds {total} units in all")
    faults += _unequal_states(network.honest)
    if waves_of(engine.state, numpy=False).commitment != engine.waves.commitment:
        faults.append("the running waves are not those of the state")
    return {
        "ok": not faults,
        "faults": faults[:20],
        "final_checkpoints": len(hashes),
        "nodes": len(network.honest),
        "energy": str(SUPPLY) if not any("units" in fault for fault in faults) else "broken",
    }


def _unequal_states(nodes: Iterable[Node]) -> list[str]:
    """Nodes at one tip must be in one state."""
    states: dict[bytes, bytes] = {}
    return [
        f"node {node.index} has another state at its tip than others there"
        for node in nodes
        if states.setdefault(node.engine.tip.id, node.engine.waves.commitment) != node.engine.waves.commitment
    ]
