"""Joining a network by an invitation: fetch its genesis from a node that the invitation names, and begin a profile.

The genesis is checked against its hash, so whoever gives it is believed nothing else; the checkpoint that the
invitation names is kept, and the chain begins from it at the first start (`node.service.bootstrap`).
"""

from __future__ import annotations

import asyncio
import os
from random import Random

from node.api.errors import NoNode, Refused
from node.encoding.hosts import Address
from node.ledger.genesis import RULE_VERSION, Genesis, GenesisError
from node.ledger.parameters import ParameterError
from node.mesh.certificate import make_credentials
from node.mesh.identity import NodeKey
from node.mesh.link import LinkError
from node.mesh.protocol import forms
from node.mesh.protocol.addresses import AddressBook
from node.mesh.protocol.hello import GUEST, PROTOCOL, Hello
from node.mesh.protocol.limits import GUEST_MS, size_of
from node.mesh.protocol.messages import AskGenesis, Bye, GenesisFile, WireError
from node.mesh.protocol.routes import Routes
from node.mesh.transport import Transport
from node.profile.invitation import Invitation, parse_invitation
from node.profile.paths import ProfilePaths
from node.service.beginning import Beginning, keep_beginning, read_beginning
from node.service.clock import system_clock
from node.service.founding import write_genesis
from node.service.peer_file import PeerFile
from node.service.restoring import final_height_of
from node.service.saying import say
from node.storage.lock import FolderLock
from node.storage.reader import reading

__all__ = ["join_network", "parse_invitation"]


async def join_network(paths: ProfilePaths, invitation: Invitation) -> Genesis:
    """Write the genesis of the network and the nodes to begin with into a profile that has none.

    Raises NoNode where no node of the invitation gives the genesis; nothing was written then.
    """
    genesis = await _fetch(invitation)
    now = system_clock()
    book, routes = AddressBook(b"", Random()), Routes(b"", Random())
    for address in reversed(invitation.nodes):  # of two of one node the first counts
        book.add(address.there, b"", now)
        routes.add(address, b"", now)
    PeerFile(paths.peers).save(0, book.rows(), {}, routes.rows())
    if invitation.checkpoint:
        keep_beginning(paths, Beginning(invitation.checkpoint, over=False))
    write_genesis(paths, genesis)
    return genesis


def take_invitation(paths: ProfilePaths, genesis: Genesis, invitation: Invitation) -> bool:
    """Remember the nodes of another invitation to the profile's network, while no node runs; and its checkpoint, where
    the chain has not begun yet, or has nothing final: whether that was of use. Raises Refused for another network."""
    if not genesis.hash.startswith(invitation.genesis):
        raise Refused("other_network", "The invitation is to another network. Nothing was changed.")
    with FolderLock.acquire(paths.lock):
        file, now = PeerFile(paths.peers), system_clock()
        book, routes = AddressBook(b"", Random()), Routes(b"", Random())
        book.restore(file.rows)
        for address in reversed(invitation.nodes):
            book.add(address.there, b"", now)
            routes.add(address, b"", now)
        file.save(file.port, book.rows(), file.bans, (*file.routes, *routes.rows()))
        beginning = read_beginning(paths)
        if not invitation.checkpoint or (beginning is None and _is_final_somewhere(paths)):
            return False
        over = paths.chain_db.exists() if beginning is None else beginning.over
        keep_beginning(paths, Beginning(invitation.checkpoint, over))
        return True


def _is_final_somewhere(paths: ProfilePaths) -> bool:
    """Whether the chain that is here has a final checkpoint: then it goes on."""
    if not paths.chain_db.exists():
        return False
    with reading(paths.chain_db) as chain:
        return final_height_of(chain) > 0


async def _fetch(invitation: Invitation) -> Genesis:
    """Ask the nodes one after the other; a relay, which is of the network too, instead of who is behind it."""
    # A key of the moment: who only asks need not be known again.
    key = NodeKey(os.urandom(32))
    transport = Transport(make_credentials(key), lambda: _greeting(invitation).encoded(), size_of)
    reasons: list[str] = []
    try:
        for address in dict.fromkeys(node.there for node in invitation.nodes):
            try:
                async with asyncio.timeout(GUEST_MS / 1000):
                    return await _ask(transport, address, invitation)
            except (LinkError, WireError, GenesisError, ParameterError, TimeoutError) as error:
                reasons.append(str(error) or f"{address.host} port {address.port} did not answer in time.")
    finally:
        await transport.close()
    raise NoNode(
        "nobody_answers",
        f"No node of the invitation could be asked for the network's genesis: {' '.join(reasons)[:400]} "
        "Nothing was changed.",
        "Are you both online? Ask for a fresh invitation if the other device has moved to another network.",
    )


async def _ask(transport: Transport, address: Address, invitation: Invitation) -> Genesis:
    link = await transport.connect(address.host, address.port, address.node)
    try:
        say(link, AskGenesis())
        while True:
            for kind, body in await link.receive():
                match forms.decode(kind, body):
                    case GenesisFile(data):
                        return _checked(data, invitation)
                    case Bye(_, text):
                        raise WireError("sent_away", text)
                    case _:
                        raise WireError("unasked", "The node answered with something else.")
    finally:
        await link.close()


def _checked(data: bytes, invitation: Invitation) -> Genesis:
    genesis = Genesis.decode(data)
    if not genesis.hash.startswith(invitation.genesis):
        raise WireError("other_network", "The node gave the genesis of another network than the invitation names.")
    return genesis


def _greeting(invitation: Invitation) -> Hello:
    return Hello(
        protocol=PROTOCOL,
        rules=RULE_VERSION,
        genesis=invitation.genesis.ljust(32, b"\0"),
        services=GUEST,
        port=0,
        clock_ms=system_clock(),
        nonce=os.urandom(16),
        tips=(),
        score=0,
        final=0,
        final_hash=bytes(32),
        agent="nexus",
    )
