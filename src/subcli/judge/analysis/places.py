"""Finding the user's own line in what a program printed, and showing it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from subcli.judge.analysis.finding import Context
from subcli.judge.evidence import Evidence, Site
from subcli.judge.process.text import shorten

_PYTHON = re.compile(r'File "(?P<file>[^"\n]+)", line (?P<line>\d+)(?:,? in (?P<function>\S+))?')
# compilers: `lru.c:12:5: error`     node: `at f (node.js:12:5)`     sanitizers: `#0 0x4f in f lru.c:12`
_COLON = re.compile(r"(?:\bin (?P<function>\w+) |\()?(?<![\w./])(?P<file>[\w./+-]+\.\w+):(?P<line>\d+)(?::\d+)?")
_FROM_STDERR = ("exit", "build", "silence", "tap")
# Where a function begins, in the languages that solutions are written in; good enough to show, not to decide.
_HEADER = re.compile(r"\s*(?:async\s+)?(?:def|function|class)\b|[^\s/*].*\)\s*\{\s*\Z|\s+\w+\(.*\)\s*\{\s*\Z")
_NO_FUNCTION = re.compile(r"\s*(?:\}\s*)?(?:if|for|while|switch|else|catch)\b")
_LINES_BEFORE = 10


def find_place(evidence: Evidence, context: Context) -> Site | None:
    """The most telling line of the user's files.

    Of a program that ended or hung, what it wrote itself says most; of a wrong message, from where it was sent.
    """
    sent = first_own(evidence.sites, context)
    if sent is not None and evidence.kind not in _FROM_STDERR:
        return sent
    return place_in(evidence.stderr, context) or sent


def place_in(text: str, context: Context) -> Site | None:
    """The user's line in a traceback, a compiler's message or a sanitizer's report."""
    found = _own(_PYTHON.finditer(text), context)
    if found:
        # A traceback has the innermost call last, and the last exception at its end; a dump of a running program
        # has it first.
        return found[0] if "most recent call first" in text else found[-1]
    found = _own(_COLON.finditer(text), context)
    return found[0] if found else None


def first_own(sites: tuple[Site, ...], context: Context) -> Site | None:
    """The first of the places that lies in the submission, with its text."""
    for site in sites:
        if site.file in context.files:
            return Site(site.file, site.line, site.function, context.line_text(site.file, site.line))
    return None


def excerpt(place: Site | None, context: Context) -> str:
    """The lines of the function down to the place, numbered, the place marked; empty where there is no place."""
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
