"""A server in its own process with a slow judge: `serve.py DATA_DIR PORT [stdin] [database=URL] [LIMIT=N ...]`."""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from subcli.judge import Job
from subcli.server import ServerLimits, ServerSettings
from subcli.server.run.serve import run


async def judge(job: Job) -> AsyncIterator[Mapping[str, Any]]:
    """Ten tests, a tenth of a second each."""
    yield {"type": "status_update", "status": "testing", "total_tests": 10}
    for number in range(10):
        await asyncio.sleep(0.1)
        yield {"type": "test_result", "test_name": f"Test {number}", "status": "passed", "duration_ms": 100}
    yield {"type": "status_update", "status": "completed"}
    yield {"type": "complete", "final_status": "passed", "summary": {"total_tests": 10, "passed": 10}}


if __name__ == "__main__":
    words = {name: value for name, _, value in (word.partition("=") for word in sys.argv[3:]) if value}
    database = words.pop("database", None)
    limits: dict[str, Any] = {name: float(value) for name, value in words.items()}
    settings = ServerSettings(
        data_dir=Path(sys.argv[1]),
        port=int(sys.argv[2]),
        database=database,
        limits=ServerLimits(**limits),
        stop_with_stdin="stdin" in sys.argv,
    )
    run(settings, on_ready=lambda ready: print(ready.url, flush=True), judge=judge)
