"""Tables of tests: a row for each, below a heading for each group. Functions from data to lines.

Empty columns are left out: if a server sends no measurements, outcomes or groups, a row is mark, name, duration and
reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from subcli.core.groups import is_within
from subcli.core.submission import Group
from subcli.output.text import details, measures, words
from subcli.output.text.lines import Line, clip
from subcli.output.text.theme import BAD, DIM, ELLIPSIS, GOOD, MIDDLE_DOT, STRONG, Mark, test_mark
from subcli.shared.messages import TestResult

_DURATION_CELLS: Final = 7
_MEMORY_CELLS: Final = 7
_POINTS_CELLS_MAX: Final = 11
_GAP: Final = 2
_INDENT: Final = 2
_GROUP_CELLS: Final = 24
_MEASURED_MIN_CELLS: Final = 70
"""In narrower tables, memory and points would leave no room for the reason."""


class Columns(NamedTuple):
    """The columns of a table in addition to mark, name, duration and reason.

    Attributes:
        memory: whether there is a column for it.
        points: the width of the column; 0 if there is none.
        name: ``qualified``: with the test's group before it; ``within``: below a heading that names the group.
    """

    memory: bool = False
    points: int = 0
    name: str = ""

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
    return 2 + name_cells(width) + 1 + _DURATION_CELLS


def row(result: TestResult, width: int, columns: Columns, *, with_reason: bool = True) -> Line:
    """Return one test: mark, name, duration, memory, points, label, and the reason of a failure."""
    mark = test_mark(result.status)
    line = Line(mark.glyph, mark.style).put(" ").put(clip(_name(result, columns), name_cells(width)))
    label = measures.label(result)
    reason = details.reason(result) if with_reason else ""
    if not reason and not label and mark.word == "skipped":
        reason = mark.word
    end = _right(line, table_cells(width), words.duration(result.duration_ms))
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


def table(results: Sequence[TestResult], width: int, groups: Sequence[Group]) -> list[Line]:
    """Return the tests in order, each group below its heading if there are several.

    Only those that were skipped say why; the reasons of failures follow elsewhere.
    """

    def make(some: Iterable[TestResult], columns: Columns) -> list[Line]:
        return [row(result, width, columns, with_reason=test_mark(result.status).word == "skipped") for result in some]

    if len(groups) < 2:
        return make(results, Columns.of(results, width))
    columns = Columns.of(results, width, name="within")
    known = {group.name for group in groups}
    members: dict[str, list[TestResult]] = {}
    for result in results:
        members.setdefault(result.group if result.group in known else "", []).append(result)
    lines = make(members.pop("", ()), columns)
    for group in groups:
        if any(is_within(name, group.name) for name in members):
            lines += [heading(group, width), *make(members.get(group.name, ()), columns)]
    return lines


def heading(group: Group, width: int) -> Line:
    """Return a group: its name, how many of its tests passed, its points."""
    line = Line(clip(group.name, name_cells(width) + _INDENT), STRONG).pad_to(_INDENT + name_cells(width) + 1)
    return line.extend(_tally(group))


def group_rows(groups: Sequence[Group], width: int) -> list[Line]:
    """Return a row for each group, where there are several and their tests are not listed."""
    if len(groups) < 2:
        return []
    lines = []
    for group in groups:
        mark = group_mark(group)
        line = Line(mark.glyph, mark.style).put(" ").put(clip(group.name, name_cells(width)))
        lines.append(line.pad_to(_INDENT + name_cells(width) + 1).extend(_tally(group)))
    return lines


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
