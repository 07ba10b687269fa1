"""What a URL says about where it leads. Pure: nothing is looked up."""

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
    """No spaces, control characters or broken letters: parsers of addresses disagree on what they do with them."""
    return text.isprintable() and not any(char.isspace() for char in text) and "\\" not in text


def redirect_target(url: str, location: str) -> str | None:
    """Where a redirect leads; ``None`` where that is another origin, or no address at all.

    A token is never sent elsewhere (contract, section 7), and a user name in the address would replace it.
    """
    try:
        target = urljoin(url, location)
        stays = same_origin(url, target) and urlsplit(target).username is None
    except ValueError:
        return None
    return target if stays else None


def is_loopback(host: str | None) -> bool:
    """Whether ``host`` is this machine: no proxy is asked for it."""
    return host is not None and (host in ("localhost", "::1") or re.fullmatch(r"127(\.\d{1,3}){3}", host) is not None)
