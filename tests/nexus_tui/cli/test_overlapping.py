"""Commands that pay from one account at the same time: each payment is made, none twice."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

PAYMENTS = 5


def test_payments_at_the_same_time_are_all_made(process: Callable[..., Any], savings: str) -> None:
    assert process("node", "start", "--json").status == 0
    try:
        command = [sys.executable, "-m", "nexus_tui", "wallet", "send", savings, "1", "--yes", "--json"]
        running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(PAYMENTS)]
        answers = [child.communicate(timeout=240)[0] for child in running]
        assert [child.returncode for child in running] == [0] * PAYMENTS, answers
        account = process("wallet", "balance", "-a", "Savings", "--json").document["accounts"][0]
        assert account["balance"]["nxt"] == str(PAYMENTS)
        history = process("wallet", "history", "-a", "Main", "--json").document
        assert len({row["txid"] for row in history["transactions"]}) == PAYMENTS
    finally:
        process("node", "stop")
