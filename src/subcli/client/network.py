"""What REST and WebSocket have in common: failures to reach a server, in words, and what an error response says."""

from __future__ import annotations

import os
import re
import ssl
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

from subcli import __version__
from subcli.client.trust import trust_origin
from subcli.core.errors import NetworkError, proxy_credentials, sentence
from subcli.core.inputs import Blocked
from subcli.settings.proxies import Proxy
from subcli.shared.secret import redact
from subcli.shared.urls import is_plain

MAX_LOCATION_LENGTH: Final = 200
USER_AGENT: Final = f"subcli/{__version__}"
"""For REST and the WebSocket alike."""


def proxy_requires_credentials(proxy: Proxy) -> Blocked:
    """HTTP 407. Only the proxy's address is shown, since its URL may contain a password."""
    if proxy.url is None:
        # A proxy that nobody configured.
        error = proxy_credentials()
        return Blocked(error.message, error.hint)
    return Blocked(
        f"{sentence(str(proxy))} requires credentials (HTTP 407).",
        f"Put user and password into the proxy URL in {proxy.origin}, or name {proxy.host} in NO_PROXY.",
    )


def unusable_proxy(proxy: Proxy) -> NetworkError:
    """The error for a variable with an invalid proxy, or an unsupported kind of proxy."""
    return NetworkError(f"{proxy.problem}.", hint=proxy.hint)


def through(proxy: Proxy, address: str) -> str:
    """``address``, with the proxy that may be at fault as well if there is one."""
    return f"{address}, through {proxy}," if proxy.url is not None else address


def tunnel_refused(proxy: Proxy, status: int, phrase: str) -> str:
    """Why there is no tunnel: the proxy's answer to ``CONNECT`` (RFC 9110 section 9.3.6)."""
    return f"{proxy} refused to connect to {proxy.host}: HTTP {status} {phrase}".strip()


def redirected(url: str, location: str, server: str) -> Blocked:
    """A redirect that is not followed, since a token is never sent elsewhere.

    Args:
        url: the request's URL on ``server``.
        location: the header; empty if it cannot be read.
        server: as the settings name it.
    """
    at = urlsplit(server).netloc
    try:
        parts = urlsplit(urljoin(url, location))
        if (
            not location
            or not is_plain(location)
            or not parts.hostname
            or parts.username
            or parts.scheme not in ("http", "https")
        ):
            raise ValueError
    except ValueError:
        return Blocked(f"{at} redirects to something that is not a web address.", "Check `--server`.")
    target = parts._replace(query="", fragment="").geturl()
    suffix = urlsplit(url).path.removeprefix(urlsplit(server).path)
    if suffix and target.endswith(suffix):
        return Blocked(
            f"{at} redirects to {target[:MAX_LOCATION_LENGTH]}.", f"Use `--server {target.removesuffix(suffix)}`."
        )
    return Blocked(
        f"{at} redirects to {target[:MAX_LOCATION_LENGTH]}.",
        f"Is {server} the right server? If it wants a login in a browser, programs cannot use it.",
    )


def speaks_https(address: str) -> Blocked:
    """Plain HTTP was sent to a port for TLS."""
    return Blocked(f"{address} does not speak plain http.", f"Use `--server https://{address}`.")


_SPEAKS_PLAIN_HTTP: Final = frozenset(
    {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"}
)
"""OpenSSL's errors for bytes that are not TLS."""

_EXPIRED, _NOT_YET_VALID, _WRONG_NAMES = 10, 9, (62, 64)
_NOT_STRICT = range(80, 95)
"""Where X509_V_FLAG_X509_STRICT finds fault: OpenSSL's x509_vfy.h."""


def tls_failure(error: BaseException, address: str, at: Proxy | None = None) -> Blocked | None:
    """Why TLS fails for good; ``None`` if it does not, and the connection was merely cut.

    Args:
        error: of a handshake.
        address: of the server.
        at: the proxy, if the handshake was with it and not with the server.
    """
    address = sentence(str(at)) if at else address
    if isinstance(error, ssl.SSLCertVerificationError):
        return certificate_untrusted(error, address)
    if not isinstance(error, ssl.SSLError) or isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return None
    if error.reason in _SPEAKS_PLAIN_HTTP:
        return Blocked(
            f"{address} does not speak https: the answer is not TLS.",
            f"Write http:// before its address in {at.origin}."
            if at
            else f"If it is a plain http port, use `--server http://{address}`.",
        )
    if isinstance(error, ssl.SSLSyscallError) or not error.reason:
        return None
    reason = error.reason.replace("_", " ").lower()
    hint = at.hint if at else "Is this the port for https? `subcli doctor` checks it."
    return Blocked(f"{address} and subcli cannot agree on TLS: {reason}.", hint)


def certificate_untrusted(error: ssl.SSLCertVerificationError, address: str) -> Blocked:
    """The error for an invalid certificate, and who can fix it."""
    trusted = trust_origin(os.environ)
    if error.verify_code == _EXPIRED:
        hint = "Tell whoever runs the server, or set this machine's clock if that is wrong."
    elif error.verify_code == _NOT_YET_VALID:
        hint = "Set this machine's clock, or tell whoever runs the server."
    elif error.verify_code in _WRONG_NAMES:
        hint = "Use the name that the certificate is for, or tell whoever runs the server."
    elif error.verify_code in _NOT_STRICT:
        hint = (
            "Python 3.13 and later only accept certificates that follow RFC 5280. Tell whoever runs the CA; "
            "until then, use Python 3.12."
        )
    elif trusted == "the system" or trusted.startswith("SSL_CERT_DIR="):
        hint = "If you use a private CA, set SSL_CERT_FILE to its certificate file."
    else:
        hint = f"Only certificates of {trusted} are trusted: is its CA among them?"
    return Blocked(
        f"The certificate of {address} is not trusted: {(error.verify_message or 'verification failed').rstrip('.')}.",
        hint,
    )


def describe_failure(error: BaseException, address: str) -> str:
    """Why ``address``, a server's or a proxy in words, could not be reached."""
    error = _root_cause(error)
    if isinstance(error, TimeoutError):
        return f"{address} did not answer in time"
    if isinstance(error, ConnectionRefusedError):
        return f"{address} refused the connection"
    if isinstance(error, ConnectionResetError | EOFError | ssl.SSLEOFError):
        return f"{address} cut the connection"
    if isinstance(error, OSError) and error.strerror and not error.strerror.startswith("Multiple exceptions"):
        return f"{address}: {redact(error.strerror)}"
    if "refused" in str(error).lower() or "Connect call failed" in str(error):
        return f"{address} refused the connection"
    return f"{address} cannot be reached"


def _root_cause(error: BaseException) -> BaseException:
    """The operating system's error under the exceptions that libraries wrap around it."""
    found = error
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, BaseExceptionGroup):
            cause = cause.exceptions[0]
            continue
        if isinstance(cause, OSError) and cause.errno is not None:
            found = cause
        cause = cause.__cause__ or cause.__context__
    return found


def parse_retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds named by a ``Retry-After`` header, given as seconds or as a date (RFC 9110 section 10.2.3).

    A date is read against the ``Date`` of the same response, since the local clock may be wrong. Anything else is
    ignored.
    """
    value = headers.get("Retry-After")
    if value is None:
        return None
    value = value.strip()
    if re.fullmatch(r"\d{1,9}", value):
        return float(value)
    when = server_time(value)
    if when is None:
        return None
    now = server_time(headers.get("Date"))
    return max(0.0, when - (time.time() if now is None else now))


def server_time(date: str | None) -> float | None:
    """Unix time of an HTTP date (RFC 9110 section 5.6.7); ``None`` if there is none, or it cannot be read."""
    try:
        return parsedate_to_datetime(date or "").timestamp()
    except (ValueError, OverflowError, TypeError):
        return None


def page_title(content: bytes) -> str:
    """The title of an HTML page, with which a gateway or another server answers; empty if there is none."""
    match = re.search(rb"<title>\s*([^<]{1,200}?)\s*</title>", content[:4096], re.IGNORECASE)
    title = " ".join(match[1].decode("utf-8", "replace").split()) if match else ""
    return re.sub(r"^\d{3}\s+", "", title)


def _field_error(error: dict[str, Any]) -> str:
    """One of FastAPI's errors, with the name of the field: ``language: Field required``."""
    message, location = str(error.get("msg", "")), error.get("loc")
    if not isinstance(location, list):
        return message
    # The first part says where the field is: in the body, the path or the query.
    field = ".".join(str(part) for part in location[1:])
    return f"{field}: {message}" if field and message else message


def error_detail(body: Any) -> str:
    """The text in ``{"detail": …}``, which may be FastAPI's list of errors; empty if there is none."""
    detail = body.get("detail") if isinstance(body, dict) else None
    if isinstance(detail, str):
        return detail
    if isinstance(detail, list):
        return "; ".join(text for error in detail if isinstance(error, dict) and (text := _field_error(error)))
    if isinstance(detail, dict) and isinstance(detail.get("message"), str):
        return str(detail["message"])
    return ""
