"""``subcli user list``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from subcli.cli.commands.server.user.database import opened
from subcli.cli.common import Common
from subcli.cli.streams import Streams
from subcli.server.accounts.names import name_key
from subcli.server.accounts.users import User
from subcli.shared.encoding import timestamp


def list_users(common: Common, streams: Streams, data_dir: Path | None, database: str | None) -> int:
    """Print all users."""
    with opened(streams, data_dir, database) as users:
        found = users.all()
    if common.json:
        streams.print_json({"users": [_fields(user) for user in found]})
    elif common.quiet:
        streams.write("".join(f"{user.name}\n" for user in found))
    elif not found:
        streams.write("No users. Add one: subcli user add NAME\n")
    else:
        _write_table(streams, found)
        _warn_of_twins(streams, found)
    return 0


def _fields(user: User) -> dict[str, object]:
    return {
        "name": user.name,
        "role": user.role,
        "created_at": timestamp(user.created_at),
        "sessions": user.sessions,
        "disabled_at": None if user.disabled_at is None else timestamp(user.disabled_at),
    }


def _write_table(streams: Streams, found: Sequence[User]) -> None:
    width = max(len(user.name) for user in found)
    for user in found:
        sessions = "1 session" if user.sessions == 1 else f"{user.sessions} sessions"
        state = sessions if user.disabled_at is None else f"disabled since {timestamp(user.disabled_at)[:10]}"
        streams.write(f"{user.name:{width}}  {user.role:<7}  since {timestamp(user.created_at)[:10]}  {state}\n")


def _warn_of_twins(streams: Streams, found: Sequence[User]) -> None:
    """Name those who have one name in two spellings, from a time when these were two names."""
    spellings: dict[str, list[str]] = defaultdict(list)
    for user in found:
        spellings[name_key(user.name)].append(user.name)
    for names in spellings.values():
        if len(names) > 1:
            streams.write_error(
                f"{' and '.join(names)} are one name in several spellings: each has to log in with its own until "
                "only one of them is left (`subcli user remove`).\n"
            )
