"""What a language says about its version."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from subcli.judge.languages import table
from subcli.judge.languages.language import Language
from subcli.judge.languages.versions import missing_programs, version_of


async def test_version_of_python(tmp_path: Path) -> None:
    """The first line that the command prints."""
    assert await version_of(table.language("python"), tmp_path) == f"Python {sys.version.split()[0]}"


@pytest.mark.parametrize(
    ("command", "version"),
    [
        ((), ""),
        (("/nonexistent/compiler",), ""),
        (("sh", "-c", "echo; echo '  one  ' >&2; echo two"), "one"),
        (("sh", "-c", "exit 3"), ""),
        (("sh", "-c", "echo no toolchain; exit 1"), ""),
        (("sh", "-c", "yes | tr -d '\\n'"), "y" * 120),
        (("sh", "-c", "printf '\\377one\\n'"), "\ufffdone"),
        (("sh", "-c", "echo one; exec >/dev/null 2>&1; exec sleep 1000"), "one"),
    ],
)
async def test_strange_compilers(tmp_path: Path, command: tuple[str, ...], version: str) -> None:
    """Whatever a command does, it ends, and little of what it prints is kept."""
    assert await version_of(Language("x", "x.x", ("x",), version=command), tmp_path) == version


def test_missing_programs_are_named() -> None:
    """Those of the commands, and those that the language requires besides."""
    language = Language("x", "x.x", ("./a.out",), build=("no-such-compiler", "{source}"), requires=("sh", "nor-this"))
    assert missing_programs(language) == ("nor-this", "no-such-compiler")
