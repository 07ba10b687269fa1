"""The languages of the format, in the judge's own table."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Final

from subcli.judge.languages.language import Language

_CODES: Final = {"python3": "python", "python3numpy": "python", "cgmp": "c", "cppgmp": "cpp", "javaalgs4": "java"}
"""Codes of the format that are called otherwise here."""
PYTHON_2: Final = "Python 2"
"""What a submission is in that the judge knows, but cannot run."""
_PYTHON_2: Final = re.compile(r"#!.*python2")
_ONLY_PYTHON_2: Final = ("Missing parentheses in call to", "multiple exception types must be parenthesized")
"""What Python 3 says of statements of Python 2."""


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
    if is_python_2(texts):
        return None
    counts = {
        name: sum(PurePosixPath(file).suffix in language.source_endings for file in texts)
        for name, language in known.items()
    }
    best = max(counts, key=lambda name: counts[name], default="")
    return known[best] if best and counts[best] else None


def is_python_2(texts: Mapping[str, str]) -> bool:
    """Whether a program of these files says that it is in Python 2, or has statements of Python 2."""
    return any(_is_python_2(text) for name, text in texts.items() if name.endswith(".py"))


def _is_python_2(text: str) -> bool:
    if _PYTHON_2.match(text):
        return True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(text)
    except SyntaxError as error:
        return error.msg.startswith(_ONLY_PYTHON_2)
    except (ValueError, RecursionError, MemoryError):
        pass
    return False
