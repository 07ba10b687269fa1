"""Decides which files ``.gitignore`` files exclude, as git does (gitignore(5)).

The files in parent directories apply too, up to the directory that contains ``.git``, so `subcli submit src/` skips
what git would skip. Below them come ``.git/info/exclude`` and the user's own ``git/ignore``, or what the configuration
names instead. pathspec is imported only if there is one of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from subcli.core.errors import UsageError

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

NAME: Final = ".gitignore"
_MAX_BYTES: Final = 1024 * 1024
_UTF16_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")


class GitignoreMatcher:
    """The ``.gitignore`` rules that apply below one directory.

    Args:
        directory: Where the walk starts.

    Raises:
        UsageError: A ``.gitignore`` cannot be understood. Files that it excludes, perhaps secrets, must not be
        submitted.
    """

    def __init__(self, directory: Path) -> None:
        self._specs: dict[Path, GitIgnoreSpec] = {}
        self._besides: list[GitIgnoreSpec] = []
        top = directory.resolve()
        candidates = [top, *top.parents]
        root = next((index for index, parent in enumerate(candidates) if (parent / ".git").exists()), None)
        for parent in candidates[: root + 1] if root is not None else [top]:
            self.enter(parent)
        self._root = candidates[root or 0]
        for file in _excluding(self._root) if root is not None else ():
            if is_file(file) and (patterns := _read(file)):
                self._besides.append(patterns)

    def enter(self, directory: Path) -> None:
        """Read the ``.gitignore`` of another directory, if it has one.

        Raises:
            UsageError: It cannot be understood.
        """
        directory = directory.resolve()
        if directory not in self._specs and is_file(directory / NAME) and (patterns := _read(directory / NAME)):
            self._specs[directory] = patterns

    def __call__(self, path: Path, *, is_dir: bool) -> bool | None:
        """Whether ``path`` is excluded, or included by a ``!`` pattern; ``None`` if no pattern mentions it.

        The nearest ``.gitignore`` decides, and in it the last matching pattern.
        """
        if not self._specs and not self._besides:
            return None
        whole = path.parent.resolve() / path.name
        for parent in whole.parents:
            spec = self._specs.get(parent)
            if spec is not None:
                decided = _decide(spec, whole, parent, is_dir=is_dir)
                if decided is not None:
                    return decided
        if whole.is_relative_to(self._root):
            for spec in self._besides:
                decided = _decide(spec, whole, self._root, is_dir=is_dir)
                if decided is not None:
                    return decided
        return None


def _decide(spec: GitIgnoreSpec, path: Path, top: Path, *, is_dir: bool) -> bool | None:
    name = path.relative_to(top).as_posix()
    return spec.check_file(f"{name}/" if is_dir else name).include


def _excluding(root: Path) -> tuple[Path, ...]:
    """The files of patterns besides ``.gitignore``, if a repository begins here."""
    # A single file is submitted without asking whether it is ignored.
    from subcli.workspace.repository import Repository

    repository = Repository.at(root)
    return () if repository is None else repository.exclude_files()


def is_file(path: Path) -> bool:
    """Whether ``path`` is a file; not if its directory cannot be searched."""
    try:
        return path.is_file()
    except OSError:
        return False


def _read(path: Path) -> GitIgnoreSpec | None:
    """The patterns in a file; ``None`` if there are none, as in the file that `git init` makes."""
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}.", hint="Check its permissions.") from None
    if data.startswith(_UTF16_MARKS):
        # PowerShell's `>` writes such files.
        raise UsageError(f"{path} is UTF-16, which git does not read either.", hint="Save it as UTF-8.")
    if len(data) > _MAX_BYTES:
        raise UsageError(f"{path} is larger than {_MAX_BYTES // 1024} KiB.", hint="Shorten it.")
    # As git does: the byte order mark is not part of the first pattern, and only \n ends a line.
    lines = [line.removesuffix("\r") for line in data.decode("utf-8-sig", "surrogateescape").split("\n")]
    if all(not line or line.startswith("#") for line in lines):
        return None
    from pathspec import GitIgnoreSpec

    return GitIgnoreSpec.from_lines(line for line in lines if _is_pattern(line))


def _is_pattern(line: str) -> bool:
    """Whether git accepts the line as a pattern; it ignores invalid ones."""
    from pathspec import GitIgnoreSpec

    try:
        GitIgnoreSpec.from_lines([line])
    except ValueError:
        return False
    return True
