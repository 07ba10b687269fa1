"""Run by the interpreter of the measured environment: judging small submissions, and a shell script that does the same.

Both compile with the same flags and run the same programs on the same inputs; the script compares with `cmp`. It has no
limits, watches nothing, explains nothing, and stores no events. Its priority is that of a solution, or what else the
machine does would decide. Everything runs on one processor. Prints JSON: seconds
of each run, by contender, in turns; and of the time to "building", and of each case and TAP point.
"""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from subcli.judge import Job, LocalStarter, Problem, ResourceLimits, judge
from subcli.judge.cases.model import Case, CaseSet, Group
from subcli.judge.languages.table import language
from subcli.judge.process.confine import NICENESS

ROUNDS: Final = 5
CASES: Final = 10
POINTS: Final = 20
C_SOURCE: Final = r"""
#include <stdio.h>
int main(void) { int a, b; return scanf("%d %d", &a, &b) != 2 || printf("%d\n", a + b) < 0; }
"""
SOURCES: Final = {
    "cpp": (
        "main.cpp",
        '#include <iostream>\nint main() { int a, b; std::cin >> a >> b; std::cout << a + b << "\\n"; }\n',
    ),
    "python": ("main.py", "a, b = map(int, input().split())\nprint(a + b)\n"),
    "c": ("main.c", C_SOURCE),
}


def _of_judge(name: str) -> tuple[str, str]:
    """The commands of the judge's own table, so that the script never compiles with other flags."""
    file, text = SOURCES[name]
    known, files = language(name), {file: text}
    build, run = (shlex.join(known.expand(each, files, file)) for each in (known.build, known.run))
    return build, run


COMMANDS: Final = {
    "cpp": _of_judge("cpp"),
    "c": _of_judge("c"),
    # Without the judge's own scripts, which help it to explain a failure.
    "python": (f"{sys.executable} -m py_compile main.py", f"{sys.executable} main.py"),
}
TAP: Final = f"""
import os, subprocess
print("1..{POINTS}", flush=True)
for number in range({POINTS}):
    done = subprocess.run([os.environ["SUBCLI_SOLUTION"]], input=b"%d 2\\n" % number, capture_output=True)
    print("ok" if done.stdout == b"%d\\n" % (number + 2) else "not ok", number + 1, flush=True)
"""


@dataclass(frozen=True)
class Times:
    """Of one judging, in seconds: to "building", all of it, and between two results."""

    building: float
    whole: float
    each: float


def _problem(root: Path, name: str, runner: str) -> Problem:
    (root / "tests").mkdir(parents=True)
    cases = []
    for number in range(CASES):
        given, answer = (root / "tests" / f"{number}.{kind}" for kind in ("in", "ans"))
        given.write_text(f"{number} 2\n", encoding="utf-8")
        answer.write_text(f"{number + 2}\n", encoding="utf-8")
        cases.append(Case(name=str(number), input=given, answer=answer))
    (root / "tests" / "run.py").write_text(TAP, encoding="utf-8")
    return Problem(
        *(1, "bench", "Bench", "", {name: language(name)}, ResourceLimits(), root),
        runner=runner,
        command=("{python}", "-I", "-S", "run.py"),
        cases=CaseSet(Group(name="", parts=tuple(cases))) if runner == "cases" else None,
    )


async def _judged(problem: Problem, files: Mapping[str, str]) -> Times:
    began, building, results = time.perf_counter(), 0.0, []
    async with aclosing(judge(Job(problem, next(iter(problem.languages)), files), starter=LocalStarter())) as events:
        async for event in events:
            building = building or time.perf_counter() - began
            if event["type"] == "test_result":
                results.append(time.perf_counter())
            if event["type"] == "complete" and event["final_status"] != "passed":
                raise SystemExit(f"not passed: {event}")
    return Times(building, time.perf_counter() - began, (results[-1] - results[0]) / (len(results) - 1))


def _by_script(root: Path, name: str) -> float:
    """Seconds of a shell script that compiles the solution and runs all cases."""
    build, run = COMMANDS[name]
    tests = root / "tests"
    lines = [f"{run} <{tests}/{each}.in >out && cmp -s out {tests}/{each}.ans" for each in range(CASES)]
    script = "\n".join(("set -e", build, *lines))
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as place:
        file, text = SOURCES[name]
        Path(place, file).write_text(text, encoding="utf-8")
        subprocess.run(["nice", "-n", str(NICENESS), "sh", "-c", script], cwd=place, check=True)
    return time.perf_counter() - began


def _bare(program: list[str]) -> float:
    """Seconds of one run of a program, as a TAP command would do it without the judge."""
    began = time.perf_counter()
    for number in range(POINTS):
        subprocess.run(program, input=b"%d 2\n" % number, capture_output=True, check=True)
    return (time.perf_counter() - began) / POINTS


def main() -> None:
    """Measure all in turns."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    took: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="subcli-bench-") as folder:
        base = Path(folder)
        programs = {"c": [str(base / "a.out")], "python": [sys.executable, str(base / "main.py")]}
        for name in programs:
            file, text = SOURCES[name]
            (base / file).write_text(text, encoding="utf-8")
            subprocess.run(["sh", "-c", COMMANDS[name][0]], cwd=base, check=True)
        of_cases = {name: _problem(base / f"cases-{name}", name, "cases") for name in ("cpp", "python")}
        of_points = {name: _problem(base / f"tap-{name}", name, "tap") for name in programs}
        for number in range(-1, ROUNDS):
            samples: dict[str, float] = {}
            for name, problem in of_cases.items():
                times = asyncio.run(_judged(problem, dict([SOURCES[name]])))
                samples |= {f"{name}, judged": times.whole, f"{name}, script": _by_script(problem.root, name)}
                samples["building"] = times.building
            for name, problem in of_points.items():
                times = asyncio.run(_judged(problem, dict([SOURCES[name]])))
                samples |= {f"{name} point, judged": times.each, f"{name} point, bare": _bare(programs[name])}
            for what, seconds in samples.items() if number >= 0 else ():
                took.setdefault(what, []).append(seconds)
    json.dump(took, sys.stdout)


if __name__ == "__main__":
    main()
