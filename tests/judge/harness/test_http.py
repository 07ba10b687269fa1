"""Solutions that are HTTP servers, and tests that are their clients."""

from __future__ import annotations

import asyncio
import dataclasses
import errno
import os
import socket
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from subcli.judge import Job, judge
from subcli.judge.harness import SolutionFault
from subcli.judge.harness.faults import Misuse
from subcli.judge.harness.http import Allowance, HttpServer
from subcli.judge.harness.node import NodePlan
from subcli.judge.process.processes import descendants
from subcli.judge.process.starter import StartPlan, clean_environment
from subcli.judge.sandbox.probe import probe
from tests.judge.judging import Judged, MakeProblem

SERVER = """
import http.server, os, sys

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        if self.path == "/die": os._exit(3)
        if self.path == "/endless":
            self.send_response(200)
            self.end_headers()
            while True: self.wfile.write(b"x" * (1 << 20))
        if self.path == "/flood": print("x" * 5_000_000, flush=True)
        self.answer(self.path.encode())
    def do_POST(self):
        self.answer(self.rfile.read(int(self.headers["Content-Length"]))[::-1])
    def answer(self, body):
        print("answered", flush=True)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

http.server.ThreadingHTTPServer((HOST, int(os.environ["PORT"])), Handler).serve_forever()
"""


@pytest.fixture
def plan(tmp_path: Path) -> NodePlan:
    """How to start `main.py`."""
    (tmp_path / "main.py").write_text(SERVER.replace("HOST", '"127.0.0.1"'), encoding="utf-8")
    start = StartPlan((), clean_environment(tmp_path), str(tmp_path))
    command = ("/usr/bin/python3", "-S", "main.py")
    return NodePlan(start, command, output_kb=64, answer_seconds=20, network=True)


def test_requests_reach_the_solution(plan: NodePlan) -> None:
    """On a connection that stays open, on several at once, and with bodies larger than every buffer."""
    with HttpServer(plan, Allowance()) as server, httpx.Client(base_url=server.url) as client, httpx.Client() as other:
        assert [client.get(path).text for path in ("/a", "/b")] == ["/a", "/b"]
        body = bytes(range(256)) * 20_000
        with client.stream("POST", "/", content=body) as answer:
            assert other.get(f"{server.url}/c").text == "/c"
            assert answer.read() == body[::-1]
        assert "answered" in server.output()
        assert server.fault is None
    assert server.fault is None
    with pytest.raises(httpx.ConnectError):
        httpx.get(server.url)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/die", "exited with code 3 while a test used it"),
        ("/flood", "printed more than 64 KB on its output"),
        ("/endless", "printed more than 16384 KB on its connections"),
    ],
)
def test_what_the_server_does_wrong_is_told(plan: NodePlan, path: str, message: str) -> None:
    """Its clients see a connection that ends, and the judge why."""
    with HttpServer(plan, Allowance()) as server:
        with suppress(httpx.TransportError):
            while True:
                httpx.get(server.url + path)
        assert message in str(server.fault)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import sys; sys.exit('no ' + 'idea')", "exited with code 1 before it listened"),
        ("import os; os.kill(os.getpid(), 9)", "was killed by signal 9 before it listened"),
        ("import os; os.kill(os.getppid(), 9)", "was killed by signal 9 before it listened"),
        ("input(); import time; time.sleep(99)", "exited with code 1 before it listened"),
        ("import time; time.sleep(99)", "did not answer with a listening socket on PORT within 0.3 s"),
    ],
)
def test_a_server_that_does_not_listen_is_told(plan: NodePlan, source: str, message: str) -> None:
    """Whether it ends or waits."""
    (Path(plan.start.directory) / "main.py").write_text(source)
    seconds = 0.3 if "0.3 s" in message else 20.0
    with pytest.raises(SolutionFault, match=message) as caught:
        HttpServer(dataclasses.replace(plan, answer_seconds=seconds), Allowance())
    assert ("no idea" in caught.value.evidence.stderr) is ("idea" in source)


def test_a_problem_without_a_network_has_no_servers(plan: NodePlan) -> None:
    """Which is the author's mistake, also without a sandbox."""
    with pytest.raises(Misuse, match="network = true"):
        HttpServer(dataclasses.replace(plan, network=False), Allowance())


@pytest.mark.thorough
def test_all_servers_of_a_test_have_one_bound(plan: NodePlan) -> None:
    """10 MB of each are too much: the judge's process has both."""
    allowance = Allowance()
    body = b"x" * 10_000_000
    with HttpServer(plan, allowance) as one, HttpServer(plan, allowance) as other:
        assert len(httpx.post(one.url, content=body).content) == len(body)
        assert other.fault is None
        with pytest.raises(httpx.TransportError):
            httpx.post(other.url, content=body)
        assert (one.fault, "16384 KB on its connections" in str(other.fault)) == (None, True)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("failing", [(socket, "create_server"), (asyncio, "start_server")])
def test_nothing_is_left_of_a_server_that_cannot_be_reached(
    plan: NodePlan, monkeypatch: pytest.MonkeyPatch, failing: tuple[object, str]
) -> None:
    """Neither descriptors nor the process, whichever step of the judge's own fails."""

    def fail(*arguments: object, **options: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(*failing, fail)
    before = _left()
    with suppress(OSError):
        HttpServer(plan, Allowance()).close()
    assert _left() == before


def _left() -> tuple[set[str], set[int]]:
    """The descriptors and the processes of this process."""
    return set(os.listdir("/proc/self/fd")), {each.pid for each in descendants(os.getpid()) if each.is_alive}


TESTS = """
import urllib.request

def get(server, path):
    return urllib.request.urlopen(server.url + path).read().decode()

def test_answers(make_server):
    assert get(make_server(), "/a") == "/a"
def test_wrong(make_server):
    assert get(make_server(), "/a") == "/b"
def test_dies(make_server):
    get(make_server(), "/die")
"""


@pytest.mark.thorough
async def test_a_server_in_a_sandbox(tiny: MakeProblem) -> None:
    """Listens on a loopback of its own, and the tests reach it all the same."""
    found = probe(cpus=1.0)
    if found.starter is None:
        pytest.skip(f"no sandbox: {found.reason}")
    problem = tiny(TESTS, runner="network = true")
    (problem.root / "tests" / "run.py").rename(problem.root / "tests" / "test_server.py")
    job = Job(problem, "python", {"node.py": SERVER.replace("HOST", "'localhost'")})
    judged = Judged([event async for event in judge(job, starter=found.starter)], [])
    assert judged.verdict == "failed"
    assert [event["status"] for event in judged.of("test_result")] == ["passed", "failed", "failed"]
    told = {event["test_id"].rpartition("::")[2]: event["error"] for event in judged.of("error_analysis")}
    assert "exited with code 3 while a test used it" in told["test_dies"]
    assert "/b" in told["test_wrong"]
