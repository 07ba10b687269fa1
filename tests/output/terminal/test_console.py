"""The choice of view and colours by options, environment and streams."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest

from subcli.output.terminal.console import choose_view, make_console, wants_colour
from subcli.output.text.lines import Block, Line, LineRenderer
from subcli.output.text.theme import GOOD

TERMINALS = {"stdout_tty": True, "stderr_tty": True}


@pytest.mark.parametrize(
    ("changed", "env", "view"),
    [
        ({}, {"TERM": "xterm"}, "live"),
        ({}, {}, "plain"),
        ({}, {"TERM": ""}, "plain"),
        ({"json": True}, {}, "ndjson"),
        ({"json": True, "plain": True}, {}, "ndjson"),
        ({"quiet": True}, {}, "quiet"),
        ({"plain": True}, {}, "plain"),
        ({"stdout_tty": False}, {"TERM": "xterm"}, "plain"),
        ({"stderr_tty": False}, {"TERM": "xterm"}, "plain"),
        ({"stdout_tty": False, "stderr_tty": False}, {"FORCE_COLOR": "1"}, "plain"),
        ({}, {"CI": "true"}, "plain"),
        ({}, {"CI": "1"}, "plain"),
        ({}, {"TERM": "xterm", "CI": "false"}, "live"),
        ({}, {"TERM": "xterm", "CI": ""}, "live"),
        ({}, {"TERM": "dumb"}, "plain"),
        ({"quiet": True}, {"CI": "true"}, "quiet"),
    ],
)
def test_choice_of_view(changed: dict[str, bool], env: dict[str, str], view: str) -> None:
    """Options come first, then the environment and the streams (contract, section 4)."""
    options = {"json": False, "quiet": False, "plain": False, **TERMINALS, **changed}
    assert choose_view(**options, env=env) == view


@pytest.mark.parametrize(
    ("env", "on_terminal", "on_pipe"),
    [
        ({"TERM": "xterm"}, True, False),
        ({}, False, False),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False, False),
        ({"TERM": "xterm", "NO_COLOR": ""}, True, False),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False, False),
        ({"FORCE_COLOR": "1"}, True, True),
        ({"TERM": "xterm", "FORCE_COLOR": "0"}, False, False),
        ({"TERM": "xterm", "FORCE_COLOR": ""}, True, False),
        ({"TERM": "xterm", "CLICOLOR": "0"}, False, False),
        ({"TERM": "xterm", "CLICOLOR": "1"}, True, False),
        ({"CLICOLOR_FORCE": "1"}, True, True),
        ({"TERM": "xterm", "CLICOLOR_FORCE": "0"}, True, False),
        ({"TERM": "xterm", "CLICOLOR_FORCE": "", "CLICOLOR": ""}, True, False),
        ({"CLICOLOR": "0", "CLICOLOR_FORCE": "1"}, True, True),
        ({"TERM": "dumb"}, False, False),
        ({"TERM": "dumb", "FORCE_COLOR": "1"}, True, True),
    ],
)
def test_choice_of_colour(env: dict[str, str], on_terminal: bool, on_pipe: bool) -> None:
    """NO_COLOR takes precedence, then variables that force colour, then CLICOLOR and TERM."""
    assert wants_colour(env, tty=True) is on_terminal
    assert wants_colour(env, tty=False) is on_pipe
    console = make_console(io.StringIO(), env)
    assert ("\x1b" in LineRenderer(console).render(Line("x", GOOD))) is on_pipe


def test_forced_colour_does_not_make_a_pipe_a_terminal() -> None:
    """Rich by itself would treat it as one."""
    console = make_console(io.StringIO(), {"FORCE_COLOR": "1"})
    assert not console.is_terminal
    assert console.color_system == "standard"


def test_columns_sets_the_width() -> None:
    """A pipe without COLUMNS is 120 columns wide."""
    assert make_console(io.StringIO(), {"COLUMNS": "60"}).width == 60
    assert make_console(io.StringIO(), {}).width == 120


@pytest.mark.parametrize("columns", ["0", "-1", "", "wide", "99999999999", "1e3", "\u0663", "1", "9"])
def test_impossible_columns_count_as_unset(columns: str) -> None:
    """As scripts leave them, or as nobody has them."""
    console = make_console(io.StringIO(), {"COLUMNS": columns, "LINES": "0"})
    assert console.size == make_console(io.StringIO(), {}).size


def test_console_does_not_interpret_markup() -> None:
    """Foreign text is printed as it is, even as a string."""
    stream = io.StringIO()
    make_console(stream, {"FORCE_COLOR": "1"}).print("[bold]x[/bold] [/y] :smile: 42")
    assert stream.getvalue() == "[bold]x[/bold] [/y] :smile: 42\n"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437"])
def test_encoding_without_our_glyphs(encoding: str) -> None:
    """Nothing raises; ✓ becomes +, foreign letters become escapes."""
    binary = io.BytesIO()
    stream = io.TextIOWrapper(binary, encoding=encoding, errors="backslashreplace", write_through=True)
    console = make_console(stream, {})
    console.print(Block([Line("✓ ").put("中 … ✗"), Line("… 3 more")]))
    console.file.write("中\n")
    assert binary.getvalue() == b"+ \\u4e2d ~ x\n... 3 more\n\\u4e2d\n"


def test_rich_is_not_imported_for_json_and_quiet() -> None:
    """Importing it costs more than the rest of such a command."""
    code = (
        "import sys, subcli.output.terminal.console, subcli.output.view, subcli.output.ndjson;"
        "sys.exit(any(name.split('.')[0] == 'rich' for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
