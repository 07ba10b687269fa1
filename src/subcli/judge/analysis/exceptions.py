"""Rules for uncaught exceptions and panics, in every language whose runtime prints them."""

from __future__ import annotations

import re

from subcli.judge.analysis.finding import Context, Finding
from subcli.judge.analysis.places import place_in_trace
from subcli.judge.analysis.traces import Trace, read_trace
from subcli.judge.evidence import Evidence

_MODULE = re.compile(r"^ModuleNotFoundError: No module named '([^']+)'|Cannot find module '([^']+)'", re.MULTILINE)
_IMPORT = re.compile(r"^ImportError: (.+)$", re.MULTILINE)

# By exception name without its module: what it most often means, and what to check.
_MEANINGS: dict[str, tuple[str, str]] = {
    "KeyError": (
        "a dictionary does not have this key",
        "Use .get(), or check first that the key is there.",
    ),
    "IndexError": (
        "an index is beyond the end of a sequence",
        "Check the bounds, and what happens with an empty list.",
    ),
    "AttributeError": (
        "a value does not have this attribute; often it is None",
        "Check where the value comes from, and whether it can be None.",
    ),
    "TypeError": (
        "an operation got a value of the wrong type; often it is None or undefined",
        "Check the types of the values in that line.",
    ),
    "NameError": ("a name is used that was never assigned", "Check the spelling, and that it is assigned before."),
    "UnboundLocalError": (
        "a local variable is read before it is assigned",
        "Assign it at the start of the function, or declare it global or nonlocal.",
    ),
    "ReferenceError": ("a name is used that was never declared", "Check the spelling, and that it is declared before."),
    "ValueError": (
        "a value has the right type, but is not valid",
        "Print the value to stderr before that line.",
    ),
    "JSONDecodeError": (
        "text was parsed as JSON that is not JSON",
        "Parse complete lines from stdin, and skip empty ones.",
    ),
    "ZeroDivisionError": ("something was divided by zero", "Check the divisor first."),
    "AssertionError": ("an assertion in the solution failed", "Check the values that it compares."),
    "UnicodeDecodeError": ("bytes were decoded with the wrong encoding", "Read and write UTF-8."),
    "RuntimeError": ("the program itself, or a library, raised it", "The message says why."),
    "StopIteration": ("next() was called on an exhausted iterator", "Pass a default value to next()."),
    "NullPointerException": (
        "a method or field of null was used",
        "Check where the value comes from, and whether it can be null.",
    ),
    "IndexOutOfBoundsException": ("an index is beyond the end of a list", "Check the bounds, and the empty list."),
    "ArrayIndexOutOfBoundsException": ("an index is beyond the end of an array", "Check the bounds."),
    "ArithmeticException": ("an integer was divided by zero", "Check the divisor first."),
    "NumberFormatException": ("text that is not a number was parsed as one", "Print the text to stderr before it."),
    "NoSuchElementException": ("there is no next element; often the input has ended", "Check hasNext() first."),
    "std::out_of_range": ("an index or key is outside its container", "Check the bounds before at()."),
    "std::invalid_argument": ("a value cannot be converted", "Print the value to stderr before it."),
}


def missing_module(evidence: Evidence, context: Context) -> Finding | None:
    """An import of a module that does not exist."""
    found = _MODULE.search(evidence.stderr) if evidence.kind == "exit" else None
    if found is None:
        return None
    name = found[1] or found[2]
    return Finding(
        category="import_error",
        error=f"there is no module {name!r}",
        analysis="The judge runs solutions with the standard library of their language and the files of the "
        f"submission; {name!r} is in neither.",
        suggestions=(
            f"If {name!r} is your own file, submit it as well.",
            f"If {name!r} is a package, solve the problem without it.",
        ),
    )


def import_error(evidence: Evidence, context: Context) -> Finding | None:
    """An import of a name that its module does not have."""
    found = _IMPORT.search(evidence.stderr) if evidence.kind == "exit" else None
    if found is None:
        return None
    return Finding(
        category="import_error",
        error=found[1],
        analysis="The module was found, but it does not have the imported name.",
        suggestions=("Check the spelling.", "Check that none of your files has the name of a standard module."),
    )


def uncaught(evidence: Evidence, context: Context) -> Finding | None:
    """What a runtime printed when an exception, a panic or an assertion ended the program."""
    if evidence.kind not in ("exit", "tap"):
        return None
    trace = read_trace(evidence.stderr, context.runtime)
    if trace is None or trace.at_load:
        return None
    place = place_in_trace(trace, context)
    at = f" at {place.file}:{place.line}" if place else ""
    meaning, advice = _MEANINGS.get(trace.name, ("", "")) if trace.name not in _WITHOUT_NAME else ("", "")
    means = f" {trace.name}: {meaning}." if meaning else ""
    return Finding(
        category="exception",
        error=_symptom(trace),
        analysis=f"{evidence.message}. {_happened(trace)}{at}.{means}",
        suggestions=(advice, "The program's stderr, shown with the test, has all of it.")
        if advice
        else ("Read the program's stderr, which is shown with the test.",),
        location=place,
    )


_WITHOUT_NAME = ("panic", "fatal error", "assert", "heap")


def _symptom(trace: Trace) -> str:
    if trace.name == "assert":
        return f"Assertion failed: {trace.text}"
    if trace.name == "heap":
        return trace.text
    return f"{trace.name}: {trace.text}" if trace.text else trace.name


def _happened(trace: Trace) -> str:
    match trace.name:
        case "panic" | "fatal error":
            return f"The program ended with a {trace.name}"
        case "assert":
            return "An assertion of the program does not hold; abort() ended it with SIGABRT,"
        case "heap":
            return "The C library noticed that the program had damaged its own memory, and ended it"
        case _:
            return "Nothing in the program caught this exception, raised"


RULES = (missing_module, import_error, uncaught)
