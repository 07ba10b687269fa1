"""Problems whose verdicts are a function of the code and the tests, so that the trial knows all of them.

A solution prints one number. A test has a number too, and passes unless it divides that of the solution.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from subcli.shared.files import write_atomically

CORRECTED: Final = "exercise-1"
"""The problem whose tests turn out to be wrong."""
BROKEN: Final = "print(\n"
"""A solution that cannot be built."""
_NUMBER: Final = re.compile(r"print\((\d+)\)\n")
_PRIMES: Final = (5, 7, 11, 13, 17, 19, 23, 29)
_TESTS: Final = 5
_RIGHT: Final = 3
"""The number of the test that is corrected."""
_PROBLEM: Final = """
id = {number}
slug = "{slug}"
title = "Exercise {number}"
description = "description.md"
runner = "tap"
command = ["{{python}}", "-I", "-S", "run.py"]
total_tests = {tests}

[languages.python]
source = "answer.py"
"""
_RUN: Final = """
import json, os, subprocess
cases = json.load(open("cases.json"))
given = int(subprocess.run([os.environ["SUBCLI_SOLUTION"]], capture_output=True, text=True).stdout)
print("TAP version 14")
print(f"1..{len(cases)}")
for number, case in enumerate(cases, 1):
    print("ok" if given % case else "not ok", number, "- Not divisible by", case)
"""


def slug_of(number: int) -> str:
    """The name of a problem, from 1."""
    return f"exercise-{number}"


def make_problems(root: Path, count: int) -> dict[str, tuple[int, ...]]:
    """Write problems, and return the tests of each."""
    made = {}
    for number in range(1, count + 1):
        place = root / slug_of(number)
        (place / "tests").mkdir(parents=True)
        (place / "problem.toml").write_text(_PROBLEM.format(number=100 + number, slug=place.name, tests=_TESTS))
        (place / "description.md").write_text(f"Print a number that exercise {number} likes.\n")
        (place / "tests" / "run.py").write_text(_RUN)
        first = number % (len(_PRIMES) - _TESTS + 1)
        made[place.name] = cases = _PRIMES[first : first + _TESTS]
        _cases_file(place).write_text(json.dumps(cases))
    return made


def correct(root: Path, cases: Sequence[int]) -> tuple[int, ...]:
    """Correct a test of `CORRECTED`, and return all of them."""
    corrected = (_RIGHT, *cases[1:])
    write_atomically(_cases_file(root / CORRECTED), json.dumps(corrected).encode())
    return corrected


def cases_of(root: Path) -> tuple[int, ...]:
    """The tests of a version of a problem."""
    return tuple(json.loads(_cases_file(root).read_text()))


def _cases_file(root: Path) -> Path:
    return root / "tests" / "cases.json"


def some_solution(chance: random.Random) -> str:
    """A solution; in a twentieth of the cases one that cannot be built."""
    return BROKEN if chance.random() < 0.05 else f"print({chance.randrange(1, 1_000_000)})\n"


def outcomes(source: str, cases: Sequence[int]) -> list[bool] | None:
    """Whether each test passes; None if the solution cannot be built."""
    found = _NUMBER.fullmatch(source)
    return None if found is None else [int(found[1]) % case != 0 for case in cases]


def verdict_of(found: Sequence[bool] | None) -> str:
    """The verdict that follows from `outcomes`."""
    if found is None:
        return "build_failed"
    return "passed" if all(found) else "failed"
