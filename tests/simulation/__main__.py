"""``python -m tests.simulation``: play one seed aloud, or many in silence.

--seed N             one schedule, with everything that its watch saw
--count N --from M   so many, from M on, on all processors (``make soak``)
--wire, --feed       over wires; of a feed
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from tests.simulation import feed
from tests.simulation.judgement import BrokenPromise, play
from tests.simulation.server import Server
from tests.simulation.wire import WireServer

CHUNK = 500


def broken_in(first: int, count: int, over: type[Server] | None) -> list[str]:
    """Run these seeds and return the failures."""
    found = []
    for seed in range(first, first + count):
        try:
            feed.play(seed) if over is None else play(seed, over=over)
        except (BrokenPromise, feed.BrokenPromise) as error:
            found.append(str(error))
    return found


def aloud(seed: int, over: type[Server] | None) -> int:
    logging.basicConfig(level=logging.DEBUG, format="%(name)s %(message)s", stream=sys.stdout)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    if over is None:
        seen = feed.play(seed)
        print(f"seed {seed}: {seen.error or f'{len(seen.left)} ended'} at {seen.ended_at:.1f} s")
        return 0
    course = play(seed, over=over)
    print(f"seed {seed}: {course.watch.verdict or course.error or 'interrupted'} at {course.ended_at:.1f} s")
    return 0


def soak(first: int, count: int, over: type[Server] | None) -> int:
    began = time.monotonic()
    starts = range(first, first + count, CHUNK)
    broken = done = 0
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        counts = [min(CHUNK, first + count - start) for start in starts]
        for found in pool.map(broken_in, starts, counts, [over] * len(starts)):
            done += CHUNK
            broken += len(found)
            print(*found, sep="\n", end="\n" if found else "", flush=True)
            if done % 100_000 == 0:
                print(f"{done} schedules, {broken} broken, {time.monotonic() - began:.0f} s", flush=True)
    print(f"{count} schedules from seed {first}: {broken} broken, {time.monotonic() - began:.0f} s")
    return 1 if broken else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--from", type=int, default=0, dest="first")
    parser.add_argument("--wire", action="store_const", const=WireServer, default=Server, dest="over")
    parser.add_argument("--feed", action="store_const", const=None, dest="over")
    options = parser.parse_args()
    if options.seed is None:
        return soak(options.first, options.count, options.over)
    return aloud(options.seed, options.over)


if __name__ == "__main__":
    sys.exit(main())
