"""Unit tests of a solution's module: the tests run here, the module in a process of its own.

    from subcli.judge.harness import module

    matrix = module("matrix")

    def test_row():
        assert matrix.Matrix("1 2\\n3 4").row(2) == [3, 4]

What a module gives is a `Proxy`; data crosses as itself, so that it is compared here. Methods of the solution's decide
nothing about data of the test's, unless the test asks for that with `trusting=True`.
"""

from __future__ import annotations

import sys
from typing import Any

from subcli.judge.evidence import Evidence
from subcli.judge.harness.crossing import Crossing, renewed
from subcli.judge.harness.faults import Misuse, SolutionFault
from subcli.judge.harness.module_process import ModuleProcess
from subcli.judge.harness.node import NodePlan
from subcli.judge.harness.proxy import Proxy


class Modules:
    """The modules of one run of tests. Between `begin` and `end` they have a process."""

    def __init__(self) -> None:
        self.plan: NodePlan | None = None
        """How the solution is started; a conftest.py runs before it is known."""
        self.trusting = False
        """Whether objects of the solution's may decide how they compare with data."""
        self.is_collecting = False
        self.is_used = False
        """Whether a test has asked for anything yet."""
        self._process: ModuleProcess | None = None
        self._crossing = Crossing(self)
        self._escaped: BaseException | None = None
        """What a function of the test's has raised that the solution must not suppress."""

    def begin(self, *, collecting: bool = False) -> ModuleProcess:
        """Let the modules be used, by a test, or to find exception classes while tests are collected."""
        self.end()
        self.is_collecting = collecting
        assert self.plan is not None
        self._process = ModuleProcess(self.plan)
        self._crossing.begin()
        self._escaped = None
        return self._process

    def end(self) -> None:
        """End the process of the modules."""
        if self._process is not None:
            self._process.close()
            self._process = None

    def request(self, operation: str, /, *arguments: Any, **options: Any) -> Any:
        """Let the solution do something. Returns what came of it, or raises what the solution raised.

        Raises:
            Misuse: The test may not ask for this.
            SolutionFault: The solution did not answer.
        """
        self.is_used = True
        process = self._process
        if self.plan is None:
            raise Misuse("the solution can be used in the tests of a problem only, while the judge runs them")
        if process is None or (self.is_collecting and operation != "value"):
            raise Misuse("the solution can be used while a test runs only, not while tests are collected")
        if not process.is_python:
            raise Misuse("module() needs a solution in Python: name no other language in problem.toml")
        sent = [self._crossing.sent(each) for each in arguments]
        named = {name: self._crossing.sent(each) for name, each in options.items()}
        is_changeable = self.trusting and operation == "call"
        answer = process.exchange({"op": operation, "args": sent, "options": named, "changeable": is_changeable})
        while "call" in answer:
            answer = process.exchange(self._called(process, answer["call"]))
        result = self._received(process, next(answer[key] for key in ("ok", "error", "unloaded") if key in answer))
        if is_changeable:
            renewed([[*arguments], options], self._received(process, answer.get("changed")))
        if self._escaped is not None:
            escaped, self._escaped = self._escaped, None
            raise escaped
        if "ok" in answer:
            return result
        if not isinstance(result, BaseException):
            raise process.unreadable("not an exception")
        # A module that cannot be imported passes no `pytest.raises`; the others would stop pytest.
        if "unloaded" in answer or isinstance(result, KeyboardInterrupt | GeneratorExit):
            raise process.wrong(SolutionFault(self._evidence(result, self._trace(result) or "")))
        raise result

    def _received(self, process: ModuleProcess, sent: Any) -> Any:
        try:
            return self._crossing.decode(sent)
        except Exception as error:
            raise process.unreadable(f"no value: {type(error).__name__}") from None

    def _called(self, process: ModuleProcess, call: Any) -> dict[str, Any]:
        """Call a function of the test's for the solution."""
        try:
            number, sent, named = call
            function = self._crossing.lent(number)
            arguments = [self._received(process, each) for each in sent]
            options = {name: self._received(process, each) for name, each in named.items()}
        except (ValueError, TypeError, LookupError, AttributeError):
            raise process.unreadable("no call") from None
        try:
            return {"returned": self._crossing.sent(function(*arguments, **options))}
        except BaseException as error:
            if isinstance(error, AssertionError | Misuse) or not isinstance(error, Exception):
                self._escaped = self._escaped or error
            return {"raised": self._crossing.sent(error)}

    def evidence_of(self, error: BaseException) -> Evidence | None:
        """What is known about an exception that left a test; None if the solution did not raise it."""
        trace = self._trace(error)
        return None if trace is None else self._evidence(error, trace)

    def _trace(self, error: BaseException) -> str | None:
        return next((trace for raised, trace in self._crossing.traces if raised is error), None)

    def _evidence(self, error: BaseException, trace: str) -> Evidence:
        name, text = type(error).__name__, str(error)
        output = self._process.output() if self._process else ""
        message = f"the solution raised {name}" + (f": {text}" if text else "")
        return Evidence("exit", message, stderr=f"{output.rstrip()}\n{trace}".lstrip())

    def wrong(self, fault: SolutionFault) -> SolutionFault:
        """The running test has failed with this, whatever it does now."""
        return fault if self._process is None else self._process.wrong(fault)


_current = Modules()


def install(plan: NodePlan) -> Modules:
    """Make this solution's modules those that `module` gives, and that tests import as if they were here."""
    _current.plan = plan
    for name in plan.importable:
        sys.modules.setdefault(name, module(name))
    return _current


def module(name: str, *, trusting: bool = False) -> Any:
    """A module of the solution's. It is imported, in its own process, by each test that uses it.

    Args:
        name: Its name. A submission of a single file may call that file as it likes.
        trusting: Let the solution decide how its objects compare and combine with data of the test's (`Money(5) == 5`,
            `3 in Numbers()`, `Complex(1, 2) + 5`), suppress exceptions in its context managers, and change lists, sets
            and dictionaries that it is given. Without it, an object equals no data, so that one with an `__eq__` that
            is always true passes no test. It holds for all tests of the problem.
    """
    _current.trusting |= trusting
    return Proxy(_current, path=(name,), kind="module")
