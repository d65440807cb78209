"""Before the chain is opened: where it shall begin from a checkpoint, the state there is fetched and adopted (protocol
section 10).

Trusted is one hash: the invitation's, or that of the node's own last final checkpoint. What peers give is checked as it
comes, and all of it once more before it takes its place; until then what was there before stays. Where nobody has a
snapshot the whole history is the way, by gossip.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from node.api.errors import Damaged, NexusError, Refused
from node.consensus.finality import Checkpoint
from node.consensus.lightclient import MAX_CERTIFICATE, Certificate, WalkError, start, walk_certificates
from node.consensus.slots import SlotClock
from node.consensus.tables import Table
from node.encoding.canonical import decode
from node.ledger.genesis import Genesis
from node.mesh.protocol.messages import MAX_CHECKPOINT
from node.profile.paths import ProfilePaths
from node.service.beginning import Beginning, forget_beginning, keep_beginning, read_beginning
from node.service.fetch_progress import FetchView, clear_progress, write_progress
from node.service.fetching import AskForProof, FalseProof, SnapshotFetch, Way
from node.service.mesh_settings import MeshSettings
from node.service.peer_file import PeerFile
from node.service.snapshots import adopt_snapshot
from node.storage.reader import reading

PATIENCE_S = 60.0
"""Without anybody who can be asked for so long, the node opens without a snapshot."""
NOBODY_HAS_S = 20.0
"""Where peers are linked and none of them has one that can be used."""
_TELL_S = 0.5
_PROOF_S = 60.0
_MAX_CERTIFICATES = 1_024
_HONEST = {"silence", "backward", "gap"}
"""A walk may end so by what honest peers give: an older snapshot, or a long silence that nobody can prove."""

_log = logging.getLogger("nexus.fetching")

Tell = Callable[[FetchView], None]


class Bootstrap:
    """One profile's phase. `tell` hears how far it is, twice a second."""

    def __init__(
        self,
        paths: ProfilePaths,
        genesis: Genesis,
        settings: MeshSettings,
        clock: Callable[[], int],
        tell: Tell | None = None,
        numpy: bool = True,
    ) -> None:
        self._paths = paths
        self._genesis = genesis
        self._settings = settings
        self._clock = clock
        self._tell = tell
        self._numpy = numpy
        self._trusted = b""
        self._refusal: Refused | None = None
        self._stage, self._next_s = "", 0.0

    async def run(self) -> str:
        """Do what is to be done; a line for the start's report, empty where that is nothing.

        Raises Refused for a checkpoint that is too old to begin a new chain from, Damaged where the disk is full.
        """
        beginning = read_beginning(self._paths)
        if beginning is None:
            return ""
        if not beginning.over and self._has_blocks():
            forget_beginning(self._paths)
            return ""
        try:
            line = await self._fetch(beginning)
        finally:
            clear_progress(self._paths)
        _log.info("%s", line)
        return line

    def _has_blocks(self) -> bool:
        if not self._paths.chain_db.exists():
            return False
        with reading(self._paths.chain_db) as chain:
            return chain.tip() is not None

    async def _fetch(self, beginning: Beginning) -> str:
        self._trusted = beginning.checkpoint
        loop = asyncio.get_running_loop()
        async with SnapshotFetch(
            self._paths.fetching,
            self._genesis,
            beginning.checkpoint,
            PeerFile(self._paths.peers),
            self._settings,
            self._clock,
            self._believes,
            self._numpy,
        ) as fetch:
            alone = found_none = loop.time()
            while True:
                self._say(fetch.view())
                if fetch.machine.complete and await self._adopted(fetch):
                    break
                if self._refusal is not None:
                    if not beginning.over or not self._paths.chain_db.exists():
                        raise self._refusal
                    return f"{self._refusal.message} {self._refusal.hint}"
                now = loop.time()
                alone = now if fetch.links else alone
                found_none = now if fetch.machine.sources or not fetch.links else found_none
                if now - alone > PATIENCE_S or now - found_none > NOBODY_HAS_S:
                    return "No peer gave the state at the checkpoint to begin from; the chain goes on as it is here."
                await fetch.changed(_TELL_S)
        checkpoint = fetch.checkpoint
        assert checkpoint is not None
        forget_beginning(self._paths)
        fetch.folder.clear()
        return f"Began from checkpoint {checkpoint.number} of the network; what came before it is not kept here."

    async def _believes(self, checkpoint: Checkpoint, ask: AskForProof) -> Way | None:
        """The way from the trusted checkpoint to another, or to itself. Raises FalseProof."""
        if checkpoint.is_meant_by(self._trusted):
            return () if self._is_recent(checkpoint) else None
        try:
            async with asyncio.timeout(_PROOF_S):
                return await self._walk(checkpoint, ask)
        except TimeoutError:
            return None

    async def _walk(self, checkpoint: Checkpoint, ask: AskForProof) -> Way | None:
        try:
            proof = await ask(0)
            if not proof.trusted:
                return None
            begin = start(
                self._trusted,
                Checkpoint.from_value(decode(proof.trusted, MAX_CHECKPOINT)),
                [Table.from_value(decode(table, MAX_CERTIFICATE)) for table in proof.tables],
            )
            if not self._is_recent(begin.checkpoint):
                return None
            certificates = [Certificate.decode(item) for item in proof.certificates]
            while proof.more and proof.certificates and len(certificates) < _MAX_CERTIFICATES:
                proof = await ask(certificates[-1].checkpoint.number)
                certificates += [Certificate.decode(item) for item in proof.certificates]
            genesis = self._genesis
            arrived = await asyncio.to_thread(walk_certificates, genesis.hash, genesis.parameters, begin, certificates)
        except WalkError as error:
            if error.code in _HONEST:
                _log.info("what a peer offers does not follow from the trusted checkpoint: %s", error)
                return None
            raise FalseProof(str(error)) from None
        except ValueError as error:
            raise FalseProof(f"Its proof cannot be read: {error}") from None
        return tuple(certificates) if arrived.checkpoint == checkpoint else None

    def _is_recent(self, trusted: Checkpoint) -> bool:
        """Whether the trusted checkpoint is young enough to begin from."""
        slots, parameters = SlotClock.of(self._genesis.start_ms, self._genesis.parameters), self._genesis.parameters
        age_ms = self._clock() - slots.begins_ms(trusted.slot)
        if 2 * age_ms > parameters.unbonding_slots * parameters.slot_ms:
            self._refusal = _too_old(age_ms)
            return False
        return True

    async def _adopted(self, fetch: SnapshotFetch) -> bool:
        """Put the whole in its place; False where its front turns out to be false, which is then fetched anew."""
        assert fetch.checkpoint is not None
        adopting = asyncio.create_task(asyncio.to_thread(self._adopt, fetch, fetch.checkpoint))
        while not adopting.done():
            self._say(FetchView("checking", len(fetch.links)))
            await asyncio.wait({adopting}, timeout=_TELL_S)
        try:
            await adopting
        except Damaged as error:
            if error.code != "bad_snapshot":
                raise
            _log.warning("what was fetched is not true: %s", error.message)
            fetch.front_is_false()
            return False
        return True

    def _adopt(self, fetch: SnapshotFetch, checkpoint: Checkpoint) -> None:
        source = fetch.folder.assembled()
        # From here on a chain may be missing until the new one is there.
        keep_beginning(self._paths, Beginning(checkpoint.hash, over=True))
        try:
            adopt_snapshot(
                self._paths.chain_db, self._genesis, source, checkpoint.hash, fetch.certificates, replace=True
            )
        finally:
            source.unlink(missing_ok=True)

    def _say(self, view: FetchView) -> None:
        now = asyncio.get_running_loop().time()
        if now < self._next_s and view.stage == self._stage:
            return
        self._stage, self._next_s = view.stage, now + _TELL_S
        try:
            write_progress(self._paths, view)
        except (OSError, NexusError) as error:
            _log.debug("the progress could not be written: %s", error)
        if self._tell is not None:
            self._tell(view)


def _too_old(age_ms: int) -> Refused:
    hours = age_ms // 3_600_000
    age = f"{hours} hours" if hours else f"{age_ms // 1_000} seconds"
    return Refused(
        "old_checkpoint",
        f"The checkpoint to begin from is {age} old, more than half the unbonding period: whoever validated then may "
        "have taken the stake back since, and loses nothing by another history. Nothing was changed.",
        "Ask somebody you trust for a fresh invitation, and give it: nexus mesh join URI",
    )
