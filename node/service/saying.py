"""A message onto a link: its number, its encoded form, and the queue of its type."""

from __future__ import annotations

from node.mesh.link import Link
from node.mesh.protocol import forms
from node.mesh.protocol.limits import LIMITS
from node.mesh.protocol.messages import NUMBERS, AnyMessage


def say(link: Link, message: AnyMessage) -> bool:
    """Put a message into the link's queue; False where the peer takes too little and the queue is full."""
    return link.send(NUMBERS[type(message)], forms.encode(message), LIMITS[type(message)].queue)
