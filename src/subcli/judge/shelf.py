"""The problems of a process, in versions: those in service, and earlier ones that submissions still need.

A directory of problems is looked at again and again (`Shelf.look`). What has changed and come to rest is copied, and
each problem that is different then becomes a new version: a directory of its own that nothing changes any more, with
the problem and what lies beside it. So a submission is judged by one whole version from its beginning to its end. A new
version that is not valid is named to the operator, and the one before stays in service.

Versions that come from elsewhere (`Shelf.add`) have the same form. Nothing is judged or shown but versions.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeAlias

from subcli.judge.languages.table import FILE_NAME as LANGUAGES_FILE
from subcli.judge.languages.table import Languages
from subcli.judge.live_problems import LiveProblems
from subcli.judge.manifest import Manifest, check, combine, describe
from subcli.judge.problem import Problem, ProblemError, versioned
from subcli.judge.problem_file import BUNDLED, check_unique, is_described, known_languages, load_problem
from subcli.judge.process.workplace import workplace
from subcli.judge.snapshot import Mirror
from subcli.judge.version_directories import VersionDirectories
from subcli.shared.toml import MAX_BYTES

_Source: TypeAlias = tuple[Path, str]
"""A directory of problems, and the name of a problem's own directory in it."""
_KEPT_S: Final = 60.0
"""How long a version that is no longer in service stays at least: a request may be reading it."""


@dataclass(frozen=True)
class Shelved:
    """A version that is there.

    Attributes:
        manifest: what it consists of.
        source: where it comes from; None if it was added.
    """

    problem: Problem
    manifest: Manifest
    source: _Source | None = None


class Shelf:
    """Versions of problems in a private directory.

    One thread at a time may look, add and tidy; any may read meanwhile.

    Attributes:
        path: the directory.
        problems: those in service, by slug.
        judgeable: these, and other versions by `versioned(slug, version)`.
        broken: one error for each problem that is not in service as it is now.
        outdated: the slugs of those of which an earlier version stays in service.
        remarks: what was not copied, and why: sentences for the operator.

    Args:
        base: an empty directory.
        directory: an operator's problems, each in a subdirectory.
        languages: an operator's file that adds languages; default: the `languages.toml` in `directory`.
        clock: seconds.

    Raises:
        ProblemError: there is no such directory.
        OSError: `base` cannot be written to.
    """

    def __init__(
        self,
        base: Path,
        directory: Path | None,
        languages: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if directory is not None and not directory.is_dir():
            raise ProblemError(directory, "no such directory")
        self.path = base
        self.problems = LiveProblems()
        self.judgeable = LiveProblems()
        self.broken: tuple[ProblemError, ...] = ()
        self.outdated: frozenset[str] = frozenset()
        self._directories = VersionDirectories(base / "versions")
        self._bundled = Mirror(BUNDLED, base / "bundled")
        self._own = None if directory is None else Mirror(directory, base / "own")
        self._languages_file = languages
        self._languages: tuple[bytes | None, Languages] | None = None
        self._languages_error: ProblemError | None = None
        self._parts: dict[_Source, Manifest] = {}
        self._in_service: dict[_Source, Shelved] = {}
        self._others: dict[str, Shelved] = {}
        self._refused: dict[_Source, ProblemError] = {}
        """Why problems are not in service as they are now."""
        self._is_dirty = True
        """Whether the copies may differ from what is in service."""
        self._used_at: dict[str, float] = {}
        self._held: dict[str, int] = {}
        self._clock = clock

    @property
    def remarks(self) -> tuple[str, ...]:
        return tuple(text for mirror in self._mirrors() for text in mirror.remarks)

    def _mirrors(self) -> Iterable[Mirror]:
        return (self._bundled,) if self._own is None else (self._bundled, self._own)

    # -- looking -------------------------------------------------------------------------------------

    def look(self, *, at_once: bool = False) -> bool:
        """Look for problems that are new, have changed or are gone.

        Args:
            at_once: take everything as it is now, the bundled problems as well: for the start.

        Returns:
            whether anything may be different now.

        Raises:
            ProblemError: the directory cannot be read or has too many files; at once: the languages are not valid.
            OSError: a copy cannot be written.
        """
        before = self.broken
        for mirror in self._mirrors():
            if at_once or mirror is self._own:
                for name in mirror.update(at_once=at_once):
                    self._parts.pop((mirror.target, name), None)
                    self._is_dirty = True
        self._read_languages(at_once=at_once)
        was_dirty = self._is_dirty
        if was_dirty:
            self._put_in_service()
            self._is_dirty = False
        self._tell([error for mirror in self._mirrors() for error in mirror.broken.values()])
        return was_dirty or self.broken != before

    def _read_languages(self, *, at_once: bool) -> None:
        """Read the languages; those that are not valid change nothing."""
        file = self._languages_file
        if file is None and self._own is not None and (self._own.target / LANGUAGES_FILE).exists():
            file = self._own.target / LANGUAGES_FILE
        try:
            text = None if file is None else _beginning(file)
            if self._languages is None or text != self._languages[0]:
                self._languages = text, known_languages(None, file)
                self._is_dirty = True
            self._languages_error = None
        except ProblemError as error:
            self._languages_error = error
        except FileNotFoundError:
            self._languages_error = ProblemError(file or BUNDLED, "no such file")
        except OSError as error:
            self._languages_error = ProblemError(file or BUNDLED, f"cannot be read: {error.strerror}")
        if self._languages_error is not None and self._own is not None:
            self._languages_error = _as_authored(self._languages_error, self._own)
        if at_once and self._languages_error is not None:
            raise self._languages_error

    def _put_in_service(self) -> None:
        """Make a version of each problem as it is in the copies now, and put those that are valid in service."""
        sources = {source: self._manifest_of(mirror, name) for mirror, name, source in self._sources()}
        kept: dict[_Source, Shelved] = {}
        refused: dict[_Source, ProblemError] = {}
        # First those that are in service: a new problem cannot take the name of one.
        for source in sorted(sources, key=lambda source: source not in self._in_service):
            manifest, before = sources[source], self._in_service.get(source)
            if before is not None and before.manifest == manifest:
                kept[source] = before
                continue
            there = {
                key: each for key, each in {**self._in_service, **kept}.items() if key != source and key in sources
            }
            try:
                kept[source] = self._load(source, manifest, [each.problem for each in there.values()])
            except ProblemError as error:
                refused[source] = error
                if before is not None:
                    kept[source] = before
        for source, shelved in self._in_service.items():
            if kept.get(source) is not shelved:
                self._others[shelved.problem.version] = shelved
                self._used_at[shelved.problem.version] = self._clock()
        for shelved in kept.values():
            self._others.pop(shelved.problem.version, None)
        self._in_service, self._refused = kept, refused
        self._exchange()

    def _exchange(self) -> None:
        current = {each.problem.slug: each.problem for each in self._in_service.values()}
        others = {versioned(each.problem.slug, version): each.problem for version, each in self._others.items()}
        self.judgeable.exchange({**current, **others})
        self.problems.exchange(current)

    def _tell(self, complaints: Iterable[ProblemError]) -> None:
        languages = () if self._languages_error is None else (self._languages_error,)
        self.broken = (*languages, *complaints, *self._refused.values())
        roots = {error.path: error for error in complaints}
        self.outdated = frozenset(
            shelved.problem.slug
            for source, shelved in self._in_service.items()
            if source in self._refused or source[0] / source[1] in roots
        )

    def _sources(self) -> Iterator[tuple[Mirror, str, _Source]]:
        for mirror in self._mirrors():
            for name in sorted(os.listdir(mirror.target)):
                if is_described(mirror.target / name):
                    yield mirror, name, (mirror.source, name)

    def _manifest_of(self, mirror: Mirror, name: str) -> Manifest:
        assert self._languages is not None
        names = _belonging(mirror.target, name, partial_of=lambda other: self._part(mirror, other))
        return combine(name, (self._part(mirror, each) for each in names), self._languages[0])

    def _part(self, mirror: Mirror, name: str) -> Manifest:
        key = (mirror.target, name)
        if key not in self._parts:
            self._parts[key] = describe(mirror.target, name)
        return self._parts[key]

    def _load(self, source: _Source, manifest: Manifest, others: Collection[Problem]) -> Shelved:
        """
        Raises:
            ProblemError: it is not valid.
        """
        assert self._languages is not None
        version, (directory, name), (text, known) = manifest.version, source, self._languages
        copies = next(mirror.target for mirror in self._mirrors() if mirror.source == directory)
        self._directories.link(version, manifest, copies, text)
        try:
            problem = load_problem(self.place(version) / name, directory / name, known)
            check_unique(problem, others)
        except ProblemError:
            if version not in self._others and all(each.version != version for each in others):
                self._directories.remove(version)
            raise
        return Shelved(replace(problem, version=version), manifest, source)

    # -- other versions ------------------------------------------------------------------------------

    def manifest(self, version: str) -> Manifest | None:
        """What a version consists of; None if it is not here."""
        if (found := self._others.get(version)) is not None:
            return found.manifest
        every = self._in_service.values()
        return next((each.manifest for each in every if each.problem.version == version), None)

    def place(self, version: str) -> Path:
        """The directory of a version."""
        return self._directories.place(version)

    def add(self, version: str, manifest: Manifest, read: Callable[[str], bytes], most_bytes: int) -> Problem:
        """Add a version from elsewhere, if it is not here.

        Args:
            version: its name.
            read: returns the chunk of this name.
            most_bytes: how large it may be.

        Raises:
            ManifestError: it must not be used, or is damaged.
            ProblemError: the problem in it is not valid for this judge.
            OSError: it cannot be written.
        """
        check(manifest, version, most_bytes)
        if self.manifest(version) is None:
            self._directories.write(version, manifest, read)
            root = self.place(version) / manifest.entry
            try:
                problem = load_problem(root, root)
            except ProblemError:
                self._directories.remove(version)
                raise
            self._others[version] = Shelved(replace(problem, version=version), manifest)
            self._used_at[version] = self._clock()
            self._exchange()
        found = self._others.get(version)
        return found.problem if found is not None else self._problem_in_service(version)

    def _problem_in_service(self, version: str) -> Problem:
        return next(each.problem for each in self._in_service.values() if each.problem.version == version)

    @contextmanager
    def hold(self, version: str) -> Iterator[None]:
        """Keep a version while it is used."""
        self._held[version] = self._held.get(version, 0) + 1
        try:
            yield
        finally:
            self._used_at[version] = self._clock()
            self._held[version] -= 1
            if not self._held[version]:
                del self._held[version]

    def tidy(self, needed: Collection[str], most_bytes: int) -> int:
        """Remove versions that are not in service, those that have not been used for longest first.

        Args:
            needed: versions that must stay.
            most_bytes: how much the others may take together.

        Returns:
            how many were removed.
        """
        idle = sorted(
            self._others.keys() - set(needed), key=lambda version: self._used_at.get(version, 0.0), reverse=True
        )
        taken, removed = 0, 0
        for version in idle:
            taken += self._others[version].manifest.size
            is_recent = self._clock() - self._used_at.get(version, 0.0) < _KEPT_S
            if taken > most_bytes and not is_recent and version not in self._held:
                del self._others[version]
                self._used_at.pop(version, None)
                self._exchange()
                self._directories.remove(version)
                removed += 1
        return removed


def _belonging(target: Path, name: str, partial_of: Callable[[str], Manifest]) -> list[str]:
    """The entries that belong to a problem: itself, what is no problem, and problems that its links lead to."""
    entries = sorted(os.listdir(target))
    shared = [each for each in entries if not is_described(target / each) and each != LANGUAGES_FILE]
    found = [name, *(each for each in shared if each != name)]
    for each in found:
        for path, leads in partial_of(each).links:
            there = os.path.normpath(os.path.join(os.path.dirname(path), leads)).split("/")[0]
            if there in entries and there not in found and there != LANGUAGES_FILE:
                found.append(there)
    return found


def _beginning(file: Path) -> bytes:
    """Read a file of languages, to beyond where it is too long to be valid.

    Raises:
        ProblemError: it is a pipe, a device or a directory.
        OSError: it cannot be read.
    """
    if not stat.S_ISREG(file.stat().st_mode):
        raise ProblemError(file, "is not a file")
    with file.open("rb") as reader:
        return reader.read(MAX_BYTES + 1)


def _as_authored(error: ProblemError, mirror: Mirror) -> ProblemError:
    """An error about a file of a copy, as one about the author's file."""
    if not error.path.is_relative_to(mirror.target):
        return error
    return ProblemError(mirror.source / error.path.relative_to(mirror.target), error.complaint, error.line)


@contextmanager
def problem_shelf(directory: Path | None, parent: Path | None = None, languages: Path | None = None) -> Iterator[Shelf]:
    """A shelf of the bundled problems and of those in `directory`, removed at the end.

    Args:
        directory: an operator's problems, each in a subdirectory.
        parent: where the copies are made; default: the temporary directory.
        languages: an operator's file that adds languages; default: the `languages.toml` in `directory`.

    Raises:
        ProblemError: there is no such directory, or it has too many files; or the file of languages is not valid.
        OSError: a copy cannot be written.
    """
    with workplace("problems", parent) as place:
        shelf = Shelf(place.path.resolve(), directory, languages)
        shelf.look(at_once=True)
        yield shelf
