"""Rules for exceeded limits."""

from __future__ import annotations

import re
import signal

from subcli.judge.analysis.finding import THE_PROGRAM, Context, Finding
from subcli.judge.analysis.places import place_in
from subcli.judge.evidence import Evidence

_OUT_OF_MEMORY = re.compile(r"MemoryError|std::bad_alloc|JavaScript heap out of memory|Cannot allocate memory")
_NEARLY = 0.85
_ENDLESS_BUILD = (
    "Most often a template or a macro expands without end, something large is computed while compiling, or what is "
    "included never ends."
)
_BUILD_HERE = ("Build it on your own machine, and watch how long it takes and how much memory it uses.",)
_FILE_TOO_LARGE = re.compile(r"File too large|EFBIG")


def too_slow(evidence: Evidence, context: Context) -> Finding | None:
    """A test, a build or the submission as a whole took too long."""
    if evidence.kind != "limit" or evidence.limit not in ("time", "submission_time"):
        return None
    if evidence.command:
        return Finding(
            category="timeout",
            analysis=f"The build was still running after {evidence.seconds:g} s and was killed. {_ENDLESS_BUILD}",
            suggestions=_BUILD_HERE,
        )
    return Finding(
        category="timeout",
        analysis=f"It was still running after {evidence.seconds:g} s and was killed. Most often a loop does not end, "
        "or the program waits for something that never happens.",
        suggestions=(
            "Look for a loop whose condition never becomes false.",
            "Look for a read or a lock without a timeout.",
        ),
    )


def silent(evidence: Evidence, context: Context) -> Finding | None:
    """A node was running and did not answer."""
    if evidence.kind != "silence":
        return None
    if "most recent call first" in evidence.stderr:
        place = place_in(evidence.stderr, context)
        where = f" It was busy at {place.file}:{place.line} in {place.function}()." if place else ""
        return Finding(
            category="timeout",
            analysis=f"{evidence.node} was running and did not answer ({evidence.actual}).{where}",
            suggestions=(
                "Look for a loop whose condition never becomes false.",
                "Look for a read, a sleep or a lock that waits.",
            ),
            location=place,
        )
    waited = f" ({evidence.actual})" if evidence.actual else ""
    return Finding(
        category="timeout",
        analysis=f"{evidence.node or THE_PROGRAM} was running and did not print the expected answer{waited}. "
        "Either it is in an endless loop, or it did not print the answer, or the answer is still in a buffer.",
        suggestions=(
            "Flush stdout after every line, such as print(..., flush=True) in Python.",
            *(
                ("Answer every tick with a tick_ok, even if there is nothing to do.",)
                if "tick_ok" in evidence.expected
                else ()
            ),
            "Look for a loop whose condition never becomes false.",
        ),
    )


def too_much_memory(evidence: Evidence, context: Context) -> Finding | None:
    """The memory limit was exceeded, or an allocation failed."""
    by_watchdog = evidence.kind == "limit" and evidence.limit == "memory"
    said = evidence.kind in ("exit", "tap") and _OUT_OF_MEMORY.search(evidence.stderr)
    at_the_limit = (
        evidence.kind == "exit" and evidence.exit_code != 0 and evidence.peak_mb > _NEARLY * evidence.memory_mb > 0
    )
    if not by_watchdog and not said and not at_the_limit:
        return None
    if evidence.command:
        return Finding(
            category="memory",
            analysis=f"The build needed more memory than it may use. {_ENDLESS_BUILD}",
            suggestions=_BUILD_HERE,
        )
    if at_the_limit:
        return Finding(
            category="memory",
            error=f"{evidence.node or THE_PROGRAM} used up its {evidence.memory_mb} MB of memory",
            analysis=f"{evidence.message}, when it had used {evidence.peak_mb} MB of the {evidence.memory_mb} MB that "
            "this problem allows. An allocation beyond that fails; malloc() then returns NULL.",
            suggestions=("Bound what is kept.", "Check what malloc() returns."),
        )
    return Finding(
        category="memory",
        error=evidence.message if by_watchdog else f"{evidence.node or THE_PROGRAM} ran out of memory",
        analysis="It needed more memory than this problem allows. Most often a list, a log or a cache grows "
        "and is never trimmed.",
        suggestions=("Limit how much is kept.", "Check that loops that append come to an end."),
    )


def too_many_processes(evidence: Evidence, context: Context) -> Finding | None:
    """More processes than allowed."""
    if evidence.kind != "limit" or evidence.limit != "processes":
        return None
    return Finding(
        category="processes",
        analysis="It started processes faster than they ended, until the judge killed them all.",
        suggestions=("Do not fork, or wait for each child before starting the next one.",),
    )


def left_behind(evidence: Evidence, context: Context) -> Finding | None:
    """Something was still running when the test ended."""
    if evidence.kind != "limit" or evidence.limit != "left_behind":
        return None
    return Finding(
        category="processes",
        analysis="It detached processes that outlive it (by a double fork or setsid). The judge found and killed them; "
        "a solution must end as a whole.",
        suggestions=("Do the work in the process that the judge starts.",),
    )


def flood(evidence: Evidence, context: Context) -> Finding | None:
    """More output than allowed."""
    if evidence.kind != "flood":
        return None
    return Finding(
        category="output_limit",
        analysis="It printed more than this problem allows and was stopped; what is shown is cut. "
        "Most often an endless loop prints something.",
        suggestions=("Remove debugging output from loops.", "Check that loops that print come to an end."),
    )


def file_too_large(evidence: Evidence, context: Context) -> Finding | None:
    """A write beyond RLIMIT_FSIZE: EFBIG, or SIGXFSZ if that is not ignored."""
    if evidence.kind != "exit" or not (
        evidence.exit_code == -signal.SIGXFSZ or _FILE_TOO_LARGE.search(evidence.stderr)
    ):
        return None
    return Finding(
        category="file_size",
        error=f"{evidence.node or 'the program'} wrote a file larger than allowed",
        analysis="A file grew beyond the size that this problem allows.",
        suggestions=("Keep state in memory, or save it through the protocol.",),
    )


def too_much_disk(evidence: Evidence, context: Context) -> Finding | None:
    """More or larger files than allowed."""
    if evidence.kind != "limit" or evidence.limit != "disk":
        return None
    return Finding(
        category="disk",
        analysis=f"It wrote too many or too large files ({evidence.actual}) and was killed.",
        suggestions=(
            "Keep state in memory, or save it through the protocol.",
            "Remove files that are no longer needed.",
        ),
    )


RULES = (too_slow, silent, too_much_memory, too_many_processes, left_behind, flood, file_too_large, too_much_disk)
