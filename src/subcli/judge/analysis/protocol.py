"""Rules for what a node printed: broken rules of the problem, lines that are not messages, wrong values."""

from __future__ import annotations

from subcli.judge.analysis.finding import Context, Finding
from subcli.judge.analysis.places import first_own
from subcli.judge.evidence import Evidence
from subcli.judge.process.text import shorten


def violation(evidence: Evidence, context: Context) -> Finding | None:
    """A broken rule of the problem, with the author's explanation and the line that broke it."""
    if evidence.kind != "violation":
        return None
    place = first_own(evidence.sites, context)
    sent = ""
    if place is not None:
        inside = f" in {place.function}()" if place.function else ""
        sent = f" The message was sent from {place.file}:{place.line}{inside}."
    return Finding(
        category="protocol_violation",
        analysis=(evidence.explanation or f"Expected {evidence.expected}; got {evidence.actual}.") + sent,
        suggestions=evidence.suggestions,
        location=place,
    )


def not_json(evidence: Evidence, context: Context) -> Finding | None:
    """A line on stdout that is not a message."""
    if evidence.kind != "bad_line":
        return None
    return Finding(
        category="not_json",
        analysis="stdout carries the protocol: every line must be one JSON object with src, dest and body. "
        f"{evidence.node} printed {shorten(evidence.line, 200)!r}.",
        suggestions=(
            "Print debugging output to stderr: print(..., file=sys.stderr).",
            "Print each message on one line, without line breaks in it.",
        ),
    )


def wrong_field(evidence: Evidence, context: Context) -> Finding | None:
    """A message with a missing or invalid field."""
    if evidence.kind != "bad_field":
        return None
    return Finding(
        category="wrong_field",
        analysis=f"The field {evidence.field!r} of this message does not follow the protocol: "
        + shorten(evidence.line, 300),
        suggestions=(f"Compare the name and type of {evidence.field!r} with the problem's description.",),
    )


def two_values(evidence: Evidence, context: Context) -> Finding | None:
    """An assertion that compared two values."""
    if evidence.kind != "assertion" or not evidence.expected:
        return None
    return Finding(
        category="wrong_answer",
        analysis=f"The test expected {shorten(evidence.expected, 500)} and got {shorten(evidence.actual, 500)}.",
        suggestions=("Trace by hand how your program arrives at this value; earlier steps are in the output.",),
    )


def bail_out(evidence: Evidence, context: Context) -> Finding | None:
    """The tests stopped early."""
    if evidence.kind != "bail_out":
        return None
    return Finding(
        category="bail_out",
        analysis="The tests stopped here; the remaining ones did not run.",
        suggestions=("Fix what the last tests report first.",),
    )


RULES = (violation, not_json, wrong_field, two_values, bail_out)
