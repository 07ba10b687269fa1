"""What stays at the end: short when all is well, complete when it is not. Functions from data to lines."""

from __future__ import annotations

from typing import Final

from subcli.output import details, parts, words
from subcli.output.lines import Line, clip, wrap
from subcli.output.printable import one_line
from subcli.output.theme import BAD, FAIL, MID, MORE, NO_VERDICT, QUIET, STRONG, test_mark, verdict_mark
from subcli.output.view import Ending
from subcli.protocol import Complete, Summary, TestResult
from subcli.submission import Submission

TABLE_ROWS: Final = 20
"""Up to this many tests the summary lists them all."""

NAMED: Final = 20
DETAILED: Final = 50

submitted = parts.submitted
connection_line = parts.connection_line
stage_facts = parts.stage_facts


def verdict_line(picture: Submission, verdict: Complete, width: int) -> Line:
    """``✗ failed   8 passed, 2 failed in 45.0 s   leader-election · #12``."""
    mark = verdict_mark(verdict.final_status)
    line = Line(mark.glyph, mark.style).put(" ").put(clip(mark.word, 40), mark.style)
    told = outcome(words.summary_of(verdict, picture.counts))
    if told:
        line.put("   ").put(told)
    return line.put("   ").join(parts.title(picture, width - line.cells - 3, strong=False)).cut(width)


def outcome(summary: Summary) -> str:
    """The counts as a sentence."""
    took = words.total_duration(summary.duration_ms)
    ending = f" in {took}" if took else ""
    failed, skipped = summary.failed or 0, summary.skipped or 0
    if summary.passed and not failed and not skipped and summary.total_tests in (None, summary.passed):
        return f"{words.tests(summary.passed)} passed{ending}"
    said = [("passed", summary.passed), ("failed", summary.failed), ("skipped", summary.skipped or None)]
    told = ", ".join(f"{words.number(count)} {word}" for word, count in said if count is not None)
    return f"{told}{ending}" if told else (f"after {took}" if took else "")


def closing(picture: Submission, verdict: Complete, width: int) -> list[Line]:
    """The end of a log in which everything was told: the names of what failed, the verdict, what to type."""
    lines = []
    for result in picture.failures[:NAMED]:
        mark = test_mark(result.status)
        line = Line("  ").put(mark.glyph, mark.style).put(" ").put(clip(result.test_name, 300))
        why = clip(details.reason(result), 300)
        lines.append(line.put(f": {why}", QUIET) if why else line)
    rest = picture.counts.not_passed - min(len(picture.failures), NAMED)
    if rest > 0:
        lines.append(Line(f"  {MORE} {words.number(rest)} more", QUIET))
    lines.insert(0, verdict_line(picture, verdict, width))
    if verdict.final_status != "passed":
        lines.append(next_command(picture))
    return lines


def next_command(picture: Submission) -> Line:
    """What to type to read everything."""
    return Line("next: ", QUIET).put(f"subcli status {picture.id}", STRONG)


def fault(ending: Ending, picture: Submission | None, width: int) -> list[Line]:
    """Why there is no verdict, and how to go on."""
    error = ending.error
    if error is None:
        return []
    line = Line(NO_VERDICT.glyph, NO_VERDICT.style).put(" ").put(NO_VERDICT.word, NO_VERDICT.style)
    if picture is not None:
        line.put("   ").join(parts.title(picture, width - line.cells - 3, strong=False))
    lines = [line]
    for text in (error.message, error.hint):
        lines.extend(details.indent([Line(part) for part in wrap(text, width - 2, 12)], 2))
    if ending.submission_id is not None and error.kind not in ("not_found", "usage"):
        command = f"subcli watch {ending.submission_id}"
        if command not in error.hint:
            lines.append(Line("  ").put("take it up again: ", QUIET).put(command, STRONG))
    return lines


def final(picture: Submission, verdict: Complete, width: int, *, table: bool = True) -> list[Line]:
    """What the live screen leaves behind for one submission."""
    lines: list[Line] = []
    if table and 0 < picture.counts.done <= min(TABLE_ROWS, len(picture.recent)):
        names = parts.name_cells(width)
        lines += [parts.row(result, width, names) for result in picture.recent]
        lines.append(Line())
    lines += failures(picture, width)
    lines.append(verdict_line(picture, verdict, width))
    if verdict.final_status != "passed":
        lines.append(Line("  ").join(next_command(picture)))
    return lines


def failures(picture: Submission, width: int) -> list[Line]:
    """Every failure with all that is known about it, then the analyses that belong to no test."""
    lines: list[Line] = []
    for result in picture.failures[:DETAILED]:
        lines += [_failure_title(result, width)]
        why = result.message
        if why and why.strip():
            lines += details.indent([Line(part, BAD) for part in wrap(why, width - 2, 6)], 2)
        body = details.failure(result, picture.analyses, width - 4, value_lines=30, output_lines=20)
        if body:
            lines += [Line(), *details.indent(body, 4)]
        lines.append(Line())
    rest = picture.counts.not_passed - min(len(picture.failures), DETAILED)
    if rest > 0:
        lines += [Line(f"{MORE} {words.number(rest)} more failed", QUIET), Line()]
    for event in picture.analyses:
        if not any(details.is_about(event, result) for result in picture.failures):
            title = Line(FAIL, BAD).put(" ").put(clip(event.test_name or event.category or "why", 80), STRONG)
            lines += [title, *details.indent(details.analysis(event, width - 4), 4), Line()]
    return lines


def _failure_title(result: TestResult, width: int) -> Line:
    mark = test_mark(result.status)
    took = words.duration(result.duration_ms)
    line = Line(mark.glyph, mark.style).put(" ")
    line.put(clip(result.test_name, width - 4 - len(took)), STRONG)
    return line.put(f" {MID} {took}", QUIET) if took else line


def interrupted(picture: Submission, width: int) -> Line:
    """How far it had come when the watch was left."""
    line = parts.title(picture, width).put("   ")
    counted = parts.counts(picture, gap=", ")
    status = one_line(picture.status or "", 40)
    line.put(f"{status} " if status else "", QUIET)
    return line.join(counted)
