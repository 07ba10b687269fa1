"""Reads what test programs print: Rust's test harness, and Unity for C."""

from __future__ import annotations

import re
from typing import Final, Literal, TypeAlias

from subcli.judge.grader.model import MAX_RESULTS, MAX_TEXT, Report, ReportError, TestResult

_Status: TypeAlias = Literal["passed", "failed", "skipped"]
_ESCAPES: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def plain(text: str) -> str:
    """A text without the escape sequences that colour it."""
    return _ESCAPES.sub("", text) if "\x1b" in text else text


def _bounded(results: list[TestResult]) -> Report:
    if len(results) > MAX_RESULTS:
        raise ReportError(f"stdout has more than {MAX_RESULTS:,} tests")
    return Report(tuple(results))


_RUST_COUNT: Final = re.compile(r"^running (\d{1,9}) tests?$")
_RUST_TEST: Final = re.compile(
    r"^test (?P<name>.+?)(?: - should panic)? \.\.\. (?P<said>ok|FAILED|ignored)\b(?:, (?P<why>.*))?"
)
_RUST_SECTION: Final = re.compile(r"^---- (?P<name>.+?)(?: - should panic)? stdout ----$")
_RUST_END: Final = re.compile(r"^(?:failures:|test result: .*)$")
_RUST_ENDS: Final[dict[str, _Status]] = {"ok": "passed", "FAILED": "failed", "ignored": "skipped"}
_RUST_SIDES: Final = re.compile(r"^[ \t]*(left|right): (.*)$", re.MULTILINE)


def parse_rust(text: str) -> Report:
    """The tests in what `cargo test`, or a program that `rustc --test` has built, prints.

    Raises:
        ReportError: There are none, or it stops before all have ended.
    """
    announced = 0
    tests: dict[str, tuple[_Status, str]] = {}
    said: dict[str, list[str]] = {}
    section: list[str] | None = None
    for line in plain(text).splitlines():
        if found := _RUST_COUNT.match(line):
            announced += int(found[1])
        elif found := _RUST_SECTION.match(line):
            section = said.setdefault(found["name"], [])
        elif _RUST_END.match(line):
            section = None
        elif section is not None:
            section.append(line)
        elif found := _RUST_TEST.match(line):
            tests[found["name"]] = _RUST_ENDS[found["said"]], found["why"] or ""
    if not tests:
        raise ReportError("stdout has no results of Rust's tests")
    if announced != len(tests):
        raise ReportError(f"stdout has the results of {len(tests)} of {announced} tests")
    results = []
    for name, (status, why) in tests.items():
        output = "\n".join(said.get(name, ())).strip()
        sides = dict(_RUST_SIDES.findall(output)) if status == "failed" else {}
        results.append(
            TestResult(
                name=name[:MAX_TEXT],
                status=status,
                message=(_rust_message(output) if status == "failed" else why)[:MAX_TEXT],
                output=output[:MAX_TEXT],
                # In `assert_eq!(actual, expected)` the order is a convention only, so the sides keep their names.
                expected=sides.get("right", "")[:MAX_TEXT],
                actual=sides.get("left", "")[:MAX_TEXT],
            )
        )
    return _bounded(results)


def _rust_message(output: str) -> str:
    """What a panic says: the line after `thread … panicked at …:`, or what stands in it."""
    lines = output.splitlines()
    for number, line in enumerate(lines):
        if "panicked at" in line:
            after = line.partition("panicked at")[2].strip()
            return lines[number + 1] if after.endswith(":") and number + 1 < len(lines) else after
    return lines[0] if lines else ""


_UNITY_TEST: Final = re.compile(r"^(?P<place>.*?:\d+):(?P<name>[^:]+):(?P<said>PASS|FAIL|IGNORE)(?::\s*(?P<why>.*))?$")
_UNITY_TOTALS: Final = re.compile(r"^(\d{1,9}) Tests \d+ Failures \d+ Ignored")
_UNITY_EXPECTED: Final = re.compile(r"\b[Ee]xpected:? (?=.)")
_UNITY_WAS: Final = re.compile(r" [Ww]as:? (?=.)")
_UNITY_ENDS: Final[dict[str, _Status]] = {"PASS": "passed", "FAIL": "failed", "IGNORE": "skipped"}


def parse_unity(text: str) -> Report:
    """The tests in what Unity (https://www.throwtheswitch.org/unity) prints.

    Raises:
        ReportError: There are none, or it stops before all have ended.
    """
    results: list[TestResult] = []
    totals: list[int] = []
    printed: list[str] = []
    for line in plain(text).splitlines():
        if found := _UNITY_TOTALS.match(line):
            totals.append(int(found[1]))
        elif found := _UNITY_TEST.match(line):
            status, why = _UNITY_ENDS[found["said"]], found["why"] or ""
            expected, actual = _unity_sides(why) if status == "failed" else ("", "")
            results.append(
                TestResult(
                    name=found["name"][:MAX_TEXT],
                    status=status,
                    message=why[:MAX_TEXT],
                    output="\n".join((*printed, f"{found['place']}: {why}" if status == "failed" else ""))[:MAX_TEXT],
                    expected=expected[:MAX_TEXT],
                    actual=actual[:MAX_TEXT],
                )
            )
            printed = []
        else:
            printed.append(line)
    if not results:
        raise ReportError("stdout has no results of Unity")
    if sum(totals) != len(results):
        raise ReportError(f"stdout has {len(results)} results of Unity, and says that there are {sum(totals)}")
    return _bounded(results)


def _unity_sides(why: str) -> tuple[str, str]:
    """Both sides of `Expected 1 Was 2`. Two searches, since one pattern for it takes time square in a long line."""
    begin = _UNITY_EXPECTED.search(why)
    middle = begin and _UNITY_WAS.search(why, begin.end() + 1)
    return (why[begin.end() : middle.start()], why[middle.end() :]) if begin and middle else ("", "")
