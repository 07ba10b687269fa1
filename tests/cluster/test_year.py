"""A short year; `make trials` lives a long one, see `bench.year`."""

from __future__ import annotations

import pytest

from bench.year.__main__ import live
from bench.year.plan import Amounts


@pytest.mark.thorough
@pytest.mark.long
@pytest.mark.timeout(600)
async def test_nothing_is_lost_in_a_year() -> None:
    """Upgrades, a corrected test, a restored backup and pruning lose nothing, and results are what the script knows."""
    course = await live(Amounts(students=12, problems=2, submissions=60, corrected=10), seed=1, older=False)
    assert course.books.lost == []
    assert course.books.differing == []
    assert course.books.checked > 500
