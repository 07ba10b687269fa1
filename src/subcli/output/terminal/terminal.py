"""What a terminal supports beyond colours, according to its environment variables.

A terminal should ignore a sequence that it does not know, but not every one does. So each sequence is used only where
it is likely to be understood, and those that show something outside the text only where they are known to be.

========================  =================================  ====================================================
OSC 8                     a link                             every terminal except ``_PLAIN_TERMS``
OSC 2, XTWINOPS 22, 23    the title, saved and restored      the same
OSC 9;4                   progress in the tab or task bar    Windows Terminal, ConEmu, WezTerm, Ghostty, VTE 0.80,
                                                             iTerm2 if it announces it
OSC 9                     a notification                     iTerm2, WezTerm, Ghostty, kitty
OSC 777                   a notification                     rxvt-unicode, foot
========================  =================================  ====================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, Literal, TypeAlias

from rich.console import Console
from rich.style import Style
from rich.theme import Theme

from subcli.output.terminal.console import ThemeName
from subcli.output.text.themes import RICH_NAMES, styled

Notification: TypeAlias = Literal["osc 9", "osc 777"]

_PLAIN_TERMS: Final = ("", "dumb", "unknown", "linux", "vt100", "vt102", "vt220", "ansi", "cons25")
_WITH_PROGRESS: Final = ("WezTerm", "ghostty")
_VTE_WITH_PROGRESS: Final = 8000
_WITH_OSC_9: Final = ("iTerm.app", "WezTerm", "ghostty")
_URL_MAX: Final = 2000


class ThemedConsole(Console):
    """A console with the colours of one theme (:mod:`subcli.output.text.themes`).

    Args:
        theme: Its name.
        options: Those of Rich's console.
    """

    def __init__(self, theme: ThemeName = "default", **options: Any) -> None:
        self.theme_name = theme
        names = {name: styled(theme, style) for name, style in RICH_NAMES.items()} if theme != "default" else {}
        super().__init__(**options, theme=Theme(names))


class LinkingConsole(ThemedConsole):
    """A console on a terminal that supports links."""


def depth_of(env: Mapping[str, str]) -> Literal["standard", "256", "truecolor"]:
    """Return how many colours the terminal has, apart from its palette of sixteen."""
    if env.get("COLORTERM", "").lower() in ("truecolor", "24bit"):
        return "truecolor"
    return "256" if "256" in env.get("TERM", "") else "standard"


def shows_links(env: Mapping[str, str]) -> bool:
    """Return whether the terminal shows or ignores links and titles, rather than printing them as text."""
    return env.get("TERM", "").lower() not in _PLAIN_TERMS


def shows_progress(env: Mapping[str, str]) -> bool:
    """Return whether the terminal is known to show progress in its tab or task bar."""
    if "TMUX" in env or "STY" in env:
        # The variables describe the terminal around the multiplexer, which does not pass the sequences on.
        return False
    program = env.get("TERM_PROGRAM", "")
    return (
        bool(env.get("WT_SESSION"))
        or env.get("ConEmuANSI") == "ON"
        or program in _WITH_PROGRESS
        or (program == "iTerm.app" and "P" in env.get("TERM_FEATURES", ""))
        or _number(env.get("VTE_VERSION")) >= _VTE_WITH_PROGRESS
    )


def notification(env: Mapping[str, str]) -> Notification | None:
    """Return the sequence with which the terminal shows a notification, if it is known to have one."""
    term, program = env.get("TERM", ""), env.get("TERM_PROGRAM", "")
    if "TMUX" in env or "STY" in env:
        return None
    if program in _WITH_OSC_9 or "KITTY_WINDOW_ID" in env:
        return "osc 9"
    return "osc 777" if term.startswith(("rxvt-unicode", "foot")) else None


def _number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 10 else 0


@lru_cache(maxsize=1024)
def linked(style: Style, url: str | None) -> Style:
    """Return ``style`` as a link, if ``url`` is a plain web address.

    The same arguments return the same object: Rich numbers its links, and a line whose number changes would be drawn
    again.
    """
    if not url or len(url) > _URL_MAX or not url.startswith(("http://", "https://")):
        return style
    if not (url.isascii() and url.isprintable()) or any(char in url for char in " <>\"'`;\\"):
        return style
    return style + Style(link=url)
