"""The light client's walk over links and tables: it reaches what full nodes call final, and believes nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import pytest

from node.consensus.engine import Engine
from node.consensus.finality import Checkpoint, Link
from node.consensus.lightclient import (
    Certificate,
    Trusted,
    WalkError,
    path,
    start,
    walk,
    walk_certificates,
)
from node.consensus.tables import Table
from node.consensus.votes import Vote
from node.ledger.parameters import Parameters
from tests.node.world import NXT, Network, Payer, key, small_genesis, stranger

GENESIS = small_genesis(stakes=(1_000 * NXT,) * 5)
PARAMETERS = GENESIS.parameters


@cache
def lived() -> tuple[Engine, tuple[Link, ...], tuple[Table, ...], tuple[Certificate, ...], Checkpoint]:
    """Five epochs with their rotations, every link that was justified on the way, and all certificates."""
    network = Network(GENESIS)
    alice = Payer(GENESIS.hash, key(1))
    first = network.nodes[0].engine
    begin = first.final.checkpoint
    links: list[Link] = []
    certificates: list[Certificate] = []
    tables = {first.view.table.hash: first.view.table}
    for slot in range(100):
        network.pass_slot(alice.pay(slot // 4, stranger(slot), NXT))
        links += [link for link in first.view.new_links if link not in links]
        certificate = first.certificate(first.chain.tip)
        if certificate is not None and certificate not in certificates:
            certificates.append(certificate)
        for target in first.view.known.values():
            tables[target.table.hash] = target.table
            tables[target.next_table.hash] = target.next_table
    assert first.view.epoch == 5
    assert len(tables) > 3, "tables turned"
    return first, tuple(links), tuple(tables.values()), tuple(certificates), begin


@cache
def history() -> tuple[Engine, tuple[Link, ...], tuple[Table, ...], tuple[bytes, ...], Checkpoint]:
    """The same with all headers instead of the certificates."""
    engine, links, tables, _, begin = lived()
    return engine, links, tables, tuple(block.header_bytes for block in engine.blocks.values()), begin


def trusted() -> Trusted:
    _, _, tables, _, begin = history()
    return start(begin.hash, begin, tables)


def chosen() -> list[Link]:
    engine, links, _, _, begin = history()
    return path(links, begin, engine.view.final.checkpoint)


def go(links: list[Link], **changed: object) -> Trusted:
    _, _, tables, headers, _ = history()
    arguments: dict = {"tables": tables, "headers": headers, "parameters": PARAMETERS, **changed}
    return walk(GENESIS.hash, arguments.pop("parameters"), trusted(), links, **arguments)


def test_it_reaches_what_the_chain_calls_final() -> None:
    engine = history()[0]
    reached = go(chosen())
    assert reached.checkpoint == engine.view.final.checkpoint
    assert reached.table.hash == reached.checkpoint.table
    assert not reached.silence


def test_links_survive_the_wire() -> None:
    from node.encoding.canonical import decode

    links = chosen()
    assert [Link.from_value(decode(link.encoded(), 1 << 20)) for link in links] == links


def test_it_goes_as_far_as_links_hold() -> None:
    links = chosen()
    cut = [*links[:10], links[10]._replace(votes=links[10].votes[:3])]
    assert go(cut).checkpoint == go(links[:10]).checkpoint
    assert 0 < go(cut).checkpoint.number < go(links).checkpoint.number


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("quorum", lambda links: [links[0]._replace(votes=links[0].votes[:3])]),
        ("quorum", lambda links: [links[0]._replace(votes=links[0].votes[:1] * 5)]),
        ("vote", lambda links: [links[0]._replace(votes=links[1].votes)]),
        ("vote", lambda links: [links[0]._replace(votes=(links[0].votes[0]._replace(region=5),))]),
        ("vote", lambda links: [links[0]._replace(votes=(links[0].votes[0]._replace(voter=stranger(1)),))]),
        ("signature", lambda links: [links[0]._replace(votes=(links[0].votes[0]._replace(signature=bytes(64)),))]),
        ("tables", lambda links: [links[0]._replace(target=links[0].target._replace(table=bytes(32)))]),
        ("headers", lambda links: [links[0]._replace(target=links[0].target._replace(block=bytes(32)))]),
        ("backward", lambda links: [links[0]._replace(target=links[0].target._replace(number=0))]),
        ("vote", lambda links: [links[0]._replace(target=links[0].target._replace(state=bytes(32)))]),
        ("silence", lambda links: [links[0]._replace(absent=(key(901).address,))]),
    ],
)
def test_a_proof_that_does_not_hold_is_refused(code: str, change: object) -> None:
    with pytest.raises(WalkError) as refused:
        go(change(chosen()))  # type: ignore[operator]
    assert refused.value.code == code


def test_another_checkpoint_is_not_the_trusted_one() -> None:
    _, _, tables, _, begin = history()
    with pytest.raises(WalkError, match="not the trusted one"):
        start(bytes(32), begin, tables)
    with pytest.raises(WalkError, match="missing"):
        start(begin._replace(table=bytes(32)).hash, begin._replace(table=bytes(32)), tables)


def test_a_long_silence_is_believed_only_on_a_persons_word() -> None:
    """One of five calls the others absent: with enough slots between, only a person's word makes that a quorum."""
    link = chosen()[0]
    lonely = link._replace(votes=link.votes[:1], absent=tuple(vote.voter for vote in link.votes[1:]), stake_alone=True)
    impatient: Parameters = replace(PARAMETERS, silence_slots=max(1, link.target.slot))
    with pytest.raises(WalkError) as refused:
        go([lonely], parameters=impatient)
    assert refused.value.code == "silence"
    reached = go([lonely], parameters=impatient, believe_silence=True)
    assert reached.checkpoint.number == 0
    with pytest.raises(WalkError) as refused:
        go([lonely], parameters=replace(PARAMETERS, silence_slots=link.target.slot + 1), believe_silence=True)
    assert refused.value.code == "silence"


def test_a_missing_table_stops_the_walk() -> None:
    _, _, tables, _, _ = history()
    engine = history()[0]
    reached = go(chosen(), tables=tables[:2])
    assert reached.checkpoint.number < engine.view.final.checkpoint.number


def kept() -> list[Certificate]:
    """What a full node keeps: of each pair of tables the newest certificate."""
    found = {(item.checkpoint.table, item.checkpoint.next_table): item for item in lived()[3]}
    return sorted(found.values(), key=lambda item: item.checkpoint.number)


def follow(certificates: list[Certificate], trusted: Trusted | None = None) -> Trusted:
    begin = history()[4]
    here = trusted or start(begin.hash, begin, history()[2])
    return walk_certificates(GENESIS.hash, PARAMETERS, here, certificates)


def test_one_certificate_a_rotation_leads_to_the_end() -> None:
    engine, certificates = lived()[0], kept()
    assert 3 < len(certificates) < len(lived()[3]) // 2
    assert follow(certificates).checkpoint == engine.view.final.checkpoint == certificates[-1].checkpoint
    again = [Certificate.decode(item.encoded()) for item in certificates]
    assert [item.encoded() for item in again] == [item.encoded() for item in certificates]
    assert follow(again).checkpoint == engine.view.final.checkpoint


def test_it_can_begin_at_any_final_checkpoint_known_by_half_its_hash() -> None:
    certificates = kept()
    for item in lived()[3]:
        checkpoint = item.checkpoint
        here = start(checkpoint.hash[:16], checkpoint, history()[2])
        assert follow(certificates, here).checkpoint == certificates[-1].checkpoint
        for short in (b"", checkpoint.hash[:15]):
            with pytest.raises(WalkError):
                start(short, checkpoint, history()[2])


def test_a_rotation_cannot_be_left_out() -> None:
    certificates = kept()
    with pytest.raises(WalkError) as refused:
        follow(certificates[2:])
    assert refused.value.code == "tables"
    assert follow([*certificates[:2], certificates[4]]).checkpoint == certificates[1].checkpoint


def test_what_is_only_justified_is_not_final() -> None:
    """Two links that do not meet prove nothing, though each has its quorum."""
    one, other = lived()[3][2], lived()[3][4]
    with_gap = one._replace(links=(one.links[0], other.links[1]), headers=(*one.headers, *other.headers))
    assert follow([with_gap]).checkpoint.number == 0


@pytest.mark.parametrize("part", [b"", b"\xc1", b"\x93\x90\x90\x90", b"\x93\x92\x01\x02\x90\x90", b"\x01\x01"])
def test_junk_is_no_certificate(part: bytes) -> None:
    with pytest.raises(WalkError) as refused:
        Certificate.decode(part)
    assert refused.value.code == "bad_form"
    with pytest.raises(WalkError):
        Certificate.decode(kept()[0].encoded()[:-1] + part)


def test_more_votes_than_validators_are_not_looked_at() -> None:
    first = kept()[0]
    link = first.links[0]._replace(votes=first.links[0].votes * 10)
    with pytest.raises(WalkError) as refused:
        follow([first._replace(links=(link, first.links[1]))])
    assert refused.value.code == "vote"


def foreign() -> Table:
    """Another table of the same validators: with it they would stand in other regions."""
    true = kept()[0].tables[0]
    return Table(bytes(32), true.validators)


def with_target(certificate: Certificate, **changed: bytes) -> Certificate:
    """The checkpoint between its links is another one; nobody voted for that."""
    first, second = certificate.links
    target = first.target._replace(**changed)  # type: ignore[arg-type]
    return certificate._replace(links=(first._replace(target=target), second._replace(source=target)))


def few(certificate: Certificate, at: int, **changed: object) -> Certificate:
    links = list(certificate.links)
    links[at] = links[at]._replace(votes=links[at].votes[:3], **changed)  # type: ignore[arg-type]
    return certificate._replace(links=(links[0], links[1]))


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("tables", lambda one: one._replace(tables=())),
        ("tables", lambda one: one._replace(tables=(foreign(), foreign()))),
        ("tables", lambda one: with_target(one, table=foreign().hash)._replace(tables=(*one.tables, foreign()))),
        ("vote", lambda one: with_target(one, next_table=foreign().hash)._replace(tables=(*one.tables, foreign()))),
        ("vote", lambda one: with_target(one, view=bytes(32))),
        ("headers", lambda one: one._replace(headers=one.headers[:1])),
        ("signature", lambda one: one._replace(links=tuple(link._replace(votes=forged(link)) for link in one.links))),
        ("quorum", lambda one: few(one, 0)),
        ("quorum", lambda one: few(one, 0, stake_alone=True)),
        ("silence", lambda one: few(one, 0, absent=tuple(vote.voter for vote in one.links[0].votes[3:]))),
    ],
)
def test_a_hostile_certificate_leads_nowhere(code: str, change: Callable[[Certificate], Certificate]) -> None:
    """Refused for what it is; and the walk keeps what was final before it."""
    certificates = kept()
    here = follow(certificates[:2])
    with pytest.raises(WalkError) as refused:
        follow([change(certificates[2])], here)
    assert refused.value.code == code
    certificates[2] = change(certificates[2])
    assert follow(certificates[:3]) == here


@pytest.mark.parametrize("absent", [False, True])
def test_without_votes_for_its_successor_nothing_is_final(absent: bool) -> None:
    """The second link too needs its quorum, with nobody left out."""
    certificates = kept()
    here = follow(certificates[:2])
    left_out = tuple(vote.voter for vote in certificates[2].links[1].votes[3:]) if absent else ()
    with pytest.raises(WalkError) as refused:
        follow([few(certificates[2], 1, stake_alone=True, absent=left_out)], here)
    assert refused.value.code == ("silence" if absent else "quorum")


def test_a_link_from_under_tables_that_are_not_trusted_is_refused() -> None:
    """Its target's table is trusted, its source lies one rotation below: whoever left since may have signed it."""
    certificates = kept()
    later = certificates[2]
    begin = start(later.checkpoint.hash, later.checkpoint, history()[2])
    every = [link for link in history()[1] if link.target.number > later.checkpoint.number]
    source = certificates[0].checkpoint
    assert source.table not in (later.checkpoint.table, later.checkpoint.next_table)
    with pytest.raises(WalkError) as refused:
        walk(GENESIS.hash, PARAMETERS, begin, [every[0]._replace(source=source)], history()[2], history()[3])
    assert refused.value.code == "tables"


def forged(link: Link) -> tuple[Vote, ...]:
    """Its votes, each signed by the next one's signature."""
    return tuple(vote._replace(signature=link.votes[at - 1].signature) for at, vote in enumerate(link.votes))


def test_it_comes_to_every_checkpoint_that_has_its_own_certificate() -> None:
    """Also to one that the certificate before leads to with its second link."""
    certificates = lived()[3]
    for item in certificates[1:]:
        number = item.checkpoint.number
        below = {
            (one.checkpoint.table, one.checkpoint.next_table): one
            for one in certificates
            if one.checkpoint.number < number
        }
        way = sorted((*below.values(), item), key=lambda one: one.checkpoint.number)
        assert follow(way).checkpoint == item.checkpoint
