"""Rules for what a node printed: broken rules of the problem, lines that are not messages, wrong values."""

from __future__ import annotations

import itertools

from subcli.judge.analysis.finding import Context, Finding
from subcli.judge.analysis.places import first_own, place_in_trace
from subcli.judge.analysis.traces import read_trace
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
    wanted, got = evidence.expected.strip(), evidence.actual.strip()
    place = ""
    if got and ("\n" in wanted or "\n" in got):
        lines = itertools.zip_longest(wanted.splitlines(), got.splitlines(), fillvalue="")
        differing = ((number, *pair) for number, pair in enumerate(lines, 1) if pair[0] != pair[1])
        number, wanted, got = next(differing, (1, wanted, got))
        place = f" in line {number}"
    wanted, got = shorten(wanted, 500) or ("nothing" if place else "white space"), shorten(got, 500) or "nothing"
    analysis = f"The test expected {wanted}{place} and got {got}."
    return _beside_a_trace(evidence, context, analysis) or Finding(
        category="wrong_answer",
        analysis=analysis,
        suggestions=("Trace by hand how your program arrives at this value; earlier steps are in the output.",)
        if evidence.actual.strip()
        else ("Check that your program prints its answer before it ends.",),
    )


def wrong_output(evidence: Evidence, context: Context) -> Finding | None:
    """An output that is not the answer of its case."""
    if evidence.kind != "difference":
        return None
    return _beside_a_trace(evidence, context, evidence.explanation) or Finding(
        category="wrong_answer", analysis=evidence.explanation, suggestions=evidence.suggestions
    )


def _beside_a_trace(evidence: Evidence, context: Context, analysis: str) -> Finding | None:
    """A wrong value of a program whose stderr shows an exception."""
    trace = read_trace(evidence.stderr, context.runtime)
    if trace is None or trace.at_load:
        return None
    place = place_in_trace(trace, context)
    at = f" at {place.file}:{place.line}" if place else ""
    raised = f"{trace.name}: {trace.text}" if trace.text else trace.name
    # Something may have caught it, or it ended one thread of several.
    return Finding(
        category="wrong_answer",
        analysis=f"{analysis} The program's stderr shows {raised}{at}.",
        suggestions=("Look at what is reported on stderr first; it is shown with the test.", *evidence.suggestions),
        location=place,
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


RULES = (violation, not_json, wrong_field, two_values, wrong_output, bail_out)
