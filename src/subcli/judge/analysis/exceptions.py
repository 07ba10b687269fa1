"""Rules for uncaught exceptions in Python and JavaScript."""

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

# By exception name without its module: what it most often means, and what to check.
_MEANINGS: dict[str, tuple[str, str]] = {
    "KeyError": (
        "a dictionary does not have this key",
        "Use .get(), or check that the other side really sends this field.",
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
    """An uncaught error as node prints it."""
    found = _JAVASCRIPT.search(evidence.stderr) if evidence.kind in ("exit", "tap") else None
    return _uncaught(found[1], found[2], evidence.stderr, evidence, context) if found else None


def _uncaught(name: str, text: str, trace: str, evidence: Evidence, context: Context) -> Finding:
    place = place_in(trace, context)
    # `__main__.f.<locals>.Odd`: the class name is enough.
    name = name.rpartition(".")[2]
    meaning, advice = _MEANINGS.get(name, ("", ""))
    means = f" {name}: {meaning}." if meaning else ""
    return Finding(
        category="exception",
        error=f"{name}: {text}" if text else name,
        analysis=f"{evidence.message}: an uncaught exception{_at(place)}.{means}",
        suggestions=(advice, "The full traceback is in the test's output.")
        if advice
        else ("Read the traceback in the test's output from the end.",),
        location=place,
    )


def _at(place: Site | None) -> str:
    return f", raised at {place.file}:{place.line}" if place else ""


RULES = (missing_module, import_error, python_exception, javascript_exception)
