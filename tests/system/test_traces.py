"""The picture of a failure, and the same failure at home, on terminals and with a real server."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from subprocess import PIPE
from typing import Any

import jsonschema
import pytest

from tests.output.conftest import approved as approved

from .command import SUBCLI, Commands
from .conftest import SOLUTIONS, Run, Served
from .terminal import Terminal

# What is judged here takes seconds of processor time, on a busy machine minutes.
pytestmark = pytest.mark.timeout(300)
SCHEMA = jsonschema.Draft202012Validator(json.loads(files("subcli").joinpath("schema.json").read_text()))
VIOLATION = "n1 voted twice in term 1: for itself and for n2"


@pytest.mark.thorough
@pytest.mark.parametrize("columns", [80, pytest.param(200, marks=pytest.mark.thorough)])
async def test_ladder_on_a_terminal(
    command: Commands, failed: Served, columns: int, approved: Callable[[str, str], None]
) -> None:
    """Of two candidates, n1 votes for itself and for n2; what broke the rule is marked, and nothing is cut."""
    words = ("status", "1", "--test", "split vote", "--diagram", "--server", failed.url)
    async with Terminal(command, *words, columns=columns, rows=40) as tty:
        assert await tty.end() == 0, tty.text
        # A busy machine may be waited for.
        lines = [line for line in tty.text.splitlines() if line and not line.startswith("waiting for ")]
    approved(f"split-vote-{columns}", "\n".join(lines) + "\n")
    assert lines[0] == "Split Vote"
    assert len(lines) <= 31
    assert re.fullmatch(r" +ms +n1 +n2 +n3 +n4 +seed 51", lines[1])
    asked, granted = (line for line in lines if line.startswith("▶"))
    assert re.fullmatch(r"▶ 150→160 ├─+►│ +│ +│ +request_vote term=1", asked)
    assert re.fullmatch(r"▶ 160→170 ├─+►│ +│ +│ +vote term=1 granted=true", granted)
    assert lines.index(granted) < lines.index(f"✗ 160 ms: {VIOLATION} (noticed at 200 ms)")
    assert any("failing.py:90 self.send(src, " in line for line in lines)
    assert "…" not in "".join(lines[:-1])
    # What broke the rule stands out by its colour as well.
    assert b"\x1b[1;31m" in tty.raw


@pytest.mark.thorough(measured=True)
def test_other_forms(run: Run, failed: Served, tmp_path: Path) -> None:
    """Sentences, the trace as JSON, and an SVG file that any XML parser reads; the first failure by default."""
    at = ("--server", failed.url)
    told = run("status", "1", "--diagram", "--plain", "--test", "Split Vote", *at).stdout
    assert "At 170 ms n2 receives from n1 what it sent at 160 ms: vote term=1 granted=true. This broke the rule." in (
        " ".join(told.split())
    )
    assert not set("│├►▶✗") & set(told)
    answer = run("status", "1", "--diagram", "--json", *at)
    SCHEMA.validate(json.loads(answer.stdout))
    trace = json.loads(answer.stdout)["trace"]
    assert (trace["test_name"], trace["seed"], trace["nodes"]) == (
        "One Leader per Term",
        41,
        ["n1", "n2", "n3", "n4", "n5"],
    )
    written = run("status", "1", "--svg", "failure.svg", "--test", "Split Vote", *at)
    assert (written.returncode, written.stdout) == (0, "failure.svg\n")
    svg = ET.parse(tmp_path / "failure.svg").getroot()
    assert "n1 voted twice" in "".join(svg.itertext())
    assert run("status", "1", "--svg", "gone/failure.svg", *at).returncode == 2
    for words, code, said in (
        (("--test", "Terms Survive a Restart", "--diagram"), 5, "There is no trace of 'Terms Survive a Restart'"),
        (("--test", "Nothing"), 5, "There are: One Leader per Term, Split Vote, "),
        (("--plain",), 2, "`--plain` needs `--diagram`"),
    ):
        refused = run("status", "1", *words, *at)
        assert refused.returncode == code
        assert said in refused.stderr
    one = json.loads(run("status", "1", "--test", "Split Vote", "--json", *at).stdout)
    SCHEMA.validate(one)
    (test,) = one["tests"]
    assert test["rerun"] == "subcli test --replay '1:Split Vote'"


@pytest.mark.thorough(measured=True)
def test_replay(run: Run, failed: Served, tmp_path: Path) -> None:
    """The same violation with what was submitted; another course, and in the end none, with other code."""
    at = ("--server", failed.url)
    done = run("test", "--replay", "1", "--json", *at)
    assert done.returncode == 1, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    for line in lines:
        SCHEMA.validate(line)
    replays = [line for line in lines if line["type"] == "replay"]
    assert [(line["test_name"], line["same"], line["identical"]) for line in replays] == [
        ("One Leader per Term", True, True),
        ("Split Vote", True, True),
    ]
    assert (lines[-1]["type"], lines[-1]["summary"]["total_tests"]) == ("result", 2)
    assert "2 of 2 failures are the same as in submission 1." in done.stderr
    # The code in the directory of `init` is used there; a comment changes nothing that happens.
    made = run("init", "short-election", "here", *at)
    assert made.returncode == 0, made.stderr
    text = (SOLUTIONS / "failing.py").read_text()
    (tmp_path / "here/node.py").write_text(f"# A comment.\n{text}")
    page = f"{failed.url}/submissions/1:split vote"
    again = run("test", "--replay", page, "--diagram", cwd=tmp_path / "here")
    assert again.returncode == 1
    assert "✗ 160 ms: n1 voted twice in term 1" in again.stdout
    assert "Split Vote (seed 51), compared with submission 1: The same violation at 160 ms" in again.stderr
    (tmp_path / "here/node.py").write_text((SOLUTIONS / "passing.py").read_text())
    fixed = run("test", "--replay", "1:Split Vote", *at, cwd=tmp_path / "here")
    assert fixed.returncode == 0
    assert "Split Vote (seed 51), compared with submission 1: It passes here." in fixed.stderr
    assert run("test", "--replay", "1:Nothing", *at).returncode == 5
    assert run("test", "--replay", "1:Split Vote", "--debug-node", "n9", *at).returncode == 2


@pytest.mark.thorough
def test_replay_where_the_author_keeps_the_tests(serve: Callable[..., Served], run: Run, tmp_path: Path) -> None:
    """It says so, and what shows the failure instead; whoever has the problem replays with that."""
    problems = tmp_path / "problems"
    secret = problems / "secret"
    (secret / "tests").mkdir(parents=True)
    (secret / "problem.toml").write_text('id = 5\nslug = "secret"\ntitle = "Secret"\nlanguages = ["python"]\n')
    (secret / "description.md").write_text("Answer.")
    (secret / "tests/test_it.py").write_text(
        "def test_it(make_cluster):\n    '''It answers'''\n    make_cluster(1).run(50)\n"
    )
    (tmp_path / "silent.py").write_text("import sys\nfor line in sys.stdin: sys.exit(3)\n")
    at = ("--server", serve("--problems", str(problems), "--sandbox", "none").url)
    assert run("submit", "silent.py", "--problem", "secret", "-q", *at).returncode == 1
    refused = run("test", "--replay", "1:It answers", *at)
    assert refused.returncode == 2
    assert "The author of secret does not give its tests away" in refused.stderr
    assert "--test 'It answers' --diagram" in refused.stderr
    shown = run("status", "1", "--diagram", *at)
    assert "n1 exited with code 3" in shown.stdout
    (test,) = json.loads(run("status", "1", "--json", *at).stdout)["tests"]
    assert "rerun" not in test
    replayed = run("test", "--replay", "1", "--problem", str(secret), *at)
    assert "The same violation at 0 ms" in replayed.stderr
    here = run("test", "silent.py", "--problem", str(secret), "--diagram")
    assert "✗ 0 ms: n1 exited with code 3" in here.stdout


SEEDED = """
import pytest
from subcli.judge.harness import Network, Violation

@pytest.mark.parametrize("seed", range(1, COUNT + 1))
def test_first_comes_first(make_cluster, seed):
    "First comes first"
    cluster = make_cluster(3, seed=seed, network=Network(seed, delay_ms=(1, 60), loss=0.2))
    for _ in range(200):
        cluster.step()
        late = [message for message in cluster.log if message.type == "late"]
        if late:
            raise Violation(f"{late[0].src} was late by {late[0].body['by']}", culprit=late[0])
"""
RACING = """
import json, random, sys

def send(dest, **body):
    print(json.dumps({"src": me, "dest": dest, "body": body}), flush=True)

heard = {}
for line in sys.stdin:
    message = json.loads(line)
    src, body = message["src"], message["body"]
    if body["type"] == "init":
        me, others = body["node_id"], [node for node in body["node_ids"] if node != body["node_id"]]
        numbers, count = random.Random(body["seed"]), 0
        send("judge", type="init_ok")
    elif body["type"] == "tick":
        for each in set(others):
            if numbers.random() < 0.3:
                count += 1
                send(each, type="number", n=count)
        send("judge", type="tick_ok")
    elif body["type"] == "number":
        if body["n"] < heard.get(src, 0):
            send(src, type="late", by=heard[src] - body["n"])
        heard[src] = max(heard.get(src, 0), body["n"])
"""


@pytest.mark.thorough
@pytest.mark.timeout(1200)
def test_replay_of_many_seeds(serve: Callable[..., Served], run: Run, tmp_path: Path) -> None:
    """Each failing seed fails again in the same way, whatever the machine does: delays, losses, reordering, all."""
    count = 100 if os.environ.get("SUBCLI_FUZZ") else 10
    problem = tmp_path / "problems/racing"
    (problem / "tests").mkdir(parents=True)
    (problem / "problem.toml").write_text(
        'id = 6\nslug = "racing"\ntitle = "Racing"\nlanguages = ["python"]\nlocal_files = ["tests/test_it.py"]\n'
        "[limits]\nanswer_seconds = 20\nsubmission_seconds = 1000\n"
    )
    (problem / "description.md").write_text("Keep the order.")
    (problem / "tests/test_it.py").write_text(SEEDED.replace("COUNT", str(count)))
    (tmp_path / "racing.py").write_text(RACING)
    at = ("--server", serve("--problems", str(problem.parent), "--sandbox", "none").url)
    assert run("submit", "racing.py", "--problem", "racing", "-q", *at, timeout=None).returncode == 1
    tests = json.loads(run("status", "1", "--json", *at).stdout)["tests"]
    assert [test["seed"] for test in tests if test["status"] == "failed"] == list(range(1, count + 1))
    assert tests[3]["rerun"] == "subcli test --replay '1:test_it.py::test_first_comes_first[4]'"
    done = run("test", "--replay", "1", "--json", *at, timeout=None)
    replays = [line for line in map(json.loads, done.stdout.splitlines()) if line["type"] == "replay"]
    assert [(line["seed"], line["same"], line["identical"]) for line in replays] == [
        (seed, True, True) for seed in range(1, count + 1)
    ]
    assert f"{count} of {count} failures are the same as in submission 1." in done.stderr


@pytest.mark.thorough
async def test_debug_a_node(command: Commands, failed: Served) -> None:
    """pdb stops the node of the schedule that failed at the line that is asked for, and the replay goes on."""
    words = ("test", "--replay", "1:Split Vote", "--debug-node", "n1", "--debugger", "pdb", "--server", failed.url)
    async with Terminal(command, *words) as tty:
        await tty.until(lambda text: "(pdb)" in text)
        assert "This node waits here." in tty.text
        tty.press(b"b 90\n")
        await tty.until(lambda text: "Breakpoint 1" in text)
        tty.press(b"c\n")
        await tty.until(lambda text: "on_request_vote" in text)
        tty.press(b"p (self.id, src, self.voted_for)\n")
        await tty.until(lambda text: "('n1', 'n2', 'n2')" in text)
        tty.press(b"cl 1\n")
        tty.press(b"c\n")
        assert await tty.end() == 1, tty.text
        assert VIOLATION in tty.text
        assert "The same violation at 160 ms" in " ".join(tty.text.split())


class Editor:
    """A client of the Debug Adapter Protocol, as far as a breakpoint needs it."""

    def __init__(self, port: int) -> None:
        deadline = time.monotonic() + 80
        while True:
            try:
                self._socket = socket.create_connection(("127.0.0.1", port))
                break
            except ConnectionRefusedError:
                assert time.monotonic() < deadline, "nobody listens"
                time.sleep(0.05)
        self._file = self._socket.makefile("rwb")
        self._sent = 0

    def ask(self, command: str, until: str, **arguments: object) -> dict[str, Any]:
        """Send a request, and read until an event or a response of this name."""
        self._sent += 1
        request = {"seq": self._sent, "type": "request", "command": command, "arguments": arguments}
        data = json.dumps(request).encode()
        self._file.write(b"Content-Length: %d\r\n\r\n%b" % (len(data), data))
        self._file.flush()
        while True:
            length = 0
            while line := self._file.readline().strip():
                name, _, value = line.partition(b":")
                length = int(value) if name == b"Content-Length" else length
            message: dict[str, Any] = json.loads(self._file.read(length))
            if until in (message.get("event"), message.get("command")):
                return message

    def close(self) -> None:
        self._file.close()
        self._socket.close()


@pytest.mark.thorough
def test_debug_with_an_editor(env: dict[str, str], failed: Served, tmp_path: Path) -> None:
    """The node waits for an editor; its breakpoint is reached, and letting go gives the same failure."""
    words = ("test", "--replay", "1:Split Vote", "--debug-node", "n1", "--debugger", "debugpy", "--server", failed.url)
    with subprocess.Popen([*SUBCLI, *words], env=env, cwd=tmp_path, stdout=PIPE, stderr=PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        waits = process.stderr.readline()
        found = re.search(r"n1 waits for a debugger at 127\.0\.0\.1:(\d+)", waits)
        assert found is not None, waits
        editor = Editor(int(found[1]))
        editor.ask("initialize", "initialize", adapterID="test", pathFormat="path", linesStartAt1=True)
        mapping = {"localRoot": "/home/ada/solution", "remoteRoot": "."}
        editor.ask("attach", "initialized", justMyCode=False, pathMappings=[mapping])
        source = {"path": "/home/ada/solution/failing.py"}
        editor.ask("setBreakpoints", "setBreakpoints", source=source, breakpoints=[{"line": 90}])
        thread = editor.ask("configurationDone", "stopped")["body"]["threadId"]
        frame = editor.ask("stackTrace", "stackTrace", threadId=thread)["body"]["stackFrames"][0]
        assert (frame["name"], frame["line"]) == ("on_request_vote", 90)
        value = editor.ask("evaluate", "evaluate", expression="(self.id, src)", frameId=frame["id"])
        assert value["body"]["result"] == "('n1', 'n2')"
        editor.ask("setBreakpoints", "setBreakpoints", source=source, breakpoints=[])
        editor.ask("disconnect", "disconnect", terminateDebuggee=False)
        editor.close()
        out, err = process.communicate()
    assert process.returncode == 1
    assert VIOLATION in out
    assert "The same violation at 160 ms" in err
