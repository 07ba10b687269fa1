"""Rules for processes that ended: sanitizers, signals, and exits that nobody asked for."""

from __future__ import annotations

import re
import signal

from subcli.judge.analysis.finding import Context, Finding
from subcli.judge.analysis.places import place_in
from subcli.judge.evidence import Evidence
from subcli.judge.process.text import shorten

_REFUSED = re.compile(r"Connection refused|ECONNREFUSED")
_RECURSION = re.compile(r"RecursionError|Maximum call stack size exceeded|AddressSanitizer: stack-overflow")
_SANITIZER = re.compile(r"AddressSanitizer: ([\w-]+)")
_UNDEFINED = re.compile(r"^[^\n]*: runtime error: (.+)$", re.MULTILINE)
# As `confine` says it, and as prlimit(1) says it inside of a sandbox.
_NOT_FOUND = re.compile(
    r"^(?:(.+): command not found|prlimit: failed to execute (.+): No such file or directory)$", re.MULTILINE
)

_SIGNALS = {
    signal.SIGSEGV: "it touched memory that is not its own (an index out of bounds, a null or freed pointer)",
    signal.SIGABRT: "it gave up by itself (a failed assert, or a damaged heap that was noticed)",
    signal.SIGFPE: "an integer was divided by zero",
    signal.SIGILL: "it ran into an instruction that does not exist",
    signal.SIGBUS: "it touched memory that is not there (a misaligned pointer, a file that became shorter)",
    signal.SIGKILL: "something killed it from outside; the kernel does so where memory is short",
    signal.SIGPIPE: "it wrote to a pipe that nobody reads any more",
    signal.SIGTERM: "it was asked to end, by another process or by itself",
}
_MEMORY_FAULTS = {
    "heap-use-after-free": (
        "memory was used after it had been freed",
        "Use a block before free(), or set its pointer to NULL.",
    ),
    "heap-buffer-overflow": (
        "memory beyond the end of an allocated block was used",
        "Compare the index with the size.",
    ),
    "stack-buffer-overflow": ("memory beyond the end of a local array was used", "Compare the index with the size."),
    "global-buffer-overflow": ("memory beyond the end of a global array was used", "Compare the index with the size."),
    "attempting": ("something was freed that is not allocated, or freed twice", "Free each block exactly once."),
    "SEGV": (
        "a null or wild pointer was followed",
        "Check the pointer for NULL in the cases of one entry and of none.",
    ),
    "stack-use-after-return": ("a local variable was used after its function had returned", "Allocate it, or copy it."),
    "stack-use-after-scope": ("a local variable was used after its block had ended", "Declare it in the outer block."),
    "out-of-memory": ("more memory was asked for than there is", "Check the size that is asked for."),
}


def refused(evidence: Evidence, context: Context) -> Finding | None:
    """A connection that nobody accepted."""
    told = evidence.kind in ("exit", "silence", "tap")
    if not told or not _REFUSED.search(evidence.stderr):
        return None
    return Finding(
        category="connection_refused",
        error=f"Connection refused: {evidence.node or 'the program'} reached nobody",
        analysis="It opened a network connection, and nobody listens there. Nodes reach each other only through stdin "
        "and stdout; there is no network between them.",
        suggestions=("Send messages by printing them; the judge carries them to their destination.",),
    )


def recursion(evidence: Evidence, context: Context) -> Finding | None:
    """A stack that was used up."""
    if evidence.kind not in ("exit", "tap") or not _RECURSION.search(evidence.stderr):
        return None
    return Finding(
        category="recursion",
        error=f"{evidence.node or 'the program'} called itself without end",
        analysis="A function called itself, directly or through others, until the stack was full.",
        suggestions=("Find the case in which the recursion should stop.", "Use a loop."),
    )


def sanitizer(evidence: Evidence, context: Context) -> Finding | None:
    """A report of AddressSanitizer or UndefinedBehaviorSanitizer."""
    if found := _SANITIZER.search(evidence.stderr):
        meaning, advice = _MEMORY_FAULTS.get(found[1], ("memory was used in a way that C does not allow", ""))
        error = f"{found[1]} ({meaning})"
    elif found := _UNDEFINED.search(evidence.stderr):
        meaning, advice = (
            f"undefined behaviour: {found[1]}",
            "The line does what C leaves undefined; rule the case out.",
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
        suggestions=tuple(filter(None, (advice, "The sanitizer's whole report is in the test's output."))),
        location=place,
    )


def not_startable(evidence: Evidence, context: Context) -> Finding | None:
    """The run command names a program that is not there."""
    if evidence.kind != "exit" or evidence.exit_code not in (126, 127):
        return None
    found = _NOT_FOUND.search(evidence.stderr)
    if found is None and evidence.exit_code == 127:
        return None
    program = (found[1] or found[2]) if found else "the program"
    return Finding(
        category="not_startable",
        error=f"{program} could not be started",
        analysis="The command that starts the solution failed before anything of it ran: "
        + shorten(evidence.stderr.strip(), 300),
        suggestions=("Check that the build leaves a program of this name.",),
    )


def by_signal(evidence: Evidence, context: Context) -> Finding | None:
    """Killed by a signal."""
    if evidence.kind != "exit" or evidence.exit_code is None or evidence.exit_code >= 0:
        return None
    try:
        number = signal.Signals(-evidence.exit_code)
    except ValueError:
        return None
    return Finding(
        category="crash",
        error=f"{evidence.node or 'the program'} was killed by {number.name}",
        analysis=f"{evidence.message}. {number.name}: {_SIGNALS.get(number, 'the operating system ended it')}.",
        suggestions=(
            "Run it by hand with the same input, under a debugger or with -fsanitize=address,undefined.",
            "Print to stderr where it is; what was printed last is shown with the test.",
        ),
    )


def early_exit(evidence: Evidence, context: Context) -> Finding | None:
    """It ended by itself."""
    if evidence.kind != "exit":
        return None
    as_if = ", as if its work were done" if evidence.exit_code == 0 else ""
    return Finding(
        category="early_exit",
        analysis="A solution runs until the judge ends it or its input ends. This one ended before, by itself, with "
        f"exit code {evidence.exit_code}{as_if}, and left no traceback.",
        suggestions=(
            "Read stdin until its end, in a loop.",
            "Look for a return, an exit or a loop that ends too soon.",
        ),
    )


EVIDENT = (refused, recursion, sanitizer, not_startable)
"""Asked before exceptions: they say more than the exception that came of them."""
ENDS = (by_signal, early_exit)
"""Asked last: they know only that it ended."""
