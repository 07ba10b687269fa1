"""Who may do what. The only place that decides it. Pure.

Two tables, and both must agree: one says what the role of a user allows, the other what the credential allows that a
request shows. A token of a teacher that may only read shows any submission and submits nothing. A link shows one
submission, whoever follows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Role(StrEnum):
    """What a user is on this server."""

    STUDENT = "student"
    TEACHER = "teacher"
    ADMIN = "admin"


class Action(StrEnum):
    """What somebody may want to do."""

    SUBMIT = "submit"
    READ_OWN = "read one's own submissions"
    READ_CODE = "read the code of a submission that one can see"
    LIST_OWN = "list one's own submissions"
    CANCEL_OWN = "cancel one's own submissions"
    SHARE_OWN = "make links to one's own submissions"
    READ_ANY = "read and list everybody's submissions"
    REJUDGE = "have anybody's submissions judged again"
    OWN_ACCOUNT = "change one's own password and access tokens"


class Credential(StrEnum):
    """What a request shows: the token of a login, an access token with one of two scopes, or the token of a link."""

    LOGIN = "login"
    SUBMIT = "submit"
    READ = "read"
    LINK = "link"


_STUDENT: Final = frozenset(
    {
        *(Action.SUBMIT, Action.READ_OWN, Action.READ_CODE, Action.LIST_OWN),
        *(Action.CANCEL_OWN, Action.SHARE_OWN, Action.OWN_ACCOUNT),
    }
)
_OF_TEACHERS: Final = {
    Action.READ_ANY: "Only teachers may see other users' submissions.",
    Action.REJUDGE: "Only teachers may have submissions judged again, and stop that.",
}
"""What students may not do, and why a request is refused then."""
_TEACHER: Final = _STUDENT | set(_OF_TEACHERS)

OF_ROLE: Final[Mapping[Role, frozenset[Action]]] = {
    Role.STUDENT: _STUDENT,
    Role.TEACHER: _TEACHER,
    # Admins manage users with `subcli user`, on the server's machine; over the network they may do what teachers may.
    Role.ADMIN: _TEACHER,
}
"""What each role allows."""

_READING: Final = frozenset({Action.READ_OWN, Action.READ_CODE, Action.LIST_OWN, Action.READ_ANY})

OF_CREDENTIAL: Final[Mapping[Credential, frozenset[Action]]] = {
    Credential.LOGIN: frozenset(Action),
    Credential.SUBMIT: _READING | {Action.SUBMIT, Action.CANCEL_OWN},
    Credential.READ: _READING,
    # Of the one submission that the link is for; see `Identity.submission_id`.
    Credential.LINK: frozenset({Action.READ_OWN}),
}
"""What each credential allows."""


def may(role: Role, credential: Credential, action: Action) -> bool:
    """Whether a user with this role, who shows this credential, may do this."""
    return action in OF_ROLE[role] and action in OF_CREDENTIAL[credential]


def refusal(credential: Credential, action: Action) -> str:
    """Why `may` refuses, which for a login is only for the role of a student: a sentence for the client."""
    if action in OF_CREDENTIAL[credential]:
        return _OF_TEACHERS[action]
    if credential is Credential.LINK:
        return "This link only shows the page and the results of one submission."
    if action in OF_CREDENTIAL[Credential.SUBMIT]:
        return "This access token may only read; create one with `subcli auth token create --scope submit`."
    return "This needs a login: access tokens do not allow it."
