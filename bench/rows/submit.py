"""``submit --json``: from the start of the process to the line of the first event."""

from __future__ import annotations

import os
import select
import tempfile
import time
from pathlib import Path

from bench import peers
from bench.measure import Contender, Failed, in_turns
from bench.processes import CONTENDERS, python_module, serving, spawned
from bench.table import Table, at_most, lines_of

ROUNDS = 15
LIMIT_S = 20.0


def measure() -> Table:
    """Compare with a script that makes the same two calls."""
    subcli, floor = peers.subcli(), peers.floor()
    with serving(python_module("stub", "--events", "10")) as server, tempfile.TemporaryDirectory() as folder:
        code = Path(folder) / "node.py"
        code.write_text("print('hello')\n" * 100)
        script = [str(floor / "python"), str(CONTENDERS / "submit_script.py"), server.url, str(code)]
        command = [str(subcli / "subcli"), "submit", str(code), "--problem", "leader-election", "--json"]
        outcomes = in_turns(
            {
                "script with httpx and websockets": until(script, b'"status_update"'),
                "subcli submit --json": until([*command, "--server", server.url], b'"status_update"'),
            },
            rounds=ROUNDS,
        )
    return Table(
        title="`submit --json` to the first event",
        unit="ms",
        how=(
            "From the start of the process until the line of the first event can be read, on loopback, from a server "
            "that answers immediately. The script runs in an environment with only httpx and websockets."
        ),
        lines=lines_of(outcomes),
        targets=(
            at_most(
                "`submit --json` over the script",
                outcomes["subcli submit --json"],
                outcomes["script with httpx and websockets"],
                1.15,
            ),
        ),
        base="script with httpx and websockets",
        remarks=(
            "Both spend most of the time on imports. subcli additionally imports or does: a command line (typer, a "
            "quarter of it), an event loop (asyncio, and anyio for the requests of httpx), settings, asking the "
            "server for its features, and checking whether the same code was submitted before. It avoids loading "
            "certificates, which the script's httpx does even for `http`, importing other commands, and garbage "
            "collection before the first event. It records the submission for the history and for TAB a tenth of a "
            "second later. It no longer asks msgspec for the fields of each message, 4 ms, nor compiles the patterns "
            "for the configuration of a repository, 2 ms. Of what only subcli imports, two fifths are its own modules; "
            "anyio (which httpcore requires of an event loop) is a seventh, typer and asyncio are a tenth each."
        ),
    )


def until(command: list[str], wanted: bytes, *, terminal: bool = False) -> Contender:
    """Milliseconds until these bytes appear in the output of a command."""

    def run() -> float:
        began = time.perf_counter()
        with spawned(command, terminal=terminal) as (_, output):
            seen = b""
            while wanted not in seen:
                ready, _, _ = select.select([output], [], [], max(0.0, began + LIMIT_S - time.perf_counter()))
                data = os.read(output, 65536) if ready else b""
                if not data:
                    raise Failed("ended, or said nothing for too long, before the first event")
                seen += data
            return (time.perf_counter() - began) * 1000

    return run
