"""The code to hand in: read from files, a directory or stdin, and checked before anything is sent."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from subcli.errors import UsageError
from subcli.protocol import MAX_SOURCE_BYTES

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
"""Languages by the ending of a file, where ``--language`` does not say."""


_EMPTY: Final = "Nothing was handed in."


class Source(msgspec.Struct, frozen=True):
    """Code, as it is sent. ``files``: path within the submission to text."""

    files: Mapping[str, str]
    single: bool

    def body(self) -> dict[str, Any]:
        """The part of the request that carries the code."""
        return {"source_code": next(iter(self.files.values()))} if self.single else {"files": dict(self.files)}

    def language(self) -> str:
        """The language that the endings tell.

        Raises:
            UsageError: they tell none, or several.
        """
        found = {LANGUAGES[ending] for name in self.files if (ending := Path(name).suffix.lower()) in LANGUAGES}
        if len(found) == 1:
            return found.pop()
        names = ", ".join(self.files)
        raise UsageError(
            f"The language of {names} cannot be told from the ending{'s' if len(self.files) > 1 else ''}.",
            hint="Say it with `--language`.",
        )


def read_source(paths: Sequence[str], *, root: Path | None = None) -> Source:
    """Read the code of one submission.

    Args:
        paths: files and directories; ``-`` alone is stdin.
        root: what the names of several files are relative to; default: where we are.

    Raises:
        UsageError: there is no such file, or one that is empty, binary or too large.
    """
    if list(paths) == ["-"]:
        return _checked({"<stdin>": sys.stdin.buffer.read(MAX_SOURCE_BYTES + 1)}, single=True)
    if "-" in paths:
        raise UsageError("`-` (stdin) cannot be combined with other paths.", hint="Name files, or pipe one file in.")
    base = (root or Path.cwd()).resolve()
    files: dict[str, bytes] = {}
    for text in paths:
        path = Path(text) if root is None else root / text
        if path.is_dir():
            for file in sorted(path.rglob("*")):
                inside = file.relative_to(path)
                if file.is_file() and not any(part.startswith(".") for part in inside.parts):
                    files[inside.as_posix()] = _read(file)
        else:
            resolved = path.resolve()
            name = resolved.relative_to(base).as_posix() if resolved.is_relative_to(base) else path.name
            if name in files:
                raise UsageError(
                    f"Two of the files would be called {name}.", hint="Submit the directory that holds them."
                )
            files[name] = _read(path)
    if not files:
        raise UsageError(f"There is no file in {', '.join(paths)}.", hint="Hidden files are left out.")
    return _checked(files, single=len(files) == 1 and not Path(paths[0]).is_dir())


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_SOURCE_BYTES + 1)
    except FileNotFoundError:
        raise UsageError(f"There is no file {path}.", hint="Check the path; `-` reads stdin.") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}.", hint="Check the path.") from None


def _checked(files: Mapping[str, bytes], *, single: bool) -> Source:
    texts: dict[str, str] = {}
    for name, data in files.items():
        if b"\0" in data:
            raise UsageError(
                f"{name} is a binary file.", hint="A submission is source code, not what was built from it."
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
        raise UsageError(
            f"The submission is larger than {MAX_SOURCE_BYTES // 1024} KiB.",
            hint="Leave out what is not source code.",
        )
    if not any(text.strip() for text in texts.values()):
        raise UsageError(f"{', '.join(files)} is empty." if len(files) == 1 else "All files are empty.", hint=_EMPTY)
    return Source(texts, single)
