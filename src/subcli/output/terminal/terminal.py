"""What a terminal understands beyond colours, as far as its environment tells.

A terminal swallows a sequence that it does not know, or should: so each is used only where it is likely to be
understood, and those that show something outside of the text only where they are known to be.

========================  =================================  ====================================================
OSC 8                     a link                             every terminal but the consoles of ``_PLAIN_TERMS``
OSC 2, XTWINOPS 22, 23    the title, kept and given back     the same
OSC 9;4                   progress in the tab or task bar    Windows Terminal, ConEmu, WezTerm, Ghostty, VTE 0.80,
                                                             iTerm2 where it says so
OSC 9                     a notification                     iTerm2, WezTerm, Ghostty, kitty
OSC 777                   a notification                     rxvt-unicode, foot
========================  =================================  ====================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final, Literal, TypeAlias

from rich.console import Console
from rich.style import Style

Notification: TypeAlias = Literal["osc 9", "osc 777"]

_PLAIN_TERMS: Final = ("", "dumb", "unknown", "linux", "vt100", "vt102", "vt220", "ansi", "cons25")
_WITH_PROGRESS: Final = ("WezTerm", "ghostty")
_VTE_WITH_PROGRESS: Final = 8000
_WITH_OSC_9: Final = ("iTerm.app", "WezTerm", "ghostty")
_URL_MAX: Final = 2000


class LinkingConsole(Console):
    """A console on a terminal that shows links."""


def shows_links(env: Mapping[str, str]) -> bool:
    """Whether links and titles can be sent: a terminal that is more than a plain one takes them or passes them over."""
    return env.get("TERM", "").lower() not in _PLAIN_TERMS


def shows_progress(env: Mapping[str, str]) -> bool:
    """Whether the terminal is known to show progress outside of its text."""
    if "TMUX" in env or "STY" in env:
        # The variables are those of the terminal that the multiplexer was started in; it passes nothing on.
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
    """The sequence with which the terminal shows a notification, if it is known to have one."""
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
    """``style`` as a link, if ``url`` is an address of the web and nothing but that.

    The same arguments give the same object: Rich gives each link a number of its own, and a screen is not drawn
    again for that.
    """
    if not url or len(url) > _URL_MAX or not url.startswith(("http://", "https://")):
        return style
    if not (url.isascii() and url.isprintable()) or any(char in url for char in " <>\"'`;\\"):
        return style
    return style + Style(link=url)
