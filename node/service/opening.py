"""Starting and stopping a node: the one place where its parts are made and joined."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from node.api.errors import Damaged, Refused
from node.api.server import ApiServer
from node.consensus.engine import Engine
from node.ledger import staking
from node.ledger.genesis import Genesis
from node.ledger.signatures import is_good_key, supports_ml_dsa
from node.ledger.staking import Validator
from node.profile.modes import ARCHIVE, FULL, PHONE
from node.profile.paths import ProfilePaths
from node.service.clock import system_clock
from node.service.mesh_settings import MeshSettings
from node.service.node import Node
from node.service.production import Producer
from node.service.pulse import Pulse
from node.service.restoring import final_height_of, open_engine, open_offences
from node.service.retention import Keep, Retention, fit_to_bound
from node.service.starting_over import StartingOver
from node.service.trace import open_trace, trace
from node.service.validator_key import load_validator_key
from node.storage.lock import FolderLock
from node.storage.outbox import Outbox
from node.storage.queries import Queries, read_genesis
from node.storage.signing_record import SigningRecord
from node.storage.writer import ChainWriter

if TYPE_CHECKING:
    from node.service.fetch_progress import FetchView
    from node.service.mesh import Mesh

_log = logging.getLogger("nexus.service")


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """What a node may be told. `check` is the database check at start: "auto", "none", "quick" or "full"."""

    mode: str = FULL  # see `node.profile.modes`
    produce: bool = True
    accept_long_gap: bool = False
    check: str = "auto"
    numpy: bool = True
    keep_bodies_hours: int = 24  # of blocks below the final ones; 0 for ever
    keep_history_days: int = 400  # of the chain; 0 for ever
    keep_megabytes: int = 0  # of disk, whichever comes first; 0 for any number
    serve: bool = True  # answer on the profile's Unix socket
    mesh: MeshSettings | None = None  # links to other nodes
    metrics: tuple[str, int] | None = None  # address and port where Prometheus may read


@dataclass(frozen=True, slots=True)
class Service:
    """A node that runs in this process. `report` says what opening it found and did."""

    node: Node
    report: tuple[str, ...]


@asynccontextmanager
async def open_service(
    paths: ProfilePaths,
    settings: ServiceSettings | None = None,
    clock: Callable[[], int] = system_clock,
    tell: Callable[[FetchView], None] | None = None,
) -> AsyncIterator[Service]:
    """Run the node of a profile for the length of the context.

    `tell` hears how far it is where the chain's beginning is fetched from others first. Raises Refused when another
    node holds the folder, Damaged for data that cannot be used; nothing was changed then.
    """
    settings = settings or ServiceSettings()
    open_trace()
    trace("recovery begin")
    async with AsyncExitStack() as stack:
        genesis = read_genesis(paths.genesis)
        lock = stack.enter_context(FolderLock.acquire(paths.lock))
        _check_abilities(genesis)
        begun = await _begin(paths, genesis, settings, clock, tell)
        writer = await ChainWriter.open(paths.chain_db, check=settings.check)
        stack.push_async_callback(writer.close)
        engine, steps = await writer.run(open_engine, genesis, writer.database, numpy=settings.numpy)
        engine.awake_since = engine.slots.slot_at(clock())
        outbox = Outbox.open(paths.outbox_db)
        stack.push_async_callback(outbox.close)
        queries = await Queries.open(paths)
        keep = Keep(
            settings.keep_bodies_hours * 3_600_000,
            settings.keep_history_days * 86_400_000,
            settings.keep_megabytes * 1_000_000,
        )
        shrunk = await fit_to_bound(writer, keep)
        retention = Retention(writer, keep, final_height_of(writer.database))
        node = Node(genesis, engine, writer, outbox, queries, retention, open_offences(engine, writer.database), clock)
        node.kind = settings.mode
        node.began_ms = await queries.began_ms()
        stack.push_async_callback(node.close)
        pulse = asyncio.create_task(Pulse(lock, node.alerts, clock).run(), name="pulse")
        stack.push_async_callback(_cancel, pulse)
        await node.recover(steps)
        if settings.produce:
            node.producer = _producer(paths, node, engine, clock, settings)
        trace("recovery end")
        report = _report(writer, node, begun, shrunk)
        if node.producer is not None:
            task = asyncio.create_task(node.producer.run(node.make_block, node.cast_votes), name="producer")
            task.add_done_callback(lambda task: _mourn(task, node))
            stack.push_async_callback(_cancel, task)
        if settings.mesh is not None and _others_can_join(genesis):
            node.links = _mesh(paths, node, settings.mesh, clock)
            if node.links.shelf is not None:
                stack.push_async_callback(node.links.shelf.close)
            over = StartingOver(paths, node)
            node.cut_off = over.begin
            stack.callback(over.close)
            stack.push_async_callback(_cancel, asyncio.create_task(_end_when_again(node), name="again"))
            mesh_task = asyncio.create_task(node.links.run(), name="mesh")
            mesh_task.add_done_callback(lambda task: _mourn_mesh(task, node))
            stack.push_async_callback(_cancel, mesh_task)
        if settings.serve:
            server = ApiServer(node, paths.prepare_socket(), node.stop_requested.set)
            await server.start()
            stack.push_async_callback(server.close)
        if settings.metrics is not None:
            stack.push_async_callback(await _measured(node, *settings.metrics))
        stack.callback(node.hub.close)
        yield Service(node, report)


async def _begin(
    paths: ProfilePaths,
    genesis: Genesis,
    settings: ServiceSettings,
    clock: Callable[[], int],
    tell: Callable[[FetchView], None] | None,
) -> str:
    """Where the chain shall begin from a checkpoint: fetch the state there. A line for the report."""
    if settings.mesh is None or not _others_can_join(genesis) or not paths.beginning.exists():
        return ""
    if settings.mode == ARCHIVE:  # the whole history or nothing
        return ""
    from node.service.bootstrap import Bootstrap

    return await Bootstrap(paths, genesis, settings.mesh, clock, tell, settings.numpy).run()


def _check_abilities(genesis: Genesis) -> None:
    """What consensus needs of this device, and what the genesis promises of its keys."""
    if not supports_ml_dsa():
        raise Refused(
            "no_ml_dsa",
            "The installed `cryptography` cannot check ML-DSA-65 signatures, so this node cannot validate.",
            "Install cryptography 48 or newer (on Termux: pkg upgrade python-cryptography openssl).",
        )
    if not all(is_good_key(0, founder.consensus_key) for founder in genesis.validators):
        raise Damaged("bad_genesis", "The genesis names a consensus key that is no point of P-256.")


def _producer(
    paths: ProfilePaths, node: Node, engine: Engine, clock: Callable[[], int], settings: ServiceSettings
) -> Producer | None:
    """This profile's validator, or None where it has no key that the chain knows."""
    key = load_validator_key(paths.validator_key)
    if key is None:
        return None
    validators = staking.validators(engine.state)
    mine = next((item for item in validators if item.consensus_key == key.public_key), None)
    if mine is None:
        node.alerts.put(
            "validator_unknown",
            "warning",
            "The validator key of this profile belongs to no validator of this network; no blocks are made with it.",
        )
        return None
    record = SigningRecord.open(paths.signing_record, key.public_key)
    _warn_of_last_epoch(node, mine, engine)
    return Producer(engine, node.mempool, mine.id, key, record, clock, node.alerts, settings.accept_long_gap)


def _warn_of_last_epoch(node: Node, validator: Validator, engine: Engine) -> None:
    """A reveal chain lasts 2¹⁶ epochs; its end must not come as a surprise."""
    left = validator.first_epoch + (1 << 16) - engine.slots.epoch_of(engine.tip.slot)
    if left < 1 << 12:
        node.alerts.put(
            "reveals_running_out",
            "warning",
            f"The validator key can make blocks for {max(left, 0)} more epochs; then it must be replaced.",
        )


def _report(writer: ChainWriter, node: Node, *said: str) -> tuple[str, ...]:
    lines = [*writer.report.lines, *filter(None, said)]
    if len(node.mempool):
        lines.append(f"Took up {len(node.mempool)} accepted transactions that were not in a block yet.")
    for line in lines:
        _log.info("%s", line)
    return tuple(lines)


def _mourn(task: asyncio.Task[None], node: Node) -> None:
    """A fault in the slot loop stops production visibly, never silently."""
    error = None if task.cancelled() else task.exception()
    if error is not None:
        _log.critical("production stopped", exc_info=error)
        node.alerts.put(
            "production_stopped",
            "error",
            "Making blocks stopped because of a fault in the program. What was accepted is kept.",
            "See the log (`nexus node logs`), then start the node again.",
        )


def _others_can_join(genesis: Genesis) -> bool:
    """Not a network of one device: solo, and the demo's."""
    return genesis.preset != "solo" and (genesis.preset != "minimal" or len(genesis.validators) > 1)


def _mesh(paths: ProfilePaths, node: Node, settings: MeshSettings, clock: Callable[[], int]) -> Mesh:
    # Imported here: TLS and certificates take memory that a node without links can do without.
    from node.mesh.identity import open_node_key
    from node.service.mesh import Mesh
    from node.service.peer_file import PeerFile
    from node.service.shelf import Shelf

    # A phone is sparing: others give snapshots.
    shelf = None if node.kind == PHONE else Shelf(paths.snapshots, paths.chain_db, node.genesis, clock)
    return Mesh(node, open_node_key(paths.node_key), PeerFile(paths.peers), settings, clock, shelf)


async def _measured(node: Node, host: str, port: int) -> Callable[[], Awaitable[None]]:
    """Let the node be measured; a port that is taken is no reason to stop. Returns what ends it."""
    from node.service.metrics import exposition
    from node.service.metrics_server import MetricsServer

    server = MetricsServer(lambda lag: exposition(node, lag))
    try:
        await server.start(host, port)
    except Refused as error:
        node.alerts.put(error.code, "warning", error.message, error.hint)
    return server.close


async def _end_when_again(node: Node) -> None:
    """Whoever listens to the node hears its end, and attaches or opens it again."""
    await node.again_requested.wait()
    node.hub.close()


def _mourn_mesh(task: asyncio.Task[None], node: Node) -> None:
    error = None if task.cancelled() else task.exception()
    if error is not None:
        _log.critical("the mesh stopped", exc_info=error)
        node.alerts.put(
            "mesh_stopped",
            "error",
            "Talking to other nodes stopped because of a fault in the program. What was accepted is kept.",
            "See the log (`nexus node logs`), then start the node again.",
        )


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
