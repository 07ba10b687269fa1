"""``subcli user add`` and ``passwd``: what needs a password."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from subcli.cli.commands.server.user.database import opened, record
from subcli.cli.common import Common
from subcli.cli.prompt import new_password
from subcli.cli.runtime import run
from subcli.cli.streams import Streams
from subcli.core.errors import UsageError
from subcli.server import PasswordCost
from subcli.server.accounts.names import RULE, is_valid
from subcli.server.accounts.passwords import PasswordError, Passwords, check
from subcli.server.accounts.permissions import Role
from subcli.server.accounts.users import UserExistsError, Users

_LONGEST_LINE: Final = 8192


def add(
    common: Common,
    streams: Streams,
    name: str,
    role: str,
    data_dir: Path | None,
    database: str | None,
    *,
    from_stdin: bool,
) -> int:
    """Add a user.

    Raises:
        UsageError: name or password cannot be used, or the name is taken.
    """
    if not is_valid(name):
        raise UsageError(f"{name[:64]!r} is not a valid user name.", hint=RULE)
    with opened(streams, data_dir, database) as users:
        _refuse_taken(users, name)
        password = _password(name, common, streams, from_stdin=from_stdin)
        try:
            users.add(name, Passwords(PasswordCost()).hash(password), Role(role))
        except UserExistsError as error:
            raise _exists(name, error.name) from None
        record("user added", name, role=role)
    if common.json:
        streams.print_json({"user": {"name": name, "role": role}})
    elif not common.quiet:
        streams.write(f"Added {name}. Next: subcli auth login --server URL\n")
    return 0


def passwd(
    common: Common,
    streams: Streams,
    name: str,
    data_dir: Path | None,
    database: str | None,
    *,
    from_stdin: bool,
    revoke_tokens: bool,
) -> int:
    """Give a user another password.

    Args:
        revoke_tokens: revoke the user's access tokens as well.

    Raises:
        NotFoundError: there is no user with this name.
        UsageError: the password cannot be used.
    """
    with opened(streams, data_dir, database) as users:
        users.id_of(name)
        password = _password(name, common, streams, from_stdin=from_stdin)
        hashed = Passwords(PasswordCost()).hash(password)
        name = users.set_password(name, hashed, revoke_tokens=revoke_tokens)
        record("password changed", name)
    if common.json:
        streams.print_json({"user": {"name": name}})
    elif not common.quiet:
        ended = "sessions and access tokens have ended, submissions stay"
        if not revoke_tokens:
            ended = "sessions have ended, submissions and access tokens stay"
        streams.write(f"{name} has a new password; {ended}.\n")
    return 0


def _refuse_taken(users: Users, name: str) -> None:
    for existing in users.taken([name]).values():
        raise _exists(name, existing)


def _exists(name: str, existing: str) -> UsageError:
    same = "" if name == existing else f", which is the same name as {name}"
    hint = f"`subcli user passwd {existing}` gives that user another password; `subcli user list` shows all."
    return UsageError(f"User {existing} already exists{same}.", hint=hint)


def _password(name: str, common: Common, streams: Streams, *, from_stdin: bool) -> str:
    """A new password, from stdin or typed twice, that has been checked."""
    if from_stdin or not streams.stdin_tty:
        line = streams.stdin.buffer.readline(_LONGEST_LINE)
        try:
            password = line.decode().rstrip("\r\n")
        except UnicodeDecodeError:
            raise UsageError("The password on stdin is not UTF-8.", hint="Give one line of text.") from None
        _check(password)
        return password
    if common.no_input:
        raise UsageError("`--no-input` does not allow prompting for the password.", hint="Use --password-stdin.")
    return run(lambda _: new_password(streams, f"Password for {name}: ", _check), streams)


def _check(password: str) -> None:
    try:
        check(password)
    except PasswordError as error:
        raise UsageError(str(error), hint="Choose another one.") from None
