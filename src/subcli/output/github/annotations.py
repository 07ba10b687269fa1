"""Workflow commands of GitHub Actions: an annotation for each failed test and each missing verdict.

Everything a server says is escaped as "Workflow commands for GitHub Actions" requires.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias

from subcli.core.errors import SubcliError
from subcli.core.identity import is_about
from subcli.core.submission import Submission
from subcli.output.live.summary import ending_mark
from subcli.output.printable import cut, one_line, printable
from subcli.output.text import details, measures
from subcli.output.text.causes import Causes
from subcli.output.text.diff import value_text
from subcli.output.view import Ending
from subcli.shared.messages import ErrorAnalysis, TestResult

ANNOTATIONS_MAX: Final = 10
"""GitHub shows no more annotations of one kind per step."""

_TITLE_CHARS: Final = 300
_VALUE_CHARS: Final = 300
_MESSAGE_CHARS: Final = 1500

Locate: TypeAlias = Callable[[str], str | None]
"""Maps a file of the submission to its path in the repository; ``None`` if it is not in there."""


def command(name: str, message: str, **properties: str | int | None) -> str:
    """Return a workflow command on one line; neither message nor properties can end it and start another."""
    given = ",".join(f"{key}={_escape_property(str(value))}" for key, value in properties.items() if value is not None)
    return f"::{name}{' ' if given else ''}{given}::{_escape_message(message)}"


def error_annotations(submissions: Sequence[tuple[Submission, Ending]], locate: Locate) -> list[str]:
    """Return an ``::error`` for each failed test, at the place its analysis names, and for each missing verdict."""
    lines: list[str] = []
    for snapshot, ending in submissions:
        if ending.error is not None:
            lines.append(_missing_verdict(snapshot, ending.error))
        causes = Causes(snapshot.analyses, snapshot.failures)
        for result in snapshot.failures:
            analyses = [event for event in snapshot.analyses if is_about(event, result)]
            shared = [causes.of(event) for event in analyses]
            if shared and all(cause.first not in analyses for cause in shared):
                continue  # The annotation of the first test names this one.
            title, text = result.test_name or "failed test", _explain(result, analyses)
            title += f": {label}" if (label := measures.label(result)) else ""
            for cause in shared:
                if cause.first in analyses and cause.others:
                    title += f" and {len(cause.tests) - 1} more"
                    text += f"\nThe same cause: {cause.others}"
            lines.append(_error(title, text, analyses, locate))
        if ending.verdict is not None and ending.exit_code and not snapshot.failures:
            texts = [f"{_name(snapshot)}: {ending.verdict.final_status}"]
            texts += [details.joined(details.analysis_texts(event)) for event in snapshot.analyses]
            lines.append(_error(ending_mark(ending).word, "\n".join(texts), snapshot.analyses, locate))
    return lines[:ANNOTATIONS_MAX]


def locator(origin: Callable[[str], str | None], cwd: Path, env: Mapping[str, str]) -> Locate:
    """Return a function that finds the files of a submission in the repository.

    Args:
        origin: Maps a file of the submission to the path that the user named.
        cwd: The directory that path is relative to.
        env: The environment; ``GITHUB_WORKSPACE`` is the root of the repository.
    """
    root = Path(env.get("GITHUB_WORKSPACE") or cwd).resolve()

    def locate(name: str) -> str | None:
        path = origin(name)
        if path is None or "\0" in path:
            return None
        resolved = (cwd / path).resolve()
        return resolved.relative_to(root).as_posix() if resolved.is_relative_to(root) else path

    return locate


def _missing_verdict(snapshot: Submission, error: SubcliError) -> str:
    return command("error", f"{error.message}\n{error.hint}".strip(), title=f"no verdict of {_name(snapshot)}")


def _error(title: str, text: str, analyses: Sequence[ErrorAnalysis], locate: Locate) -> str:
    place = next((event.location for event in analyses if event.location is not None), None)
    file = locate(place.file) if place is not None else None
    line = place.line if place is not None and file is not None else None
    return command("error", cut(text, _MESSAGE_CHARS), file=file, line=line, title=one_line(title, _TITLE_CHARS))


def _explain(result: TestResult, analyses: Sequence[ErrorAnalysis]) -> str:
    """Say in a few lines why a test failed."""
    values = {"expected": result.expected, "actual": result.actual}
    texts = [details.reason(result)]
    if marked := details.marked_text(result):
        texts.append(marked)
    else:
        texts += [
            f"{name}: {one_line(value_text(value), _VALUE_CHARS)}"
            for name, value in values.items()
            if name in result.raw
        ]
    texts += [text for event in analyses for text in details.analysis_texts(event)]
    texts.append(details.at_home_text(result))
    if result.outcome:
        texts.append(", ".join(measures.facts(result)))
    return details.joined(texts) or result.status


def _name(snapshot: Submission) -> str:
    return f"{snapshot.problem or 'submission'} {snapshot.name}"


def _escape_message(text: str) -> str:
    return printable(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escape_property(text: str) -> str:
    return _escape_message(text).replace(":", "%3A").replace(",", "%2C")
