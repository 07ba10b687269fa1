"""The last result of each test, counted. Pure. Which results are of one test, :mod:`subcli.core.identity` says."""

from __future__ import annotations

from subcli.core.groups import Groups
from subcli.core.identity import ResultIndex
from subcli.core.submission import FAILURES_KEPT, RECENT_KEPT, Counts
from subcli.shared.messages import TestResult


class Tally:
    """Changes in place; :attr:`counts`, :attr:`recent` and :attr:`failures` are frozen and bounded."""

    def __init__(self) -> None:
        self._index = ResultIndex()
        self._counts = {"passed": 0, "failed": 0, "error": 0, "skipped": 0}
        self._recent: dict[int, TestResult] = {}
        self._failures: dict[int, TestResult] = {}
        self.groups = Groups()

    def status_of(self, result: TestResult) -> str | None:
        """The last known status of the test that ``result`` belongs to."""
        last = self._index.last(result)
        return None if last is None else last[1]

    def confirm(self, result: TestResult) -> None:
        """Note whose ``result`` this is, which says nothing new: its test is known by one more id or row."""
        self._index.add(result)

    def put(self, result: TestResult) -> int:
        """Record ``result`` as the last one of its test; return the test's number."""
        last = self._index.last(result)
        test = self._index.add(result)
        if last is not None:
            self._counts[_counted(last[1])] -= 1
            self._recent.pop(test, None)
            self._failures.pop(test, None)
        counted = _counted(result.status)
        self.groups.put(test, result, counted)
        self._counts[counted] += 1
        self._recent[test] = result
        if len(self._recent) > RECENT_KEPT:
            del self._recent[next(iter(self._recent))]
        if counted in ("failed", "error") and len(self._failures) < FAILURES_KEPT:
            self._failures[test] = result
        return test

    @property
    def counts(self) -> Counts:
        """Tests by status."""
        count = self._counts
        return Counts(count["passed"], count["failed"], count["error"], count["skipped"])

    @property
    def recent(self) -> tuple[TestResult, ...]:
        """The latest results, oldest first."""
        return tuple(self._recent.values())

    @property
    def failures(self) -> tuple[TestResult, ...]:
        """The present failures, oldest first, up to a limit."""
        return tuple(self._failures.values())


def _counted(status: str) -> str:
    """The count that a test status belongs to; an unknown status counts as failed."""
    return status if status in ("passed", "failed", "error", "skipped") else "failed"
