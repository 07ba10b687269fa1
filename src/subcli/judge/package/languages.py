"""The languages of the format, in the judge's own table."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Final

from subcli.judge.languages.language import Language

_CODES: Final = {"python3": "python", "python3numpy": "python", "cgmp": "c", "cppgmp": "cpp", "javaalgs4": "java"}
"""Codes of the format that are called otherwise here."""
_PYTHON_2: Final = re.compile(r"#!.*python2")


def allowed(codes: Iterable[str], known: Mapping[str, Language]) -> dict[str, Language]:
    """The known languages among those with these codes of the format; all of them if there are no codes."""
    names = {_CODES.get(code, code) for code in codes}
    # PyPy is Python as well, and faster.
    names |= {"pypy"} if "python" in names else set()
    return {name: language for name, language in known.items() if not names or name in names}


def language_of(texts: Mapping[str, str], known: Mapping[str, Language]) -> Language | None:
    """The language of a program: that of most of its files.

    Args:
        texts: its files, by name.
        known: the languages; the first one of equal ones counts.

    Returns:
        The language; None if no language fits.
    """
    if any(_PYTHON_2.match(text) for name, text in texts.items() if name.endswith(".py")):
        return None
    counts = {
        name: sum(PurePosixPath(file).suffix in language.source_endings for file in texts)
        for name, language in known.items()
    }
    best = max(counts, key=lambda name: counts[name], default="")
    return known[best] if best and counts[best] else None
