"""The directory that ``subcli init`` makes: the files a server offers, and a ``.subcli.toml``.

The names come from a server, so they are checked as strictly as if it were hostile: nothing is written outside
of the directory, nothing hidden, and nothing that is already there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from subcli.core.errors import ServerError, UsageError
from subcli.settings.files import PROJECT_FILE

_FILES_MAX: Final = 200


def make_workspace(
    directory: Path, files: Mapping[str, str], *, problem: str, language: str, submitted: Sequence[str]
) -> list[Path]:
    """Write the files and the project file.

    Args:
        directory: made if it is not there; must not hold any of the files.
        files: path within the directory to text.
        problem, language: for the project file.
        submitted: which of the files ``subcli submit`` hands in.

    Returns:
        What was written, in order.

    Raises:
        UsageError: a file is already there, or the directory cannot be written.
        ServerError: the server offers a name that leads elsewhere.
    """
    if len(files) > _FILES_MAX:
        raise ServerError(f"The server offers {len(files)} files; no more than {_FILES_MAX} are written.")
    texts = {_inside(name): text for name, text in files.items()}
    texts[PurePosixPath(PROJECT_FILE)] = _project_file(problem, language, submitted)
    for name in texts:
        if (directory / name).exists():
            raise UsageError(
                f"{directory / name} is already there.", hint="Name another directory: `subcli init P DIR`."
            )
    try:
        for name, text in texts.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            # "x": never through a link that appeared in between.
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        raise UsageError(f"{directory} cannot be written: {error.strerror or error}.", hint="Name another.") from None
    return [directory / name for name in texts]


def _inside(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    parts = name.split("/")
    if (
        path.is_absolute()
        or not all(part and not part.startswith(".") and part.isprintable() and "\\" not in part for part in parts)
        or len(name) > 200
    ):
        raise ServerError(f"The server offers a file of an unusable name ({name[:80]!r}).", hint="Nothing was written.")
    return path


def _project_file(problem: str, language: str, submitted: Sequence[str]) -> str:
    """TOML; JSON's strings and lists of them are TOML's as well (TOML 1.0, "String", "Array")."""
    return (
        "# What `subcli submit` hands in from here.\n"
        f"problem = {json.dumps(problem, ensure_ascii=False)}\n"
        f"language = {json.dumps(language, ensure_ascii=False)}\n"
        f"files = {json.dumps(list(submitted), ensure_ascii=False)}\n"
    )
