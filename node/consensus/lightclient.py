"""The light client's walk: from a trusted checkpoint over justified links to the newest final one (section 5).

A pure function of a checkpoint hash that somebody trusts (an invitation, or the node's own last), links, tables and
headers, none of which is trusted. A table is taken by the hash in a checkpoint that votes made sure of; between two
checkpoints lies one rotation at most, so the next table is known before anybody of it votes.

The walk need not go by every link. Validators vote from what is justified in their own history alone, so a link by more
than two thirds of a table that is trusted vouches for both its ends, wherever it begins: one certificate for each pair
of tables is enough to come from one rotation to the next. What is final needs both links: the one that justifies a
checkpoint, and the one from there to its exact successor.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, cast

from node.consensus.blocks import header_id
from node.consensus.finality import Checkpoint, Link, names, quorum, voter_key
from node.consensus.tables import Table
from node.encoding.canonical import Value, decode, pack
from node.ledger.parameters import Parameters
from node.ledger.signatures import verify_digest

MAX_CERTIFICATE = 1 << 20
_MAX_HEADERS, _MAX_TABLES = 3, 4


class WalkError(ValueError):
    """A proof that does not hold; `code` names what is wrong with it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Certificate(NamedTuple):
    """Why a checkpoint is final: the link that justified it and the one that leads from it to its exact successor, the
    headers of the blocks they name, and the tables of both checkpoints. What full nodes keep and give."""

    links: tuple[Link, Link]
    headers: tuple[bytes, ...]
    tables: tuple[Table, ...]

    @property
    def checkpoint(self) -> Checkpoint:
        """The one that is final by it."""
        return self.links[0].target

    def encoded(self) -> bytes:
        """Canonical bytes."""
        links = tuple(decode(link.encoded(), MAX_CERTIFICATE) for link in self.links)
        tables = tuple(decode(table.encoded(), MAX_CERTIFICATE) for table in self.tables)
        return pack((links, self.headers, tables))

    @classmethod
    def decode(cls, data: bytes) -> Certificate:
        """A certificate from outside; whether it proves anything, `walk` says. Raises WalkError."""
        try:
            value = decode(data, MAX_CERTIFICATE)
            if type(value) is not tuple or tuple(map(type, value)) != (tuple, tuple, tuple):
                raise ValueError("it is not links, headers and tables")
            links, headers, tables = cast("tuple[tuple[Value, ...], ...]", value)
            if len(links) != 2 or len(headers) > _MAX_HEADERS or len(tables) > _MAX_TABLES:
                raise ValueError("it has other parts than two links, their headers and tables")
            if any(type(header) is not bytes for header in headers):
                raise ValueError("a header in it is none")
            first, second = map(Link.from_value, links)
            return cls((first, second), cast("tuple[bytes, ...]", headers), tuple(map(Table.from_value, tables)))
        except ValueError as error:
            raise WalkError("bad_form", f"The certificate cannot be read: {error}") from None


class Trusted(NamedTuple):
    """Where a light client stands: a checkpoint with its tables, who is absent there, and whether a long silence was
    believed on the way."""

    checkpoint: Checkpoint
    table: Table
    next_table: Table
    silence: bool
    absent: frozenset[bytes]


def start(trusted: bytes, checkpoint: Checkpoint, tables: Iterable[Table], absent: Iterable[bytes] = ()) -> Trusted:
    """Take a checkpoint and its tables by a trusted hash, or the first 16 bytes of one. Raises WalkError.

    The hash does not tell who is `absent` there: that must come from where the hash came from.
    """
    if not checkpoint.is_meant_by(trusted):
        raise WalkError("other_checkpoint", "The checkpoint is not the trusted one.")
    return Trusted(checkpoint, *_tables(checkpoint, {table.hash: table for table in tables}), False, frozenset(absent))


def walk(
    genesis: bytes,
    parameters: Parameters,
    trusted: Trusted,
    links: Sequence[Link],
    tables: Iterable[Table],
    headers: Iterable[bytes],
    *,
    believe_silence: bool = False,
) -> Trusted:
    """The newest checkpoint that the links make final, starting from `trusted`, which may be itself.

    Links are checked in their order, each higher than the one before, and the walk ends at the first that does not
    hold: then WalkError is raised, unless a final checkpoint was reached before. `headers` are the encoded headers of
    the blocks that the checkpoints name.

    A link that leaves out validators as absent proves nothing to somebody who was not there: whoever is left could
    call all others absent. It is followed only where a person decided so (`believe_silence`), and then takes a long
    silence for whomever the link before did not leave out: who came back counts until the next one. A vote in the link
    before does not bring him back here, for it may have come into the chain only after the next checkpoint.
    """
    known_tables = {table.hash: table for table in tables}
    known_headers = {header_id(header): header for header in headers}
    known_headers[genesis] = genesis
    here = final = trusted
    for link in links:
        if link.target == here.checkpoint:
            continue  # the certificate before led here already
        try:
            there = _step(genesis, here, link, known_tables, known_headers)
            if link.absent and not believe_silence:
                raise WalkError("silence", "The link counts on a long silence, which nobody can prove.")
            if there.absent - here.absent and link.target.slot - final.checkpoint.slot < parameters.silence_slots:
                raise WalkError("silence", "Validators are left out who counted before, without a long silence.")
        except WalkError:
            if final is trusted:
                raise
            break
        if link.source == here.checkpoint and link.target.number == link.source.number + 1:
            final = here._replace(silence=there.silence)
        here = there
    return final


def _step(
    genesis: bytes,
    here: Trusted,
    link: Link,
    tables: Mapping[bytes, Table],
    headers: Mapping[bytes, bytes],
) -> Trusted:
    """Where a link leads from `here`."""
    source, target = link.source, link.target
    if target.number <= max(source.number, here.checkpoint.number) or target.slot < source.slot:
        raise WalkError("backward", "A link does not lead to a later checkpoint.")
    if target.table not in (source.table, source.next_table):
        raise WalkError("tables", "More than one rotation lies between two checkpoints.")
    trusted = {table.hash: table for table in (here.table, here.next_table)}
    if source.table not in trusted or target.table not in trusted:
        raise WalkError("tables", "The validators of a link are others than those that are trusted here.")
    source_table, table = trusted[source.table], trusted[target.table]
    if source.block not in headers or target.block not in headers:
        raise WalkError("headers", "The headers of a link's checkpoints are missing.")
    pair = headers[source.block], headers[target.block]
    if len(link.votes) > len(table.validators) + len(source_table.validators):
        raise WalkError("vote", "A link has more votes than there are validators.")
    voters = set()
    for vote in link.votes:
        key = voter_key(vote, table, source_table)
        if vote.link != (source.hash, target.hash) or not names(vote, source, target) or key is None:
            raise WalkError("vote", "A vote of the link is for something else, or its voter is no validator.")
        if not verify_digest(key, vote.digest(genesis, *pair), vote.signature):
            raise WalkError("signature", "A vote of the link is not signed by its voter.")
        voters.add(vote.voter)
    absent = frozenset(link.absent)
    if not quorum(voters, table, source_table, stake_alone=link.stake_alone, absent=absent):
        raise WalkError("quorum", "The votes of a link are too few.")
    following = _tables(target, {**tables, **trusted})
    return Trusted(target, *following, here.silence or bool(absent), absent)


def _tables(checkpoint: Checkpoint, known: Mapping[bytes, Table]) -> tuple[Table, Table]:
    try:
        return known[checkpoint.table], known[checkpoint.next_table]
    except KeyError:
        raise WalkError("tables", "A table that a checkpoint names is missing.") from None


def walk_certificates(
    genesis: bytes,
    parameters: Parameters,
    trusted: Trusted,
    certificates: Sequence[Certificate],
    *,
    believe_silence: bool = False,
) -> Trusted:
    """`walk` over certificates, ascending; those of checkpoints below the trusted one are passed over."""
    number = trusted.checkpoint.number
    later = [certificate for certificate in certificates if certificate.checkpoint.number > number]
    return walk(
        genesis,
        parameters,
        trusted,
        [link for certificate in later for link in certificate.links],
        [table for certificate in later for table in certificate.tables],
        [header for certificate in later for header in certificate.headers],
        believe_silence=believe_silence,
    )


def path(links: Iterable[Link], start_at: Checkpoint, end: Checkpoint) -> list[Link]:
    """Links of one chain, chosen and ordered so that they lead from one checkpoint to another and one step beyond.

    What a full node sends. Empty where they do not connect.
    """
    by_target: dict[Checkpoint, Link] = {}
    beyond: Link | None = None
    for link in links:
        if link.source == end and link.target.number == end.number + 1:
            beyond = link
        by_target.setdefault(link.target, link)
    steps: list[Link] = [] if beyond is None else [beyond]
    here = end
    while here != start_at and here in by_target:
        steps.append(by_target[here])
        here = by_target[here].source
    return list(reversed(steps)) if here == start_at and beyond is not None else []
