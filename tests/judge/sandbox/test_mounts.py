"""What the sandboxes of a submission share, and what each makes: counted in mounts, which no busy machine changes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from subcli.judge.languages.language import Language
from subcli.judge.problem import Problem, ResourceLimits
from subcli.judge.process import mounts
from subcli.judge.process.starter import Plans, StartPlan, spawn
from subcli.judge.process.workplace import workplace
from subcli.judge.sandbox import bubblewrap
from subcli.judge.sandbox.bubblewrap import BubblewrapStarter
from subcli.judge.sandbox.probe import probe

PYTHON = Language(name="python", source="a.py", run=("{python}", "{source}"))


@pytest.fixture(scope="module")
def starter() -> BubblewrapStarter:
    found = probe(cpus=1.0)
    if found.starter is None:
        pytest.skip(f"needs a bubblewrap that works: {found.reason}")
    return found.starter


@pytest.fixture
def plans(starter: BubblewrapStarter) -> Iterator[Plans]:
    with _opened(starter) as opened:
        yield opened


class _opened:
    """The plans of a submission."""

    def __init__(self, starter: BubblewrapStarter) -> None:
        self._starter = starter
        self._place = workplace()

    def __enter__(self) -> Plans:
        base = self._place.__enter__().path
        (base / "work").mkdir()
        (base / "work" / "a.py").write_text("")
        problem = Problem(1, "mounts", "Mounts", "", {"python": PYTHON}, ResourceLimits(), base)
        self._open = self._starter.open(base / "work", problem, PYTHON)
        return self._open.__enter__()

    def __exit__(self, *error: object) -> None:
        self._open.__exit__(None, None, None)
        self._place.__exit__(None, None, None)


def _said(plan: StartPlan, script: str) -> str:
    """What a shell prints in a sandbox."""
    with spawn(plan, ("/bin/sh", "-c", script)) as process:
        output, errors = process.communicate()
    assert (errors, process.returncode) == (b"", 0)
    return output.decode()


def _points(mountinfo: str) -> list[str]:
    return [line.split()[4] for line in mountinfo.splitlines()]


def test_what_is_seen_is_mounted_once(plans: Plans, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process of a submission mounts what the others have made as a whole; its own are /proc, /tmp and /dev/shm."""
    made: list[object] = []
    begin = os.posix_spawn

    def counting(*arguments: object, **options: object) -> int:
        made.append(arguments)
        return begin(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "posix_spawn", counting)
    for _ in range(3):
        assert _said(plans.run, "echo here") == "here\n"
    assert len(made) == 1
    words = plans.run.prefix
    own = [words[at + 2] for at, word in enumerate(words) if word in ("--bind", "--dev-bind", "--ro-bind")]
    assert [path for path in own if not path.startswith("/proc/")] == ["/", "/dev", plans.run.directory]
    hidden = [path for path in own if path.startswith("/proc/")]
    # Each costs a look at all mounts. What no solution may read anyway needs none.
    assert len(hidden) <= 24
    assert all(os.stat(path).st_mode & 0o004 for path in hidden)


def test_sandbox_is_the_same_without_shared_mounts(starter: BubblewrapStarter, plans: Plans) -> None:
    """Where nothing can be shared, each process makes for itself what it sees."""
    script = "cut -d' ' -f5,6 /proc/self/mountinfo; ls / /dev /etc; cat /proc/meminfo /proc/loadavg; env; id; pwd"
    with _opened(replace(starter, shares_mounts=False)) as others:
        assert others.run.mounts == ()
        mine, theirs = (_said(plan, script).replace(plan.directory, "WORK") for plan in (plans.run, others.run))
    assert sorted(mine.splitlines()) == sorted(theirs.splitlines())


def test_solution_has_no_descriptor_of_the_mounts(plans: Plans) -> None:
    """Who holds one could enter the namespaces, if it could do that at all."""
    # `ls` has the directory open that it lists.
    assert _said(plans.run, "ls /proc/self/fd").split() == ["0", "1", "2", "3"]


@pytest.mark.parametrize("are_apart", [True, False])
def test_limits_are_those_of_one_sandbox(
    starter: BubblewrapStarter, monkeypatch: pytest.MonkeyPatch, are_apart: bool
) -> None:
    """Where no other has its user, nothing more than bubblewrap has to start for that."""
    if not are_apart:
        monkeypatch.setattr(bubblewrap, "nodes_are_apart", lambda _user: False)
    with _opened(starter) as plans:
        said = _said(plans.run, "grep -E 'Max (processes|pending signals)' /proc/self/limits")
        tasks, pending = (line.split()[-3:-1] for line in said.splitlines())
        is_by_prlimit = any(word.endswith("/prlimit") for word in plans.run.prefix)
    own = max(ResourceLimits().processes * 8, 128)
    assert is_by_prlimit == (not are_apart or os.geteuid() != 0)
    assert tasks == [str(own if is_by_prlimit else own + bubblewrap.LAYERS)] * 2
    assert pending == ["1024", "1024"]


def test_process_with_threads_enters_as_well(plans: Plans) -> None:
    """There an interpreter of its own confines the process, and gets the descriptors."""
    ending = threading.Event()
    thread = threading.Thread(target=ending.wait)
    thread.start()
    try:
        assert _said(plans.run, "ls /proc/self/fd; ls /").split()[:4] == ["0", "1", "2", "3"]
    finally:
        ending.set()
        thread.join()


def test_nothing_of_the_machine_lies_below(plans: Plans) -> None:
    """The /proc that bubblewrap itself needs is in no sandbox, and neither are the files of the judge."""
    points = _points(_said(plans.run, "cat /proc/self/mountinfo"))
    assert points.count("/proc") == points.count("/") == 1
    assert not {"/.subcli", "/.subcli/tree"} & set(points)
    assert _said(plans.run, "ls -d /.subcli 2>/dev/null || true") == ""


def test_nothing_is_left_of_a_submission(starter: BubblewrapStarter) -> None:
    """What made the mounts has ended, and with its last descriptor the kernel ends the mounts."""
    before = sorted(os.listdir("/proc/self/fd"))
    children = Path(f"/proc/self/task/{threading.get_native_id()}/children")
    below = children.read_text()
    with _opened(starter) as plans:
        _said(plans.run, "true")
        assert children.read_text() == below
    assert sorted(os.listdir("/proc/self/fd")) == before
    with _opened(starter) as plans:
        # Nobody has waited for it.
        mounts.begin(plans.run.mounts)
    assert sorted(os.listdir("/proc/self/fd")) == before


def test_failure_is_said_and_does_not_last(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The next process tries again."""
    works = tmp_path / "works"
    command = ("/bin/sh", "-c", f'test -e {works} && exec "$0" "$@"; echo no room >&2')
    with pytest.raises(OSError, match="could not be made"):
        mounts.descriptors(command)
    assert capfd.readouterr().err == "no room\n"
    works.touch()
    assert mounts.descriptors(command) == ()  # It has made no namespaces.
    mounts.forget(command)


def test_one_thread_joins_groups_alone(tmp_path: Path) -> None:
    """Version 1 of control groups can move a thread, which takes no lock of the whole machine."""
    (tmp_path / "tasks").touch()
    (tmp_path / "cgroup.procs").touch()
    (tmp_path / "second").mkdir()
    (tmp_path / "second" / "cgroup.procs").touch()
    confine = Path(mounts.__file__).with_name("confine.py")
    groups = (f"--group={tmp_path}", f"--group={tmp_path / 'second'}")
    subprocess.run([sys.executable, "-I", "-S", str(confine), *groups, "--", "true"], check=True)
    assert [path.read_text() for path in (tmp_path / "tasks", tmp_path / "cgroup.procs")] == ["0", ""]
    assert (tmp_path / "second" / "cgroup.procs").read_text() == "0"
