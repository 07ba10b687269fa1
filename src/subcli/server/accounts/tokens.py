"""Access tokens and watch tokens: JSON Web Tokens (RFC 7519), signed with HS256 and nothing else.

An access token names a user and a session, that is, a family of refresh tokens. A watch token appears in a
URL, which logs may record; so it opens one socket on one submission, once, within a minute. It carries the
expiry of the access token that requested it, and the watch ends at that time. A device token says that somebody has
logged in with it before, so that failed logins of others do not lock this device out; it opens nothing. A page token
keeps a browser logged in: it is valid in a cookie only, and as long as its session.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeAlias, TypeVar

import msgspec

from subcli.server.accounts.hs256 import jwt
from subcli.server.settings import ServerLimits

_ALGORITHM: Final = "HS256"
_MAX_LENGTH: Final = 4096
_SHAPE: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)
_JWS: Final = jwt.PyJWS()
_MALFORMED: Final = (jwt.InvalidTokenError, ValueError, TypeError, AttributeError, OverflowError, RecursionError)
"""What PyJWT and msgspec raise for malformed tokens."""
_ACCESS: Final = ("at+jwt", "api")
"""Type (RFC 9068, section 2.1) and audience of an access token,"""
_WATCH: Final = ("watch+jwt", "ws")
"""of a watch token,"""
_PAGE: Final = ("page+jwt", "page")
"""of a page token,"""
_DEVICE: Final = ("device+jwt", "login")
"""and of a device token."""


# Each claim has one type and a range, whoever signed it. Ids and times fit into the database and into `datetime`.
_UserId: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"\A[1-9][0-9]{0,17}\Z")]
_Id: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9_-]{1,64}\Z")]
_Time: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=250_000_000_000)]
_SubmissionId: TypeAlias = Annotated[int, msgspec.Meta(ge=1, lt=10**18)]


class _Payload(msgspec.Struct, frozen=True):
    """The claims that every token has. Times are Unix seconds, until the year 9892."""

    sub: _UserId
    aud: str
    jti: _Id
    iat: _Time
    exp: _Time
    nbf: _Time = 0


class _AccessPayload(_Payload, frozen=True, kw_only=True):
    """The claims of an access token."""

    sid: _Id


class _WatchPayload(_AccessPayload, frozen=True, kw_only=True):
    """The claims of a watch token."""

    submission: _SubmissionId
    until: _Time


_P = TypeVar("_P", bound=_Payload)


class TokenError(Exception):
    """The token was refused. `reason` says why in two words and does not contain the token."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class AccessClaims:
    """The claims of an access token. `expires` is Unix time in seconds and includes the leeway."""

    user_id: int
    session: str
    expires: float


@dataclass(frozen=True, slots=True)
class WatchClaims:
    """The claims of a watch token.

    Attributes:
        access: claims of the access token that requested it.
        submission_id: the only submission it is valid for.
        id: valid for one use.
        expires: Unix time in seconds, leeway included. After that, the use of `id` need not be remembered.
    """

    access: AccessClaims
    submission_id: int
    id: str
    expires: float


class TokenIssuer:
    """Issues and verifies tokens.

    Args:
        key: signs, at least 32 bytes.
        limits: lifetimes and leeway, in seconds.
        clock: Unix time in seconds.
        accepted: another key whose signatures are accepted as well, while keys are being changed.
    """

    def __init__(
        self, key: bytes, limits: ServerLimits, clock: Callable[[], float], accepted: bytes | None = None
    ) -> None:
        self._key = key
        self._accepted = accepted
        self._limits = limits
        self._clock = clock

    def access(self, user_id: int, session: str) -> str:
        """Issue an access token."""
        claims = {"sub": str(user_id), "sid": session, "exp": int(self._clock()) + self._limits.access_token_s}
        return self._sign(_ACCESS, claims)

    def watch(self, access: AccessClaims, submission_id: int) -> tuple[str, int]:
        """Issue a watch token. Returns it with its lifetime in seconds."""
        until = int(access.expires) - self._limits.leeway_s
        seconds = max(0, min(self._limits.watch_token_s, until - int(self._clock())))
        claims = {
            "sub": str(access.user_id),
            "sid": access.session,
            "exp": int(self._clock()) + seconds,
            "submission": submission_id,
            "until": until,
        }
        return self._sign(_WATCH, claims), seconds

    def page(self, user_id: int, session: str) -> str:
        """Issue a page token. It expires when the session does, which nobody refreshes."""
        return self._sign(
            _PAGE, {"sub": str(user_id), "sid": session, "exp": int(self._clock()) + self._limits.refresh_token_s}
        )

    def device(self, user_id: int) -> tuple[str, int]:
        """Issue a device token. Returns it with its lifetime in seconds."""
        seconds = self._limits.device_token_s
        return self._sign(_DEVICE, {"sub": str(user_id), "exp": int(self._clock()) + seconds}), seconds

    def read_device(self, token: str | None, user_id: int | None) -> str | None:
        """The device's id if this is a valid token of a device of this user, else None. No device is of no user."""
        try:
            claims = self._read(token or "", _DEVICE, _Payload)
        except TokenError:
            return None
        return claims.jti if int(claims.sub) == user_id else None

    def _sign(self, kind: tuple[str, str], claims: dict[str, Any]) -> str:
        typ, audience = kind
        common = {"iat": int(self._clock()), "aud": audience, "jti": secrets.token_urlsafe(12)}
        return jwt.encode({**common, **claims}, self._key, _ALGORITHM, headers={"typ": typ})

    def read_access(self, token: str) -> AccessClaims:
        """Verify an access token.

        Raises:
            TokenError: it is not valid, or has expired.
        """
        return self._read_login(token, _ACCESS)

    def read_page(self, token: str) -> AccessClaims:
        """Verify a page token.

        Raises:
            TokenError: it is not valid, or has expired.
        """
        return self._read_login(token, _PAGE)

    def _read_login(self, token: str, kind: tuple[str, str]) -> AccessClaims:
        claims = self._read(token, kind, _AccessPayload)
        return AccessClaims(int(claims.sub), claims.sid, self._with_leeway(claims.exp))

    def read_any(self, token: str) -> AccessClaims | WatchClaims:
        """Verify a token that is either an access token or a watch token.

        Raises:
            TokenError: it is not valid, or has expired.
        """
        if _type(token) != _WATCH[0]:
            return self.read_access(token)
        claims = self._read(token, _WATCH, _WatchPayload)
        access = AccessClaims(int(claims.sub), claims.sid, self._with_leeway(claims.until))
        return WatchClaims(access, claims.submission, claims.jti, self._with_leeway(claims.exp))

    def user_of(self, token: str) -> int | None:
        """Whose access token, watch token or page token this is; None if it is not valid."""
        try:
            typ = _type(token)
            for kind in (_ACCESS, _WATCH, _PAGE):
                if typ == kind[0]:
                    return int(self._read(token, kind, _Payload).sub)
        except TokenError:
            pass
        return None

    def seconds_left(self, access: AccessClaims) -> float:
        """Seconds until these claims expire."""
        return max(0.0, access.expires - self._clock())

    def _with_leeway(self, expiry: int) -> float:
        return float(expiry + self._limits.leeway_s)

    def _read(self, token: str, kind: tuple[str, str], payload: type[_P]) -> _P:
        typ, audience = kind
        if _type(token) != typ:
            raise TokenError("token invalid")
        try:
            content = self._verified(token)
            claims = msgspec.json.decode(content, type=payload)
        except _MALFORMED:
            raise TokenError("token invalid") from None
        # Not left to PyJWT, which knows no other clock than the machine's. `iat` is not verified: it would refuse fresh
        # tokens of a gateway whose clock is ahead.
        now = self._clock()
        if claims.aud != audience or claims.nbf > now + self._limits.leeway_s:
            raise TokenError("token invalid")
        if self._with_leeway(claims.exp) <= now:
            raise TokenError("token expired")
        return claims

    def _verified(self, token: str) -> bytes:
        """The content of a token that one of our keys has signed. Raises what PyJWT does."""
        try:
            return bytes(_JWS.decode(token, self._key, algorithms=[_ALGORITHM]))
        except jwt.InvalidSignatureError:
            if self._accepted is None:
                raise
            return bytes(_JWS.decode(token, self._accepted, algorithms=[_ALGORITHM]))


def _type(token: str) -> object:
    """The type that a token claims in its header.

    Raises:
        TokenError: it is not a JSON Web Token.
    """
    # Checked before decoding, so that garbage costs nothing.
    if len(token) > _MAX_LENGTH or not _SHAPE.fullmatch(token):
        raise TokenError("token invalid")
    try:
        return _JWS.get_unverified_header(token).get("typ")
    except _MALFORMED:
        raise TokenError("token invalid") from None
