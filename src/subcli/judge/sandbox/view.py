"""What a solution sees of the file system: only what its language needs, read-only.

Visible are the system's programs and libraries, Python, the programs that the problem's commands name, and the
submission itself. Not visible are home directories, /var, the server's data, the problems, and /etc except for what the
linker reads. If one of those is inside a visible directory, an empty directory is mounted over it.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from subcli.judge.grader.packages import package_paths
from subcli.judge.languages.language import SHIMS, Language
from subcli.judge.problem import Problem
from subcli.judge.process.starter import GRADE, HOST

_PACKAGE: Final = Path(__file__).parents[2]
_MERGED: Final = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
"""Directories of their own, or symbolic links into /usr."""
_LINKER: Final = ("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives")
_RUNTIMES: Final = ("fpc.cfg", "fpc-*.cfg", "mono")
"""In /etc: the configuration of language runtimes that read it there without a link."""
_MAX_LINKS: Final = 2_000
"""How many entries of an installation are searched for links that lead out of it."""
_STORES: Final = ("/nix/store", "/gnu/store")
_SYSTEM_PATH: Final = ("/usr/local/bin", "/usr/bin", "/bin")


@dataclass(frozen=True)
class SandboxView:
    """What is mounted in the sandbox, and where."""

    shown: tuple[str, ...]
    """Directories and files, at the same path as outside."""
    links: tuple[tuple[str, str], ...]
    """Symbolic links, as pairs of target and path."""
    hidden: tuple[str, ...]
    """Directories inside a shown one that must not be visible."""
    uncovered: tuple[str, ...]
    """What is shown although it is inside a hidden directory."""
    path: str
    """The search path for programs."""


def unreachable(view: SandboxView) -> str | None:
    """The first shown path that an unprivileged user cannot reach; None if all can be reached.

    The judge does not work around that by mounting or copying: it mounts nothing itself, so that cleaning up as root
    can never remove anything else.
    """
    return next((name for name in (*view.shown, *view.uncovered) if not enterable(Path(name))), None)


def enterable(path: Path) -> bool:
    """Whether an unprivileged user can reach and read `path`."""
    path = path.resolve()
    needed = 0o005 if path.is_dir() else 0o004
    try:
        return path.stat().st_mode & needed == needed and all(each.stat().st_mode & 0o001 for each in path.parents)
    except OSError:
        return False


def view_for(
    problem: Problem, language: Language, hidden: Iterable[Path] = (), readable: Iterable[Path] = ()
) -> SandboxView:
    """What a solution of `problem` in `language` sees, apart from the submission itself.

    Args:
        problem: Its directory is hidden, and so is the one that it is a copy of.
        language: Its programs are shown.
        hidden: More directories to hide, such as the server's data.
        readable: More files and directories to show, where they are not hidden.
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
        around = _around(program.resolve())
        shown += around
        shown += _linked_configuration(around)
    shown += [path for pattern in _RUNTIMES for path in sorted(Path("/etc").glob(pattern))]
    for path in readable:
        # Never mounted under another name, where what must be hidden in it would not be covered.
        shown.append(path.resolve())
        if path != path.resolve():
            links.append((str(path.resolve()), str(path)))
    for path in _python():
        if path.is_symlink():
            links.append((str(path.resolve()), str(path)))
        else:
            shown.append(path)
    if problem.grader is not None:
        shown += _python_programs()
        shown += package_paths(problem.grader.packages)
    kept = outermost(shown)
    secrets = [_PACKAGE, problem.root, problem.origin, *hidden]
    covered = outermost(path.resolve() for path in secrets if _is_within(path.resolve(), kept) and path.is_dir())
    return SandboxView(
        shown=tuple(map(str, kept)),
        links=tuple(link for link in links if not _is_within(Path(link[1]), kept)),
        hidden=tuple(map(str, covered)),
        uncovered=(str(SHIMS), str(HOST), str(GRADE)) if problem.is_hosted else (str(SHIMS),),
        path=os.pathsep.join(dict.fromkeys((*directories, *_SYSTEM_PATH))),
    )


def _programs(language: Language) -> Iterator[Path]:
    """The programs that the language's commands start, if they are installed."""
    for name in dict.fromkeys((*language.programs, *language.tools)):
        if found := shutil.which(name):
            yield Path(found)


def _around(program: Path) -> list[Path]:
    """The program; or its whole installation, if it is in the `bin` directory of one."""
    prefix = program.parent.parent
    is_installation = program.parent.name == "bin" and (prefix / "lib").is_dir()
    if is_installation and not _is_personal(prefix):
        return [prefix]
    return [program]


def _linked_configuration(installation: Iterable[Path]) -> Iterator[Path]:
    """What an installation keeps in /etc behind links: Debian's OpenJDK has its `conf/` in /etc/java-17-openjdk.

    A directory below /etc that bears the installation's name is its own, and is shown whole, because its files refer to
    each other. Of any other, such as /etc/ssl, only the file that the link names is shown.
    """
    for directory in installation:
        if directory == Path("/usr") or not directory.is_dir():
            continue
        looked_at = 0
        for here, directories, files in os.walk(directory):
            for name in (*directories, *files):
                looked_at += 1
                target = Path(os.path.realpath(os.path.join(here, name)))
                if target.parts[:2] == ("/", "etc") and len(target.parts) > 3 and target.exists():
                    yield Path(*target.parts[:3]) if directory.name.startswith(target.parts[2]) else target
            if looked_at > _MAX_LINKS:
                break


def _is_personal(directory: Path) -> bool:
    """Whether it contains more than programs: a home directory, its ~/.local, the root directory."""
    home = Path.home()
    return directory in (home, home / ".local", *home.parents) or directory.parent == Path("/home")


def _python() -> Iterator[Path]:
    """The running interpreter as far as a solution needs it, without the packages of a virtual environment."""
    base = Path(sys.base_prefix)
    yield base.resolve()
    if base != base.resolve():
        yield base
    executable = Path(sys.executable)
    if sys.prefix != sys.base_prefix:
        yield executable
        # It tells the interpreter where the rest of it is.
        yield Path(sys.prefix) / "pyvenv.cfg"


def _python_programs() -> Iterator[Path]:
    """The interpreter by the names that graders give it."""
    for name in ("python3", "python"):
        path = Path(sys.executable).with_name(name)
        if path.exists():
            yield path


def outermost(paths: Iterable[Path]) -> list[Path]:
    """Those of the paths that lie in no other one."""
    kept: list[Path] = []
    for path in sorted(set(paths)):
        if not _is_within(path, kept):
            kept.append(path)
    return kept


def _is_within(path: Path, directories: Iterable[Path]) -> bool:
    return any(path == directory or directory in path.parents for directory in directories)
