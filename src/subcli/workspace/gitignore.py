"""Decides which files ``.gitignore`` files exclude, as git does (gitignore(5)).

The files in parent directories apply too, up to the directory that contains ``.git``, so `subcli submit src/` skips
what git would skip. pathspec is imported only if there is a ``.gitignore``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

NAME: Final = ".gitignore"
_MAX_BYTES: Final = 64 * 1024


class GitignoreMatcher:
    """The ``.gitignore`` rules that apply below one directory.

    Args:
        directory: Where the walk starts.
    """

    def __init__(self, directory: Path) -> None:
        self._specs: dict[Path, GitIgnoreSpec] = {}
        top = directory.resolve()
        candidates = [top, *top.parents]
        root = next((index for index, parent in enumerate(candidates) if (parent / ".git").exists()), None)
        for parent in candidates[: root + 1] if root is not None else [top]:
            self.enter(parent)

    def enter(self, directory: Path) -> None:
        """Read the ``.gitignore`` of another directory, if it has one."""
        directory = directory.resolve()
        if directory in self._specs or not (directory / NAME).is_file():
            return
        try:
            with (directory / NAME).open(encoding="utf-8", errors="replace") as file:
                lines = file.read(_MAX_BYTES).splitlines()
        except OSError:
            return
        from pathspec import GitIgnoreSpec

        self._specs[directory] = GitIgnoreSpec.from_lines(lines)

    def __call__(self, path: Path, *, is_dir: bool) -> bool:
        """Whether ``path`` is excluded. The nearest ``.gitignore`` decides, and in it the last matching pattern."""
        if not self._specs:
            return False
        whole = path.parent.resolve() / path.name
        for parent in whole.parents:
            spec = self._specs.get(parent)
            if spec is not None:
                name = whole.relative_to(parent).as_posix()
                decided = spec.check_file(f"{name}/" if is_dir else name).include
                if decided is not None:
                    return decided
        return False
