"""What judging adds to each case of a C++ solution: `python -m bench.cases [CASES] [ROUNDS]`."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import aclosing
from pathlib import Path

from subcli.judge import Job, LocalStarter, Starter, judge
from subcli.judge.cases.model import Case, CaseSet, Group
from subcli.judge.languages.table import language
from subcli.judge.problem import Problem, ResourceLimits
from subcli.judge.sandbox.probe import probe

SOURCE = '#include <iostream>\nint main() { int a, b; std::cin >> a >> b; std::cout << a + b << "\\n"; }\n'


def make(root: Path, count: int) -> Problem:
    """A problem of `count` small cases."""
    (root / "tests").mkdir()
    cases = []
    for number in range(count):
        given, answer = (root / "tests" / f"{number}.{kind}" for kind in ("in", "ans"))
        given.write_text(f"{number} 2\n", encoding="utf-8")
        answer.write_text(f"{number + 2}\n", encoding="utf-8")
        cases.append(Case(name=f"secret/{number}", input=given, answer=answer))
    group = Group(name="", parts=tuple(cases))
    return Problem(
        1,
        "bench",
        "Bench",
        "",
        {"cpp": language("cpp")},
        ResourceLimits(),
        root,
        runner="cases",
        cases=CaseSet(group),
    )


def bare_ms(program: Path, cases: CaseSet) -> float:
    """One run of the program on every case, compared with the answer, in milliseconds for each."""
    began = time.monotonic()
    count = 0
    for case in cases.root.cases():
        with case.input.open("rb") as given:
            done = subprocess.run([program], stdin=given, capture_output=True, check=True)
        assert done.stdout == case.answer.read_bytes()
        count += 1
    return (time.monotonic() - began) * 1000 / count


async def judged_ms(problem: Problem, starter: Starter) -> float:
    """From the first result to the last one, in milliseconds for each case: the build does not count."""
    times = []
    async with aclosing(judge(Job(problem, "cpp", {"a.cpp": SOURCE}), starter=starter)) as events:
        async for event in events:
            if event["type"] == "test_result":
                assert event["status"] == "passed", event
                times.append(time.monotonic())
    return (times[-1] - times[0]) * 1000 / (len(times) - 1)


def main(count: int = 200, rounds: int = 5) -> None:
    """Measure and print."""
    found = probe(cpus=1.0)
    compiler = shutil.which("g++")
    if compiler is None:
        raise SystemExit("needs g++")
    starters: dict[str, Starter] = {"none": LocalStarter()}
    if found.starter is None:
        print(f"no working sandbox here: {found.reason}")
    else:
        starters["bwrap"] = found.starter
    with tempfile.TemporaryDirectory(prefix="subcli-bench-") as name:
        root = Path(name)
        problem = make(root, count)
        (root / "a.cpp").write_text(SOURCE, encoding="utf-8")
        subprocess.run([compiler, "-O2", "-o", root / "a", root / "a.cpp"], check=True)
        assert problem.cases is not None
        best = {"bare": float("inf"), **dict.fromkeys(starters, float("inf"))}
        for _ in range(rounds):
            best["bare"] = min(best["bare"], bare_ms(root / "a", problem.cases))
            for kind, starter in starters.items():
                best[kind] = min(best[kind], asyncio.run(judged_ms(problem, starter)))
    print(f"{count} cases, the best of {rounds} rounds, load {os.getloadavg()[0]:.1f}")
    for kind, each in best.items():
        print(f"{kind:6} {each:6.2f} ms a case   +{each - best['bare']:.2f} ms")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
