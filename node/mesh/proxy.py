"""Reaching nodes through a SOCKS5 proxy, such as Tor's (RFC 1928, RFC 1929).

Names are looked up by the proxy, never here: whoever uses one does not want the way there to know.
"""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

from node.api.errors import UsageError
from node.mesh.link import LinkError


def check_proxy(url: str) -> str:
    """`url` if it names a proxy: `socks5://[user:password@]host:port`. Raises UsageError."""
    try:
        parts = urlsplit(url)
        whole = parts.scheme == "socks5" and parts.hostname and parts.port and not parts.path.strip("/")
    except ValueError:
        whole = False
    if not whole or parts.query or parts.fragment:
        raise UsageError(
            "bad_proxy",
            "The proxy's address is not of the form socks5://HOST:PORT.",
            "Tor usually listens at socks5://127.0.0.1:9050.",
        )
    return url


async def dial_through(url: str, host: str, port: int, timeout_s: float) -> socket.socket:
    """A connection to `host` through the proxy. Raises LinkError."""
    from python_socks import ProxyConnectionError, ProxyError, ProxyTimeoutError
    from python_socks.async_.asyncio import Proxy

    proxy = urlsplit(url)
    try:
        return await Proxy.from_url(url, rdns=True).connect(host, port, timeout=timeout_s)
    except ProxyTimeoutError:
        raise LinkError("timeout", f"The proxy did not reach {host} port {port} in time.") from None
    except ProxyConnectionError as error:
        place = f"{proxy.hostname} port {proxy.port}"
        raise LinkError("proxy_down", f"The proxy at {place} does not answer: {error.strerror or error}.") from None
    except ProxyError as error:
        raise LinkError("unreachable", f"The proxy cannot reach {host} port {port}: {error}.") from None
