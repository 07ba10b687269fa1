"""The names that servers gave: what a completion may offer without asking again.

One file for each server in the user's cache directory, mode 0600, replaced as a whole. The commands that see
lists keep them here (:func:`remember`); :mod:`subcli.cli.completion.candidates` reads them back and asks again
when they are old. Names are strangers' text that ends up on a command line: only what :func:`is_plain` accepts is kept,
and only that is given out. Imports nothing that a shell would have to wait for.
"""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from subcli.settings.directories import own_directory
from subcli.shared.files import write_atomically

KINDS: Final = ("ids", "problems", "languages")
FRESH_S: Final = 60.0
"""After this many seconds a list is asked for again; it is still offered meanwhile."""
KEPT_S: Final = 24 * 3600.0
MOST: Final = 200
LONGEST: Final = 100
_FILE_MAX: Final = 256 * 1024
_PLAIN: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")


def is_plain(name: str) -> bool:
    """Whether no shell sees anything in it but a word: ``[A-Za-z0-9._-]+``, and no option."""
    return 0 < len(name) <= LONGEST and _PLAIN.issuperset(name) and name[0] != "-"


def cache_directory() -> Path | None:
    """Where the lists are kept; ``None`` where there is no home to have them."""
    directory = own_directory("cache")
    return directory / "names" if directory else None


class CompletionCache:
    """What is remembered of one server.

    Args:
        server: its URL, as the settings have it.
        directory: of all servers' files; ``None``: nothing is remembered.
    """

    def __init__(self, server: str, directory: Path | None) -> None:
        self.server = server
        self._path = directory / f"{zlib.crc32(server.encode(errors='replace')):08x}.json" if directory else None

    def names(self, kind: str) -> tuple[list[str], bool]:
        """The names of a kind (:data:`KINDS`), and whether they are fresh."""
        at, names = self._entry(self._read(), kind)
        age = time.time() - at
        if not 0 <= age < KEPT_S:
            return [], False
        return [name for name in names if isinstance(name, str) and is_plain(name)], age < FRESH_S

    def ask_now(self, pause_s: float) -> bool:
        """Whether nobody has begun to ask the server in the last ``pause_s`` seconds; if so, we do."""
        content = self._read()
        asked = content.get("asked")
        if isinstance(asked, (int, float)) and 0 <= time.time() - asked < pause_s:
            return False
        return self._write({**content, "asked": time.time()})

    def keep(self, kind: str, names: Iterable[object]) -> None:
        """Remember the names of a kind, in their order, in place of what was remembered."""
        content = self._read()
        plain = [text for name in names if is_plain(text := str(name))]
        self._write({**content, kind: [time.time(), list(dict.fromkeys(plain))[:MOST]]})

    def add(self, kind: str, name: object) -> None:
        """Remember one more, before the others. They are no fresher for that."""
        content = self._read()
        at, names = self._entry(content, kind)
        if is_plain(str(name)):
            self._write(
                {**content, kind: [at or time.time() - FRESH_S, list(dict.fromkeys([str(name), *names]))[:MOST]]}
            )

    def _entry(self, content: Mapping[str, Any], kind: str) -> tuple[float, list[Any]]:
        match content.get(kind):
            case [int() | float() as at, list() as names]:
                return float(at), names
        return 0.0, []

    def _read(self) -> dict[str, Any]:
        if self._path is None:
            return {}
        try:
            with self._path.open("rb") as file:
                content = json.loads(file.read(_FILE_MAX))
        except (OSError, ValueError, RecursionError):
            return {}
        # Two addresses may share a file; the later one has it.
        return content if isinstance(content, dict) and content.get("server") == self.server else {}

    def _write(self, content: Mapping[str, Any]) -> bool:
        if self._path is None:
            return False
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_atomically(self._path, json.dumps({**content, "server": self.server}).encode("ascii"), mode=0o600)
        except (OSError, ValueError):
            # Completion works without a cache.
            return False
        return True


def remember(server: str, **lists: Iterable[object]) -> None:
    """Keep the lists that a command has just seen, by their kind; see :meth:`CompletionCache.keep`."""
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
            spoken = row.get("languages")
            languages.extend(map(str, spoken) if isinstance(spoken, list) else ())
    return {"problems": problems, "languages": languages}
