"""Reads the code to submit from files, a directory or stdin, and checks it before anything is sent."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from subcli.core.errors import UsageError
from subcli.shared.protocol import MAX_SOURCE_BYTES
from subcli.workspace.gitignore import Ignored

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
"""The language for each file extension, unless ``--language`` says otherwise."""


NEAR_LIMIT_BYTES: Final = MAX_SOURCE_BYTES * 9 // 10
"""A larger submission gets a warning."""

_EMPTY: Final = "Nothing was handed in."


class Source(msgspec.Struct, frozen=True):
    """The code of one submission.

    Attributes:
        files: path within the submission to text.
        single: sent as one text without a name, for the server to name.
        origins: path within the submission to the path that it was read from; empty for stdin.
    """

    files: Mapping[str, str]
    single: bool
    origins: Mapping[str, str] = {}

    def warnings(self) -> list[str]:
        """Sentences about what may be a mistake: an empty file among others, or a size near the limit."""
        told = [f"{name} is empty." for name in self.files if self._is_oddly_empty(name)]
        size = sum(len(text.encode("utf-8", "surrogatepass")) for text in self.files.values())
        if size > NEAR_LIMIT_BYTES:
            limit = MAX_SOURCE_BYTES // 1024
            told.append(f"The submission has {size / 1024:.0f} KiB, and no more than {limit} KiB are taken.")
        return told

    def _is_oddly_empty(self, name: str) -> bool:
        return not self.files[name].strip() and Path(name).name != "__init__.py"

    def origin(self, name: str) -> str | None:
        """The path of what the server calls ``name``; ``None`` where that is no file here."""
        if self.single:
            # The server may call it what it likes.
            return next(iter(self.origins.values()), None)
        return self.origins.get(name)

    def body(self) -> dict[str, Any]:
        """The part of the request that carries the code."""
        return {"source_code": next(iter(self.files.values()))} if self.single else {"files": dict(self.files)}

    def language(self) -> str:
        """The language that the file extensions imply.

        Raises:
            UsageError: they imply none, or several.
        """
        found = {LANGUAGES[ending] for name in self.files if (ending := Path(name).suffix.lower()) in LANGUAGES}
        if len(found) == 1:
            return found.pop()
        names = ", ".join(self.files)
        raise UsageError(
            f"The language of {names} cannot be told from the ending{'s' if len(self.files) > 1 else ''}.",
            hint="Say it with `--language`.",
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
        paths: files and directories; ``-`` alone is stdin.
        root: where the project file that names them lies: it comes from strangers, so nothing outside of
            there is read. Default: the user named them, relative to where we are.

    Raises:
        UsageError: there is no such file, or one that is empty, binary, too large or outside.
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
            raise UsageError(f"Two of the files would be called {name}.", hint="Submit the directory that holds them.")
        files[name], origins[name] = _read(path), path.as_posix()
        if sum(map(len, files.values())) > MAX_SOURCE_BYTES:
            raise _too_large()
    if not files:
        left_out = "Hidden files and what `.gitignore` names are left out; name a file to hand it in all the same."
        raise UsageError(f"There is no file in {', '.join(paths)}.", hint=left_out)
    return _checked(files, origins, single=len(files) == 1 and not Path(paths[0]).is_dir())


def _named(paths: Sequence[str], base: Path, root: Path | None) -> Iterator[tuple[str, Path]]:
    """Each file, with its name in the submission."""
    for text in paths:
        if "\0" in text:
            raise UsageError(f"{text!r} is not a valid file name.", hint="Check the path.")
        path = Path(text) if root is None else root / text
        resolved = path.resolve()
        if root is not None and not resolved.is_relative_to(base):
            raise UsageError(f"{path} is not below {root}.", hint="If it is meant, name it: `subcli submit PATH`.")
        if path.is_dir():
            for file in _files_below(path):
                yield file.relative_to(path).as_posix(), file
        else:
            yield resolved.relative_to(base).as_posix() if resolved.is_relative_to(base) else path.name, path


def _files_below(directory: Path) -> Iterator[Path]:
    """The files to hand in from a directory, in order, and none that is not below it.

    Raises:
        UsageError: a link leads out of the directory: whoever put it there would get what is not the user's code.
    """
    inside = directory.resolve()
    ignored = Ignored(directory)
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
                raise UsageError(f"{file} is a link that leads out of {directory}.", hint="Put a copy in its place.")
            yield file


def _too_large() -> UsageError:
    return UsageError(
        f"The submission is larger than {MAX_SOURCE_BYTES // 1024} KiB.",
        hint="Leave out what is not source code.",
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
                hint="Only source code is handed in; name in `.gitignore` what was built from it.",
            )
        try:
            texts[name] = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            # A cut at the limit may split a character; then the size is the message.
            if len(data) <= MAX_SOURCE_BYTES:
                raise UsageError(f"{name} is not UTF-8 text (byte {error.start}).", hint="Save it as UTF-8.") from None
            texts[name] = ""
    size = sum(map(len, files.values()))
    if size > MAX_SOURCE_BYTES:
        raise _too_large()
    if not any(text.strip() for text in texts.values()):
        raise UsageError(f"{', '.join(files)} is empty." if len(files) == 1 else "All files are empty.", hint=_EMPTY)
    return Source(texts, single, origins)
