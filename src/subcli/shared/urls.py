"""Questions about URLs. Pure: nothing is resolved."""

from __future__ import annotations

import contextlib
import ipaddress
import re
from typing import Final
from urllib.parse import quote, unquote, urljoin, urlsplit

_DEFAULT_PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443}


def server_identity(url: str) -> str:
    """The canonical form of a server's address: two addresses with the same form are the same server.

    Scheme and host are in lower case, the host is in ASCII (IDNA) and an IPv6 address compressed, the scheme's default
    port and a slash at the end are left out. Anything else stays unchanged.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return url
    if not parts.hostname:
        return url
    host = normal_host(parts.hostname)
    netloc = f"[{host}]" if ":" in host else host
    if port is not None and port != _DEFAULT_PORTS.get(parts.scheme):
        netloc += f":{port}"
    user, at, _ = parts.netloc.rpartition("@")
    return parts._replace(netloc=user + at + netloc, path=parts.path.rstrip("/")).geturl()


def normal_host(host: str) -> str:
    """A host as :func:`server_identity` writes it; one that is not valid stays as it is."""
    address, zone = split_zone(host)
    with contextlib.suppress(ValueError):
        return str(ipaddress.ip_address(address)) + (f"%25{quote(zone, safe='')}" if zone else "")
    host = host.lower()
    if host.isascii():
        return host
    import idna

    with contextlib.suppress(UnicodeError):
        return idna.encode(host, uts46=True).decode("ascii")
    return host


def split_zone(host: str) -> tuple[str, str]:
    """The host of a URL without its IPv6 zone, and the zone, such as ``eth0``; empty if it has none.

    A URL writes the zone after ``%25`` (RFC 6874); ``%`` alone, as everywhere else, is understood too.
    """
    address, _, zone = host.partition("%")
    if not zone or ":" not in address:
        return host, ""
    return address, unquote(zone[2:] if zone.startswith("25") and zone != "25" else zone)


def dialled_host(host: str) -> str:
    """The host of a URL as the system's resolver wants it: with its IPv6 zone after ``%``."""
    address, zone = split_zone(host)
    return f"{address}%{zone}" if zone else address


def without_zone(url: str) -> str:
    """``url`` as it is sent: an IPv6 zone means nothing on another machine (RFC 6874 section 4)."""
    parts = urlsplit(url)
    return parts._replace(netloc=re.sub(r"%[^]]*\]", "]", parts.netloc)).geturl()


def same_origin(one: str, other: str) -> bool:
    """Whether two URLs share scheme, host and port (RFC 6454 section 5). ``ws`` counts as ``http``."""

    def origin(url: str) -> tuple[str, str | None, int | None]:
        parts = urlsplit(url)
        scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
        return scheme, normal_host(parts.hostname or ""), parts.port or _DEFAULT_PORTS.get(scheme)

    try:
        return origin(one) == origin(other)
    except ValueError:
        return False


def is_plain(text: str) -> bool:
    """Whether ``text`` has no whitespace, control characters or backslashes, on which URL parsers disagree."""
    return text.isprintable() and not any(char.isspace() for char in text) and "\\" not in text


def redirect_target(url: str, location: str) -> str | None:
    """The target of a redirect; ``None`` if it is another origin, or not a valid URL.

    A token is never sent elsewhere (contract, section 7), and a user name in the URL would replace it.
    """
    try:
        target = urljoin(url, location)
        parts = urlsplit(target)
        if parts.username is not None:
            return None
        if same_origin(without_zone(url), target):
            # The server was not told the zone.
            target = parts._replace(netloc=urlsplit(url).netloc).geturl()
        return target if same_origin(url, target) else None
    except ValueError:
        return None


def is_loopback(host: str | None) -> bool:
    """Whether ``host`` is this machine, which is never reached through a proxy."""
    host = split_zone(host or "")[0]
    return host in ("localhost", "::1") or re.fullmatch(r"127(\.\d{1,3}){3}", host) is not None
