"""The summary of a GitHub job: Markdown that is appended to ``$GITHUB_STEP_SUMMARY``, with foreign text escaped."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from subcli.core.submission import Group, Submission
from subcli.output.live.summary import ending_mark, outcome
from subcli.output.printable import cut, one_line, printable
from subcli.output.text import details, measures, rows, words
from subcli.output.text.causes import Cause, Causes
from subcli.output.text.ending import compared
from subcli.output.text.theme import test_mark
from subcli.output.view import Ending
from subcli.shared.messages import TestResult

SUMMARY_MAX_BYTES: Final = 256 * 1024
"""The most that is appended."""

FILE_MAX_BYTES: Final = 1024 * 1024
"""GitHub rejects a step's summary file that is larger."""

_TESTS_MAX: Final = 200
_ANALYSES_MAX: Final = 50
_CELL_CHARS: Final = 300
_EXPLANATION_CHARS: Final = 4000
_PLACE_CELLS: Final = 500

_MARKUP: Final = re.compile(r"[\\`*_\[\]<>|~&#@!{}()$]|:(?=//)|(?i:(?<=www))\.")
"""Markdown's special characters, and those that make GitHub link a bare address (GFM, "Autolinks (extension)")."""


def summary(submissions: Sequence[tuple[Submission, Ending]]) -> str:
    """Return a section for each submission as Markdown, at most ``SUMMARY_MAX_BYTES`` in total."""
    lines = [line for snapshot, ending in submissions for line in _section(snapshot, ending)]
    kept: list[str] = []
    size = 0
    for index, line in enumerate(lines):
        size += len(line.encode("utf-8", "replace")) + 1
        if size > SUMMARY_MAX_BYTES:
            kept.append(f"\n… {len(lines) - index} more lines are left out here.\n")
            break
        kept.append(line)
    return "\n".join(kept) + "\n"


def append(path: Path, text: str) -> None:
    """Append ``text`` to the summary file, unless the file would become too large.

    Raises:
        OSError: The file cannot be written.
    """
    data = text.encode("utf-8", "replace")
    with path.open("ab") as file:
        if file.tell() + len(data) <= FILE_MAX_BYTES:
            file.write(data)


def escaped(text: str, limit: int = _CELL_CHARS) -> str:
    """Return foreign text as one line of Markdown that renders as that very text."""
    return _MARKUP.sub(lambda match: f"\\{match.group()}", one_line(text, limit))


def _section(snapshot: Submission, ending: Ending) -> list[str]:
    mark = ending_mark(ending)
    counts = outcome(ending.verdict, snapshot) if ending.verdict is not None else ""
    name = " · ".join(escaped(word) for word in (snapshot.problem, snapshot.language) if word)
    lines = [f"### {mark.glyph} {name or 'submission'} {snapshot.name}: {escaped(mark.word)}", ""]
    if counts:
        lines += [counts, ""]
    if ending.verdict is not None and (changed := compared(ending.verdict.compared_to)):
        lines += [escaped(changed[:1].upper() + changed[1:]), ""]
    if ending.error is not None:
        lines += [escaped(f"{ending.error.message} {ending.error.hint}", _EXPLANATION_CHARS), ""]
    if len(snapshot.groups) > 1:
        lines += ["| | group | passed | points |", "|---|---|--:|--:|", *map(_group_row, snapshot.groups), ""]
    results = _listed(snapshot)
    if results:
        lines += [*_table(results), ""]
    if snapshot.counts.done > len(results):
        lines += [f"… {words.number(snapshot.counts.done - len(results))} more tests", ""]
    causes = Causes(snapshot.analyses, snapshot.failures)
    return [*lines, *(_analysis(cause, causes.test(cause.first)) for cause in causes.all[:_ANALYSES_MAX])]


def _listed(snapshot: Submission) -> list[TestResult]:
    """Return all tests in order if the snapshot holds them all, otherwise the failures and the latest others."""
    if snapshot.counts.done <= min(_TESTS_MAX, len(snapshot.recent)):
        return list(snapshot.recent)
    failed = set(map(id, snapshot.failures))
    return [*snapshot.failures, *(result for result in snapshot.recent if id(result) not in failed)][:_TESTS_MAX]


def _table(results: Sequence[TestResult]) -> list[str]:
    """A row for each test. Memory and points have columns only where some test has them."""
    with_memory = any(measures.memory(result.memory_kb) for result in results)
    with_points = any(measures.points_of(result) for result in results)
    columns = [("", ""), ("test", ""), ("time", ":")]
    columns += [("memory", ":")] if with_memory else []
    columns += [("points", ":")] if with_points else []
    columns.append(("why", ""))
    rule = "|".join("--:" if align else "---" for _, align in columns)
    lines = [_cells(title for title, _ in columns), f"|{rule}|"]
    for result in results:
        mark = test_mark(result.status)
        cells = [f"{mark.glyph} {mark.word}", escaped(result.test_name), words.duration(result.duration_ms)]
        cells += [measures.memory(result.memory_kb)] if with_memory else []
        cells += [measures.points_of(result)] if with_points else []
        lines.append(_cells([*cells, escaped(measures.labelled(result, details.reason(result)))]))
    return lines


def _group_row(group: Group) -> str:
    points = measures.points(group.points) if group.points is not None else ""
    mark = rows.group_mark(group)
    passed = f"{group.counts.passed}/{group.counts.done}"
    return _cells([f"{mark.glyph} {mark.word}", escaped(group.name), passed, points])


def _cells(cells: Iterable[str]) -> str:
    return "|" + "".join(f" {cell} |" if cell else " |" for cell in cells)


def _analysis(cause: Cause, result: TestResult | None) -> str:
    """Return an analysis, folded; as HTML, because foreign text could close a Markdown fence."""
    event = cause.first
    title = event.test_name or event.category or "analysis"
    title += f" and {words.number(len(cause.tests) - 1)} more" if cause.others else ""
    place = details.place(event.location, _PLACE_CELLS)
    heading = _html(one_line(f"{title}, {place}" if place else title, _CELL_CHARS))
    texts = [details.marked_text(result), details.at_home_text(result)] if result is not None else []
    texts = [*details.analysis_texts(event), *texts, f"The same cause: {cause.others}" if cause.others else ""]
    text = _html(printable(cut(details.joined(texts), _EXPLANATION_CHARS)))
    return f"<details><summary>{heading}</summary>\n\n<pre>{text}</pre>\n\n</details>\n"


def _html(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
