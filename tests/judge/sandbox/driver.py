"""Judges one submission, in a process of its own so that it can be anybody's: `python driver.py ORDER`.

ORDER is a file with `problem`, `language`, `files` and `starter` (sandbox, local) as JSON. Every event is printed as a
line of JSON, then a good submission is judged, to see that the judge goes on.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import time
from contextlib import aclosing
from pathlib import Path

from subcli.judge import Job, LocalStarter, Starter, judge, load_problem
from subcli.judge.sandbox import Sandbox
from subcli.judge.sandbox.choice import choose


def starter(kind: str, hidden: list[str]) -> Starter:
    if kind == "local":
        return LocalStarter()
    return choose(Sandbox.BWRAP, for_others=True, hidden=tuple(map(Path, hidden))).starter


async def run(job: Job, chosen: Starter) -> list[dict[str, object]]:
    async with aclosing(judge(job, starter=chosen)) as judging:
        return [event async for event in judging]


def main() -> None:
    order = json.loads(Path(sys.argv[1]).read_text())
    chosen = starter(order["starter"], order["hidden"])
    problem = load_problem(Path(order["problem"]))
    events = asyncio.run(run(Job(problem, order["language"], order["files"]), chosen))
    began = time.monotonic()
    after = asyncio.run(run(Job(problem, order["language"], order["next"]), chosen)) if order["next"] else []
    print(json.dumps({"events": events, "next": after, "next_seconds": time.monotonic() - began}))


if __name__ == "__main__":
    assert shutil.which("bwrap"), "needs bubblewrap"
    main()
