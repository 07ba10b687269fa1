"""When a token expires, according to the token itself."""

from __future__ import annotations

import base64

from subcli.client.body import decode_json
from subcli.shared.encoding import timestamp
from subcli.shared.secret import Secret


def expires_at(token: Secret) -> str | None:
    """When a JSON Web Token says that it expires (RFC 7519 section 4.1.4); read, not verified."""
    seconds = expiry_s(token)
    return timestamp(seconds) if seconds is not None else None


def expiry_s(token: Secret) -> float | None:
    parts = token.reveal().split(".")
    if len(parts) != 3:
        return None
    try:
        claims = decode_json(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return None
    seconds = claims.get("exp") if isinstance(claims, dict) else None
    return float(seconds) if isinstance(seconds, int | float) and 0 <= seconds < 2**33 else None
