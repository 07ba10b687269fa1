"""Decides once, for REST and the WebSocket alike, which proxy leads to a server.

The libraries each read the environment in their own way: one refuses every command because of a ``NO_PROXY`` that it
cannot parse, the other prefers a different variable. So neither may read it. The rules are curl's:

- ``HTTP_PROXY`` is for ``http`` and ``ws``, ``HTTPS_PROXY`` for ``https`` and ``wss``, ``ALL_PROXY`` for both.
  Lower case wins over upper case, and an empty variable means no proxy.
- A proxy without a scheme is an ``http`` one. ``socks`` proxies are refused by name.
- ``NO_PROXY`` has names (their subdomains count), addresses, networks, ``*`` anywhere in a name, and ports, separated
  by commas or spaces. An unreadable entry is ignored, and `subcli doctor` says so. A blank variable exempts nothing, so
  the other spelling counts.
- This machine is never reached through a proxy.
"""

from __future__ import annotations

import fnmatch
import ipaddress
import re
import sys
from collections.abc import Mapping
from typing import Final, TypeAlias
from urllib.parse import SplitResult, quote, unquote, urlsplit

import msgspec

from subcli.shared.secret import Secret
from subcli.shared.urls import is_loopback, split_zone

SYSTEM: Final = "the system's settings"
_SCHEMES: Final = {"http": "http", "ws": "http", "https": "https", "wss": "https"}
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


class Proxy(msgspec.Struct, frozen=True, kw_only=True):
    """How one server is reached.

    Attributes:
        url: of the proxy, with its credentials, in the form that all libraries read alike; ``None``: directly.
        address: its host and port, for messages.
        origin: the variable that names it.
        host: of the server.
        why: the decision in words, without secrets.
        problem: why the proxy cannot be used; empty if it can.
    """

    url: Secret | None = None
    address: str = ""
    origin: str = ""
    host: str = ""
    why: str = "no proxy is set"
    problem: str = ""

    def __str__(self) -> str:
        return f"the proxy {self.address} (from {self.origin})"

    @property
    def hint(self) -> str:
        """What to do if it does not work."""
        return f"Check {self.origin}, or name {self.host} in NO_PROXY."


DIRECT: Final = Proxy()


class _Exemption(msgspec.Struct, frozen=True):
    """One entry of ``NO_PROXY``. ``name`` may contain ``*``; ``port`` is ``None`` for every port."""

    text: str
    name: str = ""
    network: Network | None = None
    port: int | None = None

    def covers(self, host: str, port: int) -> bool:
        if self.port not in (None, port):
            return False
        address = _address(host)
        if self.network is not None:
            return address is not None and address in self.network
        if "*" in self.name:
            return fnmatch.fnmatchcase(host, self.name)
        return host == self.name or (address is None and host.endswith(f".{self.name}"))


class ProxySettings(msgspec.Struct, frozen=True):
    """The proxy variables of the environment.

    Attributes:
        variables: the value and the name of each, by ``http``, ``https`` and ``all``.
        exemptions: the entries of ``NO_PROXY``.
        ignored: the entries that cannot be read.
    """

    variables: Mapping[str, tuple[str, str]] = {}
    exemptions: tuple[_Exemption, ...] = ()
    ignored: tuple[str, ...] = ()

    def decide(self, url: str) -> Proxy:
        """How to reach ``url``, the address of a server or of its WebSocket half."""
        parts = urlsplit(url)
        scheme, host = _SCHEMES[parts.scheme], parts.hostname or ""
        port = parts.port or _DEFAULT_PORTS[scheme]
        value, origin = self.variables.get(scheme) or self.variables.get("all") or ("", "")
        if not origin:
            return Proxy(host=host)
        if not value:
            return Proxy(host=host, why=f"{origin} is empty")
        if is_loopback(host):
            return Proxy(host=host, why="this machine is reached directly")
        if split_zone(host)[1]:
            return Proxy(host=host, why=f"no proxy knows the zone of {host}")
        plain = _plain_host(host)
        exempt = next((entry.text for entry in self.exemptions if entry.covers(plain, port)), None)
        if exempt is not None or (origin == SYSTEM and _system_bypasses(host)):
            entry = f"{exempt!r} in NO_PROXY" if exempt is not None else SYSTEM
            return Proxy(host=host, why=f"{host} is exempt from {origin} by {entry}")
        return _read_proxy(value, origin, host)


def read_proxies(env: Mapping[str, str]) -> ProxySettings:
    """The proxy settings in the environment, and those of the system where it has any of its own."""
    variables: dict[str, tuple[str, str]] = {}
    for scheme in ("http", "https", "all"):
        lower = f"{scheme}_proxy"
        # A web server hands its clients' `Proxy` header to a CGI program as HTTP_PROXY (CVE-2016-5385).
        upper = [] if scheme == "http" and "REQUEST_METHOD" in env else [lower.upper()]
        name = next((name for name in (lower, *upper) if name in env), None)
        if name is not None:
            variables[scheme] = (env[name].strip(), name)
    exemptions, ignored = [], []
    for text in re.split(r"[\s,;]+", env.get("no_proxy", "").strip() or env.get("NO_PROXY", "")):
        entry = _read_exemption(text) if text else None
        if entry is not None:
            exemptions.append(entry)
        elif text:
            ignored.append(text)
    if not variables and sys.platform in ("darwin", "win32"):
        variables = _system_proxies()
    return ProxySettings(variables, tuple(exemptions), tuple(ignored))


def _system_proxies() -> dict[str, tuple[str, str]]:
    from urllib.request import getproxies

    return {scheme: (value, SYSTEM) for scheme, value in getproxies().items() if scheme in _DEFAULT_PORTS}


def _system_bypasses(host: str) -> bool:
    from urllib.request import proxy_bypass

    return bool(proxy_bypass(host))


def _read_proxy(value: str, origin: str, host: str) -> Proxy:
    """The proxy that a variable names; its password may not appear in a message."""
    text = value if "://" in value else f"http://{value}"
    scheme = text.partition("://")[0].lower()
    unreadable = Proxy(
        origin=origin,
        host=host,
        why=f"from {origin}",
        problem=f"{origin} is not a valid proxy address; a special character in its password is written as %XX",
    )
    try:
        parts = urlsplit(text)
        if not _has_valid_port(parts) and "@" in (parts.netloc if "@" in text else "@"):
            problem = f"{origin} is not a valid proxy address: its port is not a number from 1 to 65535"
            return msgspec.structs.replace(unreadable, problem=problem)
        name, port = parts.hostname, parts.port
        if not name or not text.isprintable() or " " in text:
            return unreadable
        shown = f"[{name}]" if ":" in name else name.encode("idna").decode()
        user = f"{_quoted(parts.username)}:{_quoted(parts.password)}@" if parts.username or parts.password else ""
    except (ValueError, UnicodeError):
        return unreadable
    address = f"{shown}:{port}" if port else shown
    if scheme not in _DEFAULT_PORTS:
        kind = "SOCKS proxies are" if scheme.startswith("socks") else f"{scheme} is"
        problem = f"{origin} names {scheme}://{address}, but {kind} not supported, only http and https proxies"
        return Proxy(address=address, origin=origin, host=host, why=f"from {origin}", problem=problem)
    address = f"{shown}:{port or _DEFAULT_PORTS[scheme]}"
    url = Secret(f"{scheme}://{user}{address}")
    return Proxy(url=url, address=address, origin=origin, host=host, why=f"through {address}, from {origin}")


def _has_valid_port(parts: SplitResult) -> bool:
    try:
        return parts.port != 0
    except ValueError:
        return False


def _quoted(text: str | None) -> str:
    return quote(unquote(text or "", errors="strict"), safe="")


def _read_exemption(text: str) -> _Exemption | None:
    """One entry of ``NO_PROXY``; ``None`` if it cannot be read."""
    rest = text.lower().rpartition("://")[2]
    network = _network(rest)
    if network is not None:
        return _Exemption(text, network=network)
    match = re.fullmatch(r"(\[[^\]]+\]|[^:/\[\]]+)(?::(\d{1,5}))?", rest)
    if match is None:
        return None
    name, port = match[1], int(match[2]) if match[2] else None
    network = _network(name)
    if network is not None:
        return _Exemption(text, network=network, port=port)
    name = _plain_host(name.removeprefix("*.").lstrip(".") if name != "*" else name)
    if not re.fullmatch(r"[a-z0-9_*.-]+", name):
        return None
    return _Exemption(text, name, port=port)


def _network(text: str) -> Network | None:
    """An address, with or without brackets, or a network."""
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1]
    try:
        return ipaddress.ip_network(text.partition("%")[0], strict=False)
    except ValueError:
        return None


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _plain_host(host: str) -> str:
    """A host's name in lower case, in ASCII and without the dot of the root."""
    host = host.lower().rstrip(".")
    try:
        return host if host.isascii() else host.encode("idna").decode()
    except UnicodeError:
        return host
