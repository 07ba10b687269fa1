"""Chooses the view and the colours from the environment and the streams (contract, section 4).

Rich is imported only when a console is created: ``--json`` and ``-q`` never need it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Literal, TextIO, TypeAlias, get_args

from subcli.core.errors import UsageError
from subcli.output.printable import one_line

if TYPE_CHECKING:
    from rich.console import Console

ViewName: TypeAlias = Literal["live", "plain", "ndjson", "quiet"]
ThemeName: TypeAlias = Literal["default", "high-contrast", "colour-blind"]

THEMES: Final[tuple[ThemeName, ...]] = get_args(ThemeName)
"""The values of ``SUBCLI_THEME``."""

DEFAULT_COLUMNS: Final = 120
"""Width of a file or pipe."""

_MIN_COLUMNS: Final = 10
"""With fewer columns, a table shows nothing. A terminal that really is this narrow is respected."""
MAX_CELLS: Final = 10_000
"""No terminal has more columns or lines."""

_OFF: Final = ("", "0", "false", "no")
_NO_CURSOR: Final = ("", "dumb", "unknown")
"""Without a name, as git takes it, a terminal is none that can do more than print."""


def choose_view(
    *, json: bool, quiet: bool, plain: bool, stdout_tty: bool, stderr_tty: bool, env: Mapping[str, str]
) -> ViewName:
    """Return the view for ``submit`` and ``watch``.

    Args:
        json: Whether ``--json`` was given.
        quiet: Whether ``-q`` was given; never together with ``json``.
        plain: Whether ``--plain`` was given.
        stdout_tty: Whether stdout is a terminal, regardless of ``FORCE_COLOR``.
        stderr_tty: Whether stderr is a terminal.
        env: The environment.
    """
    if json:
        return "ndjson"
    if quiet:
        return "quiet"
    if plain or _is_on(env, "CI") or not (stdout_tty and stderr_tty and has_cursor(env)):
        return "plain"
    return "live"


def wants_colour(env: Mapping[str, str], *, tty: bool) -> bool:
    """Return whether to colour a stream.

    In order of precedence: ``NO_COLOR`` (no-color.org), the variables that force colour, ``CLICOLOR=0``
    (bixense.com/clicolors), ``TERM``. Otherwise terminals get colour.
    """
    if env.get("NO_COLOR"):
        return False
    if _is_on(env, "FORCE_COLOR") or _is_on(env, "CLICOLOR_FORCE"):
        return True
    if env.get("FORCE_COLOR") or env.get("CLICOLOR") == "0" or not has_cursor(env):
        return False
    return tty


def has_cursor(env: Mapping[str, str]) -> bool:
    """Return whether a terminal, if there is one, can take back and colour what it shows."""
    return env.get("TERM", "").lower() not in _NO_CURSOR


def theme_name(env: Mapping[str, str]) -> ThemeName:
    """Return the theme that ``SUBCLI_THEME`` names, ``default`` where it is not set.

    Raises:
        UsageError: There is no such theme.
    """
    given = env.get("SUBCLI_THEME", "").strip().lower().replace("_", "-") or "default"
    for name in THEMES:
        if given in (name, name.replace("colour", "color")):
            return name
    hint = f"Choose from {', '.join(THEMES)}."
    raise UsageError(f"SUBCLI_THEME is {one_line(given, 40)!r}, which is not a theme.", hint=hint)


def make_console(stream: TextIO, env: Mapping[str, str]) -> Console:
    """Return a Rich console on ``stream`` without markup, emoji codes and highlighting.

    Forced colour does not turn a pipe into a terminal, as it would if Rich read ``FORCE_COLOR`` itself.
    """
    from subcli.output.terminal.terminal import LinkingConsole, ThemedConsole, depth_of, shows_links

    tty = stream.isatty()
    least = {"COLUMNS": _MIN_COLUMNS, "LINES": 1}
    sizes = {name: env[name] for name in least if _is_size(env.get(name, ""), least[name])}
    width = None if tty or "COLUMNS" in sizes else DEFAULT_COLUMNS
    kind = LinkingConsole if tty and shows_links(env) else ThemedConsole
    theme = theme_name(env)
    depth = "standard" if theme == "default" else depth_of(env)
    return kind(
        theme,
        file=stream,
        width=width,
        force_terminal=tty,
        color_system=depth if wants_colour(env, tty=tty) else None,
        markup=False,
        emoji=False,
        highlight=False,
        legacy_windows=False,
        _environ=sizes,
    )


def _is_size(text: str, least: int) -> bool:
    """Return whether a terminal could have so many columns or lines. Scripts leave ``0`` and ``-1`` there."""
    return text.isascii() and text.isdecimal() and len(text) < 6 and least <= int(text) <= MAX_CELLS


def _is_on(env: Mapping[str, str], name: str) -> bool:
    return env.get(name, "").lower() not in _OFF
