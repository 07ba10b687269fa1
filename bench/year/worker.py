"""A worker as `subcli worker` runs it, but with a judge that runs nothing: it computes what the tests would say.

`python -m bench.year.worker DATABASE REDIS CLEANUP_S [PROBLEMS]`. Without a directory of problems, it fetches from the
database what it judges. Queue, leases, log and bus are the real ones.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from bench.year.problems import cases_of, outcomes, verdict_of
from subcli.judge import Job
from subcli.server import ServerLimits, WorkerSettings
from subcli.server.observe.logs import configure
from subcli.server.run.worker import run_worker


async def judge(job: Job) -> AsyncIterator[Mapping[str, Any]]:
    """Yield the events of a submission, by the tests of the version of the problem that it is to be judged by."""
    cases = cases_of(job.problem.root)
    (source,) = job.files.values()
    found = outcomes(source, cases)
    passed = sum(found or ())
    summary = {"total_tests": len(found or ()), "passed": passed, "failed": len(found or ()) - passed, "duration_ms": 1}
    yield {"type": "status_update", "status": "building"}
    if found is None:
        yield {"type": "status_update", "status": "build_failed", "detail": "it cannot be read"}
    else:
        yield {"type": "status_update", "status": "testing", "total_tests": len(cases)}
        for case, is_passed in zip(cases, found, strict=True):
            yield {
                "type": "test_result",
                "test_id": f"case-{case}",
                "test_name": f"Not divisible by {case}",
                "status": "passed" if is_passed else "failed",
                "duration_ms": 1,
            }
        yield {"type": "status_update", "status": "completed" if passed == len(cases) else "failed"}
    yield {"type": "complete", "final_status": verdict_of(found), "summary": summary}


def main(database: str, redis: str, cleanup_s: str, problems: str = "") -> None:
    """Judge until a signal."""
    configure("text", "warning")
    settings = WorkerSettings(
        database,
        redis,
        problems_dir=Path(problems) if problems else None,
        concurrency=4,
        limits=ServerLimits(cleanup_s=float(cleanup_s)),
    )
    run_worker(settings, on_ready=lambda _: print("ready", flush=True), judge=judge)


if __name__ == "__main__":
    main(*sys.argv[1:])
