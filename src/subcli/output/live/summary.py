"""What stays at the end: short when all is well, complete when it is not. Functions from data to lines.

The verdict comes last, above the prompt, where the eye is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from subcli.core.errors import InterruptedByUser
from subcli.core.submission import Submission
from subcli.output.text import details, parts, words
from subcli.output.text.lines import Line, clip, wrap
from subcli.output.text.theme import BAD, DETACHED, FAIL, MORE, NO_VERDICT, QUIET, STRONG, Mark, test_mark, verdict_mark
from subcli.output.view import Ending
from subcli.shared.protocol import Complete, ErrorAnalysis, Summary, TestResult

TABLE_ROWS: Final = 20
"""Up to this many tests the table lists them all; of more, what failed is enough."""

NAMED: Final = 20
"""Failures that are named where all was told before."""

DETAILED: Final = 50
"""Failures that are told in full."""

_LIMITS: Final = details.Limits()
_LONGEST: Final = 100_000
_NEVER_TO_BE_RESUMED: Final = ("not_found", "usage")


# -- the verdict ----------------------------------------------------------------------------------


def outcome(verdict: Complete, picture: Submission) -> str:
    """The counts as a sentence: those that came with the verdict, else those that were seen."""
    summary = words.summary_of(verdict, picture.counts)
    took = words.total_duration(summary.duration_ms)
    ending = f" in {took}" if took else ""
    if _all_passed(summary):
        return f"{words.number(summary.passed or 0)} of {words.tests(summary.passed or 0)}{ending}"
    told = [("passed", summary.passed), ("failed", summary.failed), ("skipped", summary.skipped or None)]
    said = [f"{words.number(count)} {word}" for word, count in told if count is not None]
    if any(count for _, count in told):
        return ", ".join(said) + ending
    return f"after {took}" if took else ""


def _all_passed(summary: Summary) -> bool:
    return bool(
        summary.passed and not summary.failed and not summary.skipped and summary.total_tests in (None, summary.passed)
    )


def ending_mark(ending: Ending) -> Mark:
    """The mark of how one submission ended."""
    if ending.verdict is not None:
        return verdict_mark(ending.verdict.final_status)
    return DETACHED if isinstance(ending.error, InterruptedByUser) else NO_VERDICT


def _verdict_line(picture: Submission, verdict: Complete) -> Line:
    """The verdict as one line of a log."""
    mark = verdict_mark(verdict.final_status)
    line = Line(f"{mark.glyph} {clip(mark.word, 40)}", mark.style)
    told = outcome(verdict, picture)
    return line.put(f": {told}" if told else "")


def _more(count: int, word: str) -> list[Line]:
    return [Line(f"{MORE} {words.number(count)} more {word}", QUIET)] if count > 0 else []


def next_commands(commands: Sequence[str]) -> Line:
    """What to type now."""
    line = Line("next: ", QUIET)
    for command in commands:
        line.put(", " if line.cells > 6 else "", QUIET).put(command, STRONG)
    return line


# -- after a log ----------------------------------------------------------------------------------


def closing(picture: Submission, verdict: Complete, command: str) -> list[Line]:
    """The end of a log in which everything was told: the verdict, the names of what failed, what to type."""
    lines = [_verdict_line(picture, verdict)]
    for result in picture.failures[:NAMED]:
        mark = test_mark(result.status)
        line = Line("  ").put(mark.glyph, mark.style).put(" ").put(clip(result.test_name, 300))
        why = clip(details.reason(result), 300)
        lines.append(line.put(f": {why}", QUIET) if why else line)
    rest = picture.counts.not_passed - min(len(picture.failures), NAMED)
    lines += parts.indented(_more(rest, "failed"), 2)
    if verdict.final_status != "passed":
        lines.append(next_commands([command]))
    return lines


# -- after the screen -----------------------------------------------------------------------------


def final(picture: Submission, verdict: Complete, width: int, command: str) -> list[Line]:
    """What the live screen leaves behind of one submission."""
    lines = table(picture, width)
    if lines:
        lines.append(Line())
    lines += failures(picture, width)
    lines.append(parts.badge(verdict_mark(verdict.final_status)).put("  ").put(outcome(verdict, picture)))
    lines.append(parts.title(picture, width, strong=False))
    if verdict.final_status != "passed":
        lines.append(next_commands([command]))
    return lines


def table(picture: Submission, width: int) -> list[Line]:
    """All tests in the order in which they ran, where they are few. Why they failed is told below."""
    if not 0 < picture.counts.done <= min(TABLE_ROWS, len(picture.recent)):
        return []
    return [
        parts.row(result, width, with_reason=test_mark(result.status).word == "skipped") for result in picture.recent
    ]


def failures(picture: Submission, width: int) -> list[Line]:
    """Every failure with all that is known about it, then the analyses that belong to no test."""
    lines: list[Line] = []
    for result in picture.failures[:DETAILED]:
        lines += [*failure(result, picture.analyses, width), Line()]
    rest = _more(picture.counts.not_passed - min(len(picture.failures), DETAILED), "failed")
    lines += [*rest, Line()] if rest else []
    for event in picture.analyses:
        if not any(details.is_about(event, result) for result in picture.failures):
            lines += [*unattached(event, width), Line()]
    return lines


def failure(
    result: TestResult, analyses: Sequence[ErrorAnalysis], width: int, limits: details.Limits = _LIMITS
) -> list[Line]:
    """One failed test: its name, why, expected and actual, analysis, output."""
    mark = test_mark(result.status)
    took = words.duration(result.duration_ms)
    heading = Line(mark.glyph, mark.style).put(" ").put(clip(result.test_name, width - 6 - len(took)), STRONG)
    lines = [parts.rule(heading, width, took)]
    inner = width - 2
    if limits is details.ALL and MORE in heading.text:
        lines += parts.indented([Line(part, STRONG) for part in wrap(result.test_name, inner, limits.message)], 2)
    if result.message and result.message.strip():
        lines += parts.indented(
            [Line(part, BAD) for part in wrap(result.message, inner, limits.message, limits.code)], 2
        )
    lines += parts.indented(details.values(result, inner, limits), 2)
    for event in analyses:
        if details.is_about(event, result):
            where = details.place(event.location, _LONGEST if limits is details.ALL else width // 2)
            why = details.analysis(event, inner, limits, where=where, known=result.message)
            lines += [Line(), *parts.indented(why, 2)]
    output = details.output(result.output, inner, limits)
    return [*lines, Line(), *parts.indented(output, 2)] if output else lines


def unattached(event: ErrorAnalysis, width: int, limits: details.Limits = _LIMITS) -> list[Line]:
    """An analysis that belongs to no test: of the build, of the whole."""
    heading = Line(FAIL, BAD).put(" ").put(clip(event.test_name or event.category or "analysis", width - 6), STRONG)
    where = details.place(event.location, _LONGEST if limits is details.ALL else width // 2)
    return [parts.rule(heading, width, ""), *parts.indented(details.analysis(event, width - 2, limits, where=where), 2)]


# -- without a verdict ----------------------------------------------------------------------------


def so_far(picture: Submission, width: int) -> list[Line]:
    """What was seen of a submission whose verdict was not waited for: its failures, its counts."""
    if not picture.counts.done:
        return []
    lines = [parts.row(result, width) for result in picture.failures[:NAMED]]
    lines += _more(picture.counts.not_passed - min(len(picture.failures), NAMED), "failed")
    total = words.known_total(picture)
    told = Line("so far: ", QUIET).join(parts.counts(picture.counts, ", "))
    return [*lines, told.put(f" of {words.number(total)}" if total else "", QUIET)]


def fault(
    ending: Ending,
    picture: Submission | None,
    width: int,
    *,
    badge: bool = False,
    ids: Sequence[int | None] = (),
) -> list[Line]:
    """Why there is no verdict, and how to go on. ``ids``: of all submissions that it befell alike."""
    error = ending.error
    if error is None:
        return []
    mark = ending_mark(ending)
    heading = parts.badge(mark) if badge else Line(f"{mark.glyph} {mark.word}", mark.style)
    if picture is not None:
        heading.put("  ").join(parts.title(picture, width - heading.cells - 2, strong=False))
    several = [number for number in ids if number is not None]
    if several:
        heading.put("  ").put(clip(" ".join(f"#{number}" for number in several), width - heading.cells - 2))
    lines = [heading, *parts.indented([Line(part) for part in wrap(error.message, width - 2, 12)], 2)]
    if len(several) < 2 or "`subcli watch " not in error.hint:
        # The hint of one submission would name only that one.
        lines += parts.indented([Line(part, QUIET) for part in wrap(error.hint, width - 2, 12) if part], 2)
    numbers = several or [number for number in (ending.submission_id,) if number is not None]
    if numbers and error.kind not in _NEVER_TO_BE_RESUMED:
        command = ending.follow_up or f"subcli watch {' '.join(map(str, numbers))}{ending.options}"
        if command not in error.hint:
            lines.append(Line("  ").join(next_commands([command])))
    return lines
