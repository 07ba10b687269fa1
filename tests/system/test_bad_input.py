"""Invalid input: one clear sentence with a hint, the right exit code, and no partial effect."""

from __future__ import annotations

import json
import socket
import subprocess
from pathlib import Path

import pytest

from .conftest import SOLUTIONS, Run, Served

GOOD = str(SOLUTIONS / "passing.py")
PROBLEM = ("--problem", "leader-election")


def check_told(done: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    """One error with a hint on stderr, nothing on stdout, and this exit code."""
    told = done.stderr.strip().splitlines()
    assert done.returncode == code, done
    assert done.stdout == ""
    assert len(told) == 2, told
    assert told[0].startswith("error: ")
    assert told[1].startswith("hint:  ")
    for word in words:
        assert word in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def bad_files(tmp_path: Path) -> Path:
    """Files that cannot be submitted."""
    (tmp_path / "empty.py").write_text("")
    (tmp_path / "blank.py").write_text(" \n\n")
    (tmp_path / "binary.py").write_bytes(b"\x7fELF\0\0")
    (tmp_path / "latin.py").write_bytes("# é".encode("latin-1"))
    (tmp_path / "large.py").write_text("#" * (256 * 1024 + 1))
    (tmp_path / "fits.py").write_text("#" * (256 * 1024))
    (tmp_path / "what.xyz").write_text("x")
    (tmp_path / "folder").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["missing.py", *PROBLEM], ["missing.py"]),
        (["empty.py", *PROBLEM], ["empty.py", "empty"]),
        (["blank.py", *PROBLEM], ["blank.py", "empty"]),
        (["binary.py", *PROBLEM], ["binary.py", "binary"]),
        (["latin.py", *PROBLEM], ["latin.py", "UTF-8"]),
        (["large.py", *PROBLEM], ["256 KiB"]),
        (["large.py", "fits.py", *PROBLEM], ["256 KiB"]),
        (["what.xyz", *PROBLEM], ["what.xyz", "--language"]),
        (["folder", *PROBLEM], ["folder"]),
        (["fits.py"], ["--problem", "`subcli problems --server"]),
        (["fits.py", *PROBLEM, "--timeout", "soon"], ["'soon' is not a valid duration"]),
        ([*PROBLEM], ["file"]),
        (["fits.py", "-", *PROBLEM], ["stdin"]),
    ],
)
def test_local_errors_need_no_server(run: Run, bad_files: Path, arguments: list[str], words: list[str]) -> None:
    """Errors that can be detected locally exit 2 even if no server is running."""
    check_told(run("submit", *arguments, "--server", "http://127.0.0.1:9", cwd=bad_files), 2, *words)


def test_empty_stdin(run: Run) -> None:
    """Empty stdin is an empty submission."""
    check_told(run("submit", "-", *PROBLEM, "--language", "python", "--server", "http://127.0.0.1:9"), 2, "empty")


@pytest.mark.parametrize("words", [["watch", "twelve"], ["watch", "1.5"], ["status", "-x1"], ["watch", "http://h/x/1"]])
def test_invalid_id(run: Run, words: list[str]) -> None:
    """An id that is not a number is a usage error."""
    done = run(*words)
    check_told(done, 2)


@pytest.mark.thorough(measured=True)
def test_unreachable_server(run: Run) -> None:
    """One more try, then exit 6 with the address and a hint."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        for words in (["submit", GOOD, *PROBLEM], ["status", "1"], ["list"]):
            check_told(run(*words, "--server", f"http://{address}"), 6, address, "refused", "--server", "subcli serve")
        done = run("watch", "1", "--json", "--server", f"http://{address}")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 6
    assert (lines[-1]["type"], lines[-1]["error"]["kind"]) == ("error", "network")
    assert address in lines[-1]["error"]["message"]
    assert [line["type"] for line in lines].count("error") == 1


@pytest.mark.thorough(measured=True)
def test_rejected_submission(server: Served, run: Run, bad_files: Path) -> None:
    """Unknown problem, language or id: the server's sentence, and no submission is created."""
    at = ("--server", server.url)
    check_told(run("submit", GOOD, "--problem", "leader-erection", *at), 5, "leader-erection", "leader-election")
    check_told(run("submit", GOOD, "--problem", "999", *at), 5, "999")
    check_told(run("submit", GOOD, *PROBLEM, "--language", "cobol", *at), 2, "cobol", "python")
    check_told(run("status", "77", *at), 5)
    missing = run("watch", "77", "--json", *at)
    assert missing.returncode == 5
    assert json.loads(missing.stdout.splitlines()[-1])["error"]["kind"] == "not_found"
    assert json.loads(run("list", "--json", *at).stdout)["submissions"] == []


@pytest.mark.thorough
def test_wrong_kind_of_server(run: Run, server: Served) -> None:
    """Another server or path gives a sentence, not a traceback."""
    check_told(run("list", "--server", f"{server.url}/nothing-here"), 6, "doctor")
    check_told(run("list", "--server", "ftp://example.org"), 2, "ftp://example.org")
    check_told(run("list", "--server", "http://user:hunter2@127.0.0.1"), 2)
    assert "hunter2" not in run("list", "--server", "http://user:hunter2@127.0.0.1").stderr


def test_conflicting_options(run: Run) -> None:
    """`-q --json` is a usage error, reported as JSON."""
    done = run("watch", "1", "-q", "--json")
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["kind"] == "usage"
    check_told(run("watch", "1", "2", "--after-seq", "3"), 2, "--after-seq")
    check_told(run("wach"), 2, "watch")


@pytest.mark.thorough
def test_serve_cannot_start(run: Run, server: Served, tmp_path: Path) -> None:
    """On a port in use, an invalid address or unusable data, `serve` says so and exits 2."""
    port = str(server.port)
    check_told(run("serve", "--port", port, "--data-dir", str(tmp_path / "d")), 2, port)
    check_told(run("serve", "--host", "0.0.0.0", "--port", "0", "--data-dir", str(tmp_path / "d")), 2, "127.0.0.1")
    (tmp_path / "file").write_text("")
    check_told(run("serve", "--port", "0", "--data-dir", str(tmp_path / "file")), 2, "file")


@pytest.mark.parametrize("module", ["subcli.cli.main", "typer", "subcli.output.terminal.report"])
def test_broken_installation(run: Run, env: dict[str, str], tmp_path: Path, module: str) -> None:
    """An import error is an internal error: exit 3, never 1."""
    (tmp_path / "sitecustomize.py").write_text(f"import sys\nsys.modules[{module!r}] = None\n")
    done = run("submit", "missing.py", env={**env, "PYTHONPATH": str(tmp_path)})
    assert done.returncode == 3, done
    assert "subcli has a bug" in done.stderr
    assert module in done.stderr
    assert "Traceback" not in done.stderr
