"""What ``subcli results`` prints. Functions from the server's data, all of it foreign, to lines."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from subcli.core.submission import Points
from subcli.output.text import measures
from subcli.output.text.lines import AdaptiveBlock, Line, clip
from subcli.output.text.theme import ACCENT, DIM, DOT, STRONG, Mark, verdict_mark

_HEADINGS: Final = ("USER", "VERDICT", "POINTS", "TESTS", "ATTEMPTS", "ID", "SUBMITTED")
_POINTS: Final = 2
_RIGHT_ALIGNED: Final = (2, 3, 4, 5)
_OPTIONAL: Final = (6, 5, 4)
"""The columns that are left out if the terminal is too narrow, in this order."""
_GAP: Final = 2
_USER_MAX: Final = 64
_NUMBER_MAX: Final = 1e12
_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}", re.ASCII)


def results_table(rows: Sequence[Mapping[str, Any]]) -> AdaptiveBlock:
    """Return a line for each user, in the server's order, and a line with the counts."""
    return AdaptiveBlock(lambda width: _lines(rows, width))


def _lines(rows: Sequence[Mapping[str, Any]], width: int) -> list[Line]:
    if not rows:
        return [Line("There are no users whose results could be shown.")]
    table = [[Line(heading, DIM) for heading in _HEADINGS], *(_cells(row) for row in rows)]
    columns = [column for column in range(len(_HEADINGS)) if any(line[column].cells for line in table[1:])]
    widths = [max(line[column].cells for line in table) for column in range(len(_HEADINGS))]
    for optional in _OPTIONAL:
        if sum(widths[column] + _GAP for column in columns) - _GAP <= width:
            break
        columns = [column for column in columns if column != optional]
    return [*(_line(cells, widths, columns).cut(width) for cells in table), Line(), *_counts(rows)]


def _line(cells: Sequence[Line], widths: Sequence[int], columns: Sequence[int]) -> Line:
    line = Line()
    for column in columns:
        start = line.cells + (_GAP if line.cells else 0)
        indent = widths[column] - cells[column].cells if column in _RIGHT_ALIGNED else 0
        line.pad_to(start + indent).extend(cells[column]).pad_to(start + widths[column])
    return line


def _cells(row: Mapping[str, Any]) -> list[Line]:
    mark = _mark(row)
    passed, total = _number(row, "passed"), _number(row, "total_tests")
    score, attempts, submission_id = _number(row, "score"), _number(row, "attempts"), _number(row, "submission_id")
    points = None if score is None else Points(score, _number(row, "max_score"))
    return [
        Line(clip(str(row.get("user")), _USER_MAX), STRONG),
        Line(f"{mark.glyph} {clip(mark.word, 24)}", mark.style),
        Line(measures.points(points)) if points is not None else Line(),
        Line(f"{passed:.0f}/{total:.0f}" if passed is not None and total is not None else ""),
        Line("" if attempts is None else f"{attempts:.0f}"),
        Line("" if submission_id is None else f"{submission_id:.0f}"),
        Line(_minute(row.get("submitted_at")), DIM),
    ]


def _minute(timestamp: object) -> str:
    """A time without its seconds, as the server gives it; any other text cut."""
    text = clip(str(timestamp or ""), 30)
    return text[:16].replace("T", " ") if _TIME.match(text) else text[:20]


def _mark(row: Mapping[str, Any]) -> Mark:
    verdict, status = row.get("verdict"), row.get("status")
    if isinstance(verdict, str) and verdict:
        return verdict_mark(verdict)
    return Mark(DOT, ACCENT if status else DIM, str(status or "nothing submitted"))


def _number(row: Mapping[str, Any], name: str) -> float | None:
    value = row.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return value if abs(value) < _NUMBER_MAX else None


def _counts(rows: Sequence[Mapping[str, Any]]) -> list[Line]:
    passed = sum(row.get("verdict") == "passed" for row in rows)
    tried = sum(bool(row.get("attempts")) for row in rows)
    unfinished = int(sum(_number(row, "unfinished") or 0 for row in rows))
    have = "has" if tried == 1 else "have"
    lines = [Line(f"{passed:,} of {len(rows):,} passed, {tried:,} {have} submitted", DIM)]
    if unfinished:
        word = "submission has" if unfinished == 1 else "submissions have"
        lines.append(Line(f"{unfinished:,} {word} no verdict yet: the results may change", DIM))
    return lines
