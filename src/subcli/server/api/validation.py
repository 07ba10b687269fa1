"""Validation of submitted files. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from subcli.shared.protocol import MAX_SOURCE_BYTES

_MAX_FILES: Final = 200
_MAX_PATH_LENGTH: Final = 200
_PART_LENGTH: Final = 100
_PART: Final = re.compile(rf"[^/\\\x00-\x1f\x7f]{{1,{_PART_LENGTH}}}\Z")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


class SourceError(ValueError):
    """The files are not valid. Carries the HTTP `status` and a sentence."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(status, detail)
        self.status = status
        self.detail = detail


def check_files(files: Mapping[str, str]) -> None:
    """Check the paths, contents and total size of a submission's files.

    Raises:
        SourceError: 413 if they exceed 256 KiB in total (contract, section 2), 422 for anything else.
    """
    if not files:
        raise SourceError(422, "The submission contains no file.")
    if len(files) > _MAX_FILES:
        raise SourceError(422, f"A submission must not have more than {_MAX_FILES} files.")
    for path in files:
        _check_path(path)
    for path in files:
        if any(other.startswith(f"{path}/") for other in files):
            raise SourceError(422, f"{path!r} cannot be both a file and a directory.")
    size = sum(len(text.encode("utf-8", "surrogatepass")) for text in files.values())
    if size > MAX_SOURCE_BYTES:
        raise SourceError(413, f"The source has {size} bytes; the limit is {MAX_SOURCE_BYTES} (256 KiB).")
    for path, text in files.items():
        if "\0" in text:
            raise SourceError(422, f"{path!r} is a binary file; source code is text.")
    if not any(text.strip() for text in files.values()):
        raise SourceError(422, "The source is empty.")


def _check_path(path: str) -> None:
    parts = path.split("/")
    is_valid = all(_PART.match(part) and part not in (".", "..") for part in parts)
    if not is_valid or len(path) > _MAX_PATH_LENGTH or ":" in parts[0]:
        raise SourceError(422, f"{path[:_MAX_PATH_LENGTH]!r} is not a valid file path: it must {_rule_broken(path)}.")


def _rule_broken(path: str) -> str:
    """What a path must be like that is not valid."""
    parts = path.split("/")
    if _CONTROL.search(path):
        return "not contain control characters, such as a line end"
    if len(path) > _MAX_PATH_LENGTH or any(len(part) > _PART_LENGTH for part in parts):
        return f"have at most {_MAX_PATH_LENGTH} characters, and {_PART_LENGTH} characters in each part"
    if ":" in parts[0]:
        return "not contain a colon in its first part"
    return "be relative, use '/' and not contain '..'"
