"""What sockets a solution gets: pairs for its runtime, and a network of its own where the problem asks for one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from subcli.judge import Language, Problem, ResourceLimits, load_problem
from subcli.judge.process.starter import spawn
from subcli.judge.process.workplace import workplace
from subcli.judge.sandbox.probe import probe
from tests.hang import HANG_S

TRIES = """
import asyncio, json, os, socket
found = {}
def tries(name, function):
    try:
        function()
        found[name] = "ok"
    except OSError as error:
        found[name] = error.strerror
def loopback():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        server.accept()[0].close()
async def child():
    process = await asyncio.create_subprocess_exec("true")
    await process.wait()
tries("loopback", loopback)
tries("asyncio", lambda: asyncio.run(child()))
for name, family in (("packet", 17), ("alg", 38), ("vsock", 40)):
    tries(name, lambda: socket.socket(family).close())
found["network"] = os.readlink("/proc/self/ns/net")
print(json.dumps(found))
"""


def tried(network: bool) -> dict[str, Any]:
    """What each kind of socket leads to in a sandbox."""
    found = probe(cpus=1.0)
    if found.starter is None:
        pytest.skip(f"no sandbox: {found.reason}")
    with workplace() as place:
        place.path.chmod(0o711)
        work = place.path / "inner" / "work"
        work.mkdir(parents=True)
        language = Language(name="python", source="a.py", run=("{python}", "{source}"))
        problem = Problem(
            1, "sockets", "Sockets", "", {"python": language}, ResourceLimits(), place.path, network=network
        )
        with (
            found.starter.open(work, problem, language) as plans,
            spawn(plans.run, (sys.executable, "-S", "-c", TRIES), stderr=subprocess.STDOUT) as process,
        ):
            said, _ = process.communicate(timeout=HANG_S)
    result: dict[str, Any] = json.loads(said)
    assert result.pop("network") != os.readlink("/proc/self/ns/net")
    return result


REFUSED = {"packet": "Permission denied", "alg": "Permission denied", "vsock": "Permission denied"}


def test_problem_gives_no_sockets() -> None:
    """None of any family; what asyncio needs for its own purposes works."""
    assert tried(network=False) == {"loopback": "Permission denied", "asyncio": "ok", **REFUSED}


def test_problem_asks_for_a_network() -> None:
    """The loopback of its own sandbox; never what leads past a network namespace."""
    unknown = dict.fromkeys(REFUSED, "Address family not supported by protocol")
    assert tried(network=True) == {"loopback": "ok", "asyncio": "ok", **unknown}


def test_problem_says_that_it_needs_a_network(tmp_path: Path) -> None:
    """`network = true` in `problem.toml`; without it there is none."""
    (tmp_path / "tests").mkdir()
    (tmp_path / "description.md").write_text("Talk.")
    text = 'id = 1\nslug = "talk"\ntitle = "Talk"\nNETWORK\n[languages.c]\nsource = "a.c"\nrun = ["./a"]\n'
    for line, expected in (("", False), ("network = true", True)):
        (tmp_path / "problem.toml").write_text(text.replace("NETWORK", line))
        assert load_problem(tmp_path).network is expected
