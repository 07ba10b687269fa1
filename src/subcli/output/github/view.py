"""A job of GitHub Actions: the log in a group, annotations of what failed, a table in the job's summary.

Commands and files are those of "Workflow commands for GitHub Actions". Everything that a server says goes through
:mod:`subcli.output.workflow_commands` or through the escaping here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TextIO

from subcli.core.errors import SubcliError
from subcli.core.submission import Submission
from subcli.output.live.summary import ending_mark, outcome
from subcli.output.plain import PlainView
from subcli.output.printable import one_line, printable
from subcli.output.text import details, words
from subcli.output.text.diff import value_text
from subcli.output.text.theme import test_mark
from subcli.output.view import Ending, SnapshotSource, ViewEvent
from subcli.output.workflow_commands import Defused
from subcli.shared.protocol import ErrorAnalysis, TestResult

ANNOTATIONS: Final = 10
"""More of one kind a step does not show."""

SUMMARY_MAX: Final = 256 * 1024
"""Bytes that are appended; a step's summary is at most 1 MiB, ours or not."""

_ROWS: Final = 200
_EXPLAINED: Final = 50
_CELL: Final = 300
_MESSAGE: Final = 1500
_EXPLANATION: Final = 4000
_PLACE: Final = 500
_SUMMARY_LIMIT: Final = 1024 * 1024

Locate = Callable[[str], str | None]
"""The path in the repository of a file of the submission; ``None``: there is none."""


class GithubView:
    """The plain view in a group; annotations and the summary at the end.

    Args:
        plain: writes the log.
        stdout: where it writes to; commands go there as well.
        summary: the file of the job's summary, if there is one.
        locate: finds the files that annotations point to.
        stderr: where it is said when the summary cannot be written.
    """

    def __init__(
        self,
        plain: PlainView,
        stdout: TextIO,
        summary: Path | None,
        locate: Locate,
        stderr: TextIO,
    ) -> None:
        self._plain = plain
        self._stdout = stdout
        self._summary = summary
        self._locate = locate
        self._stderr = stderr
        self._sources: dict[int, SnapshotSource] = {}
        self._submitted: list[int] = []
        self._endings: dict[int, Ending] = {}
        self._is_open = False
        self._was_open = False
        self.tick_s = plain.tick_s

    def submitted(self, submission_id: int, answer: dict[str, Any]) -> None:
        """The first line of the group."""
        self._submitted = [submission_id]
        self._open()
        self._plain.submitted(submission_id, answer)

    def begin(self, source: SnapshotSource) -> None:
        """One more submission."""
        self._sources[source.submission_id] = source
        self._plain.begin(source)

    def event(self, submission_id: int, event: ViewEvent) -> None:
        """A line of the group."""
        self._open()
        self._plain.event(submission_id, event)

    def end(self, ending: Ending) -> None:
        """The last verdict stands below the group, where it is seen at once."""
        if ending.submission_id is not None:
            self._endings[ending.submission_id] = ending
        if len(self._endings) >= len(self._sources):
            self._close_group()
        self._plain.end(ending)

    def tick(self) -> None:
        """A sign of life."""
        self._plain.tick()

    def flush(self) -> None:
        """Hand what was written to the reader."""
        self._plain.flush()

    def suspend(self) -> None:
        """Nothing."""

    def resume(self) -> None:
        """Nothing."""

    def close(self) -> None:
        """Annotate what failed, and append to the job's summary."""
        self._close_group()
        self._plain.close()
        told = [
            (self._sources[number].snapshot(), ending)
            for number, ending in sorted(self._endings.items())
            if number in self._sources
        ]
        for line in errors_of(told, self._locate):
            self._obey(line)
        self._stdout.flush()
        if self._summary is not None:
            try:
                append(self._summary, summary(told))
            except OSError as error:
                self._stderr.write(f"warning: the job's summary cannot be written: {error.strerror or error}\n")

    def _open(self) -> None:
        if self._is_open or self._was_open:
            return
        self._is_open = self._was_open = True
        ids = " ".join(f"#{number}" for number in list(self._sources) or self._submitted)
        self._obey(command("group", f"subcli {ids}"))

    def _close_group(self) -> None:
        if self._is_open:
            self._plain.flush()
            self._obey(command("endgroup", ""))
        self._is_open = False

    def _obey(self, line: str) -> None:
        if isinstance(self._stdout, Defused):
            self._stdout.write_command(line)
        else:
            self._stdout.write(f"{line}\n")


# -- annotations ----------------------------------------------------------------------------------


def command(name: str, data: str, **properties: str | int | None) -> str:
    """A workflow command on one line; nothing in data or properties can end it and begin another."""
    given = ",".join(f"{key}={_property(str(value))}" for key, value in properties.items() if value is not None)
    return f"::{name}{' ' if given else ''}{given}::{_data(data)}"


def _data(text: str) -> str:
    return printable(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def errors_of(told: Sequence[tuple[Submission, Ending]], locate: Locate) -> list[str]:
    """An ``::error`` for each failed test, at the place that its analysis names, and for each missing verdict."""
    lines: list[str] = []
    for picture, ending in told:
        if ending.error is not None:
            lines.append(_without_verdict(picture, ending.error))
        for result in picture.failures:
            analyses = [event for event in picture.analyses if details.is_about(event, result)]
            text = _why(result, analyses)
            lines.append(_error(result.test_name or "failed test", text, analyses, locate))
        if ending.verdict is not None and ending.exit_code and not picture.failures:
            text = "\n".join([f"{_name(picture)}: {ending.verdict.final_status}", *map(_explained, picture.analyses)])
            lines.append(_error(ending_mark(ending).word, text, picture.analyses, locate))
    return lines[:ANNOTATIONS]


def _without_verdict(picture: Submission, error: SubcliError) -> str:
    return command("error", f"{error.message}\n{error.hint}".strip(), title=f"no verdict of {_name(picture)}")


def _error(title: str, text: str, analyses: Sequence[ErrorAnalysis], locate: Locate) -> str:
    place = next((event.location for event in analyses if event.location is not None), None)
    file = locate(place.file) if place is not None else None
    line = place.line if place is not None and file is not None else None
    return command("error", _cut(text, _MESSAGE), file=file, line=line, title=one_line(title, _CELL))


def _why(result: TestResult, analyses: Sequence[ErrorAnalysis]) -> str:
    """Why a test failed, in a few lines."""
    values = {"expected": result.expected, "actual": result.actual}
    lines = [details.reason(result)]
    lines += [f"{name}: {one_line(value_text(value), _CELL)}" for name, value in values.items() if name in result.raw]
    lines += [text for event in analyses for text in _said(event)]
    return _joined(lines) or result.status


def _explained(event: ErrorAnalysis) -> str:
    return _joined(_said(event))


def _said(event: ErrorAnalysis) -> list[str]:
    return [event.error, event.analysis, *(f"- {text}" for text in event.suggestions)]


def _joined(texts: Sequence[str]) -> str:
    """One below the other, each once: an analysis often begins with the reason of the result."""
    return "\n".join(text for text in dict.fromkeys(texts) if text.strip())


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _name(picture: Submission) -> str:
    return f"{picture.problem} #{picture.id}" if picture.problem else f"submission #{picture.id}"


# -- summary --------------------------------------------------------------------------------------

_MARKUP: Final = re.compile(r"[\\`*_\[\]<>|~&#@!{}()$]|:(?=//)|(?i:(?<=www))\.")
"""What is markup, and where GitHub makes a link of an address without any (GFM, "Autolinks (extension)")."""


def escaped(text: str, limit: int = _CELL) -> str:
    """Foreign text as one line of Markdown that says what the text says and nothing else."""
    return _MARKUP.sub(lambda match: f"\\{match.group()}", one_line(text, limit))


def _preformatted(text: str) -> str:
    """Foreign text of several lines, as HTML: in Markdown a fence could be closed from within."""
    return f"<pre>{_html(printable(text))}</pre>"


def _html(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def summary(told: Sequence[tuple[Submission, Ending]]) -> str:
    """The table as Markdown, at most ``SUMMARY_MAX`` bytes of it."""
    parts = [part for picture, ending in told for part in _section(picture, ending)]
    kept: list[str] = []
    size = 0
    for index, part in enumerate(parts):
        size += len(part.encode("utf-8", "replace")) + 1
        if size > SUMMARY_MAX:
            kept.append(f"\n… {len(parts) - index} more lines are left out here.\n")
            break
        kept.append(part)
    return "\n".join(kept) + "\n"


def _section(picture: Submission, ending: Ending) -> list[str]:
    mark = ending_mark(ending)
    told = outcome(ending.verdict, picture) if ending.verdict is not None else ""
    name = " · ".join(escaped(word) for word in (picture.problem, picture.language) if word)
    parts = [f"### {mark.glyph} {name or 'submission'} #{picture.id}: {escaped(mark.word)}", ""]
    parts += [told, ""] if told else []
    if ending.error is not None:
        parts += [escaped(f"{ending.error.message} {ending.error.hint}", _EXPLANATION), ""]
    results = _listed(picture)
    if results:
        parts += ["| | test | time | why |", "|---|---|--:|---|"]
        parts += [_row(result) for result in results]
        parts.append("")
    if picture.counts.done > len(results):
        parts += [f"… {words.number(picture.counts.done - len(results))} more tests", ""]
    for event in picture.analyses[:_EXPLAINED]:
        title = event.test_name or event.category or "analysis"
        where = details.place(event.location, _PLACE)
        heading = _html(one_line(f"{title}, {where}" if where else title, _CELL))
        text = _preformatted(_cut(_explained(event), _EXPLANATION))
        parts.append(f"<details><summary>{heading}</summary>\n\n{text}\n\n</details>\n")
    return parts


def _listed(picture: Submission) -> list[TestResult]:
    """All tests in their order, where a picture has them all; else what failed, then the latest."""
    if picture.counts.done <= min(_ROWS, len(picture.recent)):
        return list(picture.recent)
    failed = {result.key for result in picture.failures}
    return [*picture.failures, *(result for result in picture.recent if result.key not in failed)][:_ROWS]


def _row(result: TestResult) -> str:
    mark = test_mark(result.status)
    why = escaped(details.reason(result))
    return f"| {mark.glyph} {mark.word} | {escaped(result.test_name)} | {words.duration(result.duration_ms)} | {why} |"


def append(path: Path, text: str) -> None:
    """Append to the job's summary, unless it is full.

    Raises:
        OSError: it cannot be written.
    """
    data = text.encode("utf-8", "replace")
    with path.open("ab") as file:
        if file.tell() + len(data) <= _SUMMARY_LIMIT:
            file.write(data)


def locator(origin: Callable[[str], str | None], cwd: Path, env: Mapping[str, str]) -> Locate:
    """Where in the repository the files of a submission are.

    Args:
        origin: the path, as the user named it, of a file of the submission.
        cwd: what that is relative to.
        env: the environment; ``GITHUB_WORKSPACE`` is where the repository is.
    """
    root = Path(env.get("GITHUB_WORKSPACE") or cwd)

    def locate(name: str) -> str | None:
        path = origin(name)
        if path is None or "\0" in path:
            return None
        whole = (cwd / path).resolve()
        return whole.relative_to(root.resolve()).as_posix() if whole.is_relative_to(root.resolve()) else path

    return locate
