"""judge() and its supervisor: what happens when one of them goes away."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from subcli.judge import Job, Language, LocalStarter, Problem, events, judge
from subcli.judge.process.processes import descendants
from subcli.judge.process.starter import Plans
from subcli.judge.process.text import Tail, cut
from subcli.judge.supervise.template import start_supervisor
from tests.hang import HANG_S
from tests.judge.judging import Below, MakeNode, MakeProblem, Run

LONG = "import time\ndef test_long(make_cluster):\n    make_cluster(1)\n    time.sleep(60)\n"


async def _until(condition: Callable[[], bool], seconds: float = HANG_S) -> None:
    for _ in range(round(seconds / 0.02)):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it never came to that")


async def test_killed_supervisor_is_the_judges_fault(tiny: MakeProblem, node: MakeNode, below: Below) -> None:
    """The verdict is error, and nothing of the submission is left."""
    seen = []
    async with aclosing(judge(Job(tiny(LONG), "python", {"node.py": node()}))) as judging:
        async for event in judging:
            seen.append(event)
            if event.get("status") == "testing":
                await _until(lambda: len(below()) >= 3)
                started = below()
                os.kill(started[0].pid, signal.SIGKILL)
    assert seen[-1]["final_status"] == "error"
    assert [event["type"] for event in seen[-3:]] == ["status_update", "error_analysis", "complete"]
    # The pytest below it has lost its channel, and ends by itself; in a server that is no subreaper it is init's.
    await _until(lambda: not _alive([process.pid for process in started]))


@pytest.mark.thorough
async def test_killed_server_ends_the_judging(tiny: MakeProblem, node: MakeNode, tmp_path: Path) -> None:
    """After kill -9 of the process that called judge(), the supervisor sees its socket end and cleans up."""
    problem = tiny(LONG)
    (tmp_path / "node.py").write_text(node(), encoding="utf-8")
    code = f"""
import asyncio
from pathlib import Path
from subcli.judge import Job, judge, load_problem
async def main():
    files = {{"node.py": Path({str(tmp_path / "node.py")!r}).read_text()}}
    async for event in judge(Job(load_problem(Path({str(problem.root)!r})), "python", files)):
        print(event, flush=True)
asyncio.run(main())
"""
    directory = tmp_path / "tmp"
    directory.mkdir()
    environment = {**os.environ, "TMPDIR": str(directory)}
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdout=asyncio.subprocess.DEVNULL, env=environment
    )
    try:
        await _until(lambda: len(descendants(server.pid)) >= 3)
        below = [process.pid for process in descendants(server.pid)]
        assert list(directory.iterdir()) != []
    finally:
        server.kill()
        await server.wait()
    await _until(lambda: not _alive(below))
    await _until(lambda: list(directory.iterdir()) == [])


async def test_judge_that_cannot_start_says_so(
    tiny: MakeProblem, node: MakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If no process can be started the verdict is error; the server's worker sees no exception."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr("subcli.judge.supervise.template._ask", refuse)
    async with aclosing(judge(Job(tiny(), "python", {"node.py": node()}))) as judging:
        seen = [event async for event in judging]
    assert seen[-1]["final_status"] == "error"
    assert seen[1]["error"] == "the judge could not start: Resource temporarily unavailable"
    assert seen[-1]["shortage"] is True


async def test_supervisor_without_an_order_starts_nothing(tmp_path: Path) -> None:
    """If the server is killed before it has sent the order, the supervisor ends silently."""
    ours, theirs = socket.socketpair()
    with theirs, (tmp_path / "lock").open("w") as lock:
        supervisor = await start_supervisor(tmp_path, theirs.fileno(), lock.fileno())
    with ours:
        ours.sendall(b'{"problem": ')
    assert await supervisor.wait() == 0
    assert supervisor.log == ""
    supervisor.close()


async def test_tests_do_not_run_after_a_failed_build(tiny: MakeProblem, below: Below) -> None:
    """pytest waits while the solution is built. If the build fails, it ends without collecting."""
    problem = tiny("raise SystemExit('collected')\n")
    async with aclosing(judge(Job(problem, "python", {"notes.txt": "none"}))) as judging:
        seen = [event async for event in judging]
    assert seen[-1]["final_status"] == "build_failed"
    assert "collected" not in str(seen)
    assert below() == []


async def test_conftest_that_fails_says_why(tiny: MakeProblem, node: MakeNode) -> None:
    """pytest ends before it reads its instructions: the verdict is error, with the author's exception."""
    problem = tiny()
    (problem.root / "tests" / "conftest.py").write_text("raise RuntimeError('the author broke it')\n")
    async with aclosing(judge(Job(problem, "python", {"node.py": node()}))) as judging:
        seen = [event async for event in judging]
    assert seen[-1]["final_status"] == "error"
    [analysis] = [event for event in seen if event["type"] == "error_analysis"]
    assert "the author broke it" in str(analysis["analysis"])


@pytest.mark.thorough
async def test_directories_are_removed(
    run: Run, tiny: MakeProblem, node: MakeNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a verdict nothing of the submission is left on disk."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    problem = tiny()
    await run(problem, node())
    assert os.listdir(tmp_path) == [problem.root.name]


async def test_custom_starter_decides_what_solutions_run_under(tiny: MakeProblem, node: MakeNode) -> None:
    """Its plan reaches the nodes: here a variable and a prefix."""

    class Marked(LocalStarter):
        @contextmanager
        def open(self, workspace: Path, problem: Problem, language: Language) -> Iterator[Plans]:
            with super().open(workspace, problem, language) as plans:
                run = replace(plans.run, prefix=("env", "MARK=here", *plans.run.prefix))
                yield replace(plans, run=run)

    start = "import os\nassert os.environ['MARK'] == 'here'\n"
    async with aclosing(judge(Job(tiny(), "python", {"node.py": node(start)}), starter=Marked())) as judging:
        seen = [event async for event in judging]
    assert seen[-1]["final_status"] == "passed"


async def test_unknown_language_is_an_error(tiny: MakeProblem) -> None:
    """The message names the languages that the problem offers."""
    async with aclosing(judge(Job(tiny(), "cobol", {"a.cob": ""}))) as judging:
        seen = [event async for event in judging]
    assert seen[-1]["final_status"] == "build_failed"
    assert seen[1]["error"] == "tiny cannot be solved in 'cobol'; choose from python"


def test_forking_processes_are_all_killed() -> None:
    """Including one that keeps forking meanwhile, and orphans that became our children."""
    script = """
import os, sys, time
from subcli.judge.process.processes import become_subreaper, descendants, kill_descendants
become_subreaper()
if os.fork() == 0:
    os.setsid()
    for _ in range(3):
        os.fork()
    for _ in range(100):  # an end of its own, should it not be killed
        if os.fork() == 0:
            time.sleep(5)
            os._exit(0)
        time.sleep(0.01)
    os._exit(0)
while len(descendants(os.getpid())) < 60:
    pass
print(kill_descendants(os.getpid()), [p for p in descendants(os.getpid()) if p.is_alive])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=HANG_S, check=True)
    assert done.stdout.split() == ["True", "[]"]


@pytest.mark.parametrize("character", ["x", "\0", "é", "\U0001f600", '"'])
def test_events_are_bounded(character: str) -> None:
    """Whatever they contain, and however JSON escapes it."""
    event = events.result(
        test_id="1",
        test_name="n",
        test_type="t",
        status="failed",
        outcome="wrong_answer",
        duration_ms=1,
        message="m",
        expected=character * 60_000,
        actual=character * 60_000,
        output=character * 500_000,
    )
    line = events.encode(event)
    assert len(line) <= events.MAX_BYTES + 1
    assert b"bytes cut" in line
    assert line.count(b"\n") == 1


def test_cutting_keeps_both_ends() -> None:
    """The marker says how much is missing; a character is never split."""
    text = "a" + "é" * 1_000 + "z"
    short = cut(text, 100)
    assert short[0] == "a"
    assert short[-1] == "z"
    assert "[1902 bytes cut]" in short
    assert cut("short", 100) == "short"


def test_tail_is_bounded() -> None:
    """Ten megabytes take as much memory as a kilobyte."""
    tail = Tail(1_000)
    tail.add(b"begin")
    for _ in range(1_000):
        tail.add(b"x" * 10_000)
    tail.add(b"end")
    text = tail.text()
    assert text.startswith("begin")
    assert text.endswith("end")
    assert len(text) < 1_100
    assert f"[{tail.total - 1_000} bytes cut]" in text


def _alive(pids: list[int]) -> list[int]:
    return [pid for pid in pids if Path(f"/proc/{pid}").exists() and " Z " not in Path(f"/proc/{pid}/stat").read_text()]


@pytest.mark.thorough
@pytest.mark.parametrize(
    "changed",
    [
        "id = [",
        'id = 900\nslug = "tiny"\ntitle = "Tiny"\n[languages.php]\nsource = "a.php"\nrun = ["php", "{source}"]\n',
        'id = 900\nslug = "tiny"\ntitle = "Tiny"\nrunner = "tap"\ncommand = ["false"]\n'
        '[languages.python]\nsource = "b.py"\n'
        'run = ["false"]\n[limits]\nmemory_mb = 16\nanswer_seconds = 0.001\n',
    ],
    ids=["syntax error", "language removed", "other limits and commands"],
)
async def test_problem_is_judged_as_it_was_loaded(run: Run, tiny: MakeProblem, node: MakeNode, changed: str) -> None:
    """A `problem.toml` that changes while the server runs changes nothing until the server reads it again."""
    problem = tiny()
    (problem.root / "problem.toml").write_text(changed, encoding="utf-8")
    judged = await run(problem, node())
    assert judged.verdict == "passed", judged.events


async def test_judges_own_failures_show_no_path(tiny: MakeProblem, node: MakeNode) -> None:
    """Paths of the server are for its log, not for those who submit: here a sandbox that cannot be made."""

    class Unreachable(LocalStarter):
        @contextmanager
        def open(self, workspace: Path, problem: Problem, language: Language) -> Iterator[Plans]:
            raise PermissionError(errno.EACCES, f"{problem.root} is readable by root only")
            yield

    problem = tiny()
    async with aclosing(judge(Job(problem, "python", {"node.py": node()}), starter=Unreachable())) as judging:
        seen = [event async for event in judging]
    assert seen[-1]["final_status"] == "error"
    assert str(problem.root) not in str(seen)
