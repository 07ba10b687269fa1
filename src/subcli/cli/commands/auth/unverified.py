"""The error for a server that does not say who owns a token."""

from __future__ import annotations

from subcli.client.exchange import RequestFailed
from subcli.core.errors import NetworkError, ServerError, SubcliError, rate_limited


def unverified(failed: RequestFailed, hint: str = "") -> SubcliError:
    """The error for a request to ``/auth/me`` that failed for a reason other than the token.

    Args:
        failed: the request.
        hint: instead of the usual one.
    """
    if failed.status == 429:
        return rate_limited(hint or "Wait a few minutes, then try again.")
    message = f"The token could not be verified: {failed.reason.rstrip('.')}."
    if failed.status is None:
        return NetworkError(message, hint=failed.hint or hint or "Check that the server is running, and `--server`.")
    return ServerError(message, hint=hint or "Try again later; `subcli doctor` looks for the cause.")
