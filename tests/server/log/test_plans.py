"""What users wait for reads a few rows by an index, however many submissions there are: the databases' own plans."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, event, text

from subcli.server.log.database import reading
from subcli.server.log.listing import Filter
from subcli.server.log.matching import Cursor, Wanted
from subcli.server.log.presence import Presence
from subcli.server.log.store import Store

pytestmark = pytest.mark.every_backend
ROWS = 20_000
BIG = ("submissions", "run_numbers", "events", "packed_events", "outputs", "run_traces", "attempts")
"""The tables that grow with the submissions."""

_NUMBERS = {
    "sqlite": f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS})",
    "postgresql": f"WITH n(i) AS (SELECT generate_series(1, {ROWS}))",
}
_FILL = (
    "INSERT INTO users (id, name, created_at) {numbers} SELECT i + 1, 'u' || i, 0 FROM n WHERE i <= 300",
    """INSERT INTO group_members (group_key, user_id, group_name)
    {numbers} SELECT 'g', i + 1, 'g' FROM n WHERE i <= 10""",
    """INSERT INTO log_dictionaries (id, problem, created_at, words)
    {numbers} SELECT 1, 'p', 0, {empty} FROM n WHERE i = 1""",
    """INSERT INTO submissions (owner_id, problem, language, files, created_at, finished_at, status, final_status,
        last_seq, attempt, fence, packed)
    {numbers} SELECT 1 + i % 300, 'p' || (i % 12), 'python', '{{}}', i, CASE WHEN i % 1000 = 0 THEN NULL ELSE i END,
        'completed', CASE WHEN i % 1000 = 0 THEN NULL ELSE 'passed' END, 2, 1, 1, i < 19000 FROM n""",
    """INSERT INTO events (submission_id, seq, type, payload)
    {numbers} SELECT i, 1, 'test_result', '{{"type":"test_result"}}' FROM n WHERE i >= 19000""",
    """INSERT INTO events (submission_id, seq, type, payload)
    {numbers} SELECT i, 2, 'complete', '{{"type":"complete"}}' FROM n WHERE i >= 19000""",
    """INSERT INTO packed_events (submission_id, first_seq, last_seq, dictionary_id, packed)
    {numbers} SELECT i, 1, 2, 1, {empty} FROM n WHERE i < 19000""",
    "INSERT INTO outputs (submission_id, output_seq, payload) {numbers} SELECT i, 1, '{{}}' FROM n",
    "INSERT INTO run_traces (submission_id, test, packed) {numbers} SELECT i, 't', {empty} FROM n",
    "INSERT INTO run_numbers (submission_id) {numbers} SELECT i FROM n WHERE i % 4 = 0",
    """INSERT INTO attempts (submission_id, fence, attempt, worker, started_at)
    {numbers} SELECT i, 1, 1, 'w', 0 FROM n""",
)


@pytest.fixture
def full(engine: Engine, store: Store) -> Store:
    """A store with some thousand submissions of 300 users to 12 problems, of which 20 wait."""
    empty = "x''" if engine.dialect.name == "sqlite" else "''::bytea"
    with engine.begin() as connection:
        for statement in _FILL:
            connection.execute(
                text(statement.format(numbers=_NUMBERS[engine.dialect.name], empty=empty).replace('":"', '"\\:"'))
            )
    if engine.dialect.name == "postgresql":
        with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            connection.execute(text("VACUUM ANALYZE"))
    return store


@contextmanager
def recorded(engine: Engine) -> Iterator[list[tuple[str, Any]]]:
    """The statements that are executed in this context."""
    found: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.lstrip().startswith(("SELECT", "WITH")):
            found.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(engine, "before_cursor_execute", note)


def complaints(engine: Engine, statement: str, parameters: Any) -> list[str]:
    """What a plan does with a whole table that grows."""
    with reading(engine).begin() as connection:
        if engine.dialect.name == "sqlite":
            rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
            steps = [str(row[-1]) for row in rows]
            return [
                step
                for step in steps
                if ("TEMP B-TREE" in step and not _sorts_members(step, rows, statement))
                or (re.match(rf"SCAN ({'|'.join(BIG)})\b", step) and not _ends_early(step, statement))
            ]
        [(plan,)] = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", parameters).all()
    return list(_bad_nodes((plan if isinstance(plan, list) else json.loads(plan))[0]["Plan"]))


def _sorts_members(step: str, rows: Sequence[Any], statement: str) -> bool:
    """What the members of a group have submitted, and only that, or their names; see `subcli.server.log.listing`."""
    found = any("SEARCH submissions" in row[-1] and "(owner_id=?" in row[-1] for row in rows)
    names = any("SEARCH users USING INTEGER PRIMARY KEY" in row[-1] for row in rows)
    return step == "USE TEMP B-TREE FOR ORDER BY" and "FROM group_members" in statement and (found or names)


def _ends_early(step: str, statement: str) -> bool:
    """The latest ones of all, read in the order of the primary key, up to a limit."""
    return step == "SCAN submissions" and "ORDER BY submissions.id DESC" in statement and "WHERE 1 = 1" in statement


def _bad_nodes(node: dict[str, Any]) -> Iterator[str]:
    if node["Node Type"] == "Seq Scan" and node["Relation Name"] in BIG:
        yield f"Seq Scan on {node['Relation Name']}"
    # What has been found by an index may be put in order; more than a thousand rows are not expected to be.
    if "Sort" in node["Node Type"] and node["Plan Rows"] > 1000:
        yield f"{node['Node Type']} of {node['Plan Rows']} rows"
    for inner in node.get("Plans", ()):
        yield from _bad_nodes(inner)


READS: dict[str, Callable[[Store], object]] = {
    "list": lambda store: store.listing.page(Filter(7), 20),
    "list of a problem": lambda store: store.listing.page(Filter(7, "p7"), 20),
    "list of all": lambda store: store.listing.page(Filter(None), 20),
    "list of all to a problem": lambda store: store.listing.page(Filter(None, "p7"), 20),
    "list of a group": lambda store: store.listing.page(Filter(None, group="g"), 20),
    "list of a group to a problem": lambda store: store.listing.page(Filter(None, "p7", group="g"), 20),
    "results of a group": lambda store: store.standings.page("p7", "best", 100, group="g"),
    "feed of what runs of a group": lambda store: store.matching.running(Wanted(None, None, "g"), 100),
    "feed since of a group": lambda store: store.matching.since(Wanted(None, None, "g"), Cursor(), 100),
    "feed since of a group to a problem": lambda store: store.matching.since(Wanted(None, "p7", "g"), Cursor(), 100),
    "status": lambda store: store.lookup.snapshot(12_345, None),
    "status, packed": lambda store: store.lookup.compared_to(store.lookup.snapshot(19_998, None)),
    "results": lambda store: store.lookup.results(19_998, 1),
    "log": lambda store: store.lookup.page(19_998, 1, 500),
    "logs of several": lambda store: store.matching.pages({19_998: 0, 19_997: 1}),
    "code": lambda store: store.lookup.files(12_345),
    "output": lambda store: store.outputs.page(12_345, 0, 500),
    "trace": lambda store: store.run_traces.get(12_345, "t", 1),
    "comparison": lambda store: store.lookup.comparison(19_998, []),
    "attempts": lambda store: store.lookup.attempts(12_345),
    "feed of what runs": lambda store: store.matching.running(Wanted(7), 100),
    "feed of what runs of all": lambda store: store.matching.running(Wanted(None), 100),
    "feed since of all": lambda store: store.matching.since(Wanted(None), Cursor(), 100),
    "feed of what runs of all to a problem": lambda store: store.matching.running(Wanted(None, "p7"), 100),
    "feed since of all to a problem": lambda store: store.matching.since(Wanted(None, "p7"), Cursor(), 100),
    "feed since": lambda store: store.matching.since(Wanted(7), Cursor(), 100),
    "feed of what is judged again": lambda store: store.matching.judged_again(Wanted(7), 4_980, 100),
    "feed of what is judged again of all": lambda store: store.matching.judged_again(Wanted(None), 4_980, 100),
    "feed of what is judged again of a group to a problem": (
        lambda store: store.matching.judged_again(Wanted(None, "p7", "g"), 4_980, 100)
    ),
    "latest run": lambda store: store.matching.newest_run(),
    "queue": lambda store: store.leases.queue_length(),
    "lost workers": lambda store: store.interruptions.take_back(10),
    "what is to be packed": lambda store: store.packer.waiting(0),
    "workers": lambda store: store.presence.present(10),
}


@pytest.mark.thorough(measured=True)
def test_no_read_looks_at_everything(full: Store, engine: Engine, subtests: pytest.Subtests) -> None:
    """No statement reads a whole table that grows, or sorts it."""
    for name, read in READS.items():
        with subtests.test(name):
            with recorded(engine) as statements:
                read(full)
            assert statements
            for statement, parameters in statements:
                assert complaints(engine, statement, parameters) == [], statement


@pytest.mark.thorough
def test_what_is_looked_for_is_found(full: Store, engine: Engine) -> None:
    """A statement that reads everything is noticed."""
    assert complaints(engine, "SELECT id FROM submissions WHERE build_log = 'x'", ())
    assert complaints(engine, "SELECT id FROM submissions ORDER BY build_log", ())
    assert isinstance(full.presence, Presence)
