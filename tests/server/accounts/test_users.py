"""`subcli user` and `subcli serve --auth`, run as the real program."""

from __future__ import annotations

import io
import json
import os
import pty
import stat
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import httpx
import pytest

from subcli.cli.main import run
from tests.hang import HANG_S

SUBCLI = [sys.executable, "-m", "subcli"]
PASSWORD = "correct horse"
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SUBCLI_")}
    return {**kept, "HOME": str(tmp_path), "NO_COLOR": "1"}


@pytest.fixture
def user(tmp_path: Path, env: dict[str, str]) -> Run:
    def run(*args: str, password: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*SUBCLI, "user", *args, "--data-dir", str(tmp_path / "data")],
            input=password,
            env=env,
            capture_output=True,
            text=True,
            timeout=HANG_S,
        )

    return run


@pytest.fixture
def serve(tmp_path: Path, env: dict[str, str]) -> Iterator[Callable[..., str]]:
    running: list[subprocess.Popen[str]] = []

    def start(*args: str, **more: str) -> str:
        command = [*SUBCLI, "serve", "--auth", "--sandbox", "none", "--json", "--port", "0", "--stop-with-stdin", *args]
        running.append(
            subprocess.Popen(
                [*command, "--data-dir", str(tmp_path / "data")],
                env={**env, **more},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        stdout = running[-1].stdout
        assert stdout is not None
        return str(json.loads(stdout.readline())["url"])

    yield start
    for process in running:
        process.communicate(timeout=HANG_S)


def log_in(url: str, name: str, password: str = PASSWORD) -> httpx.Response:
    with httpx.Client(base_url=url, trust_env=False, timeout=HANG_S) as http:
        return http.post("/api/auth/token", data={"grant_type": "password", "username": name, "password": password})


def me(url: str, token: str) -> int:
    with httpx.Client(base_url=url, trust_env=False, timeout=HANG_S) as http:
        return http.get("/api/auth/me", headers={"Authorization": f"Bearer {token}"}).status_code


@pytest.mark.thorough
def test_user_lifecycle(user: Run, serve: Callable[..., str], tmp_path: Path) -> None:
    """Added, listed, logged in, and removed while the server runs: the session ends and the name is free."""
    assert user("add", "ada", "--password-stdin", password=f"{PASSWORD}\n").returncode == 0
    url = serve("--access-token-seconds", "5")
    granted = log_in(url, "ada").json()
    assert granted["expires_in"] == 5
    assert me(url, granted["access_token"]) == 200
    [row] = json.loads(user("list", "--json").stdout)["users"]
    assert (row["name"], row["sessions"]) == ("ada", 1)
    assert user("list", "-q").stdout == "ada\n"
    removed = user("remove", "ada", "--json")
    assert json.loads(removed.stdout)["user"] == {"name": "ada", "submissions": 0}
    assert me(url, granted["access_token"]) == 401
    assert log_in(url, "ada").status_code == 401
    assert user("add", "ada", password="another password").returncode == 0
    assert log_in(url, "ada", "another password").status_code == 200
    assert PASSWORD.encode() not in (tmp_path / "data" / "subcli.db").read_bytes()
    for name in ("subcli.db", "signing.key"):
        assert stat.S_IMODE((tmp_path / "data" / name).stat().st_mode) == 0o600


REFUSED = [
    (("add", "ada"), PASSWORD, 2),
    (("add", "Ada"), PASSWORD, 2),
    (("add", "demo"), PASSWORD, 2),
    (("add", "bob", "--role", "dean"), PASSWORD, 2),
    (("passwd", "ada"), "hasty\n", 2),
    (("passwd", "bob"), PASSWORD, 5),
    (("role", "ada", "dean"), "", 2),
    (("role", "bob", "teacher"), "", 5),
    (("disable", "bob"), "", 5),
    (("enable", "bob"), "", 5),
    (("add", "-x"), PASSWORD, 2),
    (("add", "a b"), PASSWORD, 2),
    (("add", "a" * 65), PASSWORD, 2),
    (("add", "bob"), "", 2),
    (("add", "bob"), "hasty\n", 2),
    (("add", "bob"), "\udcff" * 10, 2),
    (("remove", "bob"), "", 5),
    (("remove", "demo"), "", 5),
]


@pytest.mark.thorough
def test_invalid_input_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], subtests: pytest.Subtests
) -> None:
    """Each error is one sentence with a hint; exit 2 for invalid input, 5 for an unknown user."""
    monkeypatch.setenv("SUBCLI_DATABASE", f"sqlite:///{tmp_path / 'mine.db'}")

    def user(*args: str, password: str = "") -> int:
        content = io.BytesIO(password.encode("utf-8", "surrogateescape"))
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(content))
        return run(["user", *args])

    assert user("add", "ada", password=PASSWORD) == 0
    capsys.readouterr()
    for args, password, code in REFUSED:
        with subtests.test(args=args, password=password):
            assert user(*args, password=password) == code
            out, err = capsys.readouterr()
            assert out == ""
            assert err.startswith("error: ")
            assert "hint: " in err
            assert not password or password.strip() not in err
    assert user("list") == 0
    assert capsys.readouterr().out.startswith("ada  student  since 20")
    assert not (tmp_path / "data").exists()


def type_at(words: Sequence[str], env: Mapping[str, str], answers: Sequence[tuple[bytes, str]]) -> tuple[int, bytes]:
    """Answer the questions of a command on a terminal. Returns its exit code and what the terminal showed."""
    child, terminal = pty.fork()
    if not child:
        try:
            os.execvpe(SUBCLI[0], [*SUBCLI, *words], dict(env))
        finally:
            os._exit(127)  # an exception would run the rest of the tests twice
    seen = b""
    for prompt, answer in answers:
        while prompt not in seen:
            seen += os.read(terminal, 4096)
        # getpass discards what was typed before it turned echoing off.
        while termios.tcgetattr(terminal)[3] & termios.ECHO:
            time.sleep(0.005)
        os.write(terminal, f"{answer}\n".encode())
    try:
        while chunk := os.read(terminal, 4096):
            seen += chunk
    except OSError:
        pass
    status = os.waitpid(child, 0)[1]
    os.close(terminal)
    return os.waitstatus_to_exitcode(status), seen


@pytest.mark.thorough
@pytest.mark.parametrize(("second", "code"), [(PASSWORD, 0), ("another password", 2)])
def test_terminal_asks_for_the_password_twice(tmp_path: Path, env: dict[str, str], second: str, code: int) -> None:
    """On a terminal the password is prompted for twice and not echoed."""
    words = ["user", "add", "ada", "--data-dir", str(tmp_path / "data")]
    ended, seen = type_at(words, env, [(b"Password for ada: ", PASSWORD), (b"Once more: ", second)])
    assert ended == code
    assert PASSWORD.encode() not in seen


@pytest.mark.thorough
def test_nobody_types_a_password_in_vain(tmp_path: Path, env: dict[str, str], user: Run) -> None:
    """A name that is taken is refused before the first prompt, a password that cannot be used before the second."""
    directory = ["--data-dir", str(tmp_path / "data")]
    ended, seen = type_at(["user", "add", "ada", *directory], env, [(b"Password for ada: ", "hasty")])
    assert (ended, b"Once more" in seen) == (2, False)
    assert user("add", "ada", password=PASSWORD).returncode == 0
    ended, seen = type_at(["user", "add", "ADA", *directory], env, [])
    assert (ended, b"Password for" in seen) == (2, False)
    assert b"same name" in seen
    ended, seen = type_at(["user", "passwd", "bob", *directory], env, [])
    assert (ended, b"Password for" in seen) == (5, False)


@pytest.mark.parametrize(
    ("args", "key", "words"),
    [
        (("--auth",), "short and bad", "32"),
        (("--allow-origin", "*"), "", "origin"),
        (("--host", "0.0.0.0"), "", "--auth"),
    ],
)
def test_invalid_serve_options_are_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    args: tuple[str, ...],
    key: str,
    words: str,
) -> None:
    """A short key, an invalid origin, another host without --auth: exit 2 with a hint."""
    monkeypatch.setenv("SUBCLI_SECRET_KEY", key)
    assert run(["serve", "--json", "--port", "0", "--data-dir", str(tmp_path), *args]) == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert words in error["message"] + error["hint"]
    assert not key or key not in str(error)


@pytest.mark.thorough
def test_other_hosts_and_own_signing_key(user: Run, serve: Callable[..., str], tmp_path: Path) -> None:
    """With --auth the server may listen on every address; with SUBCLI_SECRET_KEY no key file is created."""
    user("add", "ada", password=PASSWORD)
    url = serve("--host", "0.0.0.0", SUBCLI_SECRET_KEY="k" * 32)
    assert url.startswith("http://127.0.0.1:")
    assert log_in(url, "ada").status_code == 200
    assert not (tmp_path / "data" / "signing.key").exists()
