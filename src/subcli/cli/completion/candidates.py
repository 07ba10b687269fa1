"""``subcli __complete KIND WORD…``: the names that a shell offers at TAB, one a line.

The completion scripts know commands and options by themselves; they ask here only for what they cannot know: ``ids``,
``problems``, ``languages`` and ``profiles``. ``WORD…`` is the command line so far.

Names come from the cache that ordinary commands refresh: TAB sends nothing and starts nothing. On any error, nothing is
printed: the user is typing on this line.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from subcli.workspace.completion_cache import KINDS, CompletionCache, cache_directory, is_plain


def main(arguments: Sequence[str]) -> None:
    """Print the names, or nothing."""
    with contextlib.suppress(Exception):
        kind, *words = arguments
        found = candidates(kind, words, os.environ, Path.cwd())
        os.write(1, "".join(f"{name}\n" for name in found).encode())


def candidates(kind: str, words: Sequence[str], env: Mapping[str, str], cwd: Path) -> list[str]:
    """The names of a kind that this command line could use.

    Args:
        kind: ``profiles``, or one of :data:`~subcli.workspace.completion_cache.KINDS`.
        words: the command line so far, for its `--server` and `--profile`.

    Raises:
        SubcliError: The settings cannot be used.
    """
    if kind == "profiles":
        return [name for name in _profiles() if is_plain(name)]
    if kind not in KINDS:
        return []
    directory = cache_directory()
    if directory is None or not directory.is_dir():
        return []
    # Imported here: it takes as long as everything else.
    from subcli.cli.resolve import resolve_settings

    flags = _flags(words)
    settings = resolve_settings(env, cwd, {"server": flags.get("server")}, profile=flags.get("profile"))
    return CompletionCache(settings.server, directory).names(kind)


def _flags(words: Sequence[str]) -> dict[str, str]:
    """The values of `--server` and `--profile` on the line."""
    found = {}
    # bash passes `--server=URL` as three words.
    words = [word for word in words if word != "="]
    for name in ("server", "profile"):
        for word, following in itertools.pairwise([*words, ""]):
            if word == f"--{name}" and following:
                found[name] = following.strip("'\"")
            elif word.startswith(f"--{name}="):
                found[name] = word.partition("=")[2].strip("'\"")
    return found


def _profiles() -> list[str]:
    from subcli.settings.files import UserFile, user_file

    return list(UserFile(user_file()).settings.profiles)
