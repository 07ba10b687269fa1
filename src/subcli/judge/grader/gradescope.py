"""Reads the results.json of a Gradescope autograder.

Format: https://gradescope-autograders.readthedocs.io/en/latest/specs/#output-format
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from subcli.judge.cases.model import Feedback
from subcli.judge.grader.model import (
    MAX_BYTES,
    MAX_RESULTS,
    MAX_TEXT,
    Report,
    ReportError,
    TestResult,
    check_points,
    seconds_to_ms,
)

Visibility: TypeAlias = Literal["visible", "hidden", "after_due_date", "after_published"]
Points: TypeAlias = Annotated[float, Meta(description="a number")]

_FEEDBACK: Final[dict[Visibility, Feedback]] = {
    "visible": "full",
    "hidden": "none",
    # Neither date is known here; until then nothing but the outcome may be told.
    "after_due_date": "outcome",
    "after_published": "outcome",
}


class _Test(msgspec.Struct, frozen=True):
    score: Points | None = None
    max_score: Points | None = None
    status: Literal["passed", "failed"] | None = None
    name: str = ""
    number: str | int | float = ""
    output: str = ""
    visibility: Visibility | None = None


class _File(msgspec.Struct, frozen=True):
    score: Points | None = None
    execution_time: float | None = None
    output: str = ""
    visibility: Visibility = "visible"
    tests: tuple[_Test, ...] = ()


def parse(data: bytes) -> Report:
    """The tests and the points.

    Raises:
        ReportError: It is not in the format, or beyond a bound.
    """
    if len(data) > MAX_BYTES:
        raise ReportError(f"has more than {MAX_BYTES // 1024} KB")
    try:
        file = msgspec.json.decode(data, type=_File)
    except msgspec.ValidationError as error:
        raise ReportError(f"is not in Gradescope's format: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ReportError(f"is not JSON: {error}") from None
    except RecursionError:
        raise ReportError("is nested too deeply") from None
    if len(file.tests) > MAX_RESULTS:
        raise ReportError(f"has more than {MAX_RESULTS:,} tests")
    if file.score is None and not file.tests:
        raise ReportError("has neither `score` nor `tests`")
    results = tuple(_result(test, number, file.visibility) for number, test in enumerate(file.tests, 1))
    score = None if file.score is None else check_points(file.score, "`score`")
    if not results:
        feedback = _FEEDBACK[file.visibility]
        took = seconds_to_ms(file.execution_time or 0)
        # Whether it passes, the points decide.
        results = (
            TestResult("autograder", "passed", output=file.output[:MAX_TEXT], duration_ms=took, feedback=feedback),
        )
    return Report(results, score)


def _result(test: _Test, number: int, visibility: Visibility) -> TestResult:
    what = f"of test {number}"
    score = None if test.score is None else check_points(test.score, f"`score` {what}")
    best = None if test.max_score is None else check_points(test.max_score, f"`max_score` {what}")
    is_passed = test.status == "passed"
    if test.status is None:
        is_passed = score is None or best is None or score >= best
    return TestResult(
        name=test.name[:MAX_TEXT] or f"Test {test.number or number}"[:MAX_TEXT],
        status="passed" if is_passed else "failed",
        message="" if is_passed else test.output.strip().partition("\n")[0][:MAX_TEXT],
        output=test.output[:MAX_TEXT],
        score=score,
        max_score=best,
        feedback=_FEEDBACK[test.visibility or visibility],
    )
