"""The plans by which processes are started, and what the judge's own processes get."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from subcli.judge.languages.language import Language
from subcli.judge.problem import Problem, ResourceLimits
from subcli.judge.process import starter
from subcli.judge.process.starter import (
    CONFINING,
    LocalStarter,
    Plans,
    StartPlan,
    clean_environment,
    confining,
    own_environment,
    spawn,
    start_own,
)
from tests.hang import HANG_S

LIMITS = ResourceLimits(memory_mb=100, build_memory_mb=300, file_size_mb=5)
BOUNDED = Language(name="python", source="a.py", run=("true",))
UNBOUNDED = Language(name="go", source="a.go", run=("true",), bounded_address_space=False)


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The judge's own environment, with a secret in it."""
    for name in list(os.environ):
        monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setenv("SUBCLI_SECRET_KEY", "hush")
    monkeypatch.setenv("HOME", "/nowhere")
    starter._rustup.cache_clear()
    yield
    starter._rustup.cache_clear()


def problem(language: Language, root: Path) -> Problem:
    return Problem(
        id=1, slug="p", title="P", description="", languages={language.name: language}, limits=LIMITS, root=root
    )


@pytest.mark.parametrize(
    ("layers", "code", "expected"),
    [(2, 137, -9), (2, 139, -11), (2, 128, 128), (2, 255, 255), (2, 1, 1), (0, 137, 137), (2, 0, 0), (2, -9, -9)],
)
def test_exit_code_behind_a_sandbox(layers: int, code: int, expected: int) -> None:
    """A signal comes out as 128 + N; without a sandbox that is a code like any other."""
    assert StartPlan((), {}, "/", layers).exit_code(code) == expected


def test_plans_survive_json() -> None:
    """They go to other processes."""
    build = StartPlan(("a", "b"), {"X": "1"}, "/build", mounts=("bwrap", "x"))
    plans = Plans(build, replace(build, directory="/run", layers=2), ("/sys/fs/cgroup/a",), ("/tmp", "/dev/shm"))
    back = Plans.from_json(json.loads(json.dumps(plans.as_json())))
    assert json.dumps(back.as_json()) == json.dumps(plans.as_json())
    assert (back.run.layers, back.groups, back.scratch) == (2, plans.groups, plans.scratch)
    assert json.loads(json.dumps(build.as_json())) == {
        "prefix": ["a", "b"],
        "environment": {"X": "1"},
        "directory": "/build",
        "layers": 0,
        "mounts": ["bwrap", "x"],
    }


@pytest.mark.parametrize(
    ("language", "is_hosted", "words"),
    [
        (BOUNDED, False, ("--file-size=5242880", "--address-space=104857600")),
        (BOUNDED, True, ("--file-size=5242880",)),
        (UNBOUNDED, False, ("--file-size=5242880",)),
    ],
)
def test_resource_limits_of_a_process(language: Language, *, is_hosted: bool, words: tuple[str, ...]) -> None:
    """In bytes. Some languages reserve more memory than they use; a host bounds each program itself."""
    assert confining(LIMITS, language, is_hosted=is_hosted) == (*CONFINING, *words)


def test_plans_without_a_sandbox(tmp_path: Path) -> None:
    """A build may use more memory; temporary files are not among those of the submission."""
    workspace = tmp_path / "work"
    workspace.mkdir()
    for _ in range(2):
        with LocalStarter().open(workspace, problem(BOUNDED, tmp_path), BOUNDED) as plans:
            assert (tmp_path / "tmp").is_dir()
    environment = {**clean_environment(workspace), "TMPDIR": str(tmp_path / "tmp")}
    limits = {name: f"--address-space={mb << 20}" for name, mb in (("build", 300), ("run", 100))}
    for name, plan in (("build", plans.build), ("run", plans.run)):
        assert plan == StartPlan((*CONFINING, "--file-size=5242880", limits[name], "--"), environment, str(workspace))
    assert (plans.groups, plans.scratch) == ((), ())


def test_environment_of_a_solution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the judge's own it gets PATH, and no secret; results are the same in every run."""
    clean = {
        "PATH": "/usr/bin:/bin",
        "HOME": "/work",
        "TMPDIR": "/work",
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONUTF8": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    assert clean_environment(Path("/work")) == clean
    monkeypatch.delenv("PATH")
    assert clean_environment(Path("/work")) == {**clean, "PATH": os.defpath}
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    for variables, there in (
        ({"RUSTUP_HOME": str(tmp_path)}, tmp_path),
        ({"HOME": str(tmp_path)}, tmp_path / ".rustup"),
    ):
        there.mkdir(exist_ok=True)
        with monkeypatch.context() as patch:
            for name, value in variables.items():
                patch.setenv(name, value)
            starter._rustup.cache_clear()
            assert clean_environment(Path("/work")) == {**clean, "RUSTUP_HOME": str(there)}


def test_environment_of_the_judges_own_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """They import from where this one does, besides the standard library, and are measured where it is."""
    monkeypatch.setattr(sys, "path", ["", "/mine", f"{sys.base_prefix}/lib/python3", "/site-packages"])
    monkeypatch.setenv("COVERAGE_PROCESS_CONFIG", "measured")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "x")
    monkeypatch.setenv("PYTHONSTARTUP", "/not/this")
    assert own_environment(Path("/work")) == {
        "PATH": "/usr/bin:/bin",
        "HOME": "/work",
        "TMPDIR": "/work",
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONUTF8": "1",
        "PYTHONDONTWRITEBYTECODE": "x",
        "COVERAGE_PROCESS_CONFIG": "measured",
        "PYTHONPATH": "/mine:/site-packages",
    }


SHOW = 'cat; pwd; echo "$X ${HOME-none}"; [ "$(cut -d" " -f6 /proc/$$/stat)" = $$ ] && echo leads; echo complaint >&2'


@pytest.mark.parametrize("is_apart", [False, True])
def test_own_process_writes_to_the_log(tmp_path: Path, is_apart: bool) -> None:
    """Its stdout as well, unless that is for somebody else; it reads nothing and leads a session."""
    paths = [tmp_path / name for name in ("log", "stdout")]
    log, stdout = (os.open(path, os.O_RDWR | os.O_CREAT) for path in paths)
    passed = os.open(tmp_path, os.O_RDONLY)
    command = ["/bin/sh", "-c", f"{SHOW}; [ -e /proc/self/fd/{passed} ] && echo passed"]
    more = {"stdout": stdout} if is_apart else {}
    process = start_own(command, directory=tmp_path, environment={"X": "here"}, log=log, pass_fds=[passed], **more)
    assert process.wait(60) == 0
    said = f"{tmp_path}\nhere none\nleads\n"
    if is_apart:
        assert [path.read_text() for path in paths] == ["complaint\n", f"{said}passed\n"]
    else:
        assert [path.read_text() for path in paths] == [f"{said}complaint\npassed\n", ""]
    for descriptor in (log, stdout, passed):
        os.close(descriptor)


def test_process_under_a_plan(tmp_path: Path) -> None:
    """Behind its prefix, in its directory, with its variables and more; of the descriptors it gets those it may."""
    plan = StartPlan(("/usr/bin/env", "Y=prefixed"), {"PATH": "/usr/bin:/bin", "X": "plan", "Z": "plan"}, str(tmp_path))
    kept, closed = (os.open(tmp_path, os.O_RDONLY) for _ in range(2))
    os.set_inheritable(closed, True)
    script = 'cat; pwd; echo "$X $Y $Z"; ls /proc/$$/fd | tr "\\n" " "; echo complaint >&2'
    process = spawn(plan, ["/bin/sh", "-c", script], pass_fds=[kept], extra_environment={"Z": "more"})
    output, errors = process.communicate(timeout=HANG_S)
    directory, variables, descriptors = output.decode().splitlines()
    assert (directory, variables, errors) == (str(tmp_path), "plan prefixed more", b"complaint\n")
    assert set(descriptors.split()) - {"10", "255"} == {"0", "1", "2", str(kept)}
    assert process.stdin is None
    talking = spawn(plan, ["cat"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert talking.communicate(b"said")[0] == b"said"
    for descriptor in (kept, closed):
        os.close(descriptor)
