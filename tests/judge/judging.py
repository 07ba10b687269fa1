"""What the tests of the judge share: a judged submission, and the types of the fixtures in `conftest`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from subcli.judge import Problem
from subcli.judge.process.processes import Process

Event = dict[str, Any]
Below = Callable[[], list[Process]]
"""Finds the processes below this one that the test has started."""


@dataclass(frozen=True)
class Judged:
    """Every event of a submission, and when each was yielded (seconds since the start)."""

    events: list[Event]
    times: list[float]

    def of(self, kind: str) -> list[Event]:
        """The events of one type."""
        return [event for event in self.events if event["type"] == kind]

    @property
    def verdict(self) -> str:
        return str(self.events[-1]["final_status"])

    @property
    def failed(self) -> list[str]:
        """The names of the tests that failed."""
        return [event["test_name"] for event in self.of("test_result") if event["status"] in ("failed", "error")]

    @property
    def analysis(self) -> Event:
        """The first analysis."""
        return self.of("error_analysis")[0]


class Run(Protocol):
    """Judges a source text, or several files by name, to the end."""

    async def __call__(self, problem: Problem, source: str | Mapping[str, str], language: str = "python") -> Judged: ...


class MakeNode(Protocol):
    """Makes a correct node that does something more: when it starts, at `init`, at every tick."""

    def __call__(self, start: str = "", *, init: str = "pass", tick: str = "pass") -> str: ...


class MakeProblem(Protocol):
    """Makes a problem from the text of its test file; by default one node must answer ten ticks."""

    def __call__(self, tests: str = ..., *, limits: str = ..., language: str = ..., runner: str = ...) -> Problem: ...
