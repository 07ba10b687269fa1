"""What was handed in last, so that the same code handed in again is noticed.

A small file in the user's state directory: for each server and problem a digest of the code, the submission and
when. No code, no secrets; where it cannot be read or written, nothing is noticed, and that is all.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from subcli.settings.directories import own_directory
from subcli.workspace.source import Source

KEPT: Final = 200
"""Entries; the oldest go."""


class Entry(msgspec.Struct, frozen=True):
    """What was handed in. ``at``: Unix time."""

    digest: str
    submission_id: int
    at: float


def state_file() -> Path | None:
    """Where it is kept; ``None`` where there is no home to have it."""
    directory = own_directory("state")
    return directory / "submitted.json" if directory else None


class History:
    """The last submissions of one user.

    Args:
        path: the file; ``None``: there is none.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def same(self, server: str, problem: str, language: str, source: Source) -> Entry | None:
        """The last submission to this problem, if it was the same code."""
        entry = self._read().get(_key(server, problem))
        return entry if entry is not None and entry.digest == digest(language, source) else None

    def note(self, server: str, problem: str, language: str, source: Source, submission_id: int, at: float) -> None:
        """Remember what was handed in."""
        if self._path is None:
            return
        entries = self._read()
        entries.pop(_key(server, problem), None)
        entries[_key(server, problem)] = Entry(digest(language, source), submission_id, at)
        kept = dict(list(entries.items())[-KEPT:])
        half = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            half.unlink(missing_ok=True)
            with open(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(msgspec.json.encode(kept))
            half.replace(self._path)

    def _read(self) -> dict[str, Entry]:
        if self._path is None:
            return {}
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=dict[str, Entry])
        except (OSError, msgspec.MsgspecError, UnicodeError):
            return {}


def digest(language: str, source: Source) -> str:
    """What tells two submissions apart."""
    from hashlib import sha256

    files: Mapping[str, str] = source.files
    # The name of a single file is not sent.
    names = [""] if source.single else list(files)
    return sha256(msgspec.json.encode([language, sorted(zip(names, files.values(), strict=True))])).hexdigest()


def _key(server: str, problem: str) -> str:
    return f"{server} {problem}"
