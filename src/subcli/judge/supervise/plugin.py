"""The pytest plugin through which a problem's tests report to the supervisor; see `pytest_records`.

It runs in a process of the judge's own. Solutions are its children and never get the channel. The channel is a socket
because a pipe could be opened a second time through /proc/PID/fd.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec
import pytest

from subcli.judge.evidence import MESSAGE_BYTES, OUTPUT_BYTES, Evidence
from subcli.judge.harness import Cluster, Message, SolutionFault
from subcli.judge.harness.faults import Misuse
from subcli.judge.harness.module import Modules, install
from subcli.judge.harness.module_process import ModuleProcess
from subcli.judge.harness.node import Node, NodePlan
from subcli.judge.harness.recorder import Blame
from subcli.judge.process import mounts
from subcli.judge.process.processes import hide_from_peers
from subcli.judge.process.text import cut
from subcli.judge.supervise.pytest_process import ENTERED, MOST_NAMESPACES, PRELOADED, READY, REPORT_VARIABLE
from subcli.judge.supervise.pytest_records import (
    CollectedRecord,
    CrashedRecord,
    FinishedRecord,
    OutputRecord,
    Record,
    StartedRecord,
    Status,
    encode,
)

if TYPE_CHECKING:
    # It loads asyncio, which most tests do without.
    from subcli.judge.harness.http import HttpServer

_TOLD_BYTES = 16 * 1024
"""Of what is read at once from a node's stderr."""
_CHANNEL = pytest.StashKey[socket.socket]()
MakeCluster = Callable[..., Cluster]
MakeServer = Callable[[], "HttpServer"]
MakeReport = Generator[None, pytest.TestReport, pytest.TestReport]


@dataclass(frozen=True)
class _PhaseOutcome:
    """What a phase of a test (setup, call, teardown) says about the test as a whole."""

    status: Status = "passed"
    message: str = ""
    output: str = ""
    evidence: Evidence | None = None
    messages: tuple[Message, ...] = ()
    """Those that broke a rule."""


@dataclass
class _RunningTest:
    """The test that runs now."""

    test_id: str
    began: float
    name: str = ""
    kind: str = "functional"
    outcome: _PhaseOutcome | None = None
    """The first phase that did not pass."""
    comparison: tuple[str, str] | None = None
    """Expected and actual value of the last `==` that an assertion compared."""
    clusters: list[Cluster] = field(default_factory=list)
    servers: list[HttpServer] = field(default_factory=list)
    trace: str = ""
    """The trace of the cluster that failed."""
    module: ModuleProcess | None = None
    """The process of the solution's modules; it is started by the first use."""

    def make_trace(self) -> str:
        """The trace of the cluster that failed, or of the last one; empty if it had none."""
        outcome = self.outcome
        if outcome is None or outcome.evidence is None or not self.clusters:
            return ""
        evidence = outcome.evidence
        blame = Blame(evidence.message, evidence.node, outcome.messages, evidence.sites)
        return self.clusters[-1].trace(blame).decode()

    def output(self) -> str:
        """What its nodes wrote to stderr."""
        of_nodes = [
            f"{name} stderr:\n{text.rstrip()}" for cluster in self.clusters for name, text in cluster.stderr().items()
        ]
        others = [server.output() for server in self.servers] + ([self.module.output()] if self.module else [])
        return "\n".join((*of_nodes, *filter(None, others)))


class Reporter:
    """Sends records to the supervisor and keeps what the running test has shown so far."""

    def __init__(self, channel: socket.socket, answers: BinaryIO, modules: Modules, plan: NodePlan) -> None:
        self._channel = channel
        self._modules = modules
        self._plan = plan
        self._answers = answers
        self._test = _RunningTest("", 0.0)
        self._sending = Lock()
        self._titles: dict[str, str] = {}

    @property
    def next_cluster(self) -> int:
        """Which of the running test's clusters the next one is, from 1."""
        return len(self._test.clusters) + 1

    def add_cluster(self, cluster: Cluster) -> None:
        """The running test has started these nodes."""
        self._test.clusters.append(cluster)

    def add_server(self, server: HttpServer) -> None:
        """The running test has started this server."""
        self._test.servers.append(server)

    def printed(self, node: str, data: bytes) -> None:
        """A node has written this to stderr. The thread of a server may call it, beside that of the tests."""
        # `the solution` and `the server` are alone: only nodes of a cluster are told apart.
        name = "" if " " in node else node
        self._send(OutputRecord(self._test.test_id, name, data[:_TOLD_BYTES], max(0, len(data) - _TOLD_BYTES)))

    def _send(self, record: Record) -> None:
        with self._sending:
            self._channel.sendall(encode(record))

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self) -> None:
        self._modules.begin(collecting=True)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        if only := self._plan.only:
            items[:] = [item for item in items if _test_id(item.nodeid) in only]

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._modules.end()
        self._titles = {item.nodeid: _title(item) for item in session.items}
        self._send(CollectedRecord(len(session.items)))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._send(CrashedRecord(cut(str(report.longrepr), OUTPUT_BYTES)))

    def pytest_internalerror(self, excrepr: object) -> None:
        self._send(CrashedRecord(cut(str(excrepr), OUTPUT_BYTES)))

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._test = _RunningTest(_test_id(nodeid), time.monotonic(), module=self._modules.begin())
        self._send(StartedRecord(self._test.test_id, self._titles.get(nodeid, "")))

    def pytest_assertrepr_compare(self, op: str, left: object, right: object) -> None:
        if op == "==":
            self._test.comparison = (_shown(right), _shown(left))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> MakeReport:
        report = yield
        test = self._test
        test.name, test.kind = _title(item), _kind(item)
        if test.outcome is None and not report.passed:
            test.outcome = _outcome(report, call.excinfo, test, self._modules)
            if self._plan.traced:
                # Now: what follows, such as the end of all nodes, is no part of it.
                test.trace = test.make_trace()
        return report

    def pytest_runtest_logfinish(self) -> None:
        test = self._test
        outcome = test.outcome or _PhaseOutcome()
        fault = test.module.fault if test.module else None
        if fault is not None and outcome.status in ("passed", "skipped"):
            # The test has caught what the harness raised, as `pytest.raises(Exception)` does.
            outcome = _failed(fault.evidence, test.output())
        self._modules.end()
        self._send(
            FinishedRecord(
                test_id=test.test_id,
                name=test.name,
                kind=test.kind,
                status=outcome.status,
                duration_ms=round((time.monotonic() - test.began) * 1000),
                message=outcome.message,
                output=outcome.output,
                evidence=outcome.evidence,
                trace=test.trace,
            )
        )
        # The supervisor looks for processes that the test has left; the next test must not be among them.
        self._answers.readline()


def _outcome(
    report: pytest.TestReport, caught: pytest.ExceptionInfo[BaseException] | None, test: _RunningTest, modules: Modules
) -> _PhaseOutcome:
    """What a phase that did not pass means: skipped, the solution's failure, or an error of the test itself."""
    if report.skipped:
        return _PhaseOutcome("skipped", message=cut(str(caught.value), MESSAGE_BYTES) if caught else "")
    error = caught.value if caught else AssertionError(str(report.longrepr))
    output = test.output()
    if isinstance(error, SolutionFault):
        evidence = error.evidence
    elif (raised := modules.evidence_of(error)) is not None:
        evidence = raised
    elif isinstance(error, AssertionError):
        expected, actual = test.comparison or ("", "")
        message = str(error).partition("\n")[0] or "an assertion of the test failed"
        evidence = Evidence(kind="assertion", message=message, expected=expected, actual=actual)
    elif (modules.is_used or test.servers) and not isinstance(error, Misuse):
        # What the solution gave raised it: `f(3).x` where f returned None, or a connection that was closed.
        fault = next(filter(None, (server.fault for server in test.servers)), None)
        evidence = fault.evidence if fault else Evidence("assertion", caught.exconly() if caught else "")
    else:
        message = caught.exconly() if caught else ""
        return _PhaseOutcome("error", cut(message, MESSAGE_BYTES), cut(output, OUTPUT_BYTES))
    return _failed(evidence, output, error.messages if isinstance(error, SolutionFault) else ())


def _failed(evidence: Evidence, output: str, messages: tuple[Message, ...] = ()) -> _PhaseOutcome:
    if not evidence.stderr:
        evidence = replace(evidence, stderr=output)
    cut_output = cut(output, OUTPUT_BYTES)
    return _PhaseOutcome("failed", output=cut_output, evidence=evidence.bounded(), messages=messages)


class Fixtures:
    """Fixtures for the tests of a problem."""

    def __init__(self, plan: NodePlan, reporter: Reporter) -> None:
        self._plan = plan
        self._reporter = reporter

    @pytest.fixture
    def make_cluster(self) -> Iterator[MakeCluster]:
        """Starts a cluster of the solution's nodes; takes the arguments of `Cluster` without `plan`.

        All nodes are killed when the test ends.
        """
        with ExitStack() as stack:

            def make(*arguments: Any, **options: Any) -> Cluster:
                cluster = Cluster(self._plan, *arguments, number=self._reporter.next_cluster, **options)
                self._reporter.add_cluster(cluster)
                return stack.enter_context(cluster)

            yield make

    @pytest.fixture
    def make_server(self) -> Iterator[MakeServer]:
        """Starts the solution as an HTTP server and returns an `HttpServer`, which has its `url`.

        It is killed when the test ends.
        """
        from subcli.judge.harness.http import Allowance, HttpServer

        allowance = Allowance()
        with ExitStack() as stack:

            def make() -> HttpServer:
                server = stack.enter_context(HttpServer(self._plan, allowance))
                self._reporter.add_server(server)
                return server

            yield make


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Take the channel over before any of the problem's code runs."""
    channel = socket.socket(fileno=int(os.environ.pop(REPORT_VARIABLE)))
    channel.set_inheritable(False)
    hide_from_peers()
    channel.sendall(READY)
    early_config.stash[_CHANNEL] = channel


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "title(text): the test's name, as people read it")
    config.addinivalue_line("markers", "kind(word): functional, chaos or performance")
    channel = config.stash[_CHANNEL]
    _, namespaces, _, _ = socket.recv_fds(channel, len(ENTERED), MOST_NAMESPACES)
    answers = channel.makefile("rb")
    plan = msgspec.json.decode(answers.readline(), type=NodePlan)
    mounts.adopt(plan.start.mounts, namespaces)
    for name in PRELOADED.intersection(plan.importable):
        sys.modules.pop(name, None)
    reporter = Reporter(channel, answers, install(plan), plan)
    Node.on_output = staticmethod(reporter.printed)
    config.pluginmanager.register(reporter, "subcli-reporter")
    config.pluginmanager.register(Fixtures(plan, reporter), "subcli-fixtures")


def _shown(value: object) -> str:
    try:
        return repr(value)
    except Exception as error:
        # An integer of more digits than Python prints, for example.
        return f"<{type(value).__name__}: {error}>"


def _test_id(nodeid: str) -> str:
    """`test_election.py::test_split_vote` without the path to the file."""
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
