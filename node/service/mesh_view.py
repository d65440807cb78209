"""What the node tells its owner of its links, and the invitations that it makes."""

from __future__ import annotations

from heapq import nlargest
from typing import TYPE_CHECKING, cast

from node.api.errors import Refused
from node.api.records import BanView, InvitationView, KnownView, MeshView, PeerView, SyncView
from node.encoding.hosts import Address, is_host, prefix_of
from node.light.spectrum import VISIBLE
from node.mesh.discovery import own_addresses
from node.profile.invitation import MAX_NAME, MAX_NODES, Invitation

if TYPE_CHECKING:
    from node.service.mesh import Mesh

MAX_KNOWN = 96
"""Nodes of the address book that are shown."""


def invitation(mesh: Mesh, host: str | None) -> InvitationView:
    """An invitation by this node, through relays where nobody can call it. Raises Refused where nobody reaches it."""
    hosts = _hosts(mesh) if host is None else [host]
    if not all(is_host(one) for one in hosts):
        raise Refused("bad_host", f"{host!r} is no host's name or address.")
    direct = [Address(one, mesh.port, mesh.key.id) for one in hosts] if mesh.port else []
    relayed = list(mesh.routing.own_routes()) if host is None else []
    # The short form names the first. Within a local network addresses of this device are the better guess.
    nodes = tuple((*relayed, *direct) if mesh.routing.outside else (*direct, *relayed))[:MAX_NODES]
    if not nodes:
        raise Refused(
            "not_listening",
            "This node takes no links from outside and is linked with no relay, so nobody could come by its "
            "invitation.",
            "Set mesh.listen to an address of this device, or connect to the network; then start the node again.",
        )
    genesis = mesh.node.genesis
    # Of what newcomers are given: a later checkpoint would be no help to begin from it.
    if mesh.shelf is not None:
        checkpoint = b"" if mesh.shelf.newest is None else mesh.shelf.newest.checkpoint.hash
    else:
        final = mesh.node.engine.view.final  # by votes in the chain: other nodes can prove what follows from it
        checkpoint = final.hash if final.height else b""
    made = Invitation(genesis.hash, nodes, checkpoint, genesis.name[:MAX_NAME])
    return InvitationView(made.text(), made.compact())


def _hosts(mesh: Mesh) -> list[str]:
    """Where others may reach this device, if it listens there."""
    if set(mesh.settings.hosts) & {"0.0.0.0", "::"}:
        return own_addresses()
    return list(mesh.settings.hosts)


def mesh_view(mesh: Mesh) -> MeshView:
    """The links as they are now."""
    now = mesh.now_ms()
    peers = []
    for number, peer in mesh.peers.items():
        known = mesh.gossip.machine.peers.get(number)
        if known is not None:
            link, hello = peer.link, peer.hello
            peers.append(
                PeerView(
                    node=link.peer,
                    host=link.host,
                    port=hello.port if link.inbound else link.port,
                    inbound=link.inbound,
                    agent=hello.agent,
                    linked_ms=now - peer.since_ms,
                    since_ms=peer.linked_ms,
                    delay_ms=known.delay_ms,
                    bytes_in=link.bytes_in,
                    bytes_out=link.bytes_out,
                    behind=known.behind,
                    faults=known.faults,
                    score=hello.score,
                    brought=mesh.gossip.usefulness.count(number),
                    region=mesh.gossip.usefulness.region(number),
                    relay=link.relay,
                )
            )
    circuits = mesh.relaying.circuits
    bans = tuple(BanView(node, until) for node, until in sorted(mesh.bans.items()) if until > mesh.clock())
    return MeshView(
        node=mesh.key.id,
        port=mesh.port,
        hosts=tuple(_hosts(mesh)) if mesh.port else (),
        known=len(mesh.book),
        syncing=mesh.gossip.machine.syncing,
        peers=tuple(peers),
        bans=bans,
        others=_known(mesh),
        sync=sync_view(mesh),
        bytes_in=mesh.traffic.bytes_received,
        bytes_out=mesh.traffic.bytes_sent,
        region=_own_region(mesh),
        unreachable=mesh.routing.unreachable,
        relays=tuple(route.relay for route in mesh.routing.own_routes()),
        circuits=len(circuits) if circuits.relaying else None,
        relayed=circuits.relayed,
        sparing=mesh.thrift.view(),
    )


def _known(mesh: Mesh) -> tuple[KnownView, ...]:
    """What the address book knows best: linked nodes first, then those reached last, then those heard of last."""
    linked = {peer.link.peer for peer in mesh.peers.values()}
    rows = cast("tuple[tuple[str, int, bytes, bytes, int, int, int], ...]", mesh.book.rows())
    best = nlargest(MAX_KNOWN, rows, key=lambda row: (row[2] in linked, row[5], row[4]))
    return tuple(
        KnownView(node, host, port, prefix_of(host), source, reached or None, failures)
        for host, port, node, source, _, reached, failures in best
    )


def sync_view(mesh: Mesh) -> SyncView | None:
    """How far fetching has come; None where no peer is known to have more."""
    machine = mesh.gossip.machine
    targets = [
        peer.hello.score
        for number, peer in mesh.peers.items()
        if (known := machine.peers.get(number)) is not None and known.behind
    ]
    score, target = mesh.node.engine.chain.tip.coloured.score, max(targets, default=0)
    if not machine.syncing or target <= score:
        return None
    return SyncView(score, target, mesh.node.tally.ms_for(target - score))


def _own_region(mesh: Mesh) -> str:
    producer, table = mesh.node.producer, mesh.node.engine.view.table
    region = None if producer is None else table.regions.get(producer.identity)
    return "" if region is None else VISIBLE[region].name
