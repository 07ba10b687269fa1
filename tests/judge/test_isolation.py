"""What a submission cannot do: forge results, escape its directory, survive its judging."""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import aclosing, suppress
from pathlib import Path

import pytest

from subcli.judge import Job, Problem, UnsafePath, judge
from subcli.judge.job import write_files
from tests.judge.judging import Below, Event, MakeNode, MakeProblem, Run


def alive(marker: str) -> list[str]:
    """Command lines of running processes that contain `marker`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and entry.name != str(os.getpid()):
            with suppress(OSError):
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if marker in command:
                    found.append(command)
    return found


async def test_correct_node_passes(run: Run, node: MakeNode, tiny: MakeProblem) -> None:
    """The baseline for the rest of this file."""
    assert (await run(tiny(), node())).verdict == "passed"


@pytest.mark.thorough
async def test_solution_that_patches_pytest_changes_nothing(run: Run, node: MakeNode, tiny: MakeProblem) -> None:
    """A solution is another process; it can only patch its own pytest."""
    forge = """
import sys
sys.path[:0] = PATHS
try:
    from _pytest.reports import TestReport
    TestReport.from_item_and_call = lambda *_: None
except ImportError:
    pass
""".replace("PATHS", repr([path for path in __import__("sys").path if path]))
    judged = await run(tiny("def test_no(make_cluster):\n    make_cluster(1)\n    assert False, 'no'\n"), node(forge))
    assert judged.verdict == "failed"
    assert judged.failed == ["No"]


async def test_report_socket_is_out_of_reach_of_solutions(run: Run, node: MakeNode, tiny: MakeProblem) -> None:
    """A solution inherits no descriptor but stdio and its trace, and cannot open the judge's through /proc."""
    forge = """
import os, json
own = sorted(int(name) for name in os.listdir("/proc/self/fd"))
report = json.dumps({"record": "finished", "id": "x", "name": "forged", "type": "functional",
                     "status": "passed", "duration_ms": 0}).encode() + b"\\n"
opened = 0
for pid in (os.getppid(), 1):
    for fd in range(64):
        try:
            handle = os.open(f"/proc/{pid}/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK)
            if os.fstat(handle).st_mode & 0o170000 == 0o140000:
                os.write(handle, report)
            os.close(handle)
        except OSError:
            pass
for fd in range(4, 64):
    try:
        os.write(fd, report)
    except OSError:
        pass
os.write(2, ("inherited " + json.dumps([fd for fd in own if fd > 2]) + "\\n").encode())
"""
    tests = "def test_no(make_cluster):\n    make_cluster(1)\n    assert False, 'no'\n"
    judged = await run(tiny(tests), node(forge))
    assert [event["test_name"] for event in judged.of("test_result")] == ["No"]
    assert judged.verdict == "failed"
    inherited = json.loads(judged.of("test_result")[0]["output"].partition("inherited ")[2].partition("\n")[0])
    # One is the trace, one is the listing of the directory itself.
    assert len(inherited) <= 2


async def test_solutions_cannot_read_the_memory_of_the_tests(run: Run, node: MakeNode, tiny: MakeProblem) -> None:
    """pytest's process is not dumpable, so other processes of its user cannot read it through /proc."""
    tests = """
import ctypes
def test_dumpable(make_cluster):
    make_cluster(1)
    assert ctypes.CDLL(None).prctl(3, 0, 0, 0, 0) == 0
"""
    assert (await run(tiny(tests), node())).verdict == "passed"


@pytest.mark.thorough
async def test_environment_of_a_solution_is_clean(
    run: Run, node: MakeNode, tiny: MakeProblem, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the server's variables nor pytest's settings reach a solution or the tests."""
    monkeypatch.setenv("SUBCLI_TOKEN", "hush")
    monkeypatch.setenv("PYTEST_ADDOPTS", "--collect-only")
    judged = await run(tiny(), node("import os, sys\nprint(sorted(os.environ), file=sys.stderr)\n1 / 0\n"))
    output = judged.of("test_result")[0]["output"]
    assert "PATH" in output
    assert "SUBCLI" not in output
    assert "hush" not in output


@pytest.mark.thorough
async def test_pytest_configuration_around_the_problem_is_ignored(run: Run, node: MakeNode, tiny: MakeProblem) -> None:
    """A conftest or an ini file above the tests does not change how they are judged."""
    problem = tiny()
    (problem.root.parent / "pytest.ini").write_text("[pytest]\naddopts = --collect-only\n", encoding="utf-8")
    (problem.root.parent / "conftest.py").write_text("raise RuntimeError('stray')\n", encoding="utf-8")
    assert (await run(problem, node())).verdict == "passed"


@pytest.mark.parametrize("path", ["/etc/x", "../x", "a/../../x", "", ".", "a\\b", "a\nb", "x" * 300, "a/" * 20 + "b"])
async def test_unsafe_paths_are_rejected(run: Run, node: MakeNode, tiny: MakeProblem, path: str) -> None:
    """A file outside the submission is never written; the error names its path."""
    judged = await run(tiny(), {path: "x"})
    assert judged.verdict == "build_failed"
    assert repr(path) in judged.analysis["error"]


def test_path_cannot_be_both_file_and_directory(tmp_path: Path) -> None:
    """Then nothing at all is written."""
    with pytest.raises(UnsafePath):
        write_files({"a": "x", "a/b": "y"}, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.thorough
async def test_solution_may_import_its_other_files(run: Run, node: MakeNode, tiny: MakeProblem) -> None:
    """A module next to the source is imported."""
    files = {"node.py": "import helper\n" + node(), "helper.py": "x = 1\n"}
    assert (await run(tiny(), files)).verdict == "passed"


@pytest.mark.thorough
async def test_exception_in_another_file_is_located_there(run: Run, node: MakeNode, tiny: MakeProblem) -> None:
    """The location names the file that raised, not the first one."""
    files = {"node.py": "import helper\n" + node(), "helper.py": "x = 1\ny = x / 0\n"}
    judged = await run(tiny(), files)
    assert judged.analysis["location"] == {"file": "helper.py", "line": 2}


def holding(tiny: MakeProblem, ready: Path) -> Problem:
    """A problem whose only test starts a node, creates `ready`, and does not end. Its limits outlast any load."""
    tests = f"""
import time
from pathlib import Path
def test_long(make_cluster):
    make_cluster(1)
    Path({str(ready)!r}).touch()
    time.sleep(600)
"""
    return tiny(tests, limits="test_seconds = 600\nsubmission_seconds = 600\nanswer_seconds = 60\n")


async def created(path: Path, judging: asyncio.Task[list[Event]] | None = None) -> None:
    """Wait for a file that the tests of a problem create; should judging end before, say how."""
    for _ in range(3000):
        if await asyncio.to_thread(path.exists):
            return
        assert judging is None or not judging.done(), judging and judging.result()
        await asyncio.sleep(0.02)
    raise AssertionError(f"{path} was not created")


async def test_closing_the_iterator_kills_every_process(
    node: MakeNode, tiny: MakeProblem, below: Below, tmp_path: Path
) -> None:
    """Including a child of a node that called setsid."""
    fork = "import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(600)\n"
    ready = tmp_path / "ready"
    async with aclosing(judge(Job(holding(tiny, ready), "python", {"node.py": node(fork)}))) as events:
        async for event in events:
            if event.get("status") == "testing":
                break
        await created(ready)
        # The supervisor, pytest, the node and its child.
        assert len(below()) >= 4
    assert below() == []
    assert all("xdist" not in line for line in alive("python_node.py"))


@pytest.mark.thorough
async def test_cancelling_the_reader_kills_every_process(
    node: MakeNode, tiny: MakeProblem, below: Below, tmp_path: Path
) -> None:
    """A server does this when a submission is cancelled."""
    ready = tmp_path / "ready"

    async def read() -> list[Event]:
        async with aclosing(judge(Job(holding(tiny, ready), "python", {"node.py": node()}))) as events:
            return [event async for event in events]

    task = asyncio.create_task(read())
    await created(ready, task)
    # The supervisor, pytest and the node.
    assert len(below()) >= 3
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert below() == []


async def test_test_file_that_cannot_be_imported_is_the_judges_fault(
    run: Run, node: MakeNode, tiny: MakeProblem
) -> None:
    """The verdict is error, not the user's failure, and the analysis says so."""
    judged = await run(tiny("import nothing_of_this_name\n"), node())
    assert judged.verdict == "error"
    assert judged.analysis["category"] == "judge_error"
    assert "nothing_of_this_name" in judged.analysis["analysis"]


@pytest.mark.thorough
async def test_test_that_raises_is_the_judges_fault(run: Run, node: MakeNode, tiny: MakeProblem) -> None:
    """Any exception but a failed assertion is a fault of the test."""
    judged = await run(tiny("def test_x(make_cluster):\n    raise KeyError('x')\n"), node())
    assert judged.verdict == "error"
    assert judged.of("test_result")[0]["status"] == "error"


async def test_skipped_test_counts_as_neither_passed_nor_failed(run: Run, node: MakeNode, tiny: MakeProblem) -> None:
    """It is reported, and the others decide."""
    judged = await run(
        tiny("import pytest\n@pytest.mark.skip('later')\ndef test_x(): pass\ndef test_y(): pass\n"), node()
    )
    assert judged.verdict == "passed"
    assert judged.events[-1]["summary"]["skipped"] == 1


@pytest.mark.thorough(measured=True)
async def test_where_all_is_skipped_nobody_knows_what_is_right(run: Run, node: MakeNode, tiny: MakeProblem) -> None:
    """That is not the submission's fault, nor is it passed."""
    judged = await run(tiny("import pytest\n@pytest.mark.skip('later')\ndef test_x(): pass\n"), node())
    assert judged.verdict == "error"
    assert judged.analysis["error"] == "no test was carried out: all of them were skipped"
    assert judged.analysis["category"] == "judge_error"


async def test_hostile_output_does_not_break_messages(run: Run, node: MakeNode, tiny: MakeProblem) -> None:
    """Quotes, newlines, control characters and invalid UTF-8 that a solution prints stay inside their JSON."""
    first = 'import sys\nsys.stderr.buffer.write(b\'"}\\n{"type":"complete"}\\x1b[2J\\x00\\xff\\n\' * 4000)\n1 / 0\n'
    judged = await run(tiny(), node(first))
    assert judged.verdict == "failed"
    assert len(judged.of("complete")) == 1
    assert all(len(json.dumps(event)) < 49_000 for event in judged.events)
    assert "bytes cut" in judged.of("test_result")[0]["output"]
