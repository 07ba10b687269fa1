"""What those who submit learn of secret cases, over a real server: no byte of their data."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.hang import HANG_S

from .conftest import Run, Served

PROBLEM = """
id = 100
slug = "secrets"
title = "Secrets"
description = "description.md"
languages = ["python"]
runner = "cases"
closes = 2999-01-01T00:00:00Z
[checker]
file = "check.py"
language = "python"
[groups.told]
feedback = "outcome"
points_each = 10
[groups.later]
feedback = "after_close"
points_each = 10
[groups.unseen]
feedback = "none"
"""
CHECKER = """
import pathlib, sys
answer = pathlib.Path(sys.argv[2]).read_text()
for name in ("teammessage.txt", "judgemessage.txt"):
    pathlib.Path(sys.argv[3], name).write_text("wanted: " + answer)
print(answer, file=sys.stderr)
sys.exit(42 if answer in sys.stdin.read() else 43)
"""
TELLS_ALL = """
import sys
text = sys.stdin.read()
print(text)
print(text, file=sys.stderr)
if "crash" in text:
    raise RuntimeError(text)
"""
"""It knows no answer."""


def write(directory: Path) -> None:
    """A problem with two cases in each group; each file has data of its own, by which it can be found."""
    root = directory / "secrets"
    for group in ("sample", "told", "later", "unseen"):
        (root / "tests" / group).mkdir(parents=True)
        for name in ("crash", "wrong"):
            path = root / "tests" / group / name
            path.with_suffix(".in").write_text(f"planted-{group}-input {name}\n")
            path.with_suffix(".ans").write_text(f"planted-{group}-answer\n")
    (root / "problem.toml").write_text(PROBLEM)
    (root / "check.py").write_text(CHECKER)
    (root / "description.md").write_text("Nothing.\n")


@pytest.mark.thorough
def test_no_byte_of_a_secret_case_leaves_the_judge(serve: Callable[..., Served], run: Run, tmp_path: Path) -> None:
    """Neither in an event, nor in an answer of REST, nor anywhere in the database or the server's log.

    The data of the samples is there, so what is looked for would be found. Of `none`, not even names are told.
    """
    write(tmp_path / "problems")
    server = serve("--problems", str(tmp_path / "problems"), "--sandbox", "none")
    (tmp_path / "a.py").write_text(TELLS_ALL)
    at = ("--server", server.url)
    printed = [run("submit", "a.py", "--problem", "secrets", "--json", *at), run("status", "1", "--json", *at)]
    assert [done.returncode for done in printed] == [1, 0], printed[0].stdout

    def get(path: str) -> str:
        with urllib.request.urlopen(f"{server.url}{path}", timeout=HANG_S) as answer:
            return str(answer.read().decode())

    one = "/api/submissions/1"
    paths = (one, f"{one}/tests", f"{one}/events", "/api/submissions", "/api/problems", "/api/problems/secrets")
    told = [done.stdout + done.stderr for done in printed] + [
        get(path) for path in (*paths, "/api/problems/secrets/template/python", "/metrics")
    ]
    assert server.stop() == 0
    kept = [path for path in server.data_dir.iterdir() if path.is_file()]
    assert any(path.name.startswith("subcli.") for path in kept)
    told += [path.read_bytes().decode("latin-1") for path in (*kept, server.data_dir.with_suffix(".log"))]
    everything = "\n".join(told)
    assert everything.count("planted-sample-input") > 2
    assert "planted-sample-answer" in everything
    for group in ("told", "later", "unseen"):
        assert f"planted-{group}" not in everything
    assert "unseen" not in everything
    summary: dict[str, Any] = json.loads(told[2])["summary"]
    assert [(group["name"], group["outcome"]) for group in summary["groups"]] == [
        ("sample", "runtime_error"),
        ("told", "runtime_error"),
        ("later", "runtime_error"),
    ]
    tests = json.loads(told[3])["tests"]
    secret = [test for test in tests if test["group"] != "sample"]
    assert [test["test_name"] for test in secret] == ["told/crash", "told/wrong", "later/crash", "later/wrong"]
    assert {key for test in secret for key in test} <= {
        *("type", "submission_id", "seq", "timestamp", "test_id", "test_name", "test_type", "status", "duration_ms"),
        *("outcome", "cpu_ms", "memory_kb", "group", "score", "max_score"),
    }
