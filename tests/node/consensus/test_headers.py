"""Blocks from outside: each dishonest field is named by its rule, and the chain stands as it stood."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.consensus.blocks import Block, BlockError, Header, body_root
from node.consensus.chain import Chain
from node.encoding.canonical import Value, encode
from node.ledger.signatures import P256_ORDER
from node.ledger.types import SignedTransaction, TransactionError
from tests.node.world import (
    VALIDATORS,
    Payer,
    contents,
    key,
    led_slot,
    made,
    new_chain,
    reveals,
    small_genesis,
    stranger,
    through_the_wire,
)

GENESIS = small_genesis(stakes=(10**11,) * 3)
ALICE = Payer(GENESIS.hash, key(1))
FAR = 1 << 40


class Here:
    """A chain of two blocks, and an honest third one of three payments that it has not seen yet."""

    def __init__(self) -> None:
        self.chain = new_chain(GENESIS)
        made(self.chain, ALICE.pay(0, stranger(1), 5))
        applied = made(self.chain, ALICE.pay(1, stranger(1), 5), slot=led_slot(self.chain, 21)[0])
        self.slot = applied.tip.slot + 1
        self.number = led_slot(self.chain, self.slot - 1)[1]
        self.honest = made(self.chain, *(ALICE.pay(nonce, stranger(2), 5) for nonce in (2, 3, 4)), slot=self.slot)
        self.chain.revert(self.honest)
        self.other = next(number for number in range(3) if number != self.number)

    def forged(self, signer: int | None = None, **changed: Any) -> Block:
        """The honest block with other fields, signed anew by its creator or by another validator."""
        header = self.honest.block.header._replace(**changed)
        owner = key(VALIDATORS + (self.number if signer is None else signer))
        transactions = self.honest.block.transactions
        return Block(header._replace(signature=owner.sign(header.signing_hash())), transactions)

    def carrying(self, *transactions: SignedTransaction) -> Block:
        return Block(self.forged(body_root=body_root(transactions)).header, transactions)


@pytest.fixture(scope="module")
def here() -> Here:
    return Here()


def refused(chain: Chain, block: Block, code: str, now: int = FAR) -> None:
    """`code` is why; nothing changed by it."""
    before = contents(chain.state), chain.waves.commitment, chain.tip, chain.state.mark()
    with pytest.raises((BlockError, TransactionError)) as caught:
        chain.accept(through_the_wire(block, GENESIS.parameters.max_body_bytes), now)
    assert isinstance(caught.value, BlockError | TransactionError)
    assert caught.value.code == code
    assert str(caught.value).endswith(".")
    assert before == (contents(chain.state), chain.waves.commitment, chain.tip, 0)


FORGERIES: dict[str, tuple[str, Callable[[Here], Block]]] = {
    "another version": ("other_version", lambda h: h.forged(version=2)),
    "another network": ("other_network", lambda h: h.forged(genesis=bytes(32))),
    "no parent": ("bad_parents", lambda h: h.forged(parents=())),
    "two parents": ("bad_parents", lambda h: h.forged(parents=(h.chain.tip.id, h.chain.genesis_hash))),
    "eleven parents": ("bad_parents", lambda h: h.forged(parents=(h.chain.tip.id,) * 11)),
    "a parent of 31 bytes": ("bad_parents", lambda h: h.forged(parents=(bytes(31),))),
    "a parent that is a number": ("bad_parents", lambda h: h.forged(parents=(7,))),
    "an unknown parent": ("unknown_parent", lambda h: h.forged(parents=(bytes(32),))),
    "an older parent": ("unknown_parent", lambda h: h.forged(parents=(h.chain.genesis_hash,))),
    "the parent's slot": ("old_slot", lambda h: h.forged(slot=h.chain.tip.slot)),
    "an older slot": ("old_slot", lambda h: h.forged(slot=0)),
    "a stranger as creator": ("unknown_creator", lambda h: h.forged(creator=key(1).address)),
    "no creator": ("unknown_creator", lambda h: h.forged(creator=b"")),
    "another validator": (
        "bad_seat",
        lambda h: h.forged(signer=h.other, creator=key(VALIDATORS + h.other).address),
    ),
    "the wrong seat": ("bad_seat", lambda h: h.forged(seat=1)),
    "a seat that is none": ("bad_seat", lambda h: h.forged(seat=2)),
    "a seat beyond a byte": ("bad_seat", lambda h: h.forged(seat=1 << 40)),
    "another region": ("bad_region", lambda h: h.forged(region=(h.honest.block.header.region + 1) % 6)),
    "a region that is none": ("bad_region", lambda h: h.forged(region=6)),
    "another signer": ("bad_signature", lambda h: h.forged(signer=h.other)),
    "the reveal of another epoch": ("bad_reveal", lambda h: h.forged(reveal=reveals(h.number).preimage(2))),
    "somebody else's reveal": ("bad_reveal", lambda h: h.forged(reveal=reveals(h.other).preimage(1))),
    "the commitment as its own reveal": ("bad_reveal", lambda h: h.forged(reveal=reveals(h.number).commitment)),
    "another state": ("bad_state_commitment", lambda h: h.forged(state_commitment=bytes(32))),
    "another body root": ("bad_body_root", lambda h: h.forged(body_root=bytes(32))),
    "a transaction of another network": (
        "other_network",
        lambda h: h.carrying(Payer(bytes(32), key(1)).pay(2, stranger(1), 5)),
    ),
    "a transaction of an unknown kind": ("unknown_kind", lambda h: h.carrying(ALICE.transaction(2, 9, ()))),
    "a payment of nothing": ("bad_amount", lambda h: h.carrying(ALICE.pay(2, stranger(1), 0))),
    "a transaction with a bad signature": (
        "bad_signature",
        lambda h: h.carrying(ALICE.pay(2, stranger(1), 5).body.signed(bytes(63) + b"\x01")),
    ),
    "the broken twin of a transaction that was seen": (
        "bad_signature",
        lambda h: h.carrying(
            h.honest.block.transactions[0].body.signed(h.honest.block.transactions[1].signature),
        ),
    ),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_each_dishonest_field_is_named(here: Here, name: str) -> None:
    code, forge = FORGERIES[name]
    refused(here.chain, forge(here), code)


def test_the_honest_block_is_accepted_after_all_that(here: Here) -> None:
    for code, forge in FORGERIES.values():
        refused(here.chain, forge(here), code)
    applied = here.chain.accept(through_the_wire(here.honest.block), here.slot)
    assert applied.tip == here.honest.tip
    here.chain.revert(applied)


def test_slots_that_have_not_begun(here: Here) -> None:
    honest = here.honest.block
    refused(here.chain, honest, "early", here.slot - 1)
    refused(here.chain, honest, "future_slot", here.slot - 2)
    here.chain.revert(here.chain.accept(honest, here.slot))


def test_a_changed_or_high_signature_is_refused(here: Here) -> None:
    honest = here.honest.block
    signature = honest.header.signature
    high = signature[:32] + (P256_ORDER - int.from_bytes(signature[32:])).to_bytes(32)
    for bad in (bytes(64), high, signature[:-1] + bytes([signature[-1] ^ 1])):
        refused(here.chain, honest._replace(header=honest.header._replace(signature=bad)), "bad_signature")


def test_a_body_that_is_not_the_headers_is_refused(here: Here) -> None:
    honest = here.honest.block
    one, two, three = honest.transactions
    for body in ((), (one, two), (two, one, three), (one, two, three, three)):
        refused(here.chain, honest._replace(transactions=body), "bad_body_root")


def test_an_oversize_body_is_refused_before_it_is_read(here: Here) -> None:
    header, body = here.honest.block.header.encoded(), here.honest.block.body()
    assert Block.decode(header, body, len(body)).body() == body
    with pytest.raises(BlockError, match="at most") as caught:
        Block.decode(header, body, len(body) - 1)
    assert caught.value.code == "bad_body"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "bad_body"),
        (b"\xc1", "bad_body"),
        (encode(5), "bad_body"),
        (encode(((),)), "bad_body"),
        (encode(((), (), ())), "bad_body"),
        (encode(((), 1)), "bad_body"),
        (encode(((), (b"vote",))), "bad_body"),
        (encode((b"", ())), "bad_body"),
        (encode(((), ())) + b"\x00", "bad_body"),
        (encode(((1,), ())), "bad_form"),
        (encode(((b"",), ())), "bad_encoding"),
    ],
)
def test_a_malformed_body_is_named(here: Here, body: bytes, code: str) -> None:
    with pytest.raises((BlockError, TransactionError)) as caught:
        Block.decode(here.honest.block.header.encoded(), body, 1 << 16)
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
        (encode((1,)), "bad_header"),
        (encode((0,)), "other_version"),
        (encode((2, b"whatever", "a later version holds")), "other_version"),
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
        {"reveal": b""},
        {"body_root": bytes(33)},
        {"state_commitment": bytes(31)},
        {"signature": bytes(63)},
        {"slot": b"1"},
        {"seat": None},
        {"region": True},
        {"parents": b""},
        {"creator": "me"},
    ],
)
def test_a_field_of_a_wrong_type_or_length_is_refused(here: Here, changed: dict[str, Value]) -> None:
    header = here.honest.block.header._replace(**changed)  # type: ignore[arg-type]
    with pytest.raises(BlockError) as caught:
        Header.decode(header.encoded())
    assert caught.value.code == "bad_header"


@given(st.data())
@settings(max_examples=200)
def test_changed_bytes_are_refused_or_another_block(here: Here, data: st.DataObject) -> None:
    good = here.honest.block.header.encoded()
    at = data.draw(st.integers(0, len(good) - 1))
    bad = good[:at] + data.draw(st.binary(max_size=2)) + good[at + data.draw(st.integers(0, 2)) :]
    if bad == good:
        return
    try:
        header = Header.decode(bad)
    except BlockError:
        return
    assert header.encoded() == bad
    assert header.id != here.honest.tip.id
    with pytest.raises(BlockError):
        here.chain.accept(here.honest.block._replace(header=header), FAR)


def test_a_header_is_read_back_and_bound_by_its_id(here: Here) -> None:
    header = here.honest.block.header
    assert Header.decode(header.encoded()) == header
    assert header.id == here.honest.tip.id
    assert header._replace(signature=bytes(64)).signing_hash() == header.signing_hash()
    for place, name in enumerate(Header._fields):
        other: Any = list(header)
        other[place] = b"other"
        assert (Header._make(other).signing_hash() == header.signing_hash()) == (name == "signature"), name
