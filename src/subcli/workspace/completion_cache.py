"""The names that TAB offers: those that ordinary commands have seen.

One file for each server in the user's cache directory, mode 0600, replaced as a whole. Commands that receive lists
store them here (:func:`remember`); :mod:`subcli.cli.completion.candidates` reads them. Names come from a server and
end up on a command line: only what :func:`is_plain` accepts is stored and returned. Commands that run at the same time
take turns with a file.
"""

from __future__ import annotations

import contextlib
import json
import time
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from subcli.settings.directories import own_directory
from subcli.shared.files import exclude_others, write_atomically
from subcli.workspace.languages import languages_in

KINDS: Final = ("ids", "problems", "languages")
KEPT_S: Final = 30 * 24 * 3600.0
"""After this long without a refresh, a list is no longer offered."""
MAX_NAMES: Final = 200
MAX_LENGTH: Final = 100
LOCK_S: Final = 0.5
"""How long one process waits for another that writes a file."""
_FILE_MAX: Final = 256 * 1024
_PLAIN: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")


def is_plain(name: str) -> bool:
    """Whether every shell takes it for a plain word: ``[A-Za-z0-9._-]+``, and not an option."""
    return 0 < len(name) <= MAX_LENGTH and _PLAIN.issuperset(name) and name[0] != "-"


def cache_directory() -> Path | None:
    """Where the lists are stored; ``None`` without a home directory."""
    directory = own_directory("cache")
    return directory / "names" if directory else None


class CompletionCache:
    """The names of one server.

    Args:
        server: its URL, as the settings have it.
        directory: of all servers' files; ``None``: nothing is stored.
    """

    def __init__(self, server: str, directory: Path | None) -> None:
        self._server = server
        self._path = directory / f"{zlib.crc32(server.encode(errors='replace')):08x}.json" if directory else None

    def names(self, kind: str) -> list[str]:
        """The names of a kind (:data:`KINDS`)."""
        return self._names(self._read(), kind)

    def keep(self, kind: str, names: Iterable[object]) -> None:
        """Store the names of a kind, in their order, instead of those before."""
        given = list(names)
        self._change(lambda content: {kind: given})

    def add(self, **names: object) -> None:
        """Store one more name of each of these kinds, before the others."""
        self._change(lambda content: {kind: [name, *self._names(content, kind)] for kind, name in names.items()})

    def _names(self, content: Mapping[str, Any], kind: str) -> list[str]:
        match content.get(kind):
            # Compared, not subtracted: a damaged file may contain a number that exceeds every float.
            case [int() | float() as at, list() as names] if time.time() - KEPT_S < at <= time.time():
                return [name for name in names if isinstance(name, str) and is_plain(name)]
        return []

    def _read(self) -> dict[str, Any]:
        if self._path is None:
            return {}
        try:
            with self._path.open("rb") as file:
                content = json.loads(file.read(_FILE_MAX))
        except (OSError, ValueError, RecursionError):
            return {}
        # Two addresses may share a file; the later one has it.
        return content if isinstance(content, dict) and content.get("server") == self._server else {}

    def _change(self, change: Callable[[Mapping[str, Any]], Mapping[str, Iterable[object]]]) -> None:
        """Replace the lists that ``change`` returns for the present content."""
        if self._path is None:
            return
        # Without a cache, TAB offers nothing.
        with contextlib.suppress(OSError, ValueError):
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with exclude_others(self._path.with_suffix(".lock"), LOCK_S):
                content = self._read()
                for kind, names in change(content).items():
                    plain = [text for name in names if is_plain(text := str(name))]
                    content[kind] = [time.time(), list(dict.fromkeys(plain))[:MAX_NAMES]]
                content["server"] = self._server
                write_atomically(self._path, json.dumps(content).encode("ascii"), mode=0o600)


def remember(server: str, **lists: Iterable[object]) -> None:
    """Store the lists that a command has just received, by their kind (:meth:`CompletionCache.keep`)."""
    cache = CompletionCache(server, cache_directory())
    for kind, names in lists.items():
        cache.keep(kind, names)


def names_of_problems(rows: Iterable[object]) -> dict[str, list[str]]:
    """The problems and the languages in the answer to ``GET /problems``."""
    problems: list[str] = []
    languages: list[str] = []
    for row in rows:
        if isinstance(row, dict):
            problems.append(str(row.get("slug") or row.get("id")))
            languages.extend(languages_in(row))
    return {"problems": problems, "languages": languages}
