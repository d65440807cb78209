"""The load: payments of funded accounts, each submitted at the node where its payer lives."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from node.lab.agenda import Agenda
from node.lab.people import Person
from node.lab.scenario import Scenario
from node.ledger.types import SignedTransaction

_LARGEST = 1_000_000  # units: nobody runs out within any simulation


class Load:
    """Submits `scenario.payments_per_s`, at moments drawn evenly, until the end or a quiet time."""

    def __init__(
        self,
        scenario: Scenario,
        genesis: bytes,
        payers: Sequence[Person],
        agenda: Agenda,
        submit: Callable[[int, SignedTransaction], None],
    ) -> None:
        self._random = scenario.random("load")
        self._scenario = scenario
        self._genesis = genesis
        self._payers = payers
        self._agenda = agenda
        self._submit = submit
        self._homes = [self._random.randrange(scenario.nodes) for _ in payers]
        self._nonces = [0] * len(payers)
        if scenario.payments_per_s:
            agenda.at(0, self._second)

    def _second(self) -> None:
        """Draw the next second's payments."""
        agenda, quiet = self._agenda, self._scenario.quiet
        now = agenda.now // 1000
        if quiet is None or not quiet[0] <= now < quiet[1]:
            for _ in range(self._scenario.payments_per_s):
                agenda.after(self._random.randrange(1000), self._pay)
        agenda.after(1000, self._second)

    def _pay(self) -> None:
        random, payers = self._random, self._payers
        payer, recipient = random.sample(range(len(payers)), 2)
        nonce = self._nonces[payer]
        self._nonces[payer] = nonce + 1
        units = random.randrange(1, _LARGEST)
        self._submit(self._homes[payer], payers[payer].pay(self._genesis, nonce, payers[recipient].address, units))
