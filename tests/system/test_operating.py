"""Operating the server: logs, metrics and addresses, with the installed program."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.hang import HANG_S

from .conftest import LRU, Run, Served


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@pytest.mark.thorough(measured=True)
def test_logs_and_metrics(serve: Callable[..., Served], run: Run) -> None:
    """JSON log lines for requests and sockets, and metrics at their own address."""
    port = free_port()
    served = serve("--log-format", "json", "--log-level", "info", "--metrics-address", f"127.0.0.1:{port}")
    done = run("submit", str(LRU), "--problem", "lru-cache", "-q", "--server", served.url)
    assert (done.returncode, done.stdout) == (0, "passed\n")
    # A judging counts when it has cleared up, which is after its verdict.
    deadline = time.monotonic() + HANG_S
    metrics = ""
    while "subcli_judging_seconds_count 1.0" not in metrics:
        assert time.monotonic() < deadline, metrics
        metrics = httpx.get(f"http://127.0.0.1:{port}/", trust_env=False).text
    assert "subcli_sockets_opened_total 1.0" in metrics
    assert "process_resident_memory_bytes" in metrics
    assert served.stop() == 0
    lines = [json.loads(line) for line in served.data_dir.with_suffix(".log").read_text().splitlines()]
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    (handed_in,) = [line for line in lines if line.get("method") == "POST"]
    assert (handed_in["path"], handed_in["status"], handed_in["client"]) == ("/api/submissions", 201, "127.0.0.1")
    (watched,) = [line for line in lines if line["message"] == "socket closed"]
    assert watched["code"] == 1000
    assert watched["request"] != handed_in["request"]


@pytest.mark.thorough(measured=True)
@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--metrics-address", "9464"), "9464"),
        (("--metrics-address", "localhost:http"), "localhost:http"),
        (("--trusted-proxy", "10.0.0.7/8"), "10.0.0.7/8"),
        (("--trusted-proxy", "proxy.example"), "proxy.example"),
        (("--log-format", "xml"), "xml"),
    ],
)
def test_invalid_settings(run: Run, words: tuple[str, str], named: str) -> None:
    """Exit 2 with one sentence that repeats the value and says what is valid."""
    done = run("serve", "--port", "0", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert named in done.stderr
    assert len(done.stderr.splitlines()) <= 3


@pytest.mark.thorough
def test_variables_set_log_format_and_level(serve: Callable[..., Served], env: dict[str, str], tmp_path: Path) -> None:
    """`SUBCLI_LOG_FORMAT` and `SUBCLI_LOG_LEVEL` work like the flags; by default only warnings are logged."""
    # Of its own: what other tests' killed processes leave behind is worth a warning.
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    env["TMPDIR"] = str(temporary)
    quiet = serve()
    env |= {"SUBCLI_LOG_FORMAT": "json", "SUBCLI_LOG_LEVEL": "info"}
    told = serve()
    found: list[Any] = []
    for served in (quiet, told):
        httpx.get(f"{served.url}/api/info", trust_env=False)
        assert served.stop() == 0
        found.append(served.data_dir.with_suffix(".log").read_text())
    assert found[0] == ""
    assert '"path": "/api/info"' in found[1]
