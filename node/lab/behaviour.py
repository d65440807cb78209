"""What a node does of its own will. The honest one stands here; `node.lab.attacks` has the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from node.consensus.dagblocks import Progress
    from node.lab.node import Node
    from node.lab.wires import Link
    from node.ledger.types import SignedTransaction
    from node.mesh.protocol.messages import AnyMessage


class Behaviour:
    """An honest node."""

    def lead(self, node: Node, slot: int, seat: int) -> None:
        """The node's validator leads a seat of the slot that begins."""
        del seat
        if node.wants_block(slot):
            node.publish(node.make_block(slot))

    def vote(self, node: Node) -> None:
        """Something new is known: perhaps a checkpoint can be voted for."""
        node.cast_vote()

    def tell(self, node: Node, progress: Progress) -> None:
        """The node accepted blocks and votes that it did not know."""
        node.talk.tell(progress)

    def tell_transaction(self, node: Node, transaction: SignedTransaction) -> None:
        """A transaction that it did not know waits in the node."""
        node.talk.tell_transaction(transaction)

    def hear(self, node: Node, link: Link, message: AnyMessage) -> None:
        """A message came."""
        node.talk.take(link, message)

    def give(self, node: Node, peer: int, names: tuple[bytes, ...]) -> None:
        """A peer, by the number of its link, asks for blocks."""
        node.talk.give(peer, names)

    def lets(self, node: Node, link: Link, message: AnyMessage) -> bool:
        """Whether a message that the machine wants to send may go."""
        del node, link, message
        return True
