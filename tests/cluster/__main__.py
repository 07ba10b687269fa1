"""``python -m tests.cluster --rounds 200 --from 1000``: many rounds, one line each (``make soak``)."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import traceback
from contextlib import ExitStack
from pathlib import Path

from tests.backends import Postgres, RedisServer

from .processes import running
from .trial import KINDS, Trial


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.cluster")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--from", type=int, default=1000, dest="first")
    options = parser.parse_args()
    with ExitStack() as stack:
        postgres, redis = Postgres(), RedisServer()
        for server in (postgres, redis):
            stack.callback(server.close)
            server.start()
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        cluster = stack.enter_context(running(directory, postgres, redis, "cluster"))
        trial = Trial(cluster, directory)
        broken = asyncio.run(rounds(trial, options.first, options.rounds))
        trial.close()
        if broken:
            print(cluster.logs(), file=sys.stderr)
    print(f"{options.rounds} rounds from seed {options.first}: {broken} broken")
    return 1 if broken else 0


async def rounds(trial: Trial, first: int, count: int) -> int:
    broken = 0
    for number in range(first, first + count):
        try:
            course = await trial.round(KINDS[number % len(KINDS)], number)
            print(f"{number}: {course.line()}", flush=True)
        except Exception as error:
            broken += 1
            print(f"{number}: BROKEN\n{''.join(traceback.format_exception(error))}", flush=True)
    return broken


if __name__ == "__main__":
    sys.exit(main())
