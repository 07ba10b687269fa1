"""Finding the user's own line in what a program printed."""

from __future__ import annotations

import re
from collections.abc import Iterable

from subcli.judge.analyzers.finding import Context
from subcli.judge.evidence import Evidence, Site

_PYTHON = re.compile(r'File "(?P<file>[^"\n]+)", line (?P<line>\d+)(?:, in (?P<function>\S+))?')
# compilers, node:   node.c:12:5: error      at f (node.js:12:5)      node.js:12
_COLON = re.compile(r"(?P<file>[\w./+-]+\.\w+):(?P<line>\d+)(?::\d+)?")


def find_place(evidence: Evidence, context: Context) -> Site | None:
    """The most telling line of the user's files: the innermost frame of a traceback, else what the shim saw."""
    return place_in(evidence.stderr, context) or first_own(evidence.sites, context)


def place_in(text: str, context: Context) -> Site | None:
    """The user's line in a traceback or a compiler's message."""
    # Python prints the innermost frame last, of the last exception; compilers and node the cause first.
    found = _own(_PYTHON.finditer(text), context)
    if found:
        return found[-1]
    found = _own(_COLON.finditer(text), context)
    return found[0] if found else None


def first_own(sites: tuple[Site, ...], context: Context) -> Site | None:
    """The first of the places that lies in the submission."""
    return next((site for site in sites if site.file in context.files), None)


def _own(matches: Iterable[re.Match[str]], context: Context) -> list[Site]:
    places: list[Site] = []
    for match in matches:
        file = match["file"].removeprefix("./")
        if file in context.files:
            line = int(match["line"])
            places.append(Site(file, line, match.groupdict().get("function") or "", context.line_text(file, line)))
    return places
