"""The course of a failed test as an SVG file for a report: a line for each node, time going down, slanted arrows.

The file stands alone: no script, no link, its style within. It follows the reader's light or dark scheme. The page of
a submission draws the same picture itself (`server/pages/static/diagram.js`).
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from typing import Final

from subcli.output.printable import one_line
from subcli.output.text.course import NOT_DELIVERED, body_text, violation
from subcli.shared.run_trace import Mark, RunTrace, Sent, in_order, overtaken

HAPPENINGS: Final = 240
"""As much of the course as is drawn around the violation."""
_AFTER: Final = 40
_LEFT, _TOP, _RIGHT, _BOTTOM = 70, 96, 40, 48
_LANE: Final = 170
_MIN_WIDTH: Final = 480
_SAME_MS, _LEAST, _PER_MS, _MOST = 7.0, 14.0, 0.8, 48.0
_LABEL_CHARS: Final = 30
_BESIDE: Final = 0.36
"""Where along its arrow a message's text is."""
_TITLE_CHARS: Final = 2_000
_STYLE: Final = """
svg { background: #fff; color: #1f2328; font: 12px system-ui, sans-serif; }
line, path { stroke: currentColor; fill: none; }
text { fill: currentColor; paint-order: stroke; stroke: #fff; stroke-width: 3px; }
.quiet { opacity: .65; } .life { opacity: .45; } .down { stroke-dasharray: 2 5; opacity: .3; }
.stopped { stroke-dasharray: 5 4; color: #9a6700; } .late { color: #8250df; }
.note { color: #0969da; } .kill, .network { color: #9a6700; }
.broke { color: #cf222e; font-weight: 600; } .broke path { stroke-width: 2.5; }
.head { font-size: 15px; font-weight: 600; }
@media (prefers-color-scheme: dark) {
  svg { background: #0d1117; color: #e6edf3; } text { stroke: #0d1117; }
  .stopped, .kill, .network { color: #d29922; } .late { color: #bc8cff; }
  .note { color: #58a6ff; } .broke { color: #ff7b72; }
}
"""


def space_time(trace: RunTrace, title: str) -> str:
    """The SVG document.

    Args:
        trace: The trace; all of its texts are foreign.
        title: What is above it, such as the name of the test. Foreign.
    """
    return _Picture(trace, title).document()


class _Picture:
    def __init__(self, trace: RunTrace, title: str) -> None:
        self._trace = trace
        self._late = overtaken(trace.messages)
        self._told: set[tuple[str, int, str]] = set()
        self._heights = heights(trace)
        self._lanes = {name: _LEFT + _LANE // 2 + index * _LANE for index, name in enumerate(trace.nodes)}
        self._end = max(self._heights.values(), default=_TOP) + 20
        width = max(_LEFT + _LANE * len(trace.nodes) + _RIGHT, _MIN_WIDTH)
        size = {"width": f"{width}", "height": f"{self._end + _BOTTOM:.0f}"}
        box = {"viewBox": f"0 0 {width} {self._end + _BOTTOM:.0f}"}
        self._svg = ET.Element("svg", {"xmlns": "http://www.w3.org/2000/svg", "role": "img", **size, **box})
        self._width = width
        ET.SubElement(self._svg, "title").text = _plain(title, _TITLE_CHARS)
        ET.SubElement(self._svg, "desc").text = _plain(violation(trace), _TITLE_CHARS)
        ET.SubElement(self._svg, "style").text = _STYLE

    def document(self) -> str:
        self._head()
        self._lives()
        self._times()
        for mark in self._trace.marks:
            if mark.no in self._heights:
                self._mark(mark)
        # Those that broke the rule last, so that they lie above the others.
        for message in sorted(self._trace.messages, key=lambda each: each.broke_rule):
            if message.no in self._heights:
                self._message(message)
        self._moment()
        return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(self._svg, encoding="unicode")}\n'

    def _head(self) -> None:
        title = self._svg.find("title")
        self._text(12, 24, (title.text if title is not None else "") or "", "head", limit=self._width // 8)
        self._text(12, 44, violation(self._trace), "broke", limit=self._width // 6)
        self._text(12, 62, f"seed {self._trace.seed}", "quiet")
        for name, x in self._lanes.items():
            self._text(x, _TOP - 12, name, anchor="middle", limit=_LANE // 8)

    def _lives(self) -> None:
        """A line for each node, dashed while it is down."""
        for name, x in self._lanes.items():
            changes = [mark for mark in self._trace.marks if mark.node == name and mark.kind in ("start", "kill")]
            # Nodes that start with the test were never down.
            up, since = not (changes and changes[0].kind == "start" and changes[0].ms > 0), float(_TOP)
            for mark in changes:
                at = self._height(mark.no)
                if at > since:
                    self._line(x, since, x, at, "life" if up else "down")
                up, since = mark.kind == "start", max(at, since)
            self._line(x, since, x, self._end, "life" if up else "down")

    def _height(self, no: int) -> float:
        """Where a happening is drawn; at the top or the bottom, if it lies before or after what is drawn."""
        before = no < min(self._heights, default=0)
        return self._heights.get(no, float(_TOP) if before else self._end)

    def _times(self) -> None:
        drawn = None
        for no, happened, is_arrival in in_order(self._trace):
            ms = happened.arrived_ms if is_arrival and isinstance(happened, Sent) else happened.ms
            if no in self._heights and ms != drawn:
                self._text(_LEFT - 10, self._heights[no] + 4, f"{ms} ms", "quiet", anchor="end")
                drawn = ms

    def _message(self, message: Sent) -> None:
        if message.src not in self._lanes or message.dest not in self._lanes:
            return
        x1, x2 = float(self._lanes[message.src]), float(self._lanes[message.dest])
        y1 = self._heights[message.no]
        arrives = message.arrived_no is not None
        y2 = self._heights.get(message.arrived_no or 0, self._end) if arrives else y1 + 16
        if not arrives:
            x2 = x1 + (x2 - x1) * 0.6
        names = [
            "message",
            *(["stopped"] if not arrives else []),
            *(["late"] if message.no in self._late else []),
            *(["broke"] if message.broke_rule else []),
        ]
        group = ET.SubElement(self._svg, "g", {"class": " ".join(names)})
        ET.SubElement(group, "title").text = _plain(self._sentence(message), _TITLE_CHARS)
        ET.SubElement(group, "path", {"d": _arrow(x1, y1, x2, y2, arrives=arrives)})
        # Of those that say the same to several nodes at once, only the first has a text beside it.
        told = message.src, message.ms, body_text(message.body)
        if message.broke_rule or told not in self._told:
            self._told.add(told)
            x, y = x1 + (x2 - x1) * _BESIDE, y1 + (y2 - y1) * _BESIDE - 4
            label = ET.SubElement(group, "text", {"x": f"{x:.1f}", "y": f"{y:.1f}", "text-anchor": "middle"})
            label.text = _plain(body_text(message.body), _LABEL_CHARS)

    def _sentence(self, message: Sent) -> str:
        fate = NOT_DELIVERED.get(message.fate, f"arrived at {message.arrived_ms} ms")
        late = ", overtaken" if message.no in self._late else ""
        place = self._trace.place_of(message)
        where = f"; {place.file}:{place.line} {place.text}" if place is not None else ""
        route = f"{message.src} to {message.dest}, sent at {message.ms} ms, {fate}{late}"
        return f"{route}: {body_text(message.body)}{where}"

    def _mark(self, mark: Mark) -> None:
        y = self._heights[mark.no]
        if mark.kind in ("partition", "heal"):
            self._line(_LEFT, y, self._width - 12, y, "network")
            said = "partition: " + " | ".join(" ".join(group) for group in mark.groups)
            self._text(_LEFT + 4, y - 4, said if mark.groups else "the partition ends", "network", limit=80)
            return
        x = self._lanes.get(mark.node)
        if x is None or (mark.kind not in ("note", "kill", "start") and not mark.broke_rule):
            return
        kind = "broke" if mark.broke_rule else mark.kind
        circle = {"cx": f"{x}", "cy": f"{y:.1f}", "r": "4", "class": kind}
        ET.SubElement(self._svg, "circle", {**circle, "fill": "none" if mark.kind == "start" else "currentColor"})
        said = {"kill": "killed", "start": ""}.get(mark.kind, mark.text or body_text(mark.body or ""))
        self._text(x + 8, y - 3, said, kind, limit=_LABEL_CHARS)

    def _moment(self) -> None:
        known = [height for no, height in self._heights.items() if no <= self._trace.moment_no]
        y = max(known, default=float(_TOP)) + 3
        self._line(12, y, self._width - 12, y, "broke")

    def _line(self, x1: float, y1: float, x2: float, y2: float, kind: str) -> None:
        ends = {"x1": f"{x1:.1f}", "y1": f"{y1:.1f}", "x2": f"{x2:.1f}", "y2": f"{y2:.1f}"}
        ET.SubElement(self._svg, "line", {**ends, "class": kind})

    def _text(self, x: float, y: float, said: str, kind: str = "", *, anchor: str = "start", limit: int = 80) -> None:
        if said:
            placed = {"x": f"{x:.1f}", "y": f"{y:.1f}", "text-anchor": anchor, "class": kind}
            ET.SubElement(self._svg, "text", placed).text = _plain(said, limit)


def _plain(text: str, limit: int) -> str:
    """Foreign text on one line, without the two characters that are printable but not allowed in XML (section 2.2)."""
    return one_line(text.replace("\ufffe", "?").replace("\uffff", "?"), limit)


def _arrow(x1: float, y1: float, x2: float, y2: float, *, arrives: bool) -> str:
    """The path of an arrow; one that ends in a cross if it never arrives."""
    line = f"M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}"
    if not arrives:
        return f"{line}m-4 -4l8 8m0 -8l-8 8"
    back = -1 if x2 > x1 else 1
    return f"{line}m{8 * back} -5L{x2:.1f} {y2:.1f}l{8 * back} 3"


def heights(trace: RunTrace) -> Mapping[int, float]:
    """How far down each happening around the violation is drawn, by number.

    Time is not to scale: what happens in the same millisecond must be told apart, and a long silence takes no page.
    """
    happened = [
        (no, (each.arrived_ms or 0) if arrival and isinstance(each, Sent) else each.ms)
        for no, each, arrival in in_order(trace)
        if isinstance(each, Sent) or each.kind not in ("save", "answer") or each.broke_rule
    ]
    end = sum(no <= trace.moment_no for no, _ in happened) + _AFTER
    happened = happened[max(0, end - HAPPENINGS) : end]
    found: dict[int, float] = {}
    y = float(_TOP)
    before = None
    for no, ms in happened:
        if before is not None:
            y += _SAME_MS if ms == before else min(_LEAST + (ms - before) * _PER_MS, _MOST)
        found[no], before = y, ms
    return found
