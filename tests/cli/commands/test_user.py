"""`subcli user`: what operators type, on a SQLite file."""

from __future__ import annotations

import csv
import io
import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from subcli.cli.commands.server.user import imports
from subcli.cli.main import run
from subcli.server.accounts.passwords import Passwords
from subcli.server.accounts.users import UserExistsError, Users
from subcli.server.log.database import open_database
from subcli.server.observe import audit
from subcli.server.settings import PasswordCost

PASSWORD = "correct horse"
User = Callable[..., tuple[int, str, str]]


@pytest.fixture
def user(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> User:
    """Runs a command; its exit code, stdout and stderr."""
    monkeypatch.setenv("SUBCLI_DATABASE", f"sqlite:///{tmp_path / 'mine.db'}")
    cheap = Passwords(PasswordCost(passes=1, memory_kib=8, lanes=1))
    monkeypatch.setattr(imports, "Passwords", lambda _cost: cheap)

    def run_one(*words: str, stdin: bytes = PASSWORD.encode()) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        code = run(["user", *words])
        out, err = capsys.readouterr()
        return code, out, err

    return run_one


def listed(user: User) -> dict[str, Any]:
    return {row["name"]: row for row in json.loads(user("list", "--json")[1])["users"]}


@pytest.mark.thorough(measured=True)
def test_roles_and_states(user: User, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Added with a role, changed, disabled, enabled and removed; the list shows it, and the audit log who did it."""
    monkeypatch.setenv("SUBCLI_AUDIT_LOG", str(tmp_path / "audit.jsonl"))
    assert (
        user("add", "ada", "--role", "teacher", "--json")[1] == '{"schema":1,"user":{"name":"ada","role":"teacher"}}\n'
    )
    assert user("add", "bob")[0] == 0
    assert user("role", "ADA", "admin")[1] == "ada is now an admin.\n"
    assert user("disable", "bob", "--json")[1] == '{"schema":1,"user":{"name":"bob","disabled":true}}\n'
    assert (listed(user)["ada"]["role"], listed(user)["ada"]["disabled_at"]) == ("admin", None)
    assert listed(user)["bob"]["disabled_at"]
    assert "bob  student  since 20" in user("list")[1]
    assert "disabled since 20" in user("list")[1]
    assert user("enable", "bob")[1] == "Enabled bob: logins are accepted again.\n"
    assert user("passwd", "Bob", stdin=b"another password\n")[1].startswith(
        "bob has a new password; sessions have ended"
    )
    assert user("passwd", "bob", "--revoke-tokens")[1].endswith(
        "sessions and access tokens have ended, submissions stay.\n"
    )
    assert user("remove", "bob")[1] == "Removed bob.\n"
    audit.stop()
    told = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    assert [(line["message"], line["user"], line.get("role"), line.get("before")) for line in told] == [
        ("user added", "ada", "teacher", None),
        ("user added", "bob", "student", None),
        ("role changed", "ada", "admin", "teacher"),
        ("user disabled", "bob", None, None),
        ("user enabled", "bob", None, None),
        *[("password changed", "bob", None, None)] * 2,
        ("user removed", "bob", None, None),
    ]
    assert all(line["by"] for line in told)


def test_import(user: User, tmp_path: Path) -> None:
    """With header, byte order mark, quotes and empty lines; each generated password works, and is written once."""
    file, output = tmp_path / "class.csv", tmp_path / "passwords.csv"
    file.write_bytes(b'\xef\xbb\xbfName,Role\r\nada,teacher\r\n\r\n"bob"\r\neve,,her own password\r\n')
    code, out, err = user("import", str(file), "--output", str(output))
    assert (code, out) == (0, "")
    assert err == f"Added 3 users; 2 generated passwords are in {output}.\n"
    assert stat.S_IMODE(output.stat().st_mode) == 0o600
    rows = list(csv.DictReader(io.StringIO(output.read_text())))
    assert [row["name"] for row in rows] == ["ada", "bob"]
    assert len({row["password"] for row in rows}) == 2
    assert {name: row["role"] for name, row in listed(user).items()} == {
        "ada": "teacher",
        "bob": "student",
        "eve": "student",
    }
    engine = open_database(f"sqlite:///{tmp_path / 'mine.db'}")
    users, passwords = Users(engine, lambda: 0.0), Passwords(PasswordCost())
    for name, password in (*((row["name"], row["password"]) for row in rows), ("eve", "her own password")):
        found = users.find(name)
        assert found is not None
        assert passwords.verify(password, found.password_hash)
    engine.dispose()


def test_import_to_stdout(user: User) -> None:
    """From stdin; the passwords go to stdout, with `--json` beside each user."""
    code, out, err = user("import", "-", stdin=b"ada\nbob,admin\n")
    assert code == 0
    assert [row["name"] for row in csv.DictReader(io.StringIO(out))] == ["ada", "bob"]
    assert err == "Added 2 users.\n"
    code, out, _ = user("import", "-", "--json", stdin=b"eve,,her own password\ndan\n")
    rows = json.loads(out)["users"]
    assert [(row["name"], row["role"], "password" in row) for row in rows] == [
        ("eve", "student", False),
        ("dan", "student", True),
    ]


BAD = b"""ada
-x
bob,dean
eve,,short
dan,student,long enough,group,more
Ada
taken
,teacher
a;student
"quo"ted
"""


@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_import_names_all_bad_lines(user: User, tmp_path: Path, more: tuple[str, ...]) -> None:
    """By number, each with its reason, and nothing is imported; passwords are not repeated."""
    assert user("add", "Taken")[0] == 0
    file = tmp_path / "class.csv"
    file.write_bytes(BAD)
    output = tmp_path / "passwords.csv"
    code, out, err = user("import", str(file), "--output", str(output), *more)
    assert (code, out) == (2, "")
    assert err.splitlines()[:9] == [
        "line 2: '-x' is not a valid user name",
        "line 3: 'dean' is not a role: use student, teacher, admin",
        "line 4: the password must have between 8 and 1024 characters",
        "line 5: 5 columns instead of name, role, password and group",
        "line 6: Ada is in line 1 already",
        "line 7: user Taken already exists",
        "line 8: the name is missing",
        "line 9: 'a;student' is not a valid user name; columns are separated by commas",
        "line 10: it is not CSV: ',' expected after '\"'",
    ]
    assert "error: 9 lines of " in err
    assert "short" not in err
    error = json.loads(user("import", str(file), "--json")[1])["error"]
    assert "line 3: 'dean'" in error["message"]
    assert set(listed(user)) == {"Taken"}
    assert not output.exists()


def test_dry_run_changes_nothing(user: User, tmp_path: Path) -> None:
    """It says how many users there would be."""
    output = tmp_path / "passwords.csv"
    assert user("import", "-", "--dry-run", "--output", str(output), stdin=b"ada\nbob\n") == (
        *(0, "", "2 users can be imported.\n"),
    )
    assert (listed(user), output.exists()) == ({}, False)


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"ada\nb\xffb\n", "Line 2 of - is not UTF-8"), (b"a" * (4 * 1024 * 1024 + 1), "longer than 4 MiB")],
)
def test_files_that_cannot_be_read(user: User, content: bytes, words: str) -> None:
    """The line is named."""
    code, _, err = user("import", "-", stdin=content)
    assert code == 2
    assert words in err


def test_passwords_are_not_lost_nor_left_behind(user: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An existing file is kept, a directory that cannot be written is found first; no file stays if adding fails."""
    output = tmp_path / "passwords.csv"
    output.write_text("kept")
    assert user("import", "-", "--output", str(output), stdin=b"ada\n")[0] == 2
    assert output.read_text() == "kept"
    assert user("import", "-", "--output", str(tmp_path / "no" / "x"), stdin=b"ada\n")[0] == 2
    assert user("import", str(tmp_path / "none.csv"))[0] == 2
    assert listed(user) == {}

    def fail(_users: Users, _new: object) -> None:
        raise UserExistsError("ada")

    monkeypatch.setattr(Users, "add_all", fail)
    other = tmp_path / "other.csv"
    code, _, err = user("import", "-", "--output", str(other), stdin=b"ada\n")
    assert code == 2
    assert "User ada was added meanwhile" in err
    assert not other.exists()


def test_groups(user: User, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Imported with a file, joined, left and listed; the audit log says by whom."""
    monkeypatch.setenv("SUBCLI_AUDIT_LOG", str(tmp_path / "audit.jsonl"))
    assert user("group", "list") == (0, "No groups. Make one: subcli user group add GROUP NAME...\n", "")
    rows = json.loads(user("import", "-", "--json", stdin=b"name,role,password,group\nada,,,Monday\nbob\n")[1])
    assert [row.get("group") for row in rows["users"]] == ["Monday", None]
    assert user("add", "eve")[0] == 0
    assert user("group", "add", "monday", "EVE", "bob", "ada")[1] == "2 users joined Monday.\n"
    assert user("group", "add", "friday", "bob")[1] == "bob joined friday.\n"
    assert user("group", "add", "friday", "Bob")[1] == "Nobody joined friday.\n"
    assert user("group", "list")[1] == "friday: bob\nMonday: ada, bob, eve\n"
    assert user("group", "list", "-q")[1] == "friday\nMonday\n"
    left = json.loads(user("group", "remove", "monday", "ada", "--json")[1])
    assert left["group"] == {"name": "Monday", "users": ["ada"]}
    assert user("group", "remove", "friday")[1] == "bob left friday.\n"
    groups = json.loads(user("group", "list", "--json")[1])["groups"]
    assert groups == [{"name": "Monday", "members": ["bob", "eve"]}]
    audit.stop()
    told = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    assert [(line["message"], line["user"], line["group"]) for line in told if "group" in line] == [
        ("user added", "ada", "Monday"),
        *[("user joined group", name, "Monday") for name in ("bob", "eve")],
        ("user joined group", "bob", "friday"),
        ("user left group", "ada", "Monday"),
        ("user left group", "bob", "friday"),
    ]


def test_groups_that_cannot_be(user: User) -> None:
    """A name that no group can have, users and groups that are not there: each named, and nothing done."""
    assert user("add", "ada")[0] == 0
    code, _, err = user("group", "add", "-1", "ada")
    assert code == 2
    code, _, err = user("group", "add", "my class", "ada")
    assert (code, "'my class' is not a valid name for a group" in err) == (2, True)
    code, _, err = user("group", "add", "monday", "ada", "dan")
    assert (code, "There is no user dan." in err) == (5, True)
    code, _, err = user("group", "remove", "monday")
    assert (code, "There is no group monday." in err, "`subcli user group list`" in err) == (5, True, True)
    code, _, err = user("import", "-", stdin=b"dan,,,my class\n")
    assert (code, "line 1: 'my class' is not a valid name for a group" in err) == (2, True)
    assert json.loads(user("group", "list", "--json")[1])["groups"] == []


def test_an_empty_file(user: User) -> None:
    """Nobody is added, which is no error."""
    assert user("import", "-", stdin=b"name,role,password\n\n")[0] == 0
    assert listed(user) == {}


def test_two_spellings_are_shown(user: User, tmp_path: Path) -> None:
    """Where an older version allowed both, the list says what to do."""
    assert user("add", "ada")[0] == 0
    engine = open_database(f"sqlite:///{tmp_path / 'mine.db'}")
    with engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO users (name, created_at, password_hash) VALUES ('Ada', 0, 'hash')")
    engine.dispose()
    code, out, err = user("list")
    assert (code, len(out.splitlines())) == (0, 2)
    assert "Ada and ada are one name in several spellings" in err
