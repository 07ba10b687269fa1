"""Mutation testing of one area: ``python -m tests.mutation output --sample 200``.

mutmut changes one thing at a time in every function, and a mutant survives if the tests of its area still pass. The
whole of an area takes hours on two cores; a sample is drawn with a fixed seed, so that two runs can be compared.
"""

from __future__ import annotations

import argparse
import collections
import json
import math
import os
import random
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PLACE = ROOT / "mutants"
"""A copy of the tree, in which mutmut works."""
SEED = 13
TIMED_OUT = (-24, 24, 36, 152, 255)
KILLED = (1, 3, -11, 35, *TIMED_OUT)
"""Exit codes of mutmut's tests for a mutant that was noticed, by a failure, a crash or a timeout."""


@dataclass(frozen=True)
class Area:
    """What is changed, and the tests that must notice."""

    sources: tuple[str, ...]
    tests: tuple[str, ...]


AREAS = {
    "core": Area(
        ("core", *(f"shared/{name}" for name in ("protocol", "messages", "decoding", "encoding", "secret"))),
        ("tests/core", "tests/shared"),
    ),
    "session": Area(("client/session", "client/heartbeat", "client/missed"), ("tests/client/test_session.py",)),
    "output": Area(("output",), ("tests/output",)),
    "log": Area(("server/log",), ("tests/server/log",)),
    "accounts": Area(("server/accounts",), ("tests/server/accounts",)),
    "process": Area(("judge/process",), ("tests/judge/process",)),
}


def sources(area: Area) -> list[str]:
    """The files of an area; a module may be a file or a folder."""
    found = []
    for name in area.sources:
        path = ROOT / "src/subcli" / name
        found += [path] if path.exists() else sorted(path.parent.glob(f"{path.name}*.py"))
    return [str(path.relative_to(ROOT)) for path in found]


def prepare(area: Area) -> None:
    """Copy the tree, and write the settings of mutmut for this area."""
    shutil.rmtree(PLACE, ignore_errors=True)
    PLACE.mkdir()
    for name in ("src", "tests", "generate", "completions", "man", "docs"):
        ignored = shutil.ignore_patterns("__pycache__", "node_modules")
        shutil.copytree(ROOT / name, PLACE / name, ignore=ignored, symlinks=True)
    for name in ("pyproject.toml", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "Makefile"):
        shutil.copy(ROOT / name, PLACE)
    settings = {
        "source_paths": sources(area),
        "also_copy": ["src", "tests", "generate", "pyproject.toml"],
        # Alembic loads these under names of its own, so mutmut's switch never reaches them, and each would survive.
        "do_not_mutate": ["*/migrations/*"],
        "pytest_add_cli_args_test_selection": list(area.tests),
        "pytest_add_cli_args": ["-p", "no:xdist", "-p", "no:hypothesispytest", "-p", "no:anyio"],
    }
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    with (PLACE / "pyproject.toml").open("a") as file:
        file.write("\n[tool.mutmut]\n" + "\n".join(lines) + "\n")


def mutmut(*words: str, quiet: bool = False) -> int:
    """Run mutmut in the copy."""
    program = str(Path(sys.executable).with_name("mutmut"))
    output = subprocess.DEVNULL if quiet else None
    command = [program, "run", *words]
    return subprocess.run(
        command, cwd=PLACE, env={**os.environ, "PYTHONPATH": ""}, stdout=output, stderr=output
    ).returncode


def outcomes() -> dict[str, int | None]:
    """The exit code of the tests for each mutant that was made; ``None`` where they were not run."""
    found: dict[str, int | None] = {}
    for path in sorted(PLACE.rglob("*.meta")):
        found |= json.loads(path.read_text())["exit_code_by_key"]
    return found


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
    prepare(AREAS[given.area])
    names: list[str] = []
    if given.sample:
        mutmut("--max-children", given.workers, "no.such.mutant", quiet=True)  # makes the mutants, and runs none
        made = sorted(outcomes())
        names = random.Random(given.seed).sample(made, min(given.sample, len(made)))
        print(f"{len(names)} of {len(made)} mutants, seed {given.seed}", flush=True)
    mutmut("--max-children", given.workers, *names)
    ran = {name: code for name, code in outcomes().items() if code is not None and (not names or name in set(names))}
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
    modules = collections.Counter(re.sub(r"\.[^.]*$", "", name) for name in set(ran) - set(killed))
    for module, count in modules.most_common():
        print(f"{count:5}  {module}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
