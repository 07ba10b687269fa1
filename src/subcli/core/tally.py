"""The last result of each test, counted. Pure.

A result may arrive over the socket and again over REST, and a server may send a test's id in one place and only its
name in the other (contract, section 6). So a test is identified by its id, or else by its name:

==========================  ==========================================================================
a result with               belongs to the test that
==========================  ==========================================================================
an id seen before           had that id
a new id                    had its name without an id, and is adopted by that id; else a new one
a name only                 was the first of that name; else a new one
==========================  ==========================================================================

Two ids are two tests, whatever their names.
"""

from __future__ import annotations

from subcli.core.submission import FAILURES_KEPT, RECENT_KEPT, Counts
from subcli.shared.protocol import TestResult


class Tally:
    """Changes in place; :attr:`counts`, :attr:`recent` and :attr:`failures` are frozen and bounded."""

    def __init__(self) -> None:
        self._by_id: dict[str, int] = {}
        self._by_name: dict[str, int] = {}
        self._without_id: set[int] = set()
        self._statuses: list[str] = []
        self._counts = {"passed": 0, "failed": 0, "error": 0, "skipped": 0}
        self._recent: dict[int, TestResult] = {}
        self._failures: dict[int, TestResult] = {}

    def status_of(self, result: TestResult) -> str | None:
        """The last known status of the test that ``result`` belongs to."""
        test = self._known(result)
        return None if test is None else self._statuses[test]

    def put(self, result: TestResult) -> None:
        """Record ``result`` as the last one of its test."""
        test = self._known(result)
        if test is None:
            test = len(self._statuses)
            self._statuses.append(result.status)
            self._without_id.add(test)
        else:
            self._counts[_counted(self._statuses[test])] -= 1
            self._statuses[test] = result.status
            self._recent.pop(test, None)
            self._failures.pop(test, None)
        self._remember(test, result)
        counted = _counted(result.status)
        self._counts[counted] += 1
        self._recent[test] = result
        if len(self._recent) > RECENT_KEPT:
            del self._recent[next(iter(self._recent))]
        if counted in ("failed", "error") and len(self._failures) < FAILURES_KEPT:
            self._failures[test] = result

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

    def _known(self, result: TestResult) -> int | None:
        named = self._by_name.get(result.test_name)
        if result.test_id is None:
            return named
        test = self._by_id.get(str(result.test_id))
        return named if test is None and named in self._without_id else test

    def _remember(self, test: int, result: TestResult) -> None:
        self._by_name.setdefault(result.test_name, test)
        if result.test_id is not None:
            self._by_id[str(result.test_id)] = test
            self._without_id.discard(test)


def _counted(status: str) -> str:
    """The count that a test status belongs to; an unknown status counts as failed."""
    return status if status in ("passed", "failed", "error", "skipped") else "failed"
