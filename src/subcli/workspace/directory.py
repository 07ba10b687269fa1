"""The files of a directory that are submitted, and what is left out of it.

Left out are files that are not source code:

- hidden files and directories, and what ``.gitignore`` files exclude;
- generated files: :data:`MADE_DIRECTORIES`, :data:`MADE_FILES`, virtual environments and cache directories, unless a
  ``!`` pattern of a ``.gitignore`` includes it;
- anything that is neither a file nor a directory, and dangling links.

Nothing is left out silently: :attr:`Walk.left_out` names it. What cannot be read is an error, and so is a link that
must not be followed (:mod:`subcli.workspace.links`).
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from subcli.core.errors import UsageError
from subcli.settings.files import PROJECT_FILE
from subcli.shared.platform import HERE
from subcli.workspace.gitignore import GitignoreMatcher, is_file
from subcli.workspace.links import LinkRules, working_tree

MADE_DIRECTORIES: Final = ("__pycache__", "node_modules", "bower_components", "__MACOSX", "CMakeFiles", "*.egg-info")
"""Directories that tools make, by their names."""

MADE_FILES: Final = (
    *("*.py[cod]", "*.class", "*.o", "*.obj", "*.a", "*.so", "*.so.*", "*.dylib", "*.dll", "*.lib", "*.exe", "*.pdb"),
    *("a.out", "*~", "*.bak", "*.orig", "*.swp", "Thumbs.db", "desktop.ini"),
)
"""Files that compilers, editors and desktops make."""

_MARKERS: Final = ("pyvenv.cfg", "CACHEDIR.TAG")
"""Files that mark their directory: a virtual environment, or a cache (https://bford.info/cachedir/), which Cargo's
``target`` is as well."""

_OF_THE_DIRECTORY: Final = frozenset({".git", ".gitignore", ".gitattributes", ".gitmodules", ".DS_Store", PROJECT_FILE})
"""Hidden files about the directory itself. Nobody expects them to be submitted, so they are not mentioned."""


class Walk:
    """Walks one directory.

    Args:
        directory: where the walk begins. Its own name does not matter: the user chose it.
        links: which links to follow.

    Attributes:
        left_out: what was left out so far, relative to the directory; the names of directories end with ``/``.
    """

    def __init__(self, directory: Path, links: LinkRules) -> None:
        self.left_out: list[str] = []
        self._top = directory
        self._inside = directory.resolve()
        self._links = links
        self._tree = working_tree(self._inside, links.cwd)
        self._ignored = GitignoreMatcher(directory)

    def files(self) -> Iterator[tuple[Path, Path]]:
        """Yield the files to submit, sorted by name within each directory, each with its path without links.

        Raises:
            UsageError: something cannot be read, or is a link that must not be followed or leads back into itself.
        """
        try:
            yield from self._below(self._top, (self._inside,))
        except OSError as error:
            raise UsageError(
                f"{error.filename} cannot be read: {error.strerror or error}.",
                hint="Fix that, or list it in `.gitignore`.",
            ) from None

    def _below(self, here: Path, above: tuple[Path, ...]) -> Iterator[tuple[Path, Path]]:
        """``above``: the directories on the way here, the last one ``here``; all without links."""
        self._ignored.enter(here)
        directories: list[tuple[Path, Path]] = []
        for path in sorted(here.iterdir()):
            is_dir = path.is_dir()
            if self._is_left_out(path, is_dir=is_dir):
                self._leave_out(path, is_dir=is_dir)
                continue
            target = above[-1] / path.name
            if HERE.files.is_link(path):
                target = self._links.follow(target, self._tree, shown=path)
                if target in above:
                    raise UsageError(
                        f"{path} is a link to a directory that contains it.", hint="List it in `.gitignore`."
                    )
            if is_dir:
                directories.append((path, target))
            else:
                yield path, target
        for path, target in directories:
            yield from self._below(path, (*above, target))

    def _is_left_out(self, path: Path, *, is_dir: bool) -> bool:
        if path.name.startswith(".") or not (is_dir or path.is_file()):
            return True
        ignored = self._ignored(path, is_dir=is_dir)
        return _is_made(path, is_dir=is_dir) if ignored is None else ignored

    def _leave_out(self, path: Path, *, is_dir: bool) -> None:
        if path.name not in _OF_THE_DIRECTORY:
            self.left_out.append(path.relative_to(self._top).as_posix() + "/" * is_dir)


def _is_made(path: Path, *, is_dir: bool) -> bool:
    if not is_dir:
        return _matches(path.name, MADE_FILES)
    return _matches(path.name, MADE_DIRECTORIES) or any(is_file(path / marker) for marker in _MARKERS)


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
