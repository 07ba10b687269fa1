"""Tables of tests: a row for each, below a heading for each group. Functions from data to lines.

Empty columns are left out: if a server sends no measurements, outcomes or groups, a row is mark, name, duration and
reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from rich.cells import cell_len

from subcli.core.groups import is_within
from subcli.core.submission import Group
from subcli.output.text import details, measures, words
from subcli.output.text.lines import Line, clip, folded
from subcli.output.text.theme import BAD, DIM, ELLIPSIS, GOOD, MIDDLE_DOT, STRONG, Mark, test_mark
from subcli.shared.messages import TestResult

_DURATION_CELLS: Final = 7
_MEMORY_CELLS: Final = 7
_POINTS_CELLS_MAX: Final = 11
_GAP: Final = 2
_MARK_CELLS: Final = 2
_NAME_MIN_CELLS: Final = 20
_UNCUT_CELLS: Final = 2000
_GROUP_CELLS: Final = 24
_MEASURED_MIN_CELLS: Final = 70
"""In narrower tables, memory and points would leave no room for the reason."""


class Columns(NamedTuple):
    """The columns of a table in addition to mark, name, duration and reason.

    Attributes:
        memory: whether there is a column for it.
        points: the width of the column; 0 if there is none.
        reasons: whether failures say why.
        name: ``qualified``: with the test's group before it; ``within``: below a heading that names the group.
    """

    memory: bool = False
    points: int = 0
    name: str = ""
    reasons: bool = False

    @staticmethod
    def of(results: Iterable[TestResult], width: int, *, name: str = "") -> Columns:
        """Return the columns for these results in a table of ``width`` cells."""
        if width < _MEASURED_MIN_CELLS:
            return Columns(name=name)
        memory, points = False, 0
        for result in results:
            memory = memory or (result.memory_kb is not None and bool(measures.memory(result.memory_kb)))
            if result.score is not None:
                points = max(points, len(measures.points_of(result)))
        return Columns(memory, min(points, _POINTS_CELLS_MAX), name)


def name_cells(width: int) -> int:
    """Return the width of the name column: the same in every frame, so that nothing jumps."""
    return min(max(width * 9 // 20, 12), 56)


def table_cells(width: int) -> int:
    """Return the width of mark, name and duration; the bar above them is as long."""
    return _MARK_CELLS + name_cells(width) + 1 + _DURATION_CELLS


def row(result: TestResult, width: int, columns: Columns, *, with_reason: bool = True) -> Line:
    """Return one test on one line: mark, name, duration, memory, points, label, and the reason of a failure.

    A name that is too long for its column may use what would stay empty beside it.
    """
    mark = test_mark(result.status)
    reason = details.reason(result) if with_reason else ""
    is_alone = not (reason or measures.label(result) or columns.memory or columns.points or mark.word == "skipped")
    space = width - _MARK_CELLS - 1 - _DURATION_CELLS if is_alone else 0
    line = Line(mark.glyph, mark.style).put(" ").put(clip(_name(result, columns), max(name_cells(width), space)))
    end = max(table_cells(width), line.cells + 1 + _DURATION_CELLS if is_alone else 0)
    return _measured(line, result, columns, end, reason, width)


def _full_row(result: TestResult, width: int, columns: Columns, cells: int) -> list[Line]:
    """Return one test with nothing cut: a name that is longer than ``cells`` takes several lines."""
    mark = test_mark(result.status)
    first, *more = Line(clip(_name(result, columns), _UNCUT_CELLS)).folded(cells)
    parts = [Line(mark.glyph, mark.style).put(" ").extend(first)]
    parts += (Line().pad_to(_MARK_CELLS).extend(part) for part in more)
    end = min(_MARK_CELLS + cells + 1 + _DURATION_CELLS, width)
    if parts[-1].cells + 1 + len(words.duration(result.duration_ms)) > end:
        parts.append(Line())
    reason = details.reason(result) if mark.word == "skipped" or columns.reasons else ""
    return parts[:-1] + _measured(parts[-1], result, columns, end, reason, _UNCUT_CELLS).folded(width, end + _GAP)


def _measured(line: Line, result: TestResult, columns: Columns, end: int, reason: str, width: int) -> Line:
    """Append duration, memory, points, label and reason; the duration ends at column ``end``."""
    mark, label = test_mark(result.status), measures.label(result)
    if not reason and not label and mark.word == "skipped":
        reason = mark.word
    end = _right(line, end, words.duration(result.duration_ms))
    if columns.memory:
        end = _right(line, end + _GAP + _MEMORY_CELLS, measures.memory(result.memory_kb))
    if columns.points:
        end = _right(line, end + _GAP + columns.points, clip(measures.points_of(result), columns.points))
    if label or reason:
        style = BAD if mark.word in ("failed", "error") else DIM
        line.pad_to(end + _GAP).put(label, style)
        if label and reason:
            line.pad_to(end + _GAP + measures.LABEL_CELLS + 1)
        line.put(clip(reason, width - line.cells), style)
    return line


def _right(line: Line, end: int, text: str) -> int:
    """Place ``text`` so that it ends at column ``end``, which is returned."""
    if text:
        line.pad_to(end - len(text)).put(text, DIM)
    return end


def _name(result: TestResult, columns: Columns) -> str:
    """The name of a test, which often begins with its group's."""
    name, group = result.test_name, result.group
    if not group or not columns.name:
        return name
    if columns.name == "qualified":
        return name if group in name else f"{group} {MIDDLE_DOT} {name}"
    return name.removeprefix(group).lstrip("/ ") or name


def table(results: Sequence[TestResult], width: int, groups: Sequence[Group], *, reasons: bool = False) -> list[Line]:
    """Return the tests in order with nothing cut, each group below its heading if there are several.

    Args:
        results: The tests.
        width: The width in cells.
        groups: The groups of tests.
        reasons: Whether failures say why; where their details follow, only those that were skipped do.
    """
    name = "within" if len(groups) > 1 else ""
    columns = Columns.of(results, width, name=name)._replace(reasons=reasons)
    cells = _column_of_names(results, width, columns)

    def make(some: Iterable[TestResult]) -> list[Line]:
        return [line for result in some for line in _full_row(result, width, columns, cells)]

    if len(groups) < 2:
        return make(results)
    known = {group.name for group in groups}
    members: dict[str, list[TestResult]] = {}
    for result in results:
        members.setdefault(result.group if result.group in known else "", []).append(result)
    lines = make(members.pop("", ()))
    for group in groups:
        if any(is_within(name, group.name) for name in members):
            heading = Line(clip(group.name, _UNCUT_CELLS), STRONG)
            lines += [_beside(heading, _MARK_CELLS + cells, _tally(group)), *make(members.get(group.name, ()))]
    return folded(lines, width)


def _column_of_names(results: Sequence[TestResult], width: int, columns: Columns) -> int:
    """As wide as the longest name, if there is space beside the other columns."""
    others = _MARK_CELLS + 1 + _DURATION_CELLS
    others += (_GAP + _MEMORY_CELLS if columns.memory else 0) + (_GAP + columns.points if columns.points else 0)
    labels = max((len(measures.label(result)) for result in results), default=0)
    others += _GAP + labels if labels else 0
    longest = max((cell_len(clip(_name(result, columns), width)) for result in results), default=0)
    if width - others < _NAME_MIN_CELLS:
        # The durations stand at the end of the last line of a name, or below it.
        return max(width - _MARK_CELLS, 1)
    return min(max(name_cells(width), longest), width - others)


def _beside(line: Line, column: int, other: Line) -> Line:
    """Put ``other`` behind ``line``: after ``column``, or after all of it."""
    return line.pad_to(column).put(" ").extend(other)


def group_rows(groups: Sequence[Group], width: int) -> list[Line]:
    """Return a row for each group, where there are several and their tests are not listed."""
    if len(groups) < 2:
        return []
    lines = []
    for group in groups:
        mark = group_mark(group)
        line = Line(mark.glyph, mark.style).put(" ").put(clip(group.name, _UNCUT_CELLS))
        lines.append(_beside(line, _MARK_CELLS + name_cells(width), _tally(group)))
    return folded(lines, width)


def group_mark(group: Group) -> Mark:
    """The mark of a group. The server decides: one test may fail if another one suffices."""
    if group.outcome is not None:
        return test_mark(group.outcome if group.outcome in ("passed", "skipped") else "failed")
    return test_mark("failed" if group.counts.not_passed else "passed" if group.counts.passed else "skipped")


def groups_in_a_line(groups: Sequence[Group], width: int) -> Line:
    """Return the groups side by side, as many as fit; nothing where there are fewer than two."""
    line = Line()
    for index, group in enumerate(groups if len(groups) > 1 else ()):
        part = Line("   " if line.cells else "").put(clip(group.name, _GROUP_CELLS), DIM).put(" ")
        part.extend(_passed(group) if group.points is None else Line(measures.points(group.points), STRONG))
        if line.cells + part.cells > width - (2 if index < len(groups) - 1 else 0):
            return line.put(f" {ELLIPSIS}", DIM)
        line.extend(part)
    return line


def _passed(group: Group) -> Line:
    """``3/4``, the tests that passed of those that ended."""
    counts = group.counts
    return Line(f"{words.number(counts.passed)}/{words.number(counts.done)}", BAD if counts.not_passed else GOOD)


def _tally(group: Group) -> Line:
    """The tests that passed, and the points."""
    line = _passed(group)
    return line if group.points is None else line.put("  ").put(measures.points_in_words(group.points), STRONG)
