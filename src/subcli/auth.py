"""Who is asking. Whether there is anybody to prompt is another object, not an ``if``."""

from __future__ import annotations

from typing import Protocol

from subcli.happened import Refreshed
from subcli.secret import Secret


class Authenticator(Protocol):
    """Gives the token to send, and tries to get a better one when it is refused."""

    def token(self) -> Secret | None:
        """The token to send now; ``None`` where there is none."""
        ...

    async def refresh(self) -> Refreshed:
        """Authenticate again. Shared by all watches of the process."""
        ...


class GivenToken:
    """A token from a variable or a file, or none: nothing here can renew it.

    Args:
        token: the token.
        origin: where it came from, for the hint.
    """

    def __init__(self, token: Secret | None, origin: str = "") -> None:
        self._token = token
        self._origin = origin

    def token(self) -> Secret | None:
        """The token given."""
        return self._token

    async def refresh(self) -> Refreshed:
        """Always in vain."""
        if self._token:
            return Refreshed(False, f"The token from {self._origin} is not accepted: set a valid one.")
        return Refreshed(False, "Set SUBCLI_TOKEN to a token of this server.")
