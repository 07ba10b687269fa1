"""The course of a failed test as a ladder: a column for each node, an arrow for each message, time going down.

  ms        n1  n2  n3  n4
  150       ●   │   │   │   candidate in term 1
  150→158   ├──►│   │   │   request_vote term=1
  150→158   ├───┼──✗│   │   request_vote term=1 · lost
▶ 158→166   │◄──┤   │   │   vote term=1 granted=true
✗ 158 ms: n2 voted twice in term 1
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from rich.style import Style

from subcli.output.text.course import NOT_DELIVERED, Row, moment_of, nearest, rows_of
from subcli.output.text.lines import Line, clip, wrap
from subcli.output.text.theme import (
    ACCENT,
    ARROW,
    BAD,
    BAD_STRONG,
    BAR_EMPTY,
    CIRCLE,
    CROSSING,
    DIM,
    DOT,
    ELLIPSIS,
    FAIL,
    FROM_LEFT,
    FROM_RIGHT,
    GUTTER,
    LEFT,
    MIDDLE_DOT,
    PLAIN,
    POINTER,
    RIGHT,
    STRONG,
    WARN,
)
from subcli.shared.run_trace import RunTrace

ROWS: Final = 30
_GUTTER: Final = 2
_NARROW: Final = 60
"""With fewer columns, the time of sending is left out."""
_MIN_TEXT: Final = 12
_LANE_MIN, _LANE, _LANE_WIDE, _LANE_MAX = 3, 4, 6, 8
_WIDE: Final = 120
_TEXT_LINES: Final = 2


@dataclass(frozen=True)
class _Frame:
    """Where the columns are.

    Attributes:
        nodes: those that have a column.
        lane: the distance between two columns.
        time: the width of the column with the times; `is_narrow` if it has only one time.
        text: the width of what is left for texts.
    """

    nodes: tuple[str, ...]
    lane: int
    time: int
    is_narrow: bool
    text: int

    @property
    def start(self) -> int:
        """Where the first node's column is."""
        return _GUTTER + self.time + 1

    @property
    def text_start(self) -> int:
        return self.start + self.lane * len(self.nodes)


def ladder(trace: RunTrace, width: int, limit: int = ROWS) -> list[Line]:
    """The ladder around the violation.

    Args:
        trace: The trace; all of its texts are foreign.
        width: The width in cells.
        limit: The most lines.
    """
    rows = rows_of(trace)
    moment = moment_of(rows, trace)
    frame = _frame(trace, rows, width)
    top = [_header(frame, trace), *_not_shown(frame, trace, width)]
    broken = _violation(trace, width)
    blocks = {index: _block(rows[index], frame) for index in list(nearest(rows, moment))[: 4 * limit]}
    chosen = _fitting(blocks, len(rows), limit - len(top) - len(broken))
    lines = list(top)
    before = -1
    for index in (*chosen, len(rows)):
        if before < moment <= index:
            # What lies between is left out on the side where more of it is missing.
            lines += [*_gap(moment - before - 1, frame), *broken]
            before = max(before, moment - 1)
        lines += _gap(index - before - 1, frame)
        lines += blocks.get(index, [])
        before = index
    return lines


def _fitting(blocks: dict[int, list[Line]], count: int, room: int) -> list[int]:
    """The most important rows that have room, with a line wherever some are left out. In order."""
    chosen: list[int] = []
    for index in blocks:
        tried = sorted((*chosen, index))
        ends = zip((-1, *tried), (*tried, count), strict=True)
        gaps = sum(after - before > 1 for before, after in ends) + 1
        if sum(len(blocks[each]) for each in tried) + gaps > room:
            break
        chosen = tried
    # A row that is left out alone takes the line of its gap.
    between = {after - 1 for before, after in pairwise((-1, *chosen, count)) if after - before == 2}
    return sorted((*chosen, *(index for index in between if len(blocks.get(index, ())) == 1)))


def _frame(trace: RunTrace, rows: Sequence[Row], width: int) -> _Frame:
    is_narrow = width < _NARROW
    times = [_time(row, is_narrow=is_narrow) for row in rows]
    time = max([len("ms"), *map(len, times)])
    longest = max((len(clip(name, _LANE_MAX - 1)) for name in trace.nodes), default=1)
    lane = min(max(longest + 1, _LANE_MIN if is_narrow else _LANE_WIDE if width >= _WIDE else _LANE), _LANE_MAX)
    room = width - _GUTTER - time - 1 - _MIN_TEXT
    nodes = trace.nodes
    if len(nodes) * lane > room:
        lane = max(room // max(len(nodes), 1), _LANE_MIN)
    if len(nodes) * lane > room:
        blamed = {trace.node, *(name for row in rows if row.broke_rule for name in row.nodes)}
        first = sorted(range(len(nodes)), key=lambda index: (nodes[index] not in blamed, index))
        nodes = tuple(nodes[index] for index in sorted(first[: max(room // _LANE_MIN, 1)]))
    text = width - (_GUTTER + time + 1 + lane * len(nodes))
    return _Frame(nodes, lane, time, is_narrow, max(text, 8))


def _header(frame: _Frame, trace: RunTrace) -> Line:
    line = Line().pad_to(_GUTTER).put("ms", DIM)
    for index, name in enumerate(frame.nodes):
        line.pad_to(frame.start + index * frame.lane).put(clip(name, frame.lane - 1), STRONG)
    return line.pad_to(frame.text_start).put(clip(f"seed {trace.seed}", frame.text), DIM)


def _not_shown(frame: _Frame, trace: RunTrace, width: int) -> list[Line]:
    missing = len(trace.nodes) - len(frame.nodes)
    return [Line(clip(f"{missing} more nodes have no room here", width), DIM)] if missing else []


def _violation(trace: RunTrace, width: int) -> list[Line]:
    noticed = f" (noticed at {trace.noticed_ms} ms)" if trace.noticed_ms != trace.moment_ms else ""
    text = f"{trace.moment_ms} ms: {trace.violation}{noticed}"
    return [
        Line(FAIL if index == 0 else " ", BAD_STRONG).put(" ").put(part, BAD_STRONG)
        for index, part in enumerate(wrap(text, width - _GUTTER, 4))
    ]


def _gap(count: int, frame: _Frame) -> list[Line]:
    if count < 1:
        return []
    text = f"{ELLIPSIS} {count:,} more"
    return [Line().pad_to(frame.start).put(clip(text, frame.lane * len(frame.nodes) + frame.text), DIM)]


def _block(row: Row, frame: _Frame) -> list[Line]:
    """The lines of one row."""
    first = Line(POINTER if row.broke_rule else "", BAD_STRONG).pad_to(_GUTTER)
    first.put(_time(row, is_narrow=frame.is_narrow), BAD if row.broke_rule else DIM).pad_to(frame.start)
    for text, style in _lanes(row, frame):
        first.put(text, style)
    texts = _texts(row, frame)
    lines = [first]
    for index, (text, style) in enumerate(texts):
        line = first if index == 0 else _continued(row, frame)
        line.pad_to(frame.text_start).put(text, style)
        if index:
            lines.append(line)
    return lines


def _time(row: Row, *, is_narrow: bool) -> str:
    return f"{row.sent_ms}{ARROW}{row.ms}" if row.arrives and not is_narrow else str(row.ms)


def _texts(row: Row, frame: _Frame) -> list[tuple[str, Style]]:
    style, said = PLAIN, row.text
    match row.kind:
        case "message":
            notes = [f"{row.ms - (row.sent_ms or 0)} ms"] if frame.is_narrow and row.arrives else []
            notes += ["overtaken"] if row.is_overtaken else []
            notes += [NOT_DELIVERED[row.fate]] if not row.arrives else []
            said = f" {MIDDLE_DOT} ".join((said, *notes))
            style = BAD_STRONG if row.broke_rule else (PLAIN if row.arrives else WARN)
        case "start":
            said = f"{row.nodes[0]} starts" if len(row.nodes) == 1 else "start"
            style = DIM
        case "kill":
            said, style = f"{row.nodes[0]} is killed", WARN
        case "partition":
            said, style = f"partition: {row.text}", WARN
        case "heal":
            said, style = "the partition ends", WARN
        case "answer":
            said, style = f"{row.nodes[0]} answers {row.text}", BAD_STRONG if row.broke_rule else DIM
        case _:
            said, style = " ".join((*row.nodes, row.text)), ACCENT
    texts = [(part, style) for part in wrap(said, frame.text, _TEXT_LINES)]
    if row.broke_rule and row.place is not None:
        place = f"{row.place.file}:{row.place.line} {row.place.text}".rstrip()
        texts += [(part, DIM) for part in wrap(place, frame.text, _TEXT_LINES)]
    return texts


def _continued(row: Row, frame: _Frame) -> Line:
    """The beginning of a further line of a row: the nodes' columns."""
    line = Line().pad_to(frame.start)
    for text, style in _idle(row, frame):
        line.put(text, style)
    return line


def _idle(row: Row, frame: _Frame) -> list[tuple[str, Style]]:
    return [((GUTTER if name in row.up else MIDDLE_DOT).ljust(frame.lane), DIM) for name in frame.nodes]


def _lanes(row: Row, frame: _Frame) -> list[tuple[str, Style]]:
    """The nodes' columns in one line, with what happens."""
    places = {name: index * frame.lane for index, name in enumerate(frame.nodes)}
    if row.kind == "message" and row.nodes[0] != row.nodes[1]:
        src, dest = (places.get(name) for name in row.nodes)
        if src is not None and dest is not None:
            return _arrow(row, frame, src, dest)
    glyph = {"start": CIRCLE, "kill": FAIL}.get(row.kind, DOT)
    style = {"start": DIM, "kill": WARN}.get(row.kind, ACCENT)
    idle = _idle(row, frame)
    return [
        (glyph.ljust(frame.lane), style) if name in row.nodes else idle[index] for index, name in enumerate(frame.nodes)
    ]


def _arrow(row: Row, frame: _Frame, src: int, dest: int) -> list[tuple[str, Style]]:
    """The columns with an arrow, which ends before its receiver's if it never arrives."""
    characters = list("".join(text for text, _ in _idle(row, frame)))
    low, high = min(src, dest), max(src, dest)
    for at in range(low + 1, high):
        characters[at] = CROSSING if characters[at] == GUTTER else BAR_EMPTY
    characters[src] = FROM_LEFT if src < dest else FROM_RIGHT
    tip = dest - 1 if src < dest else dest + 1
    characters[tip] = (RIGHT if src < dest else LEFT) if row.arrives else FAIL
    style = BAD_STRONG if row.broke_rule else (PLAIN if row.arrives else WARN)
    text = "".join(characters)
    return [(text[:low], DIM), (text[low : high + 1], style), (text[high + 1 :], DIM)]
