"""Why a test failed, in full: message, expected and actual, output, analysis with place and suggestions."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Final, NamedTuple

from rich.style import Style

from subcli.core.submission import LOCAL_ID
from subcli.output.text.diff import Spot, comparison, first_difference, value_text
from subcli.output.text.lines import CODE_PREFIXES, Line, clip, verbatim, wrap
from subcli.output.text.theme import ACCENT, ARROW, DIM, ELLIPSIS, GUTTER, PLAIN, STRONG
from subcli.shared.messages import ErrorAnalysis, Location, TestResult

TEXT_LINES: Final = 24
SUGGESTIONS_MAX: Final = 5
_SUGGESTION_LINES: Final = 4
_REASON_SEARCHED_CHARS: Final = 2000
_LINE_NUMBER_MAX: Final = 10**9
STDERR_ALONE: Final = "stderr:\n"
"""How an output begins that contains nothing else."""
_TEXT_CELLS: Final = 500
_RERUN: Final = "run it again: "
_DRAW: Final = "draw it: "
_SEED: Final = "seed: "


class TextLimits(NamedTuple):
    """How much of a failure is shown.

    Attributes:
        message: Lines of the message.
        values: Lines of expected and actual.
        input: Lines of the input.
        output: Lines of the output; the last ones, because the cause is usually there.
        fold: Screen lines that one line of a value or of the output may take.
        code: Screen lines that one line of code in a text may take.
        analysis: Lines of each text of an analysis; a suggestion gets a few of them.
        suggestions: Number of suggestions.
    """

    message: int = 6
    values: int = 30
    input: int = 10
    output: int = 20
    fold: int = 4
    code: int = 4
    analysis: int = TEXT_LINES
    suggestions: int = SUGGESTIONS_MAX


_USUAL: Final = TextLimits()
_USUAL_CELLS: Final = 76
UNLIMITED: Final = TextLimits(*[10**6] * len(TextLimits._fields))


def limits_for(width: int) -> TextLimits:
    """Return the usual limits in lines of this width: a narrow terminal needs more lines for the same text."""
    factor = -(-_USUAL_CELLS // max(width, 1))
    scaled = {name: getattr(_USUAL, name) * factor for name in ("message", "values", "fold", "code", "analysis")}
    return _USUAL._replace(**scaled)


def reason(result: TestResult) -> str:
    """Return why a test did not pass, as one line of foreign text; empty if the server did not say."""
    if result.message:
        for line in result.message[:_REASON_SEARCHED_CHARS].splitlines():
            if line.strip():
                return line
    return result.error_category or ""


def analysis_texts(event: ErrorAnalysis) -> list[str]:
    """Return the texts of an analysis: the error, the explanation, each suggestion after a dash."""
    return [event.error, event.analysis, *(f"- {suggestion}" for suggestion in event.suggestions)]


def joined(texts: Sequence[str]) -> str:
    """Return the texts one per line, without duplicates: an analysis often repeats the test's message."""
    return "\n".join(text for text in dict.fromkeys(texts) if text.strip())


def place(location: Location | None, cells: int) -> str:
    """Return ``node.py:48``, which terminals turn into a link; empty if unknown."""
    if location is None or not location.file.strip():
        return ""
    line = f":{location.line}" if location.line is not None and 0 < location.line < _LINE_NUMBER_MAX else ""
    return clip(location.file, cells - len(line)) + line


def values(result: TestResult, width: int, limits: TextLimits) -> list[Line]:
    """Return expected and actual, if the server sent at least one of them."""
    raw = result.raw
    if result.expected_at is not None and result.actual_at is not None:
        # Servers do not send empty values.
        wanted, got = ("" if value is None else value_text(value) for value in (result.expected, result.actual))
        return first_difference(Spot(wanted, result.expected_at), Spot(got, result.actual_at), width, limits.values)
    if result.expected is None and result.actual is None:
        return []
    expected = value_text(result.expected) if "expected" in raw else None
    actual = value_text(result.actual) if "actual" in raw else None
    return comparison(expected, actual, width, limits.values, limits.fold)


def marked_text(result: TestResult) -> str:
    """Return expected and actual as text, with a caret where they begin to differ; empty if that is not known."""
    if result.expected_at is None or result.actual_at is None:
        return ""
    return _text(values(result, _TEXT_CELLS, _USUAL))


def at_home_text(result: TestResult) -> str:
    """Return the input of a test, and how to run it again, as text."""
    return _text([*given(result.input, _TEXT_CELLS, _USUAL), *rerun(result, _TEXT_CELLS, _USUAL)])


def _text(lines: Sequence[Line]) -> str:
    return "\n".join(line.text.rstrip() for line in lines)


def output(text: str | None, width: int, limits: TextLimits, title: str = "output") -> list[Line]:
    """Return the last lines of what a test printed, behind a gutter."""
    if not text or not text.strip():
        return []
    text = text.replace("\r\n", "\n").strip("\n")
    if text.startswith(STDERR_ALONE):
        # Its last lines must not look like the answer.
        title, text = "stderr", text.removeprefix(STDERR_ALONE)
    kept = text.rsplit("\n", limits.output)
    lines = [Line(title, DIM)]
    if len(kept) > limits.output:
        omitted = kept.pop(0).count("\n") + 1
        note = f"{ELLIPSIS} {omitted:,} line{'' if omitted == 1 else 's'} above"
        lines.append(Line(GUTTER, DIM).put(" ").put(note, DIM))
    for raw in kept:
        lines.extend(Line(GUTTER, DIM).put(" ").put(piece) for piece in verbatim(raw, width - 2, limits.fold))
    return lines


def given(text: str | None, width: int, limits: TextLimits, title: str = "input") -> list[Line]:
    """Return the first lines of what a program reads, or is to print, behind a gutter."""
    if not text or not text.strip():
        return []
    kept = text.replace("\r\n", "\n").rstrip("\n").split("\n", limits.input)
    more = kept.pop().count("\n") + 1 if len(kept) > limits.input else 0
    lines = [Line(title, DIM)]
    for raw in kept:
        lines.extend(Line(GUTTER, DIM).put(" ").put(piece) for piece in verbatim(raw, width - 2, limits.fold))
    if more:
        # If the server cut the text, the last line says so.
        end = text.rstrip("\n").rpartition("\n")[2]
        note = clip(end, width - 2) if end.startswith(ELLIPSIS) else f"{ELLIPSIS} {more:,} more line{'s' * (more > 1)}"
        lines.append(Line(GUTTER, DIM).put(" ").put(note, DIM))
    return lines


def rerun(result: TestResult, width: int, limits: TextLimits) -> list[Line]:
    """Return how to run a test again and to see what happened, if the server says so, and the seed of its network."""
    told = [
        (_RERUN, result.rerun or ""),
        (_DRAW, _draw(result)),
        (_SEED, "" if result.seed is None else str(result.seed)),
    ]
    lines: list[Line] = []
    for label, text in told:
        parts = wrap(text, width - len(_RERUN), limits.message) if text.strip() else []
        lines += [Line("" if index else label, DIM).pad_to(len(_RERUN)).put(part) for index, part in enumerate(parts)]
    return lines


def _draw(result: TestResult) -> str:
    """The command that draws how a test failed; empty if the server has not kept it."""
    if not result.has_trace or result.submission_id in (None, LOCAL_ID):
        return ""
    return f"subcli status {result.submission_id} --test {shlex.quote(result.test_name)} --diagram"


def analysis(
    event: ErrorAnalysis,
    width: int,
    limits: TextLimits = _USUAL,
    *,
    place: str = "",
    shown_before: str | None = None,
) -> list[Line]:
    """Return what went wrong and what to do about it.

    Args:
        event: The analysis.
        width: The width in cells.
        limits: How much of it is shown.
        place: The place in the code, if it is to be shown.
        shown_before: The test's message, which is not repeated.
    """
    texts = [text for text in (event.error, event.analysis) if text.strip()]
    if len(texts) == 2 and texts[0].strip() in (texts[1].strip(), (shown_before or "").strip()):
        texts = texts[1:]
    lines = [Line(part, ACCENT) for part in wrap(place, width, limits.analysis)] if place else []
    ends_with_code = False
    for index, text in enumerate(texts):
        style = STRONG if index == 0 and len(texts) > 1 else PLAIN
        for part in wrap(text, width, limits.analysis, limits.code):
            ends_with_code = part.startswith(CODE_PREFIXES)
            lines.append(Line(part, _code_style(part) if ends_with_code else style))
    if ends_with_code and event.suggestions:
        lines.append(Line())
    lines_each = max(min(limits.analysis, _SUGGESTION_LINES), _SUGGESTION_LINES * limits.analysis // TEXT_LINES)
    for suggestion in event.suggestions[: limits.suggestions]:
        if suggestion.strip():
            lines.extend(_hanging(ARROW, suggestion, width, lines_each))
    return lines


def same_cause(text: str, width: int, limits: TextLimits = _USUAL) -> list[Line]:
    """Return a line about tests that share a cause; the names in it are foreign text."""
    return [Line(part, DIM) for part in wrap(text, width, limits.message)]


def _code_style(line: str) -> Style:
    """In an excerpt, the line that is marked with ``>`` stands out."""
    return STRONG if line.lstrip().startswith(">") else DIM


def _hanging(mark: str, text: str, width: int, limit: int) -> list[Line]:
    """Foreign text behind a mark, with a hanging indent."""
    return [
        (Line() if index else Line(mark, ACCENT)).pad_to(2).put(part)
        for index, part in enumerate(wrap(text, width - 2, limit))
    ]
