"""Which sandbox a server gets: found out by a real run, refused with a way on, and said."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from subcli.judge import Job, LocalStarter, judge, load_problem, load_problems
from subcli.judge.languages.language import Language
from subcli.judge.problem import Problem, ResourceLimits
from subcli.judge.sandbox import Sandbox, choice
from subcli.judge.sandbox.choice import SandboxError, choose
from subcli.judge.sandbox.groups import Allowance, Groups
from subcli.judge.sandbox.probe import probe
from subcli.judge.sandbox.view import view_for
from subcli.judge.trial import hello
from subcli.server.jobs.sandboxing import sandboxed_judge
from subcli.server.settings import ServeError

needs_bwrap = pytest.mark.skipif(shutil.which("bwrap") is None, reason="needs bubblewrap")


@pytest.fixture
def without_bwrap(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine on which bubblewrap is not installed."""
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.fixture
def broken_bwrap(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine on which it is installed and may not do anything, whatever Python these tests run under."""
    monkeypatch.setattr("subcli.judge.sandbox.bubblewrap.unreachable", lambda view: None)
    # Not pytest's directory: who starts bwrap where root judges has to get there.
    with tempfile.TemporaryDirectory(prefix="subcli-decoy-") as name:
        program = Path(name, "bwrap")
        program.write_text(
            "#!/bin/sh\necho 'bwrap: Creating new namespace failed: Operation not permitted' >&2\nexit 1\n"
        )
        program.chmod(0o755)
        Path(name).chmod(0o755)
        monkeypatch.setenv("PATH", f"{name}:{os.environ['PATH']}")
        yield


def refusal(**options: Any) -> SandboxError:
    with pytest.raises(SandboxError) as caught:
        choose(Sandbox.AUTO, for_others=True, **options)
    return caught.value


def test_own_code_needs_no_sandbox(without_bwrap: str) -> None:
    """In demo mode `auto` uses no sandbox and says so."""
    made = choose(Sandbox.AUTO, for_others=False)
    assert isinstance(made.starter, LocalStarter)
    assert "no sandbox" in made.findings[0].text


def test_code_of_others_needs_a_sandbox(without_bwrap: str) -> None:
    """With logins, `auto` without bubblewrap is an error that names the command that installs it."""
    error = refusal()
    assert "not installed" in error.message
    assert "apt-get install bubblewrap" in error.hint
    assert "--sandbox none" in error.hint


def test_bubblewrap_that_is_not_permitted_is_detected(broken_bwrap: str) -> None:
    """Being installed is not enough. What bubblewrap printed is the reason."""
    assert "Operation not permitted" in refusal().message


@pytest.mark.parametrize(
    ("machine", "words"), [("docker", "seccomp=unconfined"), ("ubuntu", "AppArmor"), ("other", "docs/judging.md")]
)
def test_hint_depends_on_the_machine(
    broken_bwrap: str, monkeypatch: pytest.MonkeyPatch, machine: str, words: str
) -> None:
    """Flags for Docker, a profile for Ubuntu 24.04, the manual elsewhere."""
    monkeypatch.setattr(choice, "_in_container", lambda: machine == "docker")
    monkeypatch.setattr(choice, "_restricted_by_apparmor", lambda: machine == "ubuntu")
    assert words in refusal().hint


def test_python_that_only_root_can_reach_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is mounted or copied to work around it; the hint says what to install where."""
    monkeypatch.setattr("subcli.judge.sandbox.bubblewrap.unreachable", lambda view: "/root/python")
    monkeypatch.setattr("subcli.judge.sandbox.bubblewrap.next_user", lambda: 1_900_000_000)
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    error = refusal()
    assert "/root/python is readable by root only" in error.message
    assert "/opt" in error.hint


def test_no_sandbox_must_be_requested_and_is_logged(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    """`--sandbox none` on a server with logins logs a warning at every start."""
    with caplog.at_level(logging.INFO):
        sandboxed_judge(Sandbox.NONE, for_others=True, concurrency=1, data_dir=tmp_path, problems_dir=None)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "other people's code runs as this user" in caplog.text


def test_server_without_a_working_sandbox_does_not_start(without_bwrap: str, tmp_path: Path) -> None:
    """The error of the sandbox becomes the server's."""
    with pytest.raises(ServeError, match="not installed"):
        sandboxed_judge(Sandbox.AUTO, for_others=True, concurrency=1, data_dir=tmp_path, problems_dir=None)


@needs_bwrap
def test_probe_reports_what_holds(tmp_path: Path) -> None:
    """One result each for namespaces, system calls, control groups and user."""
    found = probe(cpus=1.0)
    if found.starter is None:
        pytest.skip(f"needs a bubblewrap that works: {found.reason}")
    assert len(found.findings) == 4
    assert "namespaces" in found.findings[0].text
    assert list(tmp_path.glob("subcli-judge-*")) == []


def test_secrets_inside_visible_directories_are_hidden(tmp_path: Path) -> None:
    """The server's data and the problems inside a visible installation; never the home directory."""
    prefix = tmp_path / "opt" / "language"
    (prefix / "bin").mkdir(parents=True)
    (prefix / "lib").mkdir()
    (prefix / "data").mkdir()
    (prefix / "bin" / "compile").write_text("")
    (prefix / "bin" / "compile").chmod(0o755)
    language = Language(name="x", source="a.x", run=(str(prefix / "bin" / "compile"),))
    problem = Problem(1, "x", "X", "", {"x": language}, ResourceLimits(), prefix / "lib")
    view = view_for(problem, language, hidden=[prefix / "data"])
    assert str(prefix) in view.shown
    assert {str(prefix / "data"), str(prefix / "lib")} <= set(view.hidden)
    assert not any(Path(name) in (Path.home(), *Path.home().parents) for name in view.shown)


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that other users can enter, unlike those of pytest."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_what_operators_let_solutions_read(tmp_path: Path) -> None:
    """Under its own name and under that of a link; what must be hidden inside it stays hidden under both."""
    corpora = tmp_path / "corpora"
    (corpora / "data").mkdir(parents=True)
    (tmp_path / "link").symlink_to(corpora)
    language = Language(name="x", source="a.x", run=("./a",))
    problem = Problem(1, "x", "X", "", {"x": language}, ResourceLimits(), tmp_path / "x")
    view = view_for(problem, language, hidden=[corpora / "data"], readable=[tmp_path / "link"])
    assert str(corpora) in view.shown
    assert str(tmp_path / "link") not in view.shown
    assert (str(corpora), str(tmp_path / "link")) in view.links
    assert str(corpora / "data") in view.hidden


@pytest.mark.parametrize(
    ("path", "complaint"),
    [
        ("/", "has its own"),
        ("/proc", "has its own"),
        ("/proc/self", "kernel"),
        ("/dev/shm", "kernel"),
        ("/tmp", "has its own"),
        ("/no/such/file", "There is no"),
        ("DATA", "hidden"),
        ("DATA/inside", "hidden"),
    ],
)
def test_what_solutions_cannot_be_let_to_read(path: str, complaint: str, tmp_path: Path) -> None:
    """With or without a sandbox: the operator has made a mistake."""
    (tmp_path / "data" / "inside").mkdir(parents=True)
    readable = Path(path.replace("DATA", str(tmp_path / "data")))
    for wanted in (Sandbox.BWRAP, Sandbox.NONE):
        with pytest.raises(SandboxError, match=complaint):
            choose(wanted, for_others=True, hidden=(tmp_path / "data",), readable=(readable,))


@needs_bwrap
async def test_a_solution_reads_what_it_is_let_to_read(open_directory: Path) -> None:
    """A file in one directory, and not the one in the directory beside it."""
    for name in ("shown", "other"):
        (open_directory / name).mkdir()
        (open_directory / name / "words").write_text("hello")
    found = probe(cpus=1.0, readable=(open_directory / "shown",))
    if found.starter is None:
        pytest.skip(f"needs a bubblewrap that works: {found.reason}")
    job = hello(Language(name="python", source="a.py", run=("{python}", "{source}")), ResourceLimits())
    assert job is not None
    for name, verdict in (("shown", "passed"), ("other", "failed")):
        source = f"print(open({str(open_directory / name / 'words')!r}).read())"
        files = dict.fromkeys(job.files, source)
        judging = [event async for event in judge(replace(job, files=files), starter=found.starter)]
        assert judging[-1]["final_status"] == verdict, judging


@pytest.mark.thorough(measured=True)
@needs_bwrap
@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("slug", "name", "verdict"),
    [
        pytest.param("lru-cache", "passing.c", "passed", marks=pytest.mark.thorough),
        pytest.param("lru-cache", "crashing.c", "failed", marks=pytest.mark.thorough),
        ("lru-cache", "broken.c", "build_failed"),
        ("lru-cache", "passing.py", "passed"),
    ],
)
async def test_bundled_solutions_behave_the_same_in_the_sandbox(slug: str, name: str, verdict: str) -> None:
    """Compiled and interpreted: the declared verdict and exactly the declared failures."""
    starter = probe(cpus=2.0).starter
    if starter is None:
        pytest.skip("needs a bubblewrap that works")
    problem = load_problems()[slug]
    solution = next(each for each in problem.solutions if each.file.name == name)
    language = problem.languages[solution.language]
    missing = [program for program in language.requires if shutil.which(program) is None]
    if missing:
        pytest.skip(f"needs {missing[0]}")
    job = Job(problem, language.name, {language.source: solution.file.read_text(encoding="utf-8")})
    async with aclosing(judge(job, starter=starter)) as judging:
        seen = [event async for event in judging]
    assert seen[-1]["final_status"] == verdict
    failed = {event["test_name"] for event in seen if event["type"] == "test_result" and event["status"] != "passed"}
    assert failed == set(solution.failed)


JAVASCRIPT = """
const lines = require("readline").createInterface({ input: process.stdin });
lines.on("line", (line) => {
  const type = JSON.parse(line).body.type;
  console.log(JSON.stringify({ dest: "judge", body: { type: type + "_ok" } }));
});
"""
NODE_PROBLEM = """
id = 951
slug = "js"
title = "JavaScript"
[languages.javascript]
source = "node.js"
build = ["node", "--check", "{source}"]
run = ["node", "{source}"]
bounded_address_space = false
"""


@needs_bwrap
@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
async def test_javascript_runs_in_the_sandbox(tmp_path: Path) -> None:
    """V8 with its threads and reserved memory, under pytest's harness."""
    starter = probe(cpus=2.0).starter
    if starter is None:
        pytest.skip("needs a bubblewrap that works")
    (tmp_path / "tests").mkdir()
    (tmp_path / "problem.toml").write_text(NODE_PROBLEM)
    (tmp_path / "description.md").write_text("Answer.")
    (tmp_path / "tests" / "test_it.py").write_text("def test_it(make_cluster):\n    make_cluster(3).run(100)\n")
    job = Job(load_problem(tmp_path), "javascript", {"node.js": JAVASCRIPT})
    async with aclosing(judge(job, starter=starter)) as judging:
        seen = [event async for event in judging]
    assert seen[-1]["final_status"] == "passed", seen


def test_leftover_group_is_not_reused(tmp_path: Path) -> None:
    """A killed judge left its groups, and the next judge with its process id uses other names."""
    groups = Groups({tmp_path: (1, ())})
    allowance = Allowance(memory=1, tasks=1, cpus=1.0)
    (first,) = groups.make(allowance)
    stem, _, number = first.rpartition("-")
    left = Path(f"{stem}-{int(number) + 1}")
    left.mkdir()
    (second,) = groups.make(allowance)
    assert Path(second).is_dir()
    assert Path(second) not in (Path(first), left)


@pytest.mark.parametrize(
    ("version", "file", "value"), [(1, "memory.kmem.tcp.limit_in_bytes", "5000"), (2, "memory.swap.max", "0")]
)
def test_memory_that_a_group_does_not_count_by_itself(tmp_path: Path, version: int, file: str, value: str) -> None:
    """Connections in version 1, swap in version 2: limited as well."""
    groups = Groups({tmp_path: (version, ("memory",))})
    (made,) = groups.make(Allowance(memory=5000, tasks=1, cpus=1.0))
    assert Path(made, file).read_text() == value
