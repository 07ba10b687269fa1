"""JUnit XML: the one format of test results that every CI reads.

Readers identify a case by its class name and name, so each pair is unique in a report: the class name is the problem
and the test's type, and tests that still share a name get their id or a number behind it.

There is no standard. This module writes what Jenkins' schema allows (``junit-10.xsd`` of its xUnit plug-in), which
GitLab, Azure and the common libraries read as well: a suite per submission, a case per test. The one addition is the
properties of a case, in pytest's format: outcome, processor time, memory, group and points, if the server sends them.
Jenkins' ``junit`` step keeps them, GitLab and others ignore them; only the xUnit plug-in, which checks against its
schema, rejects them. The text of a failure repeats the important ones, because some readers show nothing else. A
verdict that no failed test explains (for example a failed build) and an error without a verdict become separate cases,
so that no reader takes the file for a success.
"""

from __future__ import annotations

import errno
import os
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

from subcli.core.errors import SubcliError, UsageError
from subcli.core.groups import points, points_of
from subcli.core.identity import is_about
from subcli.core.submission import Group, Points, Submission
from subcli.output.printable import one_line, printable
from subcli.output.text import details, measures
from subcli.output.text.details import place
from subcli.output.text.diff import value_text
from subcli.output.text.words import summary_of
from subcli.output.view import Ending, NullView, SnapshotSource, ViewEvent
from subcli.shared.files import check_writable, write_atomically
from subcli.shared.messages import Complete, ErrorAnalysis, TestResult
from subcli.shared.platform import HERE

_NOT_IN_XML: Final = re.compile("[\ufffe\uffff]")
_MESSAGE_CHARS: Final = 500
_PLACE_CELLS: Final = 500
_NUMBER_MAX: Final = 1e15
_READER_S: Final = 5.0
"""How long the reader of a pipe may take, to come and for each piece."""


class _Suite:
    """What is known of one submission."""

    def __init__(self, source: SnapshotSource) -> None:
        self.source = source
        self.results: dict[int, TestResult] = {}
        self.analyses: list[ErrorAnalysis] = []
        self.ending: Ending | None = None


class JunitView(NullView):
    """Collects all results of the command.

    Args:
        began: The current time, in the format of the messages.
    """

    def __init__(self, began: str) -> None:
        self._began = began
        self._suites: dict[int, _Suite] = {}
        self._fault: SubcliError | None = None

    def begin(self, source: SnapshotSource) -> None:
        """Add a suite."""
        self._suites[source.submission_id] = _Suite(source)

    def event(self, submission_id: int, event: ViewEvent) -> None:
        """Keep results and analyses; the last result of a test counts."""
        suite = self._suites[submission_id]
        if isinstance(event, TestResult):
            suite.results[event.number] = event
        elif isinstance(event, ErrorAnalysis):
            suite.analyses.append(event)

    def end(self, ending: Ending) -> None:
        """Note how a submission ended."""
        suite = self._suites.get(ending.submission_id or 0)
        if suite is not None:
            suite.ending = ending

    def fault(self, error: SubcliError) -> None:
        """Note the error with which the command ended, regardless of the submissions."""
        self._fault = error

    def document(self) -> bytes:
        """Return the content of the file."""
        root = ElementTree.Element("testsuites", name="subcli")
        snapshots = {id(suite): suite.source.snapshot() for suite in self._suites.values()}
        problems = Counter(_problem(snapshot) for snapshot in snapshots.values())
        for suite in self._suites.values():
            snapshot = snapshots[id(suite)]
            name = _problem(snapshot)
            if problems[name] > 1:
                name = f"{name} #{snapshot.id}"
            root.append(_suite_element(suite, snapshot, name, self._began))
        if self._fault is not None:
            alone = ElementTree.SubElement(root, "testsuite", name="subcli", timestamp=self._began)
            _add_fault(alone, self._fault, "subcli")
            _set_counts(alone)
            alone.set("time", _seconds(0))
        _make_unique(root.findall("testsuite/testcase"))
        for name in ("tests", "failures", "errors"):
            root.set(name, str(sum(int(suite.get(name, "0")) for suite in root)))
        ElementTree.indent(root)
        return bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def _problem(snapshot: Submission) -> str:
    return one_line(snapshot.problem or "").strip() or f"submission {snapshot.id}"


def _suite_element(suite: _Suite, snapshot: Submission, name: str, began: str) -> ElementTree.Element:
    element = ElementTree.Element("testsuite", name=_attribute(name), id=str(snapshot.id), timestamp=began)
    verdict = suite.ending.verdict if suite.ending is not None else None
    _add_properties(
        element,
        {
            "submission_id": str(snapshot.id),
            "language": snapshot.language,
            "url": snapshot.url,
            "final_status": verdict.final_status if verdict is not None else None,
            **(_points(points_of(verdict.summary)) if verdict is not None else {}),
            "pass_score": _number(verdict.summary.pass_score) if verdict is not None else None,
            **{name: value for group in snapshot.groups for name, value in _group(group).items()},
        },
    )
    attached: set[int] = set()
    same = Counter((result.test_type or "", result.test_name) for result in suite.results.values())
    for result in suite.results.values():
        analyses = [analysis for analysis in suite.analyses if is_about(analysis, result)]
        attached.update(map(id, analyses))
        shared = same[result.test_type or "", result.test_name] > 1
        _add_case(element, result, analyses, name, name_is_shared=shared)
    if verdict is not None:
        _add_verdict(element, verdict, [event for event in suite.analyses if id(event) not in attached], name)
    elif suite.ending is not None and suite.ending.error is not None:
        _add_fault(element, suite.ending.error, name)
    _set_counts(element)
    duration_ms = summary_of(verdict, snapshot.counts).duration_ms if verdict is not None else None
    if duration_ms is None:
        duration_ms = sum(result.duration_ms or 0 for result in suite.results.values())
    element.set("time", _seconds(duration_ms))
    return element


def _measured(result: TestResult) -> dict[str, str | None]:
    """What is known of one test beyond its status and its time."""
    return {
        "outcome": result.outcome,
        "cpu_ms": _number(result.cpu_ms),
        "memory_kb": _number(result.memory_kb),
        "group": result.group,
        **_points(points(result.score, result.max_score)),
    }


def _points(some: Points | None) -> dict[str, str | None]:
    return {} if some is None else {"score": _number(some.score), "max_score": _number(some.max_score)}


def _group(group: Group) -> dict[str, str | None]:
    """The outcome of a group, in properties of the suite that contain its name."""
    told = {"outcome": group.outcome, **_points(group.points)}
    return {f"{name}:{group.name}": value for name, value in told.items()}


def _number(value: float | None) -> str | None:
    """A number without an exponent; ``None`` if it is absurd."""
    return None if value is None or not abs(value) < _NUMBER_MAX else f"{value:.3f}".rstrip("0").rstrip(".")


def _add_properties(element: ElementTree.Element, values: Mapping[str, str | None]) -> None:
    """Add the properties that have a value. Without any there is no element: a test may have none."""
    given = {name: _attribute(value) for name, value in values.items() if value}
    if given:
        properties = ElementTree.SubElement(element, "properties")
        for name, value in given.items():
            ElementTree.SubElement(properties, "property", name=_attribute(name), value=value)


def _add_case(
    suite: ElementTree.Element,
    result: TestResult,
    analyses: list[ErrorAnalysis],
    classname: str,
    *,
    name_is_shared: bool,
) -> None:
    name = one_line(result.test_name).strip() or "(no name)"
    if name_is_shared and result.test_id is not None:
        # Unlike a number, the id does not depend on which of them ended first.
        name = f"{name} #{result.test_id}"
    case = _case(suite, name, f"{classname}.{result.test_type}" if result.test_type else classname)
    if result.duration_ms is not None:
        case.set("time", _seconds(result.duration_ms))
    _add_properties(case, _measured(result))
    if result.status == "skipped":
        ElementTree.SubElement(case, "skipped")
    elif result.status != "passed":
        tag = "error" if result.status == "error" else "failure"
        kind = result.error_category or result.outcome or result.status
        _add_reason(case, tag, kind, _failure_texts(result, analyses))
    if result.output and result.output.strip():
        ElementTree.SubElement(case, "system-out").text = _text(result.output)


def _add_verdict(suite: ElementTree.Element, verdict: Complete, analyses: list[ErrorAnalysis], classname: str) -> None:
    """Add a case for a verdict that no failed test explains."""
    if verdict.final_status == "passed" or (verdict.final_status == "failed" and _has_failed_test(suite)):
        return
    case = _case(suite, "build" if verdict.final_status == "build_failed" else "verdict", classname)
    texts = [
        f"The verdict is {verdict.final_status}.",
        *(text for event in analyses for text in _analysis_texts(event)),
    ]
    _add_reason(case, "error" if verdict.final_status == "error" else "failure", verdict.final_status, texts)


def _add_fault(suite: ElementTree.Element, error: SubcliError, classname: str) -> None:
    """Add a case for an error: there is no verdict."""
    _add_reason(_case(suite, "verdict", classname), "error", error.kind, [error.message, error.hint])


def _case(suite: ElementTree.Element, name: str, classname: str) -> ElementTree.Element:
    """Add a case. Some readers reject a report in which a time is missing, or miss its failures."""
    names = {"name": _attribute(name), "classname": _attribute(classname)}
    return ElementTree.SubElement(suite, "testcase", names, time=_seconds(0))


def _make_unique(cases: list[ElementTree.Element]) -> None:
    """Number the cases that still share class name and name with another."""
    taken = {(case.get("classname"), case.get("name")) for case in cases}
    seen: set[tuple[str | None, str | None]] = set()
    for case in cases:
        classname, name = case.get("classname"), case.get("name")
        count = 2
        while (classname, case.get("name")) in seen:
            candidate = f"{name} ({count})"
            count += 1
            if (classname, candidate) not in taken:
                case.set("name", candidate)
                taken.add((classname, candidate))
        seen.add((classname, case.get("name")))


def _add_reason(case: ElementTree.Element, tag: str, kind: str, texts: list[str]) -> None:
    texts = [text for text in texts if text.strip()]
    reason = ElementTree.SubElement(case, tag, type=_attribute(kind))
    if texts:
        reason.set("message", one_line(_text(texts[0]), _MESSAGE_CHARS))
    reason.text = _text("\n\n".join(texts))


def _failure_texts(result: TestResult, analyses: list[ErrorAnalysis]) -> list[str]:
    """Why a test failed: its message, expected and actual, the analyses, and what it used."""
    values = {"expected": result.expected, "actual": result.actual}
    is_measured = not (result.cpu_ms is result.memory_kb is result.score is None)
    marked = details.marked_text(result)
    plain = [f"{name}: {value_text(value)}" for name, value in values.items() if name in result.raw]
    texts = [
        result.message or result.error_category or (result.outcome or "").replace("_", " "),
        *([marked] if marked else plain),
        details.at_home_text(result),
        *(text for event in analyses for text in _analysis_texts(event)),
        ", ".join(measures.facts(result)) if is_measured else "",
    ]
    # An analysis often repeats the message.
    return list(dict.fromkeys(texts))


def _analysis_texts(event: ErrorAnalysis) -> list[str]:
    suggestions = "\n".join(f"- {suggestion}" for suggestion in event.suggestions)
    return list(dict.fromkeys([place(event.location, _PLACE_CELLS), event.error, event.analysis, suggestions]))


def _has_failed_test(suite: ElementTree.Element) -> bool:
    return suite.find("testcase/failure") is not None or suite.find("testcase/error") is not None


def _set_counts(suite: ElementTree.Element) -> None:
    for name, path in (
        ("tests", "testcase"),
        ("failures", "testcase/failure"),
        ("errors", "testcase/error"),
        ("skipped", "testcase/skipped"),
    ):
        suite.set(name, str(len(suite.findall(path))))


def _seconds(ms: float) -> str:
    """Format a time as Jenkins' schema requires: no sign, no exponent."""
    return f"{min(max(ms, 0.0), 1e12) / 1000:.3f}" if ms == ms else "0"


def _text(text: str) -> str:
    """Return ``text`` without the characters that XML cannot contain, not even escaped (XML 1.0, section 2.2)."""
    return _NOT_IN_XML.sub(lambda match: f"\\u{ord(match.group()):04x}", printable(text))


def _attribute(text: str) -> str:
    return one_line(_text(text))


# -- the file -------------------------------------------------------------------------------------


def check_path(path: Path) -> None:
    """Check before anything is submitted that the file can be written, and create its directory.

    Raises:
        UsageError: It cannot be written.
    """
    try:
        if path.is_dir():
            raise UsageError(f"{path} is a directory.", hint="Name a file: `--junit-xml results.xml`.")
        path.parent.mkdir(parents=True, exist_ok=True)
        if not _is_special(path):
            check_writable(path)
        elif not os.access(path, os.W_OK):
            # Opening a pipe would wait for its reader.
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except ValueError:
        raise UsageError(f"{str(path)!r} is not a valid file name.", hint="Name another file.") from None
    except OSError as error:
        raise UsageError(
            f"{str(path)!r} cannot be written: {error.strerror or error}.", hint="Name another file."
        ) from None


def _is_special(path: Path) -> bool:
    """A pipe or /dev/stderr, which cannot be replaced."""
    return path.exists() and not path.is_file()


def write(path: Path, document: bytes) -> None:
    """Write the report. A regular file is replaced as a whole if possible, so that no reader sees half of it.

    Raises:
        OSError: It cannot be written, or nobody has read a pipe for some seconds.
    """
    if _is_special(path):
        HERE.descriptors.write_through(path, document, _READER_S)
        return
    write_atomically(path, document)
