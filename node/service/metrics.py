"""What a node tells Prometheus of itself. Everything is a number or a fixed word: nothing here names an account or a
peer."""

from __future__ import annotations

import os
import resource
import sys
import time
from collections import Counter
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from node.mesh.protocol.messages import HELLO, TYPES
from node.service.exposition import Exposition, Histogram
from node.service.node import Node

if TYPE_CHECKING:
    from node.mesh.traffic import Traffic
    from node.service.mesh import Mesh

LAG_BOUNDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_LEVELS = ("info", "warning", "error")


async def exposition(node: Node, lag: Histogram) -> str:
    """All measurements as they are now; `lag` is how late the event loop came to what was due."""
    out = Exposition()
    status = await node.status()
    network = status.network
    labels = {"version": _version(), "network": network.name, "genesis": network.genesis.hex(), "mode": status.mode}
    out.gauge("nexus_build_info", "The program, its network and what it does; always 1.", (labels, 1))
    _chain(out, node, status.current_slot)
    out.gauge("nexus_mempool_transactions", "Transactions that wait for a block.", ({}, status.mempool_transactions))
    out.gauge("nexus_mempool_bytes", "Bytes of transactions that wait for a block.", ({}, status.mempool_bytes))
    out.gauge("nexus_database_bytes", "Size of the chain's database on disk.", ({}, status.database_bytes))
    out.gauge("nexus_accounts", "Accounts in the state.", ({}, status.accounts))
    levels = Counter(alert.level for alert in status.alerts)
    out.gauge("nexus_alerts", "Standing alerts by level.", *(({"level": level}, levels[level]) for level in _LEVELS))
    if node.links is not None:
        _mesh(out, node.links)
    out.histogram("nexus_event_loop_lag_seconds", "How late the event loop came to what was due, twice a second.", lag)
    _process(out, status.started_ms)
    return out.text()


def _chain(out: Exposition, node: Node, slot: int) -> None:
    engine, tally, slot_s = node.engine, node.tally, node.genesis.parameters.slot_ms / 1000
    tip, final = engine.tip, node.retention.final_height
    out.gauge("nexus_block_height", "Height of the selected chain.", ({}, tip.height))
    out.gauge("nexus_final_height", "Height of the newest final checkpoint's block.", ({}, final))
    out.gauge(
        "nexus_finality_lag_blocks", "Blocks of the selected chain above the final one.", ({}, tip.height - final)
    )
    lag = max(0, tip.slot - engine.final.checkpoint.slot) if tip.height > final else 0
    out.gauge("nexus_finality_lag_seconds", "From the final block's slot to the tip's.", ({}, lag * slot_s))
    out.gauge("nexus_tip_age_seconds", "Since the slot of the newest block began.", ({}, (slot - tip.slot) * slot_s))
    out.counter("nexus_blocks_total", "Blocks taken into the DAG, own ones too.", ({}, tally.blocks))
    out.counter("nexus_transactions_executed_total", "Transactions that the chain executed.", ({}, tally.executed))
    out.counter(
        "nexus_reorganisations_total", "Times that the selected chain changed its way.", ({}, tally.reorganisations)
    )
    out.counter("nexus_blocks_undone_total", "Blocks that reorganisations took off the chain.", ({}, tally.undone))


def _mesh(out: Exposition, mesh: Mesh) -> None:
    inbound = sum(peer.link.inbound for peer in mesh.peers.values())
    out.gauge(
        "nexus_peers",
        "Linked nodes by who called whom.",
        ({"direction": "inbound"}, inbound),
        ({"direction": "outbound"}, len(mesh.peers) - inbound),
    )
    machine = mesh.gossip.machine
    behind = sum(peer.behind for peer in machine.peers.values())
    out.gauge("nexus_known_addresses", "Addresses of other nodes in the book.", ({}, len(mesh.book)))
    now = mesh.clock()
    out.gauge("nexus_banned_nodes", "Nodes that are kept out now.", ({}, sum(end > now for end in mesh.bans.values())))
    out.counter("nexus_connections_refused_total", "Connections that were not let in.", ({}, mesh.refused))
    out.gauge("nexus_sync_active", "1 while blocks are fetched that were missed.", ({}, int(machine.syncing)))
    out.gauge("nexus_sync_peers_ahead", "Peers that have blocks which are not here yet.", ({}, behind))
    circuits = mesh.relaying.circuits
    out.gauge("nexus_circuits", "Circuits that are made for others now.", ({}, len(circuits)))
    out.counter("nexus_relayed_bytes_total", "Bytes that circuits carried for others.", ({}, circuits.relayed))
    _traffic(out, mesh.traffic)


def _traffic(out: Exposition, traffic: Traffic) -> None:
    names = {HELLO: "hello", **{kind: _words(message.__name__) for kind, message in TYPES.items()}}
    ways = (("received", traffic.received), ("sent", traffic.sent))
    for index, (name, about) in enumerate(
        (
            ("nexus_mesh_messages_total", "Messages of all links by type and direction."),
            ("nexus_mesh_bytes_total", "Bytes of the messages' frames by type and direction, without TLS."),
        )
    ):
        out.counter(
            name,
            about,
            *(
                ({"type": names.get(kind, "other"), "direction": way}, counts[index])
                for way, found in ways
                for kind, counts in sorted(found.items())
            ),
        )


def _process(out: Exposition, started_ms: int) -> None:
    """The names that all of Prometheus's own libraries use."""
    out.counter(
        "process_cpu_seconds_total", "User and system time of the process.", ({}, round(time.process_time(), 3))
    )
    out.gauge("process_resident_memory_bytes", "Memory in use.", ({}, resident_bytes()))
    out.gauge("process_start_time_seconds", "When the node started, Unix time.", ({}, started_ms / 1000))


def resident_bytes() -> int:
    """Memory of this process; its largest so far where the system does not tell the present one."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024
    return pages * os.sysconf("SC_PAGE_SIZE")


def _version() -> str:
    try:
        return version("nexus-os")
    except PackageNotFoundError:
        return "unknown"


def _words(name: str) -> str:
    """AskHistory → ask_history."""
    return "".join(
        f"_{letter.lower()}" if letter.isupper() and place else letter.lower() for place, letter in enumerate(name)
    )
