"""What the owner of a node may choose about the mesh. Apart from it, so that a node without links loads none of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MeshSettings:
    """What the owner may choose. `hosts` is where to listen, none for nowhere; `interfaces` those of discovery;
    `proxy` a SOCKS5 one that opened links go through; `relay` whether circuits are made for others."""

    hosts: tuple[str, ...] = ("0.0.0.0", "::")
    port: int = 7_400
    outbound: int = 8
    inbound: int = 64
    discovery: bool = True
    proxy: str | None = None
    relay: bool = True
    interfaces: tuple[str, ...] | None = None
