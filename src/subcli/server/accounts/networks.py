"""The networks that an address belongs to; limits count networks. Pure."""

from __future__ import annotations

import ipaddress
from typing import Final

_UNKNOWN: Final = "unknown"
_HOST_BITS: Final = 64
_SITE_BITS: Final = 56


def network_of(address: str) -> str:
    """An IPv4 address, or an IPv6 /64: whoever has one address of it can use them all.

    All invalid addresses count as one network: a Unix socket has none, and a proxy may forward anything that a client
    wrote into `X-Forwarded-For`.
    """
    parsed = _parse(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((int(parsed), _HOST_BITS), strict=False))
    return str(parsed or _UNKNOWN)


def site_of(address: str) -> str | None:
    """The IPv6 /56, which providers assign to one customer (RFC 6177); None for other addresses."""
    parsed = _parse(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((int(parsed), _SITE_BITS), strict=False))
    return None


def _parse(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        return parsed.ipv4_mapped
    return parsed
