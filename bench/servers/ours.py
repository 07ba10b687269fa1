"""Our complete server: REST, accounts, store, queue, workers, gateway. Only the judge is replaced."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bench.servers import Work, say_ready, work
from subcli.judge import Job
from subcli.server.log.database import open_database
from subcli.server.log.records import NewSubmission
from subcli.server.log.store import Store
from subcli.server.log.tables import DEMO_USER
from subcli.server.run.serve import run
from subcli.server.settings import ServerLimits, ServerSettings


def judge_of(todo: Work) -> Any:
    """A judge that yields the given number of results at the given rate."""

    async def judge(job: Job) -> AsyncIterator[dict[str, object]]:
        yield {"type": "status_update", "status": "testing", "total_tests": todo.events}
        async for number in todo.ticks():
            yield {
                "type": "test_result",
                "test_id": f"t{number:05d}",
                "test_name": f"Leader election, partition {number}",
                "status": "passed",
                "duration_ms": number % 97 + 1,
                "test_type": "functional",
                "sent_ns": time.monotonic_ns(),
            }
        counts = {"total_tests": todo.events, "passed": todo.events, "failed": 0, "duration_ms": 1000}
        yield {"type": "status_update", "status": "completed"}
        yield {"type": "complete", "final_status": "passed", "summary": counts}

    return judge


def main() -> None:
    """Serve until killed."""
    todo = work()
    settings = ServerSettings(
        data_dir=Path(todo.data),
        port=0,
        # Without a sign to begin there is nothing to judge: the watchers idle.
        concurrency=todo.submissions if todo.go else 0,
        limits=ServerLimits(connections=1000),
    )
    engine = open_database(settings.database_url)
    store = Store(engine, time.time)
    for _ in range(todo.submissions):
        store.create(NewSubmission(DEMO_USER, "leader-election", "python", {"node.py": "pass\n"}))
    store.close()
    run(settings, on_ready=lambda ready: say_ready(urlsplit(ready.url).port or 0), judge=judge_of(todo))


if __name__ == "__main__":
    main()
