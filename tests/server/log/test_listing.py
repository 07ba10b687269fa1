"""Lists of submissions: each filter, pages that stay as they are, and plans that need no luck."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import Engine, insert, text

from subcli.server.log.listing import Filter, ListCursor, matching
from subcli.server.log.store import Store
from subcli.server.log.tables import group_members, submissions, users

pytestmark = pytest.mark.every_backend

ROWS = 8_000
MEMBERS = (2, 5, 9)
"""Of the group `g`."""
DAY_S = 86_400.0


def row(number: int, **more: Any) -> dict[str, Any]:
    """Every 50th submission of user 2 is to the problem `rare`; verdict `error` and none at all are as seldom."""
    final = "passed" if number % 2 else "failed"
    found = {
        "id": number,
        "owner_id": 3 + number % 190,
        "problem": f"p{number % 3}",
        "language": "python",
        "files": {},
        "created_at": number * DAY_S,
        "status": "completed" if number % 2 else "failed",
        "final_status": final,
        "last_seq": 1,
        "attempt": 1,
        "fence": 1,
    }
    return {**found, **more}


def rows(count: int) -> Iterator[dict[str, Any]]:
    for number in range(1, count + 1):
        match number % 300:
            case 1:
                yield row(number, owner_id=2)
            case 2:
                yield row(number, owner_id=2, problem="rare", final_status="error", status="failed")
            case 3:
                yield row(number, final_status=None, status="pending")
            case 4:
                yield row(number, problem="rare")
            case 5:
                yield row(number, final_status="error", status="failed")
            case _:
                yield row(number)


@dataclass
class Filled:
    """A store, and what is in it, oldest first."""

    store: Store
    rows: list[dict[str, Any]]

    def expected(self, wanted: Filter) -> list[int]:
        """The ids that a filter leaves, newest first, by looking at every row."""
        since = wanted.since or 0.0
        return [
            each["id"]
            for each in reversed(self.rows)
            if (wanted.owner_id in (None, each["owner_id"]))
            and (wanted.group is None or each["owner_id"] in MEMBERS)
            and wanted.problem in (None, each["problem"])
            and wanted.verdict in (None, each["final_status"])
            and (wanted.status is None or _has_status(each, wanted.status))
            and each["created_at"] >= since
        ]


def _has_status(each: dict[str, Any], status: str) -> bool:
    if status == "pending":
        return bool(each["status"] == status)
    return bool(each["final_status"] == {"completed": "passed"}.get(status, status))


def filled(engine: Engine, store: Store, count: int) -> Filled:
    made = list(rows(count))
    with engine.begin() as connection:
        people = [{"id": number, "name": f"u{number}", "created_at": 0} for number in range(2, 200)]
        connection.execute(insert(users), people)
        connection.execute(insert(submissions), made)
        members = [{"group_key": "g", "group_name": "G", "user_id": number} for number in MEMBERS]
        connection.execute(insert(group_members), members)
    return Filled(store, made)


def each_filter() -> Iterator[Filter]:
    """Every combination, with values that are rare alone or together."""
    options = itertools.product((None, 2, 5), (None, "rare", "p1"), (None, "error", "passed"), (None, "pending"))
    for owner, problem, verdict, status in options:
        for since in (None, 200 * DAY_S):
            yield Filter(owner, problem, verdict, status, since)
            yield Filter(owner, problem, verdict, status, since, "g")
    for status in ("completed", "failed", "cancelled"):
        yield Filter(None, status=status)
        yield Filter(2, status=status)


@pytest.mark.thorough
def test_every_combination(engine: Engine, store: Store) -> None:
    """Each gives what looking at every row gives, newest first, and in pages the same."""
    here = filled(engine, store, 700)
    for wanted in (*each_filter(), Filter(None, verdict="error", status="completed")):
        expected = here.expected(wanted)
        assert [each.id for each in store.listing.page(wanted, 1000).rows] == expected, wanted
        found, after = [], None
        while True:
            page = store.listing.page(wanted, 97, after)
            found += [each.id for each in page.rows]
            if page.next is None:
                break
            after = ListCursor.of(str(page.next))
        assert found == expected, wanted


def test_pages_stay_while_new_ones_come(engine: Engine, store: Store) -> None:
    """What arrives between two pages is on neither, and nothing is skipped or shown twice."""
    filled(engine, store, 20)
    wanted = Filter(None)
    first = store.listing.page(wanted, 8)
    with engine.begin() as connection:
        connection.execute(insert(submissions), [row(number) for number in range(21, 31)])
    second = store.listing.page(wanted, 8, first.next)
    assert [each.id for each in (*first.rows, *second.rows)] == list(range(20, 4, -1))


def test_the_last_page_is_known(engine: Engine, store: Store) -> None:
    """Even if it is full, and if there is nothing at all."""
    filled(engine, store, 4)
    assert store.listing.page(Filter(None), 4).next is None
    assert store.listing.page(Filter(None), 3).next == ListCursor(2)
    assert store.listing.page(Filter(None, since=1e12), 3).next is None
    assert store.listing.page(Filter(None, since=1e12), 3).rows == []


@pytest.mark.parametrize(
    "bad", ["", "x", "0", "é", "YmVmb3JlIA", "YmVmb3JlIC0x", str(ListCursor(5)) + "A", str(ListCursor(10**18))]
)
def test_cursors_are_checked(bad: str) -> None:
    """What is none is refused."""
    with pytest.raises(ValueError, match="not a cursor of a list"):
        ListCursor.of(bad)


@pytest.mark.thorough
def test_plans(engine: Engine, store: Store) -> None:
    """An index finds what each combination leaves, in its order: nothing is sorted, no table is read whole."""
    filled(engine, store, ROWS)
    with engine.begin() as connection:
        connection.execute(text("ANALYZE"))
    for analysed in (True, False):
        for wanted in each_filter():
            for after in (None, ListCursor(ROWS // 2)):
                problem = _slow(engine, wanted, after)
                assert problem is None, (wanted, after, analysed, problem)
        if engine.dialect.name != "sqlite":
            return
        # A database whose tables were never analysed.
        with engine.begin() as connection:
            connection.execute(text("DROP TABLE IF EXISTS sqlite_stat1"))
            connection.execute(text("DROP TABLE IF EXISTS sqlite_stat4"))
        engine.dispose()


def _slow(engine: Engine, wanted: Filter, after: ListCursor | None) -> object:
    """The plan of a page, if it is not a good one."""
    query = matching([submissions.c.id], wanted, after).limit(21)
    compiled = str(query.compile(engine, compile_kwargs={"literal_binds": True}))
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            plan = [line[-1] for line in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}")]
            whole = "SCAN submissions" in plan and wanted != Filter(None)
            is_sorted = any("TEMP B-TREE" in line for line in plan)
            # What a group's members have submitted is put in order; only that.
            of_members = "SEARCH submissions" in plan[0] and "(owner_id=?" in plan[0]
            return plan if whole or (is_sorted and not (wanted.group and of_members)) else None
        [(found,)] = connection.exec_driver_sql(
            f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {compiled.replace('%', '%%')}"
        ).all()
    plan = found if isinstance(found, list) else json.loads(found)
    nodes = list(_nodes(plan[0]["Plan"]))
    sorts = [node for node in nodes if "Sort" in node["Node Type"] and node["Actual Rows"] > 100]
    read = max(node["Actual Rows"] + node.get("Rows Removed by Filter", 0) for node in nodes)
    if wanted.group and wanted.problem and wanted.verdict:
        # PostgreSQL guesses that all three together leave nothing, and that any plan will do for so small a table.
        return plan if sorts else None
    return plan if sorts or read > ROWS / 6 else None


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from _nodes(part)
