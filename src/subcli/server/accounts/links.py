"""Links that show one submission, read-only, to whoever follows them; in the database.

Only the hashes of their tokens are stored, so a link cannot be shown again, but any number can be made, up to a limit.
A link does not outlive its submission, and shows nothing while its owner is disabled.

The methods block; `Store.run` calls them in a thread.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Engine, Row, Select, delete, func, insert, select

from subcli.server.accounts.holders import LINK, Holder, hash_of
from subcli.server.accounts.machine_tokens import number_of
from subcli.server.accounts.permissions import Credential, Role
from subcli.server.accounts.tokens import AccessClaims, TokenError
from subcli.server.log.database import reading
from subcli.server.log.tables import links, submissions, users
from subcli.server.settings import ServerLimits
from subcli.shared import opaque_token

ENDED: Final = "this link has expired or was revoked"


class TooManyLinksError(Exception):
    """As many links as are allowed show this submission."""


@dataclass(frozen=True, slots=True)
class Link:
    """A link, as the submission's owner sees it later. Times are Unix seconds."""

    id: int
    created_at: float
    expires_at: float


class Links:
    """The links to all submissions.

    Args:
        clock: Unix time in seconds.
    """

    def __init__(self, engine: Engine, clock: Callable[[], float], limits: ServerLimits) -> None:
        self._write = engine
        self._read = reading(engine)
        self._clock = clock
        self._limits = limits

    def create(self, submission_id: int, lifetime_s: float) -> tuple[Link, str]:
        """Create a link. Returns it with its token, which cannot be read later.

        Raises:
            TooManyLinksError: there are too many to this submission.
        """
        now = self._clock()
        token = opaque_token.make(opaque_token.LINK, secrets.token_bytes(opaque_token.RANDOM_BYTES))
        values = {"hash": hash_of(token), "created_at": now, "expires_at": now + lifetime_s}
        with self._write.begin() as connection:
            # One at a time, so that two cannot exceed the limit together.
            connection.execute(select(submissions.c.id).where(submissions.c.id == submission_id).with_for_update())
            live = select(func.count()).where(links.c.submission_id == submission_id, links.c.expires_at > now)
            if connection.execute(live).scalar_one() >= self._limits.links:
                raise TooManyLinksError
            inserting = insert(links).values(submission_id=submission_id, **values).returning(*_SHOWN)
            row = connection.execute(inserting).one()
        return Link(*row), token

    def to_submission(self, submission_id: int) -> list[Link]:
        """The links to a submission that work, oldest first."""
        is_live = (links.c.submission_id == submission_id, links.c.expires_at > self._clock())
        with self._read.begin() as connection:
            return [Link(*row) for row in connection.execute(select(*_SHOWN).where(*is_live).order_by(links.c.id))]

    def revoke(self, submission_id: int) -> int:
        """End all links to a submission. Returns how many worked."""
        with self._write.begin() as connection:
            gone = connection.execute(
                delete(links).where(links.c.submission_id == submission_id).returning(links.c.expires_at)
            ).scalars()
            return sum(expires_at > self._clock() for expires_at in gone)

    # -- using ---------------------------------------------------------------------------------------

    def verify(self, token: str) -> tuple[AccessClaims, Holder]:
        """What a link shows.

        Raises:
            TokenError: it is not valid, or has expired.
        """
        if not opaque_token.is_well_formed(token):
            raise TokenError(ENDED)
        with self._read.begin() as connection:
            row = connection.execute(
                _HELD.where(links.c.hash == hash_of(token), links.c.expires_at > self._clock())
            ).one_or_none()
        if row is None:
            raise TokenError(ENDED)
        return AccessClaims(row.owner_id, f"{LINK}{row.id}", row.expires_at), _holder(row)

    def holder(self, credential_id: str, user_id: int) -> Holder | None:
        """What the link with this id shows; None if it does not work any more."""
        is_meant = (links.c.id == number_of(credential_id, LINK), submissions.c.owner_id == user_id)
        with self._read.begin() as connection:
            row = connection.execute(_HELD.where(*is_meant, links.c.expires_at > self._clock())).one_or_none()
        return None if row is None else _holder(row)

    def open_among(self, ids: Collection[str]) -> dict[str, Role]:
        """Those of these links that work, each with the role that it gives."""
        numbers = [number_of(each, LINK) for each in ids]
        with self._read.begin() as connection:
            found = connection.execute(_HELD.where(links.c.id.in_(numbers), links.c.expires_at > self._clock()))
            return {f"{LINK}{row.id}": Role.STUDENT for row in found}

    def delete_expired(self) -> None:
        """Delete those that have expired."""
        with self._write.begin() as connection:
            connection.execute(delete(links).where(links.c.expires_at < self._clock()))


_SHOWN: Final = [links.c[name] for name in Link.__dataclass_fields__]
_HELD: Final[Select[*tuple[Any, ...]]] = (
    select(links, submissions.c.owner_id)
    .join_from(links, submissions)
    .join(users, users.c.id == submissions.c.owner_id)
    .where(users.c.disabled_at.is_(None))
)


def _holder(row: Row[Any]) -> Holder:
    # Not with the owner's role: a teacher's link shows no other submissions.
    name = f"link to submission {row.submission_id}"
    return Holder(row.owner_id, name, Role.STUDENT, Credential.LINK, row.submission_id)
