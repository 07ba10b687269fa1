"""What the plain view prints, in words: it makes sense when it is read aloud, and in a log without colours.

Each line is a sentence that begins with what it is about. There are no symbols that stand alone and no columns; only
what a program printed, and code, is shown as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from subcli.core.submission import Group, Submission
from subcli.output.text import details, measures, words
from subcli.output.text.diff import Around, Spot, changes, normalized, value_text
from subcli.output.text.lines import Line, clip, verbatim, wrap
from subcli.output.text.rows import group_mark
from subcli.output.text.theme import ACCENT, BAD, DIM, ELLIPSIS, GOOD, STRONG, Mark, test_mark
from subcli.shared.messages import ErrorAnalysis, TestResult

LINE_CELLS: Final = 2000
NAME_CELLS: Final = 300
LIMITS: Final = details.TextLimits(values=40, output=30, fold=1)

_CONTEXT_LINES: Final = 2
_LABELS: Final = {"-": ("expected: ", GOOD), "+": ("actual: ", BAD), " ": ("same: ", DIM)}
_EMPTY: Final = "(empty line)"


# -- tests ----------------------------------------------------------------------------------------


def result(result: TestResult, position: str) -> Line:
    """Return ``failed: Split vote (4 of 10, 5.00 s): no leader after 5 s``."""
    mark = test_mark(result.status)
    line = Line(mark.word, mark.style).put(": ").put(clip(result.test_name, NAME_CELLS) or "(no name)")
    line.put(f" ({', '.join([position, *facts(result)])})", DIM)
    outcome = measures.outcome(result) if mark.word != "skipped" else ""
    why = ", ".join(part for part in (outcome, clip(details.reason(result), LINE_CELLS)) if part)
    return line.put(": ").put(why, mark.style) if why else line


def facts(result: TestResult) -> list[str]:
    """Return what is known of a test's time, memory and points."""
    return [fact.replace("/", " of ") + " points" if "/" in fact else fact for fact in measures.facts(result)]


def about(result: TestResult) -> list[Line]:
    """Return expected and actual, input, output, and how to run it again."""
    return [
        *values(result),
        *_listing("input", result.input, LIMITS.input, first=True),
        *_listing("output", result.output, LIMITS.output, first=False),
        *details.rerun(result, LINE_CELLS, LIMITS),
    ]


def values(result: TestResult) -> list[Line]:
    """Return expected and actual, each line with the word that says which of them it belongs to."""
    lines: list[Line] = []
    for sign, text in _compared(result):
        label, style = _LABELS.get(sign, ("", DIM))
        if len(lines) > LIMITS.values:
            return [*lines, Line("more lines differ", DIM)]
        piece = verbatim(text, LINE_CELLS)[0]
        lines.append(Line(label, style).put(piece if piece.strip() else _EMPTY, style))
    return lines


def _compared(result: TestResult) -> Iterator[tuple[str, str]]:
    """The lines of expected and actual, each with the sign of a diff."""
    raw = result.raw
    if result.expected_at is not None and result.actual_at is not None:
        wanted, got = ("" if value is None else value_text(value) for value in (result.expected, result.actual))
        yield from _around(Around.of(Spot(wanted, result.expected_at)), Around.of(Spot(got, result.actual_at)))
        return
    if result.expected is None and result.actual is None:
        return
    expected, actual = (
        normalized(value_text(getattr(result, name))) if name in raw else None for name in ("expected", "actual")
    )
    if expected is None or actual is None or "\n" not in expected + actual:
        yield from (("-", expected),) if expected is not None else ()
        yield from (("+", actual),) if actual is not None else ()
        return
    for sign, text in changes(expected.split("\n"), actual.split("\n")):
        yield ("?", "some lines are the same") if (sign, text) == (" ", ELLIPSIS) else (sign, text)


def _around(wanted: Around, got: Around) -> Iterator[tuple[str, str]]:
    """The lines around the first difference, and in words what differs there."""
    yield from ((" ", text) for text in got.before[-_CONTEXT_LINES:])
    yield "-", wanted.line
    yield "+", got.line
    if wanted.token != wanted.line or got.token != got.line:
        yield "?", f"they differ from here on: {wanted.token or 'the end'} and {got.token or 'the end'}"
    yield from ((" ", text) for text in got.after[:_CONTEXT_LINES] if wanted.after == got.after)


def _listing(title: str, text: str | None, limit: int, *, first: bool) -> list[Line]:
    """The first or the last lines of a text, below its title."""
    if not text or not text.strip():
        return []
    text = text.replace("\r\n", "\n").strip("\n")
    if text.startswith(details.STDERR_ALONE):
        # Its last lines must not look like the answer.
        title, text = "stderr", text.removeprefix(details.STDERR_ALONE)
    every = text.split("\n")
    kept = every[:limit] if first else every[-limit:]
    omitted = len(every) - len(kept)
    note = f", without the {'last' if first else 'first'} {words.number(omitted)} lines" if omitted else ""
    return [Line(f"{title}{note}:", DIM), *(Line("  ").put(verbatim(raw, LINE_CELLS)[0]) for raw in kept)]


# -- analyses -------------------------------------------------------------------------------------


def analysis_title(event: ErrorAnalysis) -> Line:
    """Return ``analysis of Split vote, at node.py:21``."""
    name = clip(event.test_name, NAME_CELLS) if event.test_name else ""
    line = Line(f"analysis of {name}" if name else "analysis", DIM)
    place = details.place(event.location, NAME_CELLS)
    return line.put(", at ", DIM).put(place, ACCENT) if place else line


def analysis(event: ErrorAnalysis, shown_before: str | None) -> list[Line]:
    """Return what went wrong, and each advice as a sentence."""
    told = details.analysis(event, LINE_CELLS, details.TextLimits(suggestions=0), shown_before=shown_before)
    while told and not told[-1].cells:
        told.pop()
    for suggestion in event.suggestions[: LIMITS.suggestions]:
        told += [Line("advice: ", ACCENT).put(part) for part in wrap(suggestion, LINE_CELLS, 1) if part]
    return told


# -- the end --------------------------------------------------------------------------------------


def verdict(mark: Mark, counts: str) -> Line:
    """Return ``verdict: failed, 8 passed, 2 failed in 25.2 s``."""
    line = Line("verdict: ", DIM).put(clip(mark.word, 40), mark.style)
    return line.put(f", {counts}" if counts else "")


def groups(some: Sequence[Group]) -> list[Line]:
    """Return a sentence about each group, where there are several."""
    lines = []
    for group in some if len(some) > 1 else ():
        mark = group_mark(group)
        line = Line("group ", DIM).put(clip(group.name, NAME_CELLS)).put(": ").put(mark.word, mark.style)
        line.put(f", {words.number(group.counts.passed)} of {words.tests(group.counts.done)} passed")
        if group.points is not None:
            line.put(f", {measures.points_in_words(group.points).replace('/', ' of ')}")
        lines.append(line)
    return lines


def failed_tests(snapshot: Submission, limit: int) -> list[Line]:
    """Return the names of the failed tests, each with the reason."""
    lines = []
    for result in snapshot.failures[:limit]:
        mark = test_mark(result.status)
        line = Line(f"{mark.word} test: ", mark.style).put(clip(result.test_name, LINE_CELLS), STRONG)
        why = ", ".join(part for part in (measures.outcome(result), clip(details.reason(result), NAME_CELLS)) if part)
        lines.append(line.put(f": {why}", DIM) if why else line)
    more = snapshot.counts.not_passed - len(lines)
    return [*lines, *([Line(f"and {words.number(more)} more failed", DIM)] if more > 0 and lines else [])]
