"""Error messages and warnings on stderr."""

from __future__ import annotations

import io

import pytest

from subcli.core.errors import NetworkError
from subcli.output.terminal.report import report, warn

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


def test_warning() -> None:
    """One line."""
    stream = io.StringIO()
    warn("two files", stream, {})
    warn("two files", stream, {"FORCE_COLOR": "1"})
    assert stream.getvalue() == "warning: two files\n\x1b[1;33mwarning:\x1b[0m two files\n"


def test_hostile_text_stays_on_its_line() -> None:
    """Foreign text in a message, a hint or a warning has no effect on the terminal."""
    stream = io.StringIO()
    report(NetworkError(EVIL, hint=EVIL), stream, {})
    warn(EVIL, stream, {})
    assert stream.getvalue() == "error: no^[[2J host\nhint:  no^[[2J host\nwarning: no^[[2J host\n"
