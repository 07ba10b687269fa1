"""The whole path with the installed program: submit, judge, socket, output, exit code."""

from __future__ import annotations

import itertools
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest

from tests.hang import HANG_S

from .conftest import LRU, SOLUTIONS, Lines, Run, Served

SCHEMA = jsonschema.Draft202012Validator(json.loads(files("subcli").joinpath("schema.json").read_text()))


def check_is_valid(lines: list[dict[str, object]]) -> None:
    """Every line is what `subcli schema` says."""
    for line in lines:
        SCHEMA.validate(line)


@pytest.mark.thorough(measured=True)
def test_demo_passes_and_streams(follow: Callable[..., Lines]) -> None:
    """`subcli demo` ends with passed and 0; each of the ten results is seen while later ones still run."""
    lines = follow("demo", "--json")
    lines.until(lambda line: line["type"] == "result")
    assert lines.end() == 0
    check_is_valid(lines.lines)
    results = lines.of("test_result")
    assert len(results) == 10
    assert [result["status"] for result in results] == ["passed"] * 10
    assert {"Leader Election", "Split Vote", "Partition Heals"} <= {result["test_name"] for result in results}
    arrivals = [at for at, line in zip(lines.arrived, lines.lines, strict=True) if line["type"] == "test_result"]
    # Each came at least half of the next one's own duration before the next: they were not handed over together.
    for (earlier, later), result in zip(itertools.pairwise(arrivals), results[1:], strict=True):
        assert later - earlier > result["duration_ms"] / 2000
    assert lines.lines[-1]["final_status"] == "passed"
    stages = [line["status"] for line in lines.of("status_update") if "running_test" not in line]
    assert stages == ["pending", "building", "testing", "completed"]


@pytest.mark.thorough
def test_demo_failing_ends_with_one(tmp_path: Path) -> None:
    """`subcli demo --failing` ends with 1; both failing tests come with an analysis that names the user's line.

    The environment is empty, as for every command in `test_empty_environment.py`.
    """
    lines = Lines("demo", "--failing", "--json", env={}, cwd=tmp_path)
    assert lines.end(80) == 1, lines.errors
    check_is_valid(lines.lines)
    failed = [result for result in lines.of("test_result") if result["status"] != "passed"]
    analyses = lines.of("error_analysis")
    assert len(failed) == len(analyses) == 2
    # The server is gone by then: no command that asks it.
    assert all("rerun" not in result and "has_trace" not in result for result in failed)
    assert {analysis["test_id"] for analysis in analyses} == {result["test_id"] for result in failed}
    source = (SOLUTIONS / "failing.py").read_text().splitlines()
    for analysis in analyses:
        assert "vote" in source[analysis["location"]["line"] - 1]
        assert analysis["suggestions"]
    assert lines.lines[-1]["exit_code"] == 1


def test_ndjson_of_submit(server: Served, run: Run) -> None:
    """The NDJSON of `submit` is valid, begins with `submitted` and ends with the only `result`."""
    done = run("submit", str(LRU), "--problem", "lru-cache", "--json", "--server", server.url)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    check_is_valid(lines)
    assert done.returncode == 0
    assert done.stderr == ""
    assert lines[0]["type"] == "submitted"
    assert lines[0]["url"].startswith(server.url)
    assert [line["type"] for line in lines].count("result") == 1
    assert lines[-1]["type"] == "result"
    assert {line["submission_id"] for line in lines} == {lines[0]["submission_id"]}
    results = [line for line in lines if line["type"] == "test_result"]
    named = [line for line in lines if "running_test" in line]
    assert [line["seq"] for line in lines if "seq" in line] == list(range(1, 6 + len(results) + len(named)))
    assert lines[-1]["summary"]["passed"] == len(results)


@pytest.mark.thorough
def test_late_watcher_sees_the_same(held: Served, follow: Callable[..., Lines], tmp_path: Path) -> None:
    """Two watchers of one submission, one of them late, see the same events with the same seq."""
    source = str(tmp_path / "a.py")
    first = follow("submit", source, "--problem", "held", "--json", "--server", held.url)
    number = str(first.until(lambda line: line["type"] == "submitted")["submission_id"])
    first.until(lambda line: line["type"] == "test_result")
    late = follow("watch", number, "--json", "--server", held.url)
    late.until(lambda line: line["type"] == "test_result")
    (tmp_path / "enough").touch()
    assert first.end() == late.end() == 1
    after = follow("watch", number, "--json", "--server", held.url)
    assert after.end() == 1
    resumed = follow("watch", number, "--json", "--after-seq", "5", "--server", held.url)
    assert resumed.end() == 1

    def events(lines: Lines) -> list[dict[str, object]]:
        return [line for line in lines.lines if "seq" in line]

    assert events(first) == events(late) == events(after)
    assert events(resumed) == events(first)[5:]


@pytest.mark.thorough(measured=True)
def test_watch_survives_server_restart(
    held: Served, follow: Callable[..., Lines], env: dict[str, str], tmp_path: Path
) -> None:
    """After `kill -9` during judging and a restart, the watch resumes and shows nothing twice."""
    source = str(tmp_path / "a.py")
    watching = follow("submit", source, "--problem", "held", "--json", "--server", held.url)
    number = str(watching.until(lambda line: line["type"] == "submitted")["submission_id"])
    printed = tmp_path / "plain"
    with printed.open("w") as out:
        plain = subprocess.Popen(
            [sys.executable, "-m", "subcli", "watch", number, "--plain", "--server", held.url],
            env=env,
            stdout=out,
            stderr=subprocess.DEVNULL,
        )
    for _ in range(3):
        watching.until(lambda line: line["type"] == "test_result")
    # A watcher that never reached the server would not wait for it.
    deadline = time.monotonic() + HANG_S
    while "second 2" not in printed.read_text():
        assert time.monotonic() < deadline, printed.read_text()
        time.sleep(0.02)
    held.stop(signal.SIGKILL)
    watching.until(lambda line: line["type"] == "connection" and line["state"] == "reconnecting")
    held.start()
    (tmp_path / "enough").touch()
    watching.until(lambda line: line["type"] == "result")
    assert watching.end() == 1
    check_is_valid(watching.lines)
    assert [line["seq"] for line in watching.lines if "seq" in line] == list(
        range(1, 1 + len([line for line in watching.lines if "seq" in line]))
    )
    assert max(line.get("attempt", 1) for line in watching.of("status_update")) == 2
    assert plain.wait(timeout=HANG_S) == 1
    told = [line for line in printed.read_text().splitlines() if re.search(r"second [12]\b", line)]
    assert len(told) == 2, told


@pytest.mark.thorough
def test_library_example(server: Served, run: Run, tmp_path: Path, env: dict[str, str]) -> None:
    """The ten lines of asyncio in the README work as printed."""
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    example = re.search(r"```python\n(import asyncio\n.*?)```", readme, re.S)
    assert example is not None
    solutions = SOLUTIONS.parents[1] / "lru-cache" / "solutions"
    (tmp_path / "lru.py").write_text((solutions / "passing.py").read_text())
    done = subprocess.run(
        [sys.executable, "-c", example.group(1)],
        env={**env, "SUBCLI_SERVER": server.url},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=HANG_S,
    )
    assert done.returncode == 0, done.stderr
    assert "test_result" in done.stdout
    assert done.stdout.splitlines()[-1].endswith("passed")


def test_schema_command(run: Run) -> None:
    """`subcli schema` prints the schema that `make generate` writes."""
    from subcli.output.schema import build

    done = run("schema")
    assert json.loads(done.stdout) == build()
    jsonschema.Draft202012Validator.check_schema(build())


@pytest.mark.thorough
def test_status_and_list(server: Served, run: Run, tmp_path: Path) -> None:
    """`status` and `list` print one valid object with --json, and exit 0 whatever the verdict."""
    at = ("--server", server.url)
    (tmp_path / "wrong.py").write_text("print(1)\n")
    submitted = run("submit", "wrong.py", "--problem", "lru-cache", "-q", *at)
    assert (submitted.returncode, submitted.stdout) == (1, "failed\n")
    status = run("status", "1", "--json", *at)
    assert status.returncode == 0
    body = json.loads(status.stdout)
    SCHEMA.validate(body)
    assert body["final_status"] == "failed"
    assert len(body["tests"]) == body["summary"]["failed"] > 0
    listed = run("list", "--json", *at)
    SCHEMA.validate(json.loads(listed.stdout))
    assert [row["submission_id"] for row in json.loads(listed.stdout)["submissions"]] == [1]
    for human in (run("status", "1", *at), run("list", *at)):
        assert human.returncode == 0
        assert "lru-cache" in human.stdout
    assert run("watch", "-q", *at).stdout == "failed\n"


@pytest.mark.thorough
def test_no_watch(server: Served, run: Run) -> None:
    """--no-watch ends after the submit: `submitted` is the last line, and -q prints only the id."""
    arguments = ("submit", str(LRU), "--problem", "lru-cache", "--no-watch")
    at = ("--server", server.url)
    done = run(*arguments, "--json", *at)
    assert [json.loads(line)["type"] for line in done.stdout.splitlines()] == ["submitted"]
    assert run(*arguments, "-q", *at).stdout == "2\n"
    human = run(*arguments, *at)
    assert human.stdout.startswith("Submitted #3  http")
    assert f"`subcli watch 3 --server {server.url}`" in human.stderr


@pytest.mark.thorough
def test_several_submissions(server: Served, run: Run, tmp_path: Path) -> None:
    """Each id gets one last line, the exit code is the highest, and -q names the ids."""
    at = ("--server", server.url)
    (tmp_path / "wrong.py").write_text("print(1)\n")
    for source in (str(LRU), "wrong.py"):
        run("submit", source, "--problem", "lru-cache", "--no-watch", *at)
    done = run("watch", "1", "2", "999", "--json", *at)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    check_is_valid(lines)
    last = {line["submission_id"]: line for line in lines if line["type"] in ("result", "error")}
    assert len([line for line in lines if line["type"] in ("result", "error")]) == 3
    assert {number: line["exit_code"] for number, line in last.items()} == {1: 0, 2: 1, 999: 5}
    assert done.returncode == 5
    quiet = run("watch", "1", "2", "-q", *at)
    assert sorted(quiet.stdout.splitlines()) == ["1 passed", "2 failed"]
