"""The way to a node: the running one over its socket, else its files, or a node for the length of the command.

No daemon is ever started silently (experience.md): reads open the files read-only, payments on a network with a
single validator here open a node inside the command, and whatever needs peers names `nexus node start`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Literal

from node.api.errors import NoNode, Refused

if TYPE_CHECKING:
    from node.api.client import RemoteNode
    from node.api.interface import NodeApi
    from node.profile.config import Config
    from node.profile.paths import ProfilePaths
    from node.service.mesh_settings import MeshSettings
    from node.service.opening import ServiceSettings

Need = Literal["read", "write", "node"]

_FOLDER_WAIT_S, _FOLDER_PAUSE_S = 15.0, 0.1


@asynccontextmanager
async def connect(paths: ProfilePaths, config: Config, need: Need) -> AsyncIterator[NodeApi]:
    """The node of a profile for the length of the context.

    "read" looks at the files where no node runs, "write" opens a node in this process where the network needs no
    other, "node" insists on a running one. Raises NoNode (exit 3), Refused for another user's node, and what opening
    a node raises.
    """
    async with AsyncExitStack() as stack:
        running = await attach(paths)
        if running is not None:
            yield await stack.enter_async_context(running)
        elif need == "read":
            from node.service.fetch_progress import in_words, read_progress
            from node.service.reading import read_only

            begins = read_progress(paths)
            if begins is not None and not paths.chain_db.exists():
                raise NoNode("fetching", in_words(begins), "The node answers when that is done.")
            yield await stack.enter_async_context(read_only(paths))
        elif need == "write":
            yield await _own_or_running(paths, config, stack)
        else:
            raise no_node(paths)


async def _own_or_running(paths: ProfilePaths, config: Config, stack: AsyncExitStack) -> NodeApi:
    """A node in this process, as soon as no other command has one on this folder."""
    import asyncio

    tries = int(_FOLDER_WAIT_S / _FOLDER_PAUSE_S)
    while True:
        try:
            return await stack.enter_async_context(embedded(paths, config))
        except Refused as error:
            if error.code != "node_running" or not tries:
                raise
        tries -= 1
        await asyncio.sleep(_FOLDER_PAUSE_S)
        running = await attach(paths)  # it may be one that is just starting
        if running is not None:
            return await stack.enter_async_context(running)


async def attach(paths: ProfilePaths) -> RemoteNode | None:
    """The running node of a profile, None where no node answers."""
    place = paths.socket
    if not place.exists():
        return None
    from node.api.client import RemoteNode

    try:
        return await RemoteNode.connect(place)
    except NoNode:
        return None


@asynccontextmanager
async def embedded(paths: ProfilePaths, config: Config) -> AsyncIterator[NodeApi]:
    """A node in this process, for a payment on a network whose only validator is here. Raises NoNode elsewhere."""
    from node.service.founding import read_genesis

    if len(read_genesis(paths).validators) != 1 or not paths.validator_key.exists():
        raise no_node(paths)
    from node.service.opening import open_service

    async with open_service(paths, service_settings(config, serve=False)) as service:
        yield service.node


def no_node(paths: ProfilePaths) -> NoNode:
    """No node runs on this profile, and this needs one."""
    return NoNode(
        "no_node",
        f"No node runs on the profile {paths.name!r}, and this needs one.",
        hint=f"nexus node start --profile {paths.name}",
    )


def service_settings(config: Config, serve: bool = True) -> ServiceSettings:
    """What the configuration says to a node in this process."""
    from node.profile.modes import ARCHIVE, chosen_mode
    from node.service.opening import ServiceSettings

    mode = chosen_mode(config.text("node.mode"))
    bounded = mode != ARCHIVE  # an archive forgets nothing, whatever the bounds of others
    return ServiceSettings(
        mode=mode,
        produce=config.flag("node.produce"),
        accept_long_gap=config.flag("node.accept_long_gap"),
        check=config.text("node.check"),
        numpy=config.flag("node.numpy"),
        keep_bodies_hours=config.number("node.keep_bodies_hours") if bounded else 0,
        keep_history_days=config.number("node.keep_history_days") if bounded else 0,
        keep_megabytes=config.number("node.keep_megabytes") if bounded else 0,
        serve=serve,
        mesh=_mesh_settings(config, mode) if serve and config.flag("mesh.enabled") else None,
        metrics=_metrics(config) if serve else None,
    )


def _metrics(config: Config) -> tuple[str, int] | None:
    port = config.number("node.metrics_port")
    return (config.text("node.metrics_host").strip(), port) if port else None


def _mesh_settings(config: Config, mode: str) -> MeshSettings:
    from node.profile.modes import PHONE, PHONE_INBOUND, PHONE_OUTBOUND
    from node.service.mesh_settings import MeshSettings

    phone = mode == PHONE
    listen = config.text("mesh.listen").strip()
    if listen == "auto":
        listen = "none" if phone else "any"
    hosts = tuple(part.strip() for part in listen.split(",") if part.strip())
    if listen in ("any", "none"):
        hosts = MeshSettings().hosts if listen == "any" else ()
    return MeshSettings(
        hosts=hosts,
        port=config.number("mesh.port"),
        outbound=min(config.number("mesh.outbound"), PHONE_OUTBOUND if phone else 64),
        inbound=min(config.number("mesh.inbound"), PHONE_INBOUND if phone else 1_000),
        discovery=config.flag("mesh.discovery"),
        relay=config.flag("mesh.relay") and not phone,
        phone=phone,
        metered=config.text("mesh.metered"),
        look_minutes=config.number("mesh.look_minutes"),
        day_megabytes=config.number("mesh.day_megabytes"),
        proxy=config.text("mesh.proxy").strip() or None,
        interfaces=None if listen == "any" else tuple(host for host in hosts if ":" not in host) or None,
    )
