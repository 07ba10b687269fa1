"""Rules for exceptions that nothing caught, in Python and JavaScript."""

from __future__ import annotations

import re

from subcli.judge.analysis.finding import Context, Finding
from subcli.judge.analysis.places import place_in
from subcli.judge.evidence import Evidence, Site

_PYTHON_START = "Traceback (most recent call last)"
_PYTHON_END = re.compile(r"^([A-Za-z_][\w.<>]*)(?:: (.*))?$", re.MULTILINE)
_JAVASCRIPT = re.compile(r"^(?:Uncaught )?([A-Z]\w*(?:Error|Exception))(?: \[\w+\])?: (.*)$", re.MULTILINE)
_MODULE = re.compile(r"^ModuleNotFoundError: No module named '([^']+)'|Cannot find module '([^']+)'", re.MULTILINE)
_IMPORT = re.compile(r"^ImportError: (.+)$", re.MULTILINE)

# What an exception most often means, and what to look at. By the last part of its name.
_MEANINGS: dict[str, tuple[str, str]] = {
    "KeyError": (
        "a mapping was asked for a key that it does not have",
        "Use .get(), or check that the other side really sends this field.",
    ),
    "IndexError": (
        "a sequence was asked for a place beyond its end",
        "Check the bounds, and the case of an empty list.",
    ),
    "AttributeError": (
        "a value was asked for something that it does not have; often it is None",
        "Look at where the value comes from, and whether it can be None.",
    ),
    "TypeError": (
        "an operation met a value of the wrong kind; often one that is None or undefined",
        "Look at the kinds of the values in that line.",
    ),
    "NameError": ("a name is used that was never given a value", "Check the spelling, and that it is assigned before."),
    "UnboundLocalError": (
        "a variable of the function is read before it was assigned on this path",
        "Assign it at the beginning of the function, or declare it global or nonlocal.",
    ),
    "ReferenceError": ("a name is used that was never declared", "Check the spelling, and that it is declared before."),
    "ValueError": (
        "a value has the right kind and cannot be used all the same",
        "Print the value to stderr before it.",
    ),
    "JSONDecodeError": (
        "something was read as JSON that is not JSON",
        "Read whole lines from stdin, and only lines that are not empty.",
    ),
    "ZeroDivisionError": ("something was divided by zero", "Check the divisor first."),
    "AssertionError": ("an assertion of the solution's own does not hold", "Look at what it says about its values."),
    "UnicodeDecodeError": ("bytes were read as text in the wrong encoding", "Read and write UTF-8."),
    "RuntimeError": ("the program itself, or a library, refused to go on", "The message says why."),
    "StopIteration": ("next() was called on an iterator at its end", "Give next() a default value."),
}


def missing_module(evidence: Evidence, context: Context) -> Finding | None:
    """An import of something that is not there."""
    found = _MODULE.search(evidence.stderr) if evidence.kind == "exit" else None
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
    """A module that is there and lacks a name."""
    found = _IMPORT.search(evidence.stderr) if evidence.kind == "exit" else None
    if found is None:
        return None
    return Finding(
        category="import_error",
        error=found[1],
        analysis="A module was found, and the name that is imported from it is not there.",
        suggestions=("Check the name's spelling.", "Check that no file of yours is called like a standard module."),
    )


def python_exception(evidence: Evidence, context: Context) -> Finding | None:
    """A traceback at the end of a Python program."""
    if evidence.kind not in ("exit", "tap") or _PYTHON_START not in evidence.stderr:
        return None
    after = evidence.stderr.rpartition(_PYTHON_START)[2]
    found = [match for match in _PYTHON_END.findall(after) if not match[0].startswith("During")]
    if not found:
        return None
    name, text = found[-1]
    return _uncaught(name, text, after, evidence, context)


def javascript_exception(evidence: Evidence, context: Context) -> Finding | None:
    """What node prints of an uncaught error."""
    found = _JAVASCRIPT.search(evidence.stderr) if evidence.kind in ("exit", "tap") else None
    return _uncaught(found[1], found[2], evidence.stderr, evidence, context) if found else None


def _uncaught(name: str, text: str, trace: str, evidence: Evidence, context: Context) -> Finding:
    place = place_in(trace, context)
    # `__main__.f.<locals>.Odd`: where a class was made says nothing here.
    name = name.rpartition(".")[2]
    meaning, advice = _MEANINGS.get(name, ("", ""))
    means = f" {name}: {meaning}." if meaning else ""
    return Finding(
        category="exception",
        error=f"{name}: {text}" if text else name,
        analysis=f"{evidence.message}: an exception that nothing caught{_at(place)}.{means}",
        suggestions=(advice, "The whole traceback is in the test's output.")
        if advice
        else ("Read the traceback in the test's output from its end.",),
        location=place,
    )


def _at(place: Site | None) -> str:
    return f", raised at {place.file}:{place.line}" if place else ""


RULES = (missing_module, import_error, python_exception, javascript_exception)
