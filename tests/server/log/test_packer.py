"""Packed logs are read as if their events were still in rows of their own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, text

from subcli.server.log import migrations, packing
from subcli.server.log.database import open_database
from subcli.server.log.packer import _store
from subcli.server.log.records import Append, EventPage
from subcli.server.log.store import Store
from subcli.server.log.tables import DEMO_USER
from tests.server.clock import Clock
from tests.server.log.test_store import COMPLETE, new, result

pytestmark = pytest.mark.every_backend
HOUR = 3600.0
DAY = 24 * HOUR


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(engine: Engine, clock: Clock) -> Any:
    store = Store(engine, clock)
    yield store
    store.close()


def ended(store: Store, tests: int = 3, **more: Any) -> int:
    """A submission with its verdict. Its log ends at 2 more than the number of its tests."""
    number = store.create(new())[0].id
    batch = [result(f"Test {each}", test_id=f"t{each}", **more) for each in range(tests)]
    store.append(Append(number, [*batch, {**COMPLETE, "compared_to": {"previous": 1}}]))
    return number


def packed(store: Store) -> int:
    """Pack everything."""
    count = 0
    while some := store.packer.pack_some(0):
        count += some
    return count


def all_reads(store: Store, number: int) -> list[object]:
    """Everything that can be read of a log."""
    last = store.lookup.snapshot(number, DEMO_USER).last_seq
    snapshot = store.lookup.snapshot(number, DEMO_USER)
    return [
        *(store.lookup.page(number, after, limit) for after in range(last + 2) for limit in (1, 2, 1000)),
        store.lookup.results(number, 1),
        store.lookup.compared_to(snapshot),
        store.lookup.comparison(number + 1, []),
        snapshot,
    ]


def test_nothing_changes_for_readers(store: Store, clock: Clock, sql: Callable[[str], Any]) -> None:
    """Pages from any position, results and comparisons are the same, record for record."""
    first, second = ended(store), ended(store, tests=0)
    store.create(new())
    before = [all_reads(store, number) for number in (first, second)]
    clock.now += DAY
    assert packed(store) == 2
    assert [all_reads(store, number) for number in (first, second)] == before
    assert sql("SELECT count(*) FROM events WHERE submission_id < 3") == [(0,)]
    assert sql("SELECT submission_id, first_seq, last_seq FROM packed_events ORDER BY 1") == [(1, 1, 5), (2, 1, 2)]


def test_several_logs_in_one_query(store: Store, clock: Clock) -> None:
    """A feed that asks for several gets those that are packed one by one, and the others as ever."""
    numbers = [ended(store) for _ in range(3)]
    running = store.create(new())[0].id
    clock.now += DAY
    packed(store)
    positions = {**dict.fromkeys(numbers, 2), running: 0}
    pages: dict[int, EventPage] = store.matching.pages(positions)
    assert set(pages) == {running}
    assert store.matching.pages({numbers[0]: 5, running: 0})[numbers[0]].records == ()


def test_only_what_ended_some_time_ago_is_packed(store: Store, clock: Clock) -> None:
    """Neither what is being judged nor what has just ended."""
    store.create(new())
    ended(store)
    clock.now += HOUR
    ended(store)
    assert store.packer.waiting(HOUR) == 1
    assert store.packer.pack_some(HOUR) == 1
    assert store.packer.pack_some(HOUR) == 0
    assert store.packer.waiting(0) == 1


def test_nothing_is_packed_soon_after_an_upgrade(store: Store, clock: Clock, sql: Callable[[str], Any]) -> None:
    """An older server may still run, and would not find the events."""
    ended(store)
    clock.now += DAY
    sql(f"INSERT INTO schema_changes VALUES ('0018', {clock() - HOUR})")
    assert store.packer.pack_some(2 * HOUR) == 0
    clock.now += HOUR
    assert store.packer.pack_some(2 * HOUR) == 1


def test_a_migration_is_recorded(engine: Engine, database: str, sql: Callable[[str], Any]) -> None:
    """A new database knows of none, since no older server has used it."""
    assert sql("SELECT * FROM schema_changes") == []
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0012")
    open_database(database).dispose()
    assert len(sql("SELECT changed_at FROM schema_changes")) == 1


def test_a_downgrade_puts_every_log_back(
    store: Store, engine: Engine, clock: Clock, sql: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the byte, however many parts a log has."""
    monkeypatch.setattr(packing, "PART_BYTES", 300)
    for tests in (0, 3, 11):
        ended(store, tests)
    query = "SELECT submission_id, seq, type, payload FROM events ORDER BY 1, 2"
    before = sql(query)
    clock.now += DAY
    packed(store)
    assert sql("SELECT count(*) FROM events") == [(0,)]
    assert sql("SELECT count(*) FROM packed_events")[0][0] > 3
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0012")
    assert sql(query) == before


@pytest.mark.thorough
def test_a_long_log_is_read_in_parts(store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever resumes in its middle gets all that follows, and no part before that is unpacked."""
    monkeypatch.setattr(packing, "PART_BYTES", 1000)
    number = ended(store, tests=60)
    before = [store.lookup.page(number, after, 7) for after in range(64)]
    clock.now += DAY
    packed(store)
    unpacked: list[bytes] = []
    original = packing.unpack

    def noted(packed: bytes, words: bytes) -> list[packing.Event]:
        unpacked.append(packed)
        return original(packed, words)

    monkeypatch.setattr("subcli.server.log.events.unpack", noted)
    assert [store.lookup.page(number, after, 7) for after in range(64)] == before
    unpacked.clear()
    store.lookup.page(number, 61, 7)
    assert len(unpacked) == 1


def test_a_damaged_log_is_packed_as_it_is(store: Store, clock: Clock, sql: Callable[[str], Any]) -> None:
    """What is there keeps its position, so that the hole can still be found."""
    number = ended(store)
    sql(f"DELETE FROM events WHERE submission_id = {number} AND seq = 3")
    before = store.lookup.page(number, 0, 10)
    clock.now += DAY
    assert packed(store) == 1
    assert store.lookup.page(number, 0, 10) == before
    assert [each.seq for each in before.records] == [1, 2, 4, 5]


@pytest.mark.thorough
def test_a_problem_has_one_dictionary(store: Store, clock: Clock, sql: Callable[[str], Any]) -> None:
    """And another one when its tests have changed; not one for each submission, whatever its tests are called."""
    for _ in range(5):
        ended(store)
    clock.now += DAY
    packed(store)
    assert sql("SELECT count(*) FROM log_dictionaries") == [(1,)]
    for number in range(30):
        identity = store.create(new())[0].id
        store.append(Append(identity, [*(result(f"{number} {each}") for each in range(4)), COMPLETE]))
    clock.now += DAY
    packed(store)
    assert sql("SELECT count(*) FROM log_dictionaries") == [(20,)]
    assert json.loads(store.lookup.results(identity, 1)[0])["test_name"] == "29 0"


def test_two_processes_pack_each_log_once(
    store: Store, engine: Engine, clock: Clock, sql: Callable[[str], Any]
) -> None:
    """What another one has packed in the meantime is left alone."""
    ended(store)
    clock.now += DAY
    other = Store(engine, clock)
    row = other.packer._due(0)
    with engine.connect() as connection:
        found = connection.execute(row).all()
    prepared = [other.packer._pack(each) for each in found]
    packed(store)
    with engine.begin() as connection:
        _store(connection, prepared)
    assert sql("SELECT count(*) FROM packed_events") == [(1,)]


@pytest.mark.thorough
def test_sqlite_gives_space_back(store: Store, engine: Engine, clock: Clock, database: str) -> None:
    """The file of a new database shrinks while it is used; PostgreSQL takes care of its own."""
    for _ in range(30):
        ended(store, 20, output="x" * 500)
    clock.now += DAY
    packed(store)
    if engine.dialect.name != "sqlite":
        assert not store.packer.give_back_space()
        return
    with engine.connect() as connection:
        pages = connection.execute(text("PRAGMA page_count")).scalar_one()
    while store.packer.give_back_space():
        pass
    with engine.connect() as connection:
        assert connection.execute(text("PRAGMA page_count")).scalar_one() < pages / 2
        assert connection.execute(text("PRAGMA integrity_check")).scalar_one() == "ok"


def test_a_packed_submission_is_judged_again(store: Store, clock: Clock, sql: Callable[[str], Any]) -> None:
    """Its log is kept as that of the run before, to the byte, and the new run begins at 1."""
    number = ended(store)
    before = store.lookup.page(number, 0, 100)
    clock.now += DAY
    assert packed(store) == 1
    store.runs.begin([number], "key")
    assert sql("SELECT count(*) FROM packed_events") == [(0,)]
    kept = store.lookup.page(number, 0, 100, before.epoch)
    assert [each.text for each in kept.records] == [each.text for each in before.records]
    assert [each.seq for each in store.lookup.page(number, 0, 100).records] == [1]
    clock.now += DAY
    assert packed(store) == 0
    store.append(Append(number, [*(result(f"Test {each}") for each in range(3)), COMPLETE]))
    after = store.lookup.page(number, 0, 100)
    clock.now += DAY
    assert packed(store) == 1
    assert store.lookup.page(number, 0, 100) == after


def test_a_run_that_began_while_its_predecessor_was_packed(store: Store, engine: Engine, clock: Clock) -> None:
    """It is not replaced by it, even if it ended at the same place."""
    number = ended(store)
    clock.now += DAY
    with engine.connect() as connection:
        found = connection.execute(store.packer._due(0)).all()
    prepared = [store.packer._pack(each) for each in found]
    store.runs.begin([number], "key")
    store.append(Append(number, [*(result(f"Again {each}") for each in range(3)), COMPLETE]))
    page = store.lookup.page(number, 0, 100)
    with engine.begin() as connection:
        _store(connection, prepared)
    assert store.lookup.page(number, 0, 100) == page
