"""One process on a database without Redis, or many with it."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import ExitStack

import pytest
from sqlalchemy import Engine, text

from subcli.server.log.database import open_database
from subcli.server.log.sharing import using
from subcli.server.settings import ServeError
from tests.hang import HANG_S

pytestmark = pytest.mark.every_backend
HOLDER = """
import sys
from subcli.server.log.database import open_database
from subcli.server.log.sharing import using
with using(open_database(sys.argv[1]), joined=False):
    print("held", flush=True)
    sys.stdin.read()
"""


def refusal(engine: Engine, *, joined: bool) -> str | None:
    try:
        with using(engine, joined=joined):
            return None
    except ServeError as error:
        return error.message


def test_a_process_without_redis_is_alone(engine: Engine, database: str) -> None:
    """Whoever comes second is told of `--redis`, whether it has one or not, and can come when the first has gone."""
    other = open_database(database)
    shown = other.url.render_as_string(hide_password=True)
    with using(engine, joined=False):
        with pytest.raises(ServeError) as error, using(other, joined=False):
            pass
        assert error.value.message == (
            f"Another server uses the database {shown}; several processes on one database need --redis."
        )
        assert error.value.hint == (
            "Give all of them the same --redis URL, stop the other one, or choose another database."
        )
        with pytest.raises(ServeError) as error, using(other, joined=True):
            pass
        assert error.value.message == (
            f"A server without --redis uses the database {shown}, so no other process can use it."
        )
        assert error.value.hint == "Restart that server with the same --redis URL, or choose another database."
    assert refusal(other, joined=False) is None
    other.dispose()


def test_a_database_in_memory_is_nobody_elses() -> None:
    """There is no file to lock."""
    one, other = open_database("sqlite://"), open_database("sqlite://")
    with using(one, joined=False), using(other, joined=False):
        pass
    for engine in (one, other):
        engine.dispose()


def test_processes_with_redis_share(engine: Engine, database: str) -> None:
    """With each other, but not with one without."""
    other = open_database(database)
    with using(engine, joined=True):
        assert refusal(other, joined=True) is None
        assert refusal(other, joined=False) is not None
    assert refusal(other, joined=False) is None
    other.dispose()


@pytest.mark.thorough
def test_a_killed_process_leaves_no_lock(engine: Engine, database: str) -> None:
    """The next one can start at once."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, database], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert refusal(engine, joined=False) is not None
        holder.kill()
    until_free(engine)


def until_free(engine: Engine) -> None:
    deadline = time.monotonic() + HANG_S
    while refusal(engine, joined=False) is not None:
        assert time.monotonic() < deadline, "still locked"
        time.sleep(0.01)


@pytest.mark.parametrize("backends", [("postgresql", "memory")], ids=["postgresql+memory"], indirect=True)
def test_a_lost_connection_does_not_lose_the_lock(
    engine: Engine, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL was restarted: the lock is taken again."""
    monkeypatch.setattr("subcli.server.log.sharing._CHECK_S", 0.02)
    holder = open_database(database)
    with ExitStack() as stack:
        stack.enter_context(using(holder, joined=False))
        with engine.begin() as connection:
            lost = connection.execute(
                text("SELECT count(pg_terminate_backend(pid)) FROM pg_locks WHERE locktype = 'advisory'")
            ).scalar_one()
        assert lost == 1
        deadline = time.monotonic() + HANG_S
        while refusal(engine, joined=True) is None:
            assert time.monotonic() < deadline, "the lock was not taken again"
            time.sleep(0.01)
    until_free(engine)
    holder.dispose()
