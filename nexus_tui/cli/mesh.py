"""`nexus mesh`: the links of this node to others, invitations, and whom it does not talk to."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from nexus_tui.cli.output import foreign, note, table
from nexus_tui.cli.session import session_of
from node.api.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from nexus_tui.cli.session import Session
    from node.api.interface import NodeApi
    from node.api.records import MeshView, PeerView, SparingView

Answer = TypeVar("Answer")

NodeId = Annotated[str, typer.Argument(metavar="NODE", help="The node's id (nxn1…), or the first digits of a peer's.")]


def peers(context: typer.Context) -> None:
    """List the peers that this node is linked with, and where it can be reached itself."""
    session = session_of(context)
    view = _ask(session, lambda api: api.mesh())
    session.done(mesh_document(view), _peer_lines(view))


def show_map(
    context: typer.Context,
    width: Annotated[
        int | None, typer.Option("--width", min=20, max=400, help="Columns; those of the terminal if not given.")
    ] = None,
    height: Annotated[int, typer.Option("--height", min=8, max=200, help="Rows.")] = 24,
    ascii_only: Annotated[bool, typer.Option("--ascii", help="Draw without braille and box characters.")] = False,
) -> None:
    """Draw the mesh as this node knows it: its links, the nodes it heard of, and who told of them."""
    import shutil

    from nexus_tui.drawing.mesh_map import draw, legend
    from node.encoding.node_id import node_text

    session = session_of(context)
    view = _ask(session, lambda api: api.mesh())
    made = draw(view, width or shutil.get_terminal_size((80, 24)).columns - 1, height, ascii_only)
    lines = [*made.picture.text(), "", "  ".join(f"{mark} {words}" for mark, words in legend(view, ascii_only))]
    if made.left_out:
        lines.append(f"{made.left_out:,} more are known.")
    known = [
        {
            "node": node_text(one.node),
            "host": one.host,
            "port": one.port,
            "group": one.group,
            "told_by": node_text(one.told_by) if one.told_by else None,
            "reached_ms": one.reached_ms,
            "failures": one.failures,
            "linked": any(peer.node == one.node for peer in view.peers),
        }
        for one in view.others
    ]
    session.done({**mesh_document(view), "nodes": known}, lines)


def invite(
    context: typer.Context,
    host: Annotated[
        str | None,
        typer.Option("--host", metavar="HOST", help="Where others reach this device; its own addresses if not given."),
    ] = None,
    qr: Annotated[bool, typer.Option("--qr", help="Draw the short form as a QR code.")] = False,
) -> None:
    """Make an invitation to this network: whoever has it can join by this node."""
    from node.profile.invitation import parse_invitation

    session = session_of(context)
    made = _ask(session, lambda api: api.invitation(host))
    lines = [
        made.uri,
        "",
        "Whoever has it can join while this node runs: Join in the app, or",
        "nexus init --network join --invite 'URI' (in quotes: a shell would take it apart).",
        "",
        f"Short form: {made.compact}",
    ]
    if all(_is_of_this_device(address.host) for address in parse_invitation(made.uri).nodes):
        note(
            "The invitation names only this device itself, where no other comes by it. Let the node listen for others "
            "(nexus config set mesh.listen any, then start it again), or name an address: --host HOST."
        )
    if qr:
        from wallet.requests import qr as code

        lines += ["", *code(made.compact, error="l")]
    session.done({"uri": made.uri, "compact": made.compact}, lines)


def _is_of_this_device(host: str) -> bool:
    from ipaddress import ip_address

    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def join(
    context: typer.Context, uri: Annotated[str, typer.Argument(metavar="URI", help="An invitation to this network.")]
) -> None:
    """Call the nodes of an invitation to the network of this profile. To join another one: nexus init.

    Without a running node they are called at the next start, which begins from the invitation's checkpoint where the
    chain has not begun yet.
    """
    from nexus_tui.cli.connection import attach

    session = session_of(context)

    async def runs() -> bool:
        found = await attach(session.paths)
        if found is not None:
            await found.close()
        return found is not None

    if asyncio.run(runs()):
        _introduce(context, uri)
        return
    from node.profile.invitation import parse_invitation
    from node.service.founding import read_genesis
    from node.service.joining import take_invitation

    begins = take_invitation(session.paths, read_genesis(session.paths), parse_invitation(uri))
    first = "The chain begins from its checkpoint. " if begins else ""
    session.done({"begins": begins}, f"The invitation is kept. {first}Start the node: nexus node start")


def connect(
    context: typer.Context,
    place: Annotated[
        str, typer.Argument(metavar="NODE@HOST:PORT", help="Where the node is; or NODE@via:RELAY@HOST:PORT.")
    ],
) -> None:
    """Call a node, and remember it."""
    _introduce(context, place)


def wake(context: typer.Context) -> None:
    """Look at the network now: a node that sleeps between looks makes its links."""
    session = session_of(context)

    async def look(api: NodeApi) -> MeshView:
        await api.wake()
        return await api.mesh()

    sparing = _ask(session, look).sparing
    asleep = sparing is not None and sparing.asleep
    said = "The node sleeps on: the day's data is used up." if asleep else "The node is awake."
    session.done({"asleep": asleep}, said)


def ban(
    context: typer.Context,
    node: NodeId,
    hours: Annotated[int, typer.Option("--hours", min=1, max=87_600, help="For so long.")] = 24,
) -> None:
    """Do not talk to a node for a while; a link to it ends."""
    _ban(context, node, hours * 3_600)


def unban(context: typer.Context, node: NodeId) -> None:
    """Talk to a node again."""
    _ban(context, node, 0)


def _ban(context: typer.Context, text: str, seconds: int) -> None:
    from node.encoding.node_id import node_text

    session = session_of(context)

    async def both(api: NodeApi) -> tuple[bytes, bool]:
        node = _resolve(text, await api.mesh())
        return node, await api.ban(node, seconds)

    node, changed = _ask(session, both)
    if seconds:
        done = f"{node_text(node)} is not let in for {seconds // 3_600} hours."
    else:
        done = f"{node_text(node)} may link again." if changed else f"{node_text(node)} was not kept out."
    session.done({"node": node_text(node), "banned": seconds > 0, "changed": changed}, done)


def _resolve(text: str, view: MeshView) -> bytes:
    """The node that a person means: a whole id, or the beginning of one that is linked or banned."""
    from node.encoding.node_id import NodeIdError, node_text, parse_node_id

    text = text.strip().lower()
    known = {peer.node for peer in view.peers} | {item.node for item in view.bans}
    found = [node for node in known if node_text(node).startswith(text)] if len(text) >= 6 else []
    if len(found) == 1:
        return found[0]
    try:
        return parse_node_id(text)
    except NodeIdError as error:
        raise UsageError("bad_node_id", str(error), "See them with: nexus mesh peers") from None


def _introduce(context: typer.Context, place: str) -> None:
    from node.encoding.node_id import node_text

    session = session_of(context)
    node = _ask(session, lambda api: api.introduce(place))
    session.done({"node": node_text(node)}, f"{node_text(node)} is called; see: nexus mesh peers")


def _ask(session: Session, question: Callable[[NodeApi], Awaitable[Answer]]) -> Answer:
    from nexus_tui.cli.connection import connect as attach

    async def run() -> Answer:
        async with attach(session.paths, session.config, "node") as api:
            return await question(api)

    return asyncio.run(run())


def mesh_document(view: MeshView) -> dict[str, Any]:
    """The node's links."""
    from nexus_tui.cli.status import sync_document
    from node.encoding.node_id import node_text

    return {
        "node": node_text(view.node),
        "port": view.port,
        "hosts": list(view.hosts),
        "known": view.known,
        "syncing": view.syncing,
        "sync": sync_document(view.sync),
        "bytes_in": view.bytes_in,
        "bytes_out": view.bytes_out,
        "peers": [peer_document(peer) for peer in view.peers],
        "unreachable": view.unreachable,
        "relays": [node_text(relay) for relay in view.relays],
        "circuits": view.circuits,
        "relayed": view.relayed,
        "sparing": sparing_document(view.sparing),
        "bans": [{"node": node_text(item.node), "until_ms": item.until_ms} for item in view.bans],
    }


def sparing_document(sparing: SparingView | None) -> dict[str, Any] | None:
    """How a node spares data; None for one that need not."""
    if sparing is None:
        return None
    return {
        "metered": sparing.metered,
        "asleep": sparing.asleep,
        "next_look_ms": sparing.next_look_ms,
        "used_bytes": sparing.used,
        "limit_bytes": sparing.limit or None,
        "state": sparing.state,
    }


def peer_document(peer: PeerView) -> dict[str, Any]:
    """One link."""
    from node.encoding.node_id import node_text

    return {
        "node": node_text(peer.node),
        "host": peer.host,
        "port": peer.port,
        "inbound": peer.inbound,
        "agent": peer.agent,
        "linked_ms": peer.linked_ms,
        "since_ms": peer.since_ms,
        "delay_ms": peer.delay_ms,
        "bytes_in": peer.bytes_in,
        "bytes_out": peer.bytes_out,
        "behind": peer.behind,
        "faults": peer.faults,
        "score": peer.score,
        "brought": peer.brought,
        "region": peer.region or None,
        "via": node_text(peer.relay) if peer.relay else None,
    }


def _peer_lines(view: MeshView) -> list[str]:
    from nexus_tui.format import progress, size, span, sparing_words
    from node.encoding.node_id import node_text

    where = " ".join(view.hosts) or "nowhere"
    lines = [f"This node  {node_text(view.node)}"]
    lines.append(f"Listens    port {view.port} at {where}" if view.port else "Listens    nowhere: it only calls others")
    lines.append(f"Knows      {view.known} address{'es' if view.known != 1 else ''}")
    if view.unreachable:
        through = "  ".join(node_text(relay)[:16] for relay in view.relays)
        lines.append(f"Reached    {f'through {through}' if through else 'by nobody: no relay is linked'}")
    if view.circuits is not None and (view.circuits or view.relayed):
        circuits = f"{view.circuits} circuit{'s' if view.circuits != 1 else ''}"
        lines.append(f"Relays     {circuits} for others, {size(view.relayed)} since the start")
    if view.sparing is not None:
        lines.append(f"Data       {sparing_words(view.sparing)}")
    lines.append(f"Blocks     {progress(view)}")
    now_ms = int(time.time() * 1000)
    for item in view.bans:
        lines.append(f"Banned     {node_text(item.node)}, for {span(max(0, item.until_ms - now_ms))} still")
    lines.append("")
    if not view.peers and view.sparing is not None and view.sparing.asleep:
        return [*lines, "It makes links when you pay, or at once: nexus mesh wake"]
    if not view.peers:
        invite = "Invite one: nexus mesh invite; or call one" if view.port else "Call one"
        return [*lines, f"No peer is linked. {invite}: nexus mesh connect NODE@HOST:PORT, or nexus mesh join URI"]
    rows = [
        ("node", "address", "way", "delay", "traffic", "linked for"),
        *(_peer_row(peer) for peer in view.peers),
    ]
    return [*lines, *table(rows, right=frozenset({3, 4, 5}))]


def _peer_row(peer: PeerView) -> tuple[str, ...]:
    from nexus_tui.format import reached_at, size, span
    from node.encoding.node_id import node_text

    return (
        node_text(peer.node)[:16],
        reached_at(foreign(peer.host), peer.port, peer.relay),
        "in" if peer.inbound else "out",
        "" if peer.delay_ms is None else f"{peer.delay_ms} ms",
        size(peer.bytes_in + peer.bytes_out),
        span(peer.linked_ms),
    )
