"""``subcli user role``, ``disable``, ``enable`` and ``remove``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from subcli.cli.commands.server.user.database import opened, record
from subcli.cli.common import Common
from subcli.cli.streams import Streams
from subcli.core.errors import UsageError
from subcli.server.accounts.permissions import Role
from subcli.server.accounts.users import OwnsSubmissionsError


def set_role(
    common: Common, streams: Streams, name: str, role: str, data_dir: Path | None, database: str | None
) -> int:
    """Give a user another role.

    Raises:
        NotFoundError: there is no user with this name.
    """
    with opened(streams, data_dir, database) as users:
        name, before = users.set_role(name, Role(role))
        record("role changed", name, role=role, before=before)
    return _done(common, streams, f"{name} is now {'an' if role == 'admin' else 'a'} {role}.", name=name, role=role)


def disable(common: Common, streams: Streams, name: str, data_dir: Path | None, database: str | None) -> int:
    """End a user's sessions and refuse their logins.

    Raises:
        NotFoundError: there is no user with this name.
    """
    with opened(streams, data_dir, database) as users:
        name = users.disable(name)
        record("user disabled", name)
    return _done(
        common,
        streams,
        f"Disabled {name}: sessions have ended, logins and access tokens are refused, submissions stay.",
        name=name,
        disabled=True,
    )


def enable(common: Common, streams: Streams, name: str, data_dir: Path | None, database: str | None) -> int:
    """Let a disabled user log in again.

    Raises:
        NotFoundError: there is no user with this name.
    """
    with opened(streams, data_dir, database) as users:
        name = users.enable(name)
        record("user enabled", name)
    return _done(common, streams, f"Enabled {name}: logins are accepted again.", name=name, disabled=False)


def remove(
    common: Common,
    streams: Streams,
    name: str,
    data_dir: Path | None,
    database: str | None,
    *,
    with_submissions: bool,
) -> int:
    """Delete a user.

    Raises:
        NotFoundError: there is no user with this name.
        UsageError: submissions would be left behind, or are still being judged.
    """
    with opened(streams, data_dir, database) as users:
        try:
            name, count = users.remove(name, with_submissions=with_submissions)
        except OwnsSubmissionsError as error:
            raise _cannot_remove(name, error, with_submissions=with_submissions) from None
        record("user removed", name, submissions=count)
    what = f" and {_submissions(count)}" if count else ""
    return _done(common, streams, f"Removed {name}{what}.", name=name, submissions=count)


def _cannot_remove(name: str, error: OwnsSubmissionsError, *, with_submissions: bool) -> UsageError:
    if with_submissions:
        return UsageError(
            f"{_submissions(error.unfinished)} of {name} {'has' if error.unfinished == 1 else 'have'} no verdict yet.",
            hint=f"`subcli user disable {name}` prevents more; remove the user once there are verdicts.",
        )
    return UsageError(
        f"{name} has {_submissions(error.count)}, which would have no owner.",
        hint=f"`subcli user disable {name}` keeps them; `subcli user remove {name} --with-submissions` deletes them.",
    )


def _submissions(count: int) -> str:
    return "1 submission" if count == 1 else f"{count} submissions"


def _done(common: Common, streams: Streams, sentence: str, **fields: Any) -> int:
    if common.json:
        streams.print_json({"user": fields})
    elif not common.quiet:
        streams.write(f"{sentence}\n")
    return 0
