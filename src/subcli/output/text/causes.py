"""Tests that fail for one cause: it is shown once, with the names of all of them."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from subcli.core.identity import Explained
from subcli.output.text.diff import value_text
from subcli.shared.messages import ErrorAnalysis, TestResult

NAMES_MAX: Final = 20


@dataclass
class Cause:
    """One cause, and the tests that fail because of it.

    Attributes:
        first: the analysis that explains it.
        tests: the names of the tests, in the order in which they were explained.
    """

    first: ErrorAnalysis
    tests: list[str] = field(default_factory=list)

    @property
    def others(self) -> str:
        """The names of all tests but the first, on one line; empty if there are none."""
        names = self.tests[1:]
        more = f" and {len(names) - NAMES_MAX} more" if len(names) > NAMES_MAX else ""
        return ", ".join(names[:NAMES_MAX]) + more


class Causes:
    """The causes of what failed in one submission.

    Args:
        analyses: in the order in which they came.
        results: the results that they explain.
    """

    def __init__(self, analyses: Sequence[ErrorAnalysis], results: Iterable[TestResult]) -> None:
        self.all: list[Cause] = []
        """Each cause once, in order."""
        self._of: dict[int, Cause] = {}
        self._tests: dict[int, TestResult | None] = {}
        known: dict[Hashable, Cause] = {}
        named: set[Hashable] = set()
        explained = Explained(results if analyses else ())
        for event in analyses:
            test = self._tests[id(event)] = explained.result(event)
            name = event.test_name or (test.test_name if test else "")
            # An analysis without a test is a cause of its own.
            told = cause_of(event, *failure_of(test)) if name else id(event)
            if told not in known:
                known[told] = Cause(event)
                self.all.append(known[told])
            cause = known[told]
            # Two tests may share a name, and a test may be explained twice.
            which = (told, id(test) if test else name)
            if name and which not in named:
                named.add(which)
                cause.tests.append(name)
            self._of[id(event)] = cause

    def test(self, event: ErrorAnalysis) -> TestResult | None:
        """The result that this analysis is about; None if it is about none of them."""
        return self._tests[id(event)]

    def of(self, event: ErrorAnalysis) -> Cause:
        """The cause that this analysis explains."""
        return self._of[id(event)]

    def together(self, failures: Iterable[TestResult]) -> list[list[TestResult]]:
        """Return the failures in groups that have one cause, each group in the place of its first.

        Without an analysis, failures have one cause if they say the same.
        """
        explained: dict[int, list[int]] = {}
        for event_id, test in self._tests.items():
            if test is not None:
                explained.setdefault(id(test), []).append(id(self._of[event_id]))
        groups: dict[Hashable, list[TestResult]] = {}
        for result in failures:
            causes = explained.get(id(result))
            key: Hashable = tuple(causes) if causes else _said(result)
            groups.setdefault(key, []).append(result)
        return list(groups.values())


def _said(result: TestResult) -> Hashable:
    """What a failure says about itself, apart from its name and its times."""
    values = (value_text(value) for value in (result.expected, result.actual))
    return (result.status, result.outcome, result.message or "", result.error_category, *values)


class Failure(NamedTuple):
    """What a failed test says that its analysis may repeat: its message, and a hash of both answers if it has them."""

    message: str = ""
    answers: int | None = None


def failure_of(result: TestResult | None) -> Failure:
    """Return what is needed of a result to compare its analysis with others."""
    if result is None:
        return Failure()
    if result.expected is None or result.actual is None:
        return Failure(result.message or "")
    return Failure(result.message or "", hash((value_text(result.expected), value_text(result.actual))))


def cause_of(event: ErrorAnalysis, message: str, answers: int | None = None) -> Hashable:
    """What an analysis says beyond the test's own message. Two that say the same have one cause.

    Args:
        event: the analysis.
        message, answers: the fields of a :class:`Failure`.
    """
    texts = [event.error, event.analysis]
    place = event.location
    is_answer = event.category == "wrong_answer" and place is None
    # Wrong answers have one cause if the answers are the same, or one place in the program explains them.
    if message and (not is_answer or answers is not None):
        # An analysis that begins with it begins with a capital letter.
        capital = message[:1].upper() + message[1:]
        texts = [text.replace(message, "").replace(capital, "").strip() for text in texts]
    where = (place.file, place.line) if place else None
    return (event.category, where, answers if is_answer else None, tuple(event.suggestions), *texts)
