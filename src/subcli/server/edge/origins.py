"""Which web pages may use this server. Pure.

Browsers send the page's `Origin`; other programs send none. In demo mode anybody on this machine may submit
code, which then runs here. Web pages must not: their scripts can reach a loopback port, and with a domain
that resolves to 127.0.0.1 (DNS rebinding) they could even read the responses. So in demo mode both `Host` and
`Origin` must name this machine. A server with logins has whatever names its operator gives it, and a page
must be its own or allowed explicitly.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from typing import Final, Protocol
from urllib.parse import urlsplit

_PORTS: Final = {"http": 80, "https": 443}

_WRONG_HOST: Final = "A demo server only answers to names of this machine, such as 127.0.0.1 or localhost."
_WRONG_ORIGIN: Final = "Web pages of this origin may not use this server; its operator can allow them (--allow-origin)."


class RefusedOriginError(Exception):
    """The request is refused. Carries the HTTP `status` and a sentence."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(status, detail)
        self.status = status
        self.detail = detail


class OriginRules(Protocol):
    """Decides which hosts and origins are allowed."""

    def check(self, host: str, origin: str) -> None:
        """Check a request's headers.

        Args:
            host: the `Host` header; empty if there is none.
            origin: the `Origin` header; empty if there is none.

        Raises:
            RefusedOriginError: the host or the origin is not allowed.
        """


class LoopbackOnly:
    """Demo mode: hosts and origins on this machine, and allowed origins."""

    def __init__(self, allowed: Collection[str] = ()) -> None:
        self._allowed = frozenset(allowed)

    def check(self, host: str, origin: str) -> None:
        if not is_loopback_name(f"//{host}"):
            # RFC 9110, section 15.5.20: the request was sent to a server that does not answer for that host.
            raise RefusedOriginError(421, _WRONG_HOST)
        if origin and origin not in self._allowed and not is_loopback_name(origin):
            raise RefusedOriginError(403, _WRONG_ORIGIN)


class SameOrigin:
    """Servers with logins: any host, origins at that host, and allowed origins.

    A proxy that terminates TLS keeps the `Host` but not the scheme, so only hosts and ports are compared.
    """

    def __init__(self, allowed: Collection[str] = ()) -> None:
        self._allowed = frozenset(allowed)

    def check(self, host: str, origin: str) -> None:
        if origin and origin not in self._allowed and not _is_same_host(origin, host):
            raise RefusedOriginError(403, _WRONG_ORIGIN)


def normalize_origin(text: str) -> str | None:
    """`text` as browsers send it in `Origin` (RFC 6454, section 6.2); None if it is not a valid origin."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return None
    default_port = _PORTS.get(parts.scheme)
    rest = parts.path.rstrip("/") or parts.query or parts.fragment or parts.username
    if default_port is None or rest or not parts.hostname or not text.isascii() or not text.isprintable():
        return None
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{name}" if port in (None, default_port) else f"{parts.scheme}://{name}:{port}"


def _is_same_host(origin: str, host: str) -> bool:
    try:
        ours, theirs = urlsplit(f"//{host}"), urlsplit(origin)
        default_port = _PORTS.get(theirs.scheme)
        return (
            default_port is not None
            and bool(theirs.hostname)
            and (theirs.hostname, theirs.port or default_port) == (ours.hostname, ours.port or default_port)
        )
    except ValueError:
        return False


def is_loopback_name(url: str) -> bool:
    """Whether the host of `url` is a loopback name or address."""
    try:
        name = urlsplit(url).hostname or ""
    except ValueError:
        return False
    return is_loopback(name) or name == "localhost" or name.endswith(".localhost")


def is_loopback(address: str) -> bool:
    """Whether `address` is a loopback IP address."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
