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
    parts = _split(url, ("http", "https"))
    if parts is None or not _is_valid_host(parts.hostname or ""):
        raise UsageError(
            f"{redact(text)!r} is not a valid server address.", hint="For example: `--server https://judge.example`."
        )
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
    """Where a server has its WebSocket half unless a setting says otherwise (contract, section 2)."""
    return f"ws{server.removeprefix('http')}/ws"


def checked_ws_url(url: str) -> str:
    """``url`` without a trailing slash.

    Raises:
        UsageError: it is not the address of a WebSocket.
    """
    parts = _split(url, ("ws", "wss"))
    if parts is None or parts.username or parts.password or parts.query or parts.fragment:
        raise UsageError(
            f"{redact(url)!r} is not a valid WebSocket address.",
            hint='For example: `ws_url = "wss://judge.example/ws"`.',
        )
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


def _split(url: str, schemes: tuple[str, ...]) -> SplitResult | None:
    """The parts of an absolute URL with one of these schemes; ``None`` if it is not one."""
    try:
        parts = urlsplit(url)
        valid = is_plain(url) and parts.scheme in schemes and parts.hostname and parts.port != 0
    except ValueError:
        return None
    return parts if valid else None


def _is_valid_host(name: str) -> bool:
    """Whether the libraries can look the name up: they raise all sorts of errors for one that is not valid IDNA."""
    if name.isascii() and "xn--" not in name:
        return True
    import idna

    try:
        return bool(idna.encode(name))
    except UnicodeError:
        return False
