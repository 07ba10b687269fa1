"""The last lines about a submission: what has changed since the previous one, which tests failed, and what to do next.

Functions from data to text and lines.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from subcli.core.submission import LOCAL_ID, Submission
from subcli.output.text import details, measures, words
from subcli.output.text.causes import Causes
from subcli.output.text.lines import Line, clip
from subcli.output.text.theme import DIM, ELLIPSIS, MIDDLE_DOT, STRONG, test_mark
from subcli.output.view import Ending
from subcli.shared.messages import ChangedTest, Comparison, TestResult

NAMES_MAX: Final = 20
"""How many failed tests are named again after their details."""

_SLOWER_NAMED: Final = 2
_NAME_CELLS: Final = 60
_UNCUT_CELLS: Final = 2000
_RATIO_MAX: Final = 1e6
_SAFE_COMMAND: Final = re.compile(r"subcli test [\w ./*:=@%+,'\"-]+", re.ASCII)
"""A server's text that may be printed as a command to type: nothing that a shell would run beside it."""

_SLUG: Final = re.compile(r"\w[\w.-]*", re.ASCII)
_REPLAY: Final = "--replay"
"""With this option, `subcli test` gets what it needs from the server."""
_NOT_JUDGED: Final = ("passed", "cancelled", "error")
"""Verdicts after which there is nothing to look into."""


# -- since the previous submission ----------------------------------------------------------------


def compared(comparison: Comparison | None, times: str = " ×") -> str:
    """Return ``since #11: 2 newly passing, 1 newly failing, Split vote 3 × slower``; empty if there is no comparison.

    Args:
        comparison: What the verdict was compared to.
        times: Stands between a number and "slower".
    """
    if comparison is None:
        return ""
    parts = [
        f"{words.number(count)} {word}"
        for count, word in ((comparison.newly_passing, "newly passing"), (comparison.newly_failing, "newly failing"))
        if count > 0
    ]
    slower = [test for test in comparison.tests if test.change == "slower"]
    if comparison.slower > _SLOWER_NAMED or len(slower) < comparison.slower:
        parts.append(f"{words.number(comparison.slower)} slower")
    else:
        parts += [_slower(test, times) for test in slower]
    before = f"#{comparison.previous}" if comparison.previous_run is None else f"run {comparison.previous_run}"
    return f"since {before}: {', '.join(parts) or 'every test ended as before'}"


def _slower(test: ChangedTest, times: str) -> str:
    name = clip(test.test_name, _NAME_CELLS)
    if not test.before_ms or test.duration_ms is None or not 1 < test.duration_ms / test.before_ms < _RATIO_MAX:
        return f"{name} slower"
    ratio = test.duration_ms / test.before_ms
    digits = f"{ratio:.1f}".removesuffix(".0") if ratio < 10 else words.number(round(ratio))
    return f"{name} {digits}{times} slower"


def newly_failing(comparison: Comparison | None) -> frozenset[str]:
    """Return the names of tests that passed in the previous submission and fail now."""
    tests = () if comparison is None else comparison.tests
    return frozenset(test.test_name for test in tests if test.change == "newly_failing")


# -- the failed tests -----------------------------------------------------------------------------


def failed_names(snapshot: Submission) -> list[Line]:
    """Return the names of the failed tests, one per line, with their labels; those of a cause name its place once."""
    new = newly_failing(snapshot.verdict.compared_to if snapshot.verdict is not None else None)
    places = _places(snapshot)
    lines = []
    for result in snapshot.failures[:NAMES_MAX]:
        mark = test_mark(result.status)
        line = Line(f"{mark.glyph} ", mark.style).put(clip(result.test_name, _UNCUT_CELLS))
        facts = [measures.label(result), places.get(id(result), ""), "new" if result.test_name in new else ""]
        line.put("".join(f" {MIDDLE_DOT} {fact}" for fact in facts if fact), DIM)
        lines.append(line)
    more = snapshot.counts.not_passed - len(lines)
    return [*lines, *([Line(f"{ELLIPSIS} {words.number(more)} more failed", DIM)] if more > 0 and lines else [])]


def _places(snapshot: Submission) -> dict[int, str]:
    """The places of failed tests, by their objects' ids; of several with one cause, the first has it."""
    causes = Causes(snapshot.analyses, snapshot.failures)
    found: dict[tuple[str, int], int] = {}
    for event in snapshot.analyses:
        result, place = causes.test(event), details.place(event.location, _UNCUT_CELLS)
        if result is not None and place:
            found.setdefault((place, id(causes.of(event))), id(result))
    return {result: place for (place, _), result in found.items()}


# -- what to do next ------------------------------------------------------------------------------


def next_step(snapshot: Submission, ending: Ending, *, left_out: bool) -> str:
    """Return the one command that helps most now; empty if there is none.

    That is the failing test on the user's own machine where that is possible. What has just been shown is not shown
    again.

    Args:
        snapshot: The submission.
        ending: How it ended.
        left_out: Whether something was left out of what was shown.
    """
    if ending.verdict is None or (ending.follow_up and snapshot.id != LOCAL_ID):
        return ending.follow_up or ""
    rerun = _rerun(snapshot.failures)
    if snapshot.id == LOCAL_ID:
        return rerun if snapshot.counts.done > 1 else ""
    if ending.verdict.final_status in _NOT_JUDGED:
        return ""
    if _REPLAY in rerun:
        return f"{rerun}{ending.options}"
    if ending.at_home is not None and ending.at_home == snapshot.problem and snapshot.failures:
        return rerun or "subcli test"
    if left_out or not snapshot.failures:
        return f"subcli status {ending.submission_id}{ending.options}"
    if rerun and ending.at_home is None and _SLUG.fullmatch(snapshot.problem or ""):
        return f"subcli init {snapshot.problem}{ending.options}"
    return f"subcli open {ending.submission_id}{ending.options}"


def _rerun(failures: Sequence[TestResult]) -> str:
    """The command that runs the first failed test again, if the server says so and it is nothing but that."""
    for result in failures:
        if result.rerun:
            return result.rerun if _SAFE_COMMAND.fullmatch(result.rerun) else ""
    return ""


def next_commands(commands: Sequence[str]) -> list[Line]:
    """Return ``next: COMMAND, COMMAND``; no line if there is none."""
    line = Line("next: ", DIM)
    for index, command in enumerate(filter(None, commands)):
        line.put(", " if index else "", DIM).put(command, STRONG)
    return [line] if any(commands) else []
