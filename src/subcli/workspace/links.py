"""Which links may be followed on the way to a file that is submitted.

Code may come from strangers, as in a pull request: a link in it may lead to any file of the user who submits it, and
the judge's answer may print that file into a public log. So nothing outside the working tree is read through a link,
and inside it nothing that is hidden or that git ignores, such as ``.git/config``, which contains a token in many CI
systems. This holds for the command line, project files and the contents of directories alike. For the same reason
nothing is written through such a link.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from subcli.core.errors import UsageError
from subcli.settings.files import PROJECT_FILE
from subcli.shared.platform import HERE
from subcli.workspace.gitignore import GitignoreMatcher, is_file

_NOT_THROUGH: Final = "Nothing is written there: remove the link, or name the file that it leads to."
_HINT: Final = "Replace it with a copy; `--follow-links` follows it anyway."


def working_tree(directory: Path, cwd: Path) -> Path:
    """The working tree around a directory.

    It is the repository, else the directory of the project file, else the working directory; a directory that is in
    none of these is its own tree.

    Args:
        directory, cwd: without links in them.
    """
    candidates = (directory, *directory.parents)
    for candidate in candidates:
        if os.path.lexists(candidate / ".git"):
            return candidate
    for candidate in candidates:
        if is_file(candidate / PROJECT_FILE):
            return candidate
    return cwd if cwd in candidates else directory


def why_private(path: Path, below: Path) -> str:
    """Why ``path`` is not submitted unless the command line names it: ``hidden``, ``ignored by git`` or nothing.

    Args:
        path: without links in it.
        below: a directory above it; only names below this one count.
    """
    parts = path.relative_to(below).parts
    if any(part.startswith(".") for part in parts):
        return "hidden"
    ignored = GitignoreMatcher(below)
    here = below
    for part in parts:
        ignored.enter(here)
        here /= part
        if ignored(here, is_dir=here.is_dir()):
            return "ignored by git"
    return ""


class LinkRules:
    """Decides on each link.

    Args:
        cwd: the working directory.
        follow: follow every link; the user says so.
    """

    def __init__(self, cwd: Path, *, follow: bool = False) -> None:
        self.cwd = cwd.resolve()
        self._follow = follow

    def resolve(self, path: Path, base: Path) -> Path:
        """``path`` without links in it.

        Args:
            path: as it was named; it need not exist.
            base: what it is relative to, without links.

        Raises:
            UsageError: one of its links must not be followed.
        """
        here = Path(path.anchor) if path.is_absolute() else base
        for part in path.parts[bool(path.anchor) :]:
            if part == "..":
                here = here.parent
                continue
            here /= part
            if HERE.files.is_link(here):
                here = self.follow(here, working_tree(here.parent, self.cwd), shown=path)
        return here

    def follow(self, link: Path, tree: Path, *, shown: Path) -> Path:
        """Where a link leads.

        Args:
            link: lies in a directory without links in its path.
            tree: the working tree, without links.
            shown: the name of the link in error messages.

        Raises:
            UsageError: it must not be followed.
        """
        try:
            target = link.resolve()
            leads_to_itself = HERE.files.is_link(target)
        except (OSError, RuntimeError):  # Python 3.12 and earlier
            leads_to_itself = True
        if leads_to_itself:
            raise UsageError(f"{shown} is a link that leads to itself.", hint="Check the path.")
        if self._follow:
            return target
        if not target.is_relative_to(tree):
            kind = "directory" if target.is_dir() else "file"
            raise UsageError(f"{shown} is a link to a {kind} outside {tree}.", hint=_HINT)
        # The common part of link and target was named together with the link.
        common = Path(os.path.commonpath([link.parent, target]))
        if why := why_private(target, common):
            raise UsageError(f"{shown} is a link to {target.relative_to(tree)}, which is {why}.", hint=_HINT)
        return target


def check_written(path: Path, cwd: Path) -> None:
    """Check that writing ``path`` writes nothing that a link in the working tree chose.

    Links elsewhere are the user's own, such as ``/dev/stdout``.

    Args:
        path: as it was named; it need not exist.
        cwd: the working directory.

    Raises:
        UsageError: one of its links leads out of the working tree, or to something hidden in it.
    """
    base = cwd.resolve()
    tree = working_tree(base, base)
    here = Path(path.anchor) if path.is_absolute() else base
    for part in path.parts[bool(path.anchor) :]:
        here = here.parent if part == ".." else here / part
        if not HERE.files.is_link(here):
            continue
        link, here = here, Path(os.path.realpath(here))
        if not link.is_relative_to(tree):
            continue
        if not here.is_relative_to(tree):
            raise UsageError(f"{path} leads through a link out of {tree}.", hint=_NOT_THROUGH)
        if any(name.startswith(".") for name in here.relative_to(tree).parts):
            raise UsageError(f"{path} leads through a link to something hidden.", hint=_NOT_THROUGH)
