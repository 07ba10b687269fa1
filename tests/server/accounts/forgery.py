"""Tokens that must not be accepted, each made from a good one's claims."""

from __future__ import annotations

import base64
import json
import math
import time
from collections.abc import Iterator, Mapping
from typing import Any

import jwt

OTHER_KEY = b"the signing key of somebody else, long enough"


def claims_of(token: str) -> dict[str, Any]:
    return dict(jwt.decode(token, options={"verify_signature": False}))


def part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def sign(claims: Mapping[str, Any], key: bytes, typ: str | None = "at+jwt", algorithm: str = "HS256") -> str:
    return jwt.encode(dict(claims), key, algorithm, headers={"typ": typ, "kid": "../../dev/null"})


def without(claims: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in claims.items() if key != name}


def forged(good: str, key: bytes) -> Iterator[tuple[str, str]]:
    """Names and tokens: other signatures, other claims, other times, and texts that are not tokens."""
    claims = claims_of(good)
    now = int(time.time())
    header, payload, signature = good.split(".")
    for alg in ("none", "None", "NONE", ""):
        yield f"alg {alg!r}", f"{part({'alg': alg, 'typ': 'at+jwt'})}.{payload}."
        yield f"alg {alg!r}, old signature", f"{part({'alg': alg, 'typ': 'at+jwt'})}.{payload}.{signature}"
    yield "other key", sign(claims, OTHER_KEY)
    yield "HS512", sign(claims, key * 2, algorithm="HS512")
    yield "HS384, our key", f"{part({'alg': 'HS384', 'typ': 'at+jwt'})}.{payload}.{signature}"
    yield "RS256", f"{part({'alg': 'RS256', 'typ': 'at+jwt'})}.{payload}.{signature}"
    yield "alg is a list", f"{part({'alg': ['HS256'], 'typ': 'at+jwt'})}.{payload}.{signature}"
    yield "crit", f"{part({'alg': 'HS256', 'typ': 'at+jwt', 'crit': ['x']})}.{payload}.{signature}"
    yield "no signature", f"{header}.{payload}."
    yield "two parts", f"{header}.{payload}"
    yield "five parts", f"{good}.{payload}.{signature}"
    yield "another user in the old signature", f"{header}.{part({**claims, 'sub': '1'})}.{signature}"
    yield "a bit of the signature", good[:-4] + ("AAAA" if good[-4:] != "AAAA" else "BBBB")
    for name in ("sub", "exp", "iat", "aud", "jti", "sid"):
        yield f"no {name}", sign(without(claims, name), key)
    yield "expired", sign({**claims, "exp": now - 60}, key)
    yield "expired long ago", sign({**claims, "iat": 1, "exp": 2}, key)
    yield "not yet valid", sign({**claims, "nbf": now + 600}, key)
    for audience in ("ws", "other", ["api"], ["api", "ws"], None):
        yield f"audience {audience!r}", sign({**claims, "aud": audience}, key)
    yield "another session", sign({**claims, "sid": "0" * 32}, key)
    yield "another user, this session", sign({**claims, "sub": "1"}, key)
    for sub in ("0", "-1", "1 OR 1=1", "9" * 30, "", "٣"):
        yield f"sub {sub!r}", sign({**claims, "sub": sub}, key)
    for typ in ("JWT", "watch+jwt", "AT+JWT", None):
        yield f"typ {typ!r}", sign(claims, key, typ)
    yield from malformed(claims, key)
    yield "claims are a list", raw_signed([1], key)
    yield "truncated", good[: len(good) // 2]
    yield "doubled", good + good
    yield "the refresh token's shape", "A" * 43
    yield "nothing but dots", ".."
    yield "deep", f"{part_of(b'[' * 2000)}.{payload}.{signature}"
    yield "deep claims", f"{header}.{part_of(b'[' * 2000)}.{signature}"
    yield "non-ASCII", "tökén.ünd.söweiter"
    yield "non-ASCII digits", f"{header}.{payload}.{signature[:-1]}٣"
    yield "NUL", f"{header}.{payload}.{signature}\0"
    yield "quotes", "\"'; DROP TABLE users; --"
    yield "long", good + "A" * 5_000


_NOT_NUMBERS: tuple[Any, ...] = (
    True,
    False,
    None,
    "1",
    "soon",
    math.nan,
    math.inf,
    -math.inf,
    1.5,
    1e300,
    10**400,
    -1,
    [1],
    {},
)
_NOT_TEXTS: tuple[Any, ...] = (True, None, 5, 1.5, math.nan, [], ["a"], {}, "", "a\0b", "a\n", "é", "\ud800", "x" * 65)


def malformed(claims: Mapping[str, Any], key: bytes, typ: str = "at+jwt") -> Iterator[tuple[str, str]]:
    """Correctly signed tokens in which one claim has another type, or a value outside its range."""
    for name in set(claims) & {"exp", "iat", "submission", "until"} | {"nbf"}:
        for number in (*_NOT_NUMBERS, 2**63, 10**18, 253402300800):
            if not (name == "submission" and number == 253402300800):
                yield f"{name} {number!r:.40}", raw_signed({**claims, name: number}, key, typ)
    for name in set(claims) & {"sub", "sid", "jti", "aud"}:
        for text in _NOT_TEXTS:
            yield f"{name} {text!r:.40}", raw_signed({**claims, name: text}, key, typ)
    for sub in ("1\n", "01", "+1", "1e3", str(2**63), "1.0"):
        yield f"sub {sub!r}", raw_signed({**claims, "sub": sub}, key, typ)


def part_of(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def raw_signed(claims: Any, key: bytes, typ: str = "at+jwt") -> str:
    """Signed whatever the claims are: `jwt.encode` itself refuses some."""
    content = json.dumps(claims).encode()
    return jwt.api_jws.encode(content, key, "HS256", headers={"typ": typ})
