"""A submission to be judged, and its files on disk."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from subcli.judge.debugging import Debugged
from subcli.judge.problem import Problem


@dataclass(frozen=True)
class OutputLimits:
    """How much is told of what the build and the tests print, while they do.

    Attributes:
        total_bytes: of the whole submission.
        bytes_per_s: in a second, on average.
    """

    total_bytes: int
    bytes_per_s: int


@dataclass(frozen=True)
class Job:
    """One submission.

    Attributes:
        files: the text of each file, by its path within the submission.
        alone: whether nothing may be judged beside it.
        traced: whether the traces of failed tests are wanted, as events `RUN_TRACE` before their results.
        only: the ids of the tests to run, where the tests are pytest's; all of them if it is empty.
        debugged: the node that runs under a debugger.
        output: how much is told of what it prints, in events of the type `output`; None: nothing.
    """

    problem: Problem
    language: str
    files: Mapping[str, str]
    attempt: int = 1
    alone: bool = False
    output: OutputLimits | None = None
    traced: bool = False
    only: tuple[str, ...] = ()
    debugged: Debugged | None = None


class UnsafePath(ValueError):
    """A file's path is not valid inside a submission. Has `path`."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path

    def __str__(self) -> str:
        return f"{self.path!r} is not a valid path inside the submission"


def check_path(path: str) -> PurePosixPath:
    """Return the path if it is relative, stays inside the submission and is a valid file name.

    Raises:
        UnsafePath: It is not such a path.
    """
    pure = PurePosixPath(path)
    unsafe = (
        not pure.parts
        or pure.is_absolute()
        or ".." in pure.parts
        or "\\" in path
        or any(unicodedata.category(character) == "Cc" for character in path)
        or any(len(part.encode("utf-8", "replace")) > 200 for part in pure.parts)
        or len(pure.parts) > 16
    )
    if unsafe:
        raise UnsafePath(path)
    return pure


def without(files: Mapping[str, str], laid: Collection[str]) -> dict[str, str]:
    """The files of a submission that are not in the way of the author's, which win.

    Args:
        files: The submission.
        laid: The paths of the author's files.
    """
    own = [PurePosixPath(name) for name in laid]
    taken = {*own, *(parent for path in own for parent in path.parents)} - {PurePosixPath(".")}
    return {
        name: text
        for name, text in files.items()
        if not taken & {PurePosixPath(name)} and not set(own) & set(PurePosixPath(name).parents)
    }


def write_files(files: Mapping[str, str], directory: Path) -> None:
    """Write a submission's files below `directory`.

    Raises:
        UnsafePath: A path points outside it, or names both a file and a directory. Nothing is written.
    """
    paths = {name: check_path(name) for name in files}
    parents = {parent for path in paths.values() for parent in path.parents}
    for name, path in paths.items():
        if path in parents:
            raise UnsafePath(name)
    for name, path in paths.items():
        target = directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(files[name], encoding="utf-8", errors="surrogatepass", newline="")
