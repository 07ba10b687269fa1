"""One copy of the problems, for everything that judges or serves them.

Authors edit their files while a server runs. A submission must not be judged by a mixture of two states, and what the
API tells must be what the judge does. So a server copies its problems when it starts, and works with the copy until it
ends. Authors read their own paths all the same (`Problem.as_authored`).

What lies beside the problems is copied along with them, because their tests may share it. An entry that changes
meanwhile is copied again: a copy is what was there at one moment. Links are copied as links. One that leads out of the
directory still leads there, and what is there is neither copied nor protected from changes; only where an entry of the
directory is itself a link to a problem, that problem is copied.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from subcli.judge.problem import Problem, ProblemError
from subcli.judge.problem_file import BUNDLED, is_problem, load_problem, load_valid_problems
from subcli.judge.process.removal import remove_tree
from subcli.judge.process.workplace import workplace

_IGNORED: Final = frozenset((".git", ".hg", ".svn", "__pycache__", ".pytest_cache"))
_MOST: Final = 200_000
"""How many files a directory of problems may have: a home directory, given by mistake, is not copied."""
_TRIES: Final = 3
_PAUSE_S: Final = 0.1
"""How long to wait before an entry that has changed is copied again."""
_CHUNK_BYTES: Final = 1024 * 1024
_VANISHED: Final = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO)
"""It is gone, or has become something else."""


@dataclass(frozen=True)
class ProblemSnapshot:
    """A copy of the problems.

    Attributes:
        path: the private directory that contains it.
        problems: by slug.
        broken: one error for each problem that was left out.
        remarks: what was not copied, and why: sentences for the operator.
    """

    path: Path
    problems: Mapping[str, Problem]
    broken: tuple[ProblemError, ...]
    remarks: tuple[str, ...]


@contextmanager
def problem_snapshot(
    directory: Path | None, parent: Path | None = None, languages: Path | None = None
) -> Iterator[ProblemSnapshot]:
    """A copy of the bundled problems and of those in `directory`, removed at the end.

    Args:
        directory: an operator's problems, each in a subdirectory.
        parent: where the copy is made; default: the temporary directory.
        languages: an operator's file that adds languages; default: the `languages.toml` in `directory`.

    Raises:
        ProblemError: there is no such directory, or it has too many files; or the file of languages is not valid.
        OSError: the copy cannot be written.
    """
    if directory is not None and not directory.is_dir():
        raise ProblemError(directory, "no such directory")
    with workplace("problems", parent) as place:
        base = place.path.resolve()
        copies = {BUNDLED: _Copy(BUNDLED, base / "bundled")}
        if directory is not None:
            copies[directory] = _Copy(directory, base / "own")
        for copy in copies.values():
            copy.make()
        targets = {source: copy.target for source, copy in copies.items()}
        problems, broken = load_valid_problems(directory, targets, languages)
        yield ProblemSnapshot(
            path=base,
            problems=problems,
            broken=(*(error for copy in copies.values() for error in copy.broken), *broken),
            remarks=tuple(text for copy in copies.values() for text in copy.remarks),
        )


@contextmanager
def snapshot_of_one(root: Path) -> Iterator[Problem]:
    """A copy of the problem in the directory `root`, removed at the end. What lies beside it is linked, not copied.

    Raises:
        ProblemError: it is not a valid problem.
        OSError: the copy cannot be written.
    """
    if not is_problem(root):
        load_problem(root)  # says what is wrong, before whatever there is is copied
    source = Path(os.path.abspath(root))
    with workplace("problems") as place:
        copy = _Copy(source.parent, place.path.resolve() / "own")
        copy.make(only=source.name)
        if copy.broken:
            raise ProblemError(root, copy.broken[0].complaint)
        yield load_problem(copy.target / source.name, root)


class _ChangedError(Exception):
    """Something has changed since it was looked at."""


class _UnreadableError(Exception):
    """Something cannot be copied. The text is a clause."""


@dataclass(frozen=True)
class _Entry:
    """What was found at a path. Two of them are equal if nothing has changed between them."""

    mode: int
    size: int
    modified_ns: int
    changed_ns: int
    leads: str = ""
    """Where a link leads."""

    @staticmethod
    def look_at(path: str) -> _Entry:
        """
        Raises:
            OSError: there is nothing.
        """
        found = os.lstat(path)
        leads = os.readlink(path) if stat.S_ISLNK(found.st_mode) else ""
        # A directory's size and times change with its entries, which are looked at themselves.
        is_directory = stat.S_ISDIR(found.st_mode)
        times = (0, 0, 0) if is_directory else (found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        return _Entry(found.st_mode, *times, leads)


class _Copy:
    """A copy of a directory of problems.

    Attributes:
        target: where it is.
        broken: problems that could not be copied.
        remarks: as in `ProblemSnapshot`.

    Args:
        source: the directory.
        target: does not exist yet.
    """

    def __init__(self, source: Path, target: Path) -> None:
        self.target = target
        self.broken: list[ProblemError] = []
        self._source = source
        self._real = os.path.realpath(source)
        # Where links may lead, and what stands for it in the copy.
        self._places = {os.path.abspath(source): str(target), self._real: str(target)}
        self._remarks: dict[str, str] = {}
        """By path, because what changes is looked at again."""
        self._found = 0

    @property
    def remarks(self) -> tuple[str, ...]:
        return tuple(f"{path} {remark}" for path, remark in self._remarks.items())

    def make(self, only: str | None = None) -> None:
        """Copy the directory.

        Args:
            only: the one entry that is copied; the others become links.

        Raises:
            ProblemError: it has too many files.
            OSError: the copy cannot be written.
        """
        self.target.mkdir(mode=0o700)
        for name in self._names(only):
            if only not in (None, name):
                (self.target / name).symlink_to(f"{self._real}/{name}")
            elif name not in _IGNORED and not self.target.is_relative_to(f"{self._real}/{name}"):
                try:
                    self._copy(name)
                except _UnreadableError as error:
                    self._leave_out(name, str(error), is_wanted=name == only)

    def _names(self, only: str | None) -> list[str]:
        try:
            return sorted(os.listdir(self._real))
        except OSError as error:
            if only is not None:
                # An author's directory may lie in one that cannot be listed.
                return [only]
            raise ProblemError(self._source, f"cannot be read: {error.strerror}") from None

    def _leave_out(self, name: str, why: str, *, is_wanted: bool) -> None:
        _discard(self.target / name)
        if is_wanted or is_problem(f"{self._real}/{name}"):
            self.broken.append(ProblemError(self._source / name, why))
        else:
            self._remarks[str(self._source / name)] = f"is not copied: {why}"

    def _copy(self, name: str) -> None:
        """Copy one entry of the directory, as it is at one moment.

        Raises:
            _UnreadableError: it cannot be read, or changes all the time.
        """
        root = f"{self._real}/{name}"
        if os.path.islink(root) and is_problem(root):
            root = os.path.realpath(root)
            self._places[root] = str(self.target / name)
        for _ in range(_TRIES):
            found = self._scan(root)
            with suppress(_ChangedError):
                for path, entry in found.items():
                    self._write(root + path, entry, f"{self.target}/{name}{path}")
                if self._scan(root) == found:
                    self._found += len(found)
                    return
            _discard(self.target / name)
            time.sleep(_PAUSE_S)
        raise _UnreadableError(f"it changed while it was copied, {_TRIES} times in a row")

    def _scan(self, root: str) -> dict[str, _Entry]:
        """What there is at and below `root`, directories before their contents, by the rest of the path.

        Raises:
            ProblemError: there is too much.
            _UnreadableError: a part of it cannot be read.
        """
        found: dict[str, _Entry] = {}
        waiting = [""]
        while waiting:
            path = waiting.pop()
            # What vanishes between two looks was not there.
            with suppress(_ChangedError), _reading(root + path):
                found[path] = _Entry.look_at(root + path)
                if stat.S_ISDIR(found[path].mode):
                    waiting += [f"{path}/{name}" for name in set(os.listdir(root + path)) - _IGNORED]
            if self._found + len(found) > _MOST:
                raise ProblemError(self._source, f"has more than {_MOST:,} files; it must contain problems only")
        return found

    def _write(self, path: str, entry: _Entry, target: str) -> None:
        """Copy one file, directory or link.

        Raises:
            _ChangedError: it is no longer there.
            _UnreadableError: it cannot be read.
            OSError: the copy cannot be written.
        """
        if stat.S_ISDIR(entry.mode):
            os.mkdir(target, 0o700)
        elif stat.S_ISLNK(entry.mode):
            os.symlink(self._lead(path, entry.leads), target)
        elif stat.S_ISREG(entry.mode):
            _copy_file(path, entry, target)
        else:
            self._remarks[path] = "is not copied: it is neither a file nor a directory"

    def _lead(self, path: str, leads: str) -> str:
        """Where the copy of a link leads: to the same place in the copy, or out of it as before."""
        there = os.path.normpath(os.path.join(os.path.dirname(path), leads))
        for source, copy in self._places.items():
            if f"{there}/".startswith(f"{source}/"):
                stays = not os.path.isabs(leads) and path.startswith(f"{source}/")
                return leads if stays else copy + there[len(source) :]
        if os.path.exists(there):
            self._remarks[path] = f"leads out of {self._source}: {there} is not copied, and may change while it is used"
        return there


def _copy_file(path: str, entry: _Entry, target: str) -> None:
    """
    Raises:
        _ChangedError: the file is no longer there, or shorter.
        _UnreadableError: it cannot be read.
        OSError: the copy cannot be written.
    """
    with _reading(path):
        # Not blocking: it may have become a pipe.
        source = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(source, "rb", buffering=0) as reader, open(target, "xb") as writer:
        os.fchmod(writer.fileno(), 0o600 | entry.mode & stat.S_IXUSR)
        # No more than was there: somebody may be writing to it without end.
        left = entry.size
        while left:
            with _reading(path):
                data = reader.read(min(left, _CHUNK_BYTES))
            if not data:
                raise _ChangedError
            writer.write(data)
            left -= len(data)


@contextmanager
def _reading(path: str) -> Iterator[None]:
    """
    Raises:
        _ChangedError: what is there is not what was there.
        _UnreadableError: it cannot be read.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _VANISHED:
            raise _ChangedError from None
        raise _UnreadableError(f"{path} cannot be read: {error.strerror}") from None


def _discard(path: Path) -> None:
    """Remove what was copied to `path`, if anything."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        remove_tree(path)
