"""Reads the code to submit from files, a directory or stdin, and validates it before sending anything."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from subcli.core.errors import UsageError
from subcli.shared.protocol import MAX_SOURCE_BYTES
from subcli.workspace.gitignore import GitignoreMatcher

LANGUAGES: Final = {
    ".py": "python",
    ".js": "javascript",
    ".mjs": "javascript",
    ".ts": "typescript",
    ".c": "c",
    ".h": "c",
    ".cc": "cpp",
    ".cpp": "cpp",
    ".go": "go",
    ".rs": "rust",
    ".java": "java",
    ".rb": "ruby",
    ".sh": "shell",
}
"""The language of each file extension, unless ``--language`` overrides it."""

NEAR_LIMIT_BYTES: Final = MAX_SOURCE_BYTES * 9 // 10
"""Above this size a submission gets a warning."""

_EMPTY: Final = "Nothing was submitted."


class Source(msgspec.Struct, frozen=True):
    """The code of one submission.

    Attributes:
        files: maps each path within the submission to its text.
        single: whether the code is sent as one text; the server may call it by another name.
        origins: maps each path within the submission to the local path it was read from; empty for stdin.
    """

    files: Mapping[str, str]
    single: bool
    origins: Mapping[str, str] = {}

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

    def language(self) -> str:
        """The language implied by the file extensions.

        Raises:
            UsageError: The extensions imply no language, or several.
        """
        found = {LANGUAGES[ending] for name in self.files if (ending := Path(name).suffix.lower()) in LANGUAGES}
        if len(found) == 1:
            return found.pop()
        names = ", ".join(self.files)
        raise UsageError(
            f"The language of {names} cannot be inferred from the file extension{'s' if len(self.files) > 1 else ''}.",
            hint="Set it with `--language`.",
        )


def language_of_problem(source: Source, problem: Mapping[str, Any]) -> str | None:
    """The language of ``source`` by what the server tells about the problem.

    Args:
        source: the code.
        problem: the answer to ``GET /problems/…``; ``sources`` in it is our server's.

    Returns:
        The only language of the problem, else the only one whose source has the extension of one of the files.
    """
    languages, sources = problem.get("languages"), problem.get("sources")
    names = [name for name in languages if isinstance(name, str)] if isinstance(languages, list) else []
    if len(names) > 1 and isinstance(sources, Mapping):
        endings = {Path(file).suffix.lower() for file in source.files} - {""}
        names = [name for name in names if Path(str(sources.get(name, ""))).suffix.lower() in endings]
    return names[0] if len(names) == 1 else None


def read_source(paths: Sequence[str], *, root: Path | None = None) -> Source:
    """Read the code of one submission.

    Args:
        paths: Files and directories; ``-`` alone is stdin.
        root: The directory of the project file that lists the paths. Project files are not trusted, so nothing
            outside this directory is read. By default the paths come from the user, relative to the working directory.

    Raises:
        UsageError: A file does not exist, is empty, binary or too large, or is outside ``root``.
    """
    if list(paths) == ["-"]:
        return _checked({"<stdin>": sys.stdin.buffer.read(MAX_SOURCE_BYTES + 1)}, {}, single=True)
    if "-" in paths:
        raise UsageError("`-` (stdin) cannot be combined with other paths.", hint="Name files, or pipe one file in.")
    base = (root or Path.cwd()).resolve()
    files: dict[str, bytes] = {}
    origins: dict[str, str] = {}
    for name, path in _named(paths, base, root):
        if name in files:
            raise UsageError(f"Two files would both be named {name}.", hint="Submit the directory that contains them.")
        files[name], origins[name] = _read(path), path.as_posix()
        if sum(map(len, files.values())) > MAX_SOURCE_BYTES:
            raise _too_large()
    if not files:
        hint = "Hidden files and files in `.gitignore` are skipped; name a file explicitly to submit it."
        raise UsageError(f"There is no file to submit in {', '.join(paths)}.", hint=hint)
    return _checked(files, origins, single=len(files) == 1 and not Path(paths[0]).is_dir())


def _named(paths: Sequence[str], base: Path, root: Path | None) -> Iterator[tuple[str, Path]]:
    """Yield each file with its name in the submission."""
    for text in paths:
        if "\0" in text:
            raise UsageError(f"{text!r} is not a valid file name.", hint="Check the path.")
        path = Path(text) if root is None else root / text
        resolved = path.resolve()
        if root is not None and not resolved.is_relative_to(base):
            raise UsageError(f"{path} is outside {root}.", hint="To submit it anyway, name it: `subcli submit PATH`.")
        if path.is_dir():
            for file in _files_below(path):
                yield file.relative_to(path).as_posix(), file
        else:
            yield resolved.relative_to(base).as_posix() if resolved.is_relative_to(base) else path.name, path


def _files_below(directory: Path) -> Iterator[Path]:
    """Yield the files to submit from a directory, sorted by name.

    Raises:
        UsageError: A symbolic link points outside the directory. Following it could leak other files of the user.
    """
    inside = directory.resolve()
    ignored = GitignoreMatcher(directory)
    for text, names, files in os.walk(directory):
        here = Path(text)
        ignored.enter(here)
        names[:] = [
            name for name in sorted(names) if not name.startswith(".") and not ignored(here / name, is_dir=True)
        ]
        for name in sorted(files):
            file = here / name
            if name.startswith(".") or not file.is_file() or ignored(file, is_dir=False):
                continue
            if not file.resolve().is_relative_to(inside):
                raise UsageError(f"{file} is a link to a file outside {directory}.", hint="Replace it with a copy.")
            yield file


def _too_large() -> UsageError:
    return UsageError(
        f"The submission is larger than {MAX_SOURCE_BYTES // 1024} KiB.",
        hint="Submit source code only.",
    )


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_SOURCE_BYTES + 1)
    except FileNotFoundError:
        raise UsageError(f"There is no file {path}.", hint="Check the path; `-` reads stdin.") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}.", hint="Check the path.") from None


def _checked(files: Mapping[str, bytes], origins: Mapping[str, str], *, single: bool) -> Source:
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
    return Source(texts, single, origins)
