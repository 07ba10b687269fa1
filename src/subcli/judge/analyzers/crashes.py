"""Rules for processes that ended: exceptions, signals, and exits that nobody asked for."""

from __future__ import annotations

import re
import signal

from subcli.judge.analyzers.finding import Context, Finding
from subcli.judge.analyzers.places import place_in
from subcli.judge.evidence import Evidence, Site

_MISSING_MODULE = re.compile(
    r"^ModuleNotFoundError: No module named '([^']+)'|Cannot find module '([^']+)'", re.MULTILINE
)
_IMPORT = re.compile(r"^ImportError: (.+)$", re.MULTILINE)
_LAST_EXCEPTION = re.compile(
    r"^((?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Interrupt|Exit|Iteration|Warning)?)(?:: (.*))?$", re.MULTILINE
)
_REFUSED = re.compile(r"Connection refused|ECONNREFUSED")
_RECURSION = re.compile(r"RecursionError|Maximum call stack size exceeded")
_MEANINGS = {
    signal.SIGSEGV: "it touched memory that is not its own (an index out of bounds, a null or freed pointer)",
    signal.SIGABRT: "it gave up by itself (a failed assert, or a corrupted heap that was noticed)",
    signal.SIGFPE: "an integer was divided by zero",
    signal.SIGILL: "it ran into an instruction that does not exist (often __builtin_unreachable or a broken jump)",
    signal.SIGBUS: "it touched memory that is not there (a misaligned pointer, a shortened file)",
    signal.SIGKILL: "something killed it; the kernel does so where memory is short",
    signal.SIGPIPE: "it wrote to a pipe that nobody read any more",
}


def missing_module(evidence: Evidence, context: Context) -> Finding | None:
    found = _MISSING_MODULE.search(evidence.stderr)
    if found is None:
        return None
    name = found[1] or found[2]
    return Finding(
        category="import_error",
        error=f"there is no module {name!r}",
        analysis="The judge runs solutions with the standard library of their language and the files of the "
        f"submission, and {name!r} is in neither.",
        suggestions=(
            f"If {name!r} is a file of yours, submit it as well.",
            f"If {name!r} is a package, do without it.",
        ),
    )


def import_error(evidence: Evidence, context: Context) -> Finding | None:
    found = _IMPORT.search(evidence.stderr)
    if found is None:
        return None
    return Finding(
        category="import_error",
        error=found[1],
        analysis="A module was found, and the name that is imported from it is not there.",
        suggestions=("Check the name's spelling.", "Check that no file of yours is called like a standard module."),
    )


def refused(evidence: Evidence, context: Context) -> Finding | None:
    if not _REFUSED.search(evidence.stderr):
        return None
    return Finding(
        category="connection_refused",
        error=f"{evidence.node or 'it'} was refused a connection",
        analysis="It tried to open a network connection, and nobody listens there. Nodes reach each other only through "
        "stdin and stdout.",
        suggestions=("Send messages by printing them; the judge carries them.",),
    )


def recursion(evidence: Evidence, context: Context) -> Finding | None:
    if not _RECURSION.search(evidence.stderr):
        return None
    return Finding(
        category="recursion",
        error=f"{evidence.node or 'it'} called itself without end",
        analysis="A function called itself, directly or through others, until the stack was full.",
        suggestions=("Find the case in which the recursion should stop.", "Use a loop."),
    )


def exception(evidence: Evidence, context: Context) -> Finding | None:
    """An exception that nothing caught."""
    if evidence.kind != "exit" or "Traceback (most recent call last)" not in evidence.stderr:
        return None
    after = evidence.stderr.rpartition("Traceback (most recent call last)")[2]
    found = _LAST_EXCEPTION.findall(after)
    if not found:
        return None
    name, text = found[-1]
    place = place_in(after, context)
    return Finding(
        category="exception",
        error=f"{name}: {text}" if text else name,
        analysis=f"{evidence.message}, because of an exception that nothing caught{_at(place, context)}.",
        suggestions=("Read the traceback in the test's output from its end.",),
        location=place,
    )


def by_signal(evidence: Evidence, context: Context) -> Finding | None:
    if evidence.kind != "exit" or evidence.exit_code is None or evidence.exit_code >= 0:
        return None
    try:
        number = signal.Signals(-evidence.exit_code)
    except ValueError:
        return None
    meaning = _MEANINGS.get(number, "the operating system ended it")
    return Finding(
        category="crash",
        error=f"{evidence.node or 'the program'} was killed by {number.name}",
        analysis=f"{number.name}: {meaning}.",
        suggestions=(
            "Build with -g -fsanitize=address,undefined and run it by hand.",
            "Print to stderr where it is; what was printed last is shown with the test.",
        ),
    )


def early_exit(evidence: Evidence, context: Context) -> Finding | None:
    """It ended by itself, without a word."""
    if evidence.kind != "exit":
        return None
    code = evidence.exit_code
    return Finding(
        category="early_exit",
        analysis=f"A node runs until the judge ends it. {evidence.node} ended by itself with exit code {code}"
        + (" as if its work were done." if code == 0 else "."),
        suggestions=(
            "Read stdin until its end, in a loop.",
            "Look for a return, an exit or a loop that ends too soon.",
        ),
    )


def _at(place: Site | None, context: Context) -> str:
    if place is None:
        return ""
    text = context.line_text(place.file, place.line)
    return f" at {place.file}:{place.line}: `{text}`"


RULES = (missing_module, import_error, refused, recursion, exception, by_signal, early_exit)
