"""The language of a submission, inferred from its file extensions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Final

_ENDINGS: Final = {
    ".c": "c cpp",
    ".clj": "clojure",
    ".cpp": "cpp",
    ".cc": "cpp",
    ".c++": "cpp",
    ".cs": "csharp",
    ".cts": "typescript",
    ".cxx": "cpp",
    ".dart": "dart",
    ".erl": "erlang",
    ".ex": "elixir",
    ".exs": "elixir",
    ".fs": "fsharp",
    ".go": "go",
    ".h": "c cpp",
    ".h++": "cpp",
    ".hh": "cpp",
    ".hpp": "cpp",
    ".hrl": "erlang",
    ".hs": "haskell",
    ".hxx": "cpp",
    ".inl": "cpp",
    ".ipp": "cpp",
    ".java": "java kotlin scala",
    ".jl": "julia",
    ".js": "javascript typescript",
    ".cjs": "javascript typescript",
    ".jsx": "javascript typescript",
    ".kt": "kotlin",
    ".kts": "kotlin",
    ".lua": "lua",
    ".mjs": "javascript typescript",
    ".ml": "ocaml",
    ".mli": "ocaml",
    ".mts": "typescript",
    ".nim": "nim",
    ".php": "php",
    ".pl": "perl",
    ".pm": "perl",
    ".py": "python pypy",
    ".pyi": "python pypy",
    ".r": "r",
    ".rb": "ruby",
    ".rs": "rust",
    ".scala": "scala",
    ".sh": "shell",
    ".bash": "shell",
    ".sql": "sql",
    ".swift": "swift",
    ".tpp": "cpp",
    ".ts": "typescript",
    ".tsx": "typescript",
    ".zig": "zig",
}
"""Per ending, the languages that such a file can be part of; alone, it is of the first.

A header belongs to several, and so does a source that a compiler of another language takes as well.
"""

_ACCOMPANYING: Final = frozenset({"shell", "sql"})
"""Scripts and schemas accompany code of any language; they count only if there is nothing else."""

FAMILIES: Final = frozenset({"sql"})
"""Languages with dialects. The ending does not tell which one, but the problem may."""


def languages_in(problem: Mapping[str, object]) -> list[str]:
    """The languages that the server says a problem can be solved in; none if it does not say so in a readable way."""
    told = problem.get("languages")
    return [name for name in told if isinstance(name, str)] if isinstance(told, list) else []


def file_name(language: str) -> str:
    """A name for the only file of a solution in this language."""
    usual = {each.split()[0]: ending for ending, each in reversed(_ENDINGS.items())}
    return f"solution{usual.get(language, '.txt')}"


def language_of(names: Iterable[str]) -> str | None:
    """The one language that all files with these names can be part of.

    Args:
        names: names or paths; a file whose ending is not known is passed over.

    Returns:
        ``None`` if no ending is known, or if no language fits all of them.
    """
    known = [_ENDINGS[ending].split() for name in names if (ending := PurePath(name).suffix.lower()) in _ENDINGS]
    known = [languages for languages in known if languages[0] not in _ACCOMPANYING] or known
    if not known:
        return None
    return next((each for each in known[0] if all(each in languages for languages in known)), None)
