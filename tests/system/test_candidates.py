"""`subcli __complete`, run by the shell at TAB: answers from the cache, without requests or errors."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from subcli.workspace.completion_cache import CompletionCache
from tests.hang import HANG_S

from .conftest import Run, Served


def complete(env: dict[str, str], *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """What a shell runs at TAB."""
    return subprocess.run(
        [sys.executable, "-m", "subcli", "__complete", *arguments],
        env=env,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=HANG_S,
    )


@pytest.mark.thorough
def test_commands_fill_the_cache(server: Served, run: Run, env: dict[str, str], tmp_path: Path) -> None:
    """`problems`, `list` and `submit` store what they see, and TAB offers it without a request."""
    at = ("--server", server.url)
    run("problems", "-q", *at)
    (tmp_path / "lru.py").write_text("x = 1\n")
    submitted = run("submit", "lru.py", "--problem", "lru-cache", "--no-watch", "-q", *at)
    assert submitted.stdout == "1\n", submitted.stderr
    server.stop()
    assert set(complete(env, "problems", "submit", *at).stdout.split()) == {"leader-election", "lru-cache"}
    assert set(complete(env, "languages", "submit", *at).stdout.split()) == {"python", "javascript", "c"}
    assert complete(env, "ids", "watch", *at).stdout == "1\n"


def test_no_request_is_sent(env: dict[str, str], tmp_path: Path) -> None:
    """Neither for a server never used, nor in a directory whose project file names one."""
    remembered = CompletionCache("http://127.0.0.1:8000", Path(env["HOME"]) / ".cache/subcli/names")
    remembered.keep("ids", [5])
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        assert complete(env, "ids", "watch", "--server", url).stdout == ""
        (tmp_path / ".subcli.toml").write_text(f'server = "{url}"\n')
        assert complete(env, "ids", "watch", cwd=tmp_path).stdout == ""
        listening.setblocking(False)
        with pytest.raises(BlockingIOError):
            listening.accept()


@pytest.mark.thorough
@pytest.mark.parametrize("kind", ["ids", "profiles", "nonsense", ""])
def test_completion_never_fails(env: dict[str, str], tmp_path: Path, kind: str) -> None:
    """No home, invalid TOML, an untrusted project: no candidates and no output."""
    here = tmp_path / "here"
    here.mkdir()
    (here / ".subcli.toml").write_text("server = [")
    (Path(env["HOME"]) / ".config/subcli").mkdir(parents=True)
    (Path(env["HOME"]) / ".config/subcli/config.toml").write_text("=")
    (Path(env["HOME"]) / ".cache/subcli/names").mkdir(parents=True)
    for given in (env, {"PATH": env["PATH"]}, {**env, "HOME": "/dev/null"}):
        done = complete(given, kind, cwd=here)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), given
    assert complete(env).returncode == 0


def test_no_heavy_imports(env: dict[str, str]) -> None:
    """Neither network, screen nor command-line libraries are imported."""
    cache = CompletionCache("http://127.0.0.1:8000", Path(env["HOME"]) / ".cache/subcli/names")
    cache.keep("ids", [5])
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "subcli", "__complete", "ids", "watch"],
        env=env,
        capture_output=True,
        text=True,
        timeout=HANG_S,
    )
    assert done.stdout == "5\n"
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert not imported & {"httpx", "rich", "websockets", "typer", "asyncio", "ssl", "keyring"}
    assert "json" in imported


def test_home_is_not_created(env: dict[str, str], tmp_path: Path) -> None:
    """A missing home directory is not created."""
    home = tmp_path / "nobody"
    done = complete({"PATH": env["PATH"], "HOME": str(home)}, "ids", "watch")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not home.exists()
