"""Blocks from outside: each malformed or dishonest field is named by its rule, and costs one signature check."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.consensus import duties
from node.consensus import judging as judging_module
from node.consensus import merging as merging_module
from node.consensus import reveals as reveals_module
from node.consensus import views as views_module
from node.consensus.blocks import MAX_PARENTS, Block, BlockError, Header, body_root
from node.consensus.dagblocks import Progress
from node.consensus.ghostdag import Ghostdag
from node.consensus.selected import SelectedChain
from node.consensus.votes import MAX_VOTES, Vote, VoteVerdicts
from node.encoding.canonical import Value, encode
from node.ledger.quotes import static_fee
from node.ledger.signatures import P256_ORDER, Verdicts
from node.ledger.staking import INVALID_HEADER
from node.ledger.types import EVIDENCE, MULTI_TRANSFER, SignedTransaction, TransactionError
from node.light.signature import wave_signature
from tests.node.world import VALIDATORS, Network, Payer, contents, key, reveals, small_genesis, stranger

GENESIS = small_genesis(stakes=(10**11,) * 4)
ALICE = Payer(GENESIS.hash, key(1))


class Here:
    """A DAG of an epoch and a half, and an honest next block: two parents, three payments, some votes."""

    def __init__(self) -> None:
        self.network = Network(GENESIS)
        self.engine = self.network.nodes[0].engine
        made = 0
        while not (self.network.slot > 25 and made == 2 and duties.votes_to_include(self.engine)):
            before = len(self.network.blocks)
            self.network.pass_slot(ALICE.pay(self.network.slot, stranger(1), 5))
            made = len(self.network.blocks) - before
        self.nonce = self.network.slot
        self.slot = self.network.slot + 1
        while self.leader(1) is None:
            self.slot += 1
        self.maker, self.other = self.leader(0), self.leader(1)
        self.number = self.maker.number
        self.payments = tuple(ALICE.pay(self.nonce + place, stranger(2), 5) for place in range(3))
        self.honest = self.maker.block(self.slot, *self.payments)
        assert len(self.honest.header.parents) == 2
        assert self.honest.votes

    def leader(self, seat: int) -> Any:
        table = self.engine.views.tables(self.engine.view, self.slot)[0]
        chosen = table.leader(self.slot, seat)
        return next((node for node in self.network.nodes if node.id == chosen), None)

    def forged(self, signer: int | None = None, **changed: Any) -> Block:
        """The honest block with other fields, and all that follows from them done anew."""
        header = self.honest.header._replace(**changed)
        if "wave" not in changed and header.region < 6:
            amplitude = self.honest.header.wave.amplitude
            header = header._replace(wave=wave_signature(header.unwaved(), header.region, amplitude, header.slot))
        return self.signed(header, self.honest.transactions, self.honest.votes, signer)

    def signed(
        self,
        header: Header,
        transactions: tuple[SignedTransaction, ...],
        votes: tuple[Vote, ...],
        signer: int | None = None,
    ) -> Block:
        owner = key(VALIDATORS + (self.number if signer is None else signer))
        return Block(header._replace(signature=owner.sign(header.signing_hash())), transactions, votes)

    def waving(self, **changed: Any) -> Block:
        """The honest block with another wave signature."""
        return self.forged(wave=self.honest.header.wave._replace(**changed))

    def carrying(self, *transactions: SignedTransaction, offered: int | None = None) -> Block:
        """A block of the honest one's maker with other transactions, right in everything else."""
        header = self.honest.header._replace(body_root=body_root(transactions, self.honest.votes))
        if offered is None:
            offered = sum(static_fee(GENESIS.parameters, item.body) for item in transactions)
        wave = wave_signature(header.unwaved(), header.region, offered.bit_length(), header.slot)
        return self.signed(header._replace(wave=wave), transactions, self.honest.votes)

    def hear(self, block: Block, now: int) -> Progress:
        """As another node hears it: from the wire."""
        read = Block.decode(block.header_bytes, block.body(), GENESIS.parameters.max_body_bytes)
        return self.engine.add(read, now)

    def fingerprint(self) -> tuple[object, ...]:
        engine = self.engine
        return (
            contents(engine.state),
            engine.waves.commitment,
            engine.tip,
            engine.final,
            engine.justified,
            set(engine.blocks),
            engine.dag.next,
            engine.dag.tips(),
            [item for item in engine.evidence if item.kind != INVALID_HEADER],
            {link: set(votes) for link, votes in engine.ballots.links.items()},
        )


@cache
def _here() -> Here:
    return Here()


@pytest.fixture
def here() -> Here:
    """One for all tests, without what it remembers of the forgeries of others."""
    found = _here()
    found.engine._judging._invalid.clear()
    found.engine._judging._signed = b"", b""
    return found


@pytest.fixture
def dear(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What costs a node more than reading: each call by name, in order."""
    calls: list[str] = []

    def watch(owner: Any, name: str, label: str) -> None:
        real = getattr(owner, name)

        def counted(*args: Any, **named: Any) -> Any:
            calls.append(label)
            return real(*args, **named)

        monkeypatch.setattr(owner, name, counted)

    watch(judging_module, "verify", "signature")
    watch(judging_module, "wave_signature", "wave")
    watch(judging_module, "body_root", "root")
    watch(reveals_module.RevealChecker, "check", "reveal")
    watch(Ghostdag, "judge", "colour")
    watch(Verdicts, "good", "transaction")
    watch(VoteVerdicts, "good", "vote")
    watch(views_module.Views, "advance", "view")
    watch(SelectedChain, "apply", "execute")
    watch(SelectedChain, "undo", "undo")
    return calls


def refused(here: Here, block: Block, code: str, now: int | None = None) -> None:
    """`code` is why; nothing changed by it but what is known of offenders. Header and body come from the wire."""
    before = here.fingerprint()
    with pytest.raises((BlockError, TransactionError)) as caught:
        here.hear(block, here.slot if now is None else now)
    assert isinstance(caught.value, BlockError | TransactionError)
    assert caught.value.code == code
    assert str(caught.value).endswith(".")
    assert here.fingerprint() == before


Forge = Callable[[Here], Block]

UNREAD: dict[str, tuple[str, Forge]] = {
    "another version": ("other_version", lambda h: h.forged(version=1)),
    "no parent": ("bad_parents", lambda h: h.forged(parents=())),
    "eleven parents": ("bad_parents", lambda h: h.forged(parents=(*h.honest.header.parents, *(bytes(32),) * 9))),
    "a parent twice": ("bad_parents", lambda h: h.forged(parents=(h.honest.header.parents[0],) * 2)),
    "a parent of 31 bytes": ("bad_parents", lambda h: h.forged(parents=(bytes(31),))),
    "a parent that is a number": ("bad_parents", lambda h: h.forged(parents=(7,))),
    "a region that is none": ("bad_region", lambda h: h.forged(region=6)),
    "a slot beyond 48 bits": ("bad_header", lambda h: h.forged(slot=1 << 48)),
    "the digest of another hash": ("bad_wave", lambda h: h.waving(digest=bytes(20))),
}
"""Refused as they are read."""

UNSIGNED: dict[str, tuple[str, Forge]] = {
    "another network": ("other_network", lambda h: h.forged(genesis=bytes(32))),
    "a later slot": ("future_slot", lambda h: h.forged(slot=h.slot + 2)),
    "the next slot": ("early", lambda h: h.forged(slot=h.slot + 1)),
    "a parent's slot": ("old_slot", lambda h: h.forged(slot=h.engine.tip.slot)),
    "slot zero": ("old_slot", lambda h: h.forged(slot=0)),
    "a stranger as creator": ("unknown_creator", lambda h: h.forged(creator=key(1).address)),
    "no creator": ("unknown_creator", lambda h: h.forged(creator=b"")),
    "an unknown parent, by a stranger": (
        "unknown_creator",
        lambda h: h.forged(parents=(bytes(32),), creator=key(1).address),
    ),
}
"""Refused by what is plain to see, before any signature is looked at."""

SIGNED: dict[str, tuple[str, Forge]] = {
    "another signer": ("bad_signature", lambda h: h.forged(signer=h.other.number)),
    "an unknown parent, by another signer": (
        "bad_signature",
        lambda h: h.forged(signer=h.other.number, parents=(bytes(32),)),
    ),
    "another leader's seat": (
        "bad_seat",
        lambda h: h.forged(signer=h.other.number, creator=h.other.id, region=h.engine.view.table.regions[h.other.id]),
    ),
    "the wrong seat": ("bad_seat", lambda h: h.forged(seat=1)),
    "a seat that is none": ("bad_seat", lambda h: h.forged(seat=2)),
    "a seat beyond a byte": ("bad_seat", lambda h: h.forged(seat=1 << 40)),
    "another region": ("bad_region", lambda h: h.forged(region=(h.honest.header.region + 1) % 6)),
    "the reveal of another epoch": ("bad_reveal", lambda h: h.forged(reveal=reveals(h.number).preimage(2))),
    "the reveal of an epoch before": ("bad_reveal", lambda h: h.forged(reveal=reveals(h.number).preimage(0))),
    "somebody else's reveal": ("bad_reveal", lambda h: h.forged(reveal=reveals(h.other.number).preimage(1))),
    "the commitment as its own reveal": ("bad_reveal", lambda h: h.forged(reveal=reveals(h.number).commitment)),
    "parents the wrong way round": (
        "bad_selected_parent",
        lambda h: h.forged(parents=h.honest.header.parents[::-1]),
    ),
    "a parent in another's past": (
        "bad_parents",
        lambda h: h.forged(parents=(*h.honest.header.parents, h.network.blocks[0].id)),
    ),
    "the genesis as another parent": (
        "bad_parents",
        lambda h: h.forged(parents=(*h.honest.header.parents, GENESIS.hash)),
    ),
    "another body root": ("bad_body_root", lambda h: h.forged(body_root=bytes(32))),
    "an unknown parent, with another body root": (
        "bad_body_root",
        lambda h: h.forged(parents=(bytes(32),), body_root=bytes(32)),
    ),
    "another wavelength": ("bad_wave", lambda h: h.waving(wavelength=h.honest.header.wave.wavelength ^ 1)),
    "another amplitude": ("bad_wave", lambda h: h.waving(amplitude=h.honest.header.wave.amplitude + 1)),
    "another phase": ("bad_wave", lambda h: h.waving(phase=h.honest.header.wave.phase ^ 1)),
    "another polarisation": ("bad_wave", lambda h: h.waving(polarisation=h.honest.header.wave.polarisation ^ 1)),
    "another time": ("bad_wave", lambda h: h.waving(time=h.honest.header.wave.time + 1)),
    "another digest": ("bad_wave", lambda h: h.waving(digest=h.honest.header.wave.digest[:-1] + b"\x00")),
    "a wave of other fees than the body's": ("bad_wave", lambda h: h.carrying(*h.payments, offered=1 << 40)),
}
"""Refused for what only their creator can be blamed for: the signature is looked at first."""

CARRIED: dict[str, tuple[str, Forge]] = {
    "a transaction of another network": (
        "other_network",
        lambda h: h.carrying(Payer(bytes(32), key(1)).pay(h.nonce, stranger(1), 5)),
    ),
    "a transaction of an unknown kind": ("unknown_kind", lambda h: h.carrying(ALICE.transaction(h.nonce, 9, ()))),
    "a payment of nothing": ("bad_amount", lambda h: h.carrying(ALICE.pay(h.nonce, stranger(1), 0))),
    "payments to a number": (
        "bad_form",
        lambda h: h.carrying(ALICE.transaction(h.nonce, MULTI_TRANSFER, (7, "")), offered=1),
    ),
    "payments without a list": (
        "bad_form",
        lambda h: h.carrying(ALICE.transaction(h.nonce, MULTI_TRANSFER, ()), offered=1),
    ),
    "evidence of nothing": ("bad_form", lambda h: h.carrying(ALICE.transaction(h.nonce, EVIDENCE, ()))),
    "a transaction with a bad signature": (
        "bad_signature",
        lambda h: h.carrying(ALICE.pay(h.nonce, stranger(1), 5).body.signed(bytes(63) + b"\x01")),
    ),
    "the broken twin of a transaction that was seen": (
        "bad_signature",
        lambda h: h.carrying(h.payments[0].body.signed(h.payments[1].signature)),
    ),
}
"""Refused for what the body carries."""

FORGERIES = {**UNREAD, **UNSIGNED, **SIGNED, **CARRIED}
CHEAP = {"signature", "reveal", "colour", "root", "wave"}


@pytest.mark.parametrize("name", UNREAD)
def test_what_has_no_form_is_not_even_looked_at(here: Here, name: str, dear: list[str]) -> None:
    code, forge = UNREAD[name]
    block = forge(here)
    dear.clear()
    refused(here, block, code)
    assert dear == []


@pytest.mark.parametrize("name", UNSIGNED)
def test_what_needs_no_signature_costs_none(here: Here, name: str, dear: list[str]) -> None:
    code, forge = UNSIGNED[name]
    block = forge(here)
    dear.clear()
    refused(here, block, code)
    assert dear == []


@pytest.mark.parametrize("name", SIGNED)
def test_each_dishonest_field_costs_one_signature(here: Here, name: str, dear: list[str]) -> None:
    code, forge = SIGNED[name]
    block = forge(here)
    dear.clear()
    refused(here, block, code)
    assert dear[0] == "signature"
    assert dear.count("signature") == 1
    assert set(dear) <= CHEAP, "nothing is counted, executed or looked up in the body"
    assert all(dear.count(name) == 1 for name in dear)
    if code == "bad_signature":
        assert dear == ["signature"]


@pytest.mark.parametrize("name", CARRIED)
def test_each_bad_transaction_is_named(here: Here, name: str, dear: list[str]) -> None:
    code, forge = CARRIED[name]
    block = forge(here)
    dear.clear()
    refused(here, block, code)
    assert dear[0] == "signature"
    assert dear.count("signature") == 1
    assert dear.count("transaction") <= 1
    assert set(dear) <= CHEAP | {"transaction"}


def test_a_bad_transaction_stops_the_checks_of_the_others(here: Here, dear: list[str]) -> None:
    bad = ALICE.pay(here.nonce, stranger(1), 5).body.signed(bytes(63) + b"\x01")
    refused(here, here.carrying(here.payments[0], bad, here.payments[1], here.payments[2]), "bad_signature")
    assert dear.count("transaction") == 2


@pytest.mark.parametrize("name", [name for name in {**SIGNED, **CARRIED} if "body root" not in name])
def test_the_same_bad_block_costs_nothing_again(here: Here, name: str, dear: list[str]) -> None:
    code, forge = FORGERIES[name]
    block = forge(here)
    refused(here, block, code)
    dear.clear()
    refused(here, block, code)
    if block.header.parents[0] in here.engine.blocks:
        assert dear == [], "it is known by its id"
    else:
        assert dear == ["signature"], "its chain may know another key"


def test_the_honest_block_is_taken_after_all_that() -> None:
    here = Here()
    for code, forge in FORGERIES.values():
        refused(here, forge(here), code)
    progress = here.hear(here.honest, here.slot)
    assert [step.block.id for step in progress.applied] == [here.honest.id]
    assert here.engine.tip.id == here.honest.id
    assert not here.hear(here.honest, here.slot), "a second time it is nothing new"


def test_the_honest_block_is_checked_once(dear: list[str]) -> None:
    here = Here()
    dear.clear()
    here.engine.add(here.honest, here.slot)
    assert [dear.count(name) for name in ("signature", "colour", "root", "wave", "view", "execute")] == [1] * 6
    assert dear.index("signature") == 0
    assert dear.index("execute") > dear.index("view") > dear.index("wave")


def test_an_id_is_not_spoilt_by_another_body() -> None:
    """The header is honest; whoever sends it with another body must not make others refuse it or its children."""
    here = Here()
    for bad in (
        Block(here.honest.header, here.payments[:2], here.honest.votes),
        Block(here.honest.header, here.payments[::-1], here.honest.votes),
        Block(here.honest.header, (*here.payments, here.payments[0]), here.honest.votes),
        Block(here.honest.header, here.payments, ()),
        Block(here.honest.header, here.payments, here.honest.votes[::-1]),
        Block(here.honest.header, (), ()),
    ):
        assert bad.id == here.honest.id
        if bad.body() != here.honest.body():
            refused(here, bad, "bad_body_root")
    assert here.engine.add(here.honest, here.slot).added
    for node in here.network.nodes[1:]:
        node.engine.add(here.honest, here.slot)
    here.network.slot = here.slot
    for _ in range(4):
        here.network.pass_slot()
    assert here.engine.tip.slot > here.slot
    assert here.engine.dag.is_ancestor(here.engine.blocks[here.honest.id].index, here.engine.chain.tip.index)


def test_an_orphan_is_not_spoilt_by_another_body() -> None:
    """A body that is not the header's would wait in its place, and the right one would be taken for known."""
    here = Here()
    child = _child(here)
    refused(here, Block(child.header, (), ()), "bad_body_root", child.header.slot)
    assert here.engine.add(child, child.header.slot).missing == [here.honest.id]
    added = here.engine.add(here.honest, child.header.slot).added
    assert [item.id for item in added] == [here.honest.id, child.id]


def _child(here: Here, *transactions: SignedTransaction) -> Block:
    """An honest block on the honest one, made by a node that has it."""
    for node in here.network.nodes[1:]:
        node.engine.add(here.honest, here.slot)
    slot = here.slot + 1
    while True:
        for node in here.network.nodes[1:]:
            if node.leads(slot):
                return node.block(slot, *(transactions or (ALICE.pay(here.nonce + 3, stranger(2), 5),)))
        slot += 1


def test_an_orphans_signature_is_checked_once(dear: list[str]) -> None:
    here = Here()
    child = _child(here)
    dear.clear()
    here.engine.add(child, child.header.slot)
    assert dear == ["signature", "root"]
    here.engine.add(here.honest, child.header.slot)
    assert dear.count("signature") == 2, "one for each of two blocks"


def test_a_block_on_an_invalid_one_is_refused_unseen(here: Here, dear: list[str]) -> None:
    bad = here.waving(phase=here.honest.header.wave.phase ^ 2)
    refused(here, bad, "bad_wave")
    dear.clear()
    child = here.forged(parents=(bad.id,), slot=here.slot)
    dear.clear()
    refused(here, child, "bad_parents")
    assert dear == []


def test_orphans_of_an_invalid_block_go_with_it() -> None:
    here = Here()
    bad = here.waving(phase=here.honest.header.wave.phase ^ 2)
    child = here.forged(parents=(bad.id,), slot=here.slot)
    grandchild = here.forged(parents=(child.id,), slot=here.slot)
    for block in (grandchild, child):
        assert here.engine.add(block, here.slot).missing
    refused(here, bad, "bad_wave")
    for block in (child, grandchild):
        refused(here, block, "bad_parents")


def test_a_changed_or_high_signature_is_refused(here: Here) -> None:
    signature = here.honest.header.signature
    high = signature[:32] + (P256_ORDER - int.from_bytes(signature[32:])).to_bytes(32)
    for bad in (bytes(64), high, signature[:-1] + bytes([signature[-1] ^ 1])):
        header = here.honest.header._replace(signature=bad)
        refused(here, Block(header, here.honest.transactions, here.honest.votes), "bad_signature")


def test_another_state_is_no_rule_of_form() -> None:
    """A wrong state commitment is not invalid but disqualified: see test_engine."""
    here = Here()
    block = here.forged(state_commitment=bytes(32))
    progress = here.engine.add(block, here.slot)
    assert [item.id for item in progress.disqualified] == [block.id]
    assert here.engine.tip.id != block.id


def test_a_block_merges_no_more_than_its_mergeset_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    assert merging_module.MAX_MERGESET == 180
    here = Here()
    monkeypatch.setattr(merging_module, "MAX_MERGESET", 1)
    refused(here, here.honest, "big_mergeset")
    monkeypatch.setattr(merging_module, "MAX_MERGESET", 2)
    other = Here()
    assert other.engine.add(other.honest, other.slot).added


def test_an_oversize_body_is_refused_before_it_is_read(here: Here) -> None:
    header, body = here.honest.header_bytes, here.honest.body()
    assert Block.decode(header, body, len(body)).body() == body
    with pytest.raises(BlockError, match="at most") as caught:
        Block.decode(header, body, len(body) - 1)
    assert caught.value.code == "bad_body"


GOOD_VOTE = (1, bytes(32), 2, bytes(32), 40, 3, stranger(1), bytes(64))


def vote_with(place: int, value: Value) -> Value:
    return (*GOOD_VOTE[:place], value, *GOOD_VOTE[place + 1 :])


def body_with(*votes: Value) -> bytes:
    return encode(((), votes))


def test_a_good_vote_is_read(here: Here) -> None:
    block = Block.decode(here.honest.header_bytes, body_with(*(GOOD_VOTE,) * MAX_VOTES), 1 << 16)
    assert block.votes == (Vote._make(GOOD_VOTE),) * MAX_VOTES


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "bad_body"),
        (b"\xc1", "bad_body"),
        (encode(5), "bad_body"),
        (encode(((),)), "bad_body"),
        (encode(((), (), ())), "bad_body"),
        (encode(((), 1)), "bad_body"),
        (encode((b"", ())), "bad_body"),
        (encode(((), ())) + b"\x00", "bad_body"),
        (encode(((1,), ())), "bad_form"),
        (encode(((b"",), ())), "bad_encoding"),
        (body_with(*(GOOD_VOTE,) * (MAX_VOTES + 1)), "bad_body"),
        (body_with(b"vote"), "bad_vote"),
        (body_with(()), "bad_vote"),
        (body_with(GOOD_VOTE[:-1]), "bad_vote"),
        (body_with((*GOOD_VOTE, 1)), "bad_vote"),
        (body_with(vote_with(0, True)), "bad_vote"),
        (body_with(vote_with(0, 2)), "bad_vote"),
        (body_with(vote_with(1, bytes(31))), "bad_vote"),
        (body_with(vote_with(2, 1)), "bad_vote"),
        (body_with(vote_with(2, b"\x02")), "bad_vote"),
        (body_with(vote_with(3, bytes(33))), "bad_vote"),
        (body_with(vote_with(4, "40")), "bad_vote"),
        (body_with(vote_with(5, 6)), "bad_vote"),
        (body_with(vote_with(6, b"")), "bad_vote"),
        (body_with(vote_with(6, bytes(34))), "bad_vote"),
        (body_with(vote_with(7, bytes(63))), "bad_vote"),
    ],
)
def test_a_malformed_body_is_named(here: Here, body: bytes, code: str) -> None:
    with pytest.raises((BlockError, TransactionError)) as caught:
        Block.decode(here.honest.header_bytes, body, 1 << 16)
    assert isinstance(caught.value, BlockError | TransactionError)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "bad_header"),
        (bytes(2_000), "bad_header"),
        (encode(()), "bad_header"),
        (encode(1), "bad_header"),
        (encode((True,)), "bad_header"),
        (encode(("1",)), "bad_header"),
        (encode((2,)), "bad_header"),
        (encode((0,)), "other_version"),
        (encode((1, b"of the one-parent chain")), "other_version"),
        (encode((3, b"whatever", "a later version holds")), "other_version"),
    ],
)
def test_a_malformed_header_is_named(data: bytes, code: str) -> None:
    with pytest.raises(BlockError) as caught:
        Header.decode(data)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "changed",
    [
        {"genesis": bytes(31)},
        {"parents": b""},
        {"slot": b"1"},
        {"seat": None},
        {"creator": "me"},
        {"region": True},
        {"reveal": b""},
        {"body_root": bytes(33)},
        {"state_commitment": bytes(31)},
        {"wave": (1, 2, 3, 4, 5)},
        {"wave": (1, 2, 3, 4, 5, b"", 6)},
        {"wave": (1, True, 3, 4, 5, bytes(32))},
        {"wave": (b"1", 2, 3, 4, 5, bytes(32))},
        {"signature": bytes(63)},
        {"signature": 0},
    ],
)
def test_a_field_of_a_wrong_type_or_length_is_refused(here: Here, changed: dict[str, Any]) -> None:
    header = here.honest.header._replace(**changed)
    with pytest.raises(BlockError) as caught:
        Header.decode(header.encoded())
    assert caught.value.code == "bad_header"


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_changed_bytes_are_refused_or_another_block(data: st.DataObject) -> None:
    here = _here()
    good = here.honest.header_bytes
    at = data.draw(st.integers(0, len(good) - 1))
    bad = good[:at] + data.draw(st.binary(max_size=2)) + good[at + data.draw(st.integers(0, 2)) :]
    if bad == good:
        return
    try:
        header = Header.decode(bad)
    except BlockError:
        return
    assert header.encoded() == bad
    block = Block(header, here.honest.transactions, here.honest.votes)
    assert block.id != here.honest.id
    before = here.fingerprint()
    try:
        here.engine.add(block, here.slot)
    except BlockError:
        assert here.fingerprint() == before
    else:
        pytest.fail("a changed header was taken")


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_a_changed_body_is_refused(data: st.DataObject) -> None:
    here = _here()
    good = here.honest.body()
    at = data.draw(st.integers(0, len(good) - 1))
    bad = good[:at] + data.draw(st.binary(max_size=2)) + good[at + data.draw(st.integers(0, 2)) :]
    if bad == good:
        return
    before = here.fingerprint()
    with pytest.raises((BlockError, TransactionError)):
        here.engine.add(Block.decode(here.honest.header_bytes, bad, 1 << 16), here.slot)
    assert here.fingerprint() == before


def test_a_header_is_read_back_and_bound_by_its_id(here: Here) -> None:
    header = here.honest.header
    assert Header.decode(header.encoded()) == header
    assert header.id == here.honest.id
    assert header._replace(signature=bytes(64)).signing_hash() == header.signing_hash()
    for place, name in enumerate(Header._fields):
        other: Any = list(header)
        other[place] = (1, b"other") if name in ("wave", "parents") else b"other"
        assert (Header._make(other).signing_hash() == header.signing_hash()) == (name == "signature"), name
        assert Header._make(other).id != header.id
        assert (Header._make(other).unwaved() == header.unwaved()) == (name in ("signature", "wave")), name


def test_ten_parents_are_allowed_in_form(here: Here) -> None:
    parents = tuple(number.to_bytes(32) for number in range(MAX_PARENTS))
    assert Header.decode(here.forged(parents=parents).header_bytes).parents == parents
