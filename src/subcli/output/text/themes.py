"""Other colours than those of the terminal's own palette (``SUBCLI_THEME``).

Views never ask for them: a line gets its colours when it is rendered.

``high-contrast`` puts every colour on a ground of its own, at 7:1 or more whatever the terminal's background (WCAG 2.2,
1.4.6), and dims nothing. ``colour-blind`` tells blue from orange instead of green from red (Okabe and Ito, "Color
Universal Design"), each at 4.5:1 or more on black and on white (1.4.3).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rich.style import Style

from subcli.output.terminal.console import ThemeName
from subcli.output.text import theme

_GOOD, _BAD, _WARN, _ACCENT = (
    Style(color="#000000", bgcolor="#5fff87"),
    Style(color="#ffffff", bgcolor="#a80000"),
    Style(color="#000000", bgcolor="#ffd75f"),
    Style(color="#000000", bgcolor="#87d7ff"),
)
_BLUE, _ORANGE, _PURPLE, _GREEN = (Style(color=value) for value in ("#007bbf", "#c25500", "#bc4e8b", "#008661"))
_BOLD: Final = Style(bold=True)
_MARK: Final = Style(bold=True, underline=True)
_BADGE: Final = Style(bold=True, reverse=True)


def _coloured(good: Style, bad: Style, warn: Style, accent: Style, badge: Style) -> dict[Style, Style]:
    """What the styles of the default theme become."""
    return {
        theme.GOOD: good,
        theme.BAD: bad,
        theme.WARN: warn,
        theme.ACCENT: accent,
        theme.GOOD_STRONG: good + _BOLD,
        theme.BAD_STRONG: bad + _BOLD,
        theme.WARN_STRONG: warn + _BOLD,
        theme.GOOD_BADGE: good + badge,
        theme.BAD_BADGE: bad + badge,
        theme.WARN_BADGE: warn + badge,
        theme.GOOD_MARK: good + _MARK,
        theme.BAD_MARK: bad + _MARK,
    }


STYLES: Final[Mapping[ThemeName, Mapping[Style, Style]]] = {
    "default": {},
    "high-contrast": {**_coloured(_GOOD, _BAD, _WARN, _ACCENT, _BOLD), theme.DIM: theme.PLAIN},
    "colour-blind": _coloured(_BLUE, _ORANGE, _PURPLE, _GREEN, _BADGE),
}
"""What each theme makes of a style; what is missing stays."""

RICH_NAMES: Final = {
    "green": theme.GOOD,
    "red": theme.BAD,
    "yellow": theme.WARN,
    "cyan": theme.ACCENT,
    "dim": theme.DIM,
}
"""Styles that Rich's own tables use by name."""


def styled(name: ThemeName, style: Style) -> Style:
    """Return what a theme makes of a style, which may be a link."""
    styles = STYLES[name]
    if not styles or style in styles or not style.link:
        return styles.get(style, style)
    plain = style.update_link(None)
    return styles.get(plain, plain).update_link(style.link)
