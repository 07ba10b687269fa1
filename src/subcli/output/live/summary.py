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
from subcli.output.text.ending import NAMES_MAX, compared, failed_names, next_commands, next_step
from subcli.output.text.lines import Line, clip, folded, wrap
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

DETAILS_MAX: Final = 50
"""How many failed tests are explained in full."""

EXPLAINED_MAX: Final = 20
"""Of how many submissions the failures are explained,"""

LISTED_MAX: Final = 100
"""and how many submissions are listed; of more, only those that were judged and did not pass."""

IDS_MAX: Final = 20
"""How many submissions with the same error are named."""

_USUAL: Final = details.TextLimits()
_LINE_CELLS: Final = 300
_UNCUT_CELLS: Final = 2000
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


# -- after the live screen ------------------------------------------------------------------------


def final(snapshot: Submission, ending: Ending, width: int, *, compact: bool = False) -> list[Line]:
    """Return what the live view leaves of one submission that has its verdict.

    Args:
        snapshot: The submission.
        ending: How it ended.
        width: The width in cells; no line is longer.
        compact: Whether only failures are shown.
    """
    verdict = ending.verdict
    assert verdict is not None
    lines = [] if compact else table(snapshot, width)
    lines += [Line()] if lines else []
    lines += failures(snapshot, width)
    lines.append(parts.badge(verdict_mark(verdict.final_status)).put("  ").put(outcome(verdict, snapshot)))
    lines.append(parts.title(snapshot, _UNCUT_CELLS, strong=False))
    lines += [*comparison(verdict), *failed(snapshot)]
    lines += next_commands([next_step(snapshot, ending, left_out=is_cut(snapshot))])
    return folded(lines, width)


def comparison(verdict: Complete | None) -> list[Line]:
    """Return what has changed since the previous submission, if the server says so."""
    text = compared(verdict.compared_to) if verdict is not None else ""
    return [Line(text)] if text else []


def failed(snapshot: Submission) -> list[Line]:
    """Return the list of the failed tests."""
    names = failed_names(snapshot)
    return [Line("failed:", DIM), *parts.indented(names, 2)] if names else []


def is_cut(snapshot: Submission) -> bool:
    """Return whether :func:`final` leaves something out that ``subcli status`` shows."""
    groups = Causes(snapshot.analyses, snapshot.failures).together(snapshot.failures)
    return (
        snapshot.counts.not_passed > DETAILS_MAX
        or any(len(group) > 1 for group in groups)
        or any((result.output or "").count("\n") > _USUAL.output for result in snapshot.failures)
    )


def table(snapshot: Submission, width: int) -> list[Line]:
    """Return all tests in the order in which they ran, if they are few; the reasons of failures follow elsewhere.

    Of many tests, only what became of their groups.
    """
    if not 0 < snapshot.counts.done <= min(TABLE_ROWS_MAX, len(snapshot.recent)):
        return rows.group_rows(snapshot.groups, width)
    return rows.table(snapshot.recent, width, snapshot.groups)


def failures(snapshot: Submission, width: int) -> list[Line]:
    """Return why tests failed, each cause once with all its tests; then the analyses that belong to no failed test."""
    lines: list[Line] = []
    limits = details.limits_for(width)
    causes = Causes(snapshot.analyses, snapshot.failures)
    for first, *others in causes.together(snapshot.failures[:DETAILS_MAX]):
        lines += failure(first, snapshot.analyses, width, limits, causes=causes, names_others=not others)
        lines += [*_others(first, others, width), Line()]
    rest = _more(snapshot.counts.not_passed - min(len(snapshot.failures), DETAILS_MAX), "failed")
    lines += [*rest, Line()] if rest else []
    for event in snapshot.analyses:
        if causes.test(event) is None:
            lines += [*unattached(event, width, limits), Line()]
    return lines


def _others(first: TestResult, others: Sequence[TestResult], width: int) -> list[Line]:
    """Return the tests that fail as ``first`` does, with what is different about them."""
    if not others:
        return []
    lines = [Line(), Line(f"the same cause in {len(others)} more test{'s' * (len(others) > 1)}:", DIM)]
    for result in others[:NAMES_MAX]:
        mark = test_mark(result.status)
        line = Line(f"{mark.glyph} ", mark.style).put(clip(result.test_name, _UNCUT_CELLS))
        facts = [measures.label(result), words.duration(result.duration_ms)]
        line.put("".join(f" {MIDDLE_DOT} {fact}" for fact in facts if fact), DIM)
        why = details.reason(result)
        lines.append(line.put(f": {clip(why, _LINE_CELLS)}", BAD) if why and why != details.reason(first) else line)
    return parts.indented(folded([*lines, *_more(len(others) - NAMES_MAX, "tests")], width - 2), 2)


def failure(
    result: TestResult,
    analyses: Sequence[ErrorAnalysis],
    width: int,
    limits: details.TextLimits = _USUAL,
    *,
    causes: Causes,
    names_others: bool = True,
) -> list[Line]:
    """Return one failed test: name, message, expected and actual, analyses, output.

    A cause that several tests share is shown with the first of them.
    """
    mark = test_mark(result.status)
    heading = Line(mark.glyph, mark.style).put(" ").put(clip(result.test_name, _UNCUT_CELLS), STRONG)
    if label := measures.label(result):
        heading.put(" ").put(label, mark.style)
    lines = parts.section(heading, width, measures.facts(result))
    inner = width - 2
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
        if cause.others and names_others:
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
    title = clip(event.test_name or event.category or "analysis", _UNCUT_CELLS)
    heading = Line(FAIL, BAD).put(" ").put(title, STRONG)
    return [*parts.section(heading, width, ()), *_analysis(event, width, limits)]


def _analysis(
    event: ErrorAnalysis, width: int, limits: details.TextLimits, shown_before: str | None = None
) -> list[Line]:
    place = details.place(event.location, _UNCUT_CELLS)
    return parts.indented(details.analysis(event, width - 2, limits, place=place, shown_before=shown_before), 2)


# -- without a verdict ----------------------------------------------------------------------------


def so_far(snapshot: Submission, width: int) -> list[Line]:
    """Return the failures and counts of a submission whose watch ended before the verdict."""
    if not snapshot.counts.done:
        return []
    lines = rows.table(snapshot.failures[:NAMES_MAX], width, snapshot.groups, reasons=True)
    lines += _more(snapshot.counts.not_passed - min(len(snapshot.failures), NAMES_MAX), "failed")
    total = words.known_total(snapshot)
    counts = Line("so far: ", DIM).extend(parts.counts(snapshot.counts, ", "))
    return folded([*lines, counts.put(f" of {words.number(total)}" if total else "", DIM)], width)


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
        heading.put("  ").extend(parts.title(snapshot, _UNCUT_CELLS, strong=False))
    several = [number for number in ids if number is not None]
    if several:
        heading.put("  ").put(" ".join(f"#{number}" for number in several[:IDS_MAX]))
        more = len(several) - IDS_MAX
        heading.put(f" {ELLIPSIS} {words.number(more)} more" if more > 0 else "")
    lines = [heading, *parts.indented([Line(part) for part in wrap(error.message, width - 2, _ERROR_LINES)], 2)]
    if len(several) < 2 or f"`subcli watch {several[0]}" not in error.hint:
        # The hint of one submission would name that one only.
        hint = wrap(error.hint, width - 2, _ERROR_LINES)
        lines += parts.indented([Line(part, DIM) for part in hint if part], 2)
    lines += parts.indented(_resuming(ending, several or [ending.submission_id]), 2)
    return folded(lines, width)


def fault_in_words(ending: Ending) -> list[Line]:
    """Return the same for a log: ``no verdict: no answer from …``, the hint, and the next command."""
    error = ending.error
    assert error is not None
    mark = ending_mark(ending)
    lines = [Line(mark.word, mark.style).put(": ").put(clip(error.message, _UNCUT_CELLS))]
    lines += [Line(part, DIM) for part in wrap(error.hint, _UNCUT_CELLS, _ERROR_LINES) if part]
    return lines + _resuming(ending, [ending.submission_id])


def _resuming(ending: Ending, ids: Sequence[int | None]) -> list[Line]:
    """The command that continues, unless the hint names it."""
    error = ending.error
    numbers = [number for number in ids if number is not None]
    if error is None or not numbers or error.kind in _NOT_RESUMABLE:
        return []
    watch = f"subcli watch {' '.join(map(str, numbers))}{ending.options}"
    command = watch if ending.follow_up is None else ending.follow_up
    names_all = any(f"`subcli watch --{option}" in error.hint for option in ("mine", "all", "problem"))
    return [] if names_all or command in error.hint else next_commands([command])


# -- several submissions --------------------------------------------------------------------------


def final_several(
    submissions: Sequence[tuple[Submission, Ending | None]], width: int, *, compact: bool = False
) -> list[Line]:
    """Return what the live view leaves of several submissions: failures, a table, the next commands.

    Of very many, it lists those that did not pass, and explains the first ones.

    Args:
        submissions: Each with how it ended, if it did.
        width: The width in cells; no line is longer.
        compact: Whether only submissions that failed are listed.
    """
    lines: list[Line] = []
    not_passed = [each for each in submissions if each[1] is None or each[1].exit_code]
    is_many = len(submissions) > LISTED_MAX
    if is_many:
        # The others are named below, with the reason.
        not_passed = [each for each in not_passed if each[1] is not None and each[1].verdict is not None]
    for snapshot, ending in not_passed[:EXPLAINED_MAX]:
        if ending is not None:
            explanation = failures(snapshot, width) if ending.verdict is not None else so_far(snapshot, width)
            if explanation:
                lines += [parts.title(snapshot, _UNCUT_CELLS), Line(), *explanation]
                lines += [Line()] if ending.verdict is None else []
    listed = not_passed if compact or is_many else submissions
    lines += _table_of_submissions(listed[:LISTED_MAX], width)
    lines += _more(len(listed) - LISTED_MAX, "that did not pass")
    passed = sum(1 for _, ending in submissions if ending is not None and ending.exit_code == 0)
    verdict = verdict_mark("passed" if passed == len(submissions) else "failed")
    count = f"{words.number(passed)} of {words.number(len(submissions))} submissions passed"
    lines += [Line(), parts.badge(verdict).put(f"  {count}")]
    steps = [
        next_step(snapshot, ending, left_out=is_cut(snapshot))
        for snapshot, ending in not_passed[:LISTED_MAX]
        if ending is not None and ending.verdict is not None and ending.exit_code
    ]
    lines += next_commands(list(dict.fromkeys(filter(None, steps)))[:_COMMANDS_MAX])
    return folded(lines, width)


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
    """One line per submission: mark, id, problem, verdict, counts or error; below it, what failed and what changed."""
    ids = max((len(str(snapshot.id)) for snapshot, _ in submissions), default=1) + 1
    longest = max((len(clip(snapshot.problem or "", _UNCUT_CELLS)) for snapshot, _ in submissions), default=0)
    after_id = 2 + ids + 2
    after_problem = after_id + min(longest, width // 3) + 2
    lines = []
    for snapshot, ending in submissions:
        mark = ending_mark(ending) if ending is not None else Mark("-", PLAIN, "")
        line = Line(mark.glyph, mark.style).put(f" #{snapshot.id}").pad_to(after_id)
        line.put(clip(snapshot.problem or "", _UNCUT_CELLS)).put("  ").pad_to(after_problem)
        if ending is not None:
            line.put(clip(mark.word, 40), mark.style).put("  ").pad_to(after_problem + 14)
        lines.append(line.put(_ending_text(snapshot, ending), DIM))
        if ending is not None and ending.verdict is not None:
            below = [*comparison(ending.verdict), *failed_names(snapshot)]
            lines += parts.indented(below, after_id)
    return lines


def _ending_text(snapshot: Submission, ending: Ending | None) -> str:
    if ending is not None and ending.verdict is not None:
        return outcome(ending.verdict, snapshot)
    return one_line(ending.error.message, _LINE_CELLS) if ending is not None and ending.error is not None else ""
