"""Decides which results belong to the same test, for counts, views, reports and catching up. Pure.

A test is identified by its id if the server sends one, else by its type and name (contract, section 1). A result may
arrive over the socket with an id and over REST without, or the other way round; three tests may share a name, and
differ only in their type or their row in a REST listing. So:

==============================  ===============================================================================
a result with                   belongs to the test that
==============================  ===============================================================================
a test id seen before           had that id
a new test id                   had its type and name and no id so far; else it is a new test
a row of a listing seen before  was listed in that row
a new row, no test id           has its type and name and was in no row so far; else it is a new test
neither                         is the only one with its type and name; if there are several, it is a test of its
                                own, known by type and name alone, unless one of them has the same status
==============================  ===============================================================================

A type that is missing on one side does not tell tests apart. If several tests match, one with the same id or status is
chosen, so that nothing changes. As long as fewer tests with this name are known than are listed, a row is a new test.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import TypeAlias

import msgspec

from subcli.shared.messages import ErrorAnalysis, Row, TestResult


class _Test(msgspec.Struct, eq=False):
    """What is known of one test. ``number`` counts the tests of the submission from 0."""

    number: int
    type: str | None
    status: str
    name: str
    test_id: str | None = None
    row: str | None = None
    other_names: tuple[str, ...] = ()


_Tests: TypeAlias = dict[str, "_Test | dict[int, _Test]"]
"""Tests by name; those that share one, by their numbers."""


class ResultIndex:
    """Numbers the tests of one submission in the order in which they were first seen. Changes in place."""

    def __init__(self) -> None:
        self._by_id: dict[str, _Test] = {}
        self._by_row: dict[str, _Test] = {}
        self._named: _Tests = {}
        self._without_id: _Tests = {}
        # Only listings over REST have rows: created when the first one arrives.
        self._without_row: _Tests | None = None
        self._rows: dict[tuple[str, str | None], int] = {}
        self._size = 0

    def add(self, result: TestResult) -> tuple[int, str | None]:
        """Take ``result`` as the last one of its test.

        Returns:
            The test's number, and its status so far; ``None`` if it is a new one.
        """
        name, row, test_id = result.test_name, result.row, result.test_id
        if test_id is not None and not isinstance(test_id, str):
            test_id = str(test_id)
        test = None if test_id is None else self._by_id.get(test_id)
        if test is not None and row is None and name == test.name and test.type is not None:
            # By far the most frequent case; only the status is new.
            status, test.status = test.status, result.status
            return test.number, status
        if test is None and (name in self._named or self._by_row):
            test = self._find(result, test_id)
        if test is None:
            test = _Test(self._size, _type(result), result.status, name, test_id)
            before = None
            self._size += 1
            self._name(test, name)
        else:
            before = test.status
            test.status = result.status
            test.type = test.type or _type(result)
            if name != test.name and name not in test.other_names:
                test.other_names += (name,)
                self._name(test, name)
        if test_id is not None and self._by_id.get(test_id) is not test:
            if before is not None:
                _remove(test, self._without_id)
            test.test_id = test_id
            self._by_id[test_id] = test
        if row is not None:
            self._list(test, result, row)
        return test.number, before

    def _list(self, test: _Test, result: TestResult, row: Row) -> None:
        """Note that ``test`` is listed in ``row``."""
        self._rows[result.test_name, _type(result)] = row.namesakes
        if row.id not in self._by_row:
            test.row = row.id
            self._by_row[row.id] = test
            _remove(test, self._rowless())

    def _rowless(self) -> _Tests:
        """The tests that are not in any row so far."""
        if self._without_row is None:
            self._without_row = {}
            for name, tests in self._named.items():
                for test in _each(tests):
                    _put(test, name, self._without_row)
        return self._without_row

    def _name(self, test: _Test, name: str) -> None:
        _put(test, name, self._named)
        if test.test_id is None:
            _put(test, name, self._without_id)
        if test.row is None and self._without_row is not None:
            _put(test, name, self._without_row)

    def _find(self, result: TestResult, test_id: str | None) -> _Test | None:
        """The test that ``result`` belongs to, if its id does not decide."""
        row = result.row
        if test_id is not None:
            listed = self._by_row.get(test_id if row is None else row.id)
            if row is not None and listed is not None:
                return listed if listed.test_id is None else None
            return self._choose(self._without_id, result, listed)
        if row is not None:
            return self._by_row.get(row.id) or self._choose(self._rowless(), result, self._by_id.get(row.id))
        namesakes = self._of_type(self._named, result)
        if len(namesakes) == 1:
            return namesakes[0]
        own = (test for test in namesakes if test.test_id is None and test.row is None)
        return next(own, None) or _unchanged(namesakes, result)

    def _choose(self, tests: _Tests, result: TestResult, same_id: _Test | None) -> _Test | None:
        """The test in ``tests`` with the same id, or of the same type and name."""
        if same_id is not None and same_id in _each(tests.get(result.test_name)):
            return same_id
        free = self._of_type(tests, result)
        if result.row is not None:
            free = [test for test in free if test.row is None]
        if (test := _unchanged(free, result)) is not None:
            return test
        key = result.test_name, _type(result)
        rows = result.row.namesakes if result.row is not None else self._rows.get(key, 0)
        if len(self._of_type(self._named, result)) < rows:
            return None
        return next(iter(free), None)

    @staticmethod
    def _of_type(tests: _Tests, result: TestResult) -> list[_Test]:
        """Tests with the result's name and type; if there are none, those with its name where a type is missing."""
        named, kind = _each(tests.get(result.test_name)), _type(result)
        return [test for test in named if test.type == kind] or [
            test for test in named if kind is None or test.type is None
        ]


def _unchanged(tests: list[_Test], result: TestResult) -> _Test | None:
    return next((test for test in tests if test.status == result.status), None)


class Explained:
    """Finds the result that an analysis is about.

    Args:
        results: of one submission, the last one of each test.
    """

    def __init__(self, results: Iterable[TestResult]) -> None:
        self._alike: dict[tuple[str, str], list[TestResult]] = {}
        """Indexed by the fields that an analysis and its result share."""
        for result in results:
            for key in _shared(result):
                self._alike.setdefault(key, []).append(result)

    def result(self, analysis: ErrorAnalysis) -> TestResult | None:
        """The first result that it is about; ``None`` if there is none."""
        alike = (result for key in _shared(analysis) for result in self._alike.get(key, ()))
        return next((result for result in alike if is_about(analysis, result)), None)


def _shared(event: ErrorAnalysis | TestResult) -> Iterator[tuple[str, str]]:
    if event.test_id is not None:
        yield "id", str(event.test_id)
    if event.test_name is not None:
        yield "name", event.test_name


def is_about(analysis: ErrorAnalysis, result: TestResult) -> bool:
    """Whether an analysis belongs to the test of this result."""
    if analysis.test_id is not None and result.test_id is not None:
        return str(analysis.test_id) == str(result.test_id)
    if analysis.test_name is None or analysis.test_name != result.test_name:
        return False
    return not analysis.test_type or not result.test_type or analysis.test_type == result.test_type


def _type(result: TestResult) -> str | None:
    return result.test_type or None


def _each(tests: _Test | dict[int, _Test] | None) -> Collection[_Test]:
    if isinstance(tests, dict):
        return tests.values()
    return () if tests is None else (tests,)


def _put(test: _Test, name: str, tests: _Tests) -> None:
    known = tests.setdefault(name, test)
    if isinstance(known, dict):
        known[test.number] = test
    elif known is not test:
        tests[name] = {known.number: known, test.number: test}


def _remove(test: _Test, tests: _Tests) -> None:
    for name in (test.name, *test.other_names):
        known = tests.get(name)
        if known is test:
            del tests[name]
        elif isinstance(known, dict):
            known.pop(test.number, None)
