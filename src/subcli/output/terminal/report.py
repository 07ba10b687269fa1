"""Error messages, warnings and notes on stderr: what happened, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple, TextIO

from subcli.core.errors import SubcliError, UsageError
from subcli.output.printable import one_line
from subcli.output.terminal.console import theme_name, wants_colour

_RESET: Final = "\x1b[0m"


class _Colours(NamedTuple):
    """The sequences of a theme (:mod:`subcli.output.text.themes`), without importing Rich."""

    red: str
    yellow: str
    dim: str
    reset: str = _RESET


_COLOURS: Final = {
    "default": _Colours("\x1b[1;31m", "\x1b[1;33m", "\x1b[2m"),
    "high-contrast": _Colours("\x1b[1;37;41m", "\x1b[1;30;43m", ""),
    "colour-blind": _Colours("\x1b[1;38;5;166m", "\x1b[1;38;5;132m", "\x1b[2m"),
}


def _colours(stream: TextIO, env: Mapping[str, str]) -> _Colours:
    if not wants_colour(env, tty=stream.isatty()):
        return _Colours("", "", "", "")
    try:
        return _COLOURS[theme_name(env)]
    except UsageError:
        # That may be what is reported.
        return _COLOURS["default"]


def report(error: SubcliError, stream: TextIO, env: Mapping[str, str]) -> None:
    """Write ``error`` and its hint, without importing Rich: most errors occur before anything is drawn."""
    red, _, dim, reset = _colours(stream, env)
    lines = [f"{red}error:{reset} {one_line(error.message)}"]
    if error.hint:
        lines.append(f"{dim}hint:{reset}  {one_line(error.hint)}")
    stream.write("\n".join(lines) + "\n")
    stream.flush()


def warn(text: str, stream: TextIO, env: Mapping[str, str]) -> None:
    """Write a warning about something that may not be intended."""
    _, yellow, _, reset = _colours(stream, env)
    stream.write(f"{yellow}warning:{reset} {one_line(text)}\n")
    stream.flush()


def note(text: str, stream: TextIO, env: Mapping[str, str]) -> None:
    """Write useful information; nothing is wrong."""
    _, _, dim, reset = _colours(stream, env)
    stream.write(f"{dim}note:{reset} {one_line(text)}\n")
    stream.flush()
