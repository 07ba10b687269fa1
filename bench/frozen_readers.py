"""Do watchers that stop reading slow down the others? `python -m bench.frozen_readers`

Two servers run at the same time, so that other load on the machine affects both. Each has 500 watchers on 50
submissions, ten each, and each submission has an event of 16 KiB four times per second. At one server all watchers
read; at the other one in ten, 50 in all, stops reading after its handshake. Measured is the time from the judge's
event to the reader, including the commit, for the same 450 watchers at both.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx

from bench.crowd import Watcher, in_memory, need_files, quantile, until, watch

EACH: Final = 10
_SAID: Final = re.compile(rb'"said":([0-9.]+)')
_TINY: Final = 4096
_RATE: Final = 4
"""Events a second of each submission."""


@dataclass
class Round:
    """The result of one round. Times in seconds."""

    lags: list[float] = field(default_factory=list)
    ended: list[int] = field(default_factory=list)
    frozen: list[int] = field(default_factory=list)

    @property
    def p99(self) -> float:
        """The 99th percentile of the lags."""
        return quantile(self.lags, 0.99)


async def play(submissions: int, seconds: float, setup: float, *, freeze: bool) -> Round:
    """Run one round on a new server."""
    found = Round()
    with tempfile.TemporaryDirectory(dir=in_memory()) as directory:
        database = f"sqlite:///{directory}/trial.db"
        server = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bench.trial_server", database, str(submissions)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert server.stdout is not None
        try:
            port = int(await server.stdout.readline())
            await watch_all(found, port, submissions, seconds, setup, freeze=freeze)
        finally:
            server.terminate()
            await server.communicate()
    return found


async def watch_all(found: Round, port: int, submissions: int, seconds: float, setup: float, *, freeze: bool) -> None:
    """Submit, watch, and wait for all verdicts."""
    start = time.time() + setup

    def read(text: bytes) -> None:
        said = _SAID.search(text)
        if said:
            found.lags.append(time.time() - float(said[1]))

    ids = []
    sleepers: list[Watcher] = []
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
        for number in range(submissions):
            # One after the other, so that the judges do not speak all at once.
            begin = start + number / submissions / _RATE
            orders = {"events": int(seconds * _RATE), "every": 1 / _RATE, "bytes": 16_384, "start": begin}
            body = {"problem": "leader-election", "language": "python", "source_code": json.dumps(orders)}
            answer = await http.post("/api/submissions", json=body)
            ids.append(answer.raise_for_status().json()["id"])
    for each in ids:
        path = f"/ws/submissions/{each}"
        for _ in range(EACH - 1):
            await watch(port, path, read, found.ended.append)
        last = await watch(port, path, lambda _text: None, found.frozen.append, _TINY if freeze else None)
        if freeze:
            last.freeze()
            sleepers.append(last)
    if time.time() > start:
        raise SystemExit(f"To connect took longer than --setup {setup:g}; this machine is busy.")
    async with asyncio.timeout(seconds + 120):
        await until(lambda: len(found.ended) == submissions * (EACH - 1))
        assert set(found.ended) == {1000}, found.ended
        # Now they read what is left: as much as the server was willing to hold for them, and why it stopped.
        for sleeper in sleepers:
            sleeper.thaw()
        await until(lambda: len(found.frozen) == submissions)


async def main() -> None:
    """Run the rounds and print the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--submissions", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--setup", type=float, default=15.0, help="seconds to connect before the judges speak")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    need_files(2 * arguments.submissions * EACH + 200)
    p99: dict[bool, list[float]] = {False: [], True: []}
    for number in range(arguments.rounds):
        # Which connects first alternates.
        both = (False, True) if number % 2 else (True, False)
        plays = (play(arguments.submissions, arguments.seconds, arguments.setup, freeze=freeze) for freeze in both)
        for freeze, found in zip(both, await asyncio.gather(*plays), strict=True):
            p99[freeze].append(found.p99)
            kind = f"{arguments.submissions} of {arguments.submissions * EACH} frozen" if freeze else "all read"
            codes = {code: found.frozen.count(code) for code in sorted(set(found.frozen))}
            print(
                f"{kind:20} {len(found.lags):7} events  p50 {quantile(found.lags, 0.5) * 1000:7.2f} ms"
                f"  p99 {found.p99 * 1000:7.2f} ms  the tenth closed with {codes}",
                flush=True,
            )
    pairs = [frozen / reading for reading, frozen in zip(p99[False], p99[True], strict=True)]
    print(f"p99 with frozen readers over p99 without, by pair: {', '.join(f'{each:.2f}' for each in pairs)}")
    print(f"median of each: {statistics.median(p99[True]) / statistics.median(p99[False]):.2f}; wanted: at most 1.20")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    asyncio.run(main())
