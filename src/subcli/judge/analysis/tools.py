"""Rules for builds: a missing tool, a syntax error, a compiler error."""

from __future__ import annotations

import re

from subcli.judge.analysis.finding import Context, Finding
from subcli.judge.analysis.places import place_in, place_in_trace
from subcli.judge.analysis.traces import read_trace
from subcli.judge.evidence import Evidence
from subcli.judge.process.text import last_line

# gcc and clang; javac; go, which says neither "error" nor what it is; rustc, whose place is in the line below.
_COMPILER = re.compile(
    r"^(?:[^\n:]+:\d+:\d+: (?:fatal )?error: (?P<c>.+)"
    r"|[^\n:]+\.java:\d+: error: (?P<java>.+)"
    r"|[^\n:]+\.go:\d+:\d+: (?P<go>.+)"
    r"|error(?:\[E\d+\])?: (?P<rust>.+)\n +--> )",
    re.MULTILINE,
)


def missing_tool(evidence: Evidence, context: Context) -> Finding | None:
    """A program that the language needs is not installed. That is the judge's fault."""
    if evidence.kind != "missing_tool":
        return None
    return Finding(
        category="missing_build_tool",
        analysis=f"Solutions in {evidence.language} need {evidence.command}, which is not installed on the judge's "
        "machine. The submission was not judged; this is not its fault.",
        suggestions=(
            f"The operator of this server must install {evidence.command}.",
            "Submit in another language that this problem offers.",
        ),
    )


def syntax_error(evidence: Evidence, context: Context) -> Finding | None:
    """The interpreter cannot parse the file."""
    trace = read_trace(evidence.stderr, context.runtime) if evidence.kind in ("build", "exit", "tap") else None
    if trace is None or not trace.at_load:
        return None
    place = place_in_trace(trace, context)
    where = f" at line {place.line} of {place.file}" if place else ""
    return Finding(
        category="syntax_error",
        error=f"{trace.name}: {trace.text}",
        analysis=f"{context.language.capitalize()} could not parse the program{where}, so none of it ran.",
        suggestions=(
            "Check that line and the one before it: brackets, quotes, colons, indentation.",
            "Run the file on your own machine before submitting it.",
        ),
        location=place,
    )


def has_compile_error(text: str) -> bool:
    """Whether a compiler or a linker reports an error in what a tool has printed."""
    return _COMPILER.search(text) is not None or "undefined reference to" in text


def compile_error(evidence: Evidence, context: Context) -> Finding | None:
    """The compiler reported an error."""
    found = _COMPILER.search(evidence.stderr) if evidence.kind == "build" else None
    if found is None:
        return None
    errors = len(_COMPILER.findall(evidence.stderr))
    more = f" It reported {errors} errors; later ones often follow from the first." if errors > 1 else ""
    return Finding(
        category="compile_error",
        error=next(filter(None, found.groups())),
        analysis=f"The compiler rejected the program, so none of it ran.{more}",
        suggestions=("Fix the first error, then build again.",),
        location=place_in(evidence.stderr[found.start() :], context),
    )


def build_failure(evidence: Evidence, context: Context) -> Finding | None:
    """Any other failed build."""
    if evidence.kind != "build":
        return None
    line = last_line(evidence.stderr)
    said = f" It last printed: {line}" if line else " It printed nothing."
    return Finding(
        category="build_error",
        analysis=f"The build command `{evidence.command}` failed.{said}",
        suggestions=("Run the same command on your own machine.",),
    )


RULES = (missing_tool, syntax_error, compile_error, build_failure)
