"""`subcli db`: what operators type."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from subcli.cli.main import run
from subcli.server.log.database import open_database
from subcli.server.log.sharing import using
from subcli.server.log.store import Store
from subcli.server.observe import audit
from tests.sampling import first
from tests.server.clock import Clock
from tests.server.log.test_packer import DAY, ended
from tests.server.log.test_store import new

Db = Callable[..., tuple[int, str, str]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database with two submissions of 200 days ago, one of now, and one that waits."""
    path = tmp_path / "mine.db"
    engine = open_database(f"sqlite:///{path}")
    clock = Clock()
    clock.now = time.time() - 200 * DAY
    store = Store(engine, clock)
    for _ in range(2):
        ended(store)
    clock.now += 200 * DAY
    ended(store)
    store.create(new())
    store.close()
    return path


@pytest.fixture
def db(path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Db:
    """Runs a command; its exit code, stdout and stderr."""
    monkeypatch.setenv("SUBCLI_DATABASE", f"sqlite:///{path}")

    def run_one(*words: str) -> tuple[int, str, str]:
        code = run(["db", *words])
        out, err = capsys.readouterr()
        return code, out, err

    return run_one


def sql(path: Path, statement: str) -> None:
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()


def test_check(db: Db, path: Path) -> None:
    """0 for a sound database, 6 and a sentence for each fault."""
    code, out, err = db("check")
    assert (code, err) == (0, "")
    assert [line.split()[:2] for line in out.splitlines()] == [
        *(["file", "ok"], ["schema", "ok"], ["references", "ok"], ["logs", "ok"], ["verdicts", "ok"], ["packed", "ok"])
    ]
    assert db("check", "-q")[1] == "ok\n"
    sql(path, "DELETE FROM events WHERE submission_id = 1 AND seq = 2")
    code, out, err = db("check")
    assert code == 6
    assert "logs        failed" in out
    assert "The log of submission 1 ends at 5, but has 4 events" in out
    assert "Restore a backup" in err
    assert db("check", "-q") == (6, "failed\n", "")
    found = json.loads(db("check", "--json")[1])["database_check"]
    assert found["exit_code"] == 6
    assert [each["name"] for each in found["checks"] if each["faults"]] == ["logs"]


def test_check_changes_nothing(db: Db, path: Path) -> None:
    """A database of another version is not migrated, and one that is not there is not made."""
    sql(path, "UPDATE alembic_version SET version_num = '0001'")
    code, out, _ = db("check")
    assert code == 6
    assert "Its schema is 0001, not" in out
    assert "Its schema is 0001" in db("check")[1]
    nowhere = path.with_name("nowhere.db")
    code, _, err = db("check", "--database", f"sqlite:///{nowhere}")
    assert code == 2
    assert f"There is no database at {nowhere}." in err
    assert not nowhere.exists()


def test_backup_and_restore(db: Db, path: Path) -> None:
    """The copy is a database like the first one; a second backup does not replace it."""
    copy = path.with_name("copy.db")
    code, out, err = db("backup", str(copy))
    assert (code, err) == (0, "")
    assert out.startswith(f"Copied {path} to {copy}, ")
    assert out.endswith("The signing key is not in it.\n")
    code, _, err = db("backup", str(copy))
    assert code == 2
    assert "exists" in err
    assert db("prune", "--older-than", "1d", "--yes", "-q")[1] == "2\n"
    assert db("check", "--database", f"sqlite:///{copy}")[0] == 0
    for each in path.parent.glob("mine.db-*"):
        each.unlink()
    copy.replace(path)
    assert db("prune", "--older-than", "1d", "-q")[1] == "2\n"
    assert json.loads(db("backup", str(copy), "--json")[1])["backup"]["size_bytes"] == copy.stat().st_size
    assert db("backup", str(path.parent / "no" / "x.db"))[0] == 2


def test_postgresql_makes_its_own_backups(db: Db, tmp_path: Path) -> None:
    """2, so that no script takes it for done, and the command to type."""
    url = "postgresql+psycopg://judge:hush@db.example/subcli"
    code, out, err = db("backup", str(tmp_path / "x.dump"), "--database", url)
    assert (code, out) == (2, "")
    assert f"Run: pg_dump --format=custom --file={tmp_path}/x.dump" in " ".join(err.split())
    assert "hush" not in err


def test_prune(db: Db, path: Path, tmp_path: Path) -> None:
    """Without --yes it counts; with it, it deletes, says so, and is in the audit log."""
    code, out, _ = db("prune", "--older-than", "180d")
    assert code == 0
    assert out == (
        "Would delete 2 submissions that ended more than 180 days ago,\n"
        "of 1 user, to 1 problem, with 52 bytes of code.\n"
        "2 others would stay.\n"
        "Nothing was deleted. `--yes` deletes.\n"
    )
    assert db("prune", "--older-than", "180d")[1] == out
    log = tmp_path / "audit.jsonl"
    words = ["--older-than", "180d", "--audit-log", str(log), "--yes"]
    code, out, _ = db("prune", "--keep", "verdicts", *words)
    assert out == "Deleted code, results and output of 2 submissions; 2 others stay as they are.\n"
    code, out, _ = db("prune", "--json", *words)
    assert json.loads(out)["prune"]["deleted"] == 2
    audit.stop()
    told = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(line["message"], line["submissions"], bool(line["by"])) for line in told] == [
        ("details pruned", 2, True),
        ("submissions pruned", 2, True),
    ]
    assert db("prune", "--older-than", "180d")[1] == "Nothing to delete: no submission ended more than 180 days ago.\n"
    assert db("check", "-q")[1] == "ok\n"
    assert db("prune", "--older-than", "soon")[0] == 2
    assert db("prune")[0] == 2


@pytest.mark.parametrize(
    "command", [["check"], ["backup", "new.db"], ["prune", "--older-than", "1d", "--yes"], ["compact"]]
)
@pytest.mark.parametrize(
    "database", first(1, ["sqlite:///{}/none.db", "sqlite://", "sqlite:///:memory:", "sqlite:///{}"])
)
def test_no_database_is_made(db: Db, tmp_path: Path, command: list[str], database: str) -> None:
    """A mistyped path is said to be none, and not that there is nothing to do; nothing comes into being there."""
    before = sorted(tmp_path.iterdir())
    code, out, err = db(*command, "--database", database.format(tmp_path))
    assert (code, out) == (2, "")
    assert "There is no database at " in err
    assert sorted(tmp_path.iterdir()) == before


def test_compact(db: Db, path: Path) -> None:
    """Packs and rewrites the file, without what was deleted; not beside a server."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("CREATE TABLE old AS SELECT zeroblob(500000); DROP TABLE old;")
    before = path.stat().st_size
    code, out, err = db("compact")
    assert (code, err) == (0, "")
    assert out.startswith(f"{path} has ")
    assert path.stat().st_size < before - 400_000
    assert db("check", "-q")[1] == "ok\n"
    found = json.loads(db("compact", "--json")[1])["compact"]
    assert found["after_bytes"] == path.stat().st_size
    engine = open_database(f"sqlite:///{path}")
    with using(engine, joined=False):
        code, _, err = db("compact")
    engine.dispose()
    assert code == 2
    assert "A server uses" in err
