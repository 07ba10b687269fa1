"""Access tokens and watch tokens: JSON Web Tokens (RFC 7519), signed with HS256 and nothing else.

An access token names a user and a session, that is, a family of refresh tokens. A watch token stands in a
URL, where logs may keep it; so it opens one socket on one submission, once, within a minute. It carries the
time until which the access token that asked for it is good, and the watch ends then.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import jwt

from subcli.server.settings import ServerLimits

_ALGORITHM: Final = "HS256"
_REQUIRED: Final = ["sub", "exp", "iat", "aud", "jti"]
_LONGEST: Final = 4096
_SHAPE: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)
_ACCESS: Final = ("at+jwt", "api")
"""Type (RFC 9068, section 2.1) and audience of an access token,"""
_WATCH: Final = ("watch+jwt", "ws")
"""and of a watch token."""


class TokenError(Exception):
    """The token is not accepted. `reason` says why in two words, without the token."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class AccessClaims:
    """What an access token says. `expires` in Unix seconds, leeway included."""

    user_id: int
    session: str
    expires: float


@dataclass(frozen=True, slots=True)
class WatchClaims:
    """What a watch token says: the access that asked for it, for one submission.

    `id` may be used once; after `forget`, in Unix seconds, the token has expired in any case.
    """

    access: AccessClaims
    submission_id: int
    id: str
    forget: float


class TokenIssuer:
    """Makes and reads tokens.

    Args:
        key: 32 bytes or more.
        limits: lifetimes and leeway, in seconds.
        clock: Unix time in seconds.
    """

    def __init__(self, key: bytes, limits: ServerLimits, clock: Callable[[], float]) -> None:
        self._key = key
        self._limits = limits
        self._clock = clock

    def access(self, user_id: int, session: str) -> str:
        """A new access token."""
        claims = {"sub": str(user_id), "sid": session, "exp": int(self._clock()) + self._limits.access_token}
        return self._sign(_ACCESS, claims)

    def watch(self, access: AccessClaims, submission_id: int) -> tuple[str, int]:
        """A new watch token, and for how many seconds it is good."""
        until = int(access.expires) - self._limits.leeway
        seconds = max(0, min(self._limits.watch_token, until - int(self._clock())))
        claims = {
            "sub": str(access.user_id),
            "sid": access.session,
            "exp": int(self._clock()) + seconds,
            "submission": submission_id,
            "until": until,
        }
        return self._sign(_WATCH, claims), seconds

    def _sign(self, kind: tuple[str, str], claims: dict[str, Any]) -> str:
        typ, audience = kind
        common = {"iat": int(self._clock()), "aud": audience, "jti": secrets.token_urlsafe(12)}
        return jwt.encode({**common, **claims}, self._key, _ALGORITHM, headers={"typ": typ})

    def read_access(self, token: str) -> AccessClaims:
        """What an access token says.

        Raises:
            TokenError: it is none of ours, or no longer good.
        """
        return self._access(self._read(token, _ACCESS), "exp")

    def read_any(self, token: str) -> AccessClaims | WatchClaims:
        """What an access token or a watch token says.

        Raises:
            TokenError: it is none of ours, or no longer good.
        """
        if _type(token) != _WATCH[0]:
            return self.read_access(token)
        claims = self._read(token, _WATCH)
        submission_id = claims.get("submission")
        if not isinstance(submission_id, int):
            raise TokenError("token invalid")
        forget = float(claims["exp"] + self._limits.leeway)
        return WatchClaims(self._access(claims, "until"), submission_id, claims["jti"], forget)

    def _read(self, token: str, kind: tuple[str, str]) -> dict[str, Any]:
        typ, audience = kind
        if _type(token) != typ:
            raise TokenError("token invalid")
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self._key,
                algorithms=[_ALGORITHM],
                audience=audience,
                leeway=self._limits.leeway,
                options={"require": _REQUIRED, "strict_aud": True},
            )
        except jwt.ExpiredSignatureError:
            raise TokenError("token expired") from None
        except (jwt.InvalidTokenError, ValueError, TypeError, OverflowError, RecursionError):
            raise TokenError("token invalid") from None
        return claims

    def _access(self, claims: dict[str, Any], expiry: str) -> AccessClaims:
        user_id, session, expires = claims["sub"], claims.get("sid"), claims.get(expiry)
        if not _NUMBER.fullmatch(user_id) or not isinstance(session, str) or not isinstance(expires, int):
            raise TokenError("token invalid")
        return AccessClaims(int(user_id), session, float(expires + self._limits.leeway))


def _type(token: str) -> object:
    """The type that a token says it is of. Raises TokenError."""
    # Before anything is decoded: what is not even shaped like one of ours costs nothing.
    if len(token) > _LONGEST or not _SHAPE.fullmatch(token):
        raise TokenError("token invalid")
    try:
        return jwt.get_unverified_header(token).get("typ")
    except (jwt.InvalidTokenError, ValueError, RecursionError):
        raise TokenError("token invalid") from None
