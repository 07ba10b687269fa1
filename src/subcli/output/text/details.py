"""Why a test failed, in full: reason, expected and actual, output, analysis with place and suggestions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from rich.style import Style

from subcli.output.text.diff import comparison, value_text
from subcli.output.text.lines import CODE, Line, clip, verbatim, wrap
from subcli.output.text.theme import ACCENT, ARROW, GUTTER, MORE, PLAIN, QUIET, STRONG
from subcli.shared.protocol import ErrorAnalysis, Location, TestResult

TEXT_LINES: Final = 24
SUGGESTIONS: Final = 5
_SUGGESTION_LINES: Final = 4
_LOOKED_THROUGH: Final = 2000
_LINE_MAX: Final = 10**9


def reason(result: TestResult) -> str:
    """Why a test did not pass, in one line of foreign text; empty where nobody said."""
    if result.message:
        for line in result.message[:_LOOKED_THROUGH].splitlines():
            if line.strip():
                return line
    return result.error_category or ""


def is_about(analysis: ErrorAnalysis, result: TestResult) -> bool:
    """Whether an analysis belongs to this test."""
    if analysis.test_id is not None and result.test_id is not None:
        return analysis.test_id == result.test_id
    return analysis.test_name is not None and analysis.test_name == result.test_name


def analysis_texts(event: ErrorAnalysis) -> list[str]:
    """The texts of an analysis: the error, the explanation, each suggestion behind a dash."""
    return [event.error, event.analysis, *(f"- {suggestion}" for suggestion in event.suggestions)]


def joined(texts: Sequence[str]) -> str:
    """Texts below each other, each once: an analysis often repeats the reason of the result."""
    return "\n".join(text for text in dict.fromkeys(texts) if text.strip())


def place(location: Location | None, cells: int) -> str:
    """``node.py:48``, in the form that terminals make a link of; empty where unknown."""
    if location is None or not location.file.strip():
        return ""
    line = f":{location.line}" if location.line is not None and 0 < location.line < _LINE_MAX else ""
    return clip(location.file, cells - len(line)) + line


class TextLimits(NamedTuple):
    """How much of a failure is told.

    Attributes:
        message, values, output: lines of each; of the output the last ones, where the reason mostly stands.
        fold: screen lines that one line of a value or of output may take.
        code: screen lines that one line of code in a text may take.
        analysis: lines of each text of an analysis; of a suggestion a few.
        suggestions: how many of them.
    """

    message: int = 6
    values: int = 30
    output: int = 20
    fold: int = 2
    code: int = 1
    analysis: int = TEXT_LINES
    suggestions: int = SUGGESTIONS


_USUAL: Final = TextLimits()
UNLIMITED: Final = TextLimits(*[10**6] * len(TextLimits._fields))
"""Everything."""


def values(result: TestResult, width: int, limits: TextLimits) -> list[Line]:
    """Expected and actual, where the server said at least one of them."""
    if result.expected is None and result.actual is None:
        return []
    raw = result.raw
    expected = value_text(result.expected) if "expected" in raw else None
    actual = value_text(result.actual) if "actual" in raw else None
    return comparison(expected, actual, width, limits.values, limits.fold)


def output(text: str | None, width: int, limits: TextLimits, title: str = "output") -> list[Line]:
    """The last lines of what a test printed, behind a gutter."""
    if not text or not text.strip():
        return []
    kept = text.replace("\r\n", "\n").strip("\n").rsplit("\n", limits.output)
    lines = [Line(title, QUIET)]
    if len(kept) > limits.output:
        before = kept.pop(0).count("\n") + 1
        above = f"{MORE} {before:,} line{'' if before == 1 else 's'} above"
        lines.append(Line(GUTTER, QUIET).put(" ").put(above, QUIET))
    for raw in kept:
        lines.extend(Line(GUTTER, QUIET).put(" ").put(piece) for piece in verbatim(raw, width - 2, limits.fold))
    return lines


def analysis(
    event: ErrorAnalysis, width: int, limits: TextLimits = _USUAL, *, where: str = "", known: str | None = None
) -> list[Line]:
    """What went wrong and what to do.

    Args:
        where: the place, if that is to be said.
        known: what has been said already, and is not said again.
    """
    texts = [text for text in (event.error, event.analysis) if text.strip()]
    if len(texts) == 2 and texts[0].strip() in (texts[1].strip(), (known or "").strip()):
        texts = texts[1:]
    lines = [Line(part, ACCENT) for part in wrap(where, width, limits.analysis)] if where else []
    excerpt = False
    for index, text in enumerate(texts):
        usual = STRONG if index == 0 and len(texts) > 1 else PLAIN
        for part in wrap(text, width, limits.analysis, limits.code):
            excerpt = part.startswith(CODE)
            lines.append(Line(part, _code_style(part) if excerpt else usual))
    if excerpt and event.suggestions:
        lines.append(Line())
    most = max(min(limits.analysis, _SUGGESTION_LINES), limits.analysis // TEXT_LINES)
    for suggestion in event.suggestions[: limits.suggestions]:
        if suggestion.strip():
            lines.extend(_hanging(ARROW, suggestion, width, most))
    return lines


def _code_style(line: str) -> Style:
    """Of an excerpt the line that is meant stands out."""
    return STRONG if line.lstrip().startswith(">") else QUIET


def _hanging(mark: str, text: str, width: int, limit: int) -> list[Line]:
    """Foreign text behind a mark, its further lines below its first."""
    return [
        (Line() if index else Line(mark, ACCENT)).to(2).put(part)
        for index, part in enumerate(wrap(text, width - 2, limit))
    ]
