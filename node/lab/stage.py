"""A stage for scripted scenes: a few validators with real engines, and a network that brings what the script wants.

In a simulation latency is drawn; here a script decides who hears of what and when. Nobody on the stage breaks a rule:
blocks and votes are those that `node.consensus.duties` would make of what a validator has heard, with a signing
record. So a scene needs no attacker but the one whom every argument about finality grants: the network's delays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from node.consensus import duties
from node.consensus.blocks import Block, BlockError
from node.consensus.engine import Engine
from node.consensus.views import Clauses
from node.consensus.votes import Vote, VoteVerdicts
from node.lab.people import Operator
from node.lab.scenario import STAKE, Scenario, found
from node.ledger.signatures import Verdicts
from node.ledger.staking import Validator

_PATIENCE = 160  # slots: a scene that needs more has gone another way than its script


def everything(vote: Vote) -> bool:
    """Every vote arrives."""
    del vote
    return True


def nothing(vote: Vote) -> bool:
    """No vote arrives."""
    del vote
    return False


class OffScript(Exception):
    """A scene did not come to where its script waited for it."""


class Actor:
    """A node on the stage; with an operator it is a validator who does his duties."""

    def __init__(self, name: str, engine: Engine, operator: Operator | None) -> None:
        self.name = name
        self.engine = engine
        self.operator = operator
        self.source = 0  # the signing record: of votes,
        self.target = 0
        self.slot = 0  # and of blocks

    @property
    def identity(self) -> bytes:
        """The id of its validator."""
        assert self.operator is not None
        return self.operator.owner.address

    def make_block(self, slot: int) -> Block | None:
        """Its block of a slot, if it leads that: on its own tip, of what it knows. Somebody always wants to pay."""
        operator = self.operator
        if operator is None or slot <= self.slot or not duties.wants_block(self.engine, slot, waiting=True):
            return None
        if duties.seat_of(self.engine, self.identity, slot) is None:
            return None
        self.slot = slot
        return duties.make_block(
            self.engine, self.identity, slot, (), operator.reveals.preimage, operator.consensus.sign
        )

    def make_vote(self) -> Vote | None:
        """Its vote, if there is a checkpoint to vote for."""
        operator = self.operator
        if operator is None:
            return None
        target = duties.target_to_vote(self.engine, self.source, self.target)
        if target is None:
            return None
        vote = duties.make_vote(self.engine, self.identity, target, operator.consensus.sign_digest)
        if vote is not None:
            self.source, self.target = target.source.number, target.number
        return vote


class Stage:
    """See the module. The network has the preset `minimal`: a checkpoint every 4 of blue score, epochs of 20 slots."""

    def __init__(self, seed: int, clauses: Clauses, founders: str, others: str = "") -> None:
        """`founders` and `others` name a validator each by a letter; at the genesis all stake is the founders'."""
        scenario = Scenario(
            nodes=len(founders), validators=len(founders), seed=seed, preset="minimal", payments_per_s=0
        )
        cast = found(scenario, (1,) * len(founders))
        self._genesis = cast.genesis
        self._clauses = clauses
        self._verdicts, self._votes = Verdicts(), VoteVerdicts()
        operators = [*cast.operators, *(Operator(f"{seed} other {name}") for name in others)]
        self.actors = {
            name: Actor(name, self._engine(), operator)
            for name, operator in zip(founders + others, operators, strict=True)
        }
        self.genesis = cast.genesis.hash
        self.slot = 0
        self.blocks: list[Block] = []
        """Everything made so far, parents before children."""
        self.cast: list[Vote] = []
        """All votes so far, in the order in which they were cast."""
        self._moved: tuple[Validator, ...] = ()
        self._moved_by = b""

    def _engine(self) -> Engine:
        engine = Engine.begin(
            self._genesis, verdicts=self._verdicts, vote_verdicts=self._votes, clauses=self._clauses, numpy=False
        )

        def active_set(block: bytes) -> tuple[Validator, ...] | None:
            moved = engine.blocks.get(self._moved_by)
            if moved is not None and engine.on_chain(moved, engine.blocks[block]):
                return self._moved
            return engine.active_sets.get(block)

        engine.views.active_set = active_set
        return engine

    def watcher(self) -> Actor:
        """A node that does not validate and has heard nothing yet."""
        return Actor("watcher", self._engine(), None)

    def named(self, names: str) -> list[Actor]:
        """Actors by their letters."""
        return [self.actors[name] for name in names]

    def move_stake(self, names: str, by: bytes) -> None:
        """All stake goes to these validators in a block, and lies with them in every state that follows from it.

        Stake moves by delegation and registration, which come with the economy. What consensus sees of them is the
        active set in the states of checkpoints, and that is put here instead.
        """
        self._moved_by = by
        self._moved = tuple(
            Validator(
                actor.identity,
                STAKE // len(names),
                actor.operator.consensus.key,
                actor.operator.reveals.commitment,
                0,
            )
            for actor in sorted(self.named(names), key=lambda actor: actor.identity)
            if actor.operator is not None
        )

    # -- what is heard --------------------------------------------------------------------------------------------

    def wake(self, actors: Iterable[Actor]) -> None:
        """They were away: nothing that they hear now is late to them."""
        for actor in actors:
            actor.engine.awake_since = self.slot

    def tell(self, actors: Iterable[Actor], blocks: Iterable[Block] = (), votes: Iterable[Vote] = ()) -> None:
        """Bring blocks and votes to these actors, who may vote on what they hear."""
        blocks, votes = list(blocks), list(votes)
        for actor in actors:
            for block in blocks:
                self._hear(actor, block)
            for vote in votes:
                actor.engine.add_vote(vote)
            self._vote(actor)

    def _hear(self, actor: Actor, block: Block) -> None:
        if block.id in actor.engine.blocks:
            return
        try:
            actor.engine.add(block, self.slot)
        except BlockError as error:
            # Who slept through a change of all validators cannot tell a stranger's orphan from junk: it comes again.
            if error.code != "unknown_creator":
                raise

    def _vote(self, actor: Actor) -> None:
        vote = actor.make_vote()
        if vote is not None:
            self.cast.append(vote)
            actor.engine.add_vote(vote)

    # -- time -----------------------------------------------------------------------------------------------------

    def play(
        self, actors: Sequence[Actor], until: Callable[[], bool], told: Callable[[Vote], bool], slots: int = _PATIENCE
    ) -> bool:
        """Slots pass, in which these actors make blocks and hear each other's; the rest of the world stands still.

        `told` chooses the votes that arrive; the others are held back. False if so many slots pass first.
        """
        for _ in range(slots):
            if until():
                return True
            self.slot += 1
            made = [block for actor in actors if (block := actor.make_block(self.slot)) is not None]
            self.blocks += made
            before = len(self.cast)
            for actor in actors:
                for block in made:
                    self._hear(actor, block)
                    self._vote(actor)
            self.tell(actors, votes=filter(told, self.cast[before:]))
        return until()

    def play_until_voted(
        self,
        voters: Sequence[Actor],
        above: int = 0,
        makers: Sequence[Actor] = (),
        told: Callable[[Vote], bool] = nothing,
    ) -> None:
        """Until each voter has voted anew, for a checkpoint above that number; `makers` play, too. Raises OffScript."""
        marks = {actor.name: max(actor.target, above) for actor in voters}
        if not self.play([*voters, *makers], lambda: all(actor.target > marks[actor.name] for actor in voters), told):
            raise OffScript(f"After {_PATIENCE} slots the scene is not where its script waited for it.")

    @property
    def is_last_of_epoch(self) -> bool:
        """Whether the next slot is the first of another epoch."""
        return (self.slot + 1) % self._genesis.parameters.epoch_slots == 0

    def await_epoch(self) -> None:
        """Nothing happens for the rest of an epoch."""
        while not self.is_last_of_epoch:
            self.slot += 1

    # -- what came of it ------------------------------------------------------------------------------------------

    def known_to(self, actor: Actor) -> list[Block]:
        """The blocks that an actor knows."""
        return [block for block in self.blocks if block.id in actor.engine.blocks]

    def conflicting(self, one: Actor, other: Actor) -> bool:
        """Whether two nodes hold checkpoints final that lie on no common chain."""
        selected = {block.id: block.header.parents[0] for block in self.blocks}

        def chain(actor: Actor) -> list[bytes]:
            found = [actor.engine.final.checkpoint.block]
            while found[-1] in selected:
                found.append(selected[found[-1]])
            return found

        here, there = chain(one), chain(other)
        return here[0] not in there and there[0] not in here

    def offences(self, actors: Iterable[Actor]) -> int:
        """Offences of which any of these nodes has seen evidence."""
        return sum(len(actor.engine.evidence) for actor in actors)
