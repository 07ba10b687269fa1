"""The frames of the live view while somebody looks around: the list of tests, one test, the help."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from subcli.core.identity import is_about
from subcli.core.submission import Submission
from subcli.output.live import summary
from subcli.output.live.browser import HELP, Browser
from subcli.output.live.frame import Frame, FrameInput, Viewport, header
from subcli.output.text import details, parts, rows, words
from subcli.output.text.causes import Causes
from subcli.output.text.lines import Line, clip
from subcli.output.text.theme import ACCENT, ARROW, DIM, MIDDLE_DOT, STRONG
from subcli.shared.messages import TestResult

_CURSOR_CELLS: Final = 2
_DETAIL_MAX_COLUMNS: Final = 120
_COPIED_MAX: Final = 1000
_KEYS: Final = (
    ("Enter", "open"),
    ("f", "failures"),
    ("/", "filter"),
    ("Esc", "back"),
    ("?", "help"),
    ("q", "stop watching"),
)
_KEYS_OF_TEST: Final = (("j k", "scroll"), ("c", "copy"), ("Esc", "back"), ("?", "help"), ("q", "stop watching"))


def browsed(submission: FrameInput, browser: Browser, now: float, viewport: Viewport) -> Frame:
    """Return the frame for what ``browser`` looks at.

    Args:
        submission: The one that it looks at.
        browser: Knows what to show; it learns how much of that there is space for.
        now: The clock's seconds.
        viewport: The space there is.
    """
    width = max(viewport.columns - 2 * parts.MARGIN, 10)
    if browser.has_help:
        lines = [Line("Keys", STRONG), Line(), *_help(width)]
        return Frame(parts.on_screen(lines, viewport.columns, viewport.lines), 0)
    lines = header(submission, now, width, roomy=False)
    # A line above and a line below.
    height = max(viewport.lines - len(lines) - 2, 1)
    count = 0
    if browser.mode == "test" and browser.selected is not None:
        lines += [Line(), *_test(submission, browser, browser.selected, min(width, _DETAIL_MAX_COLUMNS), height)]
        hints = _hints(_KEYS_OF_TEST, width)
    else:
        listed = _list(submission, browser, width, height)
        count = len(listed)
        lines += [_filter(browser, width), *listed]
        hints = _hints(_KEYS, width)
    lines = lines[: viewport.lines - 1]
    lines += [Line()] * (viewport.lines - 1 - len(lines))
    lines.append(_note(browser.note, width) if browser.note else hints)
    return Frame(parts.on_screen(lines, viewport.columns, viewport.lines), count)


def with_note(frame: Frame, note: str, viewport: Viewport) -> Frame:
    """Return a frame whose last line says what a key did."""
    lines = [*frame.lines[: viewport.lines - 1], *[Line()] * (viewport.lines - 1 - len(frame.lines))]
    return Frame(
        [*lines, *parts.on_screen([_note(note, viewport.columns - parts.MARGIN)], viewport.columns, 1)],
        frame.result_rows,
    )


def _note(note: str, width: int) -> Line:
    return Line(clip(note, width), ACCENT)


def place_or_name(snapshot: Submission, result: TestResult) -> str:
    """Return what is worth copying of a test: the place where it went wrong if that is known, else its name."""
    for event in snapshot.analyses:
        if event.location is not None and is_about(event, result):
            return details.place(event.location, _COPIED_MAX) or clip(result.test_name, _COPIED_MAX)
    return clip(result.test_name, _COPIED_MAX)


def _list(submission: FrameInput, browser: Browser, width: int, height: int) -> list[Line]:
    top, at = browser.window(height)
    shown = browser.listed[top : top + height]
    inner = width - _CURSOR_CELLS
    columns = rows.Columns.of(shown, inner, name="qualified" if len(submission.snapshot.groups) > 1 else "")
    return [
        Line(ARROW if index == at else "", ACCENT).pad_to(_CURSOR_CELLS).extend(rows.row(result, inner, columns))
        for index, result in enumerate(shown)
    ]


def _filter(browser: Browser, width: int) -> Line:
    """What is listed, and of how many."""
    line = Line()
    if browser.is_typing or browser.wanted:
        line.put("/", ACCENT).put(clip(browser.wanted, width // 2), STRONG).put("_" if browser.is_typing else "")
    if browser.failed_only:
        line.put(f" {MIDDLE_DOT} " if line.cells else "", DIM).put("failures")
    count = words.number(len(browser.listed))
    total = f" of {words.number(browser.total)}" if browser.failed_only or browser.wanted else ""
    return line.put(f" {MIDDLE_DOT} " if line.cells else "", DIM).put(f"{count}{total} tests", DIM).cut(width)


def _test(submission: FrameInput, browser: Browser, result: TestResult, width: int, height: int) -> list[Line]:
    # Alone, so that a cause that it shares with other tests is told here too.
    analyses = [event for event in submission.snapshot.analyses if is_about(event, result)]
    causes = Causes(analyses, [result])
    lines = summary.failure(result, analyses, width, details.UNLIMITED, causes=causes)
    above = browser.scroll(len(lines), height)
    return lines[above : above + height]


def _hints(keys: Sequence[tuple[str, str]], width: int) -> Line:
    """The keys that matter here, as many as fit; from the end, so that help and the way out stay."""
    kept = list(keys)
    while len(kept) > 2 and sum(len(key) + len(what) + 4 for key, what in kept) > width:
        kept.pop(0)
    line = Line()
    for key, what in kept:
        line.put("   " if line.cells else "").put(key, STRONG).put(f" {what}", DIM)
    return line.cut(width)


def _help(width: int) -> list[Line]:
    column = max(len(keys) for keys, _ in HELP) + 3
    return [Line(keys, STRONG).pad_to(column).put(what).cut(width) for keys, what in HELP]
