"""`--help` of every command at 80 columns, as a person reads it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from subcli.cli.app import app
from subcli.cli.main import run


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words of every command, groups included."""
    yield path
    for name, below in (getattr(command, "commands", None) or {}).items():
        yield from commands(below, (*path, name))


PATHS = list(commands(typer.main.get_command(app)))


@pytest.mark.parametrize("path", PATHS, ids=lambda path: " ".join(path) or "subcli")
def test_help(path: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """No type of typer's or of Python's stands for a value, and no sentence is cut."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERMINAL_WIDTH", "80")
    assert run([*path, "--help"]) == 0
    text = capsys.readouterr().out
    options = text.partition("Exit codes:")[0].partition("Example:")[0]
    assert not re.search(r"<\w+( \w+)?>|RANGE|[<>]=|\b(str|int|float|TEXT|INTEGER|FLOAT)\b", options)
    assert not re.search(r"\w\.\.\.(\s|$)", options.partition("Options:")[2])
    for label in re.findall(r"^  (?:-\w, )?--[\w-]+ (\S+)", options, flags=re.MULTILINE):
        assert label.isupper(), "a value is named in capitals"
    assert all(len(line) <= 80 for line in options.splitlines())
    assert "{" not in options.partition("\n\n")[0], "an argument is named as in the man pages"


@pytest.mark.parametrize("path", [path for path in PATHS if path], ids=lambda path: " ".join(path))
def test_summaries_are_sentences(path: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """One line that begins with a verb in the imperative and ends with a full stop."""
    assert run([*path, "--help"]) == 0
    paragraphs = capsys.readouterr().out.split("\n\n")
    summary = " ".join(paragraphs[1].split())
    assert re.fullmatch(r"[A-Z][a-z]+ .*\.", summary), summary
    assert len(summary) < 70
