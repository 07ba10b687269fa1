"""When a REST request is repeated (contract, sections 6 and 7). Pure, like :mod:`subcli.core.recovery`.

=====================  ===========================================================================
no response            if the server never responded: once more after 1 s; else if harmless, after the backoff
401                    the caller authenticates again once; then stop (auth)
403                    stop (auth): the server says what is not allowed; without JSON: stop (server)
404                    stop (not found)
407                    stop (network): the proxy requires credentials
429, 503               wait ``Retry-After`` or the backoff; attempts used up: stop
413                    stop (usage)
400, 409, 415, 422     stop (usage): the server says what is wrong; without JSON: stop (server)
other 5xx              if harmless, after the backoff; else stop (server)
anything else          stop (server)
no judge's answer      stop (server)
=====================  ===========================================================================
"""

from __future__ import annotations

from typing import Final

from subcli.core.backoff import FIRST_CONTACT_DELAY_S, wait
from subcli.core.errors import (
    NetworkError,
    NotFoundError,
    ServerError,
    SubcliError,
    UsageError,
    forbidden,
    not_a_judge,
    proxy_credentials,
    rate_limited,
    refused_by_server,
    unauthorized,
    unreachable,
)
from subcli.core.inputs import RestFailed

_LATER: Final = "Try again later; `subcli list` shows what was submitted."
_LIMITED: Final = "Wait a few minutes, then try again."
_NOT_FOUND: Final = "Check the id or name, and `--server`."
_REFUSED: Final = "The server refused the request; nothing was submitted or changed."


def repeat_request(
    failed: RestFailed, *, attempt: int, answered: bool, repeatable: bool, max_attempts: int, random: float
) -> float | SubcliError:
    """Decide whether to repeat a REST request.

    Args:
        failed: how it failed.
        attempt: how often it was sent, from 1.
        answered: whether this server ever responded.
        repeatable: whether repeating it does no harm even if it had an effect.
        max_attempts: repeats allowed.
        random: in [0, 1).

    Returns:
        Seconds to wait before repeating it, or the error that ends it.
    """
    delay_s = wait(attempt, random, failed.retry_after_s)
    reason = failed.reason.rstrip(".")
    if failed.foreign:
        return not_a_judge(reason, failed.hint)
    match failed.status:
        case None if not answered:
            return FIRST_CONTACT_DELAY_S if attempt == 1 else unreachable(failed.reason, failed.hint)
        case None:
            if repeatable and attempt <= max_attempts:
                return delay_s
            return NetworkError(f"The server did not answer: {reason}.", hint=failed.hint or _LATER)
        case 401:
            return unauthorized(failed.reason)
        case 403 if not failed.page:
            return forbidden(reason)
        case 404:
            return NotFoundError(_sentence(reason), hint=_NOT_FOUND)
        case 407:
            return proxy_credentials()
        case 429:
            return delay_s if attempt <= max_attempts else rate_limited(_LIMITED)
        case 503:
            return (
                delay_s
                if attempt <= max_attempts
                else ServerError(f"The server is not available: {reason}.", hint=_LATER)
            )
        case 400 | 409 | 415 | 422 if failed.page:
            return refused_by_server(failed.status, reason)
        case 400 | 409 | 413 | 415 | 422:
            return UsageError(_sentence(reason), hint=_REFUSED)
        case _:
            if failed.status >= 500 and repeatable and attempt <= max_attempts:
                return delay_s
            if failed.status >= 500:
                return ServerError(f"The server answered {failed.status}: {reason}.", hint=_LATER)
            return refused_by_server(failed.status, reason)


def _sentence(reason: str) -> str:
    return f"{reason}." if reason else "The server cannot find this."
