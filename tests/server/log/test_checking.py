"""`db check` finds what must not be, and nothing in a sound database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, text

from subcli.server.log.checking import check_database
from subcli.server.log.database import rewrite
from subcli.server.log.store import Store
from tests.server.clock import Clock
from tests.server.log.test_packer import DAY, ended
from tests.server.log.test_store import new

pytestmark = pytest.mark.every_backend
Sql = Callable[[str], Any]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(engine: Engine, clock: Clock) -> Iterator[Store]:
    """Submission 1 is packed, 2 has ended, 3 waits."""
    store = Store(engine, clock)
    ended(store)
    clock.now += DAY
    store.packer.pack_some(DAY / 2)
    ended(store)
    store.create(new())
    yield store
    store.close()


def faults(engine: Engine) -> dict[str, tuple[str, ...]]:
    return {each.name: each.faults for each in check_database(engine) if each.faults}


def test_a_sound_database(store: Store, engine: Engine) -> None:
    """Every check is made, and finds nothing."""
    names = [each.name for each in check_database(engine)]
    file = ["file"] if engine.dialect.name == "sqlite" else []
    assert names == [*file, "schema", "references", "logs", "verdicts", "packed"]
    assert faults(engine) == {}


@pytest.mark.thorough(measured=True)
@pytest.mark.parametrize(
    ("damage", "name", "said"),
    [
        ("DELETE FROM events WHERE submission_id = 2 AND seq = 3", "logs", "submission 2 ends at 5, but has 4 events"),
        ("DELETE FROM events WHERE submission_id = 2", "logs", "submission 2 ends at 5, but has no events"),
        ("UPDATE events SET seq = 9 WHERE submission_id = 2 AND seq = 5", "logs", "5 events from 1 to 9"),
        ("UPDATE submissions SET packed = true WHERE id = 2", "logs", "submission 2 is packed, and yet has 5 events"),
        ("UPDATE events SET type = 'x' WHERE submission_id = 2 AND seq = 5", "verdicts", "its log ends with x"),
        ("UPDATE submissions SET final_status = NULL WHERE id = 2", "verdicts", "its log ends with complete"),
        ("UPDATE submissions SET final_status = NULL WHERE id = 1", "verdicts", "1 is packed and has no verdict"),
        ("DELETE FROM packed_events", "packed", "The log of submission 1 is packed, but is not there"),
        ("UPDATE packed_events SET packed = SUBSTR(packed, 1, 20)", "packed", "cannot be read from 1 on"),
        ("UPDATE submissions SET last_seq = 6 WHERE id = 1", "packed", "ends at 5 instead of 6"),
        ("UPDATE packed_events SET first_seq = 2", "packed", "has a hole before 2"),
        ("UPDATE log_dictionaries SET words = SUBSTR(words, 2)", "packed", "cannot be read"),
    ],
)
def test_damage(store: Store, engine: Engine, sql: Sql, damage: str, name: str, said: str) -> None:
    """Each kind is found by the check that is for it, which names the submission."""
    sql(damage)
    found = faults(engine)
    assert next(iter(found)) == name
    assert any(said in each for each in found[name]), found


@pytest.mark.parametrize("backends", [("sqlite", "memory")], ids=["sqlite+memory"], indirect=True)
def test_another_schema(store: Store, engine: Engine, sql: Sql) -> None:
    """Nothing else is checked in what another version has made, or nobody of us."""
    sql("UPDATE alembic_version SET version_num = '0012'")
    [said] = faults(engine)["schema"]
    assert said.startswith("Its schema is 0012, not ")
    sql("DROP TABLE alembic_version")
    assert faults(engine) == {"schema": ("This is no database of subcli.",)}


def test_rows_without_what_they_belong_to(store: Store, engine: Engine) -> None:
    """As somebody leaves them who deletes by hand."""
    if engine.dialect.name == "sqlite":
        off, on = "PRAGMA foreign_keys = OFF", "PRAGMA foreign_keys = ON"
    else:
        off, on = "SET session_replication_role = replica", "SET session_replication_role = origin"
    connection = engine.raw_connection()
    for statement in (off, "DELETE FROM submissions WHERE id = 2", on):
        connection.cursor().execute(statement)
    connection.commit()
    connection.close()
    assert faults(engine)["references"] == ("5 rows of events refer to submissions that are not there.",)


@pytest.mark.parametrize("backends", [("sqlite", "memory")], ids=["sqlite+memory"], indirect=True)
def test_a_damaged_file(store: Store, engine: Engine, database: str) -> None:
    """SQLite says where."""
    path = database.removeprefix("sqlite:///")
    rewrite(engine)
    with engine.connect() as connection:
        page = connection.execute(
            text("SELECT rootpage FROM sqlite_master WHERE name = 'ix_submissions_final_status_id'")
        ).scalar_one()
        size = connection.execute(text("PRAGMA page_size")).scalar_one()
    engine.dispose()
    with open(path, "r+b") as file:
        file.seek((page - 1) * size + size - 40)
        file.write(b"\xff" * 20)
    assert any("The database says" in each for each in faults(engine)["file"])
