"""What evidence proves (protocol section 5, "Slashable"): offences that their own bytes show.

A header or vote is an offence by its signature, so nothing depends on who saw what when. Never a state commitment:
an honest validator may build on a state that others disqualify.
"""

from __future__ import annotations

from collections.abc import Callable

from node.consensus.blocks import BlockError, Header
from node.consensus.reveals import RevealChecker
from node.consensus.slots import SlotClock
from node.consensus.tables import Table
from node.consensus.votes import Vote, VoteError, conflict
from node.encoding.address import P256
from node.encoding.canonical import EncodingError, decode
from node.ledger import staking
from node.ledger.module import Offence, OperationFailed
from node.ledger.signatures import verify, verify_digest
from node.ledger.state import State
from node.light.signature import wave_signature

_MAX_VOTE = 512


class Judge:
    """Judges evidence for one block: in its state, and with the tables of its chain.

    `table_of` gives the table by which a header whose selected parent and slot are given was to be made, or None where
    that parent is no recent block of this chain. `reveals` knows recent ones, so that a header costs few hashes; those
    of slots before `oldest`, which nobody is punished for, are not looked into.
    """

    def __init__(
        self,
        genesis: bytes,
        seats: int,
        slots: SlotClock,
        state: State,
        table_of: Callable[[bytes, int], Table | None],
        reveals: RevealChecker,
        oldest: int = 0,
    ) -> None:
        self._genesis = genesis
        self._seats = seats
        self._slots = slots
        self._state = state
        self._table_of = table_of
        self._reveals = reveals
        self._oldest = oldest

    def __call__(self, kind: int, proof: tuple[bytes, ...]) -> Offence:
        """The offence. Raises OperationFailed where there is none, or none that counts."""
        try:
            if kind == staking.DOUBLE_BLOCK and len(proof) == 2:
                return self._double_block(Header.decode(proof[0]), Header.decode(proof[1]))
            if kind == staking.INVALID_HEADER and len(proof) == 1:
                return self._invalid_header(Header.decode(proof[0]))
            if kind in (staking.DOUBLE_VOTE, staking.SURROUND_VOTE) and len(proof) == 6:
                return self._votes(kind, proof)
        except (BlockError, VoteError, EncodingError):
            pass
        raise OperationFailed("no_offence")

    def _validator(self, identity: bytes) -> staking.Validator:
        found = staking.validator(self._state, identity)
        if found is None:
            raise OperationFailed("unknown_validator")
        if staking.tombstoned_at(self._state, identity):
            raise OperationFailed("already_tombstoned")  # before anything is checked for nothing
        return found

    def _signed(self, header: Header) -> bool:
        key = self._validator(header.creator).consensus_key
        return header.genesis == self._genesis and verify(P256, key, header.signing_hash(), header.signature)

    def _double_block(self, one: Header, other: Header) -> Offence:
        same = (one.creator, one.slot) == (other.creator, other.slot)
        # The content decides: two signatures over one content are no offence.
        if not same or one[:-1] == other[:-1] or not self._signed(one) or not self._signed(other):
            raise OperationFailed("no_offence")
        return Offence(staking.DOUBLE_BLOCK, one.creator, one.slot)

    def _invalid_header(self, header: Header) -> Offence:
        if header.slot < self._oldest:
            raise OperationFailed("offence_too_old")
        if not self._signed(header) or not (
            self._wrong_wave(header) or self._wrong_reveal(header) or self._wrong_seat(header)
        ):
            raise OperationFailed("no_offence")
        return Offence(staking.INVALID_HEADER, header.creator, header.slot)

    def _wrong_wave(self, header: Header) -> bool:
        return header.wave != wave_signature(header.unwaved(), header.region, header.wave.amplitude, header.slot)

    def _wrong_reveal(self, header: Header) -> bool:
        validator = self._validator(header.creator)
        number = self._slots.epoch_of(header.slot) - validator.first_epoch
        return not self._reveals.check(validator.reveal_commitment, number, header.reveal)

    def _wrong_seat(self, header: Header) -> bool:
        table = self._table_of(header.parents[0], header.slot)
        if table is None:
            return False
        if header.seat >= self._seats or table.leader(header.slot, header.seat) != header.creator:
            return True
        return table.regions[header.creator] != header.region

    def _votes(self, kind: int, proof: tuple[bytes, ...]) -> Offence:
        one, other = (Vote.from_value(decode(proof[index], _MAX_VOTE)) for index in (0, 3))
        wanted = "double_vote" if kind == staking.DOUBLE_VOTE else "surround_vote"
        if one.voter != other.voter or conflict(one, other) != wanted:
            raise OperationFailed("no_offence")
        key = self._validator(one.voter).consensus_key
        for vote, source, target in ((one, proof[1], proof[2]), (other, proof[4], proof[5])):
            if not verify_digest(key, vote.digest(self._genesis, source, target), vote.signature):
                raise OperationFailed("no_offence")
        return Offence(kind, one.voter, max(one.target_slot, other.target_slot))
