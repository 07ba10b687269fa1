"""Whom a credential belongs to, as the database says now.

Sessions, access tokens for machines and links each have ids of their own kind, so that whatever handles a credential by
its id (watch tokens, open sockets) need not know which it is.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from subcli.server.accounts.permissions import Credential, Role

MACHINE_TOKEN: Final = "pat-"
LINK: Final = "link-"
"""How the ids begin. Those of sessions are hexadecimal."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who shows a credential, and what that allows.

    Attributes:
        user_id: of the user, or of the owner of the submission that a link shows.
        name: of the user, or of the link.
        submission_id: the only submission that it shows; None for no such limit.
        token_name: of an access token for machines.
    """

    user_id: int
    name: str
    role: Role
    credential: Credential = Credential.LOGIN
    submission_id: int | None = None
    token_name: str | None = None


def hash_of(token: str) -> str:
    """What is stored of a token. It is random, so no slower hash is needed."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
