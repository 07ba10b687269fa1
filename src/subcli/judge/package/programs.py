"""Programs of a package: validators, graders and submissions, each a file or a directory."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from subcli.judge.cases.model import Tool
from subcli.judge.languages.language import Language
from subcli.judge.package.languages import is_python_2, language_of
from subcli.judge.problem import ProblemError

_MOST_FILES: Final = 500
_MAX_BYTES: Final = 4 * 1024 * 1024
_SCRIPTS: Final = ("build", "run")


def entries(directory: Path) -> list[Path]:
    """What is in a directory, by name, without what the format tells to ignore; empty if there is no directory.

    Raises:
        ProblemError: it cannot be listed.
    """
    try:
        return sorted(path for path in directory.iterdir() if not path.name.startswith((".", "-")))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise ProblemError(directory, f"cannot be listed: {error.strerror or error}") from None


def files_of(program: Path) -> dict[str, Path]:
    """The files of a program, by their paths in it.

    Raises:
        ProblemError: there are too many, or a link leads around in a circle.
    """
    if not program.is_dir():
        return {program.name: program}
    found: dict[str, Path] = {}
    waiting = [(program, frozenset([os.path.realpath(program)]))]
    while waiting:
        directory, around = waiting.pop()
        for path in entries(directory):
            if path.is_dir():
                real = os.path.realpath(path)
                if real in around:
                    raise ProblemError(path, "leads back to a directory that it is in")
                if path.name != "__pycache__":
                    waiting.append((path, around | {real}))
            elif path.is_file():
                found[path.relative_to(program).as_posix()] = path
            if len(found) + len(waiting) > _MOST_FILES:
                raise ProblemError(program, f"has more than {_MOST_FILES} files")
    return dict(sorted(found.items()))


def texts_of(files: Mapping[str, Path]) -> dict[str, str]:
    """The text of each file; bytes that are not UTF-8 are read as Latin-1.

    Raises:
        ProblemError: one cannot be read, or they are too long together.
    """
    texts = {}
    left = _MAX_BYTES
    for name, path in files.items():
        try:
            data = path.read_bytes() if path.stat().st_size <= left else None
        except OSError as error:
            raise ProblemError(path, f"cannot be read: {error.strerror or error}") from None
        if data is None:
            raise ProblemError(path, f"is larger than {_MAX_BYTES // (1 << 20)} MiB, together with the files beside it")
        left -= len(data)
        try:
            texts[name] = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            texts[name] = data.decode("latin-1")
    return texts


def find_programs(directory: Path, known: Mapping[str, Language], *, is_one: bool) -> list[Path]:
    """The programs in a directory of programs.

    Args:
        directory: such as `output_validators`.
        known: the languages.
        is_one: whether source files that lie in it are one program, as in `output_validator`.
    """
    inside = entries(directory)
    if any(path.name in _SCRIPTS and path.is_file() for path in inside):
        return [directory]
    suffixes = {ending for language in known.values() for ending in language.source_endings}
    sources = [path for path in inside if path.is_file() and path.suffix in suffixes]
    if len(sources) == 1 or (sources and is_one):
        # With the headers and data that lie beside it.
        return [directory]
    return sources or [path for path in inside if path.is_dir() and files_of(path)]


def tool(program: Path, known: Mapping[str, Language]) -> Tool:
    """A program of the author's that the judge runs.

    Raises:
        ProblemError: it is in no language that the judge knows, or it is not known where it begins.
    """
    files = files_of(program)
    directory = program if program.is_dir() else program.parent
    if any(name in files for name in _SCRIPTS):
        return Tool(directory, tuple(files), _scripted(files), next(name for name in _SCRIPTS if name in files))
    texts = texts_of(files)
    if is_python_2(texts):
        raise ProblemError(program, "is written in Python 2, which cannot be run; it must be in Python 3")
    language = language_of(texts, known)
    if language is None:
        raise ProblemError(
            program, f"must be in one of the languages {', '.join(known)}, or have a script `build` or `run`"
        )
    entry = entry_of(language, texts)
    if entry is None:
        raise ProblemError(program, f"must have one file to start, such as {language.source}")
    return Tool(directory, tuple(files), language, entry)


def entry_of(language: Language, texts: Mapping[str, str]) -> str | None:
    """The file to start; where the language cannot tell, `main` or the first one, as others do."""
    entry = language.entry(texts)
    if entry is not None:
        return entry
    sources = sorted(name for name in texts if Path(name).suffix in language.source_endings)
    return next(
        (name for name in sources if Path(name).stem.lower() in ("main", "__main__")), next(iter(sources), None)
    )


def _scripted(files: Mapping[str, Path]) -> Language:
    """The language of a program that builds or starts itself."""
    build = "./build && " if "build" in files else ""
    present = " ".join(f"./{name}" for name in _SCRIPTS if name in files)
    command = f"chmod +x {present} && {build}test -e ./run && chmod +x ./run"
    return Language("script", "run", ("./run",), ("/bin/sh", "-c", command), bounded_address_space=False)
