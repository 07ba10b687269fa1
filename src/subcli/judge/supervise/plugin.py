"""The pytest plugin through which a problem's tests report, one line of JSON for each test as it ends.

It runs in the judge's own process; solutions are its children and never see the socket. A socket, and not a pipe: a
pipe could be opened a second time through /proc/PID/fd.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, replace
from typing import Any, BinaryIO

import pytest

from subcli.judge.evidence import MESSAGE_BYTES, OUTPUT_BYTES, Evidence
from subcli.judge.harness import Cluster, SolutionFault
from subcli.judge.harness.node import NodePlan
from subcli.judge.process.processes import hide_from_peers
from subcli.judge.process.starter import StartPlan
from subcli.judge.process.text import cut
from subcli.judge.supervise.pytest_process import HIDDEN, REPORT_VARIABLE

_CHANNEL = pytest.StashKey[socket.socket]()
MakeCluster = Callable[..., Cluster]
Making = Generator[None, pytest.TestReport, pytest.TestReport]


class Reporter:
    """Sends records to the supervisor and keeps what the running test has shown so far."""

    def __init__(self, channel: socket.socket, answers: BinaryIO) -> None:
        self._channel = channel
        self._answers = answers
        self._tests: dict[str, dict[str, object]] = {}
        self._comparison: tuple[str, str] | None = None
        self.clusters: list[Cluster] = []

    def send(self, record: Mapping[str, object]) -> None:
        self._channel.sendall(json.dumps(record).encode() + b"\n")

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.send({"record": "collected", "total": len(session.items)})

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.send({"record": "crashed", "message": cut(str(report.longrepr), OUTPUT_BYTES)})

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.clusters.clear()
        self._comparison = None
        self._tests[nodeid] = {"started": time.monotonic()}
        self.send({"record": "started", "id": _identifier(nodeid)})

    def pytest_assertrepr_compare(self, op: str, left: object, right: object) -> None:
        if op == "==":
            self._comparison = (repr(right), repr(left))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Making:
        report = yield
        test = self._tests[item.nodeid]
        test.setdefault("name", _title(item))
        test.setdefault("type", _kind(item))
        if report.skipped:
            test["status"] = "skipped"
            test["message"] = str(call.excinfo.value) if call.excinfo else ""
        elif report.failed and call.excinfo is not None and "status" not in test:
            test.update(self._failure(call.excinfo))
        return report

    def _failure(self, caught: pytest.ExceptionInfo[BaseException]) -> dict[str, object]:
        error = caught.value
        output = "\n".join(
            f"{name} stderr:\n{text.rstrip()}" for cluster in self.clusters for name, text in cluster.stderr().items()
        )
        if isinstance(error, SolutionFault):
            evidence = error.evidence
        elif isinstance(error, AssertionError):
            expected, actual = self._comparison or ("", "")
            message = str(error).partition("\n")[0] or "an assertion of the test failed"
            evidence = Evidence(kind="assertion", message=message, expected=expected, actual=actual)
        else:
            return {"status": "error", "message": cut(caught.exconly(), MESSAGE_BYTES), "output": cut(output, OUTPUT_BYTES)}
        if not evidence.stderr:
            evidence = replace(evidence, stderr=output)
        return {"status": "failed", "evidence": asdict(evidence.bounded()), "output": cut(output, OUTPUT_BYTES)}

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        test = self._tests.pop(nodeid)
        started = test.pop("started")
        assert isinstance(started, float)
        test.setdefault("status", "passed")
        duration = round((time.monotonic() - started) * 1000)
        self.send({"record": "finished", "id": _identifier(nodeid), "duration_ms": duration, **test})
        # The supervisor looks for processes that the test has left; the next test must not be among them.
        self._answers.readline()

    def pytest_internalerror(self, excrepr: object) -> None:
        self.send({"record": "crashed", "message": cut(str(excrepr), OUTPUT_BYTES)})


class ClusterFixtures:
    """What the tests of a problem may ask for."""

    def __init__(self, plan: NodePlan, reporter: Reporter) -> None:
        self._plan = plan
        self._reporter = reporter

    @pytest.fixture
    def make_cluster(self) -> Iterator[MakeCluster]:
        """Start a cluster of the solution's nodes: the arguments of `Cluster` but the first. All end with the test."""
        with ExitStack() as stack:

            def make(*arguments: Any, **options: Any) -> Cluster:
                cluster = Cluster(self._plan, *arguments, **options)
                self._reporter.clusters.append(cluster)
                return stack.enter_context(cluster)

            yield make


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Before anything of the problem's is run."""
    channel = socket.socket(fileno=int(os.environ.pop(REPORT_VARIABLE)))
    channel.set_inheritable(False)
    hide_from_peers()
    channel.sendall(HIDDEN)
    early_config.stash[_CHANNEL] = channel


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "title(text): the test's name, as people read it")
    config.addinivalue_line("markers", "kind(word): functional, chaos or performance")
    channel = config.stash[_CHANNEL]
    answers = channel.makefile("rb")
    job = json.loads(answers.readline())
    plan = NodePlan(
        start=StartPlan(**job["start"]),
        command=tuple(job["command"]),
        output_kb=job["output_kb"],
        answer_seconds=job["answer_seconds"],
    )
    reporter = Reporter(channel, answers)
    config.pluginmanager.register(reporter, "subcli-reporter")
    config.pluginmanager.register(ClusterFixtures(plan, reporter), "subcli-fixtures")


def _identifier(nodeid: str) -> str:
    """`test_election.py::test_split_vote` without the way to the file."""
    return nodeid.rpartition("/")[2]


def _title(item: pytest.Item) -> str:
    marker = item.get_closest_marker("title")
    if marker and marker.args:
        return str(marker.args[0])
    document = (getattr(getattr(item, "obj", None), "__doc__", None) or "").strip()
    return document.partition("\n")[0].rstrip(".") or item.name.removeprefix("test_").replace("_", " ").capitalize()


def _kind(item: pytest.Item) -> str:
    marker = item.get_closest_marker("kind")
    return str(marker.args[0]) if marker and marker.args else "functional"
