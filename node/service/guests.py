"""What a node gives to guests: its genesis to who wants to join, a snapshot to who begins, addresses of others to both
(protocol section 10).

A guest hears no gossip and is believed nothing. Parts go out one after the other as the link takes them, so many bytes
a minute to each, and to a few guests at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from node.encoding.canonical import pack
from node.mesh.link import Link, LinkError
from node.mesh.protocol import forms
from node.mesh.protocol.limits import GUEST_MS, GUEST_VOLUME, MAX_GUESTS
from node.mesh.protocol.messages import (
    PART_SIZE,
    Addresses,
    AnyMessage,
    AskAddresses,
    AskGenesis,
    AskPart,
    AskProof,
    AskSnapshot,
    GenesisFile,
    Offer,
    Part,
    WireError,
)
from node.mesh.protocol.quota import Bucket, Quota
from node.service.saying import say
from node.service.shelf import NO_PROOF, Shelf
from node.storage.parts import read_part

_PAUSE_S = 0.1
NOTHING = Offer(b"", b"", ())


class Guests:
    """`share` gives addresses to tell on a link; `shelf` is None on a node that keeps no snapshots."""

    def __init__(
        self, genesis: bytes, shelf: Shelf | None, share: Callable[[Link], Addresses], now_ms: Callable[[], int]
    ) -> None:
        self._genesis = genesis
        self._shelf = shelf
        self._share = share
        self._now_ms = now_ms
        self._fetching: set[Link] = set()

    async def serve(self, link: Link) -> None:
        """Answer a guest until he goes, or asks nothing for a while. Raises WireError for what no guest may ask."""
        quota, volume = Quota(), Bucket(GUEST_VOLUME, self._now_ms())
        try:
            while True:
                async with asyncio.timeout(GUEST_MS / 1000):
                    frames = await link.receive()
                for kind, body in frames:
                    message = forms.decode(kind, body)
                    if not quota.allows(message, self._now_ms()):
                        raise WireError("too_much", "A guest asks too much.")
                    answer = await self._answer(link, message)
                    size = forms.weight(answer)
                    while not volume.has(size, self._now_ms()):  # noqa: ASYNC110
                        await asyncio.sleep(_PAUSE_S)
                    volume.take(size)
                    say(link, answer)
                    await link.drain(GUEST_MS / 1000)
        except (LinkError, TimeoutError):
            await link.close()
        finally:
            self._fetching.discard(link)

    async def _answer(self, link: Link, message: AnyMessage) -> AnyMessage:
        match message:
            case AskGenesis():
                return GenesisFile(self._genesis)
            case AskAddresses():
                return self._share(link)
            case AskProof(trusted, checkpoint, after):
                return NO_PROOF if self._shelf is None else await self._shelf.prove(trusted, checkpoint, after)
            case AskSnapshot(checkpoint):
                return self._offer(link, checkpoint)
            case AskPart():
                return await self._part(message)
            case _:
                raise WireError("guest", "A guest may only ask for the genesis, addresses and a snapshot.")

    def _offer(self, link: Link, checkpoint: bytes) -> Offer:
        found = None if self._shelf is None else self._shelf.find(checkpoint)
        if found is None or (len(self._fetching) >= MAX_GUESTS and link not in self._fetching):
            return NOTHING
        self._fetching.add(link)
        return Offer(pack(tuple(found.checkpoint)), found.buckets, found.layout.sizes)

    async def _part(self, asked: AskPart) -> Part:
        found = None if self._shelf is None else self._shelf.find(asked.checkpoint)
        data = b""
        if found is not None and found.checkpoint.hash == asked.checkpoint:
            start = asked.part * PART_SIZE
            try:
                data = await asyncio.to_thread(read_part, found.path, found.layout, asked.section, start, PART_SIZE)
            except FileNotFoundError:
                data = b""  # a newer one took its place just now
        return Part(asked.checkpoint, asked.section, asked.part, data)
