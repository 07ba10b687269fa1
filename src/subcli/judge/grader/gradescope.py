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
from subcli.judge.grader.printed import plain

Visibility: TypeAlias = Literal["visible", "hidden", "after_due_date", "after_published"]
Points: TypeAlias = Annotated[float, Meta(description="a number")]
Text: TypeAlias = str | float | bool | None
"""What is a text, or is shown as one."""

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
    name: Text = None
    number: Text = None
    output: Text = None
    visibility: Visibility | None = None


class _File(msgspec.Struct, frozen=True):
    score: Points | None = None
    execution_time: float | None = None
    output: Text = None
    visibility: Visibility | None = None
    tests: tuple[_Test, ...] | None = None


def parse(data: bytes) -> Report:
    """The tests and the points.

    Raises:
        ReportError: It is not in the format, or beyond a bound.
    """
    if len(data) > MAX_BYTES:
        raise ReportError(f"has more than {MAX_BYTES // 1024} KB")
    try:
        # Not strict: graders write numbers as texts, too.
        file = msgspec.json.decode(data, type=_File, strict=False)
    except msgspec.ValidationError as error:
        raise ReportError(f"is not in Gradescope's format: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ReportError(f"is not JSON: {error}") from None
    except RecursionError:
        raise ReportError("is nested too deeply") from None
    tests = file.tests or ()
    if len(tests) > MAX_RESULTS:
        raise ReportError(f"has more than {MAX_RESULTS:,} tests")
    if file.score is None and not tests:
        raise ReportError("has neither `score` nor `tests`")
    visibility = file.visibility or "visible"
    results = tuple(_result(test, number, visibility) for number, test in enumerate(tests, 1))
    score = None if file.score is None else check_points(file.score, "`score`")
    output = _text(file.output)
    if not results:
        took = seconds_to_ms(file.execution_time or 0)
        # Whether it passes, the points decide.
        only = TestResult("autograder", "passed", output=output, duration_ms=took, feedback=_FEEDBACK[visibility])
        return Report((only,), score)
    return Report(results, score, remark=output if visibility == "visible" else "")


def _result(test: _Test, number: int, visibility: Visibility) -> TestResult:
    what = f"of test {number}"
    score = None if test.score is None else check_points(test.score, f"`score` {what}")
    best = None if test.max_score is None else check_points(test.max_score, f"`max_score` {what}")
    is_passed = test.status == "passed"
    if test.status is None:
        is_passed = score is None or best is None or score >= best
    output = _text(test.output)
    return TestResult(
        name=_text(test.name) or f"Test {_text(test.number) or number}",
        status="passed" if is_passed else "failed",
        message="" if is_passed else output.strip().partition("\n")[0],
        output=output,
        score=score,
        max_score=best,
        feedback=_FEEDBACK[test.visibility or visibility],
    )


def _text(value: Text) -> str:
    return plain("" if value is None else value if isinstance(value, str) else f"{value:g}")[:MAX_TEXT]
