"""What of the file system a solution sees: read-only, and only what its language needs.

The system's programs and libraries, the Python and the programs that the problem's commands name, the submission
itself. Not the home directories, not /etc but for what the linker reads, not /var, not the server's data, not the
problems: where one of those lies inside of something that is shown, an empty directory lies over it.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from subcli.judge.problem import SHIMS, Language, Problem

_PACKAGE: Final = Path(__file__).parents[2]
_MERGED: Final = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
"""Directories of their own, or symbolic links into /usr."""
_LINKER: Final = ("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives")
_STORES: Final = ("/nix/store", "/gnu/store")
_SYSTEM_PATH: Final = ("/usr/local/bin", "/usr/bin", "/bin")


@dataclass(frozen=True)
class SandboxView:
    """What is mounted, each by the place where it is seen."""

    shown: tuple[str, ...]
    """Directories and files, at their own place."""
    links: tuple[tuple[str, str], ...]
    """Symbolic links: where each leads, where it is."""
    hidden: tuple[str, ...]
    """Directories that lie inside of something shown, and are not to be seen."""
    uncovered: tuple[str, ...]
    """What is shown although it lies inside of something hidden."""
    path: str
    """Where programs are looked for."""


def unreachable(view: SandboxView) -> str | None:
    """Something shown that a user who owns nothing cannot get at; None where all of it can be had.

    Nothing is mounted or copied to get around that: the judge mounts nothing itself. What it cleans up as root must
    never lead anywhere else.
    """
    return next((name for name in (*view.shown, *view.uncovered) if not enterable(Path(name))), None)


def enterable(path: Path) -> bool:
    """Whether a user who owns nothing gets as far as `path` and may read it."""
    path = path.resolve()
    needed = 0o005 if path.is_dir() else 0o004
    try:
        return path.stat().st_mode & needed == needed and all(each.stat().st_mode & 0o001 for each in path.parents)
    except OSError:
        return False


def view_for(problem: Problem, language: Language, hidden: Iterable[Path] = ()) -> SandboxView:
    """What a solution of `problem` in `language` sees, save the submission itself.

    Arguments:
        hidden: more that is never to be seen, such as the server's data.
    """
    shown = [Path("/usr")]
    links: list[tuple[str, str]] = []
    for name in _MERGED:
        path = Path(name)
        if path.is_symlink():
            links.append((os.readlink(path), name))
        elif path.is_dir():
            shown.append(path)
    shown += [Path(name) for name in (*_LINKER, *_STORES) if Path(name).exists()]
    directories: list[str] = []
    for program in _programs(language):
        directories.append(str(program.parent))
        shown += _around(program.resolve())
    for path in _python():
        if path.is_symlink():
            links.append((str(path.resolve()), str(path)))
        else:
            shown.append(path)
    kept = _outermost(shown)
    secrets = [_PACKAGE, problem.root, *hidden]
    covered = _outermost(path.resolve() for path in secrets if _is_within(path.resolve(), kept) and path.is_dir())
    return SandboxView(
        shown=tuple(map(str, kept)),
        links=tuple(link for link in links if not _is_within(Path(link[1]), kept)),
        hidden=tuple(map(str, covered)),
        uncovered=(str(SHIMS),),
        path=os.pathsep.join(dict.fromkeys((*directories, *_SYSTEM_PATH))),
    )


def _programs(language: Language) -> Iterator[Path]:
    """The programs that the language's commands name, where they are installed."""
    for name in dict.fromkeys((*language.requires, *language.build[:1], *language.run[:1])):
        found = shutil.which(name) if "{" not in name and not name.startswith(".") else None
        if found:
            yield Path(found)


def _around(program: Path) -> list[Path]:
    """The program, and where it looks like the `bin` of an installation, all of that."""
    prefix = program.parent.parent
    is_installation = program.parent.name == "bin" and (prefix / "lib").is_dir()
    if is_installation and not _is_personal(prefix):
        return [prefix]
    return [program]


def _is_personal(directory: Path) -> bool:
    """Whether more than programs lies there: a home directory, its ~/.local, the root."""
    home = Path.home()
    return directory in (home, home / ".local", *home.parents) or directory.parent == Path("/home")


def _python() -> Iterator[Path]:
    """The interpreter that runs this, as far as a solution needs it: not a virtual environment's packages."""
    base = Path(sys.base_prefix)
    yield base.resolve()
    if base != base.resolve():
        yield base
    executable = Path(sys.executable)
    if sys.prefix != sys.base_prefix:
        yield executable
        # Says where the rest of the interpreter is.
        yield Path(sys.prefix) / "pyvenv.cfg"


def _outermost(paths: Iterable[Path]) -> list[Path]:
    kept: list[Path] = []
    for path in sorted(set(paths)):
        if not _is_within(path, kept):
            kept.append(path)
    return kept


def _is_within(path: Path, directories: Iterable[Path]) -> bool:
    return any(path == directory or directory in path.parents for directory in directories)
