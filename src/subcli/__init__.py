"""Submit code, watch it being judged live, and trust the exit code.

The library consists of two functions and the events they yield::

    submission_id = await submit("node.py", problem="leader-election")
    async for event in follow(submission_id):
        print(event.type)

Everything is loaded on first access (PEP 562): importing :mod:`subcli` costs nothing.
"""

from __future__ import annotations

__version__ = "0.2.0"

# Type checkers treat it as true. Importing `typing` would cost as much as the rest of `subcli --version`.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from subcli.core.errors import SubcliError
    from subcli.library import follow, submit
    from subcli.shared.messages import Complete, ErrorAnalysis, StatusUpdate, TestResult, Unknown

__all__ = [
    "Complete",
    "ErrorAnalysis",
    "StatusUpdate",
    "SubcliError",
    "TestResult",
    "Unknown",
    "follow",
    "submit",
]

_HOME = {
    "follow": "library",
    "submit": "library",
    "SubcliError": "core.errors",
    "Complete": "shared.messages",
    "ErrorAnalysis": "shared.messages",
    "StatusUpdate": "shared.messages",
    "TestResult": "shared.messages",
    "Unknown": "shared.messages",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"subcli.{_HOME[name]}"), name)
