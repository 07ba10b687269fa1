"""Checks the addresses of a server before any library sees them: parsers disagree about odd ones."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

from subcli.core.errors import UsageError
from subcli.shared.secret import redact
from subcli.shared.urls import is_plain, server_identity


def server_url(text: str) -> str:
    """The URL of a server as :func:`~subcli.shared.urls.server_identity` has it; ``http://`` is added if missing.

    Raises:
        UsageError: it is not the address of a server.
    """
    url = with_scheme(text)
    try:
        parts = _split(url, ("http", "https"))
    except ValueError as fault:
        raise UsageError(
            f"{redact(text)!r} is not a valid server address: {fault}.",
            hint="For example: `--server https://judge.example`.",
        ) from None
    if parts.username or parts.password:
        raise UsageError("The server address contains a user name or password.", hint="Use `subcli auth login`.")
    if parts.query or parts.fragment:
        raise UsageError(f"The server address {text!r} has a part after `?` or `#`.", hint="Leave it out.")
    return server_identity(url)


def with_scheme(text: str) -> str:
    """``text`` with its scheme in lower case, and ``http://`` where it has none."""
    scheme, separator, rest = text.partition("://")
    return f"{scheme.lower()}://{rest}" if separator else f"http://{text}"


def derived_ws_url(server: str) -> str:
    """The default URL of a server's WebSocket half (contract, section 2)."""
    return f"ws{server.removeprefix('http')}/ws"


def checked_ws_url(url: str) -> str:
    """``url`` without a trailing slash.

    Raises:
        UsageError: it is not the address of a WebSocket.
    """
    try:
        parts = _split(url, ("ws", "wss"))
        if parts.username or parts.password:
            raise ValueError("it contains a user name or password")
        if parts.query or parts.fragment:
            raise ValueError("it has a part after `?` or `#`")
    except ValueError as fault:
        raise UsageError(
            f"{redact(url)!r} is not a valid WebSocket address: {fault}.",
            hint='For example: `ws_url = "wss://judge.example/ws"`.',
        ) from None
    return url.rstrip("/")


def checked_api_path(text: str) -> str:
    """``text`` with one leading slash and none at the end; empty for the root.

    Raises:
        UsageError: it is not a path.
    """
    path = text.strip("/")
    if not is_plain(path) or "?" in path or "#" in path:
        raise UsageError(f"`api_path` {text!r} is not a valid path.", hint='For example: `api_path = "/api"`.')
    return f"/{path}" if path else ""


def _split(url: str, schemes: tuple[str, str]) -> SplitResult:
    """The parts of an absolute URL with one of these schemes.

    Raises:
        ValueError: it is not one. Says which part is wrong, without repeating it: it may contain a password.
    """
    if not is_plain(url):
        raise ValueError("a space, a backslash or a character that cannot be printed is in it")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError("its host is not valid") from None
    if parts.scheme not in schemes:
        raise ValueError(f"it must begin with {schemes[0]}:// or {schemes[1]}://")
    if not parts.hostname or not _is_valid_host(parts.hostname):
        raise ValueError("its host is not valid")
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise ValueError("its port is not a number from 1 to 65535")
    return parts


def _is_valid_host(name: str) -> bool:
    """Whether the libraries can look the name up: they raise all sorts of errors for one that is not valid IDNA."""
    if name.isascii() and "xn--" not in name:
        return True
    import idna

    try:
        return bool(idna.encode(name))
    except UnicodeError:
        return False
