"""Rules for processes that ended: sanitizer reports, signals, and early exits."""

from __future__ import annotations

import re
import signal

from subcli.judge.analysis.finding import Context, Finding
from subcli.judge.analysis.places import place_in
from subcli.judge.evidence import Evidence
from subcli.judge.process.text import last_line, shorten

_REFUSED = re.compile(r"Connection refused|ECONNREFUSED")
_RECURSION = re.compile(r"RecursionError|Maximum call stack size exceeded|AddressSanitizer: stack-overflow")
_SANITIZER = re.compile(r"AddressSanitizer: ([\w-]+)")
# With the place before it: `panic: runtime error: …` is Go's.
_UNDEFINED = re.compile(r"^[^\n:]+:\d+:\d+: runtime error: (.+)$", re.MULTILINE)
# The messages of `confine` and, inside a sandbox, of prlimit(1).
_NOT_FOUND = re.compile(
    r"^(?:(.+): command not found|prlimit: failed to execute (.+): No such file or directory)$", re.MULTILINE
)
# Where bubblewrap itself starts the program, this is all that is said, and the code is 1.
_NOT_STARTED = re.compile(r"bwrap: execvp (.+): [^:\n]+\n?\Z")

_SIGNALS = {
    signal.SIGSEGV: "it accessed invalid memory (an index out of bounds, a null or freed pointer)",
    signal.SIGABRT: "it aborted itself (a failed assert, or a corrupted heap was detected)",
    signal.SIGFPE: "an integer was divided by zero",
    signal.SIGILL: "it reached an invalid instruction",
    signal.SIGBUS: "it accessed memory that does not exist (a misaligned pointer, a mapped file that was truncated)",
    signal.SIGKILL: "something killed it from outside; the kernel does so when memory runs out",
    signal.SIGPIPE: "it wrote to a pipe that is no longer read",
    signal.SIGTERM: "another process, or it itself, asked it to end",
}
_MEMORY_FAULTS = {
    "heap-use-after-free": (
        "memory was used after it was freed",
        "Use a block before free(), or set its pointer to NULL.",
    ),
    "heap-buffer-overflow": (
        "memory beyond an allocated block was used",
        "Compare the index with the size.",
    ),
    "stack-buffer-overflow": ("memory beyond a local array was used", "Compare the index with the size."),
    "global-buffer-overflow": ("memory beyond a global array was used", "Compare the index with the size."),
    "attempting": ("a block was freed that is not allocated, or freed twice", "Free each block exactly once."),
    "SEGV": (
        "a null or invalid pointer was dereferenced",
        "Check the pointer for NULL, also if there are no entries or only one.",
    ),
    "stack-use-after-return": (
        "a local variable was used after its function returned",
        "Allocate it on the heap, or copy it.",
    ),
    "stack-use-after-scope": ("a local variable was used after its block ended", "Declare it in the outer block."),
    "out-of-memory": ("more memory was requested than is available", "Check the requested size."),
}


def refused(evidence: Evidence, context: Context) -> Finding | None:
    """A refused network connection."""
    told = evidence.kind in ("exit", "silence", "tap")
    if not told or not _REFUSED.search(evidence.stderr):
        return None
    return Finding(
        category="connection_refused",
        error=f"Connection refused: {evidence.node or 'the program'} tried to use the network",
        analysis="It opened a network connection to where nothing listens. Nodes reach each other only through stdin "
        "and stdout; there is no network between them.",
        suggestions=("Send messages by printing them; the judge delivers them.",),
    )


def recursion(evidence: Evidence, context: Context) -> Finding | None:
    """A stack overflow."""
    if evidence.kind not in ("exit", "tap") or not _RECURSION.search(evidence.stderr):
        return None
    return Finding(
        category="recursion",
        error=f"{evidence.node or 'the program'} recursed without end",
        analysis="A function called itself, directly or indirectly, until the stack was full.",
        suggestions=("Find the case in which the recursion should stop.", "Use a loop instead."),
    )


def sanitizer(evidence: Evidence, context: Context) -> Finding | None:
    """A report of AddressSanitizer or UndefinedBehaviorSanitizer."""
    if found := _SANITIZER.search(evidence.stderr):
        meaning, advice = _MEMORY_FAULTS.get(found[1], ("memory was used in a way that C does not allow", ""))
        error = f"{found[1]} ({meaning})"
    elif found := _UNDEFINED.search(evidence.stderr):
        meaning, advice = (
            f"undefined behaviour: {found[1]}",
            "C does not define what this line does; exclude the case.",
        )
        error = found[1]
    else:
        return None
    place = place_in(evidence.stderr[found.start() :], context)
    where = f" at {place.file}:{place.line} in {place.function or 'the program'}" if place else ""
    return Finding(
        category="memory_error",
        error=error,
        analysis=f"{evidence.message}: {meaning}{where}.",
        suggestions=tuple(filter(None, (advice, "The sanitizer's full report is in the test's output."))),
        location=place,
    )


def not_startable(evidence: Evidence, context: Context) -> Finding | None:
    """The run command names a program that does not exist."""
    if evidence.kind != "exit" or evidence.exit_code not in (1, 126, 127):
        return None
    found = (_NOT_STARTED.match if evidence.exit_code == 1 else _NOT_FOUND.search)(evidence.stderr)
    if found is None and evidence.exit_code != 126:
        return None
    program = found[found.lastindex or 0] if found else "the program"
    return Finding(
        category="not_startable",
        error=f"{program} could not be started",
        analysis="The command that starts the solution failed before any of it ran: "
        + shorten(evidence.stderr.strip(), 300),
        suggestions=("Check that the build creates a program of this name.",),
    )


def by_signal(evidence: Evidence, context: Context) -> Finding | None:
    """Killed by a signal."""
    if evidence.kind != "exit" or evidence.exit_code is None or evidence.exit_code >= 0:
        return None
    try:
        number = signal.Signals(-evidence.exit_code)
    except ValueError:
        return None
    limited = ""
    if evidence.memory_mb and number in (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS):
        limited = (
            f" Its memory is limited to {evidence.memory_mb} MB: an allocation beyond that fails, and malloc() then "
            "returns NULL."
        )
    return Finding(
        category="crash",
        error=f"{evidence.node or 'the program'} was killed by {number.name}",
        analysis=f"{evidence.message}. {number.name}: {_SIGNALS.get(number, 'the system ended it')}.{limited}",
        suggestions=(
            "Run it yourself with the same input, in a debugger or with -fsanitize=address,undefined.",
            "Print its progress to stderr; the last lines are shown with the test.",
        ),
    )


def early_exit(evidence: Evidence, context: Context) -> Finding | None:
    """It ended too early."""
    if evidence.kind != "exit":
        return None
    seen = last_line(evidence.stderr)
    wrote = f" It last wrote to stderr: {seen}" if seen else " It wrote nothing to stderr."
    if evidence.is_node:
        as_if = ", as if it were done" if evidence.exit_code == 0 else ""
        return Finding(
            category="early_exit",
            analysis="A node runs until the judge ends it or its input ends. This one ended earlier, with exit code "
            f"{evidence.exit_code}{as_if}.{wrote}",
            suggestions=(
                "Read stdin until its end, in a loop.",
                "Look for a return, an exit or a loop that ends too early.",
            ),
        )
    if evidence.exit_code == 0:
        return Finding(
            category="early_exit",
            analysis=f"The program ended with exit code 0, as if its work were done.{wrote}",
            suggestions=("Look for a return, an exit or a loop that ends too early.",),
        )
    return Finding(
        category="early_exit",
        analysis=f"The program ended with exit code {evidence.exit_code}.{wrote}",
        suggestions=("Look for a return or an exit with this code.", "End with exit code 0 when the work is done."),
    )


EVIDENT = (refused, recursion, sanitizer, not_startable)
"""Tried before exceptions: they say more than the exception that follows from them."""
ENDS = (by_signal, early_exit)
"""Tried last: they know only that it ended."""
