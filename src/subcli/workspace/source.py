"""Reads the code to submit from files, a directory or stdin, and validates it before sending anything."""

from __future__ import annotations

import itertools
import os
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from subcli.core.errors import UsageError
from subcli.shared.platform import HERE
from subcli.shared.protocol import MAX_SOURCE_BYTES
from subcli.shared.suggest import closest
from subcli.workspace.directory import Walk
from subcli.workspace.languages import language_of, languages_in
from subcli.workspace.links import LinkRules, why_private

NEAR_LIMIT_BYTES: Final = MAX_SOURCE_BYTES * 9 // 10
"""Above this size a submission gets a warning."""

_NAMED_MAX: Final = 5
"""How many of the files left out are named; the count includes all."""

_ENTRIES_MAX: Final = 1000
"""How many entries of a directory are compared with a name that is not among them."""
_NAME_IT: Final = "To submit it anyway, name it: `subcli submit PATH`."

_EMPTY: Final = "There is nothing to submit or to test."


class Source(msgspec.Struct, frozen=True):
    """The code of one submission.

    Attributes:
        files: maps each path within the submission to its text.
        single: whether the code is sent as one text; the server may call it by another name.
        origins: maps each path within the submission to the local path it was read from; empty for stdin.
        left_out: entries of the submitted directories that were left out (:mod:`subcli.workspace.directory`).
    """

    files: Mapping[str, str]
    single: bool
    origins: Mapping[str, str] = {}
    left_out: tuple[str, ...] = ()

    def note(self) -> str:
        """What was left out, and how to include it; empty if nothing was."""
        return f"{_count_left_out(self.left_out)}. Name one to include it." if self.left_out else ""

    def warnings(self) -> list[str]:
        """Warnings about likely mistakes: an empty file among others, or a size near the limit."""
        warnings = [f"{name} is empty." for name in self.files if self._is_unexpectedly_empty(name)]
        size = sum(len(text.encode("utf-8", "surrogatepass")) for text in self.files.values())
        if size > NEAR_LIMIT_BYTES:
            limit = MAX_SOURCE_BYTES // 1024
            warnings.append(f"The submission is {size / 1024:.0f} KiB; the limit is {limit} KiB.")
        return warnings

    def _is_unexpectedly_empty(self, name: str) -> bool:
        return not self.files[name].strip() and Path(name).name != "__init__.py"

    def origin(self, name: str) -> str | None:
        """The local path of the file that the server calls ``name``; ``None`` if there is none."""
        if self.single:
            # The server may have chosen another name.
            return next(iter(self.origins.values()), None)
        return self.origins.get(name)

    def body(self) -> dict[str, Any]:
        """The fields of the request that contain the code."""
        if not self.single:
            return {"files": dict(self.files)}
        (name, text) = next(iter(self.files.items()))
        # So that the server's messages name the file; what was read from stdin has no name.
        return {"source_code": text, **({"file_name": Path(name).name} if self.origins else {})}

    def language(self) -> str | None:
        """The language that the file extensions imply; ``None`` if there is none, or several."""
        return language_of(self.files)

    def unknown_language(self) -> UsageError:
        """The error if the language is unknown."""
        names = ", ".join(self.files)
        return UsageError(
            f"The language of {names} cannot be inferred from the file extension{'s' if len(self.files) > 1 else ''}.",
            hint="Set it with `--language`.",
        )


def language_of_problem(source: Source, problem: Mapping[str, Any]) -> str:
    """The language of ``source``, inferred from the problem.

    Args:
        source: the code.
        problem: the answer to ``GET /problems/…``; ``sources`` in it is our server's.

    Returns:
        The only language of the problem, else the only one whose source has the extension of one of the files. If the
        server does not report the problem's languages, the one that the extensions imply.

    Raises:
        UsageError: The language is still unknown.
    """
    names, sources = languages_in(problem), problem.get("sources")
    inferred = source.language()
    if inferred is not None and (not names or inferred in names):
        return inferred
    if len(names) > 1 and isinstance(sources, Mapping):
        endings = {Path(file).suffix.lower() for file in source.files} - {""}
        names = [name for name in names if Path(str(sources.get(name, ""))).suffix.lower() in endings]
    if len(names) != 1:
        raise source.unknown_language()
    return names[0]


class _File(msgspec.Struct, frozen=True):
    """A file to read.

    Attributes:
        name: its path within the submission.
        path: its local path, as it was named.
        target: the same without links.
    """

    name: str
    path: Path
    target: Path


def read_source(paths: Sequence[str], *, root: Path | None = None, follow_links: bool = False) -> Source:
    """Read the code of one submission.

    Args:
        paths: Files and directories; ``-`` alone is stdin.
        root: The directory of the project file that lists the paths. Project files are not trusted, so they name
            nothing outside this directory, and nothing that is hidden or ignored by git. By default the paths come
            from the user, relative to the working directory.
        follow_links: Whether to follow links that lead outside the working tree (:mod:`subcli.workspace.links`).

    Raises:
        UsageError: A file does not exist, is empty, binary or too large, or must not be read.
    """
    if root is not None and "-" in paths:
        raise UsageError("A project file cannot submit stdin.", hint="To submit it anyway: `subcli submit -`.")
    if list(paths) == ["-"]:
        return _checked({"<stdin>": sys.stdin.buffer.read(MAX_SOURCE_BYTES + 1)}, {}, single=True)
    if "-" in paths:
        raise UsageError("`-` (stdin) cannot be combined with other paths.", hint="Name files, or pipe one file in.")
    links = LinkRules(Path.cwd(), follow=follow_links)
    base = root.resolve() if root else links.cwd
    named = [_resolved(text, base, root, links) for text in paths]
    files: dict[str, bytes] = {}
    targets: dict[str, Path] = {}
    origins: dict[str, str] = {}
    left_out: list[str] = []
    for file in _files(named, base, links, left_out):
        if file.name in files:
            if file.target.samefile(targets[file.name]):
                continue
            raise UsageError(
                f"Two files would both be named {file.name}.", hint="Submit the directory that contains them."
            )
        files[file.name] = _read(file)
        targets[file.name], origins[file.name] = file.target, file.path.as_posix()
        if sum(map(len, files.values())) > MAX_SOURCE_BYTES:
            raise _too_large(file.name)
    skipped = tuple(name for name in left_out if not _is_among(files, name.rstrip("/")))
    if not files:
        why = f"{_count_left_out(skipped)}. " if skipped else ""
        raise UsageError(
            f"There is no file to submit in {', '.join(paths)}.", hint=f"{why}Name a file to submit it anyway."
        )
    single = len(files) == 1 and not named[0][1].is_dir()
    return _checked(files, origins, single=single, left_out=skipped)


def _files(named: Sequence[tuple[Path, Path]], base: Path, links: LinkRules, left_out: list[str]) -> Iterator[_File]:
    """Yield each file; add what is left out of directories to ``left_out``.

    Args:
        named: paths as they were named, each with its target.
    """
    directories = [target for _, target in named if target.is_dir()]
    for path, target in named:
        # Inside a directory that is named as well, a file keeps its path in that directory.
        around = next((each for each in directories if each in target.parents), None)
        if target.is_dir():
            walk = Walk(path, links)
            for file, inner in walk.files():
                name = (target / file.relative_to(path)).relative_to(around or target).as_posix()
                yield _File(name, file, inner)
            left_out += walk.left_out
        else:
            yield _File(_name_of(target, path, around or base), path, target)


def _is_among(files: Iterable[str], name: str) -> bool:
    """Whether ``name`` was left out of a directory, but then named as well."""
    return any(file == name or file.startswith(f"{name}/") for file in files)


def _resolved(text: str, base: Path, root: Path | None, links: LinkRules) -> tuple[Path, Path]:
    """The path that was named, and the same without links."""
    if not text:
        raise UsageError("The name of a file is empty.", hint="Is a variable unset? `.` is the working directory.")
    if "\0" in text:
        raise UsageError(f"{text!r} is not a valid file name.", hint="Check the path.")
    path = Path(text) if root is None else root / text
    if root is None:
        return path, links.resolve(path, base)
    if not Path(os.path.normpath(base / text)).is_relative_to(base):
        raise UsageError(f"{path} is outside {root}.", hint=_NAME_IT)
    target = links.resolve(Path(text), base)
    if why := why_private(Path(os.path.normpath(base / text)), base):
        raise UsageError(f"{path} is {why}, so a project file cannot submit it.", hint=_NAME_IT)
    return path, target


def _name_of(target: Path, path: Path, base: Path) -> str:
    return target.relative_to(base).as_posix() if target.is_relative_to(base) else path.name


def _count_left_out(names: Sequence[str]) -> str:
    """``Left out 2 entries that are hidden, ignored or generated: .env, node_modules/``."""
    shown = ", ".join(names[:_NAMED_MAX])
    more = f" and {len(names) - _NAMED_MAX} more" if len(names) > _NAMED_MAX else ""
    entries = "1 entry that is" if len(names) == 1 else f"{len(names)} entries that are"
    return f"Left out {entries} hidden, ignored or generated: {shown}{more}"


def _too_large(last: str = "") -> UsageError:
    """``last``: the file with which the limit was passed."""
    return UsageError(
        f"The submission is larger than {MAX_SOURCE_BYTES // 1024} KiB{f' with {last}' if last else ''}.",
        hint="Submit source code only.",
    )


def _read(file: _File) -> bytes:
    path = file.path
    try:
        with open(file.target, "rb", opener=_open_without_waiting) as opened:
            if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
                raise UsageError(f"{path} is not a regular file.", hint="Pipe it in: `subcli submit -` reads stdin.")
            return opened.read(MAX_SOURCE_BYTES + 1)
    except FileNotFoundError:
        meant = _meant(path)
        raise UsageError(f"There is no file {path}.", hint=meant or "Check the path; `-` reads stdin.") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}.", hint="Check the path.") from None


def _meant(path: Path) -> str:
    """The path that was probably meant by one that does not exist: with its first missing part corrected."""
    missing = path
    while not missing.parent.exists():
        missing = missing.parent
    try:
        entries = [entry.name for entry in itertools.islice(missing.parent.iterdir(), _ENTRIES_MAX)]
    except OSError:
        return ""
    rest = path.relative_to(missing)
    # The path after the corrected part must exist.
    found = closest(missing.name, [name for name in entries if (missing.with_name(name) / rest).exists()])
    return f"Did you mean `{missing.with_name(found) / rest}`?" if found else ""


def _open_without_waiting(path: str, flags: int) -> int:
    """Open a file, but not a link that has replaced it meanwhile; a FIFO opens even without a writer."""
    return HERE.files.open_no_link(path, flags | getattr(os, "O_NONBLOCK", 0))


def _checked(
    files: Mapping[str, bytes], origins: Mapping[str, str], *, single: bool, left_out: tuple[str, ...] = ()
) -> Source:
    texts: dict[str, str] = {}
    for name, data in files.items():
        if any("\ud800" <= char <= "\udfff" for char in name):
            raise UsageError(f"The name of {name} is not UTF-8.", hint="Rename the file.")
        if b"\0" in data:
            raise UsageError(
                f"{name} is a binary file.",
                hint="Submit source code only; list build output in `.gitignore`.",
            )
        try:
            texts[name] = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            # Truncation at the limit may split a character; the error is then the size.
            if len(data) <= MAX_SOURCE_BYTES:
                raise UsageError(f"{name} is not UTF-8 text (byte {error.start}).", hint="Save it as UTF-8.") from None
            texts[name] = ""
    size = sum(map(len, files.values()))
    if size > MAX_SOURCE_BYTES:
        raise _too_large()
    if not any(text.strip() for text in texts.values()):
        raise UsageError(f"{', '.join(files)} is empty." if len(files) == 1 else "All files are empty.", hint=_EMPTY)
    return Source(texts, single, origins, left_out)
