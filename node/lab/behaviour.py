"""What a node does of its own will. The honest one stands here; `node.lab.attacks` has the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from node.lab.flood import Item
    from node.lab.node import Node


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

    def relay(self, node: Node, item: Item) -> None:
        """The node accepted something that it did not know."""
        node.network.flood.forward(node.index, item)
