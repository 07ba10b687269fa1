"""Finds the user's own line in what a program printed, and shows it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from subcli.judge.analysis.finding import Context
from subcli.judge.analysis.traces import Trace, is_same_file, read_trace
from subcli.judge.evidence import Evidence, Site
from subcli.judge.process.text import shorten

_PYTHON = re.compile(r'File "(?P<file>[^"\n]+)", line (?P<line>\d{1,7})(?!\d)(?:,? in (?P<function>\S+))?')
# compilers: `lru.c:12:5: error`     node: `at f (node.js:12:5)`     sanitizers: `#0 0x4f in f lru.c:12`
_COLON = re.compile(
    r"(?:\bin (?P<function>\w+) |\()?(?<![\w./+-])(?P<file>[\w./+-]+\.\w+):(?P<line>\d{1,7})(?!\d)(?::\d+)?"
)
_FROM_STDERR = ("exit", "build", "silence", "tap")
# The first line of a function in the languages of solutions. Good enough to choose what to show.
_HEADER = re.compile(r"\s*(?:async\s+)?(?:def|function|class)\b|[^\s/*].*\)\s*\{\s*\Z|\s+\w+\(.*\)\s*\{\s*\Z")
_NO_FUNCTION = re.compile(r"\s*(?:\}\s*)?(?:if|for|while|switch|else|catch)\b")
_LINES_BEFORE = 10


def find_place(evidence: Evidence, context: Context) -> Site | None:
    """The most informative line of the user's files.

    For a program that ended or hung that is in what it wrote to stderr; for a wrong message, the line that sent it.
    """
    sent = first_own(evidence.sites, context)
    if sent is not None and evidence.kind not in _FROM_STDERR:
        return sent
    return place_in(evidence.stderr, context) or sent


def place_in_trace(trace: Trace, context: Context) -> Site | None:
    """The innermost call that lies in a submitted file; only those are the user's own."""
    for frame in trace.frames:
        for name in context.files:
            if is_same_file(frame.file, name):
                return Site(name, frame.line, frame.function, context.line_text(name, frame.line))
    return None


def place_in(text: str, context: Context) -> Site | None:
    """The user's line in a traceback, a compiler's message or a sanitizer's report."""
    trace = read_trace(text, context.runtime)
    if trace is not None and trace.frames:
        return place_in_trace(trace, context)
    found = _own(_PYTHON.finditer(text), context)
    if found:
        # The innermost call comes last in a traceback, and first in faulthandler's dump of a running program.
        return found[0] if "most recent call first" in text else found[-1]
    found = _own(_COLON.finditer(text), context)
    return found[0] if found else None


def first_own(sites: tuple[Site, ...], context: Context) -> Site | None:
    """The first site in a file of the submission, with the text of its line."""
    for site in sites:
        if site.file in context.files:
            return Site(site.file, site.line, site.function, context.line_text(site.file, site.line))
    return None


def excerpt(place: Site | None, context: Context) -> str:
    """The function's lines down to the place, numbered, with the place marked; empty if there is no place."""
    if place is None or place.file not in context.files:
        return ""
    lines = context.files[place.file].splitlines()
    if not 0 < place.line <= len(lines):
        return ""
    start = _function_start(lines, place.line)
    width = len(str(place.line))
    shown = [
        f"{'>' if number == place.line else ' '} {number:>{width}}  {shorten(lines[number - 1].rstrip(), 160)}"
        for number in range(start, place.line + 1)
    ]
    return "\n\n" + "\n".join([f"{place.file}:", *shown])


def _function_start(lines: list[str], line: int) -> int:
    for number in range(line, max(0, line - _LINES_BEFORE), -1):
        text = lines[number - 1]
        if _HEADER.match(text) and not _NO_FUNCTION.match(text):
            return number
    return max(1, line - 3)


def _own(matches: Iterable[re.Match[str]], context: Context) -> list[Site]:
    places: list[Site] = []
    for match in matches:
        file = match["file"].removeprefix("./")
        if file in context.files:
            line = int(match["line"])
            places.append(Site(file, line, match["function"] or "", context.line_text(file, line)))
    return places
