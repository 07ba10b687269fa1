"""docs/bringing-problems.md: what it tells authors to write works, with material of the same shape."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from subcli.judge import load_problem
from tests.judge.judging import Run

PAGE = Path(__file__).parents[3] / "docs/bringing-problems.md"
HEAD = 'id = 9\nslug = "double"\ntitle = "Double"\ndescription = "d.md"\nrunner = "grader"\ntests = "."\n'
PYTEST = "from {module} import double\n\ndef test_one():\n    double(1)\n\ndef test_two():\n    assert double(2) == 4\n"
PYTHON = "def double(n): return n\n"
AUTOGRADER = {
    "description.md": "Double.",
    "solution/calculator.py": PYTHON,
    "run_autograder": """#!/usr/bin/env bash
cp /autograder/submission/calculator.py /autograder/source/
cd /autograder/source
python3 run_tests.py
""",
    "run_tests.py": """
import json
from calculator import double
right = {"test_one": (1, 1), "test_two": (2, 4)}
tests = [{"name": name, "score": float(double(n)), "max_score": m} for name, (n, m) in right.items()]
json.dump({"tests": tests}, open("/autograder/results/results.json", "w"))
""",
}
GO_TEST = """package double

import "testing"

func Test(t *testing.T) {
	t.Run("one", func(t *testing.T) { Double(1) })
	t.Run("two", func(t *testing.T) {
		if got := Double(2); got != 4 {
			t.Fatalf("Double(2)\\n got: %d\\nwant: %d", got, 4)
		}
	})
}
"""
RUST_TEST = """
#[test]
fn test_one() { anagram::double(1); }
#[test]
#[ignore]
fn test_two() { assert_eq!(anagram::double(2), 4); }
"""
C_TEST = """#include <stdio.h>
#include "unity.h"
#include "armstrong_numbers.h"
int main(void)
{
    printf("t.c:6:test_one:%s\\n", twice(1) ? "PASS" : "FAIL");
    printf("t.c:7:test_two:%s\\n", twice(2) == 4 ? "PASS" : "FAIL: Expected 4 Was 2");
    printf("\\n-----------------------\\n2 Tests 1 Failures 0 Ignored \\n");
    return 1;
}
"""
C = {
    "makefile": "test: ./*.c ./*.h\n\t@$(CC) -Itest-framework ./*.c -o tests.out\n\t@./tests.out\n",
    "test_armstrong_numbers.c": C_TEST,
    "test-framework/unity.h": "",
    "armstrong_numbers.h": "int twice(int n);\n",
    ".meta/example.c": "",
    ".meta/example.h": "",
}


def tables(title: str) -> str:
    """The first TOML on the page after a heading, or after a name in bold; with a head, if it has none."""
    name = re.escape(title)
    found = re.search(
        rf"^(?:#+ {name}$|\*\*{name}\.\*\*).*?```toml\n(.*?)```", PAGE.read_text(), re.DOTALL | re.MULTILINE
    )
    assert found is not None, title
    # That package need not be here; the tests of our own do not import it.
    text = found[1].replace('packages = ["gradescope-utils"]\n', "")
    return text if text.startswith("id") else HEAD + text


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("title", "needed", "source", "text", "files"),
    [
        (
            "Python",
            "python3",
            "matrix.py",
            PYTHON,
            {".docs/instructions.md": "", ".meta/example.py": "", "matrix_test.py": PYTEST.format(module="matrix")},
        ),
        (
            "A homework with pytest",
            "python3",
            "solution.py",
            PYTHON,
            {"README.markdown": "", "test.py": PYTEST.format(module="solution")},
        ),
        ("A Gradescope autograder", "bwrap", "calculator.py", PYTHON, AUTOGRADER),
        (
            "Go",
            "go",
            "two_fer.go",
            "package double\n\nfunc Double(n int) int { return n }\n",
            {"go.mod": "module double\n\ngo 1.18\n", "double_test.go": GO_TEST},
        ),
        (
            "Rust",
            "cargo",
            "src/lib.rs",
            "pub fn double(n: i32) -> i32 { n }\n",
            {
                "Cargo.toml": '[package]\nname = "anagram"\nversion = "0.1.0"\nedition = "2021"\n',
                "tests/anagram.rs": RUST_TEST,
            },
        ),
        ("C", "make", "armstrong_numbers.c", '#include "armstrong_numbers.h"\nint twice(int n) { return n; }\n', C),
    ],
    ids=["Python", "pytest", "Gradescope", "Go", "Rust", "C"],
)
async def test_it_works_as_the_page_says(
    run: Run, tmp_path: Path, title: str, needed: str, source: str, text: str, files: Mapping[str, str]
) -> None:
    """Of a wrong solution one test passes and one fails, so that each has really run."""
    if shutil.which(needed) is None:
        pytest.skip(f"{needed} is not installed")
    for name, content in {"d.md": "Double.", source: text, **files}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    (tmp_path / "problem.toml").write_text(tables(title))
    problem = load_problem(tmp_path)
    (language,) = problem.languages.values()
    submitted = {language.name_of_single(Path(source).name): text}
    submitted |= {name: files[name] for name in files if name == "armstrong_numbers.h"}
    judged = await run(problem, submitted, language.name)
    results = {event["test_name"].lower()[-3:]: event["status"] for event in judged.of("test_result")}
    assert (judged.verdict, results) == ("failed", {"one": "passed", "two": "failed"})
