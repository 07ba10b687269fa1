"""Which language the endings of files tell."""

from __future__ import annotations

import pytest

from subcli.workspace.languages import language_of


@pytest.mark.parametrize(
    ("names", "language"),
    [
        ("a.cpp a.h", "cpp"),
        ("a.c a.h", "c"),
        ("a.h", "c"),
        ("a.h a.hpp", "cpp"),
        ("A.HPP", "cpp"),
        ("a.cxx b.cc c.hh d.hxx", "cpp"),
        ("a.c b.cpp", "cpp"),
        ("a.kt B.java", "kotlin"),
        ("B.java", "java"),
        ("a.ts b.js c.mjs", "typescript"),
        ("a.js", "javascript"),
        ("a.rs", "rust"),
        ("a.go", "go"),
        ("main.py schema.sql run.sh README.md data.csv", "python"),
        ("schema.sql", "sql"),
        ("run.sh", "shell"),
        ("run.sh schema.sql", None),
        ("a.py a.c", None),
        ("a.py a.h", None),
        ("README.md Makefile", None),
        ("", None),
    ],
)
def test_language(names: str, language: str | None) -> None:
    """Headers fit their languages, files that lie beside code decide nothing, and two languages are none."""
    assert language_of(names.split()) == language
