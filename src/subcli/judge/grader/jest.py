"""Reads what `jest --json` and Vitest's JSON reporter write.

Format: https://jestjs.io/docs/cli#--json
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from subcli.judge.grader.model import MAX_BYTES, MAX_RESULTS, MAX_TEXT, Report, ReportError, TestResult
from subcli.judge.grader.printed import plain

_ENDS: Final[dict[str, Literal["passed", "failed", "skipped"]]] = {"passed": "passed", "failed": "failed"}
_FRAME: Final = ("at ",)


class _Assertion(msgspec.Struct, frozen=True):
    title: str
    status: str
    ancestorTitles: tuple[str, ...] = ()
    duration: float | None = None
    failureMessages: tuple[str, ...] | None = None


class _Suite(msgspec.Struct, frozen=True):
    name: str = ""
    status: str = ""
    message: str = ""
    assertionResults: tuple[_Assertion, ...] = ()


class _File(msgspec.Struct, frozen=True):
    testResults: tuple[_Suite, ...]


def is_jest(data: bytes) -> bool:
    """Whether a file is of this format, as far as its keys tell."""
    try:
        keys = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return False
    return "testResults" in keys


def parse(data: bytes) -> Report:
    """The tests of all files. A file that cannot be loaded is a failed test of its name.

    Raises:
        ReportError: It is not in the format, or beyond a bound.
    """
    if len(data) > MAX_BYTES:
        raise ReportError(f"has more than {MAX_BYTES // 1024} KB")
    try:
        file = msgspec.json.decode(data, type=_File)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise ReportError(f"is not in Jest's format: {error}") from None
    results: list[TestResult] = []
    for suite in file.testResults:
        if not suite.assertionResults and suite.status == "failed":
            results.append(_failed(suite.name.rpartition("/")[2] or "the tests", (suite.message,)))
        results += [_of(each) for each in suite.assertionResults]
    if len(results) > MAX_RESULTS:
        raise ReportError(f"has more than {MAX_RESULTS:,} tests")
    return Report(tuple(results))


def _of(test: _Assertion) -> TestResult:
    name = " › ".join((*test.ancestorTitles, test.title))
    if test.status == "failed":
        return _failed(name, test.failureMessages or ())
    took = round(test.duration) if test.duration is not None and 0 <= test.duration < 86_400_000 else 0
    return TestResult(name[:MAX_TEXT], _ENDS.get(test.status, "skipped"), duration_ms=took)


def _failed(name: str, messages: tuple[str, ...]) -> TestResult:
    lines = [line.rstrip() for line in plain("\n".join(messages)).splitlines()]
    said = [line for line in lines if line.strip() and not line.strip().startswith(_FRAME)]
    sides = {
        side: value.strip()
        for side, colon, value in (line.partition(":") for line in said)
        if colon and side in ("Expected", "Received")
    }
    return TestResult(
        name=name[:MAX_TEXT],
        status="failed",
        message=(said[0] if said else "it failed")[:MAX_TEXT],
        output="\n".join(said)[:MAX_TEXT],
        expected=sides.get("Expected", "")[:MAX_TEXT],
        actual=sides.get("Received", "")[:MAX_TEXT],
    )
