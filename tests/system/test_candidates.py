"""What a completion is told: from the cache at once, from the server within the deadline, and never an error."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from subcli.cli.completion.candidates import server_of
from subcli.core.errors import UsageError
from subcli.settings.config import load
from subcli.workspace.completion_cache import FRESH_S, LONGEST, MOST, CompletionCache

from .conftest import Run, Served
from .terminal import until

USER_FILE = """
server = "https://user.example/"
[profiles.work]
server = "Https://work.example"
[profiles.bare]
language = "c"
"""


@pytest.fixture
def recall(tmp_path: Path) -> CompletionCache:
    """Of one server, empty."""
    return CompletionCache("http://a.example", tmp_path / "names")


def test_names_are_words(recall: CompletionCache) -> None:
    """What a shell might take for anything but a word is neither kept nor given out."""
    good = ["lru-cache", "a.b_c", "7", 8]
    recall.keep("problems", [*good, "$(id)", "`id`", "a b", "a;b", "", "-rf", "é", "a\nb", "x" * (LONGEST + 1), None])
    assert recall.names("problems") == (["lru-cache", "a.b_c", "7", "8", "None"], True)


def test_cache_is_private_and_bounded(recall: CompletionCache, tmp_path: Path) -> None:
    """Mode 0600, nothing left beside it, never more than so many names."""
    recall.keep("ids", range(10 * MOST))
    recall.add("ids", 99999)
    (path,) = (tmp_path / "names").iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    names, _ = recall.names("ids")
    assert names[:2] == ["99999", "0"]
    assert len(names) == MOST


def test_cache_is_of_one_server(recall: CompletionCache, tmp_path: Path) -> None:
    """Another server's file is not read, even where both have the same name."""
    recall.keep("ids", [1])
    (path,) = (tmp_path / "names").iterdir()
    other = CompletionCache("http://b.example", tmp_path / "names")
    assert other.names("ids") == ([], False)
    other.keep("ids", [2])
    (theirs,) = set((tmp_path / "names").iterdir()) - {path}
    theirs.replace(path)
    assert recall.names("ids") == ([], False)


def test_old_names_are_asked_for_again(recall: CompletionCache, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a minute they are offered still, but are no longer fresh; after a day they are gone."""
    recall.keep("ids", [1])
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + FRESH_S + 1)
    assert recall.names("ids") == (["1"], False)
    assert recall.ask_now(5)
    assert not recall.ask_now(5)
    monkeypatch.setattr(time, "time", lambda: now + 25 * 3600)
    assert recall.names("ids") == ([], False)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"server": "http://a.example", "ids": [1]}', "[" * 100000])
def test_broken_cache(recall: CompletionCache, tmp_path: Path, content: str) -> None:
    """A file that is not ours is as none, and is replaced."""
    recall.keep("ids", [1])
    (path,) = (tmp_path / "names").iterdir()
    path.write_text(content)
    assert recall.names("ids") == ([], False)
    recall.keep("ids", [2])
    assert recall.names("ids") == (["2"], True)


@pytest.mark.parametrize("flags", [{}, {"server": "flag.example/"}, {"profile": "work"}, {"profile": "bare"}])
@pytest.mark.parametrize("env", [{}, {"SUBCLI_SERVER": "HTTP://var.example"}, {"SUBCLI_PROFILE": "work"}])
@pytest.mark.parametrize("project", [None, 'server = "https://user.example"\n', 'problem = "p"\n'])
@pytest.mark.parametrize("user", [None, USER_FILE])
def test_same_server_as_the_commands(
    tmp_path: Path, flags: dict[str, str], env: dict[str, str], project: str | None, user: str | None
) -> None:
    """The short way to the server's name leads where the settings lead."""
    (below := tmp_path / "a/b").mkdir(parents=True)
    user_file = tmp_path / "config.toml"
    if user is not None:
        user_file.write_text(user)
    if project is not None:
        (tmp_path / "a/.subcli.toml").write_text(project)
    try:
        settings = load({"server": flags.get("server")}, env, below, user_file, profile=flags.get("profile"))
    except UsageError:
        # No profile of that name, or a project's server that the user has not used: nothing is asked then.
        return
    assert server_of(flags, env, below, user_file) == settings.server


def complete(env: dict[str, str], *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """What a shell runs at TAB."""
    return subprocess.run(
        [sys.executable, "-m", "subcli", "__complete", *arguments],
        env=env,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=30,
    )


def test_commands_fill_the_cache(server: Served, run: Run, env: dict[str, str], tmp_path: Path) -> None:
    """`problems`, `list` and `submit` keep what they see, and a TAB offers it without a request."""
    at = ("--server", server.url)
    run("problems", "-q", *at)
    (tmp_path / "lru.py").write_text("x = 1\n")
    submitted = run("submit", "lru.py", "--problem", "lru-cache", "--no-watch", "-q", *at)
    assert submitted.stdout == "1\n", submitted.stderr
    server.stop()
    patient = {**env, "SUBCLI_COMPLETION_MS": "20000"}
    assert complete(patient, "problems", "submit", *at).stdout.split() == ["leader-election", "lru-cache"]
    assert set(complete(patient, "languages", "submit", *at).stdout.split()) == {"python", "javascript", "c"}
    assert complete(patient, "ids", "watch", *at).stdout == "1\n"


async def test_tab_asks_the_server(server: Served, env: dict[str, str]) -> None:
    """Nothing is remembered: the server is asked, and its answer is there at this TAB or at the next."""
    arguments = ("problems", "submit", f"--server={server.url}")
    complete(env, *arguments)
    patient = {**env, "SUBCLI_COMPLETION_MS": "20000"}
    await until(lambda: complete(patient, *arguments).stdout.split() == ["leader-election", "lru-cache"])


def test_slow_server(env: dict[str, str]) -> None:
    """A server that never answers is waited for until the deadline and no longer, and nothing is said."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        started = time.monotonic()
        done = complete(env, "ids", "watch", "--server", url)
        took = time.monotonic() - started
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    # 0.15 s; the rest is for a machine that others use.
    assert took < 4


@pytest.mark.parametrize("kind", ["ids", "profiles", "nonsense", ""])
def test_never_an_error(env: dict[str, str], tmp_path: Path, kind: str) -> None:
    """No home, files that are no TOML, a stranger's project: nothing is offered, and nothing is said."""
    here = tmp_path / "here"
    here.mkdir()
    (here / ".subcli.toml").write_text("server = [")
    (Path(env["HOME"]) / ".config/subcli").mkdir(parents=True)
    (Path(env["HOME"]) / ".config/subcli/config.toml").write_text("=")
    for given in (env, {"PATH": env["PATH"]}, {**env, "HOME": "/dev/null", "SUBCLI_COMPLETION_MS": "soon"}):
        done = complete(given, kind, cwd=here)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), given
    assert complete(env).returncode == 0


def test_strangers_project_is_not_asked(env: dict[str, str], tmp_path: Path) -> None:
    """TAB in a directory that names a server of its own sends nothing there."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        (tmp_path / ".subcli.toml").write_text(f'server = "{url}"\n')
        # Until the process that would ask has ended, for its end of the pipe is waited for.
        assert complete({**env, "SUBCLI_COMPLETION_MS": "20000"}, "ids", "watch", cwd=tmp_path).stdout == ""
        listening.setblocking(False)
        with pytest.raises(BlockingIOError):
            listening.accept()


def test_nothing_heavy_is_imported(env: dict[str, str]) -> None:
    """What is remembered is offered without the libraries that ask for it."""
    recall = CompletionCache("http://127.0.0.1:8000", Path(env["HOME"]) / ".cache/subcli/names")
    recall.keep("ids", [5])
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "subcli", "__complete", "ids", "watch"],
        env={**env, "SUBCLI_COMPLETION_MS": "20000"},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.stdout == "5\n"
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert not imported & {"httpx", "rich", "websockets", "typer", "msgspec", "asyncio", "ssl"}
    assert os.fspath("json") in imported


def test_no_home_is_made(env: dict[str, str], tmp_path: Path) -> None:
    """A home that does not exist stays so, whatever is asked for."""
    home = tmp_path / "nobody"
    done = complete({"PATH": env["PATH"], "HOME": str(home), "SUBCLI_COMPLETION_MS": "20000"}, "ids", "watch")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not home.exists()
