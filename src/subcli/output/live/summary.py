"""What stays at the end: short if everything passed, complete if not. Functions from data to lines.

The verdict comes last, directly above the prompt. The plain view, the GitHub view and ``subcli status`` use the same
parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from subcli.core.errors import InterruptedByUser
from subcli.core.groups import points_of, sensible
from subcli.core.identity import is_about
from subcli.core.submission import Submission
from subcli.output.printable import one_line
from subcli.output.text import details, measures, parts, rows, words
from subcli.output.text.causes import Causes
from subcli.output.text.lines import Line, clip, wrap
from subcli.output.text.theme import (
    BAD,
    DETACHED,
    DIM,
    ELLIPSIS,
    FAIL,
    MIDDLE_DOT,
    NO_VERDICT,
    PLAIN,
    STRONG,
    Mark,
    test_mark,
    verdict_mark,
)
from subcli.output.view import Ending
from subcli.shared.messages import Complete, ErrorAnalysis, Summary, TestResult

TABLE_ROWS_MAX: Final = 20
"""With more tests than this, only the failed ones are listed."""

NAMES_MAX: Final = 20
"""How many failed tests are named again after their details were printed."""

DETAILS_MAX: Final = 50
"""How many failed tests are explained in full."""

_USUAL: Final = details.TextLimits()
_LINE_CELLS: Final = 300
_GROUP_CELLS: Final = 60
_UNCUT_CELLS: Final = 100_000
_ERROR_LINES: Final = 12
_COMMANDS_MAX: Final = 3
_NOT_RESUMABLE: Final = ("not_found", "usage")


# -- the verdict ----------------------------------------------------------------------------------


def outcome(verdict: Complete, snapshot: Submission) -> str:
    """Return points and counts as a phrase: those that came with the verdict, otherwise the counts of the results.

    A verdict may be ``failed`` although every test passed: "10 of 10 tests" is said of ``passed`` only.
    """
    return ", ".join(part for part in (_points(verdict), _counts(verdict, snapshot)) if part)


def _points(verdict: Complete) -> str:
    points, needed = points_of(verdict.summary), sensible(verdict.summary.pass_score)
    if points is None:
        return ""
    return measures.points_in_words(points) + (f" ({measures.score(needed)} needed)" if needed is not None else "")


def _counts(verdict: Complete, snapshot: Submission) -> str:
    summary = words.summary_of(verdict, snapshot.counts)
    duration = words.total_duration(summary.duration_ms)
    suffix = f" in {duration}" if duration else ""
    if verdict.final_status == "passed" and _all_passed(summary):
        return f"{words.number(summary.passed or 0)} of {words.tests(summary.passed or 0)}{suffix}"
    counts = [("passed", summary.passed), ("failed", summary.failed), ("skipped", summary.skipped or None)]
    if any(count for _, count in counts):
        return ", ".join(f"{words.number(count)} {word}" for word, count in counts if count is not None) + suffix
    return f"after {duration}" if duration else ""


def _all_passed(summary: Summary) -> bool:
    return bool(
        summary.passed and not summary.failed and not summary.skipped and summary.total_tests in (None, summary.passed)
    )


def ending_mark(ending: Ending) -> Mark:
    """Return the mark for how a submission ended."""
    if ending.verdict is not None:
        return verdict_mark(ending.verdict.final_status)
    return DETACHED if isinstance(ending.error, InterruptedByUser) else NO_VERDICT


def _more(count: int, word: str) -> list[Line]:
    return [Line(f"{ELLIPSIS} {words.number(count)} more {word}", DIM)] if count > 0 else []


def next_commands(commands: Sequence[str]) -> list[Line]:
    """Return ``next: COMMAND, COMMAND``; no line if there is none."""
    line = Line("next: ", DIM)
    for index, command in enumerate(commands):
        line.put(", " if index else "", DIM).put(command, STRONG)
    return [line] if any(commands) else []


# -- after a log ----------------------------------------------------------------------------------


def closing(snapshot: Submission, verdict: Complete, command: str) -> list[Line]:
    """Return the end of a log that has shown all details: the verdict, the failed tests' names, the next command."""
    mark = verdict_mark(verdict.final_status)
    counts = outcome(verdict, snapshot)
    lines = [Line(f"{mark.glyph} {clip(mark.word, 40)}", mark.style).put(f": {counts}" if counts else "")]
    lines += parts.indented(rows.group_rows(snapshot.groups, _GROUP_CELLS), 2)
    for result in snapshot.failures[:NAMES_MAX]:
        mark = test_mark(result.status)
        line = Line("  ").put(mark.glyph, mark.style).put(" ").put(clip(result.test_name, _LINE_CELLS))
        reason = clip(measures.labelled(result, details.reason(result)), _LINE_CELLS)
        lines.append(line.put(f": {reason}", DIM) if reason else line)
    lines += parts.indented(_more(snapshot.counts.not_passed - min(len(snapshot.failures), NAMES_MAX), "failed"), 2)
    if verdict.final_status != "passed":
        lines += next_commands([command])
    return lines


# -- after the live screen ------------------------------------------------------------------------


def final(snapshot: Submission, verdict: Complete, width: int, command: str) -> list[Line]:
    """Return what the live view leaves of one submission."""
    lines = table(snapshot, width)
    if lines:
        lines.append(Line())
    lines += failures(snapshot, width)
    lines.append(parts.badge(verdict_mark(verdict.final_status)).put("  ").put(outcome(verdict, snapshot)))
    lines.append(parts.title(snapshot, width, strong=False))
    if verdict.final_status != "passed":
        lines += next_commands([command])
    return lines


def table(snapshot: Submission, width: int) -> list[Line]:
    """Return all tests in the order in which they ran, if they are few; the reasons of failures follow elsewhere.

    Of many tests, only what became of their groups.
    """
    if not 0 < snapshot.counts.done <= min(TABLE_ROWS_MAX, len(snapshot.recent)):
        return rows.group_rows(snapshot.groups, width)
    return rows.table(snapshot.recent, width, snapshot.groups)


def failures(snapshot: Submission, width: int) -> list[Line]:
    """Return every failed test in full, then the analyses that belong to no failed test."""
    lines: list[Line] = []
    causes = Causes(snapshot.analyses, snapshot.failures)
    for result in snapshot.failures[:DETAILS_MAX]:
        lines += [*failure(result, snapshot.analyses, width, causes=causes), Line()]
    rest = _more(snapshot.counts.not_passed - min(len(snapshot.failures), DETAILS_MAX), "failed")
    lines += [*rest, Line()] if rest else []
    for event in snapshot.analyses:
        if causes.test(event) is None:
            lines += [*unattached(event, width), Line()]
    return lines


def failure(
    result: TestResult,
    analyses: Sequence[ErrorAnalysis],
    width: int,
    limits: details.TextLimits = _USUAL,
    *,
    causes: Causes,
) -> list[Line]:
    """Return one failed test: name, message, expected and actual, analyses, output.

    A cause that several tests share is shown with the first of them.
    """
    mark = test_mark(result.status)
    label = measures.label(result)
    measured = f" {MIDDLE_DOT} ".join(measures.facts(result))
    space = width - 6 - (len(label) + 1 if label else 0)
    if space - len(measured) < len(result.test_name):
        # The name matters more.
        measured = words.duration(result.duration_ms)
    room = space - len(measured)
    heading = Line(mark.glyph, mark.style).put(" ").put(clip(result.test_name, room), STRONG)
    if label:
        heading.put(" ").put(label, mark.style)
    lines = [parts.rule(heading, width, measured)]
    inner = width - 2
    if limits is details.UNLIMITED and ELLIPSIS in heading.text:
        lines += parts.indented([Line(part, STRONG) for part in wrap(result.test_name, inner, limits.message)], 2)
    if result.message and result.message.strip():
        message = wrap(result.message, inner, limits.message, limits.code)
        lines += parts.indented([Line(part, BAD) for part in message], 2)
    lines += parts.indented(details.values(result, inner, limits), 2)
    for event in analyses:
        if not is_about(event, result):
            continue
        cause = causes.of(event)
        if cause.first is not event:
            lines += parts.indented(details.same_cause(f"the same cause as in {cause.tests[0]}", inner, limits), 2)
            continue
        lines += [Line(), *_analysis(event, width, limits, shown_before=result.message)]
        if cause.others:
            lines += parts.indented(details.same_cause(f"the same cause: {cause.others}", inner, limits), 2)
    for block in (
        details.given(result.input, inner, limits),
        details.output(result.output, inner, limits),
        details.rerun(result, inner, limits),
    ):
        lines += [Line(), *parts.indented(block, 2)] if block else []
    return lines


def unattached(event: ErrorAnalysis, width: int, limits: details.TextLimits = _USUAL) -> list[Line]:
    """Return an analysis that belongs to no test, for example of the build."""
    heading = Line(FAIL, BAD).put(" ").put(clip(event.test_name or event.category or "analysis", width - 6), STRONG)
    return [parts.rule(heading, width, ""), *_analysis(event, width, limits)]


def _analysis(
    event: ErrorAnalysis, width: int, limits: details.TextLimits, shown_before: str | None = None
) -> list[Line]:
    place = details.place(event.location, _UNCUT_CELLS if limits is details.UNLIMITED else width // 2)
    return parts.indented(details.analysis(event, width - 2, limits, place=place, shown_before=shown_before), 2)


# -- without a verdict ----------------------------------------------------------------------------


def so_far(snapshot: Submission, width: int) -> list[Line]:
    """Return the failures and counts of a submission whose watch ended before the verdict."""
    if not snapshot.counts.done:
        return []
    failures = snapshot.failures[:NAMES_MAX]
    columns = rows.Columns.of(failures, width, name="qualified" if len(snapshot.groups) > 1 else "")
    lines = [rows.row(result, width, columns) for result in failures]
    lines += _more(snapshot.counts.not_passed - min(len(snapshot.failures), NAMES_MAX), "failed")
    total = words.known_total(snapshot)
    counts = Line("so far: ", DIM).extend(parts.counts(snapshot.counts, ", "))
    return [*lines, counts.put(f" of {words.number(total)}" if total else "", DIM)]


def fault(
    ending: Ending,
    snapshot: Submission | None,
    width: int,
    *,
    badge: bool = False,
    ids: Sequence[int | None] = (),
) -> list[Line]:
    """Return why there is no verdict, and how to continue.

    Args:
        ending: How the watch ended.
        snapshot: The submission, if its title is to be shown.
        width: The width in cells.
        badge: Whether the heading is a badge.
        ids: All submissions that ended the same way, if there are several.
    """
    error = ending.error
    if error is None:
        return []
    mark = ending_mark(ending)
    heading = parts.badge(mark) if badge else Line(f"{mark.glyph} {mark.word}", mark.style)
    if snapshot is not None:
        heading.put("  ").extend(parts.title(snapshot, width - heading.cells - 2, strong=False))
    several = [number for number in ids if number is not None]
    if several:
        heading.put("  ").put(clip(" ".join(f"#{number}" for number in several), width - heading.cells - 2))
    lines = [heading, *parts.indented([Line(part) for part in wrap(error.message, width - 2, _ERROR_LINES)], 2)]
    if len(several) < 2 or "`subcli watch " not in error.hint:
        # The hint of one submission would name that one only.
        hint = wrap(error.hint, width - 2, _ERROR_LINES)
        lines += parts.indented([Line(part, DIM) for part in hint if part], 2)
    numbers = several or [number for number in (ending.submission_id,) if number is not None]
    if numbers and error.kind not in _NOT_RESUMABLE:
        watch = f"subcli watch {' '.join(map(str, numbers))}{ending.options}"
        command = watch if ending.follow_up is None else ending.follow_up
        if command not in error.hint:
            lines += parts.indented(next_commands([command]), 2)
    return lines


# -- several submissions --------------------------------------------------------------------------


def final_several(submissions: Sequence[tuple[Submission, Ending | None]], width: int) -> list[Line]:
    """Return what the live view leaves of several submissions: failures in full, a table, the next commands."""
    lines: list[Line] = []
    for snapshot, ending in submissions:
        if ending is not None and ending.exit_code:
            explanation = failures(snapshot, width) if ending.verdict is not None else so_far(snapshot, width)
            if explanation:
                lines += [parts.title(snapshot, width), Line(), *explanation]
                lines += [Line()] if ending.verdict is None else []
    lines += _table_of_submissions(submissions, width)
    endings = [ending for _, ending in submissions if ending is not None]
    passed = sum(1 for ending in endings if ending.exit_code == 0)
    verdict = verdict_mark("passed" if passed == len(submissions) else "failed")
    lines += [Line(), parts.badge(verdict).put(f"  {passed} of {len(submissions)} submissions passed")]
    failed = [ending for ending in endings if ending.verdict is not None and ending.exit_code]
    if failed:
        lines += next_commands([ending.next_command for ending in failed[:_COMMANDS_MAX]])
    return lines


def faults(endings: Sequence[tuple[Ending, Submission | None]], width: int) -> list[Line]:
    """Return why there is no verdict, once for all submissions with the same error, and how to continue."""
    groups: dict[tuple[str, str], list[tuple[Ending, Submission | None]]] = {}
    for ending, snapshot in endings:
        if ending.error is not None:
            groups.setdefault((ending.error.kind, ending.error.message), []).append((ending, snapshot))
    lines: list[Line] = []
    for group in groups.values():
        ending, snapshot = group[0]
        if len(group) == 1:
            block = fault(ending, snapshot, width, badge=True)
        else:
            block = fault(ending, None, width, badge=True, ids=[ending.submission_id for ending, _ in group])
        lines += [*([Line()] if lines else []), *block]
    return lines


def _table_of_submissions(submissions: Sequence[tuple[Submission, Ending | None]], width: int) -> list[Line]:
    """One line per submission: mark, id, problem, verdict, counts or error."""
    ids = max((len(str(snapshot.id)) for snapshot, _ in submissions), default=1) + 1
    problem = min(max((len(clip(snapshot.problem or "", 28)) for snapshot, _ in submissions), default=0), width // 3)
    after_id = 2 + ids + 2
    after_problem = after_id + problem + 2
    lines = []
    for snapshot, ending in submissions:
        mark = ending_mark(ending) if ending is not None else Mark("-", PLAIN, "")
        line = Line(mark.glyph, mark.style).put(f" #{snapshot.id}").pad_to(after_id)
        line.put(clip(snapshot.problem or "", problem)).pad_to(after_problem)
        if ending is not None:
            line.put(clip(mark.word, 18), mark.style).pad_to(after_problem + 14)
        lines.append(line.put(clip(_ending_text(snapshot, ending), width - line.cells), DIM))
    return lines


def _ending_text(snapshot: Submission, ending: Ending | None) -> str:
    if ending is not None and ending.verdict is not None:
        return outcome(ending.verdict, snapshot)
    return one_line(ending.error.message, _LINE_CELLS) if ending is not None and ending.error is not None else ""
