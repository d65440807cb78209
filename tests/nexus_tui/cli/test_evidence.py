"""`nexus dag evidence`: a real double block is seen, listed, sent and punished."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from node.consensus.blocks import Block, body_root
from node.encoding.amounts import UNITS_PER_NXT
from node.light.signature import wave_signature
from node.profile.paths import profile_paths
from node.service.opening import ServiceSettings, open_service

Run = Callable[..., Any]


async def _sin() -> None:
    """The validator of this solo network makes a second block for a slot that it has filled."""
    async with open_service(profile_paths("default"), ServiceSettings(serve=False)) as service:
        node = service.node
        made = node.engine.chain.tip.block
        assert made is not None
        assert node.producer is not None
        assert made.transactions
        header = made.header._replace(body_root=body_root((), made.votes))
        wave = wave_signature(header.unwaved(), header.region, 0, header.slot)
        header = header._replace(wave=wave)
        signed = header._replace(signature=node.producer._key.sign(header.signing_hash()))
        await node.receive(Block(signed, (), made.votes))
        assert [item.own for item in await node.evidence()] == [True]


@pytest.fixture
def sinner(solo: Path, nexus: Run, savings: str) -> str:
    """The address of a validator that made two blocks for one slot; its stake is in this wallet."""
    assert nexus("dag", "evidence", "list").out == "This node holds no proof of an offence.\n"
    assert nexus("dag", "evidence", "send", "--yes", "--json").error["code"] == "no_evidence"
    assert nexus("wallet", "send", savings, "5", "--yes").status == 0
    asyncio.run(_sin())
    return str(nexus("node", "validator-key", "--json").document["account"])


def test_evidence_is_listed_sent_and_punished(nexus: Run, sinner: str) -> None:
    (proof,) = nexus("dag", "evidence", "list", "--json").document["evidence"]
    stake = int(proof["stake"]["units"])
    assert stake == int(nexus("node", "validator-key", "--json").document["stake"]["units"])
    assert (proof["kind"], proof["status"], proof["validator"]) == ("double_block", "open", sinner)
    assert int(proof["loss"]["units"]) == stake * 5 // 100
    assert proof["what"] == f"made two blocks for slot {proof['slot']}"
    assert len(proof["proof"]) == 2
    listed = nexus("dag", "evidence", "list").out
    for part in (proof["id"][:16], "open", sinner, "would lose", "two blocks"):
        assert part in listed
    refused = nexus("dag", "evidence", "send", "--json")
    assert (refused.status, refused.error["code"]) == (2, "needs_yes")
    declined = nexus("dag", "evidence", "send", typed="n\n")
    assert declined.status == 1
    loses = f"It loses {stake * 5 // 100 // UNITS_PER_NXT:d} NXT of its stake of {stake // UNITS_PER_NXT:d} NXT"
    for part in (sinner, loses, "excluded from validating for good", "Fee 0.00001 NXT from Main", "given back"):
        assert part in declined.err
    sent = nexus("dag", "evidence", "send", proof["id"][:10], "-a", "Savings", "--yes", "--json")
    assert sent.status == 0, sent.err
    assert (sent.document["status"], sent.document["fee"]["units"]) == ("done", "0")
    assert sent.document["evidence"]["id"] == proof["id"]
    balance = nexus("wallet", "balance", "-a", "Savings", "--json").document["total"]["units"]
    assert balance == str(5 * UNITS_PER_NXT), "evidence that counts is free"
    (after,) = nexus("dag", "evidence", "list", "--json").document["evidence"]
    assert (after["status"], after["loss"]["units"]) == ("punished", "0")
    assert int(after["stake"]["units"]) == stake - stake * 5 // 100
    again = nexus("dag", "evidence", "send", proof["id"], "--yes", "--json")
    assert (again.status, again.error["code"]) == (1, "evidence_punished")
    shown = nexus("tx", "show", sent.document["txid"], "--json").document
    assert (shown["kind"], shown["outputs"], shown["fee"]["units"]) == ("evidence", [], "0")
    (row,) = nexus("wallet", "history", "-a", "Savings", "-s", "evidence", "--json").document["transactions"]
    assert (row["kind"], row["amount"]["units"], row["fee"]["units"]) == ("evidence", "0", "0")
    assert "evidence" in nexus("wallet", "history", "-a", "Savings").out
    (validator,) = nexus("dag", "finality", "--json").document["validators"]
    assert validator["tombstoned"]


def test_wrong_ids_and_empty_accounts_are_refused(nexus: Run, sinner: str) -> None:
    for identity, status, code in (("xyz", 2, "bad_prefix"), ("0" * 64, 1, "no_evidence")):
        result = nexus("dag", "evidence", "send", identity, "--yes", "--json")
        assert (result.status, result.error["code"]) == (status, code)
    assert nexus("wallet", "account", "add", "Empty").status == 0
    result = nexus("dag", "evidence", "send", "-a", "Empty", "--yes", "--json")
    assert (result.status, result.error["code"]) == (1, "insufficient_funds")
    (proof,) = nexus("dag", "evidence", "list", "--json").document["evidence"]
    assert proof["status"] == "open"
