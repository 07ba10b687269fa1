"""Do ten thousand watchers closed with 1012 all reconnect, and not all at once? `python -m bench.sent_away`

Two gateways share one database and one Redis. All watchers connect to the first, ten per submission, and it gets
SIGTERM. Each watcher does what `subcli` does after a 1012: it waits for the backoff of `subcli.core.backoff` and
reconnects, here to the second gateway, after its last event. Then the verdicts arrive. Measured is how the reconnects
are spread; each watcher must get each event once and in order.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import re
import signal
import sys
import tempfile
import time
from collections import Counter
from typing import Final

import httpx

from bench.crowd import in_memory, need_files, quantile, until, watch
from subcli.core.backoff import backoff
from tests.backends import RedisServer

EACH: Final = 10
_AT_ONCE: Final = 200
_SEQ: Final = re.compile(rb'"seq":([0-9]+)')
_JUDGES: Final = 4


class Visitor:
    """One watcher, from its first connection to its verdict."""

    def __init__(self, submission_id: int, crowd: Crowd) -> None:
        self._id = submission_id
        self._crowd = crowd
        self._closed = asyncio.Event()
        self._code = 0
        self.seqs: list[int] = []
        self.is_over = False
        self.sent_away = 0.0
        self.back: list[float] = []
        self.arrived = 0.0

    async def connect(self, port: int) -> None:
        """Raises OSError."""
        self._closed.clear()
        after = self.seqs[-1] if self.seqs else 0
        await watch(port, f"/ws/submissions/{self._id}?after_seq={after}", self._read, self._end)

    def _read(self, text: bytes) -> None:
        seq = _SEQ.search(text)
        assert seq is not None
        self.seqs.append(int(seq[1]))
        self.is_over = self.is_over or b'"type":"complete"' in text

    def _end(self, code: int) -> None:
        self._code = code
        self._closed.set()

    async def stay(self) -> None:
        """Watch until the verdict, reconnecting whenever the socket closes before it."""
        attempt = 0
        while True:
            await self._closed.wait()
            if self.is_over:
                return
            self._crowd.codes[self._code] += 1
            self.sent_away = self.sent_away or time.monotonic()
            while True:
                attempt += 1
                await asyncio.sleep(backoff(attempt, random.random()))
                self.back.append(time.monotonic())
                try:
                    await self.connect(self._crowd.port)
                except (OSError, TimeoutError):
                    continue
                self.arrived = time.monotonic()
                break


class Crowd:
    """All watchers. `port` is where they reconnect."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.codes: Counter[int] = Counter()
        self.visitors: list[Visitor] = []

    async def gather(self, port: int, count: int) -> None:
        """Let the watchers connect for the first time."""
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as http:
            orders = json.dumps({"events": 3})
            body = {"problem": "leader-election", "language": "python", "source_code": orders}
            for _ in range(count // EACH):
                submission_id = (await http.post("/api/submissions", json=body)).raise_for_status().json()["id"]
                self.visitors += [Visitor(submission_id, self) for _ in range(EACH)]
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(visitor: Visitor) -> None:
            async with gate:
                await visitor.connect(port)

        await asyncio.gather(*map(one, self.visitors))
        await until(lambda: all(visitor.seqs for visitor in self.visitors))


async def gateway(database: str, *words: str) -> tuple[asyncio.subprocess.Process, int]:
    """Start a gateway and return it with its port."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.trial_server", database, *words),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    return process, int(await process.stdout.readline())


def report(crowd: Crowd, begun: float, took: float) -> None:
    """Print the result."""
    visitors = crowd.visitors
    first = sorted(visitor.back[0] for visitor in visitors)
    away = sorted(visitor.sent_away for visitor in visitors)
    arrived = sorted(visitor.arrived for visitor in visitors)
    seconds = Counter(int(moment - first[0]) for moment in first)
    complete = sum(visitor.is_over and visitor.seqs == list(range(1, len(visitor.seqs) + 1)) for visitor in visitors)
    print(f"the gateway ended {took:.2f} s after SIGTERM; close codes {dict(crowd.codes)}")
    print(f"sent away over {away[-1] - away[0]:.2f} s, the first after {away[0] - begun:.2f} s")
    print(
        f"came back over {first[-1] - first[0]:.2f} s (wanted: more than 5), by second: {dict(sorted(seconds.items()))}"
    )
    print(
        f"were connected again over {arrived[-1] - arrived[0]:.2f} s; attempts needed: "
        f"{dict(Counter(len(visitor.back) for visitor in visitors))}"
    )
    waits = [visitor.arrived - visitor.sent_away for visitor in visitors]
    middle, late = quantile(waits, 0.5), quantile(waits, 0.99)
    print(f"without a socket: median {middle:.2f} s, p99 {late:.2f} s, most {max(waits):.2f} s")
    print(f"with every event once and in order, and the verdict: {complete} of {len(visitors)}")


async def main() -> None:
    """Run the trial."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--watchers", type=int, default=10_000)
    count = parser.parse_args().watchers
    need_files(count + 500)
    with tempfile.TemporaryDirectory(dir=in_memory()) as directory, contextlib.ExitStack() as stack:
        redis = RedisServer()
        stack.callback(redis.close)
        redis.start()
        database, bus = f"sqlite:///{directory}/trial.db", f"redis={redis.url()}"
        going, port = await gateway(database, "0", bus, f"idle_s={3600}")
        staying = None
        try:
            crowd = Crowd(0)
            await crowd.gather(port, count)
            print(f"{len(crowd.visitors)} watchers on {count // EACH} submissions at the first gateway", flush=True)
            staying, crowd.port = await gateway(database, "0", bus)
            living = [asyncio.create_task(visitor.stay()) for visitor in crowd.visitors]
            begun = time.monotonic()
            going.send_signal(signal.SIGTERM)
            await going.wait()
            took = time.monotonic() - begun
            async with asyncio.timeout(180):
                await until(lambda: all(visitor.arrived for visitor in crowd.visitors))
                judging, _ = await gateway(database, str(_JUDGES), bus)
                try:
                    await asyncio.gather(*living)
                finally:
                    judging.terminate()
                    await judging.communicate()
            report(crowd, begun, took)
        finally:
            for process in (going, staying):
                if process is not None and process.returncode is None:
                    process.terminate()
                if process is not None:
                    await process.communicate()


if __name__ == "__main__":
    asyncio.run(main())
