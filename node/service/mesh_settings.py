"""What the owner of a node may choose about the mesh. Apart from it, so that a node without links loads none of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MeshSettings:
    """What the owner may choose. `hosts` is where to listen, none for nowhere; `interfaces` those of discovery;
    `proxy` a SOCKS5 one that opened links go through; `relay` whether circuits are made for others.

    `phone`: the node is sparing, and sleeps between looks, `look_minutes` apart, where data is metered (`metered` is
    yes, no or auto). Links may carry `day_megabytes` a day, 0 for any number."""

    hosts: tuple[str, ...] = ("0.0.0.0", "::")
    port: int = 7_400
    outbound: int = 8
    inbound: int = 64
    discovery: bool = True
    proxy: str | None = None
    relay: bool = True
    phone: bool = False
    metered: str = "auto"
    look_minutes: int = 15
    day_megabytes: int = 0
    interfaces: tuple[str, ...] | None = None
