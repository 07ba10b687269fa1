"""Mutation testing of one area: ``python -m tests.mutation output --sample 200``.

mutmut changes one thing at a time in every function, and a mutant survives if the tests of its area still pass. The
whole of an area takes hours on two cores; a sample is drawn with a fixed seed, so that two runs can be compared.
"""

from __future__ import annotations

import argparse
import collections
import math
import random
import re
import sys

from tests.mutation.copied import Area, Copy

SEED = 13
TIMED_OUT = (-24, 24, 36, 152, 255)
KILLED = (1, 2, 3, -9, -11, 35, *TIMED_OUT)
"""Exit codes of mutmut's tests for a mutant that was noticed, by a failure, a crash or a timeout."""

AREAS = {
    "core": Area(
        ("core", *(f"shared/{name}" for name in ("protocol", "messages", "decoding", "encoding", "secret"))),
        ("tests/core", "tests/shared"),
    ),
    "session": Area(("client/session", "client/heartbeat", "client/missed"), ("tests/client/test_session.py",)),
    "output": Area(("output",), ("tests/output",)),
    # Tests that run with SQLite run with PostgreSQL as well, which would be started anew for each mutant. Of a thousand
    # interleavings a quarter is enough, and hypothesis measures a collector that is slower here.
    "log": Area(
        ("server/log",),
        ("tests/server/log",),
        "(not postgresql or test_database or test_sharing) and not [1] and not [2] and not [3] and not test_any_event",
    ),
    "accounts": Area(
        ("server/accounts",), ("tests/server/accounts", "tests/server/observe/test_audit.py"), "not postgresql"
    ),
    "process": Area(("judge/process",), ("tests/judge/process",), "not test_scripts_import_little"),
}


def interval(killed: int, ran: int) -> tuple[float, float]:
    """The 95 % interval of a share, in percent (Wilson's: it also holds near 100 %)."""
    z = 1.96
    share, spread = killed / ran, z * math.sqrt(killed * (ran - killed) / ran + z * z / 4) / (ran + z * z)
    middle = (share + z * z / (2 * ran)) / (1 + z * z / ran)
    return 100 * (middle - spread), 100 * (middle + spread)


def main() -> int:
    """Run, print the score and the survivors."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("area", choices=AREAS)
    parser.add_argument("--sample", type=int, metavar="N", help="so many mutants instead of all of them")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--workers", default="2")
    given = parser.parse_args()
    copy = Copy(given.area, AREAS[given.area])
    copy.make()
    names: list[str] = []
    if given.sample:
        made = sorted(copy.outcomes())
        names = random.Random(given.seed).sample(made, min(given.sample, len(made)))
        print(f"{len(names)} of {len(made)} mutants, seed {given.seed}", flush=True)
    copy.run("--max-children", given.workers, *names)
    ran = {
        name: code for name, code in copy.outcomes().items() if code is not None and (not names or name in set(names))
    }
    killed = [name for name, code in ran.items() if code in KILLED]
    if not ran:
        print(f"{given.area}: no mutant was run", file=sys.stderr)
        return 1
    timed_out = sum(ran[name] in TIMED_OUT for name in killed)
    print(f"\n{given.area}: {len(killed)} of {len(ran)} mutants killed ({100 * len(killed) / len(ran):.1f} %)")
    print(f"  {timed_out} of them did not come to an end")
    if names:
        print("  the whole area, with 95 % confidence: {:.0f} to {:.0f} %".format(*interval(len(killed), len(ran))))
    for name in sorted(set(ran) - set(killed)):
        print(f"  {'not reached by any test' if ran[name] in (5, 33) else 'survived'}: {name}")
        for line in copy.difference(name):
            print(f"      {line}")
    modules = collections.Counter(re.sub(r"\.[^.]*$", "", name) for name in set(ran) - set(killed))
    for module, count in modules.most_common():
        print(f"{count:5}  {module}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
