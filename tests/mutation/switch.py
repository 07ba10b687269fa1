"""Which mutant a process is, and a switch to it for programs that run without mutmut (`python -I -S`).

mutmut tells it to the process of the tests in a variable. Many processes below get another environment; so the process
of the tests writes it down under its own number (`plugin.py`), and the others look for the numbers of those above them.
"""

import os

TYPE_CHECKING = False  # as in the programs themselves
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

MODULE = ""
"""Replaced by the name of the module that this text is copied into."""
PLACE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
"""The copy of the tree."""
_VARIABLE = "MUTANT_UNDER_TEST"
_known: "dict[int, str]" = {}
_noted: "set[str]" = set()


def under_test() -> str:
    """The mutant of this process; empty if it is none."""
    me = os.getpid()
    if me not in _known:
        _known[me] = os.environ[_VARIABLE] if _VARIABLE in os.environ else _of_those_above(me)
    return _known[me]


def _of_those_above(pid: int) -> str:
    while pid > 1:
        try:
            return _read(f"{PLACE}/under_test/{pid}")
        except OSError:
            pass
        try:
            pid = int(_read(f"/proc/{pid}/stat").rpartition(")")[2].split()[1])
        except OSError:
            break
    return ""


# Not with `open`, which a test of the module around this text may replace.
def _read(path: str) -> str:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.read(descriptor, 4096).decode(errors="replace")
    finally:
        os.close(descriptor)


def note(name: str) -> None:
    """Tell the process of the tests that a function was called: once for each process, but there once for each call."""
    if name not in _noted or os.path.exists(f"{PLACE}/under_test/{os.getpid()}"):
        _noted.add(name)
        descriptor = os.open(f"{PLACE}/under_test/called", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(descriptor, f"{name}\n".encode())
        os.close(descriptor)


def _mutmut_mutated(mutants: "dict[str, Callable[..., Any]]") -> "Callable[..., Callable[..., Any]]":
    """What mutmut puts in front of each function that it changes."""

    def decorated(_function: object) -> "Callable[..., Any]":
        def chosen(*given: object, **named: object) -> "Any":
            module, _, name = under_test().rpartition(".")
            if (module, name) == ("", "stats"):
                note(f"{MODULE}.{mutants['_mutmut_orig'].__name__.removesuffix('__mutmut_orig')}")
            return mutants[name if module == MODULE and name in mutants else "_mutmut_orig"](*given, **named)

        return chosen

    return decorated


MutantDict = dict
