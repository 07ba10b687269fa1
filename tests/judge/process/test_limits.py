"""Solutions that loop, fill memory, flood, fork and hide: failed in time, explained, and nothing of them left."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.judge.judging import Below, MakeNode, MakeProblem, Run


@pytest.fixture(autouse=True)
def nothing_is_left(below: Below) -> Iterator[None]:
    """Every test of this file: no process of the submission survives its verdict."""
    yield
    assert below() == []


@pytest.mark.thorough
async def test_endless_loop(run: Run, tiny: MakeProblem, node: MakeNode) -> None:
    """It fails because an answer is missing, long before the test's time is up, with the line that was running."""
    source = node("def work():\n    while True:\n        x = 1\n", init="work()")
    judged = await run(tiny(), source)
    assert "did not answer with init_ok within 1.5 s" in judged.analysis["error"]
    assert judged.verdict == "failed"
    assert judged.analysis["category"] == "timeout"
    assert judged.analysis["location"]["file"] == "node.py"
    assert judged.analysis["location"]["line"] in (2, 3)
    assert "work()" in judged.analysis["analysis"]


@pytest.mark.thorough
async def test_endless_loop_without_a_shim(run: Run, tiny: MakeProblem) -> None:
    """Without a shim there is no line; the rest is the same."""
    language = '[languages.shell]\nsource = "node.sh"\nrun = ["sh", "{source}"]\n'
    judged = await run(tiny(language=language), "while :; do :; done\n", "shell")
    assert judged.analysis["category"] == "timeout"
    assert "did not answer with init_ok" in judged.analysis["error"]


@pytest.mark.thorough
async def test_slow_answers_exceed_the_time_of_the_test(run: Run, tiny: MakeProblem, node: MakeNode) -> None:
    """Every answer comes in time, but together they take too long."""
    judged = await run(
        tiny(limits="test_seconds = 1.5\nanswer_seconds = 15"), node("import time\n", tick="time.sleep(0.4)")
    )
    assert judged.failed == ["Answers"]
    assert judged.analysis["category"] == "timeout"
    assert judged.of("test_result")[0]["message"] == "the time limit passed"


@pytest.mark.thorough
async def test_time_limit_of_the_whole_submission(run: Run, tiny: MakeProblem, node: MakeNode) -> None:
    """Each test keeps to its limit, their sum does not. What did not run counts as skipped."""
    tests = """
import pytest
@pytest.mark.parametrize("n", range(9))
def test_n(make_cluster, n):
    make_cluster(1).run(20)
"""
    judged = await run(tiny(tests, limits="submission_seconds = 4"), node("import time\n", tick="time.sleep(1)"))
    assert judged.verdict == "failed"
    assert judged.analysis["category"] == "timeout"
    summary = judged.events[-1]["summary"]
    assert summary["total_tests"] == 9
    assert summary["skipped"] >= 4
    assert summary["passed"] + summary["failed"] + summary["skipped"] == 9


@pytest.mark.thorough
async def test_failed_allocation(run: Run, tiny: MakeProblem, node: MakeNode) -> None:
    """The allocation fails, and the traceback names its line."""
    source = node("kept = []\ndef fill():\n    while True:\n        kept.append(bytearray(1_000_000))\n", tick="fill()")
    judged = await run(tiny(limits="memory_mb = 64"), source)
    assert judged.analysis["category"] == "memory"
    assert judged.analysis["location"] == {"file": "node.py", "line": 4}


@pytest.mark.thorough
async def test_memory_limit_of_the_watchdog(run: Run, tiny: MakeProblem, node: MakeNode) -> None:
    """If the address space is not limited, the memory in use is measured and the solution is killed."""
    source = node("kept = []\ndef fill():\n    while True:\n        kept.append(b'x' * 1_000_000)\n", tick="fill()")
    judged = await run(tiny(limits="memory_mb = 64", language=_python("bounded_address_space = false")), source)
    assert judged.analysis["category"] == "memory"
    assert "more than the limit of 64 MB" in judged.analysis["error"]


@pytest.mark.thorough
async def test_memory_of_all_processes_together(run: Run, tiny: MakeProblem, node: MakeNode) -> None:
    """Each node keeps to its own limit, and all of them together exceed the submission's."""
    tests = "def test_four(make_cluster):\n    make_cluster(4).run(1_000)\n"
    source = node("kept = bytes(range(256)) * 200_000\nimport time\n", tick="time.sleep(0.01)")
    judged = await run(tiny(tests, limits="memory_mb = 256\ntotal_memory_mb = 128"), source)
    assert judged.verdict == "failed"
    assert judged.analysis["category"] == "memory"
    assert "all processes used" in judged.analysis["error"]
    assert "more than the limit of 128 MB" in judged.analysis["error"]


@pytest.mark.thorough
async def test_exceeded_limit_shows_where_the_solution_was(run: Run, tiny: MakeProblem, node: MakeNode) -> None:
    """What the solution wrote to stderr before it was killed stays, and the line that it names is located."""
    start = "import time, traceback\ndef work():\n    traceback.print_stack()\n    time.sleep(60)\n"
    judged = await run(tiny(limits="test_seconds = 1\nanswer_seconds = 15"), node(start, tick="work()"))
    assert judged.of("test_result")[0]["message"] == "the time limit passed"
    assert "in work" in judged.of("test_result")[0]["output"]
    assert judged.analysis["category"] == "timeout"
    assert judged.analysis["location"] == {"file": "node.py", "line": 3}
    assert "> 3      traceback.print_stack()" in judged.analysis["analysis"]


@pytest.mark.thorough
async def test_limit_of_one_test_does_not_reach_the_next(run: Run, tiny: MakeProblem, node: MakeNode) -> None:
    """A test that exceeded its time fails alone."""
    tests = """
def test_slow(make_cluster):
    make_cluster(1, init={"slow": True}).run(10)
def test_quick(make_cluster):
    make_cluster(1, init={"slow": False}).run(10)
"""
    source = node("import time\n", init="slow = body['slow']", tick="time.sleep(60 if slow else 0)")
    judged = await run(tiny(tests, limits="test_seconds = 1\nanswer_seconds = 15"), source)
    assert judged.failed == ["Slow"]
    assert judged.events[-1]["summary"]["passed"] == 1


async def test_build_that_fills_the_disk(run: Run, tiny: MakeProblem) -> None:
    """Also one that is over before the watchdog looks: the end of a build is looked at as well."""
    language = '[languages.sh]\nsource = "x.sh"\nbuild = ["sh", "x.sh"]\nrun = ["true"]\n'
    judged = await run(tiny(limits="files = 16", language=language), "mkdir d; cd d; touch $(seq 30); cd ..", "sh")
    assert judged.verdict == "build_failed"
    assert judged.analysis["category"] == "disk"
    assert "more than 64 MB or 16 files" in judged.analysis["error"]


async def test_files_of_a_run_are_not_counted_as_those_of_a_build(run: Run, tiny: MakeProblem, node: MakeNode) -> None:
    """Without a sandbox a run may write to its directory; the limit on files is the build's."""
    start = "for number in range(30):\n    open(f'file-{number}', 'w').close()\nimport time\n"
    judged = await run(tiny(limits="files = 16"), node(start, tick="time.sleep(0.02)"))
    assert judged.verdict == "passed"


@pytest.mark.thorough
async def test_fault_of_the_test_stays_one_beyond_a_limit(run: Run, tiny: MakeProblem, node: MakeNode) -> None:
    """A limit that was exceeded as well does not make the solution guilty of an exception in the test."""
    tests = """
def test_broken(make_cluster):
    try:
        make_cluster(1).run(60_000)
    except Exception:
        raise KeyError("no")
"""
    source = node("import time\n", tick="time.sleep(0.01)")
    judged = await run(tiny(tests, limits="test_seconds = 0.5\nanswer_seconds = 15"), source)
    assert judged.of("test_result")[0]["status"] == "error"
    assert judged.verdict == "error"


async def test_exceeded_limit_of_a_build_keeps_what_it_printed(run: Run, tiny: MakeProblem) -> None:
    """A compiler that names a line before it is killed is located there."""
    language = '[languages.sh]\nsource = "x.sh"\nbuild = ["sh", "x.sh"]\nrun = ["true"]\n'
    source = 'echo "x.sh:2:1: error: too deep"\nmkdir d; touch $(seq 30)\nexit 1\n'
    judged = await run(tiny(limits="files = 16", language=language), source, "sh")
    assert judged.verdict == "build_failed"
    assert judged.analysis["location"] == {"file": "x.sh", "line": 2}


@pytest.mark.thorough
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
async def test_output_limit(run: Run, tiny: MakeProblem, node: MakeNode, stream: str) -> None:
    """The solution is stopped at the limit, what is shown is cut, and no event is large."""
    start = (
        f"import sys\nout = sys.{stream}\ndef flood():\n    for _ in range(100):\n        out.write('x' * 1_000_000)\n"
    )
    judged = await run(tiny(limits="output_kb = 512"), node(start, tick="flood()"))
    assert judged.analysis["category"] == "output_limit"
    assert f"more than 512 KB on {stream}" in judged.analysis["error"]
    assert all(len(repr(event)) < 60_000 for event in judged.events)


async def test_daemon_is_killed_and_reported(run: Run, tiny: MakeProblem, node: MakeNode) -> None:
    """It forked twice and left its session while the node itself answered well."""
    start = """
import os, time
child = os.fork()
if child == 0:
    os.setsid()
    if os.fork() == 0:
        for fd in range(3):
            os.close(fd)
        time.sleep(60)
    os._exit(0)
os.waitpid(child, 0)
"""
    judged = await run(tiny(), node(start))
    assert judged.verdict == "failed"
    assert judged.analysis["category"] == "processes"
    assert judged.analysis["error"] == "1 process still running after the test had ended"


async def test_fork_bomb(run: Run, tiny: MakeProblem, node: MakeNode) -> None:
    """All processes are stopped, then killed."""
    judged = await run(
        tiny(limits="processes = 16"), node("import os, time\nfor _ in range(9):\n    os.fork()\ntime.sleep(20)\n")
    )
    assert judged.verdict == "failed"
    assert judged.analysis["category"] == "processes"
    assert "more than the limit of 16" in judged.analysis["error"]


async def test_file_size_limit(run: Run, tiny: MakeProblem, node: MakeNode) -> None:
    """The write fails, and the traceback names its line."""
    start = "def write():\n    with open('big', 'wb') as file:\n        file.write(b'x' * 3_000_000)\n"
    judged = await run(tiny(limits="file_size_mb = 1"), node(start, tick="write()"))
    assert judged.analysis["category"] == "file_size"
    assert judged.analysis["location"] == {"file": "node.py", "line": 3}


async def test_time_limit_of_a_build(run: Run, tiny: MakeProblem) -> None:
    """A build has a limit of its own."""
    language = '[languages.sh]\nsource = "x.sh"\nbuild = ["sh", "x.sh"]\nrun = ["true"]\n'
    judged = await run(tiny(limits="build_seconds = 0.5", language=language), "echo start; sleep 60 & wait", "sh")
    assert judged.verdict == "build_failed"
    assert judged.analysis["category"] == "timeout"
    assert judged.analysis["analysis"].startswith("The build was still running after")
    assert judged.events[1]["detail"] == "start\n"


def _python(more: str = "") -> str:
    return (
        '[languages.python]\nsource = "node.py"\n'
        'run = ["{python}", "-s", "-S", "-P", "{shims}/python_node.py", "{source}"]\n' + more
    )
