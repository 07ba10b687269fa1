"""Themes: enough contrast on every background, and colours that those who see fewer of them tell apart."""

from __future__ import annotations

import io
import itertools
import re
from pathlib import Path

import pytest
from rich.color import Color
from rich.style import Style

import subcli.server.pages
from subcli.core.errors import UsageError
from subcli.output.terminal.console import THEMES, make_console, theme_name
from subcli.output.text import theme
from subcli.output.text.lines import Line, LineRenderer
from subcli.output.text.themes import STYLES, styled

BLACK, WHITE = (0, 0, 0), (255, 255, 255)
CSS = (Path(subcli.server.pages.__file__).parent / "static" / "pages.css").read_text("utf-8")
RGB = tuple[int, int, int]

# Machado, Oliveira and Fernandes, "A Physiologically-based Model for Simulation of Color Vision Deficiency", 2009.
VISION = {
    "protanopia": ((0.152, 1.053, -0.205), (0.115, 0.786, 0.099), (-0.004, -0.048, 1.052)),
    "deuteranopia": ((0.367, 0.861, -0.228), (0.280, 0.673, 0.047), (-0.012, 0.043, 0.969)),
    "tritanopia": ((1.256, -0.077, -0.179), (-0.078, 0.931, 0.148), (0.005, 0.691, 0.304)),
}


def linear(colour: RGB) -> tuple[float, ...]:
    shares = (channel / 255 for channel in colour)
    return tuple(share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares)


def contrast(one: RGB, other: RGB) -> float:
    """The contrast ratio of WCAG 2.2."""
    luminances = [0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b in (linear(one), linear(other))]
    return (max(luminances) + 0.05) / (min(luminances) + 0.05)


def seen(colour: RGB, vision: str) -> tuple[float, ...]:
    """A colour in linear light as somebody with this vision sees it."""
    return tuple(sum(a * b for a, b in zip(row, linear(colour), strict=True)) for row in VISION[vision])


def rgb(colour: Color | None) -> RGB:
    assert colour is not None
    assert colour.triplet is not None
    return colour.triplet.red, colour.triplet.green, colour.triplet.blue


def coloured(name: str) -> list[Style]:
    return [style for key, style in STYLES[name].items() if style.color is not None]  # type: ignore[index]


def test_high_contrast_is_so_on_every_background() -> None:
    """Each colour has a ground of its own, against which it has 7:1 (AAA); nothing is dim."""
    styles = coloured("high-contrast")
    assert len(styles) == 12
    for style in styles:
        assert contrast(rgb(style.color), rgb(style.bgcolor)) >= 7
    assert styled("high-contrast", theme.DIM) == theme.PLAIN


@pytest.mark.parametrize("background", [BLACK, WHITE], ids=["dark", "light"])
def test_colour_blind_theme_can_be_read_on_dark_and_light(background: RGB) -> None:
    """4.5:1 (AA) on black and on white alike, badges included: their ground is the colour."""
    styles = coloured("colour-blind")
    assert len(styles) == 12
    for style in styles:
        assert contrast(rgb(style.color), background) >= 4.5


@pytest.mark.parametrize("vision", VISION)
def test_passed_and_failed_differ_for_the_colour_blind(vision: str) -> None:
    """More than the green and the red of a usual terminal do for whom they are hard to tell apart."""

    def distance(one: RGB, other: RGB) -> float:
        return max(abs(a - b) for a, b in zip(seen(one, vision), seen(other, vision), strict=True))

    styles = STYLES["colour-blind"]
    good, bad = rgb(styles[theme.GOOD].color), rgb(styles[theme.BAD].color)
    assert distance(good, bad) > 0.2


def test_every_theme_changes_every_colour() -> None:
    """A style that a theme forgets would keep a colour of the palette."""
    palette = [style for style in vars(theme).values() if isinstance(style, Style) and style.color is not None]
    assert len(palette) == 12
    for name in THEMES[1:]:
        assert all(style in STYLES[name] for style in palette)


def test_default_theme_leaves_the_choice_to_the_palette() -> None:
    """Sixteen colours, whatever the terminal can show."""
    env = {"FORCE_COLOR": "1", "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    assert rendered(Line("x", theme.BAD), env) == "\x1b[31mx\x1b[0m"


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({"COLORTERM": "truecolor"}, "\x1b[38;2;194;85;0mx\x1b[0m"),
        ({"TERM": "xterm-256color"}, "\x1b[38;5;130mx\x1b[0m"),
        ({"TERM": "xterm"}, "\x1b[33mx\x1b[0m"),
        ({"COLORTERM": "truecolor", "NO_COLOR": "1"}, "x"),
    ],
)
def test_colours_fit_the_terminal(monkeypatch: pytest.MonkeyPatch, env: dict[str, str], expected: str) -> None:
    """True colours where the terminal has them, the nearest ones elsewhere, none where they are not wanted."""
    # Rich's styles remember how they were first rendered; a process has one terminal.
    monkeypatch.setitem(STYLES["colour-blind"], theme.BAD, Style(color="#c25500"))
    assert rendered(Line("x", theme.BAD), {"FORCE_COLOR": "1", "SUBCLI_THEME": "colour-blind", **env}) == expected


def rendered(line: Line, env: dict[str, str]) -> str:
    return LineRenderer(make_console(io.StringIO(), env)).render(line)


def test_links_keep_their_address() -> None:
    """A theme changes colours only."""
    style = theme.ACCENT + Style(link="http://127.0.0.1:8000/")
    assert styled("colour-blind", style).link == style.link
    assert styled("colour-blind", style).color == STYLES["colour-blind"][theme.ACCENT].color


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("", "default"),
        ("high-contrast", "high-contrast"),
        ("Color-Blind", "colour-blind"),
        ("colour_blind", "colour-blind"),
    ],
)
def test_names_of_themes(value: str, name: str) -> None:
    """In any case, and in American spelling too."""
    assert theme_name({"SUBCLI_THEME": value}) == name


def test_unknown_theme_is_a_usage_error() -> None:
    """It names those that there are."""
    with pytest.raises(UsageError, match="'pink'") as raised:
        theme_name({"SUBCLI_THEME": "pink"})
    assert all(name in raised.value.hint for name in THEMES)
    assert set(STYLES) == set(THEMES)


# -- the page -----------------------------------------------------------------------------------------


def palettes() -> dict[str, dict[str, RGB]]:
    """The colours of the page by theme and scheme: what a rule leaves out stays as it was."""
    flat = re.sub(r"/\*.*?\*/", "", CSS, flags=re.DOTALL)
    found: dict[str, dict[str, RGB]] = {}
    for condition, selector, body in rules(flat):
        colours = {name: hexadecimal(value) for name, value in re.findall(r"--([\w-]+): (#[0-9a-f]+)", body)}
        if colours:
            found[f"{condition} {selector}".strip()] = colours
    return found


def rules(css: str) -> list[tuple[str, str, str]]:
    """Media query, selector and declarations of each rule on `:root`."""
    found = []
    condition = ""
    for token in re.finditer(r"@media ([^{]+)\{|(:root[^{]*)\{([^}]*)\}|^\}", css, re.MULTILINE):
        if token[1]:
            condition = token[1].strip()
        elif token[2]:
            found.append((condition, token[2].strip(), token[3]))
        else:
            condition = ""
    return found


def hexadecimal(value: str) -> RGB:
    digits = value[1:] if len(value) == 7 else "".join(digit * 2 for digit in value[1:])
    red, green, blue = (int(digits[at : at + 2], 16) for at in (0, 2, 4))
    return red, green, blue


DARK = "(prefers-color-scheme: dark)"
MORE = "(prefers-contrast: more)"
PAGES = [
    ("light", [":root"], 4.5),
    ("dark", [":root", f"{DARK} :root"], 4.5),
    ("more contrast", [":root", f"{MORE} :root"], 7),
    ("more contrast, dark", [":root", f"{DARK} :root", f"{MORE} and {DARK} :root"], 7),
    ("high-contrast", [":root", ':root[data-theme="high-contrast"]'], 7),
    ("high-contrast, dark", [":root", f"{DARK} :root", f'{DARK} :root[data-theme="high-contrast"]'], 7),
    ("colour-blind", [":root", ':root[data-theme="colour-blind"]'], 4.5),
    ("colour-blind, dark", [":root", f"{DARK} :root", f'{DARK} :root[data-theme="colour-blind"]'], 4.5),
]


@pytest.mark.parametrize(("layers", "least"), [page[1:] for page in PAGES], ids=[page[0] for page in PAGES])
def test_page_has_contrast(layers: list[str], least: float) -> None:
    """Every text on everything that it stands on."""
    known = palettes()
    colours = {name: value for layer in layers for name, value in known[layer].items()}
    for text, ground in itertools.product(("ink", "quiet", "accent", "good", "bad", "warn"), ("ground", "raised")):
        assert contrast(colours[text], colours[ground]) >= least, (text, ground)
    for text in ("accent", "good", "bad", "warn"):
        assert contrast(colours[text], colours[f"{text}-wash"]) >= least, text
    assert contrast(colours["ground"], colours["accent"]) >= least, "a button"
