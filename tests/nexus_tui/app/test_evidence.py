"""Offences in the app: told on Home, listed, confirmed with who loses what, and sent."""

from __future__ import annotations

from typing import Any

import pytest

from node.api.records import Alert, Event
from node.ledger.types import EVIDENCE
from tests.nexus_tui.app.conftest import PASSPHRASE, proof

STOOD = Alert("finality_still", "warning", "Nothing has become final since checkpoint 7 (block 140).", "Wait.", 0)
SEEN = Alert("offence", "warning", "The validator tnxt1x broke the rules.", "nexus dag evidence send", 0, "tnxt1x")


def said(app: Any) -> str:
    return " ".join(str(line.shown) for line in app.screen.query("Line"))


def footer(app: Any) -> list[str]:
    from nexus_tui.widgets.rows import KeyBar

    return [item.command for item, _, _ in app.screen.query_one(KeyBar).placed()]


async def dialog(pilot: Any, until: Any, name: str) -> None:
    await until(pilot, lambda: type(pilot.app.screen).__name__ == name)
    await pilot.pause(0.05)


@pytest.mark.parametrize("size", [(45, 30), (140, 45)], ids=["phone", "wide"])
async def test_home_names_what_answers_an_alert(world: Any, until: Any, size: tuple[int, int]) -> None:
    app = world.app()
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app.view.read)
        assert "dag.evidence" not in footer(app)
        world.node.alerts = (SEEN, STOOD)
        world.node.tell(Event("alert", alert=SEEN))
        await until(pilot, lambda: "broke the rules" in said(app))
        for words in ("Here: o.", "Here: v.", "Since 1970"):
            assert words in said(app), words
        await until(pilot, lambda: {"dag.evidence", "dag.finality"} & set(footer(app)))
        world.node.alerts = ()
        world.node.tell(Event("alert", text="offence"))
        await until(pilot, lambda: "broke the rules" not in said(app))
        assert app.screen.query_one("#alerts").has_class("hidden")


@pytest.mark.parametrize("size", [(45, 30), (140, 45)], ids=["phone", "wide"])
async def test_a_proof_is_chosen_confirmed_and_sent(world: Any, until: Any, size: tuple[int, int]) -> None:
    world.node.proofs = (proof(2, "punished"), proof(1))
    app = world.app()
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app.view.read)
        await pilot.press("o")
        await dialog(pilot, until, "EvidenceDialog")
        await until(pilot, lambda: app.screen.query_one("#proofs").option_count == 2)
        await pilot.press("enter")
        await pilot.pause()
        assert type(app.screen).__name__ == "EvidenceDialog", "what is punished cannot be sent again"
        await pilot.press("down", "enter")
        await dialog(pilot, until, "ConfirmEvidence")
        rows = " ".join(str(box.shown) for box in app.screen.query("Facts"))
        for words in ("made two blocks for slot 5001", "50 NXT", "1000 NXT", "Main", "0.00001 NXT, given back"):
            assert words in " ".join(rows.split()), (words, rows)
        assert "excluded from validating for good" in said(app)
        await pilot.press("enter")
        await pilot.pause()
        assert not world.node.submitted, "Enter cancels"
        await pilot.press("o")
        await dialog(pilot, until, "EvidenceDialog")
        await until(pilot, lambda: app.screen.query_one("#proofs").option_count == 2)
        await pilot.press("down", "enter")
        await dialog(pilot, until, "ConfirmEvidence")
        await pilot.click("#yes")
        await dialog(pilot, until, "UnlockDialog")
        await pilot.press(*PASSPHRASE, "enter")
        await until(pilot, lambda: world.node.submitted, 20.0)
        (sent,) = world.node.submitted
        assert (sent.body.kind, sent.body.payload) == (EVIDENCE, (1, proof(1).proof))


async def test_ones_own_validator_is_warned_of(world: Any, until: Any) -> None:
    world.node.proofs = (proof(1, own=True),)
    app = world.app()
    async with app.run_test(size=(45, 30)) as pilot:
        await until(pilot, lambda: app.view.read)
        await pilot.press("6", "o")
        await dialog(pilot, until, "EvidenceDialog")
        await until(pilot, lambda: app.screen.query_one("#proofs").option_count == 1)
        await pilot.click("#send")
        await dialog(pilot, until, "ConfirmEvidence")
        assert "validator of this very node" in said(app)


async def test_without_offences_it_says_so(world: Any, until: Any) -> None:
    app = world.app()
    async with app.run_test(size=(45, 30)) as pilot:
        await until(pilot, lambda: app.view.read)
        await pilot.press("o")
        await dialog(pilot, until, "EvidenceDialog")
        assert "has seen no offence" in said(app)
        assert not app.screen.query("#send")
        await pilot.press("enter")
        await until(pilot, lambda: app.screen.place == "home")
