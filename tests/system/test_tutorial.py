"""The tutorial's program has the fault that the page describes, and its correction mends it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/tutorial.md").read_text(encoding="utf-8")
TESTS = ROOT / "src/subcli/judge/problems/lru-cache/tests/run.py"


def failures(solution: Path) -> list[str]:
    """The tests of the problem that a solution fails."""
    env = {**os.environ, "SUBCLI_SOLUTION": str(solution)}
    done = subprocess.run([sys.executable, "-I", "-S", TESTS], env=env, capture_output=True, text=True)
    assert done.stdout.count("\nok ") + done.stdout.count("\nnot ok ") == 9, done.stdout + done.stderr
    return re.findall(r"^not ok \d+ (?:- )?(.*?)(?: #.*)?$", done.stdout, re.MULTILINE)


@pytest.mark.thorough
def test_program_of_the_tutorial(tmp_path: Path) -> None:
    """As it stands, two tests fail, those that the page speaks of; with the lines of step 7, none does."""
    program, correction = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    solution = tmp_path / "lru.py"
    solution.write_text(program)
    failed = failures(solution)
    assert len(failed) == 2
    assert "A get counts as use" in failed[0]
    before, branch, rest = program.partition('    elif command == "get":\n')
    replaced = rest.partition("\n")[2]
    solution.write_text(before + branch + textwrap.indent(textwrap.dedent(correction), " " * 8) + replaced)
    assert failures(solution) == []
