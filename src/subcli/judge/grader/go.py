"""Reads what `go test -json` prints. Format: https://pkg.go.dev/cmd/test2json"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

import msgspec

from subcli.judge.grader.model import MAX_RESULTS, MAX_TEXT, Report, ReportError, TestResult, seconds_to_ms

_Status: TypeAlias = Literal["passed", "failed", "skipped"]


class _Event(msgspec.Struct, frozen=True):
    action: str = msgspec.field(name="Action")
    package: str = msgspec.field(name="Package", default="")
    test: str = msgspec.field(name="Test", default="")
    elapsed: float = msgspec.field(name="Elapsed", default=0.0)
    output: str = msgspec.field(name="Output", default="")


@dataclass
class _Test:
    status: _Status | None = None
    seconds: float = 0.0
    output: list[str] = field(default_factory=list)


_ENDS: Final[dict[str, _Status]] = {"pass": "passed", "fail": "failed", "skip": "skipped"}
# What `go test -v` prints about the tests themselves.
_FRAME: Final = re.compile(r"\s*(?:=== |--- (?:PASS|FAIL|SKIP))")


def parse(text: str) -> Report:
    """The tests in what `go test -json` prints. Of a test with subtests, the subtests count.

    Raises:
        ReportError: There are none, as when a package does not compile.
    """
    tests: dict[tuple[str, str], _Test] = {}
    rest: list[str] = []
    for line in text.splitlines():
        try:
            event = msgspec.json.decode(line, type=_Event)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            # What the compiler says is not in the format.
            rest.append(line)
            continue
        if not event.test:
            rest += [event.output.rstrip("\n")] if event.output else []
            continue
        test = tests.setdefault((event.package, event.test), _Test())
        if event.action == "output":
            if not _FRAME.match(event.output):
                test.output.append(event.output)
        elif event.action in _ENDS:
            test.status, test.seconds = _ENDS[event.action], event.elapsed
    if not tests:
        complaint = "\n".join(filter(None, map(str.strip, rest)))
        raise ReportError(f"`go test` ran no test{complaint and f': {complaint[:MAX_TEXT]}'}")
    packages = {package for package, _ in tests}
    summaries = _summaries(tests)
    results = [
        _result(package if len(packages) > 1 else "", name, test)
        for (package, name), test in tests.items()
        if (package, name) not in summaries
    ]
    if len(results) > MAX_RESULTS:
        raise ReportError(f"stdout has more than {MAX_RESULTS:,} tests")
    return Report(tuple(results))


def _summaries(tests: dict[tuple[str, str], _Test]) -> set[tuple[str, str]]:
    """The tests that only sum up their subtests: those that did not fail on their own account.

    In this order each test follows those that it belongs to, so that each is looked at once.
    """
    parents: set[tuple[str, str]] = set()
    explained: set[tuple[str, str]] = set()
    around: list[tuple[str, str]] = []
    for test in sorted(tests, key=lambda key: (key[0], key[1].replace("/", "\0"))):
        while around and not (test[0] == around[-1][0] and test[1].startswith(f"{around[-1][1]}/")):
            around.pop()
        parents.update(around[-1:])
        if tests[test].status != "passed":
            for parent in reversed(around):
                if parent in explained:
                    break
                explained.add(parent)
        around.append(test)
    return {parent for parent in parents if tests[parent].status == "passed" or parent in explained}


def _result(package: str, name: str, test: _Test) -> TestResult:
    output = _dedented("".join(test.output))
    status = test.status or "failed"
    message = "" if status == "passed" else output.partition("\n")[0]
    if test.status is None:
        message = "it did not end"
    expected, actual = _got_and_want(output) if status == "failed" else ("", "")
    return TestResult(
        # Go writes spaces in the names of subtests as underscores.
        name=name[:MAX_TEXT],
        status=status,
        message=message[:MAX_TEXT],
        output=output[:MAX_TEXT],
        expected=expected[:MAX_TEXT],
        actual=actual[:MAX_TEXT],
        duration_ms=seconds_to_ms(test.seconds),
        group=package[:MAX_TEXT],
    )


_GOT: Final = re.compile(r"^[ \t]*(got|actual|want|wanted|expected) ?[:=] ?(.*)$", re.IGNORECASE | re.MULTILINE)


def _got_and_want(text: str) -> tuple[str, str]:
    """What a failure says on lines of their own: `want: …` and `got: …`."""
    found = {said.lower(): value.strip() for said, value in _GOT.findall(text)}
    expected = found.get("want") or found.get("wanted") or found.get("expected") or ""
    return expected, found.get("got") or found.get("actual") or ""


def _dedented(text: str) -> str:
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    indent = min((len(line) - len(line.lstrip()) for line in lines), default=0)
    return "\n".join(line[indent:] for line in lines)
