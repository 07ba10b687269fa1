"""Checking what is handed in. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from subcli.shared.protocol import MAX_SOURCE_BYTES

_MOST_FILES: Final = 200
_LONGEST_PATH: Final = 200
_PART: Final = re.compile(r"[^/\\\x00-\x1f\x7f]{1,100}\Z")


class SourceError(ValueError):
    """The files cannot be taken. Carries the HTTP `status` and a sentence."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(status, detail)
        self.status = status
        self.detail = detail


def check_files(files: Mapping[str, str]) -> None:
    """Check names, contents and size of a submission's files.

    Raises:
        SourceError: 413 for more than 256 KiB together (contract, section 2), 422 for anything else.
    """
    if not files:
        raise SourceError(422, "There is no file in this submission.")
    if len(files) > _MOST_FILES:
        raise SourceError(422, f"A submission has at most {_MOST_FILES} files.")
    for path in files:
        _check_path(path)
    for path in files:
        if any(other.startswith(f"{path}/") for other in files):
            raise SourceError(422, f"{path!r} cannot be both a file and a directory.")
    size = sum(len(text.encode("utf-8", "surrogatepass")) for text in files.values())
    if size > MAX_SOURCE_BYTES:
        raise SourceError(413, f"The source has {size} bytes; a submission has at most {MAX_SOURCE_BYTES} (256 KiB).")
    for path, text in files.items():
        if "\0" in text:
            raise SourceError(422, f"{path!r} is a binary file; source code is text.")
    if not any(text.strip() for text in files.values()):
        raise SourceError(422, "The source is empty.")


def _check_path(path: str) -> None:
    parts = path.split("/")
    usable = all(_PART.match(part) and part not in (".", "..") for part in parts)
    if not usable or len(path) > _LONGEST_PATH or ":" in parts[0]:
        raise SourceError(
            422, f"{path[:_LONGEST_PATH]!r} cannot be a file's path: relative, with '/', and without '..'."
        )
