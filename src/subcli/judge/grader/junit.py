"""Reads JUnit XML: `<testsuites>`, `<testsuite>`, `<testcase>` with `<failure>`, `<error>` and `<skipped>`.

Parsed with expat as the document streams by, so that no tree is built: depth and size are bounded, and any document
type, without which there are no entities, is refused. (defusedxml refuses entities too, but bounds no depth.)
"""

from __future__ import annotations

import re
from typing import Final, NoReturn
from xml.parsers import expat

from subcli.judge.grader.model import MAX_BYTES, MAX_RESULTS, MAX_TEXT, ReportError, TestResult, seconds_to_ms
from subcli.judge.grader.printed import plain

_DEPTH: Final = 32
_BAD: Final = ("failure", "error")
_OUTPUTS: Final = ("system-out", "system-err")
_CHUNK: Final = 64 * 1024
_NOT_LOADED: Final = "collection failure"
"""What pytest says of a file that it cannot import; why, stands in the last line of the details that begins with E."""
_RAISED: Final = re.compile(r"^E +(\S.*)$", re.MULTILINE)


def parse(data: bytes) -> list[TestResult]:
    """The tests of one document.

    Raises:
        ReportError: It is not JUnit XML, or beyond a bound.
    """
    if len(data) > MAX_BYTES:
        raise ReportError(f"has more than {MAX_BYTES // 1024} KB")
    return _Reader().read(data)


class _Reader:
    """Reads one document."""

    def __init__(self) -> None:
        self._open: list[str] = []
        self._results: list[TestResult] = []
        self._case: dict[str, str] | None = None
        self._status = ""
        self._message = ""
        self._texts: dict[str, str] = {}
        parser = self._parser = expat.ParserCreate()
        parser.StartDoctypeDeclHandler = self._refuse
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.buffer_text = True

    def read(self, data: bytes) -> list[TestResult]:
        try:
            # In parts: a handler that raises stops the document there.
            for at in range(0, len(data), _CHUNK):
                self._parser.Parse(data[at : at + _CHUNK], False)
            self._parser.Parse(b"", True)
        except expat.ExpatError as error:
            raise ReportError(f"is not XML: {expat.ErrorString(error.code)} in line {error.lineno}") from None
        except (LookupError, ValueError) as error:
            if isinstance(error, ReportError):
                raise
            raise ReportError("is in an encoding that cannot be read") from None
        return self._results

    def _refuse(self, *_: object) -> NoReturn:
        raise ReportError("has a document type, which JUnit XML has no need of")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if not self._open and name not in ("testsuites", "testsuite"):
            raise ReportError(f"begins with <{name[:40]}>, not with <testsuites> or <testsuite>")
        self._open.append(name)
        if len(self._open) > _DEPTH:
            raise ReportError(f"is nested more than {_DEPTH} deep")
        if name == "testcase":
            if self._case is not None:
                raise ReportError("has a <testcase> inside another")
            if len(self._results) >= MAX_RESULTS:
                raise ReportError(f"has more than {MAX_RESULTS:,} tests")
            self._case, self._status, self._message, self._texts = attributes, "passed", "", {}
        elif self._case is not None and self._open[-2] == "testcase":
            if name in _BAD:
                self._status = "failed"
                self._message = self._message or attributes.get("message", "")[:MAX_TEXT]
            elif name == "skipped" and self._status == "passed":
                self._status = "skipped"
                self._message = attributes.get("message", "")[:MAX_TEXT]

    def _text(self, text: str) -> None:
        if self._case is not None:
            kept = self._texts.get(self._open[-1], "")
            self._texts[self._open[-1]] = (kept + text[: MAX_TEXT - len(kept)]) if len(kept) < MAX_TEXT else kept

    def _end(self, name: str) -> None:
        self._open.pop()
        if name != "testcase" or self._case is None:
            return
        case, self._case = self._case, None
        details = plain("\n".join(filter(None, (self._texts.get(kind, "").strip() for kind in (*_BAD, *_OUTPUTS)))))
        self._results.append(
            TestResult(
                name=case.get("name", "")[:MAX_TEXT] or f"Test {len(self._results) + 1}",
                status="failed" if self._status == "failed" else "skipped" if self._status == "skipped" else "passed",
                message=self._said(details),
                output=details[:MAX_TEXT],
                duration_ms=_duration_ms(case.get("time", "")),
                group=case.get("classname", "")[:MAX_TEXT],
            )
        )

    def _said(self, details: str) -> str:
        if self._message == _NOT_LOADED and (raised := _RAISED.findall(details)):
            return str(raised[-1])
        return plain(self._message) or (details.partition("\n")[0] if self._status == "failed" else "")


def _duration_ms(text: str) -> int:
    """The time of a test. It decides nothing, so one that cannot be read is left out."""
    try:
        return seconds_to_ms(float(text.replace(",", "")))
    except ValueError:
        return 0
