"""Creates the directory for ``subcli init``: the files that the server offers, and a ``.subcli.toml``.

The server is not trusted with file names: nothing is written outside the directory, no hidden file is created and no
existing file is overwritten.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from subcli.core.errors import ServerError, UsageError
from subcli.settings.files import PROJECT_FILE

_MAX_FILES: Final = 200


def make_workspace(
    directory: Path, files: Mapping[str, str], *, problem: str, language: str, submitted: Sequence[str]
) -> list[Path]:
    """Write the files and the project file.

    Args:
        directory: Created if it does not exist. It must not contain any of the files.
        files: Maps each path within the directory to its text.
        problem, language: Recorded in the project file.
        submitted: The files that ``subcli submit`` will submit.

    Returns:
        The paths written, in order.

    Raises:
        UsageError: A file already exists, or the directory cannot be written.
        ServerError: The server offers too many files, or an unsafe file name.
    """
    if len(files) > _MAX_FILES:
        raise ServerError(f"The server offers {len(files)} files; the limit is {_MAX_FILES}.")
    texts = {_inside(name): text for name, text in files.items()}
    texts[PurePosixPath(PROJECT_FILE)] = _project_file(problem, language, submitted)
    for name in texts:
        if (directory / name).exists():
            raise UsageError(
                f"{directory / name} already exists.", hint="Choose another directory: `subcli init P DIR`."
            )
    try:
        for name, text in texts.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            # "x" does not follow a link created in the meantime.
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        raise UsageError(f"{directory} cannot be written: {error.strerror or error}.", hint="Choose another.") from None
    return [directory / name for name in texts]


def _inside(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    parts = name.split("/")
    if (
        path.is_absolute()
        or not all(part and not part.startswith(".") and part.isprintable() and "\\" not in part for part in parts)
        or len(name) > 200
    ):
        raise ServerError(f"The server offers a file with an unsafe name: {name[:80]!r}.", hint="Nothing was written.")
    return path


def _project_file(problem: str, language: str, submitted: Sequence[str]) -> str:
    """The project file. JSON strings, and lists of them, are valid TOML (TOML 1.0, "String", "Array")."""
    return (
        "# What `subcli submit` submits from this directory.\n"
        f"problem = {json.dumps(problem, ensure_ascii=False)}\n"
        f"language = {json.dumps(language, ensure_ascii=False)}\n"
        f"files = {json.dumps(list(submitted), ensure_ascii=False)}\n"
    )
