"""The schema: made by migrations, even if several processes start at once."""

from __future__ import annotations

import re
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Engine, create_engine, event, inspect, text
from sqlalchemy.exc import IntegrityError, OperationalError

from subcli.server.log import migrations
from subcli.server.log.database import open_database, reading
from subcli.server.log.driver import DriverTransaction, Writer, marks, writing
from subcli.server.log.tables import REVISION, metadata
from subcli.server.settings import ServeError
from subcli.shared.secret import redact
from tests.hang import HANG_S


@pytest.mark.every_backend
def test_the_migrations_make_the_schema(engine: Engine) -> None:
    """What the migrations make is what the code describes."""
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


@pytest.mark.every_backend
def test_index_of_what_is_not_packed_has_nothing_else(engine: Engine) -> None:
    """Its condition is given to each database apart; without it, the index would grow with the records."""
    [index] = [each for each in inspect(engine).get_indexes("submissions") if each["name"] == "ix_submissions_unpacked"]
    options = index["dialect_options"]
    assert "finished_at IS NOT NULL" in str(options[f"{engine.dialect.name}_where"])


def test_opening_again_changes_nothing(tmp_path: Path) -> None:
    """Opening a database a second time finds the schema, and creates the demo user only once."""
    url = f"sqlite:///{tmp_path / 'a b%c.db'}"
    open_database(url).dispose()
    engine = open_database(url)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM users")).scalar_one() == 1
    engine.dispose()


def test_the_revision_is_the_latest(engine: Engine) -> None:
    """Comparing it with the database's revision tells whether there is anything to migrate."""
    with engine.connect() as connection:
        assert MigrationContext.configure(connection).get_current_revision() == REVISION


def _index(found: Any) -> str:
    """An index, with the condition of a partial one as text."""
    options = {name: str(value) for name, value in found.pop("dialect_options", {}).items()}
    return f"{found} {options}"


def _described(engine: Engine) -> object:
    """All that a database says of its tables, and what is in them, apart from times."""
    with engine.connect() as connection:
        found = inspect(connection)
        tables = {
            name: (
                sorted(map(str, found.get_columns(name))),
                found.get_pk_constraint(name),
                sorted(_index(each) for each in found.get_indexes(name)),
                sorted(map(str, found.get_foreign_keys(name))),
                sorted(map(str, found.get_unique_constraints(name))),
                [
                    sorted((column, value) for column, value in row.items() if not column.endswith("_at"))
                    for row in connection.execute(text(f"SELECT * FROM {name}")).mappings()
                ],
            )
            for name in sorted(found.get_table_names())
        }
        if engine.dialect.name == "sqlite":
            words = "SELECT name FROM sqlite_master WHERE sql LIKE '%AUTOINCREMENT%' ORDER BY name"
            return tables, connection.execute(text(words)).scalars().all()
        return tables


@pytest.mark.thorough
def test_a_new_database_is_as_the_migrations_make_one(new_database: str) -> None:
    """It has the same columns, constraints, indexes and rows, so that all migrations to come find what they expect."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    engine = create_engine(new_database)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    migrated = _described(engine)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
        connection.execute(text("DROP TABLE alembic_version"))
    engine.dispose()
    engine = open_database(new_database)
    assert _described(engine) == migrated
    engine.dispose()


@pytest.mark.thorough
@pytest.mark.parametrize("is_new", [True, False])
def test_a_start_with_nothing_to_migrate_imports_no_alembic(tmp_path: Path, is_new: bool) -> None:
    """Importing Alembic takes 0.2 s, and memory as long as the process runs."""
    url = f"sqlite:///{tmp_path / 'old.db'}"
    if not is_new:
        open_database(url).dispose()
    program = (
        "import sys; from subcli.server.log.database import open_database; open_database(sys.argv[1]);"
        "print('alembic' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program, url], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_a_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    """With one sentence, and without changing the database."""
    url = f"sqlite:///{tmp_path / 'newer.db'}"
    engine = open_database(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(ServeError) as error:
        open_database(url)
    assert error.value.message == ("The database was created by a newer subcli: this version does not know its schema.")
    assert error.value.hint == "Update subcli, or use another database or data directory."


@pytest.fixture(params=["sqlite", "postgresql"])
def new_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without any table."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'new.db'}"
        return
    postgres = request.getfixturevalue("postgres")
    postgres.execute("CREATE DATABASE new")
    yield postgres.url("new")
    postgres.execute("DROP DATABASE new WITH (FORCE)")


@pytest.mark.thorough
def test_processes_that_migrate_at_once(new_database: str) -> None:
    """Four processes migrate one new database at the same moment, and all succeed."""
    program = (
        "import sys; from subcli.server.log.database import open_database; print('ready', flush=True);"
        "sys.stdin.read(); open_database(sys.argv[1]).dispose()"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, new_database],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdout is not None
        process.stdout.readline()
    for process in processes:
        assert process.stdin is not None
        process.stdin.close()
        process.stdin = None
    assert [process.communicate(timeout=HANG_S)[1] for process in processes] == [""] * 4
    assert [process.returncode for process in processes] == [0] * 4
    engine = create_engine(new_database)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM alembic_version")).scalar_one() == 1
        assert connection.execute(text("SELECT count(*) FROM users")).scalar_one() == 1
    engine.dispose()


@pytest.mark.every_backend
def test_the_queue_of_an_older_version_is_kept(engine: Engine, database: str) -> None:
    """What it had handed back is next, with its attempt raised; what ended or is being judged is as it was."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    rows = {1: "1, NULL, NULL", 2: "0, NULL, NULL", 3: "2, NULL, 5", 4: "1, 'passed', NULL"}
    columns = "owner_id, problem, language, files, created_at, status, last_seq, fence"
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0002")
        for number, more in rows.items():
            connection.execute(
                text(
                    f"INSERT INTO submissions (id, {columns}, attempt, final_status, lease_until)"
                    f" VALUES ({number}, 1, 'echo', 'python', '{{}}', 0, 'pending', 0, 0, {more})"
                )
            )
    open_database(database).dispose()
    query = text("SELECT id, attempt, turn, losses FROM submissions ORDER BY id")
    with engine.begin() as connection:
        assert [tuple(row) for row in connection.execute(query)] == [
            *((1, 2, -1, 0), (2, 0, 0, 0), (3, 2, 0, 0), (4, 1, 0, 0))
        ]


@pytest.mark.every_backend
def test_each_log_of_an_older_version_gets_a_name(engine: Engine, database: str) -> None:
    """A name of its own, of the same kind as those of new ones."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    columns = "owner_id, problem, language, files, created_at, status, last_seq, fence, attempt"
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0003")
        for number in range(1, 4):
            values = f"{number}, 1, 'echo', 'python', '{{}}', 0, 'pending', 0, 0, 0"
            connection.execute(text(f"INSERT INTO submissions (id, {columns}) VALUES ({values})"))
    open_database(database).dispose()
    with engine.begin() as connection:
        names = connection.execute(text("SELECT epoch FROM submissions")).scalars().all()
    assert len(set(names)) == 3
    assert all(re.fullmatch("[0-9a-f]{16}", name) for name in names)


@pytest.mark.every_backend
def test_readers_do_not_wait_for_the_writer(engine: Engine) -> None:
    """While a transaction writes, others read what was there before."""
    with engine.begin() as writer:
        writer.execute(text("INSERT INTO users (name, created_at) VALUES ('x', 0)"))
        with reading(engine).begin() as reader:
            assert reader.execute(text("SELECT count(*) FROM users")).scalar_one() == 1


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("nonsense", "it is not a valid database URL"),
        ("postgresql+psycopg://host:port/name", "it is not a valid database URL"),
        ("nosuch://x/y", "unknown kind of database or driver"),
        ("postgresql+nosuch://x/y", "unknown kind of database or driver"),
        ("mysql+pymysql://x/y", "its driver is not installed"),
    ],
)
def test_an_unusable_url_is_refused(url: str, reason: str) -> None:
    """With one sentence, which does not repeat the URL, and a hint."""
    with pytest.raises(ServeError) as error:
        open_database(url)
    assert error.value.message == f"The database URL cannot be used: {reason}."
    assert error.value.hint == ("Use a URL such as sqlite:////path/to/subcli.db or postgresql+psycopg://HOST/NAME.")
    assert redact(error.value.hint) == error.value.hint


@pytest.mark.parametrize(
    ("url", "shown", "cause"),
    [
        ("sqlite:////no/such/directory/x.db", "sqlite:////no/such/directory/x.db", "unable to open database file"),
        ("postgresql+psycopg://ada:hush@127.0.0.1:1/x", "postgresql+psycopg://ada:***@127.0.0.1:1/x", "connection"),
    ],
)
def test_a_database_that_cannot_be_opened(url: str, shown: str, cause: str) -> None:
    """The error names it without its password, and the cause in one line."""
    with pytest.raises(ServeError) as error:
        open_database(url)
    assert error.value.message.startswith(f"The database {shown} cannot be opened: {cause}")
    assert "\n" not in error.value.message
    assert "hush" not in str(error.value)
    assert error.value.hint == "Check that it exists, that it is writable, and that no other process has locked it."


@pytest.mark.every_backend
def test_connections_are_set_up(engine: Engine, database: str) -> None:
    """Waiting is bounded, a frozen process holds no locks, and PostgreSQL's operator sees whose connection it is."""
    if engine.dialect.name == "sqlite":
        settings = {"foreign_keys": 1, "busy_timeout": 10_000, "synchronous": 1, "journal_mode": "wal"}
        with engine.connect() as connection:
            found = {name: connection.execute(text(f"PRAGMA {name}")).scalar_one() for name in settings}
        assert found == settings
        return
    settings = {
        "lock_timeout": "10s",
        "idle_in_transaction_session_timeout": "1min",
        "application_name": "subcli",
    }
    with engine.connect() as connection:
        assert {name: connection.execute(text(f"SHOW {name}")).scalar_one() for name in settings} == settings
    mine = open_database(f"{database}&application_name=mine")
    with mine.connect() as connection:
        assert connection.execute(text("SHOW application_name")).scalar_one() == "mine"
    mine.dispose()


def test_a_new_file_is_private(tmp_path: Path) -> None:
    """It holds password hashes; one that is there keeps its mode."""
    path = tmp_path / "new.db"
    for mode in (0o600, 0o640):
        open_database(f"sqlite:///{path}").dispose()
        assert stat.S_IMODE(path.stat().st_mode) == mode
        path.chmod(0o640)


@pytest.mark.every_backend
def test_errors_do_not_show_what_was_stored(engine: Engine) -> None:
    """A traceback in a log contains no solution and no hash."""
    statement = "INSERT INTO users (id, name, created_at, password_hash) VALUES"
    with pytest.raises(IntegrityError) as ours, engine.begin() as connection:
        connection.execute(text(f"{statement} (:id, :name, 0, :hash)"), {"id": 1, "name": "x", "hash": "hush-hush"})
    with pytest.raises(IntegrityError) as drivers, writing(engine) as transaction:
        transaction.exec_driver_sql(f"{statement} ({marks(engine.dialect, 4)})", (1, "x", 0, "hush-hush"))
    for error in (ours, drivers):
        assert "hush-hush" not in str(error.value)


@pytest.mark.every_backend
def test_transaction_of_the_driver(engine: Engine) -> None:
    """Committed as a whole, or not at all."""
    statement = f"INSERT INTO users (name, created_at) VALUES ({marks(engine.dialect, 2)})"
    with writing(engine) as transaction:
        transaction.exec_driver_sql(statement, [("a", 0), ("b", 0)])

    def fail() -> None:
        with writing(engine) as transaction:
            transaction.exec_driver_sql(statement, ("c", 0))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with engine.connect() as connection:
        names = connection.execute(text("SELECT name FROM users ORDER BY name")).scalars().all()
    assert names == ["a", "b", "demo"]


@pytest.mark.parametrize("backends", [("postgresql", "memory")], ids=["postgresql+memory"], indirect=True)
def test_lost_connection_is_told_from_a_refusal(engine: Engine, sql: Callable[[str], Any]) -> None:
    """PostgreSQL was restarted in the middle of a transaction: the connection is not used again."""

    def lose() -> None:
        with writing(engine) as transaction:
            [(pid,)] = transaction.exec_driver_sql("SELECT pg_backend_pid()", ()).fetchall()
            sql(f"SELECT pg_terminate_backend({pid})")
            transaction.exec_driver_sql("SELECT 1", ())

    with pytest.raises(OperationalError) as error:
        lose()
    assert error.value.connection_invalidated
    with writing(engine) as transaction:
        assert transaction.exec_driver_sql("SELECT 1", ()).fetchall() == [(1,)]


@pytest.mark.every_backend
def test_a_writer_keeps_its_connection(engine: Engine) -> None:
    """Until a transaction fails, which is rolled back; the next one is not affected."""
    lent: list[object] = []
    event.listen(engine, "checkout", lambda *what: lent.append(what))
    statement = f"INSERT INTO users (name, created_at) VALUES ({marks(engine.dialect, 2)})"
    writer = Writer(engine)

    def add(name: str) -> None:
        writer.run(lambda transaction: transaction.exec_driver_sql(statement, (name, 0)))

    def fail(transaction: DriverTransaction) -> None:
        transaction.exec_driver_sql(statement, ("lost", 0))
        raise ZeroDivisionError

    for name in "abc":
        add(name)
    assert len(lent) == 1
    with pytest.raises(ZeroDivisionError):
        writer.run(fail)
    with pytest.raises(IntegrityError):
        add("demo")
    add("g")
    assert len(lent) == 3
    writer.close()
    with engine.connect() as connection:
        names = connection.execute(text("SELECT name FROM users ORDER BY name")).scalars().all()
    assert names == ["a", "b", "c", "demo", "g"]


@pytest.mark.parametrize("backends", [("postgresql", "memory")], ids=["postgresql+memory"], indirect=True)
def test_a_writer_whose_connection_was_lost(engine: Engine, sql: Callable[[str], Any]) -> None:
    """Between two transactions or within one: it begins again on another connection. A lost COMMIT is not repeated."""
    writer = Writer(engine)
    losses = 0

    def pid(transaction: DriverTransaction) -> int:
        [(found,)] = transaction.exec_driver_sql("SELECT pg_backend_pid()", ()).fetchall()
        return int(found)

    def lose(transaction: DriverTransaction) -> int:
        nonlocal losses
        found = pid(transaction)
        if losses:
            losses -= 1
            sql(f"SELECT pg_terminate_backend({found})")
            return pid(transaction)
        return found

    first = writer.run(pid)
    sql(f"SELECT pg_terminate_backend({first})")
    second = writer.run(pid)
    assert second != first
    losses = 1
    assert writer.run(lose) not in (first, second)
    losses = 2
    with pytest.raises(OperationalError) as error:
        writer.run(lose)
    assert error.value.connection_invalidated
    with pytest.raises(OperationalError):
        writer.run(lambda transaction: sql(f"SELECT pg_terminate_backend({pid(transaction)})"))
    assert writer.run(pid)
    writer.close()


def test_a_file_that_is_not_a_database(tmp_path: Path) -> None:
    """It is not overwritten, and the error names it."""
    path = tmp_path / "notes.txt"
    path.write_text("not a database " * 100)
    with pytest.raises(ServeError) as error:
        open_database(f"sqlite:///{path}")
    assert "notes.txt" in error.value.message
    assert path.read_text().startswith("not a database")


@pytest.mark.every_backend
def test_waiting_for_a_lock_is_bounded(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that holds a row, or the file, makes others wait and then fail, not hang."""
    monkeypatch.setattr("subcli.server.log.database.LOCK_TIMEOUT_S", 0.2)
    holder, waiter = open_database(database), open_database(database)
    change = text("UPDATE users SET name = 'x' WHERE id = 1")
    with holder.begin() as connection:
        connection.execute(change)
        with pytest.raises(OperationalError, match="lock"), waiter.begin() as other:
            other.execute(change)
    holder.dispose()
    waiter.dispose()
