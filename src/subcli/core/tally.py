"""The last result of each test, counted. Pure. Which results are of one test, :mod:`subcli.core.identity` says."""

from __future__ import annotations

from collections import OrderedDict

from subcli.core.groups import Groups
from subcli.core.identity import ResultIndex
from subcli.core.submission import FAILURES_KEPT, RECENT_KEPT, Counts
from subcli.shared.messages import TestResult


class Tally:
    """Changes in place; :attr:`counts`, :attr:`recent` and :attr:`failures` are frozen and bounded."""

    def __init__(self) -> None:
        self._index = ResultIndex()
        # Any other status counts as failed.
        self._counts = {"passed": 0, "failed": 0, "error": 0, "skipped": 0}
        self._recent: OrderedDict[int, TestResult] = OrderedDict()
        self._failures: dict[int, TestResult] = {}
        self.groups = Groups()

    def put(self, result: TestResult, *, is_listed: bool = True) -> int | None:
        """Record ``result`` as the last one of its test.

        Args:
            is_listed: whether it counts as a new event even if its test already had this status. Otherwise it is
            nothing new, except that its test may gain an id or row.

        Returns:
            The test's number; ``None`` if the result says nothing new.
        """
        test, before = self._index.add(result)
        status = result.status
        if before == status and not is_listed:
            return None
        counted = status if status in self._counts else "failed"
        recent = self._recent
        if before is not None:
            self._counts[before if before in self._counts else "failed"] -= 1
            recent.pop(test, None)
            self._failures.pop(test, None)
        self.groups.put(test, result, counted)
        self._counts[counted] += 1
        recent[test] = result
        if len(recent) > RECENT_KEPT:
            recent.popitem(last=False)
        if counted in ("failed", "error") and len(self._failures) < FAILURES_KEPT:
            self._failures[test] = result
        return test

    @property
    def counts(self) -> Counts:
        """Tests by status."""
        count = self._counts
        return Counts(count["passed"], count["failed"], count["error"], count["skipped"])

    @property
    def has_failures(self) -> bool:
        """Whether a test does not pass at present."""
        return bool(self._counts["failed"] or self._counts["error"])

    @property
    def recent(self) -> tuple[TestResult, ...]:
        """The latest results, oldest first."""
        return tuple(self._recent.values())

    @property
    def failures(self) -> tuple[TestResult, ...]:
        """The present failures, oldest first, up to a limit."""
        return tuple(self._failures.values())
