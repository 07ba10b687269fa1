"""Solutions that forge: whatever their module does, no comparison of a test's with data of its own holds."""

from __future__ import annotations

import json
import re
import unittest
from collections.abc import Callable
from typing import Any

import pytest

from subcli.judge import Job, judge
from subcli.judge.harness import SolutionFault, module
from subcli.judge.harness.crossing import Crossing
from subcli.judge.harness.faults import Misuse
from subcli.judge.harness.module import Modules
from subcli.judge.sandbox.probe import probe
from tests.judge.judging import MakeProblem

LIAR = """
import os, sys
class Liar:
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __lt__(self, other): return True
    __le__ = __gt__ = __ge__ = __contains__ = __lt__
    def __sub__(self, other): return 0
    __rsub__ = __add__ = __radd__ = __abs__ = __sub__
    def __hash__(self): return hash(42)
    __class__ = int
    __enter__ = lambda self: 42
    __exit__ = lambda *_: True
    __reduce__ = lambda self: (eval, ("42",))
    __repr__ = __str__ = lambda self: "42"
class Text(str):
    __eq__ = __contains__ = startswith = lambda *_: True
    __hash__ = str.__hash__
class Meta(type):
    __instancecheck__ = __subclasscheck__ = __eq__ = lambda *_: True
    __hash__ = type.__hash__
class Kind(metaclass=Meta): pass
class Number(int):
    def __eq__(self, other): return True
    def __hash__(self): return 42
    def __sub__(self, other): return 0
"""
ANSWERS = """
import gc, threading, time
def server(): return next(each for each in gc.get_objects() if type(each).__name__ == "Server")
def answers(text):
    for fd in range(3, 64):
        try: os.write(fd, text)
        except OSError: pass
"""
FORGERIES = {
    "lying object": "def f(): return Liar()",
    "lying subclass": "def f(): return Number(1)",
    "lying in a list": "def f(): return [Liar()]",
    "lying type": "f = Liar",
    "printed answer": 'def f(): print(\'{"id": 2, "ok": 42}\'); return 1',
    "exit": "def f(): os._exit(0)",
    "exit while loaded": "os._exit(0)",
    "raise SystemExit": "def f(): raise SystemExit(0)",
    "raise KeyboardInterrupt": "def f(): raise KeyboardInterrupt",
    "raise GeneratorExit": "def f(): raise GeneratorExit",
    "own BaseException": "class B(BaseException): pass\ndef f(): raise B",
    "own KeyboardInterrupt": "class K(KeyboardInterrupt): pass\ndef f(): raise K",
    "pretend to be pytest": "class P(BaseException): pass\nP.__module__ = '_pytest.outcomes'\n"
    "P.__qualname__ = 'Skipped'\ndef f(): raise P",
    "skip": "import unittest\ndef f(): raise unittest.SkipTest('no')",
    "stop iterating": "def f(): raise StopIteration(42)",
    "close everything": "def f(): os.closerange(0, 256); return 42 - 1",
    "write everywhere": ANSWERS + 'def f(): answers(b\'{"id": 99, "ok": 42}\\n\'); return 1',
    "two answers": ANSWERS + 'def f(): answers(b\'{"id": 1, "ok": 1}\\n\' * 2); return 42',
    "no JSON": ANSWERS + "def f(): answers(b'[' * 100_000 + b'\\n'); os._exit(0)",
    "class of the judge's": ANSWERS + 'def f(): answers(b\'{"id": 2, "ok": ["B", "eval"]}\\n\'); os._exit(0)',
    "patch the shim": "m = sys.modules['__main__']\ndef f(): m.OPERATIONS.clear(); return 1",
    "patch builtins": "import builtins\nbuiltins.isinstance = lambda *_: True\nbuiltins.type = Liar\ndef f(): return 1",
    "recursive": "def f():\n a = []\n a.append(a)\n return a",
    "deep": "def f():\n a = []\n for _ in range(5000): a = [a]\n return a",
    "huge text": "def f(): return 'x' * (5 << 20)",
    "huge number": "def f(): return 1 << (1 << 25)",
    "huge output": "def f(): print('x' * (1 << 20)); return 1",
    "kill oneself": "def f(): os.kill(os.getpid(), 9)",
    "second process": "def f(): return 42 - 1 if os.fork() else os._exit(0)",
    "read the stack": "import inspect\n"
    "def f(): return [each.filename for each in inspect.stack() if 'test_' in each.filename]",
    "lying text": "def f(): return Text('no')",
    "lying metaclass": "def f(): return Kind()",
    "pickle": "def f(): return [Liar(), {Liar(): Liar()}]",
    "replace stdout": "class Out:\n write = lambda self, text: exec('raise SystemExit(0)')\n"
    "sys.stdout = sys.stderr = sys.__stdout__ = Out()\ndef f(): print('x')",
    "at exit": ANSWERS + 'import atexit\natexit.register(answers, b\'{"id": 2, "ok": 42}\\n\')\ndef f(): sys.exit(0)',
    "thread that answers": ANSWERS + 'def flood():\n while True: answers(b\'{"id": 9, "ok": 42}\\n\')\n'
    "def f(): threading.Thread(target=flood, daemon=True).start(); time.sleep(0.05); return 1",
    "line without end": ANSWERS + "def f(): answers(b'x' * (5 << 20))",
    "answer later": ANSWERS
    + 'def f():\n if os.fork(): return 1\n answers(b\'{"id": 3, "ok": 42}\\n\' * 99); os._exit(0)',
    "exit hook": "def f(): sys.excepthook = sys.unraisablehook = lambda *_: os._exit(0); raise BaseException",
    "trace": "import threading\nsys.settrace(lambda *_: os._exit(0))\ndef f(): return 1",
    "patch the codec": "import python_values\n"
    "python_values.Values.encode = lambda *_: ['B', 'object']\ndef f(): return 1",
    "signal oneself": "import signal\ndef f(): signal.raise_signal(signal.SIGALRM)",
}
CHECKS: dict[str, Callable[[Any], bool]] = {
    "equal": lambda f: bool(f() == 42),
    "reflected": lambda f: bool(42 == f()),  # noqa: SIM300
    "listed": lambda f: bool(f() == [42]),
    "near": lambda f: bool(abs(f() - 42) < 1e-9) or f() == pytest.approx(42),
    "greater": lambda f: bool(f() > 41.5),
    "contains": lambda f: 42 in f(),
    "instance": lambda f: isinstance(f(), int) and f() == 42,
    "member": lambda f: f() in {42, 43},
    "starts": lambda f: bool(f().startswith("4")) and f() == "42",
    "with": lambda f: _is_left_out(f()),
}


_STOPPING = (
    KeyboardInterrupt,
    GeneratorExit,
    Misuse,
    unittest.SkipTest,
    *(outcome.Exception for outcome in (pytest.skip, pytest.exit, pytest.fail)),
)
"""What would end or skip the tests, or blame their author."""


def _is_left_out(context: Any) -> bool:
    """Whether a solution keeps an assertion from being checked."""
    with context:
        raise ValueError("this cannot be suppressed")
    return True


def _held(used: Modules, call: Callable[[], Any], check: Callable[[Any], bool]) -> bool:
    """Whether a check of a test's passes. Nothing that stops or skips a test, or blames its author, may come of it."""
    process = used.begin()
    try:
        return check(call) and process.fault is None
    except _STOPPING:
        raise
    except BaseException:
        return False


@pytest.mark.thorough
@pytest.mark.parametrize("attempt", FORGERIES)
def test_nothing_is_forged(modules: Callable[..., Modules], attempt: str) -> None:
    """No comparison with data holds, and the judge's process neither ends nor loses its way."""
    used = modules(LIAR + FORGERIES[attempt])
    solution = module("solution")
    first, *others = CHECKS
    assert not _held(used, lambda: solution.f(), CHECKS[first])
    # One process for the rest, unless it has been caught: then every test that uses it has failed.
    process = used.begin()
    for name in others:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(used, "begin", lambda: process)
            assert not _held(used, lambda: solution.f(), CHECKS[name]), name


FRAMES: tuple[Any, ...] = (
    *(
        {},
        {"ok": 41, "error": 41},
        {"ok": 41, "more": 1},
        {"error": 41},
        {"unloaded": 41},
        {"refused": [[]]},
        {"call": 1},
    ),
    *({"call": [0, [], {}]}, {"call": [[], {}, []]}, {"ok": 41, "stdout": [1]}, {"ok": 1.5}),
    {"error": ["x", ["B", "KeyboardInterrupt"], ["t", []], "", 0, ""]},
    {"error": ["x", ["X", "pytest", "Skipped", [["B", "KeyboardInterrupt"]]], ["t", []], "", 0, ""]},
)
VALUES: tuple[Any, ...] = (
    *(1.5, {}, [], ["l"], ["l", 1], ["S", [["l", []]]], ["d", [[1]]], ["i", "z"], ["i", 1], ["N", "no"], ["T", "9"]),
    *(["Q", "1/0"], ["r", "1 2 0"], ["?", 1], ["o", "x", "y"], ["o", 1, 2], ["o", [], "y"], ["k", 0], ["k", "x"]),
    *(
        ["B", "eval"],
        ["B", "__import__"],
        ["B", "__loader__"],
        ["X", "m", "n", []],
        ["X", "os", "system", [["B", "int"]]],
    ),
    *(["X", "decimal", "Decimal", []], ["X", "a", "b", [["l", []]]], ["x", ["B", "int"], ["t", []], "", 0, ""]),
    ["x", ["X", "unittest", "SkipTest", [["X", "unittest", "SkipTest", [["B", "Exception"]]]]], 1, 2, 3, 4],
)
SPEAKER = (
    ANSWERS
    + """
import json, os
def f(frame):
    os.write(server()._answers, json.dumps({"id": server()._last, **json.loads(frame)}).encode() + b"\\n")
    os.close(server()._answers)
    time.sleep(99)
"""
)


@pytest.mark.thorough
def test_frames_are_data(modules: Callable[..., Modules]) -> None:
    """What a solution writes itself, in step with the protocol, is a value or an exception of its own, or a fault."""
    used = modules(SPEAKER)
    solution = module("solution")
    for frame in FRAMES:
        assert not _held(used, lambda: solution.f(json.dumps(frame)), lambda f: bool(f() == 42)), frame  # noqa: B023


def test_what_is_no_value_is_refused(modules: Callable[..., Modules]) -> None:
    """However it is nested; nothing of the judge's own process can be named."""
    crossing = Crossing(modules(""))
    nested: Any = 1
    for _ in range(200):
        nested = ["l", [nested]]
    for value in (*VALUES, nested):
        for sent in (value, ["t", [value]], ["d", [[1, value]]]):
            with pytest.raises((ValueError, TypeError, LookupError, AttributeError, ArithmeticError)):
                crossing.decode(sent)


def test_only_functions_that_were_passed_are_called(modules: Callable[..., Modules]) -> None:
    """By their number."""
    modules(SPEAKER + "def g(function, number): return server()._call_test(number, (), {})")
    solution = module("solution")
    assert solution.g(lambda: 3, 0) == 3
    with pytest.raises(SolutionFault, match="no call"):
        solution.g(lambda: 3, 7)


SECRET = "hush-hush-4711"
SANDBOXED = f"""
import pytest
import node

@pytest.mark.parametrize("name", {{NAMES}})
def test_forges(name):
    assert getattr(node, name)() == "{SECRET}"

def test_honest():
    assert node.honest() == 3
"""
ATTACKER = """
import os, signal
def honest(): return 3
def kill_everybody():
    for pid in (-1, os.getppid(), 1):
        try: os.kill(pid, signal.SIGKILL)
        except OSError: pass
    return "killed"
def kill_the_group(): os.killpg(0, signal.SIGKILL)
def stop(): os.kill(os.getpid(), signal.SIGSTOP)
def read_the_tests():
    for here, _, names in os.walk("/"):
        if here.startswith(("/proc", "/sys", "/usr", "/lib", "/bin", "/opt")): continue
        for name in names:
            try:
                with open(os.path.join(here, name), "rb") as file: text = file.read(1 << 20)
            except OSError: continue
            if b"hush-hush" in text and b"kill_everybody" not in text: return "GAINED " + os.path.join(here, name)
    return "nothing"
def read_the_judge():
    for pid in os.listdir("/proc"):
        try:
            with open(f"/proc/{pid}/cmdline") as file: text = file.read()
        except OSError: continue
        if "pytest" in text: return "GAINED " + text
    return "nothing"
def write_everywhere():
    for pid in os.listdir("/proc"):
        for fd in range(16):
            try: descriptor = os.open(f"/proc/{pid}/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK)
            except OSError: continue
            try: os.write(descriptor, b'{"id": 2, "ok": 41}\\n')
            except OSError: pass
    return "written"
def leave_a_daemon():
    if os.fork() == 0:
        os.setsid()
        while True: write_everywhere()
    return "left"
"""


@pytest.mark.thorough
async def test_nothing_is_forged_in_a_sandbox(tiny: MakeProblem) -> None:
    """By what it does to processes and files around it; and the tests after each attempt are judged as if alone."""
    found = probe(cpus=1.0)
    if found.starter is None:
        pytest.skip(f"no sandbox: {found.reason}")
    names = re.findall(r"^def (?!honest)(\w+)", ATTACKER, re.MULTILINE)
    problem = tiny(SANDBOXED.format(NAMES=names))
    job = Job(problem, "python", {"node.py": ATTACKER})
    events = [event async for event in judge(job, starter=found.starter)]
    results = [event for event in events if event["type"] == "test_result"]
    assert [event["status"] for event in results] == [*("failed" for _ in names), "passed"]
    assert "GAINED" not in str(events)
