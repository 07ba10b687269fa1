"""Whether a REST request is sent again (contract, sections 6 and 7). Pure, as :mod:`subcli.core.recovery` is.

=====================  ===========================================================================
no answer              never one from this server: once more after 1 s; else if harmless, after the backoff
401                    the caller authenticates again once; then stop (auth)
404                    stop (not found)
407                    stop (network): a proxy wants credentials
429, 503               wait ``Retry-After`` or the backoff; attempts used up: stop
400, 409, 413, 422     stop (usage): the server's own sentence says what is wrong
other 5xx              if harmless, after the backoff; else stop (server)
anything else          stop (server)
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
    proxy_credentials,
    rate_limited,
    unauthorized,
    unreachable,
)
from subcli.core.inputs import RestFailed

_LATER: Final = "Try again later; `subcli list` shows what was handed in."
_ELSEWHERE: Final = "Is this the right server? `subcli doctor` looks; `subcli list` shows what was handed in."
_NOT_FOUND: Final = "Check the id or name, and `--server`."
_REFUSED: Final = "The server refused it; nothing was handed in or changed."


def repeat_request(
    asked: RestFailed, *, attempt: int, answered: bool, repeatable: bool, max_attempts: int, random: float
) -> float | SubcliError:
    """Whether a REST request is sent again: seconds to wait, or the error that ends it.

    Args:
        asked: what came of it.
        attempt: how often it was sent, from 1.
        answered: whether this server was there at least once.
        repeatable: whether sending it again can do no harm, although its effect is unknown.
        max_attempts: repeats allowed.
        random: in [0, 1).
    """
    told = wait(attempt, random, asked.retry_after_s)
    reason = asked.reason.rstrip(".")
    match asked.status:
        case None if not answered:
            return FIRST_CONTACT_DELAY_S if attempt == 1 else unreachable(asked.reason)
        case None:
            if repeatable and attempt <= max_attempts:
                return told
            return NetworkError(f"The server did not answer: {reason}.", hint=_LATER)
        case 401:
            return unauthorized(asked.reason)
        case 404:
            return NotFoundError(_sentence(reason), hint=_NOT_FOUND)
        case 407:
            return proxy_credentials()
        case 429:
            return told if attempt <= max_attempts else rate_limited()
        case 503:
            return (
                told if attempt <= max_attempts else ServerError(f"The server is not available: {reason}.", hint=_LATER)
            )
        case 400 | 409 | 413 | 415 | 422:
            return UsageError(_sentence(reason), hint=_REFUSED)
        case _:
            if asked.status >= 500 and repeatable and attempt <= max_attempts:
                return told
            hint = _LATER if asked.status >= 500 else _ELSEWHERE
            return ServerError(f"The server answered {asked.status}: {reason}.", hint=hint)


def _sentence(reason: str) -> str:
    return f"{reason}." if reason else "The server does not know this."
