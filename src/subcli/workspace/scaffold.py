"""Writes what a server offers: a directory for ``subcli init`` with its ``.subcli.toml``, or submitted code.

Neither the server's file names nor the directory's links, which may be a stranger's, are trusted: nothing is written
outside the directory or through a link, no hidden file is created, and an existing file is overwritten only on request.
"""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Final

from subcli.core.errors import ServerError, UsageError
from subcli.settings.files import PROJECT_FILE
from subcli.shared.encoding import INVISIBLE
from subcli.shared.platform import HERE
from subcli.shared.platform.files import Files
from subcli.workspace.links import LinkRules

_MAX_FILES: Final = 200
_MAX_DEPTH: Final = 4
_INVISIBLE: Final = re.compile(f"[{INVISIBLE}]")
_LONGEST_NAME: Final = 200
_LONGEST_PART_BYTES: Final = 255
"""NAME_MAX of Linux."""
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
"""Keys that need no quotes (TOML 1.0, "Keys")."""
_UNWRITABLE: Final = "The server offers settings for `subcli test` that cannot be written."
_ANOTHER: Final = "Choose another directory: `subcli init P DIR`."


def make_workspace(
    directory: Path,
    files: Mapping[str, str],
    *,
    problem: str,
    language: str,
    submitted: Sequence[str],
    test: Mapping[str, Any] | None = None,
) -> list[Path]:
    """Write the files and the project file.

    Args:
        directory: Created if it does not exist. It must not contain any of the files.
        files: Maps each path within the directory to its text.
        problem, language: Recorded in the project file.
        submitted: The files that ``subcli submit`` will submit.
        test: What ``subcli test`` judges with; it becomes the table ``[test]``.

    Returns:
        The paths written, in order.

    Raises:
        UsageError: A file already exists, a link is in the way, or the directory cannot be written.
        ServerError: The server offers too many files, or an unsafe file name.
    """
    if len(files) > _MAX_FILES:
        raise ServerError(f"The server offers {len(files)} files; the limit is {_MAX_FILES}.")
    texts = {_inside(name): text for name, text in files.items()}
    texts[PurePosixPath(PROJECT_FILE)] = _project_file(problem, language, submitted, test)
    return write_new(directory, texts, _ANOTHER)


def write_new(directory: Path, texts: Mapping[PurePosixPath, str], hint: str) -> list[Path]:
    """Write files that do not exist, and through no link.

    Args:
        directory: Created if it does not exist. It must not contain any of the files.
        texts: The text of each file, by its path within the directory.
        hint: What to do if that is not possible.

    Returns:
        The paths written, in order.

    Raises:
        UsageError: A file already exists, a link is in the way, or the directory cannot be written.
    """
    _check_links(directory, texts, hint)
    for name in texts:
        if os.path.lexists(directory / name):
            raise UsageError(f"{directory / name} already exists.", hint=hint)
    try:
        for name, text in texts.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            # "x" does not follow a link created in the meantime.
            with path.open("x", encoding="utf-8", errors="replace", newline="") as file:
                file.write(text)
    except OSError as error:
        raise _cannot_write(directory, error) from None
    return [directory / name for name in texts]


def write_submission(directory: Path, files: Mapping[str, str], *, force: bool = False) -> list[Path]:
    """Write what was submitted, as :func:`make_workspace` does with what the server offers.

    Args:
        directory: Created if it does not exist.
        files: Maps each path within the directory to its text.
        force: Replace files that exist. Links are never followed.

    Returns:
        The paths written, in order.

    Raises:
        UsageError: A file already exists, a link or a directory is in the way, or the directory cannot be written.
        ServerError: The server offers too many files, or an unsafe file name.
    """
    if len(files) > _MAX_FILES:
        raise ServerError(f"The server offers {len(files)} files; the limit is {_MAX_FILES}.")
    texts = {_inside(name): text for name, text in files.items()}
    if not force:
        return write_new(directory, texts, "Choose another directory, or add `--force`.")
    _check_links(directory, texts, "Choose another directory.")
    try:
        for name, text in texts.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            _replace(path, text)
    except OSError as error:
        raise _cannot_write(directory, error) from None
    return [directory / name for name in texts]


def _replace(path: Path, text: str) -> None:
    """Put a new file in the place of one: what is there may have another name elsewhere, or be a pipe.

    Raises:
        OSError: it cannot be written, or a link or a directory is there.
    """
    if path.is_symlink():
        raise FileExistsError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    draft = path.with_name(f".subcli-{os.urandom(8).hex()}")
    try:
        with draft.open("x", encoding="utf-8", errors="replace", newline="") as file:
            file.write(text)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def is_safe_name(name: str, system: Files = HERE.files) -> bool:
    """Whether a file with this name may be written: within the directory, and neither it nor a parent is hidden.

    Nor does it look like an option to a command that is called with `*`, or like another name.

    Args:
        name: a path within the directory, of any system.
        system: knows what other names mean something else.
    """
    parts = name.split("/")
    return len(name) <= _LONGEST_NAME and all(_is_safe_part(part) and system.is_name(part) for part in parts)


def _is_safe_part(part: str) -> bool:
    is_plain = part.isprintable() and "\\" not in part and not _INVISIBLE.search(part)
    return is_plain and bool(part) and part[0] not in ".-" and len(part.encode()) <= _LONGEST_PART_BYTES


def _cannot_write(directory: Path, error: OSError) -> UsageError:
    return UsageError(f"{directory} cannot be written: {error.strerror or error}.", hint="Choose another.")


def _check_links(directory: Path, names: Iterable[PurePosixPath], hint: str) -> None:
    """Refuse links in the directory, itself included, and on the way to it those that leave the working tree."""
    links = LinkRules(Path.cwd())
    links.resolve(directory.parent, links.cwd)
    for path in {directory, *(directory / parent for name in names for parent in name.parents)}:
        if HERE.files.is_link(path):
            raise UsageError(f"{path} is a link, and nothing is written through it.", hint=hint)


def _inside(name: str) -> PurePosixPath:
    if not is_safe_name(name):
        raise ServerError(f"The server offers a file with an unsafe name: {name[:80]!r}.", hint="Nothing was written.")
    return PurePosixPath(name)


def _project_file(problem: str, language: str, submitted: Sequence[str], test: Mapping[str, Any] | None) -> str:
    """The project file. JSON strings, and lists of them, are valid TOML (TOML 1.0, "String", "Array")."""
    return (
        "# What `subcli submit` submits from this directory.\n"
        f"problem = {json.dumps(problem, ensure_ascii=False)}\n"
        f"language = {json.dumps(language, ensure_ascii=False)}\n"
        f"files = {json.dumps(list(submitted), ensure_ascii=False)}\n"
    ) + ("".join(_table(("test",), test)) if test else "")


def _table(keys: tuple[str, ...], values: Mapping[str, Any]) -> Iterator[str]:
    """A table with its subtables.

    Raises:
        ServerError: It has a value that TOML does not know, or that is no part of such a table.
    """
    if len(keys) > _MAX_DEPTH:
        raise ServerError(_UNWRITABLE)
    if not values or not all(isinstance(value, dict) for value in values.values()):
        yield f"\n[{'.'.join(map(_key, keys))}]\n"
    for name, value in values.items():
        if not isinstance(value, dict):
            yield f"{_key(name)} = {_value(value)}\n"
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _table((*keys, name), value)


def _key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else json.dumps(name, ensure_ascii=False)


def _value(value: object) -> str:
    parts = value if isinstance(value, list) else [value]
    if not all(isinstance(part, str | int | float) for part in parts) or not all(map(_is_finite, parts)):
        raise ServerError(_UNWRITABLE)
    return json.dumps(value, ensure_ascii=False)


def _is_finite(value: object) -> bool:
    return not isinstance(value, float) or value - value == 0
