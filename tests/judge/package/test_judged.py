"""Packages end to end: every submission ends as its directory says, or the check says where it does not."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from subcli.judge.check import check_problem
from subcli.judge.report import Check
from subcli.judge.sandbox import Sandbox
from subcli.judge.sandbox.choice import choose
from tests.judge.package.packages import MINIMAL, write
from tests.sampling import first

DECLARED = "name: Minimal\nlimits: {time_limit: 5}\n"
MODERN = "problem_format_version: 2025-09\nname: Minimal\nlimits: {time_limit: 5, validation_passes: 3}\n"
READS_JUDGE_FILES = (
    "import sys\nfrom pathlib import Path\n"
    "given, answer, feedback = (Path(word) for word in sys.argv[1:4])\n"
    "def say(text): (feedback / 'judgemessage.txt').write_text(text)\n"
)
TWICE = READS_JUDGE_FILES + "sys.exit(42 if int(input()) == 2 * int(given.read_text()) else 43)\n"
GUESS = READS_JUDGE_FILES + (
    "secret = int(given.read_text())\n"
    "for line in sys.stdin:\n"
    "    if int(line) < 0: sys.exit(43)\n"
    "    print('right' if int(line) == secret else 'wrong', flush=True)\n"
    "    if int(line) == secret: sys.exit(42)\n"
    "say('never guessed')\n"
    "sys.exit(43)\n"
)
SAYS_ALL = READS_JUDGE_FILES + (
    "import os\n"
    "print(given.read_text(), end='', flush=True)\n"
    "os.close(1)\n"
    "sys.exit(42 if sys.stdin.read().split() == given.read_text().split() else 43)\n"
)
SECOND_PASS = READS_JUDGE_FILES + (
    "said = int(input())\n"
    "first = feedback / 'first'\n"
    "if first.exists(): sys.exit(42 if said == int(first.read_text()) + 1 else 43)\n"
    "first.write_text(str(said))\n"
    "(feedback / 'nextpass.in').write_text(str(said))\n"
    "sys.exit(42)\n"
)
ASKS_TWICE = SECOND_PASS.replace(
    "said = int(input())", "print(given.read_text().strip(), flush=True)\nsaid = int(input())"
)
GUESSES = "n = 0\nwhile True:\n    print(n, flush=True)\n    if input() == 'right': break\n    n += 1\n"
GROUPS = {
    "problem.yaml": DECLARED + "type: scoring\n",
    "data/testdata.yaml": "range: 0 30\ngrader_flags: ignore_sample\n",
    "data/sample/1.in": "1\n",
    "data/sample/1.ans": "1\n",
    "data/secret/testdata.yaml": "on_reject: continue\ngrader_flags: accept_if_any_accepted\n",
    "data/secret/1.in": None,
    "data/secret/1.ans": None,
    "data/secret/a/testdata.yaml": "accept_score: 10\ngrader_flags: min\n",
    "data/secret/a/1.in": "1\n",
    "data/secret/a/1.ans": "1\n",
    "data/secret/b/testdata.yaml": "accept_score: 20\ngrader_flags: min\n",
    "data/secret/b/1.in": "2\n",
    "data/secret/b/1.ans": "2\n",
}
GRADER = "import sys\nlines = sys.stdin.read().split()\nprint('AC' if 'AC' in lines else 'WA', lines.count('AC'))\n"
CAT = "#include <stdio.h>\nint main(void) { int c; while ((c = getchar()) != EOF) putchar(c); return 0; }\n"
MODERN_CPP = '#include <cstdio>\n#include <set>\nint main() { printf("%d\\n", (int)std::set{1}.contains(1)); }\n'
TALKER = (
    "#include <stdio.h>\n"
    "int main(void) {\n"
    "    int number = 0;\n"
    '    for (int i = 0; i < 200000; i++) if (printf("%d\\n", i) < 0) return 1;\n'
    '    return scanf("%d", &number) == 1 && number == 1 ? 42 : 43;\n'
    "}\n"
)
ECHO = "print(input())\n"
READS_FILES = (
    "import os, lib\n"
    "found = [open(name).read().strip() for name in ('data.txt', 'deep/a.txt') if os.path.exists(name)]\n"
    "print(*found or ['none'], lib.two)\n"
    "if found: open('data.txt', 'w').write('mine')\n"
)
CATS_FILES = (
    "#include <stdio.h>\n"
    "int main(void) {\n"
    '    FILE *file = fopen("deep/a.txt", "r");\n'
    '    return file == NULL ? puts("none 1") < 0 : puts("7 new 2") < 0;\n'
    "}\n"
)
JAVA = "public class {name} {{ public static void main(String[] words) {{ System.out.println({number}); }} }}\n"
FILES = Mapping[str, str | None]

AGREEING: dict[str, FILES] = {
    "default validator": {
        "problem.yaml": DECLARED + "validator_flags: float_tolerance 1e-2\n",
        "submissions/accepted/near.py": "print(1.001)\n",
        "submissions/accepted/many/main.py": "from other import n\nprint(n)\n",
        "submissions/accepted/many/other.py": "n = 1\n",
        "submissions/accepted/cat.c": CAT,
        "submissions/accepted/modern.cc": MODERN_CPP,
        "submissions/wrong_answer/far.py": "print(1.1)\n",
        "submissions/run_time_error/exit.py": "exit(3)\n",
    },
    "included files": {
        "problem.yaml": DECLARED,
        "include/python/lib.py": "one = 1\n",
        "submissions/accepted/a.py": "import lib\nprint(lib.one)\n",
    },
    "constants": {
        "problem.yaml": MODERN + "constants:\n  factor: 2\n  lib: {value: 1, python: one}\n",
        "output_validator/validate.py": TWICE.replace("2 *", "{{factor}} *"),
        "data/secret/test_group.yaml": 'args: ["{{factor}}"]\n',
        "include/python/lib.py": "{{lib.python}} = {{lib}}\n",
        "submissions/accepted/a.py": "import lib\nprint({{factor}} * lib.one)\n",
        "submissions/accepted/b.py": "import sys\nprint(sys.argv[1] + '{{none}}'[8:])\n",
        "submissions/wrong_answer/c.py": "print({{lib.value}})\n",
    },
    "files of a case": {
        "problem.yaml": MODERN,
        "data/secret/1.in": "",
        "data/secret/1.ans": "7 new 2\n",
        "data/secret/1.files/data.txt": "7\n",
        "data/secret/1.files/deep/a.txt": "new\n",
        "data/secret/1.files/lib.py": "two = 2\n",
        "data/secret/2.in": "",
        "data/secret/2.ans": "none 1\n",
        "include/python/lib.py": "two = 1\n",
        "submissions/accepted/a.py": READS_FILES,
        "submissions/accepted/cat.c": CATS_FILES,
        "submissions/wrong_answer/b.py": "print('none 1')\n",
    },
    "rules for single cases": {
        "problem.yaml": MODERN,
        "data/secret/2.in": "2\n",
        "data/secret/2.ans": "2\n",
        "submissions/submissions.yaml": "wrong_answer/a.py: {secret/1: {required: [WA]}, secret/2: {required: [AC]}}\n",
        "submissions/wrong_answer/a.py": "print(2)\n",
    },
    "entry points": {
        "problem.yaml": MODERN,
        "submissions/submissions.yaml": (
            "accepted/files: {entrypoint: start.py}\naccepted/classes: {entrypoint: Right}\n"
        ),
        "submissions/accepted/files/main.py": "print(2)\n",
        "submissions/accepted/files/start.py": ECHO,
        "submissions/accepted/classes/Main.java": JAVA.format(name="Main", number=2),
        "submissions/accepted/classes/Right.java": JAVA.format(name="Right", number=1),
    },
    "custom validator": {
        "problem.yaml": DECLARED + "validation: custom\n",
        "output_validators/validate.py": TWICE,
        "submissions/accepted/a.py": "print(2 * int(input()))\n",
        "submissions/wrong_answer/b.py": ECHO,
    },
    "interactive": {
        "problem.yaml": DECLARED + "validation: custom interactive\n",
        "output_validators/validate.py": GUESS,
        "data/secret/1.in": "3\n",
        "submissions/accepted/a.py": GUESSES,
        "submissions/wrong_answer/b.py": "print(0)\n",
        "submissions/wrong_answer/and_fails.py": "print(-1, flush=True)\ninput()\n",
        "submissions/run_time_error/c.py": "print(0, flush=True)\nexit(1)\n",
        "submissions/run_time_error/afterwards.py": GUESSES + "exit(1)\n",
    },
    "interactive with much to say": {
        # The program does not read it, and ends first.
        "problem.yaml": DECLARED + "validation: custom interactive\n",
        "output_validators/validate.c": TALKER,
        "submissions/accepted/a.py": "print(1)\n",
        "submissions/run_time_error/b.py": "exit(1)\n",
    },
    "interactive, with ends of what is said": {
        "problem.yaml": DECLARED + "validation: custom interactive\n",
        "output_validators/validate.py": SAYS_ALL,
        "submissions/accepted/a.py": "import sys, os\nprint(sys.stdin.read(), flush=True)\nos.close(1)\n",
        "submissions/accepted/b.py": "print(int(input()))\n",
        "submissions/wrong_answer/c.py": "import os\nos.close(1)\n",
        "submissions/run_time_error/d.py": "import os\nos.close(1)\ninput()\ninput()\n",
    },
    "multi-pass": {
        "problem.yaml": MODERN + "type: multi-pass\n",
        "output_validator/validate.py": SECOND_PASS,
        "submissions/accepted/a.py": "print(int(input()) + 1)\n",
        "submissions/wrong_answer/b.py": "print(5)\n",
    },
    "interactive multi-pass": {
        "problem.yaml": MODERN + "type: [interactive, multi-pass]\n",
        "output_validator/validate.py": ASKS_TWICE,
        "submissions/accepted/a.py": "print(int(input()) + 1)\n",
        "submissions/wrong_answer/b.py": "print(5)\n",
    },
    "groups": {
        **GROUPS,
        "submissions/accepted/a.py": ECHO,
        "submissions/partially_accepted/b.py": "print(1)\n",
    },
    "grader": {
        **GROUPS,
        "data/testdata.yaml": "range: 0 2\ngrading: custom\n",
        "data/secret/a/testdata.yaml": "grading: default\n",
        "data/secret/b/testdata.yaml": "grading: default\n",
        "graders/grade.py": GRADER,
        "submissions/accepted/a.py": ECHO,
        "submissions/wrong_answer/b.py": "print(3)\n",
    },
}

USUAL = ("custom validator", "interactive", "groups")
"""These a default run checks."""


def checked(root: Path, files: FILES) -> dict[str, Check]:
    report = check_problem(write(root / "minimal", {**MINIMAL, **files}))
    return {check.what: check for check in report.checks}


@pytest.mark.thorough(measured=True)
@pytest.mark.parametrize("name", first(len(USUAL), sorted(AGREEING, key=lambda name: name not in USUAL)))
def test_a_check_agrees_with_every_directory(tmp_path: Path, name: str) -> None:
    found = checked(tmp_path, AGREEING[name])
    assert {what: check.detail for what, check in found.items() if not check.ok} == {}
    programs = {"/".join(file.split("/")[1:3]) for file in AGREEING[name] if re.match("submissions/.*/", file)}
    assert programs <= {what for what, check in found.items() if not check.skipped}


@pytest.mark.thorough
@pytest.mark.skipif(shutil.which("bwrap") is None, reason="needs bubblewrap")
def test_what_was_built_for_one_submission_serves_the_next_in_its_sandbox(tmp_path: Path) -> None:
    """There each submission has a user of its own, who can start what another one has built."""
    files = {
        "problem.yaml": DECLARED + "validation: custom\n",
        "output_validators/validate.c": "int main(void) { return 42; }\n",
        "submissions/accepted/a.py": ECHO,
        "submissions/accepted/b.py": ECHO,
    }
    starter = choose(Sandbox.BWRAP, for_others=True).starter
    report = check_problem(write(tmp_path / "minimal", {**MINIMAL, **files}), starter=starter)
    assert [check.detail for check in report.checks if not check.ok] == []


@pytest.mark.thorough
@pytest.mark.skipif(shutil.which("bwrap") is None, reason="needs bubblewrap")
def test_files_of_a_case_in_a_sandbox(tmp_path: Path) -> None:
    """They are there for this case alone, whatever a program does with them."""
    starter = choose(Sandbox.BWRAP, for_others=True).starter
    report = check_problem(write(tmp_path / "minimal", {**MINIMAL, **AGREEING["files of a case"]}), starter=starter)
    assert [check.detail for check in report.checks if not check.ok] == []


@pytest.mark.thorough
def test_a_check_says_where_it_disagrees_and_infers_the_time_limit(tmp_path: Path) -> None:
    files = {"submissions/accepted/a.py": ECHO, "submissions/wrong_answer/b.py": ECHO}
    found = checked(tmp_path, files)
    assert found["accepted/a.py"].ok
    assert "follows from" in found["time limit"].detail
    assert found["wrong_answer/b.py"].detail == "AC instead of WA"


@pytest.mark.parametrize(
    ("validator", "scores", "says"),
    [
        ("raise SystemError('lost')\n", False, "exited with code 1, not with 42 or 43"),
        ("import sys\nsys.exit(0)\n", False, "exited with code 0, not with 42 or 43"),
        pytest.param(
            *("while True: pass\n", False, "validate.py"), id="hangs", marks=pytest.mark.thorough(measured=True)
        ),
        ("import sys\nsys.exit('lost')\n", False, "not with 42 or 43\nlost"),
        (READS_JUDGE_FILES + "(feedback / 'score.txt').write_text('ten')\nsys.exit(42)\n", True, "is not a number"),
        ("def (\n", False, "exited with code 1"),
    ],
    ids=["crashes", "exits with 0", None, "says why", "junk score", "syntax error"],
)
def test_a_broken_validator_is_the_judges_error_and_says_why(
    tmp_path: Path, validator: str, scores: bool, says: str
) -> None:
    more = "validation: custom score\ntype: scoring\n" if scores else "validation: custom\n"
    found = checked(
        tmp_path,
        {
            "problem.yaml": DECLARED.replace("5}", "5, validation_time: 1}") + more,
            "output_validators/validate.py": validator,
            "submissions/wrong_answer/a.py": ECHO,
        },
    )
    check = found["wrong_answer/a.py"]
    assert not check.ok
    assert "the judge could not judge it" in check.detail
    assert says in check.detail


@pytest.mark.parametrize(
    ("kind", "validator", "says"),
    [
        ("interactive", "int(input())\n", "ValueError"),
        ("multi-pass", READS_JUDGE_FILES + "(feedback / 'nextpass.in').touch()\nsys.exit(43)\n", "wrote nextpass.in"),
    ],
)
def test_a_validator_that_does_not_decide_is_at_fault_whatever_the_solution_does(
    tmp_path: Path, kind: str, validator: str, says: str
) -> None:
    files = {
        "problem.yaml": MODERN + f"type: {kind}\n",
        "output_validator/validate.py": validator,
        "submissions/run_time_error/a.py": "print(flush=True)\nexit(kind == 'interactive')\n".replace(
            "kind", repr(kind)
        ),
    }
    check = checked(tmp_path, files)["run_time_error/a.py"]
    assert "the judge could not judge it" in check.detail
    assert says in check.detail
