"""Whose web pages may talk to this server. Pure.

A browser says in `Origin` which page asks; other programs send none. In demo mode anybody on this machine
may hand in code that then runs here. A web page must not: its scripts can reach a loopback port, and with a
name of its own that resolves to 127.0.0.1 (DNS rebinding) it would even read the answers. So there the
`Host` must be a name of this machine, and an `Origin` too. Where logins are wanted, the server has whatever
names its operator gives it, and a page must be its own or listed.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from typing import Final, Protocol
from urllib.parse import urlsplit

_PORTS: Final = {"http": 80, "https": 443}

_STRANGER: Final = "A demo server answers only to names of this machine, such as 127.0.0.1 or localhost."
_FOREIGN: Final = "Web pages of this origin may not use this server; its operator can allow them (--allow-origin)."


class RefusedOriginError(Exception):
    """The request is not answered. Carries the HTTP `status` and a sentence."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(status, detail)
        self.status = status
        self.detail = detail


class OriginRules(Protocol):
    """Which hosts and origins are answered."""

    def check(self, host: str, origin: str) -> None:
        """
        Args:
            host: the header `Host`; empty if there is none.
            origin: the header `Origin`; empty if there is none.

        Raises:
            RefusedOriginError: not to be answered.
        """


class ThisMachine:
    """Names and pages of this machine, and the pages allowed."""

    def __init__(self, allowed: Collection[str] = ()) -> None:
        self._allowed = frozenset(allowed)

    def check(self, host: str, origin: str) -> None:
        if not is_loopback_name(f"//{host}"):
            # RFC 9110, section 15.5.20: the request was sent to a server that does not answer for that host.
            raise RefusedOriginError(421, _STRANGER)
        if origin and origin not in self._allowed and not is_loopback_name(origin):
            raise RefusedOriginError(403, _FOREIGN)


class OwnPages:
    """Any host; the pages of that host, and the pages allowed.

    Whoever ends TLS before us keeps the `Host` but not the scheme; so hosts and ports are compared.
    """

    def __init__(self, allowed: Collection[str] = ()) -> None:
        self._allowed = frozenset(allowed)

    def check(self, host: str, origin: str) -> None:
        if origin and origin not in self._allowed and not _is_at(origin, host):
            raise RefusedOriginError(403, _FOREIGN)


def normal_origin(text: str) -> str | None:
    """`text` as browsers write it in `Origin` (RFC 6454, section 6.2); None if it is no origin."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return None
    known = _PORTS.get(parts.scheme)
    rest = parts.path.rstrip("/") or parts.query or parts.fragment or parts.username
    if known is None or rest or not parts.hostname or not text.isascii() or not text.isprintable():
        return None
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{name}" if port in (None, known) else f"{parts.scheme}://{name}:{port}"


def _is_at(origin: str, host: str) -> bool:
    try:
        ours, theirs = urlsplit(f"//{host}"), urlsplit(origin)
        usual = _PORTS.get(theirs.scheme)
        return (
            usual is not None
            and bool(theirs.hostname)
            and (theirs.hostname, theirs.port or usual) == (ours.hostname, ours.port or usual)
        )
    except ValueError:
        return False


def is_loopback_name(url: str) -> bool:
    """Whether the host of `url` is a name or an address of this machine's loopback."""
    try:
        name = urlsplit(url).hostname or ""
    except ValueError:
        return False
    return is_loopback(name) or name == "localhost" or name.endswith(".localhost")


def is_loopback(address: str) -> bool:
    """Whether it is an IP address of this machine's loopback."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
