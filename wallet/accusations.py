"""Evidence before it is signed: what it costs whom (protocol sections 1, 5 and 6).

Anyone may send the proof of an offence, from any account. It is free if it counts; who comes second with it, or too
late, pays the fee of any transaction.
"""

from __future__ import annotations

from dataclasses import dataclass

from node.api.errors import Refused
from node.api.interface import NodeApi
from node.api.records import EvidenceView
from node.encoding.amounts import exact_amount
from node.ledger.quotes import static_fee
from node.ledger.types import EVIDENCE, Transaction
from wallet.keystore import Account
from wallet.payments import Sender, expiry_of, sender_key

_SETTLED = {
    "punished": "The validator was punished for an offence already: nothing more can be taken from it.",
    "too_old": "The offence is too old, or too little of the chain around it is left: the proof counts no more.",
}


@dataclass(frozen=True, slots=True)
class EvidencePlan:
    """Evidence to confirm. `fee` units leave the account until the proof has counted; `remaining` is what is left."""

    transaction: Transaction
    evidence: EvidenceView
    fee: int
    remaining: int

    @property
    def amount(self) -> int:
        """Evidence pays nobody."""
        return 0

    @property
    def total(self) -> int:
        """What leaves the account if the proof does not count."""
        return self.fee


async def prepare_evidence(api: NodeApi, account: Account, evidence: EvidenceView) -> EvidencePlan:
    """Ask the node for what the plan needs and make it.

    Raises `Refused` for a proof that costs nobody anything any more (evidence_punished, evidence_too_old), for an
    account without the fee (insufficient_funds), and for one whose key nobody knows (no_public_key).
    """
    if evidence.status != "open":
        raise Refused(f"evidence_{evidence.status}", f"{_SETTLED[evidence.status]} Nothing was sent.")
    info, status = await api.network(), await api.status()
    sender = Sender(await api.account(account.address), await sender_key(api, account), status.current_slot)
    payload = (evidence.kind, evidence.proof)
    head = (info.genesis, EVIDENCE, sender.scheme, sender.public_key, sender.view.next_nonce)
    transaction = Transaction(*head, expiry_of(info, sender), 0, payload)
    fee = static_fee(info, transaction)
    if sender.view.spendable < fee:
        raise Refused(
            "insufficient_funds",
            f"Evidence takes {exact_amount(fee)} NXT until it has counted; the account can spend "
            f"{exact_amount(sender.view.spendable)} NXT. Nothing was sent.",
            hint="Send it from another account: --account NAME.",
        )
    return EvidencePlan(transaction, evidence, fee, sender.view.spendable - fee)
