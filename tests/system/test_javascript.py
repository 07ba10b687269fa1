"""The JavaScript client of the specification with our server."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.hang import HANG_S

from .conftest import SOLUTIONS, Run, Served, needs

JS = Path(__file__).parent / "js"


def watch_with_node(server: Served, number: str) -> subprocess.Popen[str]:
    """The specification's SubmissionWatcher, running."""
    host = server.url.removeprefix("http://")
    return subprocess.Popen(["node", str(JS / "watcher.js"), host, number, "token"], stdout=subprocess.PIPE, text=True)


def messages(process: subprocess.Popen[str]) -> list[dict[str, object]]:
    """What it handled, after it ended."""
    out, _ = process.communicate(timeout=HANG_S)
    assert process.returncode == 0, out
    assert "Connection closed: 1000" in out
    return [json.loads(line.removeprefix("JSON ")) for line in out.splitlines() if line.startswith("JSON ")]


@pytest.mark.thorough
def test_submission_watcher(server: Served, run: Run) -> None:
    """It receives every event and `complete`, live and if it connects after the end."""
    needs("node", shutil.which("node"))
    needs("the npm package ws in tests/system/js", (JS / "node_modules/ws").is_dir())
    at = ("--server", server.url)
    run("submit", str(SOLUTIONS / "failing.py"), "--problem", "leader-election", "--no-watch", *at)
    live = watch_with_node(server, "1")
    ours = run("watch", "1", "--json", *at)
    events = [event for line in ours.stdout.splitlines() if "seq" in (event := json.loads(line))]
    for event in events:
        del event["schema"]
    assert messages(live) == events
    assert messages(watch_with_node(server, "1")) == events
    assert events[-1]["type"] == "complete"
    assert [event["type"] for event in events].count("test_result") == 10
