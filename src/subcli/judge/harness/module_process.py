"""The process in which a solution's module lives while a test runs, and what is asked of it.

It is started like a node, by the first thing that a test asks of the module, and ended with the test. It answers one
request at a time. Everything that it can do wrong becomes a `SolutionFault`, which is kept: the test has failed then,
even if it catches that exception.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from subcli.judge.evidence import Evidence
from subcli.judge.harness.faults import OutputFlood, SolutionFault, Violation
from subcli.judge.harness.node import Node, NodePlan
from subcli.judge.harness.switchboard import Switchboard
from subcli.judge.languages.language import SHIMS

_SHIM = SHIMS / "python_module.py"
_MAX_ANSWER = 4 * 1024 * 1024
_MAX_ANSWERS = 64 * 1024 * 1024
"""Of all answers in a test, in bytes: what a test collects from an endless iterator is held by the judge."""


class ModuleProcess:
    """A process of the solution that answers requests."""

    def __init__(self, plan: NodePlan) -> None:
        self.fault: SolutionFault | None = None
        """The first thing that it did wrong."""
        self._plan = plan
        self._board = Switchboard()
        self._node: Node | None = None
        self._number = 0

    @property
    def is_python(self) -> bool:
        """Whether the solution is written in Python."""
        return bool(self._source)

    @property
    def _source(self) -> str:
        own = (word for word in self._plan.command if word.endswith(".py") and not word.startswith(str(SHIMS)))
        return next(own, "")

    def exchange(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Send a request, or what came of a call, and wait for the answer.

        Args:
            message: It is sent as JSON.

        Returns:
            The answer as it was sent: `ok` with a value; `error` with an exception, or `unloaded` if importing the
            module raised it; or `call` with a function of the test's and its arguments. With it perhaps `changed`, the
            arguments as they are now.

        Raises:
            SolutionFault: There is no answer, or one that cannot be read.
        """
        if self.fault is not None:
            raise self.fault
        node = self._started()
        self._number += 1
        node.unsent += json.dumps({"id": self._number, **message}).encode() + b"\n"
        before = node.printed
        late = self._board.exchange([node], lambda node: self._has_answered(node, before), self._plan.answer_seconds)
        if not node.lines:
            self._no_answer(node, is_late=bool(late))
        return self._read(node, node.lines.popleft())

    def output(self) -> str:
        """What the solution printed, on stdout and stderr."""
        if self._node is None:
            return ""
        if not self._node.closed:
            self._node.drain_log()
        return self._node.log.text()

    def close(self) -> None:
        """End the process."""
        if self._node is not None and not self._node.closed:
            self._board.remove(self._node)
            self._node.kill()
        self._board.close()

    def wrong(self, fault: SolutionFault) -> SolutionFault:
        """Remember that the solution has done something wrong. Returns the first such thing, to be raised."""
        self.fault = self.fault or fault
        return self.fault

    def unreadable(self, why: str) -> SolutionFault:
        """What to raise for an answer that is not one."""
        message = f"the process of the solution sent an answer that is {why}; only the judge's own code writes them"
        return self.wrong(SolutionFault(Evidence(kind="bad_line", message=message, stderr=self.output())))

    # -- its pipes

    def _started(self) -> Node:
        if self._node is None:
            command = (self._plan.command[0], "-s", "-S", str(_SHIM), self._source)
            plan = replace(self._plan, command=command)
            self._node = Node("the solution", plan)
            self._board.add(self._node)
        return self._node

    def _has_answered(self, node: Node, before: int) -> bool:
        if node.log.total > self._plan.output_kb * 1024:
            raise self.wrong(OutputFlood("the solution", self._plan.output_kb, "its output", "", ()))
        if node.printed - before > _MAX_ANSWER or node.printed > _MAX_ANSWERS:
            most = _MAX_ANSWER if node.printed - before > _MAX_ANSWER else _MAX_ANSWERS
            what = "a value" if most == _MAX_ANSWER else "values"
            message = f"the solution returned {what} of more than {most // 1024 // 1024} MB"
            raise self.wrong(SolutionFault(Evidence(kind="flood", message=message, stderr=self.output())))
        return bool(node.lines)

    def _no_answer(self, node: Node, *, is_late: bool) -> None:
        code = node.exit_code(0.0 if is_late else self._plan.answer_seconds)
        if code is not None:
            how = f"was killed by signal {-code}" if code < 0 else f"exited with code {code}"
            message = f"the solution {how} while a test used it"
            raise self.wrong(SolutionFault(Evidence("exit", message, exit_code=code, stderr=self.output())))
        if not is_late:
            message = "the solution closed the pipe over which it is called"
            raise self.wrong(SolutionFault(Evidence("exit", message, stderr=self.output())))
        node.dump_stack()
        seconds = self._plan.answer_seconds
        message = f"the solution did not answer within {seconds:g} s"
        nothing = f"nothing for {seconds:g} s"
        raise self.wrong(SolutionFault(Evidence("silence", message, actual=nothing, stderr=self.output())))

    def _read(self, node: Node, line: bytes) -> dict[str, Any]:
        if node.lines or node.unfinished_line:
            raise self.unreadable("longer than one line")
        try:
            answer = json.loads(line)
        except (ValueError, RecursionError):
            raise self.unreadable("not JSON") from None
        if not isinstance(answer, dict) or answer.pop("id", None) != self._number:
            raise self.unreadable("not for what was asked")
        for name in ("stdout", "stderr"):
            # The test may capture it, with `capsys` for example; it is in the log already.
            text = str(answer.pop(name, "")).encode("utf-8", "backslashreplace").decode()
            getattr(sys, name).write(text)
        if len(answer) == 1 and "refused" in answer:
            raise self.wrong(Violation(f"{str(answer['refused'])[:300]}, and so cannot be handed to the test"))
        if len(answer.keys() - {"changed"}) == 1 and answer.keys() <= {"ok", "error", "unloaded", "call", "changed"}:
            return answer
        raise self.unreadable("not for what was asked")
