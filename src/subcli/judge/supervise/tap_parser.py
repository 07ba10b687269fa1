"""Parses TAP 14 line by line, without I/O.

A test point may be followed by its diagnostics, so its own line does not show whether it is complete. `feed` holds it
back until another line decides; `flush` releases it for a reader that has waited long enough.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

_INDENT = "    "
_YAML_INDENT = "  "
_DEPTH = 8
_COMMENT_BYTES = 8_192
_YAML_CHARACTERS = 131_072
"""As many as `tap_yaml` reads. Later lines are dropped, and the block is kept as text."""

_VERSION = re.compile(r"TAP version (\d{1,9})\s*\Z")
_PLAN = re.compile(r"1\.\.(\d{1,9})(?:\s+#\s*(.*))?\s*\Z")
_POINT = re.compile(r"(not )?ok\b(?:\s+(\d+))?(?:\s+-)?(?:\s+(.*))?\Z", re.DOTALL)
_BAIL = re.compile(r"Bail out!\s*(.*)\Z", re.IGNORECASE)
_DIRECTIVE = re.compile(r"(?:(?<=\s)|\A)#\s*(SKIP|TODO)\S*(?:\s+(.*))?\Z", re.IGNORECASE)
_ESCAPE = re.compile(r"\\([\\#])")


@dataclass(frozen=True)
class Plan:
    """How many tests there are. `reason` says why all are skipped."""

    count: int
    reason: str = ""


@dataclass(frozen=True)
class BailOut:
    """The tests stopped early (`Bail out!`)."""

    reason: str = ""


@dataclass(frozen=True)
class Point:
    """One test. `directive` is `skip`, `todo` or empty; `children` are the points of its subtest."""

    number: int
    ok: bool
    description: str = ""
    directive: str = ""
    reason: str = ""
    data: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    """The YAML diagnostics."""
    output: str = ""
    """Comments and other lines before it, cut to 8 KB."""
    children: tuple[Point, ...] = ()

    @property
    def status(self) -> str:
        """passed, failed or skipped. A test marked TODO counts as skipped if it fails."""
        if self.directive == "skip" or (self.directive == "todo" and not self.ok):
            return "skipped"
        return "passed" if self.ok else "failed"


Item = Plan | BailOut | Point


class Parser:
    """The state of one stream. It never raises: lines that are not TAP become output of the next test."""

    def __init__(self, depth: int = 0) -> None:
        self.plan: Plan | None = None
        self.version: int | None = None
        self.seen = 0
        """Test points so far."""
        self.bailed: BailOut | None = None
        self._depth = depth
        self._held: Point | None = None
        self._yaml: list[str] | None = None
        self._yaml_size = 0
        self._output: list[str] = []
        self._output_size = 0
        self._fresh: list[str] = []
        self._child: Parser | None = None
        self._children: list[Point] = []

    def feed(self, line: str) -> list[Item]:
        """Take one line without its newline. Returns what is complete now."""
        if self.bailed:
            return []
        if self._yaml is not None:
            return self._in_yaml(line)
        if line == _YAML_INDENT + "---" and self._held is not None:
            self._yaml, self._yaml_size = [], 0
            return []
        if line.startswith(_INDENT) and self._depth < _DEPTH:
            return self._in_subtest(line.removeprefix(_INDENT))
        return self._own(line)

    def flush(self) -> list[Item]:
        """Release a test point that waits for its diagnostics, unless they have begun."""
        if self._held is None or self._yaml is not None:
            return []
        point, self._held = self._held, None
        return [point]

    @property
    def holds_failure(self) -> bool:
        """Whether a failed test waits for its diagnostics."""
        return self._held is not None and self._held.status == "failed"

    @property
    def missing(self) -> int:
        """How many planned tests have not been seen."""
        return max(0, self.plan.count - self.seen) if self.plan else 0

    def finish(self) -> list[Item]:
        """End the stream. Returns what was held back."""
        if self._yaml is not None:
            return self._end_yaml()
        return self.flush()

    def take_output(self) -> list[str]:
        """The comments and other lines that belong to no test point yet. They are handed over, not kept."""
        output, self._output, self._output_size = self._output, [], 0
        return output

    def take_fresh(self) -> list[str]:
        """The same lines as they come, those of subtests too, each once: for who watches."""
        fresh, self._fresh = self._fresh, []
        return fresh

    def _own(self, line: str) -> list[Item]:
        if found := _POINT.match(line):
            return [*self.flush(), *self._point(found)]
        if found := _BAIL.match(line):
            return [*self.flush(), *self._bail(BailOut(found[1].strip()))]
        if found := _PLAN.match(line):
            released = self.flush()
            if self.plan is None:
                self.plan = Plan(int(found[1]), _skip_reason(found[2]))
                released.append(self.plan)
            return released
        if found := _VERSION.match(line):
            self.version = int(found[1])
        elif not line.startswith("pragma "):
            self._note(line.removeprefix("# ") if line.startswith("#") else line)
        return []

    def _point(self, found: re.Match[str]) -> list[Item]:
        self.seen += 1
        text, directive, reason = _split_directive(found[3] or "")
        number = int(found[2]) if found[2] and len(found[2]) < 10 else self.seen
        children = self._end_subtest()
        output = "\n".join(self.take_output())
        self._held = Point(number, not found[1], text, directive, reason, output=output, children=children)
        return []

    def _bail(self, bail: BailOut) -> list[Item]:
        self.bailed = bail
        return [bail]

    def _in_yaml(self, line: str) -> list[Item]:
        assert self._yaml is not None
        if line.strip() == "...":
            return self._end_yaml()
        if line.strip() and not line.startswith(_YAML_INDENT):
            # The block was never closed.
            return [*self._end_yaml(), *self.feed(line)]
        if self._yaml_size <= _YAML_CHARACTERS:
            self._yaml.append(line.removeprefix(_YAML_INDENT))
            self._yaml_size += len(line) + 1
        return []

    def _end_yaml(self) -> list[Item]:
        assert self._held is not None
        from subcli.judge.supervise.tap_yaml import parse_yaml  # most runs have no diagnostics

        data = parse_yaml("\n".join(self._yaml or []))
        point = replace(self._held, data=MappingProxyType(data))
        self._held = self._yaml = None
        return [point]

    def _in_subtest(self, line: str) -> list[Item]:
        released = self.flush()
        if self._child is None:
            self._child = Parser(self._depth + 1)
        for item in self._child.feed(line):
            if isinstance(item, Point):
                self._children.append(item)
            elif isinstance(item, BailOut):
                released += self._bail(item)
        self._fresh += self._child.take_fresh()
        return released

    def _end_subtest(self) -> tuple[Point, ...]:
        if self._child is None:
            return ()
        self._children += [item for item in self._child.finish() if isinstance(item, Point)]
        for line in self._child.take_output():
            self._keep(line)
        children = tuple(self._children)
        self._child, self._children = None, []
        return children

    def _note(self, line: str) -> None:
        if line.startswith("Subtest") or not line.strip():
            return
        self._fresh.append(line)
        self._keep(line)

    def _keep(self, line: str) -> None:
        self._output_size += len(line)
        if self._output_size <= _COMMENT_BYTES:
            self._output.append(line)


def _split_directive(text: str) -> tuple[str, str, str]:
    directive = reason = ""
    # An escaped hash does not begin a directive. A backslash may itself be escaped.
    hidden = _ESCAPE.sub(lambda found: "\0" if found[1] == "#" else "\1", text)
    if found := _DIRECTIVE.search(hidden):
        directive, reason = found[1].lower(), _restore(found[2] or "")
        hidden = hidden[: found.start()]
    description = _restore(hidden).strip()
    return description.removeprefix("- ").strip(), directive, reason.strip()


def _restore(text: str) -> str:
    return text.replace("\0", "#").replace("\1", "\\")


def _skip_reason(comment: str | None) -> str:
    text = (comment or "").strip()
    return re.sub(r"(?i)\Askip\S*\s*:?\s*", "", text)
