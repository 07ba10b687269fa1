"""``subcli user group add``, ``remove`` and ``list``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from subcli.cli.commands.server.user.database import opened_groups, record
from subcli.cli.common import Common
from subcli.cli.streams import Streams
from subcli.core.errors import UsageError
from subcli.server.accounts.groups import Group
from subcli.server.accounts.names import RULE, is_valid


def add(
    common: Common, streams: Streams, group: str, names: Sequence[str], data_dir: Path | None, database: str | None
) -> int:
    """Make users members of a group.

    Raises:
        NotFoundError: there is no user with one of these names.
        UsageError: the group cannot be called that.
    """
    if not is_valid(group):
        raise UsageError(f"{group[:64]!r} is not a valid name for a group.", hint=RULE)
    with opened_groups(streams, data_dir, database) as groups:
        joined = groups.add(group, names)
        for name in joined.members:
            record("user joined group", name, group=joined.name)
    return _done(common, streams, joined, f"{_users(joined)} joined {joined.name}.")


def remove(
    common: Common, streams: Streams, group: str, names: Sequence[str], data_dir: Path | None, database: str | None
) -> int:
    """Let members leave a group; all of them if no names are given.

    Raises:
        NotFoundError: there is no such group, or no user with one of these names.
    """
    with opened_groups(streams, data_dir, database) as groups:
        left = groups.remove(group, names)
        for name in left.members:
            record("user left group", name, group=left.name)
    return _done(common, streams, left, f"{_users(left)} left {left.name}.")


def list_groups(common: Common, streams: Streams, data_dir: Path | None, database: str | None) -> int:
    """Print all groups with their members."""
    with opened_groups(streams, data_dir, database) as groups:
        found = groups.all()
    if common.json:
        streams.print_json({"groups": [{"name": each.name, "members": list(each.members)} for each in found]})
    elif common.quiet:
        streams.write("".join(f"{each.name}\n" for each in found))
    elif not found:
        streams.write("No groups. Make one: subcli user group add GROUP NAME...\n")
    else:
        for each in found:
            streams.write(f"{each.name}: {', '.join(each.members)}\n")
    return 0


def _users(changed: Group) -> str:
    if not changed.members:
        return "Nobody"
    return changed.members[0] if len(changed.members) == 1 else f"{len(changed.members)} users"


def _done(common: Common, streams: Streams, changed: Group, sentence: str) -> int:
    if common.json:
        streams.print_json({"group": {"name": changed.name, "users": list(changed.members)}})
    elif not common.quiet:
        streams.write(f"{sentence}\n")
    return 0
