"""Questions about URLs. Pure: nothing is resolved."""

from __future__ import annotations

import re
from urllib.parse import urljoin, urlsplit


def same_origin(one: str, other: str) -> bool:
    """Whether two URLs share scheme, host and port (RFC 6454 section 5). ``ws`` counts as ``http``."""

    def origin(url: str) -> tuple[str, str | None, int | None]:
        parts = urlsplit(url)
        scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
        return scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(scheme)

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
        stays = same_origin(url, target) and urlsplit(target).username is None
    except ValueError:
        return None
    return target if stays else None


def is_loopback(host: str | None) -> bool:
    """Whether ``host`` is this machine, which is never reached through a proxy."""
    return host is not None and (host in ("localhost", "::1") or re.fullmatch(r"127(\.\d{1,3}){3}", host) is not None)
