"""Unit tests of a solution's module: what crosses, and what is shown of what goes wrong."""

from __future__ import annotations

import copy
import re
import struct
import time
import types
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from math import copysign, inf, isnan, nan
from pathlib import Path
from typing import Any
from unittest import mock
from zoneinfo import ZoneInfo

import pytest

from subcli.judge.harness import SolutionFault, Violation, module
from subcli.judge.harness.faults import Misuse
from subcli.judge.harness.module import Modules
from subcli.judge.harness.proxy import Proxy
from tests.judge.judging import MakeProblem, Run

SOLUTION = """
import collections, datetime, decimal, enum, fractions, re, struct, os, sys, threading

class Error(Exception):
    def __init__(self, message, code=0):
        super().__init__(message)
        self.code = code

class Inner(Error, ValueError):
    pass

class Point:
    ORIGIN = 0
    def __init__(self, x, y=0):
        self.x, self.y = x, y
    @property
    def norm(self): return abs(self.x) + abs(self.y)
    def __eq__(self, other): return isinstance(other, Point) and (self.x, self.y) == (other.x, other.y)
    def __hash__(self): return hash((self.x, self.y))
    def __add__(self, other): return Point(self.x + getattr(other, "x", other), self.y)
    def __iter__(self): return iter((self.x, self.y))
    def __len__(self): return 2
    def __str__(self): return f"({self.x}, {self.y})"
    def __enter__(self): return self
    def __exit__(self, *_): self.x = -1; return True

class Color(enum.IntEnum):
    RED = 1

class Suppressing:
    def __enter__(self): return self
    def __exit__(self, kind, error, trace): self.error = error; return True

class Text(str): pass
SIZE = 3
NAME = "n"
def same(value, **options): return value
def of(name): return eval(name, globals())
def fail(kind, *args):
    print("about to fail")
    raise kind(*args)
def change(given, more=[]):
    before = list(given[0])
    more.append(0)
    given[0].sort()
    given[1]["a"].append(1)
    given[1]["b"] = 2
    given[2].remove(5)
    given[2].add(6)
    given.append("new")
    return before
def apply(function, *args, **options): return function(*args, **options)
def swallow(function):
    try: function()
    except BaseException: pass
    return 3
def in_thread(function, *args):
    found = []
    thread = threading.Thread(target=lambda: found.append(function(*args)))
    thread.start()
    thread.join()
    return found
texts = []
def later(function):
    def wait():
        while not texts:
            try: function()
            except RuntimeError as error: texts.append(str(error))
    threading.Thread(target=wait).start()
def fail_own(): raise Inner("inside", 7)
def count():
    number = 0
    while True:
        yield number
        number += 1
"""


VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -5, 2**53, -(2**5000), 1.5, -inf, 2 + 3j, "", "é\n", "\ud800x", "\ud83d\ude00", "😀"),
    *(
        b"\0\xff",
        bytearray(b"a"),
        range(1, 9, 2),
        [],
        [1, [2, (3,)]],
        (),
        (1, "a"),
        set(),
        {1, "a", (2, 3)},
        frozenset({1}),
        {},
    ),
    *({"a": 1, (1, 2): [3], None: {}, 2.5: b""}, date(2024, 2, 29), datetime(2024, 1, 2, 3, 4, 5, 6)),
    *(datetime(2024, 1, 2, tzinfo=UTC), timedelta(days=-1, microseconds=5), Decimal("1.10"), Fraction(-1, 3)),
)


def test_values_cross_as_data(modules: Callable[..., Modules]) -> None:
    """There and back they are equal and of the same type."""
    modules(SOLUTION)
    matrix = module("matrix")
    for value in VALUES:
        back = matrix.same(value)
        assert type(back) is type(value)
        assert back == value
    assert isnan(matrix.same(nan))
    assert copysign(1, matrix.same(-0.0)) == -1
    for kind in (int, type, range, property, KeyError):
        assert matrix.same(kind) is kind
    for refused in (object(), [object()], Path):
        with pytest.raises(Misuse, match="cannot be passed to the solution"):
            matrix.same(refused)


def test_any_name_can_be_that_of_an_argument(modules: Callable[..., Modules]) -> None:
    """Whatever the functions on the way call their own."""
    modules(SOLUTION + "def named(**options): return options\nclass Named(Exception):\n"
            "    def __init__(this, /, **options): super().__init__(sorted(options))\n")  # fmt: skip
    matrix = module("matrix")
    names = ("self", "cls", "operation", "arguments", "options", "function", "op", "args", "id", "number", "process")
    options = dict.fromkeys(names, 1)
    assert matrix.named(**options) == options
    assert matrix.apply(lambda **given: given, **{name: 1 for name in names if name != "function"})
    assert matrix.Named(**options).args == (sorted(names),)


def test_objects_stay_in_the_solution(modules: Callable[..., Modules]) -> None:
    """Attributes, operators, iteration, contexts, classes and identity work as on the object itself."""
    used = modules(SOLUTION)
    matrix = module("matrix")
    point = matrix.Point(1, y=2)
    assert (point.x, point.norm, str(point), len(point), list(point)) == (1, 3, "(1, 2)", 2, [1, 2])
    point.x = 5
    assert point == matrix.Point(5, 2)
    assert point != matrix.Point(5, 3)
    assert len({point, matrix.Point(5, 2)}) == 1
    assert point + point == matrix.Point(10, 2)
    assert matrix.same([point])[0] is point
    assert isinstance(point, matrix.Point)
    assert not isinstance(5, matrix.Point)
    assert issubclass(matrix.Inner, matrix.Error)
    assert matrix.SIZE == 3
    late: Any = Proxy(used, path=("matrix", "NAME"), kind="NAME")
    assert {late: 1, matrix.Text("t"): 2} == {"n": 1, "t": 2}
    assert {"n": 3}[late] == 3
    assert matrix.Color.RED == 1
    assert matrix.Color.RED + 1 == 2
    assert matrix.of("collections.Counter('aab')") == {"a": 2, "b": 1}
    assert (vars(point), matrix.Point.__name__) == ({"x": 5, "y": 2}, "Point")
    numbers = matrix.count()
    assert [next(numbers), next(numbers)] == [0, 1]
    with point as entered:
        assert entered is point
    assert point.x == -1
    with pytest.raises(AttributeError, match="missing"):
        _ = point.missing


def test_exceptions_cross(modules: Callable[..., Modules]) -> None:
    """Built-in ones as themselves, those of the solution's as classes that `pytest.raises` takes."""
    used = modules(SOLUTION)
    matrix = module("matrix")
    with pytest.raises(ValueError, match="why") as caught:
        matrix.fail(ValueError, "why", 3)
    assert type(caught.value) is ValueError
    assert caught.value.args == ("why", 3)
    evidence = used.evidence_of(caught.value)
    assert evidence is not None
    assert 'main.py", line' in evidence.stderr
    assert "about to fail" in evidence.stderr
    assert "python_module.py" not in evidence.stderr
    own: pytest.ExceptionInfo[Any]
    with pytest.raises(matrix.Error, match="inside") as own:
        matrix.fail_own()
    assert type(own.value) is matrix.Inner
    assert (own.value.args, own.value.code) == (("inside",), 7)
    assert isinstance(own.value, ValueError)
    for text, kind in (("struct.unpack('i', b'')", struct.error), ("re.compile('(')", re.error)):
        with pytest.raises(kind):
            matrix.of(text)
    with pytest.raises(UnicodeDecodeError):
        matrix.of("b'\\xff'.decode()")
    with pytest.raises(SystemExit):
        matrix.fail(SystemExit, 3)


def test_data_decides_what_equals_data(modules: Callable[..., Modules]) -> None:
    """The solution decides only where the test trusts it."""
    used = modules(SOLUTION)
    matrix = module("matrix")
    assert matrix.Point(3) != 3
    for mistake in (lambda: matrix.Point(1) + 2, lambda: 1 in matrix.Point(1), lambda: matrix.Point(1) < 2):
        used.begin()
        with pytest.raises(Violation, match="an object of its class 'Point'"):
            mistake()
    used.begin()
    assert module("matrix", trusting=True).Point(1) + 2 == matrix.Point(3)
    assert 1 in matrix.Point(1)
    with matrix.Suppressing() as context:
        raise KeyError("which the solution may suppress")
    assert type(context.error) is KeyError
    with pytest.raises(AssertionError), matrix.Suppressing():
        raise AssertionError("which it may not")


def test_arguments_change_where_the_solution_is_trusted(modules: Callable[..., Modules]) -> None:
    """In place, however deep; otherwise what a test passes stays what it is."""
    modules(SOLUTION)
    row = [2, 1]
    given: list[Any] = [row, {"a": [0]}, {5}]
    for trusting in (False, True):
        change = module("matrix", trusting=trusting).change
        if trusting:
            options = {"more": [1]}
            assert change(given, **options) == [2, 1]
            assert options == {"more": [1, 0]}
            assert row == [1, 2]
            assert given == [row, {"a": [0, 1], "b": 2}, {6}, "new"]
            assert given[0] is row
        else:
            change(given)
            assert given == [[2, 1], {"a": [0]}, {5}]


def test_nothing_is_suppressed_unasked(modules: Callable[..., Modules]) -> None:
    """Or a solution could leave out the rest of a block by raising something itself."""
    modules(SOLUTION)
    with pytest.raises(KeyError), module("matrix").Suppressing():
        raise KeyError("out")


def test_functions_of_the_test_are_called_here(modules: Callable[..., Modules]) -> None:
    """With data and objects, again and again, by any thread, and they stay the same."""
    modules(SOLUTION)
    matrix = module("matrix")
    assert matrix.apply(lambda a, b=0: [a, b], {1}, b=2) == [{1}, 2]
    assert matrix.apply(lambda point: point.x, matrix.Point(4)) == 4
    assert matrix.apply(len, "four") == 4
    assert matrix.apply(matrix.apply, matrix.same, 5) == 5
    assert matrix.apply(lambda: matrix.apply(lambda: matrix.same(6))) == 6
    assert matrix.apply(lambda: lambda: 7)() == 7
    assert matrix.in_thread(lambda a: a * 2, 4) == [8]
    assert matrix.same(test_values_cross_as_data) is test_values_cross_as_data


def test_names_in_the_solution_can_be_patched(modules: Callable[..., Modules]) -> None:
    """By `monkeypatch` and by `mock`, for the test; what the solution imports as well."""
    modules("import random\ndef ask(): return int(input('? ')) + random.randint(1, 6)\n")
    asking = module("asking")
    with pytest.MonkeyPatch.context() as patch, mock.patch.object(asking.random, "randint", return_value=3) as dice:
        patch.setattr(asking, "input", lambda prompt: "4", raising=False)
        assert asking.ask() == 7
    dice.assert_called_once_with(1, 6)
    with pytest.raises(EOFError):
        asking.ask()


def test_the_solution_cannot_make_the_test_nest_too_deeply(modules: Callable[..., Modules]) -> None:
    """What it may return, a test may pass on in a value of its own."""
    modules("def deep():\n a = 1\n for _ in range(100): a = [a]\n return a\ndef count(a): return len(str(a))")
    solution = module("any")
    assert solution.count([(solution.deep(),)]) == 206
    value: Any = 1
    for _ in range(300):
        value = [value]
    with pytest.raises(Misuse, match="more than 200 levels"):
        solution.count(value)


def test_a_function_called_too_late_is_refused(modules: Callable[..., Modules]) -> None:
    """By a thread that goes on when the test no longer waits; the protocol stays in step."""
    modules(SOLUTION)
    matrix = module("matrix")
    matrix.later(lambda: 0)
    while not matrix.texts:
        time.sleep(0.01)
    assert "only while the test waits" in matrix.texts[0]


class Own(Exception):
    """An exception of a test's."""


def test_exceptions_of_the_test_come_back(modules: Callable[..., Modules]) -> None:
    """The same object; and a failed assertion in a function of the test's fails the test, whoever catches it."""
    modules(SOLUTION)
    matrix = module("matrix")
    own = Own("mine", object())

    def fail(error: BaseException) -> None:
        raise error

    with pytest.raises(Own) as caught:
        matrix.apply(fail, own)
    assert caught.value is own
    assert matrix.same(own) is own
    assert matrix.swallow(lambda: fail(own)) == 3
    with pytest.raises(AssertionError, match="wrong"):
        matrix.swallow(lambda: fail(AssertionError("wrong")))
    with pytest.raises(Misuse):
        matrix.swallow(lambda: object())
    assert matrix.same(1) == 1


def test_what_is_printed_can_be_captured(modules: Callable[..., Modules], capsys: pytest.CaptureFixture[str]) -> None:
    """By `capsys`, in order with what the test's own functions print; and it is shown with a failure."""
    process = modules(SOLUTION).begin()
    matrix = module("matrix")
    matrix.of("print('one', file=sys.stderr) or print('two', end='') or print('\\ud800')")
    matrix.apply(lambda: print("three"))
    assert capsys.readouterr() == ("two\\ud800\nthree\n", "one\n")
    assert process.output() == "one\ntwo\\ud800\n"


def test_a_module_that_cannot_be_imported_passes_no_raises(modules: Callable[..., Modules]) -> None:
    """Whatever it raises."""
    used = modules("raise ValueError('which a test expects of a function')")
    with pytest.raises(SolutionFault, match="raised ValueError: which"):
        module("any").f()
    used.begin(collecting=True)
    assert module("any").f is not None


FAULTS = {
    "loop": ("while True: pass", "did not answer within 0.5 s", 'main.py", line 3 in f'),
    "sleep": ("time.sleep(99)", "did not answer within 0.5 s", 'main.py", line 3 in f'),
    "exit": ("print('last words'); os._exit(7)", "exited with code 7 while a test used it", "last words"),
    "killed": ("os.kill(os.getpid(), 9)", "was killed by signal 9", ""),
    "close": ("os.closerange(3, 99)", "exited with code 1", "Bad file descriptor"),
    "flood": ("while True: print('x' * 10_000)", "printed more than 64 KB on its output", ""),
    "huge": ("return 'x' * (5 << 20)", "returned a value of more than 4 MB", ""),
    "deep": ("a = []\n for _ in range(500): a = [a]\n return a", "nested more than 100 levels deep", ""),
    "interrupt": ("raise KeyboardInterrupt", "the solution raised KeyboardInterrupt", "main.py"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_explained(modules: Callable[..., Modules], name: str) -> None:
    """And a test that catches them has failed all the same."""
    line, message, shown = FAULTS[name]
    used = modules(
        f"import os, time\ndef f():\n {line}\ndef g(): pass\n", answer_seconds=0.5 if "0.5 s" in message else 20
    )
    process = used.begin()
    with pytest.raises(SolutionFault, match=message):
        module("any").f()
    assert process.fault is not None
    assert shown in process.fault.evidence.stderr
    with pytest.raises(SolutionFault, match=message):
        module("any").g()


def test_limits_of_python_are_exceptions(modules: Callable[..., Modules]) -> None:
    """Deep recursion and too much memory reach the test as what Python raises, with the lines of the solution."""
    used = modules("def f(n): return f(n + 1)\ndef g(): return 'x' * (1 << 60)\n")
    for name, kind in (("f", RecursionError), ("g", MemoryError)):
        with pytest.raises(kind) as caught:
            getattr(module("any"), name)(*([0] if name == "f" else []))
        evidence = used.evidence_of(caught.value)
        assert evidence is not None
        assert 'main.py", line' in evidence.stderr


def test_what_the_author_cannot_do_is_said(modules: Callable[..., Modules]) -> None:
    """In words that name the way out."""
    used = modules(SOLUTION)
    matrix = module("matrix")
    point = matrix.Point(1)
    with pytest.raises(Misuse, match="cannot be derived"):
        types.new_class("Derived", (matrix.Point,))
    with pytest.raises(TypeError, match="cannot be copied"):
        copy.deepcopy(point)
    with pytest.raises(Misuse, match="time zone"):
        matrix.same(datetime(2024, 1, 1, tzinfo=ZoneInfo("Europe/Berlin")))
    used.begin()
    with pytest.raises(Misuse, match="belongs to a test that has ended"):
        matrix.same(point)
    used.begin(collecting=True)
    assert issubclass(matrix.Inner, ValueError)
    assert matrix.missing is not None
    assert (matrix.SIZE, type(matrix.SIZE), matrix.NAME) == (3, int, "n")
    with pytest.raises(Misuse, match="not while tests are collected"):
        matrix.same(1)
    with pytest.raises(Misuse, match=r"import \*"):
        _ = matrix.__all__
    used.end()
    with pytest.raises(Misuse, match="while a test runs only"):
        matrix.same(1)
    used.plan = None
    with pytest.raises(Misuse, match="while the judge runs them"):
        matrix.same(1)


TESTS = """
import unittest
import pytest
import node
from node import BadPoint, Point, missing, shout

class PointTest(unittest.TestCase):
    def test_moves(self):
        for x in (1, 2):
            with self.subTest(x=x):
                self.assertEqual(Point(x).moved(1), x + 1)
    def test_refuses(self):
        with self.assertRaisesRegex(BadPoint, "too far"):
            Point(1).moved(99)

def test_prints(capsys):
    shout("a")
    assert capsys.readouterr().out == "A\\n"
def test_has_what_is_missing():
    assert missing() == 3
def test_gives_a_number():
    assert node.nothing().bit_length() == 2
def test_cannot_hide_that_it_died():
    with pytest.raises(Exception):
        node.die()
@pytest.mark.parametrize("word", ["a", "b"])
def test_says(word):
    assert node.say() == word
"""
LEARNER = """
class BadPoint(Exception): pass
class Point:
    def __init__(self, x): self.x = x
    def moved(self, by):
        if by > 9: raise BadPoint("too far away")
        return self.x + by if self.x == 1 else 0
def shout(text): print(text.upper())
def nothing(): return None
def die(): import os; os._exit(0)
def say(): return "a"
"""


@pytest.mark.thorough
async def test_tests_import_the_solution_by_its_name(tiny: MakeProblem, run: Run) -> None:
    """Tests that were written for something else run as they are, and each shows what was wrong."""
    judged = await run(tiny(TESTS), LEARNER)
    found = {event["test_id"].rpartition("::")[2]: event for event in judged.of("test_result")}
    assert [name for name, event in found.items() if event["status"] == "passed"] == [
        "test_refuses",
        "test_prints",
        "test_says[a]",
    ]
    assert {event["status"] for event in found.values()} == {"passed", "failed"}
    assert judged.verdict == "failed"
    messages = {event["test_id"].rpartition("::")[2]: event["error"] for event in judged.of("error_analysis")}
    assert "0 != 3" in messages["test_moves"]
    assert "has no attribute 'missing'" in messages["test_has_what_is_missing"]
    assert "'NoneType' object has no attribute 'bit_length'" in messages["test_gives_a_number"]
    assert "exited with code 0 while a test used it" in messages["test_cannot_hide_that_it_died"]


async def test_a_mistake_of_the_author_is_no_failure(tiny: MakeProblem, run: Run) -> None:
    """What cannot cross is the judge's error, even where a test uses the solution."""
    problem = tiny("import node\ndef test_a(): node.same(object())")
    # A conftest.py runs before anything is known of the solution.
    text = "from subcli.judge.harness import module\nmodule('node', trusting=True)"
    (problem.root / "tests" / "conftest.py").write_text(text)
    judged = await run(problem, "def same(value): return value")
    assert judged.verdict == "error"
    assert "cannot be passed to the solution" in judged.of("test_result")[0]["message"]


def test_the_file_of_a_module(modules: Callable[..., Modules]) -> None:
    """A submission of a single file may call it as it likes; one of several has each where it belongs."""
    used = modules("NAME = __name__")
    assert module("any").NAME == "any"
    assert used.plan is not None
    directory = Path(used.plan.start.directory)
    (directory / "shapes.py").write_text("class Square: side = 3\n")
    used.begin()
    assert module("shapes").Square.side == 3
    assert module("main").NAME == "main"
    with pytest.raises(SolutionFault, match="No module named 'colors'"):
        _ = module("colors").RED
    used.plan = replace(used.plan, command=("/usr/bin/python3", "-X", "utf8", "main.py", "--tests"))
    used.begin()
    assert module("main").NAME == "main"
    used.plan = replace(used.plan, command=("./main",))
    used.begin()
    with pytest.raises(Misuse, match="a solution in Python"):
        _ = module("main").NAME
