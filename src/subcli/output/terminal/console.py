"""Which view, which colours: what the environment and the streams say (contract, section 4).

Rich is imported only when a console is made: ``--json`` and ``-q`` never need it.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Literal, TextIO, TypeAlias

if TYPE_CHECKING:
    from rich.console import Console

ViewName: TypeAlias = Literal["live", "plain", "ndjson", "quiet"]

UNSEEN_WIDTH: Final = 120
"""Columns of a file or pipe, whose width nobody knows."""

_OFF: Final = ("", "0", "false", "no")
_NO_CURSOR: Final = ("dumb", "unknown")


def choose_view(
    *, json: bool, quiet: bool, plain: bool, stdout_tty: bool, stderr_tty: bool, env: Mapping[str, str]
) -> ViewName:
    """The view for ``submit`` and ``watch``.

    Args:
        json, quiet, plain: the options given. ``json`` and ``quiet`` together are refused before this.
        stdout_tty, stderr_tty: what ``isatty`` says, whatever ``FORCE_COLOR`` pretends.
        env: the environment.
    """
    if json:
        return "ndjson"
    if quiet:
        return "quiet"
    if plain or _is_on(env, "CI") or not (stdout_tty and stderr_tty) or _has_no_cursor(env):
        return "plain"
    return "live"


def wants_colour(env: Mapping[str, str], *, tty: bool) -> bool:
    """Whether to colour a stream.

    ``NO_COLOR`` wins over everything (no-color.org), then what forces colour, then ``CLICOLOR=0``
    (bixense.com/clicolors), then ``TERM``; otherwise terminals get colour.
    """
    if env.get("NO_COLOR"):
        return False
    if _is_on(env, "FORCE_COLOR") or _is_on(env, "CLICOLOR_FORCE"):
        return True
    if env.get("FORCE_COLOR") or env.get("CLICOLOR") == "0" or _has_no_cursor(env):
        return False
    return tty


def make_console(stream: TextIO, env: Mapping[str, str]) -> Console:
    """A Rich console on ``stream`` that takes nothing for markup and guesses nothing.

    Colour that is forced does not make a pipe a terminal: Rich's own reading of ``FORCE_COLOR`` would.
    """
    from rich.console import Console

    from subcli.output.terminal.terminal import LinkingConsole, shows_links

    _spell_out_what_cannot_be_encoded(stream)
    tty = stream.isatty()
    width = None if tty or "COLUMNS" in env else UNSEEN_WIDTH
    sizes = {name: env[name] for name in ("COLUMNS", "LINES") if name in env}
    kind = LinkingConsole if tty and shows_links(env) else Console
    return kind(
        file=stream,
        width=width,
        force_terminal=tty,
        color_system="standard" if wants_colour(env, tty=tty) else None,
        markup=False,
        emoji=False,
        highlight=False,
        legacy_windows=False,
        _environ=sizes,
    )


def _spell_out_what_cannot_be_encoded(stream: TextIO) -> None:
    """Foreign names in an ASCII locale become ``\\u4e2d`` instead of a traceback."""
    if isinstance(stream, io.TextIOWrapper) and not stream.encoding.lower().startswith("utf"):
        stream.reconfigure(errors="backslashreplace")


def _is_on(env: Mapping[str, str], name: str) -> bool:
    return env.get(name, "").lower() not in _OFF


def _has_no_cursor(env: Mapping[str, str]) -> bool:
    return env.get("TERM", "").lower() in _NO_CURSOR
