"""A short year; `make trials` lives a long one, see `bench.year`."""

from __future__ import annotations

import pytest

from bench.year.__main__ import live
from bench.year.plan import Amounts


@pytest.mark.thorough
@pytest.mark.long
@pytest.mark.timeout(600)
async def test_nothing_is_lost_in_a_year() -> None:
    """A corrected test, a restore and pruning lose nothing, and results are what the script knows."""
    amounts = Amounts(students=4, problems=2, submissions=40, corrected=10, upgrades=0, sample=8)
    course = await live(amounts, seed=1, older=False, workers=1, real=False)
    assert course.books.lost == []
    assert course.books.differing == []
    assert course.books.checked > 200
