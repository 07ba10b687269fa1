"""A short year; `make trials` lives a long one, see `bench.year`."""

from __future__ import annotations

import pytest

from bench.year.__main__ import live
from bench.year.books import Books, Entry
from bench.year.plan import Amounts


def row(**changed: object) -> dict[str, object]:
    """What the server lists of the only submission."""
    return {"id": 1, "user": "ada", "problem": "p", "final_status": "failed", "run": 1, "epoch": "e", **changed}


@pytest.mark.parametrize(
    ("listed", "lost", "differing"),
    [
        ([row()], 0, 0),
        ([], 1, 0),
        *(([row(**{name: value})], 0, 1) for name, value in (("user", "bob"), ("final_status", "passed"), ("run", 2))),
        ([row(epoch="f")], 0, 1),
        ([row(), row(id=2)], 0, 1),
    ],
)
def test_what_is_lost_or_different_is_noticed(listed: list[dict[str, object]], lost: int, differing: int) -> None:
    """In the list of all submissions, and in the results of a problem."""
    books = Books()
    books.enter(Entry("ada", "p", "print(6)\n", "key", cases=(2, 5), number=1, epoch="e"))
    books.compare_list(listed)
    assert (len(books.lost), len(books.differing)) == (lost, differing)
    result = {"user": "ada", "attempts": 1, "unfinished": 0, "submission_id": 1, "verdict": "failed", "passed": 1}
    for results, wrong in (([result], 0), ([], 1), ([{**result, "passed": 2}], 1), ([{**result, "attempts": 2}], 1)):
        books = Books(entries=books.entries)
        books.compare_results("p", "best", results, ["ada"])
        assert len(books.lost) + len(books.differing) == wrong


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
