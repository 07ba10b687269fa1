"""JUnit XML: the one format of results that every CI reads.

There is no standard of it. What is written is what Jenkins' schema allows (``junit-10.xsd`` of its xUnit
plug-in), which GitLab, Azure and the common libraries read as well: a suite for each submission, a case for each
test. A verdict that no test explains (the build failed), and the error where there is no verdict, become a case
of their own, so that no reader takes such a file for a success.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

from subcli.core.errors import SubcliError, UsageError
from subcli.output.printable import one_line, printable
from subcli.output.text.details import is_about, place
from subcli.output.text.diff import value_text
from subcli.output.text.words import summary_of
from subcli.output.view import Ending, NullView, SnapshotSource, ViewEvent
from subcli.shared.protocol import Complete, ErrorAnalysis, TestResult

_NO_CHARACTERS: Final = re.compile("[\ufffe\uffff]")
_MESSAGE_MAX: Final = 500
_PLACE_MAX: Final = 500


class _Suite:
    """What is known of one submission."""

    def __init__(self, source: SnapshotSource, began: str) -> None:
        self.source = source
        self.began = began
        self.results: dict[str, TestResult] = {}
        self.analyses: list[ErrorAnalysis] = []
        self.ending: Ending | None = None


class JunitView(NullView):
    """Remembers all results of the command.

    Args:
        began: the present time, as the messages write it.
    """

    def __init__(self, began: str) -> None:
        self._began = began
        self._suites: dict[int, _Suite] = {}
        self._fault: SubcliError | None = None

    def begin(self, source: SnapshotSource) -> None:
        """One more suite."""
        self._suites[source.submission_id] = _Suite(source, self._began)

    def event(self, submission_id: int, event: ViewEvent) -> None:
        """The last result of a test counts."""
        suite = self._suites[submission_id]
        if isinstance(event, TestResult):
            suite.results[event.key] = event
        elif isinstance(event, ErrorAnalysis):
            suite.analyses.append(event)

    def end(self, ending: Ending) -> None:
        """How the submission ended."""
        suite = self._suites.get(ending.submission_id or 0)
        if suite is not None:
            suite.ending = ending

    def fault(self, error: SubcliError) -> None:
        """The command ended with this, whatever came of the submissions."""
        self._fault = error

    def document(self) -> bytes:
        """The file."""
        root = ElementTree.Element("testsuites", name="subcli")
        for suite in self._suites.values():
            root.append(_suite(suite))
        if self._fault is not None:
            alone = ElementTree.SubElement(root, "testsuite", name="subcli", timestamp=self._began)
            _add_fault(alone, self._fault, "subcli")
            _count(alone)
        for name in ("tests", "failures", "errors"):
            root.set(name, str(sum(int(suite.get(name, "0")) for suite in root)))
        ElementTree.indent(root)
        return bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def _suite(suite: _Suite) -> ElementTree.Element:
    picture = suite.source.snapshot()
    name = picture.problem or f"submission {picture.id}"
    element = ElementTree.Element("testsuite", name=_attribute(name), id=str(picture.id), timestamp=suite.began)
    verdict = suite.ending.verdict if suite.ending is not None else None
    properties = ElementTree.SubElement(element, "properties")
    for key, value in (
        ("submission_id", str(picture.id)),
        ("language", picture.language),
        ("url", picture.url),
        ("final_status", verdict.final_status if verdict is not None else None),
    ):
        if value:
            ElementTree.SubElement(properties, "property", name=key, value=_attribute(value))
    told: set[int] = set()
    for result in suite.results.values():
        about = [analysis for analysis in suite.analyses if is_about(analysis, result)]
        told.update(map(id, about))
        _add_case(element, result, about, name)
    rest = [analysis for analysis in suite.analyses if id(analysis) not in told]
    if verdict is not None:
        _add_verdict(element, verdict, rest, name)
    elif suite.ending is not None and suite.ending.error is not None:
        _add_fault(element, suite.ending.error, name)
    _count(element)
    took = summary_of(verdict, picture.counts).duration_ms if verdict is not None else None
    if took is None:
        took = sum(result.duration_ms or 0 for result in suite.results.values())
    element.set("time", _seconds(took))
    return element


def _add_case(suite: ElementTree.Element, result: TestResult, analyses: list[ErrorAnalysis], classname: str) -> None:
    case = _case(suite, result.test_name or "(no name)", classname)
    if result.duration_ms is not None:
        case.set("time", _seconds(result.duration_ms))
    if result.status == "skipped":
        ElementTree.SubElement(case, "skipped")
    elif result.status != "passed":
        kind = "error" if result.status == "error" else "failure"
        _add_reason(case, kind, result.error_category or result.status, _why(result, analyses))
    if result.output and result.output.strip():
        ElementTree.SubElement(case, "system-out").text = _text(result.output)


def _add_verdict(suite: ElementTree.Element, verdict: Complete, analyses: list[ErrorAnalysis], classname: str) -> None:
    """A case for a verdict that no failed test explains."""
    if verdict.final_status == "passed" or (verdict.final_status == "failed" and _has_failed(suite)):
        return
    case = _case(suite, "build" if verdict.final_status == "build_failed" else "verdict", classname)
    texts = [f"The verdict is {verdict.final_status}.", *(part for event in analyses for part in _told(event))]
    _add_reason(case, "error" if verdict.final_status == "error" else "failure", verdict.final_status, texts)


def _add_fault(suite: ElementTree.Element, error: SubcliError, classname: str) -> None:
    """A case for an error: there is no verdict."""
    _add_reason(_case(suite, "verdict", classname), "error", error.kind, [error.message, error.hint])


def _case(suite: ElementTree.Element, name: str, classname: str) -> ElementTree.Element:
    return ElementTree.SubElement(suite, "testcase", name=_attribute(name), classname=_attribute(classname))


def _add_reason(case: ElementTree.Element, tag: str, kind: str, texts: list[str]) -> None:
    texts = [text for text in texts if text.strip()]
    reason = ElementTree.SubElement(case, tag, type=_attribute(kind))
    if texts:
        reason.set("message", one_line(_text(texts[0]), _MESSAGE_MAX))
    reason.text = _text("\n\n".join(texts))


def _why(result: TestResult, analyses: list[ErrorAnalysis]) -> list[str]:
    """Why a test failed: its message, what was expected and what came, the analyses."""
    values = {"expected": result.expected, "actual": result.actual}
    return [
        result.message or result.error_category or "",
        *(f"{name}: {value_text(value)}" for name, value in values.items() if name in result.raw),
        *(part for event in analyses for part in _told(event)),
    ]


def _told(event: ErrorAnalysis) -> list[str]:
    where = place(event.location, _PLACE_MAX)
    suggestions = "\n".join(f"- {suggestion}" for suggestion in event.suggestions)
    return list(dict.fromkeys([where, event.error, event.analysis, suggestions]))


def _has_failed(suite: ElementTree.Element) -> bool:
    return suite.find("testcase/failure") is not None or suite.find("testcase/error") is not None


def _count(suite: ElementTree.Element) -> None:
    for name, path in (
        ("tests", "testcase"),
        ("failures", "testcase/failure"),
        ("errors", "testcase/error"),
        ("skipped", "testcase/skipped"),
    ):
        suite.set(name, str(len(suite.findall(path))))


def _seconds(ms: float) -> str:
    """As the schema's pattern has it: no sign, no exponent."""
    return f"{min(max(ms, 0.0), 1e12) / 1000:.3f}" if ms == ms else "0"


def _text(text: str) -> str:
    """``text`` without the characters that XML cannot hold, not even escaped (XML 1.0 section 2.2)."""
    return _NO_CHARACTERS.sub(lambda match: f"\\u{ord(match.group()):04x}", printable(text))


def _attribute(text: str) -> str:
    return one_line(_text(text))


# -- the file -------------------------------------------------------------------------------------


def check_path(path: Path) -> None:
    """Before anything is handed in: whether the file can be written, whose directory is made where it is not there.

    Raises:
        UsageError: it cannot.
    """
    try:
        if path.is_dir():
            raise UsageError(f"{path} is a directory.", hint="Name a file: `--junit-xml results.xml`.")
        path.parent.mkdir(parents=True, exist_ok=True)
        writable = os.access(path if path.exists() and not path.is_file() else path.parent, os.W_OK)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{str(path)!r} cannot be written: {getattr(error, 'strerror', None) or error}.", hint="Name another file."
        ) from None
    if not writable:
        raise UsageError(f"{path} cannot be written.", hint="Name another file.")


def write(path: Path, document: bytes) -> None:
    """Write the file so that nobody ever reads half of it.

    Raises:
        OSError: it cannot be written.
    """
    if path.exists() and not path.is_file():
        # A pipe or /dev/stderr, which cannot be replaced.
        path.write_bytes(document)
        return
    path = path.resolve()
    half = path.with_name(f".{path.name}.{os.getpid()}")
    half.unlink(missing_ok=True)
    try:
        # "x": never through a link that somebody else put into a shared directory.
        with half.open("xb") as file:
            file.write(document)
        half.replace(path)
    finally:
        half.unlink(missing_ok=True)
