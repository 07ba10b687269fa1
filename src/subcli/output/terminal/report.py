"""Error messages, warnings and notes on stderr: what happened, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TextIO

from subcli.core.errors import SubcliError
from subcli.output.printable import one_line
from subcli.output.terminal.console import wants_colour

_RED, _YELLOW, _DIM, _RESET = "\x1b[1;31m", "\x1b[1;33m", "\x1b[2m", "\x1b[0m"


def report(error: SubcliError, stream: TextIO, env: Mapping[str, str]) -> None:
    """Write ``error`` and its hint, without importing Rich: most errors occur before anything is drawn."""
    colour = wants_colour(env, tty=stream.isatty())
    red, dim, reset = (_RED, _DIM, _RESET) if colour else ("", "", "")
    lines = [f"{red}error:{reset} {one_line(error.message)}"]
    if error.hint:
        lines.append(f"{dim}hint:{reset}  {one_line(error.hint)}")
    stream.write("\n".join(lines) + "\n")
    stream.flush()


def warn(text: str, stream: TextIO, env: Mapping[str, str]) -> None:
    """Write a warning about something that may not be intended."""
    yellow, reset = (_YELLOW, _RESET) if wants_colour(env, tty=stream.isatty()) else ("", "")
    stream.write(f"{yellow}warning:{reset} {one_line(text)}\n")
    stream.flush()


def note(text: str, stream: TextIO, env: Mapping[str, str]) -> None:
    """Write useful information; nothing is wrong."""
    dim, reset = (_DIM, _RESET) if wants_colour(env, tty=stream.isatty()) else ("", "")
    stream.write(f"{dim}note:{reset} {one_line(text)}\n")
    stream.flush()
