"""The template of the supervisors: what is done once for all of them, and that none sees anything of another one."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import aclosing, suppress
from pathlib import Path

import pytest

from subcli.judge import Job, judge
from subcli.judge.process.processes import descendants, is_ending
from subcli.judge.supervise.child import Child
from subcli.judge.supervise.pytest_process import PRELOADED
from subcli.judge.supervise.template import start_supervisor, template_pid
from tests.hang import HANG_S
from tests.judge.judging import MakeNode, MakeProblem, Run
from tests.unmeasured import UNMEASURED


async def _started(directory: Path) -> tuple[Child, socket.socket]:
    """A supervisor that waits for its order, and the socket over which it would get it."""
    os.mkdir(directory)
    ours, theirs = socket.socketpair()
    with theirs, (directory / "lock").open("w") as lock:
        return await start_supervisor(directory, theirs.fileno(), lock.fileno()), ours


def _opened(pid: int) -> list[str]:
    paths = [f"/proc/{pid}/fd/{name}" for name in os.listdir(f"/proc/{pid}/fd") if int(name) > 2]
    return sorted(os.readlink(path) for path in paths)


async def _until_open(count: int, pid: int) -> None:
    for _ in range(3_000):
        if len(_opened(pid)) == count:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(_opened(pid))


@pytest.fixture(autouse=True)
async def _template(tmp_path: Path) -> None:
    """Sees to it that there is a template, which has nothing else to do."""
    supervisor, channel = await _started(tmp_path / "first")
    channel.close()
    await supervisor.wait()
    supervisor.close()


@pytest.mark.thorough
async def test_all_judgings_share_one_template(run: Run, tiny: MakeProblem, node: MakeNode) -> None:
    """No interpreter is started for a supervisor: each is a fork, made in no time."""
    template = template_pid()
    problem = tiny()
    for _ in range(2):
        assert (await run(problem, node())).verdict == "passed"
    assert template_pid() == template


async def test_supervisor_has_nothing_of_another_one(tmp_path: Path) -> None:
    """Neither its socket nor its lock, its log or its directory: each has two descriptors, and they are its own."""
    first, to_first = await _started(tmp_path / "a")
    second, to_second = await _started(tmp_path / "b")
    with to_first, to_second:
        seen = {}
        for supervisor in (first, second):
            await _until_open(2, supervisor.pid)
            seen[supervisor.pid] = {*_opened(supervisor.pid), os.readlink(f"/proc/{supervisor.pid}/fd/1")}
            assert os.getsid(supervisor.pid) == supervisor.pid
        assert seen[first.pid].isdisjoint(seen[second.pid])
        deadline = time.monotonic() + HANG_S
        while (directory := os.readlink(f"/proc/{first.pid}/cwd")) != str(tmp_path / "a"):
            assert time.monotonic() < deadline, directory
            await asyncio.sleep(0.01)
    for supervisor in (first, second):
        assert await supervisor.wait() == 0
        supervisor.close()


async def test_template_keeps_nothing_of_a_judging(tmp_path: Path) -> None:
    """When a supervisor has ended, the template has the one socket over which it is asked, and no child."""
    template = template_pid()
    assert template is not None
    supervisor, channel = await _started(tmp_path / "a")
    channel.close()
    await supervisor.wait()
    supervisor.close()
    await _until_open(1, template)
    assert descendants(template) == []


@pytest.mark.thorough
async def test_killed_template_is_replaced(run: Run, tiny: MakeProblem, node: MakeNode, tmp_path: Path) -> None:
    """What it has forked goes on, and its end is seen; the next judging gets another template."""
    template = template_pid()
    assert template is not None
    supervisor, channel = await _started(tmp_path / "a")
    os.kill(template, signal.SIGKILL)
    waiting = asyncio.create_task(supervisor.wait())
    assert (await run(tiny(), node())).verdict == "passed"
    assert template_pid() != template
    assert not waiting.done()
    channel.close()
    assert await waiting == -signal.SIGKILL
    supervisor.close()


async def test_template_that_is_killed_while_judging(tiny: MakeProblem, node: MakeNode) -> None:
    """The judging under way gets its verdict all the same."""
    async with aclosing(judge(Job(tiny(), "python", {"node.py": node()}))) as judging:
        seen: list[dict[str, object]] = []
        async for event in judging:
            if not seen:
                with suppress(ProcessLookupError):
                    os.kill(template_pid() or 0, signal.SIGKILL)
            seen.append(event)
    assert seen[-1]["final_status"] == "passed"


async def test_environment_is_that_of_the_moment(
    run: Run, tiny: MakeProblem, node: MakeNode, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A judge whose PATH has changed passes on the present one, and needs no other template for it."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    start = f"import os\nassert {str(tmp_path)!r} in os.environ['PATH']\n"
    template = template_pid()
    assert (await run(tiny(), node(start))).verdict == "passed"
    assert template_pid() == template


ASKS = """
import json, random, sys

def test_node(make_cluster):
    make_cluster(1).advance_to(10)

def test_process():
    words = {"argv": sys.orig_argv, "random": random.random(), "main": sys.modules["__main__"].__name__}
    raise AssertionError("saw " + json.dumps(words))
"""


@pytest.mark.thorough
async def test_pytest_is_a_fork(run: Run, tiny: MakeProblem, node: MakeNode) -> None:
    """No submission waits for pytest to be imported; and none has anything of another one, such as random numbers."""
    problem = tiny(ASKS)
    seen = []
    for _ in range(2):
        judged = await run(problem, node())
        (message,) = [event["message"] for event in judged.of("test_result") if event["status"] == "failed"]
        seen.append(json.loads(message.partition("saw ")[2]))
    assert all("subcli.judge.supervise" in each["argv"] for each in seen)
    assert {each["main"] for each in seen} == {"__main__"}
    assert seen[0]["random"] != seen[1]["random"]


NEVER_ENDS = """
import os, pathlib, time
pathlib.Path(PLACE).write_text(f"{os.getpid()} {os.getppid()}")
time.sleep(600)
"""


async def _until(condition: Callable[[], bool]) -> None:
    for _ in range(3_000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("this did not come")


async def test_pytest_ends_with_its_supervisor(tiny: MakeProblem, tmp_path: Path) -> None:
    """Even if that is killed and the tests never end: the environment of a fork does not tell what it belongs to."""
    place = tmp_path / "pids"
    problem = tiny(NEVER_ENDS.replace("PLACE", repr(str(place))))

    async def judged() -> list[dict[str, object]]:
        async with aclosing(judge(Job(problem, "python", {"node.py": ""}))) as judging:
            return [event async for event in judging]

    judging = asyncio.create_task(judged())
    await _until(lambda: place.exists() and place.read_text() != "")
    tester, supervisor = map(int, place.read_text().split())
    os.kill(supervisor, signal.SIGKILL)
    assert (await judging)[-1]["final_status"] == "error"
    await _until(lambda: is_ending(tester))


@pytest.mark.thorough
def test_modules_that_only_a_fork_has(tmp_path: Path) -> None:
    """A solution's module of the same name is still what tests import."""
    (tmp_path / "told.py").write_text(
        "import json, sys\n"
        "from subcli.judge.harness import module, module_process\n"
        "def pytest_configure(config):\n"
        "    print(json.dumps(sorted(sys.modules)), file=sys.__stdout__, flush=True)\n"
    )
    script = """
import json, sys
from subcli.judge.supervise import __main__ as template
template._prepare()
print(json.dumps(sorted(sys.modules)))
"""
    plain = ("-m", "pytest", "-q", "-p", "told", "-p", "no:cacheprovider", "-p", "no:junitxml", "-c", os.devnull)
    found = []
    for words in (("-c", script), (*plain, str(tmp_path))):
        env = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **UNMEASURED}
        command = [sys.executable, "-P", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=env)
        found.append({name for name in json.loads(done.stdout.splitlines()[0]) if "." not in name and name[0] != "_"})
    assert found[0] - found[1] - {"subcli"} <= PRELOADED


@pytest.mark.thorough
def test_supervisor_imports_nothing_for_itself(tmp_path: Path) -> None:
    """What the supervisors of every runner need is imported in the template, where it is paid for once."""
    script = """
import sys
import time
from subcli.judge.supervise import __main__ as template
template._prepare()
before = set(sys.modules)
from subcli.judge.supervise import case_play, cases_runner, grader_runner, pytest_runner, runs, tap_runner, tools
from subcli.judge.analysis import explain, traces
import subcli.judge.local
print(*sorted(set(sys.modules) - before))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.split() == []
