"""``subcli user import``: all users of a CSV file, or none of them."""

from __future__ import annotations

import csv
import io
import os
import secrets
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from subcli.cli.commands.server.user.database import opened, record
from subcli.cli.common import Common
from subcli.cli.streams import Streams
from subcli.core.errors import UsageError
from subcli.output.printable import one_line
from subcli.server import PasswordCost
from subcli.server.accounts.names import is_valid, name_key
from subcli.server.accounts.passwords import PasswordError, Passwords, check
from subcli.server.accounts.permissions import Role
from subcli.server.accounts.users import NewUser, UserExistsError, Users
from subcli.shared.files import check_writable, write_atomically

_HEADER: Final = ("name", "role", "password", "group")
_MAX_BYTES: Final = 4 * 1024 * 1024
_MAX_THREADS: Final = 4
"""Each hash takes one core and 19 MiB."""
_SHOWN: Final = 50
_LETTERS: Final = "abcdefghjkmnpqrstuvwxyz23456789"
"""Without those that look alike."""
_GROUPS: Final = 3
_GROUP_LENGTH: Final = 4
"""Twelve letters, 59 bits: nobody guesses them at ten attempts a minute."""


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of the file that can be imported. `password` is generated if the file has none; `group` may be absent."""

    number: int
    name: str
    role: Role
    password: str
    is_generated: bool
    group: str | None = None


def import_users(
    common: Common,
    streams: Streams,
    file: Path,
    output: Path | None,
    data_dir: Path | None,
    database: str | None,
    *,
    dry_run: bool,
) -> int:
    """Add the users in a file.

    Args:
        output: a new file for the generated passwords; None for stdout.
        dry_run: only check.

    Raises:
        UsageError: a line cannot be imported, so none was; the message names all such lines.
    """
    lines, faults = _parse(_read(streams, file))
    with opened(streams, data_dir, database) as users:
        taken = users.taken([line.name for line in lines])
        faults += [(line.number, f"user {taken[line.name]} already exists") for line in lines if line.name in taken]
        if faults:
            raise _refused(common, streams, file, sorted(faults))
        _check_output(output)
        if not dry_run:
            _add(users, lines, output)
            for line in lines:
                record("user added", line.name, role=line.role, **({} if line.group is None else {"group": line.group}))
    _tell(common, streams, lines, output, dry_run=dry_run)
    return 0


# -- reading --------------------------------------------------------------------------------------


def _read(streams: Streams, file: Path) -> str:
    try:
        if str(file) == "-":
            content = streams.stdin.buffer.read(_MAX_BYTES + 1)
        else:
            with file.expanduser().open("rb") as opened_file:
                content = opened_file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}.", hint="Name a CSV file.") from None
    if len(content) > _MAX_BYTES:
        raise UsageError(f"{file} is longer than 4 MiB.", hint="Import it in parts.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = content.count(b"\n", 0, error.start) + 1
        raise UsageError(f"Line {number} of {file} is not UTF-8.", hint="Save it as `CSV UTF-8`.") from None


def _parse(text: str) -> tuple[list[_Line], list[tuple[int, str]]]:
    """The lines that can be imported, and the numbers of those that cannot, with the reasons."""
    lines: list[_Line] = []
    faults: list[tuple[int, str]] = []
    seen: dict[str, int] = {}
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True)
    number = 0
    try:
        for row in reader:
            number, before = reader.line_num, number
            cells = [cell.strip() for cell in row]
            is_header = not before and tuple(cell.lower() for cell in cells) == _HEADER[: len(cells)]
            if not any(cells) or is_header:
                continue
            line = _line(number, cells)
            if isinstance(line, str):
                faults.append((number, line))
            elif (first := seen.setdefault(name_key(line.name), number)) != number:
                faults.append((number, f"{line.name} is in line {first} already"))
            else:
                lines.append(line)
    except csv.Error as error:
        faults.append((number + 1, f"it is not CSV: {error}"))
    return lines, faults


def _line(number: int, cells: Sequence[str]) -> _Line | str:
    """One line, or why it cannot be imported. No password is repeated."""
    if len(cells) > len(_HEADER):
        return f"{len(cells)} columns instead of name, role, password and group"
    name, role, password, group = (*cells, "", "", "")[:4]
    if not is_valid(name):
        hint = "; columns are separated by commas" if ";" in name or "\t" in name else ""
        return f"{name[:64]!r} is not a valid user name{hint}" if name else "the name is missing"
    if role and role.lower() not in list(Role):
        return f"{role[:64]!r} is not a role: use {', '.join(Role)}"
    if password:
        try:
            check(password)
        except PasswordError as error:
            return str(error).rstrip(".").replace("A password", "the password")
    if group and not is_valid(group):
        return f"{group[:64]!r} is not a valid name for a group"
    known_role, is_generated = Role(role.lower() or "student"), not password
    return _Line(number, name, known_role, password or _generate(), is_generated, group or None)


def _generate() -> str:
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(_GROUP_LENGTH)) for _ in range(_GROUPS))


def _refused(common: Common, streams: Streams, file: Path, faults: Sequence[tuple[int, str]]) -> UsageError:
    """The error; people get a line for each fault before it, programs get them in its message."""
    shown = [f"line {number}: {why}" for number, why in faults[:_SHOWN]]
    if len(faults) > _SHOWN:
        shown.append(f"and {len(faults) - _SHOWN} more")
    if not common.json:
        streams.write_error("".join(f"{one_line(line)}\n" for line in shown))
    what = "1 line" if len(faults) == 1 else f"{len(faults)} lines"
    listed = f": {'; '.join(shown)}" if common.json else ""
    return UsageError(
        f"{what} of {file} cannot be imported{listed}.",
        hint="Nothing was imported. Correct the file and try again; `--dry-run` only checks it.",
    )


# -- adding ---------------------------------------------------------------------------------------


def _check_output(output: Path | None) -> None:
    """Find out whether the passwords can be written, before there are any.

    Raises:
        UsageError: they cannot.
    """
    if output is None:
        return
    if output.exists() or output.is_symlink():
        raise UsageError(f"{output} exists.", hint="Passwords are written to a new file: choose another --output.")
    try:
        check_writable(output)
    except OSError as error:
        raise UsageError(f"{output} cannot be written: {error.strerror}.", hint="Choose another --output.") from None


def _add(users: Users, lines: Sequence[_Line], output: Path | None) -> None:
    """Add all users, or none. The file is written first, so that no password is lost."""
    passwords = Passwords(PasswordCost())
    threads = max(1, min(_MAX_THREADS, len(os.sched_getaffinity(0))))
    with ThreadPoolExecutor(threads, thread_name_prefix="argon2") as pool:
        hashes = list(pool.map(passwords.hash, [line.password for line in lines]))
    new = [NewUser(line.name, hashed, line.role, line.group) for line, hashed in zip(lines, hashes, strict=True)]
    if output is not None:
        try:
            write_atomically(output, _table(lines).encode(), mode=0o600, durable=True, replace=False)
        except OSError as error:
            raise UsageError(f"{output} cannot be written: {error.strerror}.", hint="Nothing was imported.") from None
    try:
        if new:
            users.add_all(new)
    except BaseException as error:
        if output is not None:
            with suppress(OSError):
                output.unlink()
        if isinstance(error, UserExistsError):
            raise UsageError(
                f"User {error.name} was added meanwhile.", hint="Nothing was imported. Try again."
            ) from None
        raise


def _table(lines: Sequence[_Line]) -> str:
    """The generated passwords, as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("name", "password"))
    writer.writerows((line.name, line.password) for line in lines if line.is_generated)
    return text.getvalue()


def _tell(common: Common, streams: Streams, lines: Sequence[_Line], output: Path | None, *, dry_run: bool) -> None:
    generated = sum(line.is_generated for line in lines)
    if common.json:
        shows = output is None and not dry_run
        rows = [
            {
                "name": line.name,
                "role": line.role,
                **({} if line.group is None else {"group": line.group}),
                **({"password": line.password} if shows and line.is_generated else {}),
            }
            for line in lines
        ]
        streams.print_json({"users": rows, "dry_run": dry_run, "output": None if output is None else str(output)})
        return
    if output is None and generated and not dry_run:
        streams.write(_table(lines))
    if not common.quiet:
        users = "1 user" if len(lines) == 1 else f"{len(lines)} users"
        done = f"{users} can be imported" if dry_run else f"Added {users}"
        where = f"; {generated} generated passwords are in {output}" if output and generated and not dry_run else ""
        streams.write_error(f"{done}{where}.\n")
