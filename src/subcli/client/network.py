"""What REST and WebSocket have in common: failures to reach a server, in words, and what an error response says."""

from __future__ import annotations

import re
import ssl
import time
from email.utils import parsedate_to_datetime
from typing import Any

from subcli.core.inputs import Blocked
from subcli.shared.secret import redact


def proxy_requires_credentials() -> Blocked:
    """HTTP 407. The proxy URL is not shown, since it may contain a password."""
    return Blocked(
        "The proxy requires credentials (HTTP 407).",
        "Put user and password into the proxy URL in HTTPS_PROXY, or add the server to NO_PROXY.",
    )


def unusable_proxy() -> Blocked:
    """A proxy setting that is invalid, or needs a library that is not installed. Its value is not shown either."""
    return Blocked(
        "The proxy setting is not usable: only http:// and https:// proxies are supported.",
        "Check HTTP_PROXY, HTTPS_PROXY and ALL_PROXY, or add the server to NO_PROXY.",
    )


def certificate_untrusted(error: ssl.SSLCertVerificationError, address: str) -> Blocked:
    """An invalid certificate."""
    return Blocked(
        f"The certificate of {address} is not trusted: {error.verify_message or 'verification failed'}.",
        "If you use a private CA, set SSL_CERT_FILE to its certificate file.",
    )


def describe_failure(error: BaseException, address: str) -> str:
    """Why ``address`` could not be reached, in words."""
    error = _root_cause(error)
    if isinstance(error, TimeoutError):
        return f"{address} did not answer in time"
    if isinstance(error, ConnectionRefusedError):
        return f"{address} refused the connection"
    if isinstance(error, ConnectionResetError | EOFError):
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


def parse_retry_after(value: str | None) -> float | None:
    """Seconds named by a ``Retry-After`` header, given as seconds or as a date (RFC 9110 section 10.2.3).

    Anything else is ignored.
    """
    if value is None:
        return None
    value = value.strip()
    if re.fullmatch(r"\d{1,9}", value):
        return float(value)
    try:
        when = parsedate_to_datetime(value)
        return max(0.0, when.timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def _field_error(error: dict[str, Any]) -> str:
    """One of FastAPI's errors, with the name of the field: ``language: Field required``."""
    message, location = str(error.get("msg", "")), error.get("loc")
    if not isinstance(location, list):
        return message
    # The first part says where the field was: in the body, the path or the query.
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
