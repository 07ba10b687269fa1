"""Does a server keep everything for a year? `python -m bench.year`

Two gateways and two workers, all real processes on SQLite and Redis. 300 students are imported; they hand in 40,000
submissions to 12 problems over REST with access tokens, most of them in peaks before deadlines, and some watch. The
year begins with an older version, where the history has one, and is upgraded twice under load, one process after the
other. A test is corrected and what was judged by it is judged again; a backup is restored; and what is old is pruned
but for its verdicts. Only the judge is simulated: it computes verdicts from the code and the tests, so the trial knows
each of them. Days pass by moving the times in the database back.

After each part, `subcli db check` must find nothing, and all submissions, the results of all problems, and a sample of
logs, codes and runs are compared with what the trial knows. It ends with 1 if anything is lost or differs.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from bench.crowd import in_memory
from bench.year.calls import Calls
from bench.year.course import Course
from bench.year.plan import Amounts
from bench.year.plant import Plant
from tests.backends import RedisServer
from tests.older import older_source

_SHOWN: Final = 20
_CLEANUP_S: Final = 2.0
_ROOM_BYTES: Final = 4 << 30


async def live(amounts: Amounts, seed: int, *, older: bool, workers: int = 2, real: bool = True) -> Course:
    """Run the trial, print what came out, and return it.

    Args:
        older: begin with an older version, if the history has one.
        workers, real: see `Plant`.
    """
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="subcli-year-", dir=_place())))
        redis = RedisServer()
        stack.callback(redis.close)
        redis.start()
        source = older_source(folder / "older") if older else None
        if older:
            print(f"begins with {'this version' if source is None else 'an older version'}", file=sys.stderr)
        plant = Plant(folder, redis.url(), source, _CLEANUP_S, workers=workers, real=real)
        async with Calls(plant.urls, seed) as calls:
            course = Course(plant, calls, amounts, seed)
            try:
                async with asyncio.TaskGroup() as group:
                    telling = group.create_task(course.progress.tell())
                    await course.run()
                    telling.cancel()
            except BaseException as error:
                error.add_note(plant.logs())
                raise
            finally:
                await plant.stop()
                _report(course, calls, plant.errors())
            return course


def _place() -> str | None:
    """A directory in memory if there is room, so that other users of the disk do not affect the times."""
    memory = in_memory()
    return memory if memory and shutil.disk_usage(memory).free > _ROOM_BYTES else None


def _report(course: Course, calls: Calls, errors: Mapping[str, int]) -> None:
    """Print the figures, and what is wrong."""
    print(f"\n{'part':<60}{'seconds':>9}")
    for part, seconds in course.progress.took:
        print(f"{part:<60}{seconds:>9.1f}")
    print("", *calls.lines(), f"repeated, because a gateway restarted or was busy: {calls.repeated:,}", sep="\n")
    print(f"\n{'database':<52}{'submissions':>12}{'MB':>9}{'KB each':>9}")
    for name, size, count in course.sizes:
        print(f"{name:<52}{count:>12,}{size / 1e6:>9.1f}{size / 1e3 / max(1, count):>9.2f}")
    print("", *course.memory.lines(), sep="\n")
    print(f"\nerrors that the processes logged: {sum(errors.values()):,}")
    for said, count in errors.items():
        print(f"{count:>8,} × {said}")
    books = course.books
    for sentence in (*books.lost[:_SHOWN], *books.differing[:_SHOWN]):
        print(f"WRONG: {sentence}")
    print(f"\nlost: {len(books.lost)}; other than they must be: {len(books.differing)}, of {books.checked:,} compared")


def main() -> int:
    """Run the trial. Returns 1 if anything is lost, or other than it must be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, help="of 40,000 submissions, and of 3,000 judged again")
    parser.add_argument("--students", type=int, default=300)
    parser.add_argument("--problems", type=int, default=12)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--same-version", action="store_true", help="begin with this version, not with an older one")
    words = parser.parse_args()
    amounts = Amounts(words.students, words.problems, round(40_000 * words.scale), round(3_000 * words.scale))
    began = time.monotonic()
    course = asyncio.run(live(amounts, words.seed, older=not words.same_version))
    print(f"{amounts.submissions:,} submissions took {time.monotonic() - began:.0f} s")
    return int(bool(course.books.lost or course.books.differing))


if __name__ == "__main__":
    raise SystemExit(main())
