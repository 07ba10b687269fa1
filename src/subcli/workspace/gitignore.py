"""Tells which files the ``.gitignore`` files exclude, as git does (gitignore(5)).

Those of the directories above count as well, up to the one that holds ``.git``: `subcli submit src/` leaves out what
git would. Where there is no such file the library that reads them is not even imported.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

NAME: Final = ".gitignore"
_FILE_MAX: Final = 64 * 1024


class Ignored:
    """The ``.gitignore`` files that count for what is below one directory.

    Args:
        directory: where the walk begins.
    """

    def __init__(self, directory: Path) -> None:
        self._specs: dict[Path, GitIgnoreSpec] = {}
        top = directory.resolve()
        above = [top, *top.parents]
        root = next((index for index, parent in enumerate(above) if (parent / ".git").exists()), None)
        for parent in above[: root + 1] if root is not None else [top]:
            self.enter(parent)

    def enter(self, directory: Path) -> None:
        """Read the file of one more directory, if it has one."""
        directory = directory.resolve()
        if directory in self._specs or not (directory / NAME).is_file():
            return
        try:
            with (directory / NAME).open(encoding="utf-8", errors="replace") as file:
                lines = file.read(_FILE_MAX).splitlines()
        except OSError:
            return
        from pathspec import GitIgnoreSpec

        self._specs[directory] = GitIgnoreSpec.from_lines(lines)

    def __call__(self, path: Path, *, is_dir: bool) -> bool:
        """Whether ``path`` is left out. The file nearest to it decides; within a file the last pattern that fits."""
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
