"""A gateway or a worker in a process of its own, with a fast judge and a short lease.

`node.py gateway DIRECTORY PORT DATABASE REDIS`, `node.py worker DATABASE REDIS`
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from subcli.judge import Job
from subcli.server import ServerLimits, ServerSettings, WorkerSettings
from subcli.server.observe.logs import configure
from subcli.server.run.serve import run
from subcli.server.run.worker import run_worker

TESTS = 6
# A worker's death is noticed after a lease and a sweep: here within 3 s, with default settings within 20.
LIMITS = ServerLimits(lease_s=2.0, shutdown_s=1.0)


async def judge(job: Job) -> AsyncIterator[Mapping[str, Any]]:
    """Yield some tests, a few hundredths of a second each."""
    yield {"type": "status_update", "status": "building"}
    yield {"type": "status_update", "status": "testing", "total_tests": TESTS}
    for number in range(TESTS):
        await asyncio.sleep(random.uniform(0.02, 0.1))
        yield {"type": "test_result", "test_name": f"Test {number}", "status": "passed", "duration_ms": 50}
    yield {"type": "status_update", "status": "completed"}
    summary = {"total_tests": TESTS, "passed": TESTS, "failed": 0, "duration_ms": 300}
    yield {"type": "complete", "final_status": "passed", "summary": summary}


def ready(_ready: object) -> None:
    print("ready", flush=True)


if __name__ == "__main__":
    configure("text", "warning")
    kind, *rest = sys.argv[1:]
    if kind == "gateway":
        directory, port, database, redis = rest
        settings = ServerSettings(
            data_dir=Path(directory), port=int(port), database=database, redis=redis, concurrency=0, limits=LIMITS
        )
        run(settings, on_ready=ready, judge=judge)
    else:
        database, redis = rest
        run_worker(WorkerSettings(database, redis, concurrency=4, limits=LIMITS), on_ready=ready, judge=judge)
