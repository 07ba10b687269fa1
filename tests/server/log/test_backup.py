"""A backup of a database that is being written to, and what becomes of it when it is restored."""

from __future__ import annotations

import re
import shlex
import sqlite3
import stat
import subprocess
import threading
from pathlib import Path

import pytest
from sqlalchemy import make_url

from subcli.server.log.backup import DamagedBackupError, back_up, dump_command
from subcli.server.log.checking import check_database
from subcli.server.log.database import open_database
from subcli.server.log.records import Append
from subcli.server.log.store import Store
from subcli.server.log.tables import DEMO_USER
from tests.backends import Postgres
from tests.server.clock import Clock
from tests.server.log.test_packer import DAY, ended
from tests.server.log.test_store import new, result

DEPLOY = Path(__file__).parents[3] / "docs" / "deploy" / "README.md"


@pytest.mark.thorough
def test_a_backup_while_others_write(tmp_path: Path) -> None:
    """It is a state between two transactions, in one file that only its owner can read; a restore works on."""
    path, copy = tmp_path / "subcli.db", tmp_path / "copies"
    copy.mkdir()
    engine = open_database(f"sqlite:///{path}")
    clock = Clock()
    store = Store(engine, clock)
    first = ended(store)
    clock.now += DAY
    store.packer.pack_some(0)
    running = store.create(new())[0].id
    begun, stop = threading.Event(), threading.Event()

    def write() -> None:
        while not stop.is_set():
            store.append(Append(running, [result("a"), result("b")]))
            begun.set()

    writer = threading.Thread(target=write)
    writer.start()
    begun.wait()
    try:
        sizes = [back_up(path, copy / f"{number}.db") for number in range(5)]
    finally:
        stop.set()
        writer.join()
    before = store.lookup.page(first, 0, 10)
    end = store.lookup.snapshot(running, DEMO_USER).last_seq
    store.close()
    assert sorted(each.name for each in copy.iterdir()) == [f"{number}.db" for number in range(5)]
    for number, size in enumerate(sizes):
        found = copy / f"{number}.db"
        assert (stat.S_IMODE(found.stat().st_mode), found.stat().st_size) == (0o600, size)
        restored = open_database(f"sqlite:///{found}")
        assert [each for each in check_database(restored) if each.faults] == []
        again = Store(restored, clock)
        assert again.lookup.page(first, 0, 10) == before
        last = again.lookup.snapshot(running, DEMO_USER).last_seq
        # Two events of one transaction are both there, or neither.
        assert (last % 2, last <= end) == (1, True)
        again.append(Append(running, [result("c")]))
        again.close()


@pytest.mark.thorough
@pytest.mark.parametrize("backends", [("postgresql", "memory")], indirect=True)
def test_a_backup_of_postgresql(database: str, postgres: Postgres, tmp_path: Path) -> None:
    """Made by the command that is named, restored by that in docs/deploy, also over the tables of a newer version."""
    clock, file = Clock(), tmp_path / "subcli.dump"
    store = Store(open_database(database), clock)
    first = ended(store)
    clock.now += DAY
    store.packer.pack_some(0)
    running = store.create(new())[0].id
    before = [store.lookup.page(each, 0, 10) for each in (first, running)]
    make = shlex.split(dump_command(make_url(database), file))
    subprocess.run([postgres.program(make[0]), *make[1:]], check=True)
    store.append(Append(running, [result("a")]))
    assert store.create(new())[0].id == running + 1
    store.close()
    name = str(make_url(database).database)
    postgres.execute("CREATE TABLE added (submission_id bigint REFERENCES submissions (id))", name)
    (line,) = re.findall(r"^pg_restore .*", DEPLOY.read_text(), re.MULTILINE)
    # Its options are for a server at the usual place.
    *restore, dbname, _ = shlex.split(line)
    assert dbname == "--dbname=postgres"
    where = f"--dbname=postgresql://postgres@/postgres?host={postgres.directory}"
    subprocess.run([postgres.program(restore[0]), *restore[1:], where, file], check=True)
    assert postgres.rows("SELECT to_regclass('added')", name) == [(None,)]
    restored = open_database(database)
    assert [each for each in check_database(restored) if each.faults] == []
    again = Store(restored, clock)
    assert [again.lookup.page(each, 0, 10) for each in (first, running)] == before
    again.append(Append(running, [result("b")]))
    assert again.create(new())[0].id == running + 1
    again.close()


def test_a_backup_replaces_nothing(tmp_path: Path) -> None:
    """Least of all the database; and what failed leaves no file."""
    path = tmp_path / "subcli.db"
    open_database(f"sqlite:///{path}").dispose()
    (tmp_path / "link").symlink_to("nowhere")
    content = path.read_bytes()
    for target in (path, tmp_path / "link"):
        with pytest.raises(FileExistsError):
            back_up(path, target)
    assert path.read_bytes() == content
    with pytest.raises(OSError, match="No such file"):
        back_up(path, tmp_path / "no" / "such" / "directory")
    with pytest.raises(sqlite3.Error):
        back_up(tmp_path / "nothing.db", tmp_path / "copy.db")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["link", "subcli.db"]


def test_a_damaged_database_gives_no_backup(tmp_path: Path) -> None:
    """It would be found out when it is needed."""
    path = tmp_path / "subcli.db"
    open_database(f"sqlite:///{path}").dispose()
    with open(path, "r+b") as file:
        file.seek(3 * 4096)
        file.write(b"\xff" * 4096)
    with pytest.raises((DamagedBackupError, sqlite3.DatabaseError)):
        back_up(path, tmp_path / "copy.db")
    assert [each.name for each in tmp_path.iterdir()] == ["subcli.db"]


@pytest.mark.parametrize(
    ("url", "command"),
    [
        (
            "postgresql+psycopg://judge:hush@db.example:5433/subcli?sslmode=verify-full",
            "pg_dump --format=custom --file='/srv/a b.dump' "
            "'--dbname=postgresql://judge@db.example:5433/subcli?sslmode=verify-full'",
        ),
        (
            "postgresql+psycopg:///subcli?host=/run/postgresql",
            "pg_dump --format=custom --file='/srv/a b.dump' '--dbname=postgresql:///subcli?host=%2Frun%2Fpostgresql'",
        ),
    ],
)
def test_command_for_postgresql(url: str, command: str) -> None:
    """All of the connection, but not the password."""
    said = dump_command(make_url(url), Path("/srv/a b.dump"))
    assert shlex.split(said) == shlex.split(command)
    assert "hush" not in said
