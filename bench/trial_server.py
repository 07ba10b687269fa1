"""A server for trials, in its own process. Its judge yields as many events, as often, as the submission asks for.

`python -m bench.trial_server DATABASE CONCURRENCY [redis=URL] LIMIT=N …` prints its port. The submitted code
configures the judge:
`{"events": 100, "every": 0.25, "bytes": 16384, "start": 1795500000.5}`, with `start` in Unix seconds.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from subcli.judge import Job
from subcli.server import ServerLimits, ServerSettings
from subcli.server.run.serve import run


async def judge(job: Job) -> AsyncIterator[Mapping[str, Any]]:
    """Yield the events, each with the time at which it was sent."""
    orders = json.loads(next(iter(job.files.values())))
    filling = "x" * orders.get("bytes", 0)
    yield {"type": "status_update", "status": "testing", "total_tests": orders["events"]}
    await asyncio.sleep(max(0.0, orders.get("start", 0.0) - time.time()))
    begun = time.monotonic()
    for number in range(orders["events"]):
        await asyncio.sleep(max(0.0, begun + number * orders.get("every", 0.0) - time.monotonic()))
        yield {
            "type": "test_result",
            "test_name": f"{number}",
            "status": "passed",
            "duration_ms": 0,
            "said": time.time(),
            "output": filling,
        }
    yield {"type": "status_update", "status": "completed"}
    yield {"type": "complete", "final_status": "passed", "summary": {"total_tests": orders["events"]}}


def main(database: str, concurrency: str, *words: str) -> None:
    """Serve."""
    given = dict(word.split("=", 1) for word in words)
    redis = given.pop("redis", None)
    limits = {name: float(value) for name, value in given.items()}
    whole: dict[str, Any] = {name: int(value) if value.is_integer() else value for name, value in limits.items()}
    with tempfile.TemporaryDirectory() as directory:
        settings = ServerSettings(
            data_dir=Path(directory) / "data",
            port=0,
            database=database,
            redis=redis,
            concurrency=int(concurrency),
            limits=ServerLimits(**whole),
            stop_with_stdin=True,
        )
        run(settings, on_ready=lambda ready: print(ready.url.rpartition(":")[2], flush=True), judge=judge)


if __name__ == "__main__":
    main(*sys.argv[1:])
