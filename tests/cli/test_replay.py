"""Which failure is replayed, under which debugger, and what is said of it."""

from __future__ import annotations

import dataclasses
import importlib.util
import pty
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from subcli.cli.common import Common
from subcli.cli.debugger import debugged, without_limits
from subcli.cli.replay import Recorded, _parts, _tell, fetch, fetched_problem
from subcli.cli.streams import Streams
from subcli.core.errors import NotFoundError, UsageError
from subcli.core.replay import Replayed
from subcli.judge import load_problems
from subcli.shared.run_trace import RunTrace
from tests.cli.rest import Rest, rest
from tests.cli.streams import captured

TRACE = RunTrace(seed=5, cluster=2, nodes=("n1", "n2"), violation="two leaders")
FAILED = {"test_id": "t.py::a", "test_name": "Split Vote", "status": "failed", "has_trace": True, "seed": 5}
TABLE = {"languages": {"python": {"source": "node.py"}}}
ANSWERS: dict[str, tuple[int, Any]] = {
    "GET /submissions/12": (200, {"id": 12, "problem": "election", "language": "python"}),
    "GET /submissions/12/tests": (200, [FAILED, {**FAILED, "test_id": "t.py::b", "test_name": "Other"}, "nothing"]),
    "GET /submissions/12/tests/t.py%3A%3Aa/trace": (200, {"seed": 5, "nodes": ["n1"]}),
    "GET /submissions/12/tests/t.py%3A%3Ab/trace": (200, {"seed": 6}),
    "GET /submissions/12/files": (200, {"submission_id": 12, "files": {"node.py": "pass\n"}}),
    "GET /problems/election/template/python": (
        200,
        {"files": {"node.py": "", "tests/test_it.py": "def test_it(): pass\n"}, "submit": ["node.py"], "test": TABLE},
    ),
    "GET /submissions/13": (200, {"id": 13, "problem": "election", "language": "python"}),
    "GET /submissions/13/tests": (200, [{**FAILED, "has_trace": None}, FAILED, FAILED]),
}


@pytest.fixture
def server() -> Iterator[Rest]:
    """A server with one submission of which two tests failed."""
    with rest(ANSWERS) as running:
        yield running


@pytest.mark.parametrize(
    ("which", "address", "test"),
    [
        ("12", "12", ""),
        ("12:Split Vote", "12", "Split Vote"),
        ("#12: t.py::a", "#12", "t.py::a"),
        ("https://judge.example:8443/x/submissions/12", "https://judge.example:8443/x/submissions/12", ""),
        ("http://localhost:8000/submissions/12:t.py::a[1]", "http://localhost:8000/submissions/12", "t.py::a[1]"),
    ],
)
def test_which_failure(which: str, address: str, test: str) -> None:
    """An id or the URL of a page, and a test, whose name may have colons."""
    assert _parts(which) == (address, test)


def test_what_is_fetched(server: Rest, home: Path) -> None:
    """All failed tests, or the one that is named; the problem is usable in a directory that is removed at the end."""
    common, streams = Common(server=server.url), captured(home).streams
    everything = fetch(common, streams, "12", with_template=True)
    assert {test: trace.seed for test, trace in everything.traces.items()} == {"t.py::a": 5, "t.py::b": 6}
    assert everything.files == {"node.py": "pass\n"}
    with fetched_problem(everything) as problem:
        assert (problem.slug, problem.runner, (problem.root / "tests/test_it.py").is_file()) == (
            "election",
            "pytest",
            True,
        )
    assert not problem.root.exists()
    one = fetch(common, streams, f"{server.url}/submissions/12:split vote", with_template=False)
    assert list(one.traces) == ["t.py::a"]
    for which, hint in (("12:x", "There are: Split Vote, Other."), ("13:Split Vote", "by its id: t.py::a"), ("14", "")):
        with pytest.raises(NotFoundError) as refused:
            fetch(common, streams, which, with_template=True)
        assert hint in refused.value.hint


@pytest.mark.parametrize("test", [None, {"runner": "cases"}])
def test_tests_that_are_not_given_away(home: Path, test: object) -> None:
    """A sentence, and what shows the failure instead."""
    template = {"files": {"node.py": ""}, "submit": ["node.py"], "test": test}
    refuses = pytest.raises(UsageError, match="does not give its tests away")
    with rest({**ANSWERS, "GET /problems/election/template/python": (200, template)}) as server, refuses as refused:
        fetch(Common(server=server.url), captured(home).streams, "12", with_template=True)
    assert "`subcli status 12 --test 'Split Vote' --diagram" in refused.value.hint


def test_table_that_cannot_be_used(home: Path) -> None:
    """A server's settings are checked as a project file is."""
    template = {"files": {"node.py": ""}, "submit": ["node.py"], "test": {"tests": "gone", **TABLE}}
    with rest({**ANSWERS, "GET /problems/election/template/python": (200, template)}) as server:
        recorded = fetch(Common(server=server.url), captured(home).streams, "12", with_template=True)
    with pytest.raises(UsageError, match="cannot be used here"), fetched_problem(recorded):
        pass


def terminal(home: Path) -> Streams:
    """Streams whose stdin is a terminal."""
    _, slave = pty.openpty()
    return dataclasses.replace(captured(home, tty=True).streams, stdin=open(slave, encoding="utf-8"))


def test_debuggers(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """debugpy if it is installed, on a port that is free; else pdb, which needs a terminal."""
    traces = {"t.py::a": TRACE}
    here = captured(home)
    with pytest.raises(UsageError, match="pdb needs a terminal"):
        debugged("n2", "pdb", "python", traces, here.streams)
    on_terminal = terminal(home)
    with on_terminal.stdin:
        found = debugged("n2", "pdb", "python", traces, on_terminal)
    assert (found.node, found.cluster) == ("n2", 2)
    assert found.debugger.startswith("pdb /dev/pts/")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 5678))
        taken.listen()
        found = debugged("n1", None, "python", traces, here.streams)
    kind, port, place = found.debugger.split(" ", 2)
    assert kind == "debugpy"
    assert port != "5678"
    assert (Path(place) / "debugpy").is_dir()
    assert f"127.0.0.1:{port}" in here.err.getvalue()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="debugpy is not installed"):
        debugged("n1", "debugpy", "python", traces, here.streams)
    with pytest.raises(UsageError, match="pdb needs a terminal"):
        debugged("n1", None, "python", traces, here.streams)


@pytest.mark.parametrize(
    ("node", "language", "tests", "said"),
    [
        ("n3", "python", 1, "There is no node 'n3'"),
        ("n1", "javascript", 1, "Nodes in javascript cannot be debugged here"),
        ("n1", "python", 2, "for one test"),
    ],
)
def test_what_cannot_be_debugged(home: Path, node: str, language: str, tests: int, said: str) -> None:
    """Each with a sentence that says why."""
    traces = {f"t.py::{number}": TRACE for number in range(tests)}
    with pytest.raises(UsageError, match=said):
        debugged(node, "pdb", language, traces, captured(home).streams)


def test_a_person_has_time() -> None:
    """No limit ends what somebody looks at."""
    limits = without_limits(load_problems()["leader-election"]).limits
    assert min(limits.test_seconds, limits.answer_seconds, limits.submission_seconds) > 3_600


def test_what_is_told(home: Path) -> None:
    """Each by itself, or their number and those that differ; nothing if none was replayed."""

    def told(*outcomes: tuple[bool, bool]) -> str:
        replayed = {
            str(number): Replayed(
                test_id=str(number), test_name=f"T{number}", seed=5, same=same, identical=identical, detail="Detail."
            )
            for number, (same, identical) in enumerate(outcomes)
        }
        here = captured(home)
        _tell(replayed, Recorded(12, "p", "python", dict.fromkeys(replayed, TRACE), {}), here.streams)
        return here.err.getvalue()

    assert told() == "note: None of the failures of submission 12 was replayed.\n"
    assert told((True, True)) == "note: T0 (seed 5), compared with submission 12: Detail.\n"
    assert told((True, True), (True, True)) == "note: 2 of 2 failures are the same as in submission 12.\n"
    several = told((True, True), *[(False, False)] * 20).splitlines()
    assert several[0] == "note: 1 of 21 failures is the same as in submission 12."
    assert len(several) == 12
    assert several[-1] == "note: 10 more differ."
