"""Remembers the latest submission to each problem.

So a command can warn if the same code is submitted again, and notice that an id belongs to another submission because
the server was restored from a backup. A small file in the user's state directory maps each server and problem to a
digest of the code, the submission id, the time and the name of the submission's log. It contains no code and no
secrets. If it cannot be read or written, nothing is noticed. Submissions that are made at the same time take turns with
it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from subcli.settings.directories import own_directory
from subcli.shared.files import exclude_others, write_atomically
from subcli.workspace.source import Source

MAX_ENTRIES: Final = 200
"""The oldest entries are dropped first."""
LOCK_S: Final = 0.5
"""How long one process waits for another that writes the file."""


class Entry(msgspec.Struct, frozen=True):
    """One submission. ``at`` is a Unix time, ``epoch`` the name of its log, from servers that name it."""

    digest: str
    submission_id: int
    at: float
    epoch: str | None = None


def state_file() -> Path | None:
    """The path of the file, or ``None`` if there is no home directory."""
    directory = own_directory("state")
    return directory / "submitted.json" if directory else None


class History:
    """The latest submissions of one user.

    Args:
        path: The file; ``None`` to remember nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def find_same(self, server: str, problem: str, language: str, source: Source) -> Entry | None:
        """Return the latest submission to this problem if its code was the same."""
        entry = self._read().get(_key(server, problem))
        return entry if entry is not None and entry.digest == digest(language, source) else None

    def epoch_of(self, server: str, submission_id: int) -> str | None:
        """Return the name of the log that this submission had when it was made, if it is remembered."""
        found = [
            entry
            for key, entry in self._read().items()
            if entry.submission_id == submission_id and key.startswith(_key(server, ""))
        ]
        return max(found, key=lambda entry: entry.at).epoch if found else None

    def add(
        self,
        server: str,
        problem: str,
        language: str,
        source: Source,
        submission_id: int,
        at: float,
        epoch: str | None = None,
    ) -> None:
        """Remember a submission."""
        if self._path is None:
            return
        entry = Entry(digest(language, source), submission_id, at, epoch)
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with exclude_others(self._path.with_suffix(".lock"), LOCK_S):
                entries = self._read()
                entries.pop(_key(server, problem), None)
                entries[_key(server, problem)] = entry
                kept = dict(list(entries.items())[-MAX_ENTRIES:])
                write_atomically(self._path, msgspec.json.encode(kept), mode=0o600)

    def _read(self) -> dict[str, Entry]:
        if self._path is None:
            return {}
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=dict[str, Entry])
        except (OSError, msgspec.MsgspecError, UnicodeError):
            return {}


def digest(language: str, source: Source) -> str:
    """Return a digest that identifies the code and its language."""
    from hashlib import sha256

    files: Mapping[str, str] = source.files
    # The name of a single file is only for messages.
    names = [""] if source.single else list(files)
    return sha256(msgspec.json.encode([language, sorted(zip(names, files.values(), strict=True))])).hexdigest()


def _key(server: str, problem: str) -> str:
    return f"{server} {problem}"
