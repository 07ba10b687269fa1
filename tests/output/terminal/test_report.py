"""Error messages and warnings on stderr."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TextIO

import pytest

from subcli.core.errors import NetworkError
from subcli.output.terminal.report import note, report, warn

EVIL = "no\x1b[2J\nhost"


@pytest.mark.parametrize(
    ("hint", "env", "text"),
    [
        ("try later", {}, "error: nobody answers\nhint:  try later\n"),
        ("", {}, "error: nobody answers\n"),
        (
            "try later",
            {"FORCE_COLOR": "1"},
            "\x1b[1;31merror:\x1b[0m nobody answers\n\x1b[2mhint:\x1b[0m  try later\n",
        ),
    ],
)
def test_error_and_hint(hint: str, env: dict[str, str], text: str) -> None:
    """One line each; no line for an empty hint; colours where they are wanted."""
    stream = io.StringIO()
    report(NetworkError("nobody answers", hint=hint), stream, env)
    assert stream.getvalue() == text


@pytest.mark.parametrize(("write", "word", "style"), [(warn, "warning", "1;33"), (note, "note", "2")])
def test_warning_and_note(write: Callable[[str, TextIO, dict[str, str]], None], word: str, style: str) -> None:
    """One line; the word has a colour where colours are wanted, on a terminal or if they are forced."""

    class Tty(io.StringIO):
        def isatty(self) -> bool:
            return True

    coloured = f"\x1b[{style}m{word}:\x1b[0m two files\n"
    for stream, env, text in (
        (io.StringIO(), {"TERM": "xterm"}, f"{word}: two files\n"),
        (io.StringIO(), {"FORCE_COLOR": "1"}, coloured),
        (Tty(), {"TERM": "xterm"}, coloured),
        (Tty(), {"TERM": "xterm", "NO_COLOR": "1"}, f"{word}: two files\n"),
    ):
        write("two files", stream, env)
        assert stream.getvalue() == text


def test_hostile_text_stays_on_its_line() -> None:
    """Foreign text in a message, a hint or a warning has no effect on the terminal."""
    stream = io.StringIO()
    report(NetworkError(EVIL, hint=EVIL), stream, {})
    warn(EVIL, stream, {})
    assert stream.getvalue() == "error: no^[[2J host\nhint:  no^[[2J host\nwarning: no^[[2J host\n"
