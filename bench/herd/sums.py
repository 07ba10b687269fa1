"""A problem and solutions whose verdicts are known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

CASES: Final = 2
PROBLEM: Final = f"""
id = 77
slug = "sums"
title = "Sums"
description = "description.md"
runner = "tap"
command = ["{{python}}", "-I", "-S", "run.py"]
total_tests = {CASES}

[languages.python]
source = "sums.py"
build = ["{{python}}", "-I", "-S", "-m", "py_compile", "{{sources}}"]
run = ["{{python}}", "-I", "-S", "{{source}}"]
"""
# It waits rather than computes, so that two cores can judge several at once.
TESTS: Final = """
import os, subprocess, time
cases = ((1, 2), (40, 2))
print("TAP version 14")
print(f"1..{len(cases)}", flush=True)
for number, (one, other) in enumerate(cases, 1):
    time.sleep(PAUSE)
    done = subprocess.run([os.environ["SUBCLI_SOLUTION"]], input=f"{one} {other}", capture_output=True, text=True)
    passed = done.returncode == 0 and done.stdout.split() == [str(one + other)]
    print("ok" if passed else "not ok", number, "- Sum", one, other, flush=True)
"""
SOLUTIONS: Final[Mapping[str, tuple[str, str]]] = {
    "right": ("print(sum(map(int, input().split())))", "passed"),
    "right, after a tenth of a second": (
        "import time\ntime.sleep(0.1)\nprint(sum(map(int, input().split())))",
        "passed",
    ),
    "wrong": ("print(sum(map(int, input().split())) + 1)", "failed"),
    "raises": ("raise SystemExit('no')", "failed"),
    "does not compile": ("print(sum(map(int, input().split()))", "build_failed"),
}
WEIGHTS: Final = (50, 20, 15, 10, 5)
