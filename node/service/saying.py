"""A message onto a link: its number, its encoded form, and the queue of its type."""

from __future__ import annotations

from node.mesh.link import Link
from node.mesh.protocol import forms
from node.mesh.protocol.limits import LIMITS
from node.mesh.protocol.messages import NUMBERS, AnyMessage


def say(link: Link, message: AnyMessage) -> bool:
    """Let a message wait for its turn on a link; whether it was taken, as of `Link.send`."""
    return link.send(NUMBERS[type(message)], forms.encode(message), LIMITS[type(message)].queue)
