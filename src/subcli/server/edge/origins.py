"""Which web pages may use this server. Pure.

Browsers send the page's `Origin`, or at least how it is related to us (`Sec-Fetch-Site`); other programs send neither.
In demo mode anybody on this machine may submit code, which then runs here. Web pages must not: their scripts can reach
a loopback port, and with a domain that resolves to 127.0.0.1 (DNS rebinding) they could even read the responses. So in
demo mode `Host` must name this machine. A server with logins may have any name. In both modes a page must have the
server's own origin (another port of this machine is another origin), or be allowed explicitly.

Headers are parsed strictly: anything that browsers never send (a header given twice, a user name, a backslash, a path)
is refused, because two parsers may disagree about it.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterable
from typing import Final, NamedTuple, Protocol

from msgspec import Struct

_PORTS: Final = {"http": 80, "https": 443}
_MAX_PORT: Final = 65535

_HOST: Final = re.compile(r"(?P<name>[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?|\[[0-9a-f:.]{2,45}\])(?::(?P<port>[0-9]{1,5}))?")
"""RFC 3986, section 3.2.2, in lower case, without what no host name of ours contains, such as `%`."""

_READ: Final = (b"host", b"origin", b"sec-fetch-site", b"sec-fetch-mode", b"sec-fetch-dest")
_SITES: Final = frozenset({"", "same-origin", "same-site", "cross-site", "none"})

_TWICE: Final = "The header {} is given twice."
_MALFORMED: Final = "The header {} is malformed."
_WRONG_HOST: Final = "A demo server only answers to names of this machine, such as 127.0.0.1 or localhost."
_WRONG_ORIGIN: Final = "Web pages of this origin may not use this server; its operator can allow them (--allow-origin)."


class RefusedOriginError(Exception):
    """The request is refused. Carries the HTTP `status` and a sentence."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(status, detail)
        self.status = status
        self.detail = detail


class Host(NamedTuple):
    """A host name or address in lower case, without brackets, and a port; None for the scheme's default."""

    name: str
    port: int | None

    @property
    def is_this_machine(self) -> bool:
        """Whether it is a loopback name or address."""
        return self.name == "localhost" or self.name.endswith(".localhost") or is_loopback(self.name)


class Sender(Struct, frozen=True):
    """What a request says about the page that sent it.

    Attributes:
        host: the `Host` header; None if there is none.
        origin: the `Origin` header, normalized; empty if there is none.
        site: the page's relation to us according to the browser (`Sec-Fetch-Site`); empty if it does not say.
        navigates: whether the user follows a link to us, whose target the page cannot read.
    """

    host: Host | None
    origin: str
    site: str
    navigates: bool


def read_sender(method: str, headers: Iterable[tuple[bytes, bytes]]) -> Sender:
    """Read the headers of a request.

    Raises:
        RefusedOriginError: one of them is malformed or given twice (RFC 9112, section 3.2).
    """
    found: dict[bytes, str] = {}
    for name, value in headers:
        if name in _READ:
            if name in found:
                raise RefusedOriginError(400, _TWICE.format(name.decode()))
            found[name] = str(value, "latin-1")
    host_text, origin_text, site, mode, dest = (found.get(name, "") for name in _READ)
    host = parse_host(host_text)
    if host is None and host_text:
        raise RefusedOriginError(400, _MALFORMED.format("host"))
    origin = normalize_origin(origin_text)
    if origin_text and (origin is None or origin_text.endswith("/")):
        # Sandboxed frames and local files send `null`.
        raise RefusedOriginError(403, _WRONG_ORIGIN)
    if site not in _SITES:
        raise RefusedOriginError(400, _MALFORMED.format("sec-fetch-site"))
    navigates = method in ("GET", "HEAD") and mode == "navigate" and dest == "document" and not origin
    return Sender(host, origin or "", site, navigates)


class OriginRules(Protocol):
    """Decides which hosts and origins are allowed."""

    def check(self, sender: Sender) -> None:
        """Check who sent a request.

        Raises:
            RefusedOriginError: the host or the page is not allowed.
        """


class LoopbackOnly:
    """Demo mode: hosts on this machine, the pages of this server, and allowed origins."""

    def __init__(self, allowed: Collection[str] = ()) -> None:
        self._allowed = frozenset(allowed)

    def check(self, sender: Sender) -> None:
        if sender.host is None or not sender.host.is_this_machine:
            # RFC 9110, section 15.5.20: the request was sent to a server that does not answer for that host.
            raise RefusedOriginError(421, _WRONG_HOST)
        # Every port of this machine belongs to the same site.
        _check_page(sender, self._allowed, foreign_sites=("cross-site", "same-site"))


class SameOrigin:
    """Servers with logins: any host, the pages of this server, and allowed origins."""

    def __init__(self, allowed: Collection[str] = ()) -> None:
        self._allowed = frozenset(allowed)

    def check(self, sender: Sender) -> None:
        _check_page(sender, self._allowed, foreign_sites=("cross-site",))


def _check_page(sender: Sender, allowed: Collection[str], *, foreign_sites: Collection[str]) -> None:
    if sender.origin in allowed or sender.navigates:
        return
    if sender.site in foreign_sites or (sender.origin and not _is_own(sender.origin, sender.host)):
        raise RefusedOriginError(403, _WRONG_ORIGIN)


def counts_with_cookie(sender: Sender, *, is_read: bool, is_secure: bool) -> bool:
    """Whether a cookie, which browsers add by themselves, may speak for the user: a page of this server asks.

    A page with an allowed origin is not one of this server. Without `Origin` and `Sec-Fetch-Site`, only what reads
    counts: browsers send `Origin` with everything else.

    Args:
        sender: what the request says about the page.
        is_read: whether it changes nothing and only the server's own pages can read the response. Then a link that the
            user follows counts as well, and so does an address that the user types.
        is_secure: whether it came over TLS, as far as is known. A page that did not is another one then.
    """
    if sender.origin:
        return _is_own(sender.origin, sender.host) and (not is_secure or sender.origin.startswith("https:"))
    return sender.site == "same-origin" or (is_read and (sender.navigates or sender.site in ("", "none")))


def _is_own(origin: str, host: Host | None) -> bool:
    """Whether an origin, normalized, is that of a host.

    A proxy that terminates TLS keeps the `Host` but not the scheme, so the scheme only tells the default port.
    """
    scheme, _, rest = origin.partition("://")
    theirs = parse_host(rest)
    if host is None or theirs is None:
        return False
    default_port = _PORTS[scheme]
    return (theirs.name, theirs.port or default_port) == (host.name, host.port or default_port)


def parse_host(text: str) -> Host | None:
    """A `Host` header, parsed strictly; None if it is malformed."""
    match = _HOST.fullmatch(text.lower()) if text.isascii() else None
    if match is None:
        return None
    name, port = match["name"], match["port"]
    if port is not None and not 0 < int(port) <= _MAX_PORT:
        return None
    if name.startswith("["):
        try:
            name = str(ipaddress.IPv6Address(name[1:-1]))
        except ValueError:
            return None
    return Host(name, None if port is None else int(port))


def normalize_origin(text: str) -> str | None:
    """`text` as browsers send it in `Origin` (RFC 6454, section 6.2); None if it is not a valid origin.

    One slash at the end, as in a copied address, is left out.
    """
    scheme, separator, rest = text.removesuffix("/").partition("://")
    scheme = scheme.lower()
    host = parse_host(rest)
    if not separator or scheme not in _PORTS or host is None:
        return None
    name = f"[{host.name}]" if ":" in host.name else host.name
    return f"{scheme}://{name}" if host.port in (None, _PORTS[scheme]) else f"{scheme}://{name}:{host.port}"


def is_loopback(address: str) -> bool:
    """Whether `address` is a loopback IP address."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
