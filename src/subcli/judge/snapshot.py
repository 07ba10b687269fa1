"""Copies of directories of problems, for everything that judges or serves them.

Authors edit their files while a server runs. A submission must not be judged by a mixture of two states, and what the
API tells must be what the judge does. So a server works with copies (`subcli.judge.shelf`). Authors read their own
paths all the same (`Problem.as_authored`).

What lies beside the problems is copied along with them, because their tests may share it. An entry that changes
meanwhile is copied again: a copy is what was there at one moment. One that has changed since the last look is copied
once two looks in a row have found the same, so that somebody who copies it file by file is not interrupted. Links are
copied as links. One that leads out of the directory still leads there, and what is there is neither copied nor
protected from changes; only where an entry of the directory is itself a link to a problem, that problem is copied.
Entries that are hidden, with a name that begins with a dot, are left alone.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from subcli.judge.problem import Problem, ProblemError
from subcli.judge.problem_file import is_problem, load_problem
from subcli.judge.process.removal import remove_tree
from subcli.judge.process.workplace import workplace

_DRAFT: Final = ".draft"
"""Where an entry is copied to before it takes its place."""
_IGNORED: Final = frozenset((".git", ".hg", ".svn", "__pycache__", ".pytest_cache"))
_MOST: Final = 200_000
"""How many files a directory of problems may have: a home directory, given by mistake, is not copied."""
_TRIES: Final = 3
_PAUSE_S: Final = 0.1
"""How long to wait before an entry that has changed is copied again."""
_CHUNK_BYTES: Final = 1024 * 1024
_MB: Final = 1024 * 1024
_ROOM: Final = 0.5
"""How much of the space that is left a copy may take."""
_VANISHED: Final = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO)
"""It is gone, or has become something else."""


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
        copy = Mirror(source.parent, place.path.resolve() / "own")
        copy.make_one(source.name)
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


_Look: TypeAlias = dict[str, _Entry] | str | None
"""What there is at and below an entry, by the rest of the path; why that is not known; None if there is nothing."""


class Mirror:
    """A copy of a directory of problems.

    Attributes:
        target: where it is.

    Args:
        source: the directory.
        target: does not exist yet.
    """

    def __init__(self, source: Path, target: Path) -> None:
        self.source = source
        self.target = target
        self._real = os.path.realpath(source)
        # Where links may lead, and what stands for it in the copy.
        self._places = {os.path.abspath(source): str(target), self._real: str(target)}
        self._remarks: dict[str, dict[str, str]] = {}
        """By entry and path, because what changes is looked at again."""
        self._copied: dict[str, _Look] = {}
        """Each entry that was copied, as it was found."""
        self._seen: dict[str, _Look] = {}
        """Each entry as the last look found it."""
        self._complaints: dict[str, str] = {}
        """Why entries were not copied as they are now."""
        self._changed: set[str] = set()
        """Entries of which the caller of `update` does not know yet that their copies have changed."""
        self._found = 0
        self.target.mkdir(mode=0o700)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What was not copied, and why: sentences for the operator."""
        left_out = (
            f"{self.source / name} is not copied: {complaint}"
            for name, complaint in self._complaints.items()
            if not self._is_problem(name)
        )
        inner = (f"{path} {remark}" for each in self._remarks.values() for path, remark in each.items())
        return *left_out, *inner

    @property
    def broken(self) -> dict[str, ProblemError]:
        """Problems that could not be copied as they are now, by the names of their directories."""
        return {
            name: ProblemError(self.source / name, complaint)
            for name, complaint in self._complaints.items()
            if self._is_problem(name)
        }

    def _is_problem(self, name: str) -> bool:
        return is_problem(f"{self._real}/{name}") or is_problem(self.target / name)

    def update(self, *, at_once: bool) -> frozenset[str]:
        """Copy what has changed.

        Args:
            at_once: without waiting until it has come to rest.

        Returns:
            the names of the entries whose copies are new, different or gone.

        Raises:
            ProblemError: the directory cannot be read, or has too many files.
            OSError: the copy cannot be written.
        """
        self._found = 0
        seen = {name: self._look(name) for name in self._names()}
        for name in sorted(seen.keys() | self._copied.keys()):
            found = seen.get(name)
            if found == self._copied.get(name):
                self._complaints.pop(name, None)
            elif at_once or self._seen.get(name, None if found is None else "") == found:
                self._changed |= self._take(name, found)
        self._seen = seen
        changed, self._changed = frozenset(self._changed), set()
        return changed

    def make_one(self, name: str) -> None:
        """Copy one entry; the others become links.

        Raises:
            ProblemError: it cannot be read, or changes all the time.
            OSError: the copy cannot be written.
        """
        try:
            names = self._names()
        except ProblemError:
            # An author's directory may lie in one that cannot be listed.
            names = [name]
        for other in names:
            if other != name:
                (self.target / other).symlink_to(f"{self._real}/{other}")
        try:
            self._copy(name)
        except _UnreadableError as error:
            raise ProblemError(self.source / name, str(error)) from None

    def _names(self) -> list[str]:
        try:
            names = sorted(os.listdir(self._real))
        except OSError as error:
            raise ProblemError(self.source, f"cannot be read: {error.strerror}") from None
        return [
            name
            for name in names
            if not name.startswith(".")
            and name not in _IGNORED
            and not self.target.is_relative_to(f"{self._real}/{name}")
        ]

    def _root(self, name: str) -> str:
        """What is copied for an entry: itself, or the problem that it is a link to."""
        root = f"{self._real}/{name}"
        if os.path.islink(root) and is_problem(root):
            root = os.path.realpath(root)
            self._places[root] = str(self.target / name)
        return root

    def _look(self, name: str) -> _Look:
        try:
            found = self._scan(self._root(name), self._found)
        except _UnreadableError as error:
            return str(error)
        self._found += len(found)
        return found or None

    def _take(self, name: str, found: _Look) -> set[str]:
        """Copy an entry that has changed. If that fails, the copy stays as it was. Returns the name if it changed."""
        if isinstance(found, str):
            self._complaints[name] = found
            return set()
        try:
            copied = None if found is None else self._copy(name)
        except _UnreadableError as error:
            self._complaints[name] = str(error)
            return set()
        self._complaints.pop(name, None)
        if copied is None:
            _discard(self.target / name)
            self._remarks.pop(name, None)
            return {name} if self._copied.pop(name, None) else set()
        self._copied[name] = copied
        return {name}

    def _copy(self, name: str) -> dict[str, _Entry] | None:
        """Copy one entry of the directory, as it is at one moment.

        Returns:
            what it was; None if it is gone.

        Raises:
            _UnreadableError: it cannot be read, or changes all the time.
        """
        root, draft = self._root(name), self.target / _DRAFT
        for _ in range(_TRIES):
            found = self._scan(root)
            self._check_room(found)
            remarks: dict[str, str] = {}
            try:
                for path, entry in found.items():
                    self._write(root + path, entry, f"{draft}{path}", remarks)
                if self._scan(root) == found:
                    _discard(self.target / name)
                    # Of a pipe there is none.
                    if os.path.lexists(draft):
                        draft.rename(self.target / name)
                    self._remarks[name] = remarks
                    return found or None
            except _ChangedError:
                pass
            finally:
                _discard(draft)
            time.sleep(_PAUSE_S)
        raise _UnreadableError(f"it changed while it was copied, {_TRIES} times in a row")

    def _check_room(self, found: Mapping[str, _Entry]) -> None:
        """
        Raises:
            _UnreadableError: a copy would take most of the space that is left, such as one of a sparse file.
        """
        size = sum(entry.size for entry in found.values() if stat.S_ISREG(entry.mode))
        free = shutil.disk_usage(self.target).free
        if size > _ROOM * free:
            raise _UnreadableError(
                f"it has {size // _MB:,} MB, and there is no room for a copy: {free // _MB:,} MB are free"
            )

    def _scan(self, root: str, others: int = 0) -> dict[str, _Entry]:
        """What there is at and below `root`, directories before their contents, by the rest of the path.

        Args:
            root: a file, a directory or a link.
            others: how many files there are besides.

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
            if others + len(found) > _MOST:
                raise ProblemError(self.source, f"has more than {_MOST:,} files; it must contain problems only")
        return found

    def _write(self, path: str, entry: _Entry, target: str, remarks: dict[str, str]) -> None:
        """Copy one file, directory or link.

        Raises:
            _ChangedError: it is no longer there.
            _UnreadableError: it cannot be read.
            OSError: the copy cannot be written.
        """
        if stat.S_ISDIR(entry.mode):
            os.mkdir(target, 0o700)
        elif stat.S_ISLNK(entry.mode):
            os.symlink(self._lead(path, entry.leads, target, remarks), target)
        elif stat.S_ISREG(entry.mode):
            _copy_file(path, entry, target)
        else:
            remarks[path] = "is not copied: it is neither a file nor a directory"

    def _lead(self, path: str, leads: str, target: str, remarks: dict[str, str]) -> str:
        """Where the copy of a link leads: to the same place in the copy, or out of it as before."""
        there = os.path.normpath(os.path.join(os.path.dirname(path), leads))
        for source, copy in self._places.items():
            if f"{there}/".startswith(f"{source}/"):
                stays = not os.path.isabs(leads) and path.startswith(f"{source}/")
                return leads if stays else os.path.relpath(copy + there[len(source) :], os.path.dirname(target))
        if os.path.exists(there):
            remarks[path] = f"leads out of {self.source}: {there} is not copied, and may change while it is used"
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
